"""Whether bytes are what was asked for: first bytes, last bytes, checksums. An error page never passes as an image."""

from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path, PurePosixPath
from typing import Protocol
from zipfile import BadZipFile, ZipFile

from weakbox.clients.client import Checksum, ChecksumAlgorithm, ContentKind

HEAD_BYTES = 512
_TAIL_BYTES = 4096
_KIND_OF_SUFFIX: dict[str, ContentKind] = {
    ".zip": "zip", ".gz": "gzip", ".tgz": "gzip", ".tar": "tar", ".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".dcm": "dicom",
    ".dicom": "dicom", ".pdf": "pdf", ".csv": "text", ".tsv": "text", ".txt": "text", ".json": "json", ".html": "html", ".htm": "html",
}  # fmt: skip
_HTML = re.compile(rb"^(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body|title)\b", re.IGNORECASE | re.DOTALL)
_XML_ERROR = re.compile(rb"^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?<Error\b")
_JSON_ERROR = re.compile(rb'^\s*\{\s*"(?:error|errors|message|detail|fault)"', re.IGNORECASE)


def kind_of(path: str, kind: ContentKind) -> ContentKind:
    """The kind that is promised, or the one that the name tells.

    >>> kind_of("a/b.JPG", "any")
    'jpeg'
    """
    return kind if kind != "any" else _KIND_OF_SUFFIX.get(PurePosixPath(path.lower()).suffix, "any")


def head_problem(head: bytes, kind: ContentKind, content_type: str) -> str:
    """A reason code for first bytes that cannot be of this kind; empty where they can. ``head`` has up to 512 bytes.

    >>> head_problem(b"<!DOCTYPE html><title>Busy</title>", "any", "")
    'html_page'
    """
    if kind != "html" and (_HTML.match(head) or (content_type.startswith("text/html") and head.lstrip()[:1] == b"<")):
        return "html_page"
    if _XML_ERROR.match(head):
        return "error_answer"
    is_json = _JSON_ERROR.match(head) or (kind != "any" and content_type.startswith("application/json"))
    if kind not in ("json", "text", "html") and is_json:
        return "error_answer"
    return "" if _begins_like(head, kind) else f"not_{kind}"


def _begins_like(head: bytes, kind: ContentKind) -> bool:
    match kind:
        case "zip":
            return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))
        case "gzip":
            return head.startswith(b"\x1f\x8b")
        case "tar":
            return head[257:262] == b"ustar"
        case "jpeg":
            return head.startswith(b"\xff\xd8\xff")
        case "png":
            return head.startswith(b"\x89PNG\r\n\x1a\n")
        case "dicom":
            return head[128:132] == b"DICM"
        case "pdf":
            return b"%PDF-" in head
        case "text":
            return b"\x00" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff"))
        case "json":
            return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
        case "any" | "html":
            return True


def is_cut_short(path: Path, kind: ContentKind) -> bool:
    """Whether a whole file of this kind lacks its end. Only kinds that have a mark of their end can tell."""
    if kind == "zip":
        try:
            with ZipFile(path):
                return False
        except BadZipFile:
            return True
    if kind not in ("jpeg", "png"):
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    return (b"\xff\xd9" if kind == "jpeg" else b"IEND\xaeB`\x82") not in tail


class Hasher(Protocol):
    """What ``hashlib`` gives."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Crc32:
    """CRC-32 with the interface of ``hashlib``."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        """Eight hexadecimal digits."""
        return f"{self._value:08x}"


def hasher(algorithm: ChecksumAlgorithm) -> Hasher:
    """A new hasher; MD5 and SHA-1 only find damage, they protect nothing."""
    return Crc32() if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)


def digest_of_file(path: Path, algorithm: ChecksumAlgorithm) -> str:
    """Checksum of a file, hexadecimal."""
    found = hasher(algorithm)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "crc32": 8}
_HEXADECIMAL = re.compile(r"^[0-9a-f]+$")


def checksum(algorithm: ChecksumAlgorithm, text: str) -> Checksum | None:
    """A checksum as listed; ``None`` where the text is none of this algorithm (an S3 ETag of a multipart upload, for example).

    >>> str(checksum("md5", '"D41D8CD98F00B204E9800998ECF8427E"'))
    'md5:d41d8cd98f00b204e9800998ecf8427e'
    >>> checksum("md5", "d41d8cd98f00b204e9800998ecf8427e-3") is None
    True
    """
    value = text.strip().strip('"').lower()
    if len(value) != _LENGTHS[algorithm] or not _HEXADECIMAL.match(value):
        return None
    return Checksum(algorithm=algorithm, value=value)
