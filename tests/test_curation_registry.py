"""The lock of a set: one digest for its content, and every difference from it found."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from weakbox.curation.registry import LOCK_NAME, read_lock, verify_content, verify_quickly, write_lock
from weakbox.records.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small set."""
    made = tmp_path / "set"
    for name in ("images.parquet", "images/b/2.png", "images/a/1.png"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(name.encode())
    return made


def test_the_lock_lists_files_by_path_and_holds_neither_time_nor_place(folder: Path, tmp_path: Path) -> None:
    lock = write_lock(folder)
    assert [file.path for file in lock.files] == ["images.parquet", "images/a/1.png", "images/b/2.png"]
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    os.utime(moved / "images.parquet", (1, 1))
    assert write_lock(moved) == lock == read_lock(folder)
    assert (moved / LOCK_NAME).read_bytes() == (folder / LOCK_NAME).read_bytes()


def test_a_file_added_renamed_or_changed_changes_the_digest(folder: Path) -> None:
    digests = {write_lock(folder).digest}
    (folder / "new.txt").write_text("")
    digests.add(write_lock(folder).digest)
    (folder / "new.txt").rename(folder / "old.txt")
    digests.add(write_lock(folder).digest)
    (folder / "old.txt").write_text("x")
    digests.add(write_lock(folder).digest)
    assert len(digests) == 4


def test_changed_missing_and_extra_files_are_listed(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    lock = write_lock(folder, cache)
    assert verify_content(folder).is_intact
    assert verify_quickly(folder, cache).is_intact
    (folder / "images.parquet").write_bytes(b"images.parquex")
    (folder / "images/a/1.png").unlink()
    (folder / "images/c.png").write_bytes(b"")
    os.utime(folder / "images.parquet", (1, 1))
    for found in (verify_content(folder), verify_quickly(folder, cache)):
        assert (found.changed, found.missing, found.extra) == (("images.parquet",), ("images/a/1.png",), ("images/c.png",))
        assert found.digest == lock.digest
        assert not found.is_intact


def test_the_quick_way_trusts_size_and_time_and_the_full_way_does_not(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    write_lock(folder, cache)
    path = folder / "images.parquet"
    status = path.stat()
    path.write_bytes(b"images.parquex")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert verify_quickly(folder, cache).is_intact
    assert verify_content(folder).changed == ("images.parquet",)


def test_what_dvc_and_git_leave_in_the_folder_is_no_part_of_the_set(folder: Path) -> None:
    lock = write_lock(folder)
    (folder / ".gitignore").write_text("/images\n")
    (folder / ".gitattributes").write_text("*.png filter=lfs\n")
    (folder / "images.dvc").write_text("outs: []\n")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("")
    assert verify_content(folder).is_intact
    assert write_lock(folder) == lock


def test_a_missing_or_altered_lock_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        verify_content(folder)
    write_lock(folder)
    path = folder / LOCK_NAME
    content = json.loads(path.read_text(encoding="utf-8"))
    content["files"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="does not fit the files it lists"):
        verify_content(folder)
    path.write_text("{")
    with pytest.raises(InputError, match="not a lock"):
        verify_content(folder)


def test_an_empty_folder_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no set to lock"):
        write_lock(tmp_path)
