"""Archives that would write elsewhere, or without end, are refused; damaged ones leave nothing; good ones unpack once and for all."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from weakbox.clients.addresses import safe_name, safe_relative_path
from weakbox.clients.archives import ArchiveRefusedError, DamagedArchiveError, is_archive, unpack
from weakbox.clients.client import Unpacking
from weakbox.clients.transfer_options import TransferOptions
from weakbox.records.errors import InputError

OPTIONS = TransferOptions()


def zip_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def tar_of(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


ESCAPES = [
    "../evil.dcm",
    "a/../../evil.dcm",
    "/evil.dcm",
    "C:/evil.dcm",
    "..\\evil.dcm",
    "a\\b.dcm",
    "a/./../../b",
    "nul",
    "a/con.txt",
    "x\x01y",
    "a. ",
]


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize("name", ESCAPES)
def test_no_path_leaves_the_folder(make: Callable[[Path, dict[str, bytes]], Path], name: str, tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {"good.dcm": b"good", name: b"evil"})
    with pytest.raises(ArchiveRefusedError, match="refused"):
        unpack(archive, tmp_path / "out" / "target", OPTIONS)
    assert everything_below(tmp_path) <= {"a.zip", "out"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_no_link_and_no_device_comes_out_of_a_tar(kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "../../outside"
        archive.addfile(info)
    with pytest.raises(ArchiveRefusedError, match="link or a device"):
        unpack(path, tmp_path / "out", OPTIONS)
    assert everything_below(tmp_path) == {"a.tar"}


def test_no_link_comes_out_of_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveRefusedError, match="link"):
        unpack(path, tmp_path / "out", OPTIONS)


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_a_bomb_is_refused_by_its_ratio(make: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path) -> None:
    archive = make(tmp_path / "bomb.zip", {"zeros.bin": bytes(40 << 20)})
    with pytest.raises(ArchiveRefusedError, match="largest_archive_ratio"):
        unpack(archive, tmp_path / "out", OPTIONS)
    assert everything_below(tmp_path) == {"bomb.zip"}


def test_a_bomb_is_refused_by_total_size_and_by_number_of_entries(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {f"{i}.bin": bytes([i]) * 1000 for i in range(20)})
    with pytest.raises(ArchiveRefusedError, match="largest_unpacked_bytes"):
        unpack(archive, tmp_path / "out", OPTIONS.model_copy(update={"largest_unpacked_bytes": 19_999}))
    with pytest.raises(ArchiveRefusedError, match="largest_entry_count"):
        unpack(archive, tmp_path / "out", OPTIONS.model_copy(update={"largest_entry_count": 19}))
    assert len(unpack(archive, tmp_path / "out", OPTIONS)) == 20


def test_a_zip_that_lies_about_a_size_brings_nothing(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"a.bin": bytes(range(256)) * 40})
    content = bytearray(path.read_bytes())
    central = content.rfind(b"PK\x01\x02")
    content[central + 24 : central + 28] = (100).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with pytest.raises((ArchiveRefusedError, DamagedArchiveError)):
        unpack(path, tmp_path / "out", OPTIONS)
    assert everything_below(tmp_path) == {"a.zip"}


def test_an_empty_image_may_compress_a_thousandfold(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"black.dcm": bytes(5 << 20)})
    assert unpack(archive, tmp_path / "out", OPTIONS) == ("black.dcm",)


def test_archives_inside_stay_files(tmp_path: Path) -> None:
    inner = zip_of(tmp_path / "inner.zip", {"../../evil": b"evil"}).read_bytes()
    unpack(zip_of(tmp_path / "outer.zip", {"inner.zip": inner}), tmp_path / "out", OPTIONS)
    assert everything_below(tmp_path / "out") == {"inner.zip"}


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_two_entries_of_one_name_and_a_file_that_is_a_folder_are_refused(
    make: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path
) -> None:
    with pytest.raises(ArchiveRefusedError, match="file and a folder"):
        unpack(make(tmp_path / "a.zip", {"a": b"1", "a/b": b"2"}), tmp_path / "out", OPTIONS)
    with pytest.raises(ArchiveRefusedError, match="two entries"):
        unpack(make(tmp_path / "b.zip", {"a": b"1", "./a": b"2"}), tmp_path / "out", OPTIONS)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"a": b"1"})
    content = bytearray(path.read_bytes())
    central = content.rfind(b"PK\x01\x02")
    content[central + 8] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ArchiveRefusedError, match="encrypted"):
        unpack(path, tmp_path / "out", OPTIONS)


@pytest.mark.parametrize("suffix", ["zip", "tar.gz", "tar"])
@given(cut=st.floats(0.05, 0.95))
def test_a_truncated_archive_leaves_nothing(suffix: str, cut: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    assume(suffix != "tar" or cut < 0.8)  # what follows in this tar is padding
    folder = tmp_path_factory.mktemp("cut")
    members = {f"{i}.dcm": hashlib.sha256(bytes([i])).digest() * 20 for i in range(5)}
    archive = folder / f"a.{suffix}"
    if suffix == "zip":
        zip_of(archive, members)
    else:
        tar_of(archive, members, "w:gz" if suffix == "tar.gz" else "w")
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * cut)])
    with pytest.raises(DamagedArchiveError):
        unpack(archive, folder / "out", OPTIONS)
    assert everything_below(folder) == {archive.name}


def test_a_tar_cut_between_two_members_is_no_shorter_tar(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", {"1.dcm": b"1" * 512, "2.dcm": b"2" * 512}, "w")
    archive.write_bytes(archive.read_bytes()[:1024])
    with pytest.raises(DamagedArchiveError, match="end mark"):
        unpack(archive, tmp_path / "out", OPTIONS)
    assert everything_below(tmp_path) == {"a.tar"}


def test_a_wrong_crc_in_the_last_member_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("1.dcm", b"first" * 100)
        archive.writestr("2.dcm", b"second" * 100)
    path.write_bytes(path.read_bytes().replace(b"secondsecond", b"secondSecond", 1))
    with pytest.raises(DamagedArchiveError):
        unpack(path, tmp_path / "out", OPTIONS)
    assert everything_below(tmp_path) == {"a.zip"}


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_unpacking_twice_is_the_same_as_once(make: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {"b/2.dcm": b"two", "1.dcm": b"one", "ä.txt": b"umlaut"})
    assert unpack(archive, tmp_path / "out", OPTIONS) == ("1.dcm", "b/2.dcm", "ä.txt")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    unpack(archive, tmp_path / "out", OPTIONS)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == times


def test_files_of_the_user_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ArchiveRefusedError, match="other content"):
        unpack(zip_of(tmp_path / "a.zip", {"a": b"1"}), tmp_path / "out", OPTIONS)
    assert everything_below(tmp_path / "out") == {"mine.txt"}


def test_the_md5_list_and_the_count_are_held_against_the_content(tmp_path: Path) -> None:
    listing = f"Filename,MD5Hash\n1.dcm,{hashlib.md5(b'one').hexdigest()}\n".encode()
    wanted = Unpacking(into="out", md5_list="md5hashes.csv", count=1, suffix=".dcm")
    good = zip_of(tmp_path / "good.zip", {"1.dcm": b"one", "md5hashes.csv": listing, "LICENSE": b"CC BY"})
    assert len(unpack(good, tmp_path / "good", OPTIONS, wanted)) == 3
    cases = {
        "wrong_checksum_inside": {"1.dcm": b"One", "md5hashes.csv": listing},
        "wrong_count": {"1.dcm": b"one", "2.dcm": b"two", "md5hashes.csv": listing},
        "damaged_archive": {"1.dcm": b"one"},
    }
    for reason, members in cases.items():
        with pytest.raises(DamagedArchiveError) as caught:
            unpack(zip_of(tmp_path / "bad.zip", members), tmp_path / "bad", OPTIONS, wanted)
        assert caught.value.reason == reason
    assert not (tmp_path / "bad").exists()


def test_an_html_page_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"<!DOCTYPE html><html>error</html>")
    with pytest.raises(DamagedArchiveError):
        unpack(path, tmp_path / "out", OPTIONS)


@given(st.text(max_size=30))
def test_a_path_is_refused_or_stays_below_its_folder(text: str) -> None:
    try:
        path = safe_relative_path(text)
    except InputError:
        return
    assert (Path("/base") / path).resolve().is_relative_to("/base")
    assert ".." not in Path(path).parts and "\\" not in path and safe_relative_path(path) == path


@given(st.text(max_size=30))
def test_any_key_gives_a_safe_name(text: str) -> None:
    try:
        name = safe_name(text)
    except InputError:
        return  # a reserved name such as `con`
    assert "/" not in name and name not in ("", ".", "..")


def test_an_image_with_a_double_suffix_is_no_archive() -> None:
    assert is_archive("a.tar.gz") and is_archive("A.ZIP") and not is_archive("t2.nii.gz")
