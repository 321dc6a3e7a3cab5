"""The transfer engine against a scripted server on this machine: each fault alone, and what is on disk afterwards."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import re
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weakbox.clients.addresses import AddressRefusedError, check_address, checked_base_url, is_loopback_host
from weakbox.clients.bucket import list_objects
from weakbox.clients.client import Checksum, ListRequest, RemoteFile, RemoteSeries, Unpacking
from weakbox.clients.connection import Connection, retry_after_s
from weakbox.clients.content import head_problem
from weakbox.clients.download import Partial
from weakbox.clients.download_log import DownloadLog
from weakbox.clients.http_list import HttpListClient, HttpListOptions
from weakbox.clients.journal import Journal
from weakbox.clients.transfer import Transfer, TransferReport
from weakbox.clients.transfer_options import TransferOptions
from weakbox.clients.transfer_progress import TransferProgress
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import ConfigurationError, InputError

OPTIONS = TransferOptions(
    parallel=2, minimum_interval_s=0, backoff_s=0.005, longest_backoff_s=0.02, attempts=3, read_timeout_s=2, stall_window_s=0.2,
    minimum_bytes_per_s=2000,
)  # fmt: skip
CONTENT = hashlib.sha256(b"content").digest() * 200
Behaviour = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def log_message(self, *_parts: object) -> None:
        pass

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.seen.append((self.path, self.headers.get("Range", ""), self.headers.get("Authorization", ""), time.monotonic()))
            script = self.server.script.get(self.path, [])
            behaviour = script.pop(0) if len(script) > 1 else script[0] if script else answer()
        try:
            behaviour(self, self.server.content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class Scripted(ThreadingHTTPServer):
    """Serves one content at every address; a script of behaviours for each, of which the last goes on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.script: dict[str, list[Behaviour]] = {}
        self.seen: list[tuple[str, str, str, float]] = []
        self.lock = threading.Lock()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, path: str) -> int:
        return sum(seen[0] == path for seen in self.seen)


def answer(*, cut: int | None = None, etag: str | None = '"v1"', ranges: bool = True, reset: bool = False) -> Behaviour:
    """Serve the content, or its rest, with Range and If-Range; ``cut`` ends after so many bytes of the content."""

    def behave(handler: Handler, content: bytes) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(found[1]) if found and ranges and handler.headers.get("If-Range", etag) == etag else 0
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        if etag:
            handler.send_header("ETag", etag)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        handler.wfile.write(content[start:cut])
        if cut is not None:
            handler.close_connection = True
        if reset:
            handler.wfile.flush()
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()

    return behave


def fixed(code: int, body: bytes = b"", content_type: str = "application/octet-stream", **headers: str) -> Behaviour:
    def behave(handler: Handler, _content: bytes) -> None:
        handler.send_response(code)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def trickle(handler: Handler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.send_header("ETag", '"v1"')
    handler.end_headers()
    handler.wfile.write(content[:1000])
    for begin in range(1000, len(content), 2):
        handler.wfile.write(content[begin : begin + 2])
        handler.wfile.flush()
        time.sleep(0.02)


@pytest.fixture
def server() -> Iterator[Scripted]:
    yield from serving()


def serving() -> Iterator[Scripted]:
    found = Scripted()
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


def fetch(
    folder: Path, *files: RemoteFile, options: TransferOptions = OPTIONS, users: dict[str, tuple[str, str]] | None = None
) -> TransferReport:
    with (
        DownloadLog(folder) as log,
        Connection(options) as connection,
        TransferProgress("", total_bytes=None, total_files=None) as progress,
    ):
        connection.authorise(users or {})
        return Transfer(folder, connection, Journal(folder), log, progress).run(files)


def sha256(content: bytes) -> Checksum:
    return Checksum(algorithm="sha256", value=hashlib.sha256(content).hexdigest())


def reasons(report: TransferReport) -> list[tuple[str, str, int]]:
    return [(failure.file.path, failure.reason, failure.attempts) for failure in report.failures]


def data_files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and ".collection" not in path.parts} - {"download_log.txt"}


