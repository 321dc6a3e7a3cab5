"""Which encoding a text file has: its byte order mark, else UTF-8 where every byte fits, else Windows-1252."""

from __future__ import annotations

import codecs
from pathlib import Path

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.sources.remarks import flagged

BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
CHUNK_BYTES = 1 << 20


def detect_encoding(path: Path) -> str:
    """The encoding of a text file, read once in bounded memory.

    Raises:
        InputError: no such file, nothing in it, or neither UTF-8 nor Windows-1252.
    """
    first = _first_bytes(path)
    marked = next((encoding for mark, encoding in BYTE_ORDER_MARKS if first.startswith(mark)), None)
    if marked is not None:
        if _decodes(path, marked):
            return marked
        msg = f"{path}: begins with the mark of {marked}, but is no such text; save it again as UTF-8"
        raise InputError(msg)
    for encoding in ("utf-8", "cp1252"):
        if _decodes(path, encoding):
            return encoding
    msg = f"{path}: neither UTF-8 nor Windows-1252 text; give its `encoding` in the options, or save it as UTF-8"
    raise InputError(msg)


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        msg = f"{path}: no such file"
        raise InputError(msg)
    with path.open("rb") as file:
        first = file.read(4)
    if not first:
        msg = f"{path}: the file is empty"
        raise InputError(msg)
    return first


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def choose_encoding(path: Path, encoding: str | None) -> str:
    """The encoding that the options name, checked against every byte of the file, or the detected one.

    Raises:
        InputError: no such encoding, or the file is not text in it.
    """
    if encoding is None:
        return detect_encoding(path)
    _first_bytes(path)
    try:
        decodes = _decodes(path, encoding)
    except LookupError:
        msg = f"{path}: no encoding is called {encoding!r}; usual ones are utf-8, cp1252 and utf-16"
        raise InputError(msg) from None
    if not decodes:
        msg = f"{path}: not {encoding} text, as its `encoding` option says; leave the option out to have it detected"
        raise InputError(msg)
    return encoding


def encoding_remarks(path: Path, chosen: str | None, found: str) -> tuple[LedgerEntry, ...]:
    """A remark where Windows-1252 was taken because the file is no UTF-8: it has no mark that proves it."""
    if chosen is None and found == "cp1252":
        return (flagged("file", path.name, "assumed_windows_1252", "not UTF-8; set `encoding` if characters look wrong"),)
    return ()
