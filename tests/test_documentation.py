"""Documentation that cannot lie: what the pages name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from weakbox.exporters.tables import LABEL_COLUMNS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    missing = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_page_names_a_folder_of_a_developers_machine(page: Path) -> None:
    assert re.findall(r"(?<![\w/.])/(?:work|tmp|home|root|Users)/", page.read_text(encoding="utf-8")) == []


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    decisions = {path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    assert decisions == set(re.findall(r"\((\d{4}-[\w-]+\.md)\)", index))


def test_the_page_explains_exactly_the_columns_of_the_labels() -> None:
    page = (ROOT / "docs" / "how_it_works.md").read_text(encoding="utf-8")
    section = page.partition("## Columns of a label")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    shortened = {"centre_y_mm", "centre_z_mm"}
    assert explained | shortened == set(LABEL_COLUMNS)


def test_the_licence_is_the_one_that_the_project_declares() -> None:
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