def test_a_broken_transfer_goes_on_where_it_stopped(server: Scripted, tmp_path: Path) -> None:
    server.script["/a"] = [answer(cut=3000, reset=True), answer(cut=5000), answer()]
    report = fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin", checksum=sha256(CONTENT)))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT and not report.failures
    starts = [int(seen[1][6:-1] or 0) if seen[1] else 0 for seen in server.seen]
    assert len(starts) == 3 and starts[0] == 0 and 0 < starts[1] <= 3000 and starts[1] < starts[2] <= 5000


def test_a_run_that_was_killed_is_resumed_by_range(server: Scripted, tmp_path: Path) -> None:
    (tmp_path / "a.bin.partial").write_bytes(CONTENT[:4000])
    (tmp_path / "a.bin.partial.json").write_text(json.dumps({"validator": '"v1"'}), encoding="utf-8")
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"))
    assert server.seen[0][1] == "bytes=4000-" and (tmp_path / "a.bin").read_bytes() == CONTENT
    assert data_files(tmp_path) == {"a.bin"}


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Scripted, tmp_path: Path) -> None:
    (tmp_path / "a.bin.partial").write_bytes(b"old " * 1000)
    (tmp_path / "a.bin.partial.json").write_text(json.dumps({"validator": '"v0"'}), encoding="utf-8")
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_bytes_of_an_unknown_version_are_not_built_upon(server: Scripted, tmp_path: Path) -> None:
    server.script["/a"] = [answer(etag=None)]
    (tmp_path / "a.bin.partial").write_bytes(b"old " * 1000)
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"))
    assert server.seen[0][1] == "" and (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_begins_anew(server: Scripted, tmp_path: Path) -> None:
    server.script["/a"] = [answer(cut=3000), answer(ranges=False)]
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_rest_that_begins_elsewhere_is_not_appended(server: Scripted, tmp_path: Path) -> None:
    def elsewhere(handler: Handler, content: bytes) -> None:
        start = int(handler.headers["Range"][6:-1]) - 10
        size = len(content)
        fixed(206, content[start:], ETag='"v1"', Content_Range=f"bytes {start}-{size - 1}/{size}")(handler, content)

    server.script["/a"] = [answer(cut=3000), elsewhere, answer()]
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_misnamed_image_is_kept_where_its_checksum_is_right(server: Scripted, tmp_path: Path) -> None:
    server.content = b"\x89PNG\r\n\x1a\n" + CONTENT
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.jpg", checksum=sha256(server.content)))
    assert (tmp_path / "a.jpg").read_bytes() == server.content


def packed(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def test_an_unsafe_archive_is_asked_for_once_and_nothing_of_it_stays(server: Scripted, tmp_path: Path) -> None:
    server.script["/slip"] = [fixed(200, packed(**{"1.dcm": b"good", "../../evil.dcm": b"evil"}))]
    server.script["/bomb"] = [fixed(200, packed(zeros=bytes(40 << 20)))]
    folder = tmp_path / "below" / "collection"
    files = [
        RemoteFile(url=f"{server.base}/{name}", path=f"series/{name}.zip", unpacking=Unpacking(into=f"series/{name}"))
        for name in ("slip", "bomb")
    ]
    assert reasons(fetch(folder, *files)) == [("series/bomb.zip", "unsafe_archive", 1), ("series/slip.zip", "unsafe_archive", 1)]
    assert data_files(tmp_path) == set()


def test_a_damaged_archive_is_fetched_again_and_a_whole_one_unpacked_and_deleted(server: Scripted, tmp_path: Path) -> None:
    whole = packed(**{"1.dcm": b"one" * 1000, "2.dcm": b"two" * 1000})
    damaged = whole[:40] + bytes([whole[40] ^ 0xFF]) + whole[41:]
    server.script["/a"] = [fixed(200, damaged), fixed(200, whole)]
    server.script["/b"] = [fixed(200, damaged)]
    files = [RemoteFile(url=f"{server.base}/{name}", path=f"{name}.zip", unpacking=Unpacking(into=f"out/{name}")) for name in "ab"]
    assert reasons(fetch(tmp_path, *files)) == [("b.zip", "damaged_archive", OPTIONS.attempts)]
    assert data_files(tmp_path) == {"1.dcm", "2.dcm"} and server.count("/a") == 2
    fetch(tmp_path, files[0])
    assert server.count("/a") == 2


def test_a_kill_between_fetching_and_unpacking_costs_no_request(server: Scripted, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed(**{"1.dcm": b"one"}))
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.zip", unpacking=Unpacking(into="out")))
    assert server.count("/a") == 0 and data_files(tmp_path) == {"1.dcm"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(0, len(CONTENT)), st.booleans(), st.booleans()), max_size=5), has_etag=st.booleans())
