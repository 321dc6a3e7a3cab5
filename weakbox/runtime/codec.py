"""Records to JSON Lines and back. pydantic validates on the way in, so a damaged file is refused with the field that is wrong."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from weakbox.records import artifact, biopsy, case, extraction, image_set, imaging, label, report
from weakbox.records.errors import InputError

_LINE = re.compile(rb'\{"type":"(?P<name>\w+)","value":(?P<value>\{.*\})\}\s*', re.DOTALL)
_MODULES = (artifact, biopsy, case, extraction, image_set, imaging, label, report)


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    for module in _MODULES:
        found = getattr(module, name, None)
        if isinstance(found, type) and is_dataclass(found):
            return TypeAdapter(found)
    msg = f"no record is called {name[:40]!r}"
    raise InputError(msg)


def encode(record: object) -> bytes:
    """One line, without its end: ``{"type": ..., "value": ...}``, fields in the order of the record."""
    name = type(record).__name__
    return b'{"type":"' + name.encode() + b'","value":' + _adapter(name).dump_json(record) + b"}"


def decode(line: bytes) -> Any:
    """The record of one line that ``encode`` made.

    Raises:
        InputError: no record of ours, or cut off.
        ValidationError: a field is wrong.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        msg = "no record, or cut off"
        raise InputError(msg)
    return _adapter(match["name"].decode()).validate_json(match["value"])


def as_plain(record: object) -> Any:
    """The record as JSON-ready dictionaries and lists."""
    return json.loads(_adapter(type(record).__name__).dump_json(record))


def content_digest(record: object) -> str:
    """SHA-256 of the record's JSON."""
    return hashlib.sha256(encode(record)).hexdigest()


def read_records(path: Path, keep: Callable[[bytes], bool] | None = None) -> Iterator[Any]:
    """The records of a JSON Lines file, one at a time; ``keep`` may pass over lines unread.

    Raises:
        InputError: a line is no record; names the file and line.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if keep is not None and not keep(line):
                continue
            try:
                yield decode(line)
            except (ValidationError, InputError) as error:
                msg = f"{path.parent.name}/{path.name} line {number}: {_what_is_wrong(error)}; delete the file to have the stage run again"
                raise InputError(msg) from None


def _what_is_wrong(error: ValidationError | InputError) -> str:
    if isinstance(error, InputError):
        return str(error)
    first = error.errors(include_input=False)[0]
    return f"field {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def write_records(path: Path, records: Iterable[object]) -> tuple[int, str]:
    """Write records as JSON Lines under a temporary name, then rename. Returns how many, and the SHA-256 of the bytes."""
    digest = hashlib.sha256()
    count = 0
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        for record in records:
            line = encode(record) + b"\n"
            file.write(line)
            digest.update(line)
            count += 1
    temporary.replace(path)
    return count, digest.hexdigest()
