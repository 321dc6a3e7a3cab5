"""The text files of a DDSM case: ``.ics`` (the case and its films) and ``.OVERLAY`` (abnormalities and their outlines), and its names.

Facts: the DDSM case description (eng.usf.edu/cvprg/Mammography/DDSM/case_description.html), its ftp listing, and .OVERLAY text
quoted in published work. An abnormality can have several ``LESION_TYPE`` lines; one ``BOUNDARY`` and any number of ``CORE`` outlines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from weakbox.datasets_public.ddsm_words import findings_of, kind_of, stated
from weakbox.records.record import record
from weakbox.records.stated import FieldValue

_FILM = re.compile(r"(?<![A-Za-z])([A-D])_(\d{4})_(\d)\.(LEFT|RIGHT)_(CC|MLO)(?![A-Za-z])", re.IGNORECASE)
_CASE = re.compile(r"(?<![A-Za-z])([A-D])-(\d{4})-(\d)\.ics", re.IGNORECASE)
_FILM_LINE = re.compile(
    r"(?P<film>(?:LEFT|RIGHT)_(?:CC|MLO))\s+LINES\s+(?P<rows>\d+)\s+PIXELS_PER_LINE\s+(?P<columns>\d+)\s+BITS_PER_PIXEL\s+(?P<bits>\d+)"
    r"\s+RESOLUTION\s+(?P<resolution>[\d.]+)\s+(?P<overlay>(?:NON_)?OVERLAY)"
)
_VOLUME = re.compile(r"(?:^|[/-])(benign_without_callback|benign|cancer|normal)(?:s|_\d\d)(?=[/-])", re.IGNORECASE)
_LESION_TYPE = re.compile(r"LESION_TYPE\s+(?P<kind>\w+)(?P<descriptors>.*)")
_DESCRIPTOR = re.compile(r"(SHAPE|MARGINS|TYPE|DISTRIBUTION)\s+(\S+)")
_ATTRIBUTES = {"SHAPE": "mass_shape", "MARGINS": "mass_margins", "TYPE": "calc_type", "DISTRIBUTION": "calc_distribution"}

_OUTLINE_STARTS = frozenset("0123456789#")


@record
class FilmName:
    """Which film a file belongs to: ``A_1141_1.LEFT_CC`` is the left CC film of case ``A-1141-1``."""

    case: str
    side: str
    view: str

    @property
    def patient(self) -> str:
        """Institution and number. The number alone is given to several patients, and folders are named by it."""
        return self.case.rpartition("-")[0]

    @property
    def film(self) -> str:
        """As the ``.ics`` names it: ``LEFT_CC``."""
        return f"{self.side}_{self.view}"

    @property
    def name(self) -> str:
        """As its files are named, without the ending."""
        return f"{self.case.replace('-', '_')}.{self.film}"


def film_of(file_name: str) -> FilmName | None:
    """The film that a file name speaks of, whatever a converter put around it; None for another file.

    >>> film_of("cancer_08-A_1403_1.RIGHT_MLO.LJPEG.1.jpg").name
    'A_1403_1.RIGHT_MLO'
    """
    match = _FILM.search(file_name)
    if match is None:
        return None
    institution, number, study, side, view = (part.upper() for part in match.groups())
    return FilmName(case=f"{institution}-{number}-{study}", side=side, view=view)


def case_of(file_name: str) -> str | None:
    """The case of an ``.ics`` file by its name: ``A-1141-1``."""
    match = _CASE.fullmatch(file_name)
    return "-".join(part.upper() for part in match.groups()) if match else None


def volume_of(path: str) -> str | None:
    """``cancer``, ``benign``, ``benign_without_callback`` or ``normal``, from the folders of a path (``/`` between them).

    >>> volume_of("cases/benign_without_callbacks/benign_without_callback_01/case1333/x.png")
    'benign_without_callback'
    """
    found = _VOLUME.findall(path)
    return found[-1].lower() if found else None


@record
class Film:
    """What the ``.ics`` says of one film. Sizes are those of the scan, in pixels."""

    columns: int
    rows: int
    bits: int
    resolution_um: float
    has_overlay: bool


@record
class CaseSheet:
    """An ``.ics`` file. Dates are not read."""

    age_years: float | None
    density: str | None
    """As written, 1 to 4."""
    digitizer: str | None
    film_type: str | None
    films: Mapping[str, Film]


def read_case_sheet(text: str) -> CaseSheet:
    """An ``.ics`` file's text.

    Raises:
        ValueError: it lists no film.
    """
    films: dict[str, Film] = {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        match = _FILM_LINE.fullmatch(line.strip())
        if match:
            films[match["film"]] = _film(match)
        else:
            name, _, value = line.strip().partition(" ")
            fields.setdefault(name.upper(), value.strip())
    if not films:
        raise ValueError("expected lines such as 'LEFT_CC LINES 4696 PIXELS_PER_LINE 3024 BITS_PER_PIXEL 12 RESOLUTION 50 OVERLAY'")
    age = fields.get("PATIENT_AGE", "")
    return CaseSheet(
        age_years=float(age) if age.isdigit() else None,
        density=fields.get("DENSITY") or None,
        digitizer=fields.get("DIGITIZER") or None,
        film_type=fields.get("FILM_TYPE") or None,
        films=films,
    )


def _film(match: re.Match[str]) -> Film:
    return Film(
        columns=int(match["columns"]),
        rows=int(match["rows"]),
        bits=int(match["bits"]),
        resolution_um=float(match["resolution"]),
        has_overlay=match["overlay"] == "OVERLAY",
    )


@record
class Marking:
    """One abnormality of an ``.OVERLAY`` file. Outlines are chain codes as written, with the closing ``#``."""

    number: int
    finding_types: tuple[str, ...]
    attributes: Mapping[str, FieldValue] = field(default_factory=dict)
    assessment: str | None = None
    subtlety: str | None = None
    pathology: str | None = None
    stated_outlines: int | None = None
    boundaries: tuple[str, ...] = ()
    cores: tuple[str, ...] = ()


