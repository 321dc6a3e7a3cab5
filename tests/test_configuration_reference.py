"""The page on the configuration is made from the models that check it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from tests.pipeline import ROOT, run_main
from weakbox.audit.configuration_reference import render, rows, type_name


class Frame(StrEnum):
    LPS = "LPS"
    RAS = "RAS"


class Window(BaseModel):
    """Days around a study."""

    before_days: int = Field(default=30, ge=0, le=365, description="Days before.")


class Matching(BaseModel):
    """How records are joined.

    Not shown: only the first paragraph is.
    """

    window: Window = Field(default_factory=Window, description="Which reports count | which do not.")
    frame: Frame = Field(default=Frame.LPS, description="World frame.")
    folder: Path = Field(description="Where it lies.")
    names: tuple[str, ...] = Field(default=("a", "b"), description="Names.")
    limit: float | None = Field(default=None, description="Limit, mm.")


class TableOptions(BaseModel):
    source: str
    path: Path = Field(description="The table.")


def test_every_field_has_its_key_type_default_and_meaning() -> None:
    assert list(rows(Matching)) == [
        ("`window`", "section", "", "Which reports count \\| which do not."),
        ("`window.before_days`", "whole number, at least 0, at most 365", "`30`", "Days before."),
        ("`frame`", "`LPS`, `RAS`", "`LPS`", "World frame."),
        ("`folder`", "path", "required", "Where it lies."),
        ("`names`", "list of text", "`[a, b]`", "Names."),
        ("`limit`", "number, or nothing", "", "Limit, mm."),
    ]


def test_the_keys_of_a_list_of_sections_show_that_it_is_one() -> None:
    class Inputs(BaseModel):
        reports: tuple[TableOptions, ...] = Field(default=(), description="Reports.")

    assert [key for key, *_ in rows(Inputs)] == ["`reports`", "`reports[].source`", "`reports[].path`"]


def test_the_page_has_a_table_for_each_section_and_each_source() -> None:
    page = render({"matching": Matching}, {"Sources": {"report_table": TableOptions}})
    assert "## `matching`\n\nHow records are joined.\n" in page
    assert "Not shown" not in page
    assert "## Sources" in page
    assert "### `report_table`" in page
    assert "| `path` | path | required | The table. |" in page


def test_every_table_row_has_four_cells() -> None:
    page = render({"matching": Matching}, {"Sources": {"report_table": TableOptions}})
    for line in page.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == 5, line


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (bool, "true or false"),
        (Literal["a", "b"], "`a`, `b`"),
        (tuple[float, float, float], "3 values: number, number, number"),
        (Mapping[str, int], "mapping of text to whole number"),
        (Mapping[str, Any], "mapping"),
        (list[Window], "list of sections"),
        (int | str, "whole number or text"),
    ],
)
def test_types_are_named_in_words(annotation: Any, name: str) -> None:
    assert type_name(annotation) == name


def test_the_same_models_give_the_same_page() -> None:
    assert render({"matching": Matching}) == render({"matching": Matching})


def test_the_runtimes_own_sections_describe_every_key() -> None:
    from weakbox.runtime.config import RUNTIME_SECTIONS, SimulationSettings

    for model in (*RUNTIME_SECTIONS.values(), SimulationSettings):
        assert [key for key, _, _, meaning in rows(model) if not meaning] == []


def test_the_page_in_docs_is_what_the_models_say(tmp_path: Path) -> None:
    run_main("configuration", "--output", str(tmp_path / "configuration.md"))
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert (tmp_path / "configuration.md").read_text(encoding="utf-8") == written, "run `python main.py configuration`"
