"""What the name of a file or folder says: a pattern with named groups."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from weakbox.records.errors import ConfigurationError, InputError


def compile_name_pattern(pattern: str, known: Iterable[str], option: str) -> re.Pattern[str]:
    """A compiled pattern whose named groups are all known fields.

    Raises:
        ConfigurationError: no valid regular expression, or a group that is no field.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        msg = f"`{option}`: {pattern!r} is no regular expression: {error}"
        raise ConfigurationError(msg) from None
    unknown = sorted(set(compiled.groupindex) - set(known))
    if unknown:
        msg = f"`{option}`: unknown group {unknown[0]!r}; named groups may be {', '.join(sorted(known))}"
        raise ConfigurationError(msg)
    return compiled


def files_below(folder: Path, glob: str) -> tuple[Path, ...]:
    """Files of a folder tree that match, sorted by their path below it; the file itself where a file is given.

    Raises:
        InputError: no such folder, or nothing in it matches.
    """
    if folder.is_file():
        return (folder,)
    if not folder.is_dir():
        msg = f"{folder}: no such folder"
        raise InputError(msg)
    found = sorted((path for path in folder.glob(glob) if path.is_file()), key=lambda path: path.relative_to(folder).as_posix())
    if not found:
        msg = f"{folder}: no file matches {glob!r}"
        raise InputError(msg)
    return tuple(found)


def relative_name(path: Path, folder: Path) -> str:
    """The path below the folder, with forward slashes; the bare name where the folder is the file."""
    return path.name if path == folder else path.relative_to(folder).as_posix()
