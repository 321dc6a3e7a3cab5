"""A plug-in is found by its file name; a wrong name answers with the nearest right one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from weakbox.records.errors import ConfigurationError
from weakbox.runtime.nearest import nearest_name
from weakbox.runtime.plugins import load_plugin, plugin_names


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with three plug-ins and one file that is none."""
    folder = tmp_path / "family_of_tests"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "nifti.py").write_text("EXPORTER = 'nifti exporter'\n")
    (folder / "dicom_seg.py").write_text("EXPORTER: str = 'seg exporter'\n")
    (folder / "needs_extra.py").write_text("import no_such_package_at_all\n\nEXPORTER = 1\n")
    (folder / "shared_code.py").write_text("# EXPORTER = 'in a comment'\nNOT_AN_EXPORTER = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "family_of_tests"
    for name in [name for name in sys.modules if name.startswith("family_of_tests")]:
        del sys.modules[name]


def test_the_directory_listing_is_the_registry(family: str) -> None:
    assert plugin_names(family, "EXPORTER") == ("dicom_seg", "needs_extra", "nifti")


def test_listing_imports_no_plugin(family: str) -> None:
    plugin_names(family, "EXPORTER")
    assert f"{family}.nifti" not in sys.modules


def test_a_plugin_is_loaded_by_its_file_name(family: str) -> None:
    assert load_plugin(family, "dicom_seg", "EXPORTER") == "seg exporter"


def test_a_wrong_name_answers_with_the_nearest_and_lists_all(family: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_plugin(family, "nifty", "EXPORTER")
    assert "did you mean 'nifti'?" in str(caught.value)
    assert "(there are: dicom_seg, needs_extra, nifti)" in str(caught.value)


def test_a_file_without_the_constant_is_no_plugin(family: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no family_of_tests/shared_code\.py"):
        load_plugin(family, "shared_code", "EXPORTER")


def test_a_missing_extra_is_named(family: str) -> None:
    with pytest.raises(ConfigurationError, match=r"needs the package 'no_such_package_at_all'.*uv sync --extra"):
        load_plugin(family, "needs_extra", "EXPORTER")


@pytest.mark.parametrize(("name", "nearest"), [("treshold", "threshold"), ("windwo", "window")])
def test_the_nearest_name_is_offered(name: str, nearest: str) -> None:
    assert nearest_name(name, ["threshold", "window"]) == f"; did you mean {nearest!r}?"


def test_nothing_is_offered_where_nothing_is_near() -> None:
    assert nearest_name("zzz", ["threshold", "window"]) == ""
