"""An evaluation as one HTML page that needs no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cv_model_experiments.evaluation.report import EvaluationReport
from cv_model_experiments.evaluation.tables import (
    N_MEANING,
    POINT_HEADER,
    TEST_HEADER,
    all_notes,
    comparison_header,
    comparison_rows,
    headline,
    point_rows,
    rows_of_tests,
    subgroup_rows,
    text_cell,
)
from weakbox.runtime.store import write_text

TEMPLATES = Path(__file__).resolve().parent / "templates"
PAGE_NAME = "evaluation.html"


def write_page(report: EvaluationReport, pictures: Mapping[Path, str], folder: Path) -> Path:
    """Write the page; ``pictures`` (file to caption) are put inside it."""
    names = [model.name for model in report.models]
    path = folder / PAGE_NAME
    write_text(
        path,
        render(
            title=f"Evaluation of {', '.join(names)}",
            headline=headline(report),
            notes=all_notes(report),
            sections=_sections(report, names),
            pictures=pictures,
        ),
    )
    return path


def render(*, title: str, headline: str, notes: Sequence[str], sections: Sequence[Mapping[str, Any]], pictures: Mapping[Path, str]) -> str:
    """The page's HTML; sections have ``title``, ``text``, ``header`` and ``rows``."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    shown = [{"caption": caption, "data": base64.b64encode(path.read_bytes()).decode("ascii")} for path, caption in pictures.items()]
    template = environment.get_template("evaluation.html.j2")
    return template.render(title=title, headline=headline, notes=notes, sections=sections, pictures=shown)


def _sections(report: EvaluationReport, names: Sequence[str]) -> list[dict[str, Any]]:
    sections = [
        {
            "title": "Figures",
            "text": N_MEANING,
            "header": comparison_header(report),
            "rows": comparison_rows(report, text_cell),
        },
        {"title": "Thresholds, chosen on validation", "text": "", "header": POINT_HEADER, "rows": point_rows(report)},
    ]
    if report.compared:
        tests = {
            "title": "Tests between models",
            "text": "Two-sided; first minus second.",
            "header": TEST_HEADER,
            "rows": rows_of_tests(report),
        }
        sections.insert(1, tests)
    subgroups = subgroup_rows(report)
    if subgroups:
        sections.append({"title": "Subgroups", "text": "", "header": ("subgroup", "section", "metric", "n", *names), "rows": subgroups})
    return sections
