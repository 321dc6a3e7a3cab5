"""A folder with trees of public sets and a configuration over them, run as a user would; inputs must stay as they are."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import yaml
from typer.testing import CliRunner

import main
from tests.pipeline import ROOT
from weakbox.runtime.plugins import load_plugin
from weakbox.simulate.public.tree import CONSTANT, PACKAGE
from weakbox.sources.strict_workbook import readable_workbook

SEED = 5
EVERY_BIRADS = {"0": "benign", "1": "normal", "2": "benign", "3": "benign", **dict.fromkeys(["4", "4A", "4B", "4C", "5", "6"], "malignant")}
"""So that the policy leaves nothing out."""
WHOLE_FROM = {"cbis_ddsm": 4, "prostate158": 4}
"""Patients that a set needs to have all its parts."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code and everything it said, in one line without wraps."""

    code: int
    said: str


@dataclass(frozen=True)
class PublicSite:
    """``tree`` is the root of public sets; nothing may change in it. ``made`` caches healthy trees over tests."""

    folder: Path
    made: Path
    sections: dict[str, Any] = field(default_factory=dict)

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def dataset(self) -> Path:
        return self.folder / "output" / "dataset"

    def plant(self, name: str, patients: int = 2, place: str | None = None) -> Path:
        """A healthy copy of a set at ``place`` below the root."""
        target = self.tree / (place or name)
        shutil.copytree(_healthy(self.made, name, max(patients, WHOLE_FROM.get(name, 1))), target, dirs_exist_ok=True)
        return target

    def configuration(self, *names: str, **sections: Any) -> Path:
        content: dict[str, Any] = {
            "inputs": {"public": {"roots": ["tree"], "datasets": list(names)}},
            "output": {"folder": "output"},
            "labels": {"dataset": "hostile", "policy": {"breast": {"birads": EVERY_BIRADS}}},
            "export": {"exporters": ["nifti"]},
            "curation": {"duplicates": {"near_distance": -1, "drop": []}},
            "executor": {"workers": 1, "shards": 2},
            "privacy": {"key_file": str(self._key())},
            **self.sections,
            **sections,
        }
        path = self.folder / "configs.yaml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return path

    def _key(self) -> Path:
        path = self.folder / "research_id.key"
        path.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
        return path

    def run(self, *names: str, **sections: Any) -> Outcome:
        """The whole pipeline over the named sets."""
        return self.command("--config", str(self.configuration(*names, **sections)))

    def command(self, *arguments: str) -> Outcome:
        """A command of ``main.py`` in this process. No traceback, inputs untouched."""
        before = digests(self.tree)
        result = CliRunner().invoke(main.app, list(arguments), env={"COLUMNS": "400"})
        said = " ".join((result.output + result.stderr).split())
        assert result.exception is None or isinstance(result.exception, SystemExit), (result.exception, said)
        assert "Traceback" not in said
        assert digests(self.tree) == before, "the inputs were changed"
        return Outcome(result.exit_code, said)

    def alone(self, *arguments: str, before: Sequence[str] = ()) -> Outcome:
        """The same in a process of its own, behind another command."""
        words = [*before, sys.executable, str(ROOT / "main.py"), *arguments]
        result = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "400"})
        said = " ".join((result.stdout + result.stderr).split())
        assert "Traceback" not in said, said
        return Outcome(result.returncode, said)

    def held(self, name: str) -> dict[str, Any]:
        """What ``main.py datasets`` says of a set."""
        page = self.folder / "datasets.json"
        outcome = self.command("datasets", "--root", str(self.tree), "--dataset", name, "--json", str(page))
        assert outcome.code == 0
        (entry,) = json.loads(page.read_text(encoding="utf-8"))
        return dict(entry)

    def ledger(self) -> list[dict[str, str]]:
        """What of public sets was not used, or only with a remark."""
        return _table(self.folder / "output" / "private" / "public_ledger.csv")

    def reasons(self) -> Counter[str]:
        return Counter(row["reason"] for row in self.ledger())

    def left_out(self) -> Counter[str]:
        return Counter(row["reason"] for row in _table(self.dataset / "left_out.csv"))

    def rows(self) -> list[dict[str, str]]:
        """The manifest."""
        return _table(self.dataset / "images.csv")


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def _healthy(folder: Path, name: str, patients: int) -> Path:
    target = folder / f"{name}-{patients}"
    load_plugin(PACKAGE, name, CONSTANT).write(target, patients, SEED)
    return target


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below, links by where they lead; what may not be read by its name only."""
    found = {}
    for path in sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names):
        if path.is_symlink():
            found[str(path)] = str(path.readlink())
        elif os.access(path, os.R_OK):
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def only(folder: Path, pattern: str) -> Path:
    """The first file of that pattern."""
    return sorted(folder.rglob(pattern))[0]


Rows = list[list[Any]]


def edit_table(path: Path, change: Callable[[Rows], Rows], encoding: str = "utf-8") -> None:
    """Rewrite a CSV file or a workbook, header first; its separator stays."""
    if path.suffix == ".xlsx":
        rows = [list(row) for row in openpyxl.load_workbook(readable_workbook(path)).worksheets[0].iter_rows(values_only=True)]
        book = openpyxl.Workbook()
        for row in change(rows):
            book.worksheets[0].append(row)
        book.save(path)
        return
    text = path.read_bytes().decode("cp1252" if path.name == "INbreast.csv" else "utf-8-sig")
    header = text.partition("\n")[0]
    mark = max(",;\t", key=header.count)
    changed = change(list(csv.reader(text.splitlines(keepends=True), delimiter=mark)))
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=mark).writerows(changed)


def place_of(rows: Rows, column: str) -> int:
    """Where a column stands."""
    return [str(name).strip() for name in rows[0]].index(column)


def renamed(column: str, name: str) -> Callable[[Rows], Rows]:
    """The table with a column under another name."""

    def change(rows: Rows) -> Rows:
        rows[0][place_of(rows, column)] = name
        return rows

    return change


def with_cell(column: str, value: Any, row: int = 1) -> Callable[[Rows], Rows]:
    """The table with another value in one cell."""

    def change(rows: Rows) -> Rows:
        rows[row][place_of(rows, column)] = value
        return rows

    return change