@record
class Overlay:
    """An ``.OVERLAY`` file."""

    stated_total: int | None
    markings: tuple[Marking, ...]


def read_overlay(text: str) -> Overlay:
    """An ``.OVERLAY`` file's text.

    Raises:
        ValueError: it names no abnormality, or one that is no mass, calcification or other.
    """
    head, *blocks = re.split(r"^\s*ABNORMALITY\b", text, flags=re.MULTILINE)
    if not blocks:
        raise ValueError("expected a line 'ABNORMALITY 1'")
    total = re.search(r"TOTAL_ABNORMALITIES\s+(\d+)", head)
    return Overlay(stated_total=int(total[1]) if total else None, markings=tuple(_marking(block) for block in blocks))


def _marking(block: str) -> Marking:
    first, *lines = (line.strip() for line in block.splitlines())
    fields, outlines = _fields_and_outlines(lines)
    types: set[str] = set()
    attributes: dict[str, FieldValue] = {}
    for line in fields:
        match = _LESION_TYPE.fullmatch(line)
        if match:
            words = {_ATTRIBUTES[name]: word for name, value in _DESCRIPTOR.findall(match["descriptors"]) if (word := stated(value))}
            attributes.update(words)
            types |= findings_of(kind_of(match["kind"]), words.get("mass_shape"))
    values = {name: value.strip() or None for name, _, value in (line.partition(" ") for line in fields)}
    count = values.get("TOTAL_OUTLINES")
    return Marking(
        number=int(first),
        finding_types=tuple(sorted(types)),
        attributes=attributes,
        assessment=values.get("ASSESSMENT"),
        subtlety=values.get("SUBTLETY"),
        pathology=values.get("PATHOLOGY"),
        stated_outlines=int(count) if count and count.isdigit() else None,
        boundaries=tuple(codes for kind, codes in outlines if kind == "BOUNDARY" and codes),
        cores=tuple(codes for kind, codes in outlines if kind == "CORE" and codes),
    )


def _fields_and_outlines(lines: Iterable[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Lines with a key, and the outlines: each a heading and the numbers up to ``#`` (on one line or several)."""
    fields: list[str] = []
    outlines: list[tuple[str, str]] = []
    for line in lines:
        if line in ("BOUNDARY", "CORE"):
            outlines.append((line, ""))
        elif outlines and line[:1] in _OUTLINE_STARTS:
            kind, codes = outlines[-1]
            outlines[-1] = (kind, f"{codes} {line}".strip())
        elif line:
            fields.append(line)
    return fields, outlines


def outlines_found(marking: Marking) -> int:
    """Outlines that an abnormality really has; ``TOTAL_OUTLINES`` is wrong in some files."""
    return len(marking.boundaries) + len(marking.cores)


def films_of(sheet: CaseSheet, case: str) -> Iterator[tuple[FilmName, Film]]:
    """The films that a sheet lists, by name."""
    for film, facts in sorted(sheet.films.items()):
        side, _, view = film.partition("_")
        yield FilmName(case=case, side=side, view=view), facts
