"""One text file that holds many reports, without a marker at their ends: told apart by their heads, form feeds and ruled lines.

A new report begins where a head (lines such as ``Patient ID: ...``, ``Accession: ...``, ``Exam date: ...``) names another
report than the one before. A head that repeats the same numbers is a page's, a ruled line or a form feed without a head is
layout: neither cuts a report in two.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.report import Report
from weakbox.sources.file_names import compile_name_pattern
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.report_coding import organ_of, report_type_of
from weakbox.sources.report_row import ReportOptions, make_report
from weakbox.sources.source import Source
from weakbox.sources.text_encoding import choose_encoding, encoding_remarks

HEADERS = Path(__file__).parent / "report_headers.yaml"
MAXIMUM_FILE_BYTES = 512 * 2**20
PERSON = "person"
NUMBERS = ("report_id", "accession", "patient_id", "exam_date")
"""What tells two reports apart, the most telling first."""
_RULE = re.compile(r"[ \t]*([=\-_*#~])(?:[ \t]*\1){4,}[ \t]*")
_LONGEST_HEAD = 24
_LONGEST_VALUE = 80


class ReportCollectionOptions(ReportOptions):
    """One text file with many reports."""

    path: Path = Field(description="The text file.")
    encoding: str | None = Field(default=None, description="Text encoding; detected where not given.")
    starts: str | None = Field(
        default=None,
        description="Regular expression of the line with which each report begins, where heads do not tell, from its first letter.",
    )


@dataclass(slots=True)
class _Head:
    """A head: the line where it begins, the line after it, and what it says."""

    start: int
    end: int
    cells: dict[str, str]


def read(options: ReportCollectionOptions) -> Iterator[Report | LedgerEntry]:
    """The reports of the file in order; a file without heads is one report, flagged ``one_report``.

    Raises:
        InputError: no such file, or it is empty or too large.
        ConfigurationError: ``starts`` is no regular expression.
    """
    encoding = choose_encoding(options.path, options.encoding)
    if options.path.stat().st_size > MAXIMUM_FILE_BYTES:
        msg = f"{options.path}: more than {MAXIMUM_FILE_BYTES} bytes; split the file"
        raise InputError(msg)
    with options.path.open(encoding=encoding, newline="") as file:
        lines = _lines_of(file.read())
    heads = _heads(lines)
    starts = _starts(options, lines, heads)
    head_starts = [head.start for head in heads]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        own = heads[bisect_left(head_starts, start) : bisect_left(head_starts, end)]
        yield from _read_piece(options, lines, start, end, own)
    if len(starts) == 1:
        yield flagged("file", options.path.name, "one_report", "no second head, form feed or ruled line with another report's numbers")
    yield from encoding_remarks(options.path, options.encoding, encoding)


def files(options: ReportCollectionOptions) -> tuple[Path, ...]:
    """The one file that is read."""
    return (options.path,)


def _lines_of(text: str) -> list[str]:
    """Lines with their ends; a form feed begins a line."""
    return re.findall(r"\f?[^\r\n\f]*(?:\r\n|\r|\n)|\f?[^\r\n\f]+|\f", text)


@cache
def _labels() -> Mapping[str, str]:
    content: Mapping[str, Any] = yaml.load(HEADERS.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return {label.lower(): field for field, labels in content.items() for label in labels}


@cache
def _label_pattern() -> re.Pattern[str]:
    words = sorted(_labels(), key=lambda label: (-len(label), label))
    return re.compile(
        rf"(?:(?<=^)|(?<=[\t|;,])|(?<=[ ]{{2}}))[ \t]*(?P<label>{'|'.join(map(re.escape, words))})[ \t.]*(?::|#:|[ ]#)[ \t]*", re.IGNORECASE
    )


def _cells_of(line: str) -> dict[str, str]:
    """What a line of a head says; nothing where it does not begin with a label."""
    plain = line.lstrip("\f").rstrip()
    matches = list(_label_pattern().finditer(plain))
    if not matches or plain[: matches[0].start()].strip():
        return {}
    cells: dict[str, str] = {}
    for place, match in enumerate(matches):
        end = matches[place + 1].start() if place + 1 < len(matches) else len(plain)
        value = re.split(r"[ ]{3,}|\t|\|", plain[match.end() : end].strip(" \t|;,"))[0].strip()
        field = _labels()[match["label"].lower()]
        if len(value) <= _LONGEST_VALUE:
            cells.setdefault(field, value)
    return cells


def _heads(lines: list[str]) -> list[_Head]:
    """Runs of labelled lines, blank and ruled ones between them allowed, in which at least one number and two labels stand."""
    heads: list[_Head] = []
    number = 0
    while number < len(lines):
        cells = _cells_of(lines[number])
        if not cells:
            number += 1
            continue
        start = number
        end = number + 1
        gap = 0
        while end + gap < len(lines) and end + gap - start < _LONGEST_HEAD and gap < 2:
            more = _cells_of(lines[end + gap])
            if more and not any(cells.get(field) and more.get(field) and cells[field] != more[field] for field in NUMBERS[:2]):
                cells = {**more, **{field: value for field, value in cells.items() if value}}
                end, gap = end + gap + 1, 0
            elif not lines[end + gap].strip() or _RULE.fullmatch(lines[end + gap].strip("\r\n")):
                gap += 1
            else:
                break
        if len(cells) > 1 and any(cells.get(field) for field in NUMBERS):
            heads.append(_Head(start, end, {field: value for field, value in cells.items() if value}))
        number = end
    return heads


def _starts(options: ReportCollectionOptions, lines: list[str], heads: list[_Head]) -> list[int]:
    """The lines where reports begin; the first is 0."""
    if options.starts is not None:
        pattern = compile_name_pattern(options.starts, (), "starts")
        found = [number for number, line in enumerate(lines) if pattern.match(line.lstrip("\f"))]
        return sorted({0, *found}) if not found or any(line.strip() for line in lines[: found[0]]) else found
    starts: list[int] = []
    current: dict[str, str] = {}
    for head in heads:
        if starts and not _is_another(head.cells, current):
            current = {**head.cells, **current}
            continue
        starts.append(_with_title(lines, head.start, starts[-1] if starts else 0))
        current = dict(head.cells)
    if not starts:
        return [0]
    # what stands before the first head is that report's title, unless there is none
    return [0, *starts[1:]]


def _is_another(cells: Mapping[str, str], current: Mapping[str, str]) -> bool:
    """Whether a head names another report: the first number that both have differs, or they have none in common."""
    for field in NUMBERS:
        if cells.get(field) and current.get(field):
            if cells[field] != current[field]:
                return True
            if field in NUMBERS[:2]:
                return False
    return bool(cells.get(PERSON)) and bool(current.get(PERSON)) and cells[PERSON] != current[PERSON]


_LONGEST_TITLE = 4


def _with_title(lines: list[str], start: int, floor: int) -> int:
    """The line where a report begins whose head is at ``start``: titles and ruled lines above it belong to it."""
    first = start
    for number in range(start - 1, max(floor, start - 1 - _LONGEST_TITLE), -1):
        line = lines[number].strip()
        if lines[first].startswith("\f"):
            break
        is_title = line.isupper() and len(line) < _LONGEST_VALUE and not line.endswith(".") and ":" not in line
        if _RULE.fullmatch(line) or (is_title and _is_apart(lines, number)):
            first = number
        elif line:
            break
    return first


def _is_apart(lines: list[str], number: int) -> bool:
    """Whether a blank line, a ruled line or a form feed stands above, so that a line is no end of the report before."""
    above = lines[number - 1].strip() if number else ""
    return lines[number].startswith("\f") or not above or _RULE.fullmatch(above) is not None


def _read_piece(
    options: ReportCollectionOptions, lines: list[str], start: int, end: int, heads: list[_Head]
) -> Iterator[Report | LedgerEntry]:
    text = "".join(lines[start:end])
    cells = {field: value for head in reversed(heads) for field, value in head.cells.items() if field != PERSON}
    body = "".join(lines[number] for number in range(start, end) if not any(head.start <= number < head.end for head in heads))
    if heads and not re.sub(r"[\W_]+", "", body):
        item_id = cells.get("report_id") or cells.get("accession") or f"{options.path.name}:{start + 1}"
        yield dropped("report", item_id, "empty_text", "a head without a report", cells.get("patient_id"))
        return
    titles = [cells.get("title", ""), "".join(lines[start : start + 2])]
    report_type = report_type_of((), titles) if options.report_type is None else None
    if report_type is not None:
        cells["report_type"] = report_type.value
    organ = organ_of([cells.get("title", "")])
    if organ is not None:
        cells["organ"] = organ
    yield from make_report(options, cells, text, options.path.name, start + 1)


SOURCE = Source(family="reports", options=ReportCollectionOptions, files=files, read=read)
