"""Where the bytes of a DICOM file come from: a file, or a member of a ZIP archive."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class ByteSource(Protocol):
    """Bytes that can be read at a position; ``size`` is the whole length."""

    size: int

    def read_at(self, position: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``position``; fewer at the end."""
        ...

    def read_all(self) -> bytes:
        """The whole content."""
        ...


class FileBytes:
    """A file on disk, read by position without buffering."""

    def __init__(self, path: str | Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.size = os.fstat(self._descriptor).st_size

    def read_at(self, position: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``position``."""
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, count, position)
        os.lseek(self._descriptor, position, os.SEEK_SET)
        return os.read(self._descriptor, count)

    def read_all(self) -> bytes:
        """The whole content."""
        parts = []
        position = 0
        while part := self.read_at(position, self.size - position):
            parts.append(part)
            position += len(part)
        return b"".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._descriptor)


class MemberBytes:
    """A member of an open ZIP archive; decompressed only as far as it is asked for.

    Raises:
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError: from ``zipfile``, when damaged or encrypted.
    """

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self.size = member.file_size
        self._stream = archive.open(member)
        self._prefix = bytearray()

    def read_at(self, position: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``position``."""
        missing = position + count - len(self._prefix)
        if missing > 0:
            self._prefix += self._stream.read(missing)
        return bytes(self._prefix[position : position + count])

    def read_all(self) -> bytes:
        """The whole content."""
        return self.read_at(0, self.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()
