"""`main.py collect`: which sources of a set are asked, what is said before and after, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import main
from weakbox.commands.collecting import chosen_sources, folder_name
from weakbox.datasets_public import searching
from weakbox.datasets_public.dataset import CollectionSource
from weakbox.datasets_public.searching import dataset_names, load_dataset
from weakbox.records.errors import InputError
from weakbox.runtime.plugins import load_plugin

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "tests.collection_server", "--port-file", str(port_file), "--log", str(tmp_path / "log.jsonl")]
    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 20
    while not port_file.exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    yield int(port_file.read_text(encoding="ascii"))
    process.kill()
    process.wait()


def from_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive's set, asked for the stand-in's collection."""
    only = (CollectionSource(client="isic", request={"collection": "212"}, brings="images"),)
    real = load_dataset("isic_archive")
    monkeypatch.setattr(searching, "load_dataset", lambda name: replace(real, collection=only) if "rchive" in name else load_dataset(name))


def collect(port: int, root: Path, *arguments: str) -> tuple[int, str]:
    fast = ["--transfer-option", "minimum_interval_s=0", "--transfer-option", "reserve_bytes=0"]
    client = ["--client-option", f"isic.base_url=http://127.0.0.1:{port}/isic/api/v2"]
    result = CliRunner().invoke(main.app, ["collect", "--dataset", "ISIC Archive", "--root", str(root), *client, *fast, *arguments])
    return result.exit_code, result.output


def test_a_dry_run_says_what_would_come_and_writes_nothing(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_the_stand_in(monkeypatch)
    code, said = collect(port, tmp_path / "data", "--dry-run", "--max-series", "5", "--single-series")
    assert code == 0, said
    assert "5 series" in said
    assert "14 series" in said
    assert not (tmp_path / "data").exists()


def test_a_collected_set_is_found_and_read(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_the_stand_in(monkeypatch)
    code, said = collect(port, tmp_path / "data", "--full-collection")
    assert code == 0, said
    assert "complete" in said
    manifest = json.loads((tmp_path / "data" / "training_manifest.json").read_text(encoding="utf-8"))
    assert "ISIC Archive" in json.dumps(manifest)
    found = CliRunner().invoke(main.app, ["datasets", "--root", str(tmp_path / "data"), "--json", str(tmp_path / "found.json")])
    assert found.exit_code == 0, found.output
    entry = next(item for item in json.loads((tmp_path / "found.json").read_text(encoding="utf-8")) if item["name"] == "isic_archive")
    assert entry["state"] == "found"
    assert entry["places"][0]["images"] == 14


def test_asking_again_fetches_nothing(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_the_stand_in(monkeypatch)
    collect(port, tmp_path / "data", "--full-collection")
    code, said = collect(port, tmp_path / "data", "--full-collection")
    assert code == 0, said
    assert "0 files fetched now" in said


@pytest.mark.parametrize("name", [name for name in dataset_names() if not load_dataset(name).collection])
def test_a_gated_set_is_never_fetched_and_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main.app, ["collect", "--dataset", name, "--root", str(tmp_path)])
    assert result.exit_code == 2
    assert load_dataset(name).card.how_to_obtain[:40] in result.output
    assert not list(tmp_path.iterdir())


def test_an_unknown_set_names_the_nearest(tmp_path: Path) -> None:
    result = CliRunner().invoke(main.app, ["collect", "--dataset", "CBIS-DDMS", "--root", str(tmp_path)])
    assert result.exit_code == 2
    assert "cbis_ddsm" in result.output


@pytest.mark.parametrize("option", ["parallell=3", "parallel"])
def test_an_unusable_option_is_refused_before_any_request(option: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main.app, ["collect", "--dataset", "CMMD", "--root", str(tmp_path), "--transfer-option", option])
    assert result.exit_code == 2
    assert "parallel" in result.output


@pytest.mark.parametrize("name", [name for name in dataset_names() if load_dataset(name).collection])
def test_every_source_of_a_set_is_one_that_a_client_understands(name: str) -> None:
    from weakbox.clients.client import ListRequest, client_names

    dataset = load_dataset(name)
    for source in dataset.collection:
        assert source.client in client_names()
        ListRequest.model_validate(dict(source.request))
    sources = chosen_sources(dataset, None)
    assert len({folder_name(source) for source in sources}) == len(sources)


def test_tables_come_before_images_so_that_series_can_be_chosen_by_class() -> None:
    sources = chosen_sources(load_dataset("cbis_ddsm"), None)
    assert [source.brings.split(",")[0] for source in sources] == ["tables", "images"]
    assert [source.client for source in chosen_sources(load_dataset("cbis_ddsm"), "nbia")][-1] == "nbia"
    with pytest.raises(InputError, match="nbia"):
        chosen_sources(load_dataset("cbis_ddsm"), "nbja")


@dataclass(frozen=True)
class Listed:
    patient_id: str


def test_case_tables_tell_class_and_true_patient_of_a_listed_series(tmp_path: Path) -> None:
    load_plugin("weakbox.simulate.public", "cbis_ddsm", "TREE").write(tmp_path, 4, 5)
    dataset = load_dataset("cbis_ddsm")
    assert dataset.annotator is not None
    annotate = dataset.annotator(tmp_path)
    subjects = sorted({part for path in tmp_path.rglob("*.dcm") for part in path.parts if part.startswith(("Mass-", "Calc-"))})
    told = [annotate(Listed(subject)) for subject in subjects]
    assert {facts["class"] for facts in told} <= {"malignant", "benign", "benign_without_callback"}
    assert all(facts["patient_id"].startswith("P_") and facts["laterality"] in ("left", "right") for facts in told)
    assert annotate(Listed("somebody else")) == {}


def test_without_tables_a_listed_series_still_gets_its_true_patient(tmp_path: Path) -> None:
    dataset = load_dataset("cbis_ddsm")
    assert dataset.annotator is not None
    facts = dataset.annotator(tmp_path / "nothing")(Listed("Mass-Training_P_00001_LEFT_CC_1"))
    assert facts["patient_id"] == "P_00001"
    assert "class" not in facts
