"""The set as content: ``set.lock.json`` names every file with size and SHA-256, and one digest over all of them, the set's version.

DVC or git-LFS may track the same files; the lock says whether what lies here is what was built, without either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from weakbox.records.errors import InputError
from weakbox.records.record import record
from weakbox.runtime.digests import ContentDigests
from weakbox.runtime.store import write_text

LOCK_NAME = "set.lock.json"
FORMAT = 1
_ASIDE = (".git", ".dvc", ".gitignore", ".gitattributes", ".dvcignore")
"""What versioning tools leave in a folder is no part of the set."""


@record
class LockedFile:
    """A file of the set; ``path`` is relative to its folder, with forward slashes."""

    path: str
    bytes: int
    sha256: str


@record
class SetLock:
    """All files, by path. ``digest`` is the set's version: equal files give an equal one, wherever and whenever it was built."""

    digest: str
    files: tuple[LockedFile, ...]


@record
class Verification:
    """How the folder differs from its lock; paths, sorted."""

    digest: str
    """As the lock states it."""
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def is_intact(self) -> bool:
        """Whether the folder holds exactly what the lock names."""
        return not (self.changed or self.missing or self.extra)


def write_lock(folder: Path, cache: Path | None = None) -> SetLock:
    """Lock the folder as it is. ``cache`` (outside the folder) remembers digests by size and modification time.

    Raises:
        InputError: there is no such folder, or nothing in it.
    """
    digests = None if cache is None else ContentDigests(cache)
    files = tuple(_locked(path, name, digests) for name, path in sorted(_files(folder)))
    if not files:
        msg = f"{folder}: holds no files, so there is no set to lock; run the export first"
        raise InputError(msg)
    lock = SetLock(digest=_digest(files), files=files)
    content = {"format": FORMAT, "digest": lock.digest, "files": [_plain(file) for file in files]}
    write_text(folder / LOCK_NAME, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if digests is not None:
        digests.save()
    return lock


def verify_content(folder: Path) -> Verification:
    """Compare the folder with its lock, reading every byte.

    Raises:
        InputError: there is no lock, or it cannot be read or was altered.
    """
    return _verify(folder, None)


def verify_quickly(folder: Path, cache: Path) -> Verification:
    """Compare the folder with its lock, reading only files whose size or modification time changed since ``cache`` was written.

    Raises:
        InputError: there is no lock, or it cannot be read or was altered.
    """
    digests = ContentDigests(cache)
    verification = _verify(folder, digests)
    digests.save()
    return verification


def read_lock(folder: Path) -> SetLock:
    """The lock of a folder.

    Raises:
        InputError: there is none, or it cannot be read or was altered.
    """
    path = folder / LOCK_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(LockedFile(path=item["path"], bytes=item["bytes"], sha256=item["sha256"]) for item in content["files"])
        stated = content["digest"]
    except FileNotFoundError as error:
        msg = f"{path}: no such file; expected the lock that an export writes into the set's folder"
        raise InputError(msg) from error
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        msg = f"{path}: not a lock ({type(error).__name__}: {error}); export the set again"
        raise InputError(msg) from error
    if content.get("format") != FORMAT or stated != _digest(files):
        msg = f"{path}: its digest does not fit the files it lists: it was altered, or is of another version; export the set again"
        raise InputError(msg)
    return SetLock(digest=stated, files=files)


def _verify(folder: Path, digests: ContentDigests | None) -> Verification:
    lock = read_lock(folder)
    present = dict(_files(folder))
    locked = {file.path: file for file in lock.files}
    changed = (name for name in sorted(present.keys() & locked.keys()) if _is_changed(present[name], locked[name], digests))
    return Verification(
        digest=lock.digest,
        changed=tuple(changed),
        missing=tuple(sorted(locked.keys() - present.keys())),
        extra=tuple(sorted(present.keys() - locked.keys())),
    )


def _is_changed(path: Path, file: LockedFile, digests: ContentDigests | None) -> bool:
    return path.stat().st_size != file.bytes or _sha256(path, digests) != file.sha256


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and relative.as_posix() != LOCK_NAME and relative.parts[0] not in _ASIDE and path.suffix != ".dvc":
            yield relative.as_posix(), path


def _locked(path: Path, name: str, digests: ContentDigests | None) -> LockedFile:
    return LockedFile(path=name, bytes=path.stat().st_size, sha256=_sha256(path, digests))


def _sha256(path: Path, digests: ContentDigests | None) -> str:
    if digests is not None:
        return digests.of(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(files: tuple[LockedFile, ...]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.sha256} {file.bytes} {file.path}\n".encode())
    return digest.hexdigest()


def _plain(file: LockedFile) -> Mapping[str, Any]:
    return {"path": file.path, "bytes": file.bytes, "sha256": file.sha256}