def test_wherever_it_breaks_the_bytes_are_right(
    server: Scripted, tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, bool, bool]], has_etag: bool
) -> None:
    etag = '"v1"' if has_etag else None
    server.script["/a"] = [*(answer(cut=cut, etag=etag, ranges=ranges, reset=reset) for cut, ranges, reset in cuts), answer(etag=etag)]
    folder = tmp_path_factory.mktemp("cuts")
    file = RemoteFile(url=f"{server.base}/a", path="a.bin", size_bytes=len(CONTENT))
    report = fetch(folder, file, options=OPTIONS.model_copy(update={"attempts": 8}))
    assert not report.failures and (folder / "a.bin").read_bytes() == CONTENT


PAGE = b"<html><head><title>Login</title></head></html>"


@pytest.mark.parametrize(
    ("name", "behaviour", "reason"),
    [
        ("a.jpg", fixed(200, PAGE, "text/html"), "html_page"),
        ("a.zip", fixed(200, b"<!DOCTYPE html>" + b" " * 1000), "html_page"),
        ("a.csv", fixed(200, PAGE, "text/html"), "html_page"),
        ("a", fixed(200, PAGE, "application/octet-stream"), "html_page"),
        ("a.dcm", fixed(200, b'{"detail": "Not authenticated"}', "application/json"), "error_answer"),
        ("a.png", fixed(200, b'<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>'), "error_answer"),
        ("a.jpg", fixed(200, b"\x89PNG\r\n\x1a\n" + CONTENT), "not_jpeg"),
        ("a.jpg", fixed(200, b"\xff\xd8\xff" + bytes(1000)), "cut_short"),
        ("a.zip", fixed(200, b"PK\x03\x04" + bytes(1000)), "cut_short"),
        ("a.dcm", fixed(200, b""), "not_dicom"),
        ("a", fixed(200, b""), "empty_answer"),
        ("a", fixed(500), "status_500"),
        ("a", fixed(200, CONTENT, Content_Encoding="gzip"), "encoded_answer"),
    ],
)
def test_an_answer_that_is_not_the_file_is_tried_again_and_never_kept(
    name: str, behaviour: Behaviour, reason: str, server: Scripted, tmp_path: Path
) -> None:
    server.script["/bad"] = [behaviour]
    report = fetch(tmp_path, RemoteFile(url=f"{server.base}/bad", path=name), RemoteFile(url=f"{server.base}/good", path="good.bin"))
    assert reasons(report) == [(name, reason, OPTIONS.attempts)]
    assert data_files(tmp_path) == {"good.bin"}
    assert (tmp_path / "good.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("code", "reason"), [(404, "not_found"), (403, "forbidden"), (401, "forbidden"), (410, "not_found"), (400, "status_400")]
)
def test_what_will_not_change_is_asked_once(code: int, reason: str, server: Scripted, tmp_path: Path) -> None:
    server.script["/a"] = [fixed(code)]
    assert reasons(fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"))) == [("a.bin", reason, 1)]


def test_wrong_size_and_wrong_checksum_are_never_kept(server: Scripted, tmp_path: Path) -> None:
    files = [
        RemoteFile(url=f"{server.base}/a", path="a.bin", checksum=sha256(b"other")),
        RemoteFile(url=f"{server.base}/b", path="b.bin", size_bytes=len(CONTENT) - 1),
        RemoteFile(url=f"{server.base}/c", path="c.bin", size_bytes=len(CONTENT) + 1),
        RemoteFile(url=f"{server.base}/d", path="d.bin", checksum=Checksum(algorithm="md5", value=hashlib.md5(CONTENT).hexdigest())),
    ]
    report = fetch(tmp_path, *files)
    assert [(path, reason) for path, reason, _tries in reasons(report)] == [
        ("a.bin", "wrong_checksum"), ("b.bin", "wrong_size"), ("c.bin", "wrong_size"),
    ]  # fmt: skip
    assert {name for name in data_files(tmp_path) if not name.startswith("c.bin.partial")} == {"d.bin"}


def test_retry_after_is_kept_to(server: Scripted, tmp_path: Path) -> None:
    server.script["/a"] = [fixed(429, Retry_After="1"), answer()]
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"))
    first, second = (seen[3] for seen in server.seen)
    assert second - first >= 0.99


def test_a_server_that_asks_for_hours_is_given_up_for_now(server: Scripted, tmp_path: Path) -> None:
    server.script["/a"] = [fixed(503, Retry_After="86400")]
    options = OPTIONS.model_copy(update={"longest_retry_after_s": 0.1})
    assert reasons(fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"), options=options)) == [("a.bin", "status_503", 1)]


def test_a_trickle_is_cut_and_resumed(server: Scripted, tmp_path: Path) -> None:
    server.script["/a"] = [trickle, answer()]
    begin = time.monotonic()
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT and time.monotonic() - begin < 2
    assert re.fullmatch(r"bytes=\d{4}-", server.seen[1][1])


def test_requests_to_one_host_keep_their_distance(server: Scripted, tmp_path: Path) -> None:
    files = [RemoteFile(url=f"{server.base}/{i}", path=f"{i}.bin") for i in range(6)]
    fetch(tmp_path, *files, options=OPTIONS.model_copy(update={"minimum_interval_s": 0.05, "parallel": 6}))
    times = sorted(seen[3] for seen in server.seen)
    assert times[-1] - times[0] >= 0.05 * 5 - 0.02


def test_a_redirect_to_plain_http_elsewhere_is_refused(server: Scripted, tmp_path: Path) -> None:
    server.script["/a"] = [fixed(302, Location="http://example.org/a")]
    assert reasons(fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"))) == [("a.bin", "address_refused", 1)]


def test_credentials_do_not_follow_a_redirect_to_another_host(server: Scripted, tmp_path: Path) -> None:
    others = serving()
    other = next(others)
    server.script["/a"] = [fixed(302, Location=f"{other.base}/b")]
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin"), users={server.base[7:]: ("reader", "secret")})
    assert server.seen[0][2].startswith("Basic ") and other.seen[0][2] == ""
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    next(others, None)


def test_what_is_finished_is_neither_fetched_nor_read_again(server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RemoteFile(url=f"{server.base}/a", path="a.bin", checksum=sha256(CONTENT))
    fetch(tmp_path, file)

    def no_reading(*_parts: object) -> str:
        raise AssertionError

    monkeypatch.setattr("weakbox.clients.transfer.digest_of_file", no_reading)
    report = fetch(tmp_path, file)
    assert server.count("/a") == 1 and report.fetched_files == 0 and "a.bin" in report.finished


def test_a_kill_between_journal_and_rename_costs_no_request(server: Scripted, tmp_path: Path) -> None:
    file = RemoteFile(url=f"{server.base}/a", path="a.bin")
    fetch(tmp_path, file)
    (tmp_path / "a.bin").rename(tmp_path / "a.bin.partial")
    fetch(tmp_path, file)
    assert server.count("/a") == 1 and (tmp_path / "a.bin").read_bytes() == CONTENT and data_files(tmp_path) == {"a.bin"}


def test_a_torn_journal_line_costs_one_file(server: Scripted, tmp_path: Path) -> None:
    files = [RemoteFile(url=f"{server.base}/{name}", path=f"{name}.bin") for name in "ab"]
    fetch(tmp_path, *files, options=OPTIONS.model_copy(update={"parallel": 1}))
    journal = tmp_path / ".collection" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    report = fetch(tmp_path, *files)
    assert (server.count("/a"), server.count("/b"), report.failures) == (1, 2, ())
    assert len(journal.read_bytes().splitlines()) == 2


def test_a_file_that_the_listing_promises_otherwise_is_fetched_again(server: Scripted, tmp_path: Path) -> None:
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin", checksum=sha256(CONTENT)))
    server.content = b"new" * 500
    fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="a.bin", checksum=sha256(server.content)))
    assert (tmp_path / "a.bin").read_bytes() == server.content


def test_a_file_that_lies_there_with_the_right_checksum_is_taken_over(server: Scripted, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(CONTENT)
    (tmp_path / "b.bin").write_bytes(CONTENT[:-1] + b"?")
    files = [RemoteFile(url=f"{server.base}/{name}", path=f"{name}.bin", checksum=sha256(CONTENT)) for name in "ab"]
    fetch(tmp_path, *files)
    assert (server.count("/a"), server.count("/b")) == (0, 1) and (tmp_path / "b.bin").read_bytes() == CONTENT


def test_two_files_of_one_path_and_unsafe_paths_are_refused(server: Scripted, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="listed twice"):
        fetch(tmp_path, *(RemoteFile(url=f"{server.base}/a", path=path) for path in ("a.bin", "A.bin")))
    with pytest.raises(InputError, match="refused"):
        fetch(tmp_path, RemoteFile(url=f"{server.base}/a", path="../a.bin"))


def test_a_listing_cannot_write_the_collections_own_files(server: Scripted, tmp_path: Path) -> None:
    files = [RemoteFile(url=f"{server.base}/a", path=path) for path in (".collection/journal.jsonl", "Metadata.json", "below/series.csv")]
    assert reasons(fetch(tmp_path, *files)) == [(".collection/journal.jsonl", "reserved_name", 0), ("Metadata.json", "reserved_name", 0)]
    assert data_files(tmp_path) == {"series.csv"} and (tmp_path / "below" / "series.csv").read_bytes() == CONTENT


def test_a_full_disk_ends_the_run_with_a_message(server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_partial: Partial, _block: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Partial, "write", full)
    with pytest.raises(InputError, match="disk is full"):
        fetch(tmp_path, *(RemoteFile(url=f"{server.base}/{i}", path=f"{i}.bin") for i in range(5)))


def test_jitter_is_seeded() -> None:
    with Connection(OPTIONS) as first, Connection(OPTIONS) as second, Connection(OPTIONS.model_copy(update={"seed": 1})) as other:
        waits = [first.backoff("a", attempt) for attempt in range(1, 5)]
        assert waits == [second.backoff("a", attempt) for attempt in range(1, 5)]
        assert waits != [other.backoff("a", attempt) for attempt in range(1, 5)]
        assert max(waits) <= OPTIONS.longest_backoff_s


def test_retry_after_reads_seconds_and_dates() -> None:
    assert retry_after_s("7") == 7
    assert retry_after_s("Wed, 21 Oct 2099 07:28:00 GMT") > 3500 and retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize(
    "url", ["http://example.org/a", "ftp://example.org/a", "file:///etc/passwd", "http://127.0.0.1.example.org/", "https:///a"]
)
def test_only_https_and_this_machine_are_fetched_from(url: str) -> None:
    import httpx

    with pytest.raises(AddressRefusedError):
        check_address(httpx.URL(url))
    with pytest.raises(ConfigurationError):
        checked_base_url(url)
    assert not is_loopback_host("0.0.0.0") and is_loopback_host("::1")


def test_an_error_page_is_told_from_every_kind_of_file() -> None:
    for kind in ("any", "zip", "gzip", "tar", "jpeg", "png", "dicom", "pdf", "text", "json"):
        assert head_problem(b"\xef\xbb\xbf  <!doctype HTML>", kind, "") == "html_page"
    assert head_problem(b"<html>", "html", "text/html") == ""
    assert head_problem(b"patient_id,laterality\n", "text", "text/html") == ""


LISTING = "<ListBucketResult><Contents><Key>{key}</Key><Size>3</Size><ETag>&quot;{etag}&quot;</ETag></Contents>{more}</ListBucketResult>"


def test_a_bucket_is_read_page_by_page_and_a_multipart_etag_is_no_checksum(server: Scripted) -> None:
    etag = hashlib.md5(b"a").hexdigest()
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
    server.script["/b/?list-type=2&prefix=p%2F"] = [fixed(200, LISTING.format(key="p/1", etag=etag, more=more).encode())]
    server.script["/b/?list-type=2&prefix=p%2F&continuation-token=x"] = [
        fixed(200, LISTING.format(key="p/2", etag=f"{etag}-2", more="").encode())
    ]
    with Connection(OPTIONS) as connection:
        found = list(list_objects(connection, f"{server.base}/b", "p/"))
    assert [(item.key, str(item.checksum)) for item in found] == [("p/1", f"md5:{etag}"), ("p/2", "None")]


@pytest.mark.parametrize("body", [b"<html></html>", b"<Error/>", b"no xml", b'<!DOCTYPE a [<!ENTITY x "y">]><ListBucketResult/>'])
def test_a_bucket_that_answers_nonsense_is_an_error(body: bytes, server: Scripted) -> None:
    server.script["/b/?list-type=2&prefix=p"] = [fixed(200, body)]
    with Connection(OPTIONS) as connection, pytest.raises(InputError, match=r"listing|document"):
        list(list_objects(connection, f"{server.base}/b", "p"))


def http_list(path: Path, text: str) -> list[RemoteSeries | LedgerEntry]:
    path.write_text(text, encoding="utf-8")
    with Connection(OPTIONS) as connection:
        return list(HttpListClient(HttpListOptions(list=path), connection).list(ListRequest()))


def test_a_plain_list_groups_its_files_and_drops_bad_lines_with_a_reason(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"").hexdigest()
    found = http_list(
        tmp_path / "list.csv",
        "url,path,size,sha256,group,class,companion,unpack\n"
        f"https://example.org/a%20b.jpg?token=1,,10,{digest},g1,benign,,\n"
        "https://example.org/c.jpg,x/c.jpg,,,g1,benign,,\n"
        "https://example.org/t.csv,,,,,,yes,\n"
        "https://example.org/z.zip,,,,,,,images\n"
        "http://example.org/a.jpg,,,,,,,\n"
        "https://example.org/a.jpg,../a.jpg,,,,,,\n"
        "https://example.org/a.jpg,,ten,,,,,\n"
        "https://example.org/a.jpg,,,abc,,,,\n",
    )
    series = {item.key: item for item in found if isinstance(item, RemoteSeries)}
    assert sorted(series) == ["g1", "t.csv", "z.zip"]
    assert [file.path for file in series["g1"].files or ()] == ["a b.jpg", "x/c.jpg"]
    assert series["g1"].attributes == {"class": "benign"} and series["t.csv"].is_companion
    unpacking = (series["z.zip"].files or ())[0].unpacking
    assert unpacking is not None and unpacking.into == "images"
    assert [(item.item_id, item.reason) for item in found if isinstance(item, LedgerEntry)] == [
        ("line 6", "address_refused"), ("line 7", "unsafe_path"), ("line 8", "bad_size"), ("line 9", "bad_checksum"),
    ]  # fmt: skip


def test_a_list_without_addresses_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="column `url`"):
        http_list(tmp_path / "list.csv", "address\nx\n")


def test_archives_among_given_addresses_are_series_and_other_files_belong_to_the_dataset() -> None:
    request = ListRequest(
        urls=("https://example.org/fold0.zip?download=1", "https://example.org/masks.tar.gz", "https://example.org/a.csv")
    )
    with Connection(OPTIONS) as connection:
        found = [item for item in HttpListClient(HttpListOptions(), connection).list(request) if isinstance(item, RemoteSeries)]
        with pytest.raises(InputError, match="as many `paths`"):
            list(HttpListClient(HttpListOptions(), connection).list(ListRequest(urls=request.urls, paths=("a",))))
    folders = {file.path: file.unpacking and file.unpacking.into for item in found for file in item.files or ()}
    assert folders == {"a.csv": None, "fold0.zip": "fold0", "masks.tar.gz": "masks"}
    assert {item.key: item.is_companion for item in found} == {"a.csv": True, "fold0.zip": False, "masks.tar.gz": False}
