"""Text of HTML, XHTML and CDA documents as lines: blocks end a line, cells are apart by a tab."""

from __future__ import annotations

import base64
import binascii
import re
from html.parser import HTMLParser

from weakbox.records.errors import InputError

_BLOCKS = frozenset({
    "p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "section", "ul", "ol", "pre", "hr", "title", "paragraph",
    "item", "list", "caption",
})  # fmt: skip
_CELLS = frozenset({"td", "th"})
_UNSEEN = frozenset({"script", "style", "head"})
_CDA_BODY = "structuredbody"
_BLANKS = re.compile(r"[ \t\r\f\v]*\n[ \t\r\f\v]*")


class _Lines(HTMLParser):
    """Collects the words that a reader would see."""

    def __init__(self, body: str | None) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._body, self._depth, self._unseen = body, 0, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._depth += tag == self._body
        self._unseen += tag in _UNSEEN
        if tag in _BLOCKS:
            self._add("\n")
        if tag in ("li", "item"):
            self._add("- ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self._add("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._add("\n")
        if tag in _CELLS:
            self._add("\t")
        self._depth -= tag == self._body
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))

    def handle_data(self, data: str) -> None:
        self._add(re.sub(r"\s+", " ", data))

    def _add(self, piece: str) -> None:
        if not self._unseen and (self._body is None or self._depth):
            self.pieces.append(piece)


def markup_text(markup: str) -> str:
    """The words of an HTML or XHTML document; of a CDA document those of its body, without its header of persons."""
    lines = _Lines(_CDA_BODY if f"<{_CDA_BODY}" in markup.lower() else None)
    lines.feed(markup)
    lines.close()
    text = _BLANKS.sub("\n", "".join(lines.pieces))
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ ]{2,}", " ", text)).strip()


def decode_base64(data: str) -> bytes:
    """Bytes of base64 text, whatever blanks it holds.

    Raises:
        InputError: it is none.
    """
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        msg = "the attachment is no base64"
        raise InputError(msg) from None


def decode_text(content: bytes, charset: str | None = None) -> str:
    """Text of bytes: the stated encoding where it fits, else UTF-8, else Windows-1252 with its five gaps as blanks."""
    for encoding in (charset, "utf-8-sig"):
        if encoding is None:
            continue
        try:
            return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return content.decode("cp1252", errors="replace")


_KNOWN_MEDIA = frozenset({
    "application/pdf", "application/rtf", "text/rtf", "application/msword", "application/dicom", "application/octet-stream",
    "application/zip", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "image/jpeg", "image/png", "image/tiff", "image/gif", "audio/mpeg", "audio/wav", "video/mp4",
})  # fmt: skip


def shown_media(media: str) -> str:
    """A media type for a remark: named where it is a known one, because senders put other words in its place."""
    return f"media type {media}" if media in _KNOWN_MEDIA else "a media type that is not known here"
