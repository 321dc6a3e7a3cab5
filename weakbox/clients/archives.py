"""Safe unpacking of zip, tar and tar.gz: no path leaves the folder, no bomb, all or nothing, and twice is the same as once.

Raises ``ArchiveRefusedError`` (an ``InputError``) for what is unsafe, ``DamagedArchiveError`` for what another download may heal.
"""

from __future__ import annotations

import csv
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, TypeVar
from zipfile import BadZipFile, ZipFile, ZipInfo

from weakbox.clients.addresses import safe_relative_path
from weakbox.clients.client import Unpacking
from weakbox.clients.content import digest_of_file
from weakbox.clients.transfer_options import TransferOptions
from weakbox.records.errors import InputError
from weakbox.records.record import record

UNPACKING = ".unpacking"
_BLOCK = 1 << 20
SMALL_BYTES = 10 << 20
"""Below this, a high ratio is no danger: an empty image compresses a thousandfold."""
LONGEST_TAIL = 16 << 20
"""Bytes of padding after the end mark of a tar."""
_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


class ArchiveRefusedError(InputError):
    """The archive is unsafe; it was not unpacked, and nothing of it is left."""


class DamagedArchiveError(InputError):
    """The archive is damaged or incomplete: ``damaged_archive``, ``wrong_checksum_inside`` or ``wrong_count``."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


Entry = TypeVar("Entry", ZipInfo, tarfile.TarInfo)


@record
class Member:
    """One file in an archive: its safe path, and the size that the archive says it has."""

    name: str
    size_bytes: int


class _Reader(Protocol):
    """What zip and tar have in common."""

    def members(self) -> tuple[Member, ...]:
        """The regular files in the order of the archive (a compressed tar is read through only once); folders are left out."""
        ...

    def open(self, member: Member) -> IO[bytes]:
        """The bytes of a member."""
        ...

    def check_end(self) -> None:
        """Whether the archive has its end, after all members were read."""
        ...


def is_archive(path: str) -> bool:
    """Whether a name is that of an archive that can be unpacked.

    >>> is_archive("a/b.tar.gz"), is_archive("b.nii.gz")
    (True, False)
    """
    return path.lower().endswith(_ARCHIVE_SUFFIXES)


def unpack(archive: Path, target: Path, options: TransferOptions, wanted: Unpacking | None = None) -> tuple[str, ...]:
    """Unpack into ``target``, which appears only when everything in it is complete and checked. Returns the paths in it, sorted.

    Archives inside are left as files. A ``target`` that already holds exactly these bytes is left as it is.

    Raises:
        ArchiveRefusedError: a path that leaves the folder, a link, a device, two members of one name, an encrypted member, too many
            entries, or more bytes than the options allow (in all, or in proportion to the archive), or a ``target`` of other content.
        DamagedArchiveError: cannot be read to the end, a wrong CRC, a file that its MD5 list contradicts, or too few files.
    """
    working = target.with_name(target.name + UNPACKING)
    if working.exists():
        shutil.rmtree(working)
    try:
        with _opened(archive, options) as reader:
            members = reader.members()
            _check_tree(archive, members)
            working.mkdir(parents=True)
            for member in members:
                _copy(archive, reader, member, working)
            reader.check_end()
        _check_content(archive, working, members, wanted)
        _put_into_place(archive, working, target)
    finally:
        if working.exists():
            shutil.rmtree(working)
    return tuple(sorted(member.name for member in members))


@contextmanager
def _opened(archive: Path, options: TransferOptions) -> Iterator[_Reader]:
    try:
        with archive.open("rb") as file:
            head = file.read(4)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            with ZipFile(archive) as opened:
                yield _ZipReader(archive, opened, _Budget(archive, options))
        else:
            with tarfile.open(archive, "r:*") as tar:
                yield _TarReader(archive, tar, _Budget(archive, options))
    except (BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as error:
        msg = f"{archive.name}: a damaged archive, or none ({type(error).__name__}); fetch it again"
        raise DamagedArchiveError(msg, "damaged_archive") from error
    except OSError as error:
        if error.errno is not None:
            raise
        msg = f"{archive.name}: a damaged archive ({type(error).__name__}); fetch it again"
        raise DamagedArchiveError(msg, "damaged_archive") from error


class _ZipReader:
    """A zip file whose every entry was looked at."""

    def __init__(self, archive: Path, opened: ZipFile, budget: _Budget) -> None:
        self._opened = opened
        self._entries: dict[str, ZipInfo] = {}
        for entry in opened.infolist():
            budget.take(entry.file_size)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, entry.filename, "it is a link or a device")
            if entry.flag_bits & 0x1:
                raise _refused(archive, entry.filename, "it is encrypted")
            if "\\" in entry.orig_filename or "\x00" in entry.orig_filename:
                raise _refused(archive, entry.orig_filename, "its name has a backslash or a NUL")
            name = _safe_member(archive, entry.filename)
            if not entry.is_dir():
                _add_once(archive, self._entries, name, entry)

    def members(self) -> tuple[Member, ...]:
        """The regular files."""
        return tuple(Member(name=name, size_bytes=entry.file_size) for name, entry in self._entries.items())

    def open(self, member: Member) -> IO[bytes]:
        """The bytes; their CRC is checked while they are read."""
        return self._opened.open(self._entries[member.name])

    def check_end(self) -> None:
        """A zip is read from its end, so it has one."""


class _TarReader:
    """A tar file whose every entry was looked at."""

    def __init__(self, archive: Path, opened: tarfile.TarFile, budget: _Budget) -> None:
        self._archive = archive
        self._opened = opened
        self._entries: dict[str, tarfile.TarInfo] = {}
        for entry in opened:
            budget.take(entry.size)  # before the next header is looked for: that reads through this entry
            if not (entry.isreg() or entry.isdir()):
                raise _refused(archive, entry.name, "it is a link or a device")
            if entry.isdir() and entry.name in (".", "./"):
                continue
            name = _safe_member(archive, entry.name)
            if entry.isreg():
                _add_once(archive, self._entries, name, entry)

    def members(self) -> tuple[Member, ...]:
        """The regular files."""
        return tuple(Member(name=name, size_bytes=entry.size) for name, entry in self._entries.items())

    def open(self, member: Member) -> IO[bytes]:
        """The bytes."""
        file = self._opened.extractfile(self._entries[member.name])
        assert file is not None
        return file

    def check_end(self) -> None:
        """A tar cut between two members would look like a shorter one: its end mark must be there, and that of its compression."""
        tail = self._opened.fileobj
        assert tail is not None
        tail.seek(self._opened.offset)
        if tail.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            msg = f"{self._archive.name}: the archive ends without its end mark; fetch it again"
            raise DamagedArchiveError(msg, "damaged_archive")
        read = 0
        while block := tail.read(_BLOCK):
            read += len(block)
            if read > LONGEST_TAIL:
                raise ArchiveRefusedError(f"{self._archive.name}: more than {LONGEST_TAIL} bytes follow the end of the archive")


def _refused(archive: Path, name: str, problem: str) -> ArchiveRefusedError:
    return ArchiveRefusedError(f"{archive.name}: the entry {name[:80]!r} is refused: {problem}; nothing was unpacked")


def _safe_member(archive: Path, name: str) -> str:
    try:
        return safe_relative_path(name)
    except InputError as error:
        raise _refused(archive, name, "its path is unsafe") from error


def _add_once(archive: Path, entries: dict[str, Entry], name: str, entry: Entry) -> None:
    if name in entries:
        raise _refused(archive, name, "two entries have this name")
    entries[name] = entry


def _check_tree(archive: Path, members: tuple[Member, ...]) -> None:
    """No entry is both a file and a folder of others."""
    folders = {parent.as_posix() for member in members for parent in PurePosixPath(member.name).parents}
    for member in members:
        if member.name in folders:
            raise _refused(archive, member.name, "it is a file and a folder at once")


class _Budget:
    """Bombs, by what each entry says as it is listed; ``_copy`` holds the entries to that."""

    def __init__(self, archive: Path, options: TransferOptions) -> None:
        self._archive = archive
        self._options = options
        self._packed = archive.stat().st_size
        self._total = self._count = 0

    def take(self, size_bytes: int) -> None:
        """One more entry.

        Raises:
            ArchiveRefusedError: too many entries or bytes.
        """
        self._count += 1
        self._total += max(0, size_bytes)
        options = self._options
        if self._count > options.largest_entry_count:
            raise self._too_much("entries", "largest_entry_count")
        if self._total > options.largest_unpacked_bytes:
            raise self._too_much("bytes", "largest_unpacked_bytes")
        if self._total > SMALL_BYTES and self._total > options.largest_archive_ratio * self._packed:
            raise self._too_much("bytes for its size", "largest_archive_ratio")

    def _too_much(self, what: str, limit: str) -> ArchiveRefusedError:
        return ArchiveRefusedError(f"{self._archive.name}: unpacks to more {what} than {limit} allows; nothing was unpacked")


def _copy(archive: Path, reader: _Reader, member: Member, folder: Path) -> None:
    path = folder / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with reader.open(member) as source, path.open("xb") as target:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > member.size_bytes:
                raise _refused(archive, member.name, "it unpacks to more bytes than it says")
            target.write(block)
    if written != member.size_bytes:
        msg = f"{archive.name}: {member.name[:80]!r} is cut short; fetch it again"
        raise DamagedArchiveError(msg, "damaged_archive")


def _check_content(archive: Path, folder: Path, members: tuple[Member, ...], wanted: Unpacking | None) -> None:
    if wanted is None:
        return
    names = {member.name for member in members}
    if wanted.md5_list:
        if wanted.md5_list not in names:
            msg = f"{archive.name}: {wanted.md5_list} is missing in it"
            raise DamagedArchiveError(msg, "damaged_archive")
        for name, md5 in _md5_list(folder / wanted.md5_list).items():
            if name not in names or digest_of_file(folder / name, "md5") != md5:
                msg = f"{archive.name}: {name[:80]!r} is not what {wanted.md5_list} says"
                raise DamagedArchiveError(msg, "wrong_checksum_inside")
    count = sum(name.lower().endswith(wanted.suffix) for name in names)
    if wanted.count is not None and count != wanted.count:
        msg = f"{archive.name}: {count} files where the listing says {wanted.count}"
        raise DamagedArchiveError(msg, "wrong_count")


def _md5_list(path: Path) -> Mapping[str, str]:
    """File name -> MD5 of a CSV with a header line, as NBIA writes it (``Filename,MD5Hash``)."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0].strip(): row[1].strip().lower() for row in rows if len(row) >= 2 and row[1].strip()}


def _put_into_place(archive: Path, working: Path, target: Path) -> None:
    if target.exists() and any(target.iterdir()):
        if _tree(working) != _tree(target):
            msg = f"{archive.name}: {target} is there already with other content; move it away and run again"
            raise ArchiveRefusedError(msg)
        return
    if target.exists():
        target.rmdir()
    working.replace(target)


def _tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): digest_of_file(path, "sha256") for path in sorted(folder.rglob("*")) if path.is_file()}
