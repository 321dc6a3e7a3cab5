"""Digests that keys rest on: content for tables, name and size and time for images, and the code."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from weakbox.records.errors import InputError
from weakbox.runtime import digests
from weakbox.runtime.digests import ContentDigests, code_digest, optional_file_digest, stat_digest


def test_a_files_digest_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b\n")
    assert ContentDigests(tmp_path / "cache.json").of(path) == hashlib.sha256(b"a,b\n").hexdigest()


def test_digests_are_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path, cache = tmp_path / "table.csv", tmp_path / "cache.json"
    path.write_bytes(b"first")
    remembered = ContentDigests(cache)
    first = remembered.of(path)
    remembered.save()
    status = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ContentDigests(cache).of(path) == first, "same size and time: taken from memory, so the file was not read"
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert ContentDigests(cache).of(path) == hashlib.sha256(b"other").hexdigest()


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.csv: no such file"):
        ContentDigests(tmp_path / "cache.json").of(tmp_path / "absent.csv")


def test_a_file_that_need_not_be_there_has_an_empty_digest(tmp_path: Path) -> None:
    assert optional_file_digest(tmp_path / "decisions.jsonl") == ""
    (tmp_path / "decisions.jsonl").write_bytes(b"")
    assert optional_file_digest(tmp_path / "decisions.jsonl") == hashlib.sha256(b"").hexdigest()


def test_image_digest_does_not_depend_on_the_order_but_on_size_and_time(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.dcm", "b.dcm")]
    for path in paths:
        path.write_bytes(b"1234")
    before = stat_digest(paths)
    assert stat_digest(reversed(paths)) == before
    paths[0].write_bytes(b"12345")
    assert stat_digest(paths) != before
    assert stat_digest(paths[:1]) != stat_digest(paths)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the project's root, so that the test may change code."""
    for name in ("matching.py", "extraction.py", "weakbox/text/words.py", "weakbox/audit/flow.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    (tmp_path / "weakbox" / "runtime").mkdir()
    monkeypatch.setattr(digests, "__file__", str(tmp_path / "weakbox" / "runtime" / "digests.py"))
    code_digest.cache_clear()
    yield tmp_path
    code_digest.cache_clear()


@pytest.mark.parametrize(
    ("changed", "is_stale"),
    [("matching.py", True), ("weakbox/text/words.py", True), ("extraction.py", False), ("weakbox/audit/flow.py", False)],
)
def test_changed_code_makes_the_stages_that_use_it_stale(project: Path, changed: str, is_stale: bool) -> None:
    before = code_digest("matching.py")
    (project / changed).write_text("x = 2\n")
    code_digest.cache_clear()
    assert (code_digest("matching.py") != before) is is_stale
