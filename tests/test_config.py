"""One YAML file, refused before any work where it cannot be used, with the key and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from weakbox.records.errors import ConfigurationError
from weakbox.runtime.config import Configuration, Settings, apply_overrides, expand_path, load, resolve_paths


class ReportInput(Settings):
    """One way in."""

    source: str
    path: Path


class Inputs(Settings):
    """What is read."""

    reports: tuple[ReportInput, ...] = ()


class Window(Settings):
    """Days."""

    before_days: int = Field(default=30, ge=0)


class Matching(Settings):
    """How records are joined."""

    pathology_window: Window = Window()
    minimum_score: float = Field(default=0.5, ge=0, le=1)


SECTIONS = {"inputs": Inputs, "matching": Matching}


def loaded(folder: Path, text: str, *overrides: str) -> Configuration:
    path = folder / "configs.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, overrides, SECTIONS)


def refusal(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, text, *overrides)
    return str(caught.value)


def test_an_empty_section_and_an_absent_one_take_the_defaults(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, "matching:\n")
    assert configuration.matching == Matching()
    assert configuration.executor.kind == "local"
    assert configuration.privacy.identifiers == "research"


def test_an_unknown_key_is_refused_with_its_section_and_the_nearest_name(tmp_path: Path) -> None:
    message = refusal(tmp_path, "matching: {minimum_scroe: 0.4}")
    assert "unknown key `matching.minimum_scroe`; did you mean 'minimum_score'?" in message
    assert message.startswith(str(tmp_path / "configs.yaml"))


def test_an_unknown_key_inside_a_nested_section_is_named_in_full(tmp_path: Path) -> None:
    message = refusal(tmp_path, "matching: {pathology_window: {befor_days: 4}}")
    assert "unknown key `matching.pathology_window.befor_days`; did you mean 'before_days'?" in message


def test_an_unknown_key_of_a_list_entry_is_named_with_its_place(tmp_path: Path) -> None:
    message = refusal(tmp_path, "inputs: {reports: [{source: a, path: b}, {sorce: a, path: b}]}")
    assert "unknown key `inputs.reports.1.sorce`; did you mean 'source'?" in message
    assert "`inputs.reports.1.source` is required" in message


def test_an_unknown_key_that_is_near_nothing_lists_what_there_is(tmp_path: Path) -> None:
    assert "unknown key `matching.zzzz` (there are: minimum_score, pathology_window)" in refusal(tmp_path, "matching: {zzzz: 1}")


def test_an_unknown_section_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert "unknown section `machting`; did you mean 'matching'?" in refusal(tmp_path, "machting: {}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("matching: {minimum_score: high}", "`matching.minimum_score`: Input should be a valid number"),
        ("matching: {minimum_score: 1.5}", "`matching.minimum_score`: Input should be less than or equal to 1, got 1.5"),
        ("matching: [1]", "`matching`: Input should be a valid dictionary"),
        ("executor: {shards: 0}", "`executor.shards`: Input should be greater than or equal to 1, got 0"),
        ("privacy: {identifiers: both}", "Input should be 'research' or 'original', got 'both'"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "matching: {minimum_score: 2, pathology_window: {before_days: -1}}")
    assert "minimum_score" in message
    assert "before_days" in message


def test_a_missing_file_says_so_and_names_one_that_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml: no such configuration file; `configs\.yaml`"):
        load(tmp_path / "absent.yaml", (), SECTIONS)


@pytest.mark.parametrize(
    ("text", "expected"), [("a: [1", "not valid YAML"), ("- a\n- b", "expected a mapping of sections"), ("", "expected a mapping")]
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "configs.yaml"
    path.write_bytes("output: {folder: Köln}".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not valid YAML in UTF-8"):
        load(path, (), SECTIONS)


def test_overrides_win_and_their_values_are_yaml(tmp_path: Path) -> None:
    configuration = loaded(
        tmp_path,
        "matching: {minimum_score: 0.4}",
        "matching.minimum_score=0.9",
        "matching.pathology_window.before_days=7",
        "privacy.identifiers=original",
    )
    assert configuration.matching == Matching(minimum_score=0.9, pathology_window=Window(before_days=7))
    assert configuration.privacy.identifiers == "original"


def test_an_override_replaces_a_whole_list(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, "inputs: {reports: [{source: a, path: b}]}", "inputs.reports=[{source: c, path: d}]")
    assert [entry.source for entry in configuration.inputs.reports] == ["c"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("matching.minimum_scroe=1", "did you mean 'minimum_score'"),
        ("matching.minimum_score", "expected section.key=value"),
        ("=1", "expected section.key=value"),
        ("matching.minimum_score=[1", "the value is not valid YAML"),
        ("matching.minimum_score.deeper=1", "'minimum_score' is not a section"),
        ("inputs.reports.0.path=x", "'reports' is not a section"),
        ("machting.minimum_score=1", "unknown section `machting`"),
    ],
)
def test_an_override_that_cannot_be_used_is_refused(tmp_path: Path, override: str, expected: str) -> None:
    text = "inputs: {reports: [{source: a, path: b}]}\nmatching: {minimum_score: 0.4}"
    assert expected in refusal(tmp_path, text, override)


def test_overriding_an_empty_list_entry_by_number_does_not_replace_the_list() -> None:
    with pytest.raises(ConfigurationError, match="'reports' is not a section"):
        apply_overrides({"inputs": {"reports": []}}, ["inputs.reports.path=x"])


def test_relative_paths_are_taken_from_the_configurations_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    configuration = loaded(
        tmp_path, "inputs: {reports: [{source: a, path: data/r.csv}, {source: a, path: /abs/r.csv}]}\noutput: {folder: out}"
    )
    assert [entry.path for entry in configuration.inputs.reports] == [tmp_path / "data" / "r.csv", Path("/abs/r.csv")]
    assert configuration.output.store == tmp_path / "out" / "store"
    assert configuration.output.private == tmp_path / "out" / "private"


def test_home_and_variables_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "study"))
    assert expand_path(Path("~/r.csv"), tmp_path) == tmp_path / "home" / "r.csv"
    assert expand_path(Path("${STUDY_DATA}/r.csv"), tmp_path) == tmp_path / "study" / "r.csv"


def test_a_variable_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STUDY_DATA", raising=False)
    with pytest.raises(ConfigurationError, match="environment variable STUDY_DATA is not set"):
        expand_path(Path("${STUDY_DATA}/r.csv"), tmp_path)


def test_resolving_leaves_other_values_alone(tmp_path: Path) -> None:
    assert resolve_paths(Matching(minimum_score=0.7), tmp_path) == Matching(minimum_score=0.7)


def test_settings_cannot_be_changed_after_loading(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded(tmp_path, "matching: {}").matching.minimum_score = 0.1


def test_the_digest_tells_choices_apart_and_not_folders(tmp_path: Path) -> None:
    def digest(text: str) -> Any:
        return loaded(tmp_path, text).digest_text()

    assert digest("matching: {minimum_score: 0.4}") != digest("matching: {minimum_score: 0.5}")
    assert digest("output: {folder: a}") == digest("output: {folder: b}")
    assert digest("privacy: {key_file: a.key}") == digest("privacy: {key_file: elsewhere/b.key}")
    assert digest("privacy: {shift_dates: true}") != digest("privacy: {shift_dates: false}")
    assert digest("executor: {shards: 4}") == digest("executor: {shards: 8}")


def test_a_section_nobody_knows_is_an_attribute_error(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="machting"):
        loaded(tmp_path, "matching: {}").machting  # noqa: B018 - the access itself is the test
