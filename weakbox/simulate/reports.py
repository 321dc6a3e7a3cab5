"""Radiology and pathology reports in many authors' styles, each with the contract's gold of what it states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any

import jinja2

from weakbox.records.record import record
from weakbox.records.report import ReportType
from weakbox.simulate import words
from weakbox.simulate.draws import Draws
from weakbox.simulate.facts import RadiologyFacts, SpecimenFacts
from weakbox.simulate.gold import Gold, assemble
from weakbox.simulate.statements import Notebook, Stretch, hard_wrap, replace_characters, tidy
from weakbox.simulate.voices import Author, CaseVoice, ExamVoice, LesionVoice, SpecimenVoice, write_day

DAY_FORMS = ("iso", "american", "words")
HL7_ESCAPES = {"\n": "\\.br\\", "|": "\\F\\", "&": "\\T\\", "~": "\\R\\"}
"""As text looks that left an HL7 v2 message without being unescaped (HL7 v2.5 chapter 2.7)."""
CARRIAGE_RETURNS = {"\n": "\r\n"}


@record
class WrittenReport:
    """One report's text, gold, and the story's things in the order of its items."""

    report_id: str
    style: str
    text: str
    gold: Gold
    specimens: tuple[SpecimenFacts, ...] = ()
    """In the order of the gold's specimens; empty for radiology."""


@record
class Layout:
    """How a site's text is laid out: the replaced characters (line ends, escapes)."""

    replacements: Mapping[str, str]


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(words.FOLDER)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters["capitalise"] = _capitalise
    return environment


def _capitalise(marked: str) -> str:
    """The first visible letter in upper case, marks left alone."""
    for index, character in enumerate(marked):
        if not "\ue000" <= character <= "\uf8ff":
            return marked[:index] + character.upper() + marked[index + 1 :]
    return marked


def styles(report_type: ReportType) -> tuple[str, ...]:
    """Every style of a type of report."""
    return tuple(words.load("styles")[report_type.value])


def write_radiology(draws: Draws, report_id: str, patient_id: str, style: str, facts: RadiologyFacts, layout: Layout) -> WrittenReport:
    """The MRI report of a study."""
    notebook = Notebook()
    author = Author(draws, notebook)
    form = draws.pick(DAY_FORMS)
    lesions = [LesionVoice(author, facts, lesion) for lesion in facts.lesions]
    body = (
        _templates()
        .get_template(f"radiology/{style}.j2")
        .render(
            facts=facts,
            exam=ExamVoice(author, facts),
            lesions=lesions,
            pick=author.pick,
            phrase=author.phrase,
            technique=author.phrase("technique_contrast" if facts.has_contrast else "technique_plain"),
            day=write_day(facts.day, form),
            prior_day=write_day(facts.prior_day, form) if facts.prior_day else None,
        )
    )
    marked = tidy(body)
    if facts.addendum is not None:
        addendum = lesions[0].correction(write_day(facts.day + timedelta(days=2), form))
        marked = f"{addendum}\n\n{marked}" if draws.chance(0.2) else f"{marked}\n{addendum}\n"
    text, stretches = _lay_out(draws, notebook, marked, facts.style, layout)
    gold = assemble(report_id, patient_id, ReportType.RADIOLOGY, text, stretches)
    return WrittenReport(report_id=report_id, style=style, text=text, gold=gold)


def write_pathology(
    draws: Draws,
    report_id: str,
    patient_id: str,
    style: str,
    specimens: Sequence[SpecimenFacts],
    *,
    day: date,
    mri_day: date,
    layout: Layout,
) -> WrittenReport:
    """The pathology report of one biopsy session."""
    notebook = Notebook()
    author = Author(draws, notebook)
    form = draws.pick(DAY_FORMS)
    kind: dict[str, Any] = words.load("styles")["pathology"][style]
    identifiers = _identifiers(specimens, kind["ids"])
    voices = [SpecimenVoice(author, specimen, name) for specimen, name in zip(specimens, identifiers, strict=True)]
    body = (
        _templates()
        .get_template(f"pathology/{style}.j2")
        .render(
            specimens=voices,
            case=CaseVoice(author, list(specimens)),
            pick=author.pick,
            phrase=author.phrase,
            day=write_day(day, form),
            mri_day=write_day(mri_day, form),
            has_targets=any(specimen.is_targeted for specimen in specimens),
            has_systematic=any(not specimen.is_targeted for specimen in specimens),
        )
    )
    text, stretches = _lay_out(draws, notebook, tidy(body), kind, layout)
    gold = assemble(report_id, patient_id, ReportType.PATHOLOGY, text, stretches)
    by_scope = {f"specimen {name}": specimen for specimen, name in zip(specimens, identifiers, strict=True)}
    ordered = tuple(by_scope[scope] for scope in gold.item_scopes)
    return WrittenReport(report_id=report_id, style=style, text=text, gold=gold, specimens=ordered)


def write_other(draws: Draws) -> str:
    """An MRI report of another organ, which an export of a hospital also holds."""
    sentences = words.load("phrases")["other_report"]
    return "\n".join(str(draws.pick(choices)) for choices in sentences) + "\n"


def _identifiers(specimens: Sequence[SpecimenFacts], kind: str) -> list[str]:
    """Letters or numbers in order; a range for containers that are reported together."""
    names, at = [], 0
    for specimen in specimens:
        first, last = (chr(ord("A") + i) if kind == "letters" else str(i + 1) for i in (at, at + specimen.count - 1))
        is_range = specimen.count > 1 and kind == "letters" and not specimen.is_targeted and specimen.cores_total == specimen.count
        names.append(f"{first}-{last}" if is_range else first)
        at += specimen.count if is_range else 1
    return names


def _lay_out(draws: Draws, notebook: Notebook, marked: str, style: Mapping[str, Any], layout: Layout) -> tuple[str, list[Stretch]]:
    text, stretches = notebook.unmark(marked)
    width = draws.pick(style.get("wrap", [0]))
    if width:
        text = hard_wrap(text, width)
    if layout.replacements:
        text, stretches = replace_characters(text, stretches, layout.replacements)
    return text, stretches
