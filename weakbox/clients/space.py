"""Whether the disk holds what is to be fetched, before anything is."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from weakbox.clients.client import RemoteFile, RemoteSeries
from weakbox.clients.transfer_options import TransferOptions
from weakbox.records.errors import InputError
from weakbox.records.record import record


@record
class SpaceNeed:
    """Bytes on disk in the end, bytes that lie there meanwhile (archives being unpacked), and series whose size nobody says."""

    lasting_bytes: int
    passing_bytes: int
    series_without_size: int

    @property
    def total_bytes(self) -> int:
        """What must be free, without the reserve."""
        return self.lasting_bytes + self.passing_bytes


def space_need(series: Iterable[RemoteSeries], options: TransferOptions) -> SpaceNeed:
    """Bytes that these series take; the ``parallel`` largest are counted twice, for their archives."""
    sizes: list[int] = []
    unknown = 0
    for item in series:
        size = _size(item, options)
        if size is None:
            unknown += 1
        else:
            sizes.append(size)
    return SpaceNeed(lasting_bytes=sum(sizes), passing_bytes=sum(sorted(sizes)[-options.parallel :]), series_without_size=unknown)


def _size(series: RemoteSeries, options: TransferOptions) -> int | None:
    if series.files:
        sizes = [_unpacked(file, options) for file in series.files]
        known = [size for size in sizes if size is not None]
        if len(known) == len(sizes):
            return sum(known)
    return series.size_bytes


def _unpacked(file: RemoteFile, options: TransferOptions) -> int | None:
    if file.expected_bytes is None or file.unpacking is None:
        return file.expected_bytes
    return round(file.expected_bytes * options.unzip_factor)


def free_bytes(folder: Path) -> int:
    """Free bytes where a folder lies or will lie."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(existing).free


def check_space(folder: Path, need: SpaceNeed, options: TransferOptions) -> None:
    """Let pass what fits.

    Raises:
        InputError: with the bytes needed and free.
    """
    free = free_bytes(folder)
    needed = need.total_bytes + options.reserve_bytes
    if needed > free:
        msg = (
            f"{folder}: {needed} bytes are needed ({need.lasting_bytes} of data, {need.passing_bytes} while unpacking, "
            f"{options.reserve_bytes} of reserve) and {free} are free; free space, choose another folder or fewer series (max_series)"
        )
        raise InputError(msg)
