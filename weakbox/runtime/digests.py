"""Digests of the inputs and of the code: what the keys of the store rest on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from weakbox.records.errors import InputError
from weakbox.runtime.store import digest_of, write_text

CODE_SUFFIXES = {".py", ".yaml", ".yml", ".j2", ".json"}
PACKAGES_WITHOUT_RECORDS = {"audit", "evaluation", "review"}
"""They read what the stages wrote; changing them never makes a stage's records stale."""


ROOT_CODE = {"extraction.py": ("llm.py",)}
"""Code beside the stages that a stage's records depend on."""


@cache
def code_digest(stage_file: str) -> str:
    """SHA-256 of the code that a stage's records depend on: its own file and the craft in ``weakbox/``."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for path in [root / stage_file, *(root / name for name in ROOT_CODE.get(stage_file, ())), *sorted((root / "weakbox").rglob("*"))]:
        relative = path.relative_to(root)
        if path.suffix in CODE_SUFFIXES and not PACKAGES_WITHOUT_RECORDS.intersection(relative.parts):
            digest.update(relative.as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def stat_digest(paths: Iterable[Path]) -> str:
    """SHA-256 over names, sizes and modification times: for image folders, whose bytes are too many to read each time."""
    rows = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # a link to nowhere: whoever opens the file says so
            rows.append((str(path), -1, 0))
            continue
        rows.append((str(path), status.st_size, status.st_mtime_ns))
    return digest_of(sorted(rows))


def optional_file_digest(path: Path) -> str:
    """SHA-256 of a file that need not be there; empty where it is not."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


class ContentDigests:
    """SHA-256 of input files, remembered by name, size and modification time in one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[str | int]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def of(self, path: Path) -> str:
        """The SHA-256 of a file's bytes.

        Raises:
            InputError: there is no such file.
        """
        if not path.is_file():
            msg = f"{path}: no such file; the configuration names it as an input"
            raise InputError(msg)
        status = path.stat()
        known = self._known.get(str(path))
        if known is not None and known[:2] == [status.st_size, status.st_mtime_ns]:
            return str(known[2])
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._known[str(path)] = [status.st_size, status.st_mtime_ns, sha256]
        return sha256

    def save(self) -> None:
        """Remember for the next run."""
        write_text(self._path, json.dumps(self._known, indent=0, sort_keys=True))
