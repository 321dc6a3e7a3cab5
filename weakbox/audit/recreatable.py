"""What of a run can be made again from its inputs, with sizes. Keys, readers' decisions and downloads' originals never are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from weakbox.records.record import record


@record
class Recreatable:
    """A folder or file that a command makes again."""

    name: str
    """What ``--only`` calls it."""
    path: Path
    made_again_by: str
    files: int
    bytes: int


def recreatable(configuration: Any) -> tuple[Recreatable, ...]:
    """What a run's configuration says may be removed, largest first. Only what is there."""
    output = configuration.output
    candidates = [
        ("store", output.store, "the next run, from the inputs (all stages run again)"),
        ("public_store", output.public, "the next run, from the public sets on disk"),
        ("dataset", output.dataset, "the next run (images are converted and cases exported again)"),
    ]
    if configuration.sections.get("simulate") is not None:
        candidates.append(("demo", configuration.simulate.folder, "the next run, which simulates the same cohort"))
    found = (_measured(name, path, command) for name, path, command in candidates if path.is_dir() and not path.is_symlink())
    return tuple(sorted(found, key=lambda item: (-item.bytes, item.name)))


def collected_archives(folders: Iterable[Path]) -> Iterator[Recreatable]:
    """Archives and unfinished downloads below folders of ``collect``: their contents are unpacked beside them."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (path.name.endswith(".partial") or path.parent.name == ".archives"):
                yield Recreatable(name="downloads", path=path, made_again_by="`main.py collect`", files=1, bytes=path.stat().st_size)


def _measured(name: str, path: Path, command: str) -> Recreatable:
    sizes = [entry.stat().st_size for entry in _files(path)]
    return Recreatable(name=name, path=path, made_again_by=command, files=len(sizes), bytes=sum(sizes))


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry


def remove(item: Recreatable) -> None:
    """Remove it from the disk."""
    if item.path.is_dir():
        shutil.rmtree(item.path)
    else:
        item.path.unlink()
