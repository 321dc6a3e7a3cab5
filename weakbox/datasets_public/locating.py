"""Is this folder one of the public sets, in which layout, and what is missing? Names only; no file is opened."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from weakbox.datasets_public.dataset import Layout, Located, Part, PublicDataset

HIDDEN = re.compile(r"^(?:\.|__MACOSX$|\$RECYCLE\.BIN$)")
OF_A_RUN = "public_store"
"""A folder with this one in it is what a run of ours wrote: the images there are no data set, they were made of one."""
LINKS_DEEP = 4
"""Links to folders that are followed inside one another: folders that link to each other would be walked without end."""


class Listing:
    """The files below a folder, by their path with ``/``; the disk is read once, whatever is asked.

    ``unreadable`` are folders below (or ``""``, this one) that could not be listed: what lies there is not known.
    """

    def __init__(self, folder: Path, paths: Sequence[str] | None = None, unreadable: Sequence[str] = ()) -> None:
        self.folder = folder
        denied = list(unreadable)
        self.paths = tuple(sorted(_walk(folder, "", (os.path.realpath(folder),), denied))) if paths is None else tuple(paths)
        self.unreadable = tuple(sorted(denied))
        self._by_ending: dict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            name = path.rpartition("/")[2].casefold()
            self._by_ending[name].append(path)
            ending = name.rpartition(".")[1:]
            self._by_ending["*" + "".join(ending)].append(path)

    def matching(self, pattern: str) -> tuple[Path, ...]:
        """Paths that a part's pattern names, sorted."""
        return tuple(self.folder / path for path in self._found(pattern))

    def has(self, pattern: str) -> bool:
        """Whether any path matches."""
        return next(self._found(pattern), None) is not None

    def below(self, name: str) -> Listing:
        """The part of the listing in one subfolder."""
        start = bisect_left(self.paths, f"{name}/")
        stop = bisect_left(self.paths, f"{name}0")  # "0" follows "/" in the order of characters
        denied = [path[len(name) + 1 :] for path in self.unreadable if path == name or path.startswith(f"{name}/")]
        return Listing(self.folder / name, [path[len(name) + 1 :] for path in self.paths[start:stop]], denied)

    @property
    def subfolders(self) -> tuple[str, ...]:
        """Names of the folders right below, sorted."""
        return tuple(sorted({path.partition("/")[0] for path in self.paths if "/" in path}))

    def _found(self, pattern: str) -> Iterator[str]:
        expression = compiled(pattern)
        return (path for path in self._candidates(pattern.rpartition("/")[2].casefold()) if expression.fullmatch(path))

    def _candidates(self, name: str) -> Sequence[str]:
        """Paths whose last name may match: found by the whole name or by its ending where those are plain."""
        if not _WILD.search(name):
            return self._by_ending.get(name, ())
        ending = "".join(name.rpartition(".")[1:])
        return self.paths if _WILD.search(ending) or "." not in ending else self._by_ending.get("*" + ending, ())


_WILD = re.compile(r"[*?{}]")


def _walk(folder: Path, prefix: str, entered: tuple[str, ...], denied: list[str]) -> Iterator[str]:
    """Files below; ``entered`` are the real places of the root and of the links that led here."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not HIDDEN.match(entry.name)]
    except PermissionError:
        denied.append(prefix.rstrip("/"))
        return
    if any(entry.name == OF_A_RUN for entry in entries):
        return
    for entry in entries:
        if not _is_folder(entry):
            yield prefix + entry.name
        elif not entry.is_symlink():
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", entered, denied)
        elif not _leads_back(target := os.path.realpath(entry.path), folder, entered):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", (*entered, target), denied)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: like one to nowhere, a file that cannot be read
        return False


def _leads_back(target: str, folder: Path, entered: tuple[str, ...]) -> bool:
    """Whether a link goes to a folder that is being walked already."""
    being_walked = (*entered, os.path.realpath(folder))
    return len(entered) > LINKS_DEEP or any(place == target or place.startswith(target.rstrip("/") + "/") for place in being_walked)


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A glob as an expression: ``**/`` any folders or none, ``*`` and ``?`` within one name, ``{a,b}`` one of several; case ignored.

    >>> bool(compiled("**/*_set.csv").fullmatch("a/b/mass_set.CSV"))
    True
    >>> bool(compiled("*.csv").fullmatch("a/b.csv"))
    False
    """
    words = re.split(r"(\*\*/|\*|\?|\{[^}]*\})", pattern)
    return re.compile("".join(_expression(word) for word in words), re.IGNORECASE)


def _expression(word: str) -> str:
    if word in _WILDCARDS:
        return _WILDCARDS[word]
    if word.startswith("{"):
        return "(?:" + "|".join(re.escape(choice) for choice in word[1:-1].split(",")) + ")"
    return re.escape(word)


_WILDCARDS = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}


def locate(dataset: PublicDataset, folder: Path, listing: Listing | None = None) -> Located | None:
    """The set in exactly this folder, in the layout of which most is there; None where no layout's signature is found."""
    files = listing or Listing(folder)
    found = [_located(dataset, layout, files) for layout in dataset.layouts if _is_signed(layout, files)]
    return min(found, key=lambda located: len(located.missing), default=None)


def _is_signed(layout: Layout, files: Listing) -> bool:
    patterns = {part.name: part.pattern for part in layout.parts}
    return all(files.has(patterns[name]) for name in layout.signature)


def _located(dataset: PublicDataset, layout: Layout, files: Listing) -> Located:
    found = {part.name: files.matching(part.pattern) for part in layout.parts}
    return Located(
        dataset=dataset.card.name,
        folder=files.folder,
        layout=layout.name,
        files=found,
        missing=tuple(_missing(layout.parts, found)),
        unreadable=tuple(files.folder / path for path in files.unreadable),
    )


def _missing(parts: Iterable[Part], found: dict[str, tuple[Path, ...]]) -> Iterator[str]:
    for part in parts:
        if part.is_required and not found[part.name]:
            yield f"{part.name} ({part.pattern})"
