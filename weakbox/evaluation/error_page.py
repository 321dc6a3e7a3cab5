"""The HTML page of an evaluation: scores by kind, language and difficulty, and every error highlighted in its report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, Template

from weakbox.evaluation.gold import GoldReport
from weakbox.evaluation.scores import Error, Score, frequent_errors, kind_of, score
from weakbox.records.record import record

Pair = tuple[GoldReport, Mapping[str, Any]]
Piece = tuple[str, str]
"""Words, and how they are marked: ``wrong``, ``right`` or not at all."""


@record
class ReportPage:
    """One report with errors, ready to be drawn."""

    report_id: str
    kind: str
    language: str
    difficulty: str
    status: str
    errors: tuple[Error, ...]
    pieces: tuple[Piece, ...]


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template("errors.html.j2")


def error_page(pairs: Sequence[Pair], figures: Sequence[tuple[str, str]] = ()) -> str:
    """The page as one self-contained HTML text; it holds report text."""
    tables = [
        ("By kind of report", _rows(score(pairs))),
        ("By language", _rows(score(pairs, lambda gold: f"{gold.report.language} {kind_of(gold)}"))),
        ("By difficulty", _rows(score(pairs, lambda gold: f"{gold.difficulty or 'not said'} {kind_of(gold)}"))),
    ]
    everything = score(pairs, lambda gold: "all")
    pages = sorted(_pages(pairs, everything["all"].errors), key=lambda page: (-len(page.errors), page.report_id))
    return _template().render(
        reports=len(pairs), tables=tables, figures=figures, frequent=frequent_errors(everything.values()), pages=pages
    )


def _rows(scores: Mapping[str, Score]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, scores[name].as_dict()) for name in sorted(scores)]


def _pages(pairs: Iterable[Pair], errors: Sequence[Error]) -> Iterator[ReportPage]:
    of_report: dict[str, list[Error]] = {}
    for error in errors:
        of_report.setdefault(error.report_id, []).append(error)
    for gold, answer in pairs:
        found = of_report.get(gold.report.report_id)
        if found:
            yield ReportPage(
                report_id=gold.report.report_id,
                kind=kind_of(gold),
                language=gold.report.language,
                difficulty=gold.difficulty,
                status=str(answer.get("status", "missing")),
                errors=tuple(found),
                pieces=tuple(marked(gold.report.text, answer, {error.path for error in found})),
            )


def marked(text: str, answer: Mapping[str, Any], wrong_paths: set[str]) -> Iterator[Piece]:
    """The text cut into pieces; words that are evidence of a wrong value are ``wrong``, those of right ones ``right``."""
    marks = [""] * len(text)
    for is_wrong in (False, True):
        for entry in answer.get("evidence") or ():
            if any(_is_of(entry["path"], path) for path in wrong_paths) is is_wrong:
                stretch = range(entry["start"], min(entry["end"], len(text)))
                for position in stretch:
                    marks[position] = "wrong" if is_wrong else "right"
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or marks[position] != marks[start]:
            yield text[start:position], marks[start]
            start = position


def _is_of(path: str, wrong: str) -> bool:
    return path == wrong or path.startswith(f"{wrong}.")
