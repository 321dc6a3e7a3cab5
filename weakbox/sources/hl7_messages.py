"""HL7 v2 messages from bytes: framing, encoding, segments, fields, repetitions and escapes. No medicine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from weakbox.sources.report_markup import decode_text

MESSAGE_HEADER = "MSH"
BATCH_SEGMENTS = frozenset({"FHS", "BHS", "BTS", "FTS"})
_CHARSETS = {
    "8859/1": "cp1252",
    "8859/2": "iso8859-2",
    "8859/9": "cp1254",
    "8859/15": "iso8859-15",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    "WINDOWS-1252": "cp1252",
}
"""HL7 table 0211 -> Python's encodings; ISO 8859-1 is read as Windows-1252, which holds it. Others, ASCII too, are detected."""
_MESSAGE_START = re.compile(rb"(?:^|(?<=[\r\n\x0b\x1c]))[ \t]*(?=MSH[^\w\s\r\n])")
_SEGMENT = re.compile(r"(?P<name>[A-Z][A-Z0-9]{2})(?P<separator>[^\w\s])")
_FRAMING = str.maketrans("", "", "\x0b\x1c\x00")


@dataclass(frozen=True, slots=True)
class Signs:
    """The separators that a message declares in its first segment."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: ``fields[0]`` is its name, so that ``fields[5]`` is field 5; MSH counts its separator as field 1."""

    name: str
    fields: tuple[str, ...]
    signs: Signs
    encoding: str = "utf-8"

    def raw(self, number: int) -> str:
        """A field as sent; empty where it is not there."""
        return self.fields[number] if number < len(self.fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """The repetitions of a field, as sent."""
        return self.raw(number).split(self.signs.repetition) if self.raw(number) else []

    def components(self, number: int, repetition: int = 0) -> list[str]:
        """The components of one repetition, unescaped and stripped."""
        parts = self.repetitions(number)
        chosen = parts[repetition] if repetition < len(parts) else ""
        return [self.unescape(component).strip() for component in chosen.split(self.signs.component)] if chosen else []

    def value(self, number: int, component: int = 1) -> str:
        """One component (1-based) of the first repetition; ``""`` and the explicit null both read as empty."""
        parts = self.components(number)
        found = parts[component - 1] if component <= len(parts) else ""
        return "" if found == '""' else found

    def unescape(self, text: str) -> str:
        """The text with the message's escapes resolved."""
        return unescape(text, self.signs, self.encoding)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its segments in order; ``number`` counts messages of the file from 1."""

    number: int
    segments: tuple[Segment, ...] = field(default=())

    @property
    def header(self) -> Segment:
        """The MSH segment."""
        return self.segments[0]

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        return next((segment for segment in self.segments if segment.name == name), None)


def read_messages(content: bytes, encoding: str | None = None) -> Iterator[Message]:
    """The messages of a file, alone, framed by MLLP or in a batch; what stands before the first MSH is passed over.

    ``encoding`` None: as MSH-18 says, else UTF-8 where the bytes fit, else Windows-1252.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        content = content.decode("utf-16", errors="replace").encode()
    content = content.removeprefix(b"\xef\xbb\xbf")
    starts = [match.end() for match in _MESSAGE_START.finditer(content)]
    for number, (start, end) in enumerate(zip(starts, [*starts, len(content)][1:], strict=True), 1):
        yield Message(number, tuple(_segments(content[start:end], encoding)))


def _segments(content: bytes, encoding: str | None) -> Iterator[Segment]:
    signs, declared = _declared(content)
    chosen = encoding or _CHARSETS.get(declared.upper())
    text = decode_text(content, chosen).translate(_FRAMING)
    for lines in _segment_lines(text, signs):
        name = lines[:3]
        fields = lines.split(signs.field)
        if name == MESSAGE_HEADER:
            fields.insert(1, signs.field)
        if name not in BATCH_SEGMENTS:
            yield Segment(name, tuple(fields), signs, chosen or "utf-8")


def _declared(content: bytes) -> tuple[Signs, str]:
    """Separators and character set of MSH, which is ASCII in every encoding that HL7 allows."""
    line = re.split(rb"[\r\n]", content, maxsplit=1)[0].decode("latin-1")
    separator = line[3:4] or "|"
    fields = line.split(separator)
    marks = (fields[1] if len(fields) > 1 else "").ljust(4)
    given = [mark if mark.strip() else default for mark, default in zip(marks[:4], "^~\\&", strict=True)]
    charset = fields[17].partition("~")[0] if len(fields) > 17 else ""
    return Signs(separator, *given), charset.strip()


def _segment_lines(text: str, signs: Signs) -> Iterator[str]:
    """Segments, with CR, LF or both at their ends; a line that begins no segment goes on with the one before."""
    current = ""
    for line in re.split(r"\r\n|\r|\n", text):
        match = _SEGMENT.match(line)
        if match is not None and match["separator"] == signs.field:
            if current:
                yield current
            current = line
        elif current:
            current += "\n" + line
    if current:
        yield current.rstrip("\n")


_PLAIN_ESCAPES = {"F": "field", "S": "component", "T": "subcomponent", "R": "repetition", "E": "escape"}
_LINES = re.compile(r"\.(?P<code>br|sp|ce|sk|in|ti|fi|nf)\s*(?P<count>[+-]?\d*)", re.IGNORECASE)


def unescape(text: str, signs: Signs, encoding: str = "utf-8") -> str:
    r"""Text with HL7 v2 escapes resolved: ``\.br\`` is a line end, ``\T\`` the sign itself, ``\X0D\`` bytes; highlighting goes.

    >>> unescape("PI-\\.br\\RADS 4 \\T\\ PSA", Signs())
    'PI-\nRADS 4 & PSA'
    """
    if signs.escape not in text:
        return text
    mark = re.escape(signs.escape)
    return re.sub(rf"{mark}([A-Za-z.][^{mark}\n]{{0,200}})?{mark}", lambda match: _meant(match, signs, encoding), text)


def _meant(match: re.Match[str], signs: Signs, encoding: str) -> str:
    code = match[1] or ""
    if code in _PLAIN_ESCAPES:
        return str(getattr(signs, _PLAIN_ESCAPES[code]))
    if code in ("H", "N") or code[:1] in ("Z", "C", "M"):
        return ""
    if code[:1] == "X" and re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", code):
        return decode_text(bytes.fromhex(code[1:]), encoding).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", " ")
    lines = _LINES.fullmatch(code)
    if lines is None:
        return match[0]
    kind = lines["code"].lower()
    if kind in ("br", "sp", "ce"):
        return "\n" * max(1, min(int(lines["count"] or 1), 10) if kind == "sp" else 1)
    return " " * max(0, min(int(lines["count"] or 1), 40)) if kind == "sk" else ""
