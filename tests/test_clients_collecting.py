"""Collections from a real server process that fails by a seeded schedule: complete, byte-identical, and nothing fetched twice."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import collection_server
from weakbox.clients.client import ListRequest, RemoteSeries
from weakbox.clients.collecting import CollectionTask, collect, plan_collection, plan_lines
from weakbox.clients.selection import SelectionOptions
from weakbox.clients.transfer_options import TransferOptions
from weakbox.records.errors import ConfigurationError, InputError

ROOT = Path(__file__).resolve().parents[1]
QUICK = TransferOptions(
    parallel=4, minimum_interval_s=0, backoff_s=0.01, longest_backoff_s=0.05, attempts=8, read_timeout_s=5, stall_window_s=0.15,
    minimum_bytes_per_s=500, reserve_bytes=0,
)  # fmt: skip
Start = Callable[..., "Running"]


class Running:
    """A server process."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "requests.jsonl"
        port_file = folder / "port"
        command = [sys.executable, "-m", "tests.collection_server", "--port-file", str(port_file), "--log", str(self.log), *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 20
        while not port_file.exists():
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.01)
        self.port = int(port_file.read_text(encoding="ascii"))

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Running] = []

    def begin(*arguments: str) -> Running:
        running.append(Running(tmp_path / f"server{len(running)}", *arguments))
        return running[-1]

    yield begin
    for server in running:
        server.stop()


def task_of(client: str, port: int, folder: Path, **selection: Any) -> CollectionTask:
    base = f"http://127.0.0.1:{port}"
    index = folder / "index.csv"
    index.write_text(collection_server.index_csv(), encoding="utf-8")
    options: dict[str, dict[str, Any]] = {
        "nbia": {"base_url": f"{base}/nbia/v4"},
        "isic": {"base_url": f"{base}/isic/api/v2", "page_size": 5},
        "idc": {"bucket_url": f"{base}/bucket/{{bucket}}", "index": str(index)},
        "physionet": {"base_url": f"{base}/files"},
    }
    collections = {"nbia": collection_server.COLLECTION, "isic": "212", "idc": "Breast-Phantom", "physionet": collection_server.PROJECT}
    return CollectionTask(
        name=f"Phantom {client}",
        client=client,
        client_options=options[client],
        request=ListRequest(collection=collections[client]),
        selection=SelectionOptions(**selection),
        licence="CC BY 4.0",
        citation="Phantom et al.",
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Everything but the state, the times and the server's port."""
    files = (
        path for path in sorted(folder.rglob("*")) if path.is_file() and ".collection" not in path.parts and path.name != "download_log.txt"
    )
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def is_data(request: dict[str, Any]) -> bool:
    address = request["address"]
    return "getImage" in address or address.startswith(
        ("/isic-files", "/bucket/idc-open-data/0", f"/files/{collection_server.PROJECT}/images")
    )


@pytest.mark.parametrize("client", ["nbia", "isic", "idc", "physionet"])
def test_a_server_full_of_faults_gives_the_same_bytes_as_one_without(
    client: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSIONET_USERNAME", collection_server.USER)
    monkeypatch.setenv("PHYSIONET_PASSWORD", collection_server.PASSWORD)
    good = start()
    task = task_of(client, good.port, tmp_path)
    expected = collect(task, tmp_path / "good", QUICK)
    good.stop()
    faulty = start("--faults", "3", "--port", str(good.port))
    result = collect(task, tmp_path / "faulty", QUICK)
    assert (expected.outcome, result.outcome) == ("complete", "complete")
    faults = Counter(request["fault"] for request in faulty.requests() if is_data(request))
    assert sum(faults.values()) > faults[""] > 0, faults
    assert tree(tmp_path / "faulty") == tree(tmp_path / "good")
    assert not [
        path for path in (tmp_path / "faulty").rglob("*") if path.name.endswith((".partial", ".partial.json", ".zip", ".unpacking"))
    ]


@pytest.mark.slow
def test_every_kind_of_fault_is_met_by_the_schedule(start: Start, tmp_path: Path) -> None:
    met: set[str] = set()
    for client, seed in (("idc", "5"), ("isic", "6"), ("idc", "7")):
        server = start("--faults", seed)
        assert collect(task_of(client, server.port, tmp_path), tmp_path / f"{client}{seed}", QUICK).outcome == "complete"
        met |= {request["fault"] for request in server.requests()}
    assert met >= set(collection_server.FAULTS)


def test_the_collected_bytes_are_those_of_the_server(start: Start, tmp_path: Path) -> None:
    server = start("--faults", "11")
    collect(task_of("idc", server.port, tmp_path), tmp_path / "out", QUICK)
    folder = tmp_path / "out" / "Phantom_idc"
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.dcm")}
    assert f"P0/1.2.0/MR_{collection_server.series_uid(100)}/00000000-0000-4000-8000-000000000000.dcm" in found
    assert sorted(found.values()) == sorted(collection_server.bucket_objects().values())


def test_a_second_run_asks_for_no_file(start: Start, tmp_path: Path) -> None:
    server = start()
    for client in ("nbia", "isic", "idc"):
        collect(task_of(client, server.port, tmp_path), tmp_path / "out", QUICK)
        before = tree(tmp_path / "out")
        count = len([request for request in server.requests() if is_data(request)])
        again = collect(task_of(client, server.port, tmp_path), tmp_path / "out", QUICK)
        assert again.outcome == "complete" and again.fetched_files == 0
        assert len([request for request in server.requests() if is_data(request)]) == count
        assert tree(tmp_path / "out") == before


RUN = """
import json, sys
from pathlib import Path
from tests.test_clients_collecting import QUICK, task_of
from weakbox.clients.collecting import collect
client, port, folder, root = sys.argv[1:]
result = collect(task_of(client, int(port), Path(folder)), Path(root), QUICK.model_copy(update={"parallel": 2}))
sys.exit({"complete": 0, "incomplete": 1, "interrupted": 130}[result.outcome])
"""


def run_process(client: str, port: int, folder: Path, root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", RUN, client, str(port), str(folder), str(root)], cwd=ROOT)


def finished_paths(root: Path, client: str) -> set[str]:
    """Paths of files that the journal vouches for; a torn last line does not count."""
    journal = root / f"Phantom_{client}" / ".collection" / "journal.jsonl"
    if not journal.exists():
        return set()
    lines = journal.read_bytes().split(b"\n")[:-1]
    return {row["path"] for row in map(json.loads, lines) if "path" in row}


def address_of(client: str, path: str) -> str:
    if client == "nbia":
        return "/nbia/v4/getImageWithMD5Hash?" + Path(path).stem.partition("_")[2]
    if client == "isic":
        return "/isic-files/" + Path(path).name
    number = int(Path(path).parent.name.rpartition(".")[2]) - 101
    return f"/bucket/{collection_server.BUCKET}/{collection_server.bucket_folder(number)}/{Path(path).name}"


@pytest.mark.slow
@pytest.mark.parametrize("client", ["nbia", "isic", "idc"])
def test_what_was_finished_before_kill_9_is_never_fetched_again(client: str, start: Start, tmp_path: Path) -> None:
    server = start("--delay", "0.01")
    root = tmp_path / "killed"
    kills = 0
    for wanted in (1, 4, 8):
        process = run_process(client, server.port, tmp_path, root)
        while process.poll() is None and len(finished_paths(root, client)) < wanted:
            time.sleep(0.002)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        finished = finished_paths(root, client)
        before = Counter(request["address"] for request in server.requests())
        # whatever this or a later run fetches, it is none of these
        for path in finished:
            assert before[address_of(client, path)] >= 1
        (tmp_path / f"finished{wanted}.json").write_text(json.dumps([sorted(finished), before]), encoding="utf-8")
    assert kills == 3
    assert run_process(client, server.port, tmp_path, root).wait() == 0
    after = Counter(request["address"] for request in server.requests())
    for wanted in (1, 4, 8):
        finished, before = json.loads((tmp_path / f"finished{wanted}.json").read_text(encoding="utf-8"))
        assert len(finished) >= wanted
        assert {path: after[address_of(client, path)] for path in finished} == {path: before[address_of(client, path)] for path in finished}
    collect(task_of(client, server.port, tmp_path), tmp_path / "whole", QUICK)
    assert tree(root) == tree(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_in_order_and_the_next_one_completes_it(number: signal.Signals, start: Start, tmp_path: Path) -> None:
    server = start("--delay", "0.02")
    root = tmp_path / "out"
    process = run_process("isic", server.port, tmp_path, root)
    while process.poll() is None and len(finished_paths(root, "isic")) < 2:
        time.sleep(0.002)
    process.send_signal(number)
    assert process.wait(timeout=20) == 130
    metadata = json.loads((root / "Phantom_isic" / "metadata.json").read_text(encoding="utf-8"))
    assert not metadata["is_complete"] and metadata["counts"]["series_pending"] > 0
    assert run_process("isic", server.port, tmp_path, root).wait() == 0
    assert json.loads((root / "training_manifest.json").read_text(encoding="utf-8"))["is_complete"]
    counts = Counter(request["address"] for request in server.requests() if is_data(request))
    assert max(counts.values()) <= 2


def test_asking_for_more_later_only_adds(start: Start, tmp_path: Path) -> None:
    server = start()
    few = collect(task_of("isic", server.port, tmp_path, max_series=4, strata=("diagnosis_1",)), tmp_path / "out", QUICK)
    first = {path for path in tree(tmp_path / "out") if path.endswith(".jpg")}
    more = collect(task_of("isic", server.port, tmp_path, max_series=9, strata=("diagnosis_1",)), tmp_path / "out", QUICK)
    second = {path for path in tree(tmp_path / "out") if path.endswith(".jpg")}
    assert (few.counts["series_complete"], more.counts["series_complete"], more.fetched_files) == (4, 9, 5)
    assert len(first) == 4 and first < second
    counts = Counter(request["address"] for request in server.requests() if is_data(request))
    assert set(counts.values()) == {1}


def test_metadata_tells_of_every_series_why_it_is_there_or_not(start: Start, tmp_path: Path) -> None:
    server = start()
    result = collect(task_of("nbia", server.port, tmp_path, max_series=5, strata=("modality",)), tmp_path / "out", QUICK)
    metadata = json.loads(result.metadata.read_text(encoding="utf-8"))
    assert metadata["licence"] == "CC BY 4.0" and metadata["citation"] == "Phantom et al." and "v4" in metadata["source"]
    reasons = {row["key"]: (row["status"], row["reason"]) for row in metadata["series"]}
    assert len(reasons) == 12 and all(reason for _status, reason in reasons.values())
    assert sum(status == "complete" for status, _reason in reasons.values()) == 5
    assert [(row["stratum"], row["listed"]) for row in metadata["strata"]] == [({"modality": "MG"}, 9), ({"modality": "SEG"}, 3)]
    assert sorted(row["chosen"] for row in metadata["strata"]) == [2, 3]
    complete = [row for row in metadata["series"] if row["status"] == "complete"]
    assert all(sum(file["path"].endswith(".dcm") for file in row["files"]) == row["image_count"] for row in complete)
    manifest = json.loads(result.manifest.read_text(encoding="utf-8"))
    assert [row["dataset"] for row in manifest["datasets"]] == ["Phantom nbia"] and manifest["totals"]["series_complete"] == 5


def test_a_dry_run_writes_nothing_and_counts(start: Start, tmp_path: Path) -> None:
    server = start()
    plan = plan_collection(task_of("nbia", server.port, tmp_path, max_series=6), tmp_path / "out", QUICK)
    assert not (tmp_path / "out").exists()
    assert (plan.counts["series_listed"], plan.counts["series_chosen"], plan.counts["patients_listed"]) == (12, 6, 6)
    assert plan.need.lasting_bytes > 0 and plan.images > 0
    assert any("6 series of" in line and "chosen" in line for line in plan_lines(plan))
    assert not [request for request in server.requests() if is_data(request)]


def test_series_of_another_collection_are_refused_before_anything_is_fetched(start: Start, tmp_path: Path) -> None:
    server = start()
    task = task_of("nbia", server.port, tmp_path)
    wrong = CollectionTask(
        name="x",
        client="nbia",
        client_options=task.client_options,
        request=ListRequest(collection="Unfiltered"),
        selection=SelectionOptions(),
    )
    with pytest.raises(InputError, match=r"answered with series of 'Other-Collection'"):
        collect(wrong, tmp_path / "out", QUICK)
    assert not [request for request in server.requests() if is_data(request)]


def test_an_empty_listing_is_an_error_and_no_empty_success(start: Start, tmp_path: Path) -> None:
    server = start()
    task = task_of("nbia", server.port, tmp_path)
    nothing = CollectionTask(
        name="x",
        client="nbia",
        client_options=task.client_options,
        request=ListRequest(collection="INbreast"),
        selection=SelectionOptions(),
    )
    with pytest.raises(InputError, match="no series of 'INbreast'"):
        collect(nothing, tmp_path / "out", QUICK)


def test_too_little_disk_space_is_said_before_anything_is_fetched(start: Start, tmp_path: Path) -> None:
    server = start()
    greedy = QUICK.model_copy(update={"reserve_bytes": 1 << 60})
    with pytest.raises(InputError, match=r"bytes are needed .* are free"):
        collect(task_of("idc", server.port, tmp_path), tmp_path / "out", greedy)
    assert not [request for request in server.requests() if is_data(request)]


def test_credentials_go_to_their_host_and_into_no_file(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    monkeypatch.delenv("PHYSIONET_USERNAME", raising=False)
    monkeypatch.delenv("PHYSIONET_PASSWORD", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(InputError, match="PHYSIONET_USERNAME"):
        collect(task_of("physionet", server.port, tmp_path), tmp_path / "out", QUICK)
    (tmp_path / "netrc").write_text(
        f'machine 127.0.0.1 login {collection_server.USER} password "{collection_server.PASSWORD}"\n', encoding="utf-8"
    )
    result = collect(task_of("physionet", server.port, tmp_path, max_series=2), tmp_path / "out", QUICK)
    assert result.outcome == "complete" and result.counts["series_complete"] == 2
    assert (result.folder / "labels.csv").is_file()
    assert {request["user"] for request in server.requests() if is_data(request)} == {collection_server.USER}
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or collection_server.PASSWORD.encode() not in path.read_bytes()


def test_signed_addresses_get_into_no_file(start: Start, tmp_path: Path) -> None:
    server = start()
    collect(task_of("isic", server.port, tmp_path, max_series=3), tmp_path / "out", QUICK)
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or b"Signature" not in path.read_bytes()


def test_a_damaged_file_on_disk_is_fetched_again(start: Start, tmp_path: Path) -> None:
    server = start()
    task = task_of("idc", server.port, tmp_path)
    collect(task, tmp_path / "out", QUICK)
    good = tree(tmp_path / "out")
    victim = min((tmp_path / "out").rglob("*.dcm"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    result = collect(task, tmp_path / "out", QUICK)
    assert result.fetched_files == 1 and tree(tmp_path / "out") == good


def test_two_runs_in_one_folder_are_refused(start: Start, tmp_path: Path) -> None:
    from weakbox.clients.journal import locked

    server = start()
    task = task_of("idc", server.port, tmp_path)
    with locked(tmp_path / "out" / "Phantom_idc"), pytest.raises(InputError, match="another run"):
        collect(task, tmp_path / "out", QUICK)


def test_attributes_of_a_dataset_can_be_strata_and_name_the_true_patient(start: Start, tmp_path: Path) -> None:
    server = start()
    plain = task_of("nbia", server.port, tmp_path, strata=("pathology",), max_series=4)

    def annotate(series: RemoteSeries) -> dict[str, str]:
        return {"pathology": "MALIGNANT" if series.key.endswith(("1", "2")) else "BENIGN", "patient_id": "true " + series.patient_id}

    task = CollectionTask(
        name="x", client="nbia", client_options=plain.client_options, request=plain.request, selection=plain.selection, annotate=annotate
    )
    plan = plan_collection(task, tmp_path / "out", QUICK)
    assert {stratum: chosen for stratum, (_listed, chosen) in plan.strata.items()} == {("BENIGN",): 2, ("MALIGNANT",): 2}
    result = collect(task, tmp_path / "out", QUICK)
    rows = [row for row in json.loads(result.metadata.read_text(encoding="utf-8"))["series"] if row["status"] == "complete"]
    assert all(row["patient_id"].startswith("true P_") for row in rows)
    assert all(file["path"].startswith("P_0") for row in rows for file in row["files"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "https://services.cancerimagingarchive.net/nbia-api/services/v1"}, "version 1"),
        ({"base_url": "http://services.cancerimagingarchive.net/nbia-api/services/v4"}, "https"),
        ({"base_url": "https://user:secret@example.org/v4"}, "no password"),
        ({"token": "x"}, "token"),
    ],
)
def test_unusable_client_options_are_refused_without_quoting_secrets(options: dict[str, str], message: str, tmp_path: Path) -> None:
    task = CollectionTask(
        name="x", client="nbia", client_options=options, request=ListRequest(collection="A"), selection=SelectionOptions()
    )
    with pytest.raises(ConfigurationError, match=message) as caught:
        collect(task, tmp_path / "out", QUICK)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("client", "package", "collection"), [("idc", "idc_index_data", "cbis_ddsm"), ("kaggle", "kagglehub", "owner/dataset")]
)
def test_a_missing_package_names_the_extra(
    client: str, package: str, collection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    task = CollectionTask(
        name="x", client=client, client_options={}, request=ListRequest(collection=collection), selection=SelectionOptions()
    )
    with pytest.raises(ConfigurationError, match="--extra acquire"):
        plan_collection(task, tmp_path / "out", QUICK)


def test_kaggle_is_left_to_its_own_client_and_still_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def dataset_download(handle: str, *, output_dir: str) -> str:
        calls.append(handle)
        (Path(output_dir) / "images").mkdir()
        (Path(output_dir) / "images" / "1.png").write_bytes(b"image")
        return output_dir

    class BackendError(Exception):
        pass

    def competition_download(handle: str, *, output_dir: str) -> str:
        raise BackendError(f"rules of {handle} not accepted; nothing for {output_dir}")

    hub = types.SimpleNamespace(dataset_download=dataset_download, competition_download=competition_download)
    monkeypatch.setitem(sys.modules, "kagglehub", hub)
    monkeypatch.setitem(sys.modules, "kagglehub.exceptions", types.SimpleNamespace(BackendError=BackendError))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    task = CollectionTask(
        name="mirror", client="kaggle", client_options={}, request=ListRequest(collection="owner/dataset"), selection=SelectionOptions()
    )
    with pytest.raises(ConfigurationError, match="no Kaggle account"):
        collect(task, tmp_path / "out", QUICK)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret token")
    results = [collect(task, tmp_path / "out", QUICK) for _ in range(2)]
    assert [result.outcome for result in results] == ["complete", "complete"] and calls == ["owner/dataset"]
    assert (tmp_path / "out" / "mirror" / "files" / "owner_dataset" / "images" / "1.png").is_file()
    refused = collect(replace(task, name="contest", request=ListRequest(collection="competitions/contest")), tmp_path / "out", QUICK)
    assert refused.outcome == "incomplete" and refused.failures == (("competitions/contest", "refused"),)


def test_idc_reads_the_index_of_its_package(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import csv, parquet

    server = start()
    task = task_of("idc", server.port, tmp_path)
    parquet.write_table(csv.read_csv(tmp_path / "index.csv"), tmp_path / "index.parquet")
    monkeypatch.setitem(sys.modules, "idc_index_data", types.SimpleNamespace(IDC_INDEX_PARQUET_FILEPATH=tmp_path / "index.parquet"))
    packaged = replace(task, client_options={"bucket_url": task.client_options["bucket_url"]})
    plans = [plan_collection(one, tmp_path / "out", QUICK) for one in (task, packaged)]
    assert plans[0].counts == plans[1].counts and plans[0].need == plans[1].need and plans[1].counts["series_chosen"] == 5


def test_a_bucket_with_fewer_images_than_the_index_is_a_failure_of_that_series(start: Start, tmp_path: Path) -> None:
    server = start()
    task = task_of("idc", server.port, tmp_path)
    index = tmp_path / "index.csv"
    index.write_text(index.read_text(encoding="utf-8").replace("ax 2,5,", "ax 2,6,"), encoding="utf-8")
    result = collect(task, tmp_path / "out", QUICK)
    assert result.outcome == "incomplete" and result.failures == ((collection_server.series_uid(102), "no_files"),)
    assert result.counts["series_complete"] == 4


def test_a_server_that_is_not_there_is_said_before_anything(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not usable"):
        collect(task_of("isic", 9, tmp_path), tmp_path / "out", QUICK.model_copy(update={"attempts": 2}))


def test_progress_is_shown_on_a_terminal_for_each_file_and_overall(start: Start, tmp_path: Path) -> None:
    server = start("--delay", "0.02")
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "isic", str(server.port), str(tmp_path), str(tmp_path / "out")], cwd=ROOT, stderr=other_end
    )
    os.close(other_end)
    shown = b""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        shown += block
    assert process.wait() == 0
    assert b"ISIC_00000" in shown and b"Phantom isic" in shown and b"files" in shown


def test_parts_of_a_dataset_from_two_places_stand_side_by_side_in_one_manifest(start: Start, tmp_path: Path) -> None:
    server = start()
    images = replace(task_of("isic", server.port, tmp_path, max_series=2), name="phantom", part="images")
    address = f"http://127.0.0.1:{server.port}/files/{collection_server.PROJECT}/labels.csv"
    request = ListRequest(urls=(address, address + "?download=1"), paths=("labels.csv", "again.csv"))
    tables = CollectionTask(
        name="phantom", part="tables", client="http_list", client_options={}, request=request, selection=SelectionOptions(max_series=1)
    )
    results = [collect(task, tmp_path / "out", QUICK) for task in (images, tables)]
    assert [result.outcome for result in results] == ["complete", "complete"]
    assert (tmp_path / "out" / "phantom" / "tables" / "again.csv").read_bytes() == collection_server.project_files()["labels.csv"]
    manifest = json.loads((tmp_path / "out" / "training_manifest.json").read_text(encoding="utf-8"))
    assert [(row["folder"], row["part"], row["counts"]["companions"]) for row in manifest["datasets"]] == [
        ("phantom/images", "images", 0), ("phantom/tables", "tables", 2),
    ]  # fmt: skip


def test_a_filter_that_leaves_only_tables_is_an_error(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHYSIONET_USERNAME", collection_server.USER)
    monkeypatch.setenv("PHYSIONET_PASSWORD", collection_server.PASSWORD)
    server = start()
    task = task_of("physionet", server.port, tmp_path)
    nothing = replace(task, request=task.request.model_copy(update={"include_description": "no such words"}))
    with pytest.raises(InputError, match="nothing in the listing fits"):
        collect(nothing, tmp_path / "out", QUICK)
