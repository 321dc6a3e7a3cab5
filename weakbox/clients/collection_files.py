"""What a collection tells of itself: ``metadata.json`` and ``series.csv`` of a dataset, ``training_manifest.json`` over all.

The same content gives the same bytes: nothing here knows the time, the number of attempts or the order of arrival.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from weakbox.clients.client import RemoteSeries
from weakbox.clients.journal import STATE_FOLDER, KeptFile
from weakbox.clients.selection import Choice, strata_table
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.record import record
from weakbox.runtime.store import write_text

METADATA_NAME, SERIES_NAME, MANIFEST_NAME = "metadata.json", "series.csv", "training_manifest.json"
Status = Literal["complete", "failed", "pending", "left_out"]


@record
class SeriesState:
    """What became of a series. ``failure`` is the reason code of its first file that could not be had."""

    choice: Choice
    status: Status
    files: tuple[KeptFile, ...] = ()
    failure: str = ""


@record
class CollectionFacts:
    """What is written about a dataset besides its series: passed in, never found out here."""

    name: str
    part: str
    source: str
    licence: str
    citation: str
    request: Mapping[str, Any]
    selection: Mapping[str, Any]


def counts_of(states: Sequence[SeriesState], unusable: int) -> dict[str, int]:
    """Series, patients, images and bytes; companions are counted apart."""
    counted = [state for state in states if not state.choice.series.is_companion]
    by_status = Counter(state.status for state in counted)
    chosen = [state for state in counted if state.choice.is_chosen]
    return {
        "series_listed": len(counted),
        "series_chosen": len(chosen),
        "series_complete": by_status["complete"],
        "series_failed": by_status["failed"],
        "series_pending": by_status["pending"],
        "companions": len(states) - len(counted),
        "companions_complete": sum(state.choice.series.is_companion and state.status == "complete" for state in states),
        "answers_unusable": unusable,
        "patients_listed": _patients(counted),
        "patients_chosen": _patients(chosen),
        "files": sum(len(state.files) for state in states),
        "bytes": sum(file.size_bytes for state in states for file in state.files),
    }


def _patients(states: Sequence[SeriesState]) -> int:
    return len({state.choice.series.patient_id for state in states} - {""})


def write_metadata(folder: Path, facts: CollectionFacts, states: Sequence[SeriesState], problems: Sequence[LedgerEntry]) -> Path:
    """Write ``metadata.json`` and ``series.csv``; returns the path of the first."""
    strata = facts.selection.get("strata", ())
    content = {
        "dataset": facts.name,
        "part": facts.part,
        "source": facts.source,
        "licence": facts.licence,
        "citation": facts.citation,
        "request": facts.request,
        "selection": facts.selection,
        "is_complete": all(state.status in ("complete", "left_out") for state in states),
        "counts": counts_of(states, len(problems)),
        "strata": [
            {"stratum": dict(zip(strata, values, strict=True)), "listed": listed, "chosen": chosen}
            for values, (listed, chosen) in strata_table(state.choice for state in states).items()
        ],
        "unusable": sorted(
            ({"item": entry.item_id, "reason": entry.reason} for entry in problems), key=lambda row: (row["item"], row["reason"])
        ),
        "series": [_series_row(state) for state in sorted(states, key=lambda state: state.choice.series.key)],
    }
    path = folder / METADATA_NAME
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    write_text(folder / SERIES_NAME, _series_csv(states))
    return path


def _series_row(state: SeriesState) -> dict[str, Any]:
    series = state.choice.series
    row: dict[str, Any] = {"key": series.key, "status": state.status, "reason": state.choice.reason, "patient_id": series.patient_id}
    if state.status == "left_out":
        return row
    files = [
        {"path": file.path, "bytes": file.size_bytes, "sha256": file.sha256} for file in sorted(state.files, key=lambda file: file.path)
    ]
    return {
        **row,
        "failure": state.failure,
        "study": series.study,
        "modality": series.modality,
        "description": series.description,
        "image_count": series.image_count,
        "is_companion": series.is_companion,
        "attributes": dict(series.attributes),
        "bytes": sum(file.size_bytes for file in state.files),
        "files": files,
    }


_FIELDS = ("key", "patient_id", "study", "modality", "description")


def _series_csv(states: Sequence[SeriesState]) -> str:
    """The chosen series with their attributes, one row each: for eyes and for readers of labels."""
    chosen = sorted((state for state in states if state.status != "left_out"), key=lambda state: state.choice.series.key)
    names = sorted({name for state in chosen for name in state.choice.series.attributes} - set(_FIELDS))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_FIELDS, "status", "files", "first_file", *names])
    for state in chosen:
        series = state.choice.series
        first = min((file.path for file in state.files), default="")
        writer.writerow([*_fields(series), state.status, len(state.files), first, *(series.attributes.get(name, "") for name in names)])
    return text.getvalue()


def _fields(series: RemoteSeries) -> tuple[str, ...]:
    return (series.key, series.patient_id, series.study, series.modality, series.description)


def write_manifest(root: Path) -> Path:
    """Write ``training_manifest.json`` over every dataset below ``root``, and every part of one, that has a ``metadata.json``.

    Raises:
        InputError: one of them cannot be read.
    """
    found = sorted([*root.glob(f"*/{METADATA_NAME}"), *root.glob(f"*/*/{METADATA_NAME}")])
    datasets = [row for row in (_manifest_row(root, path) for path in found) if row is not None]
    names = ("series_chosen", "series_complete", "files", "bytes")
    content = {
        "datasets": datasets,
        "is_complete": all(row["is_complete"] for row in datasets),
        "totals": {name: sum(row["counts"][name] for row in datasets) for name in names},
    }
    path = root / MANIFEST_NAME
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return path


def _manifest_row(root: Path, path: Path) -> dict[str, Any] | None:
    """``None`` for a file of this name that lies in a collection, but is not ours."""
    if not (path.parent / STATE_FOLDER).is_dir():
        return None
    content = path.read_bytes()
    try:
        metadata = json.loads(content)
        row = {name: metadata[name] for name in ("dataset", "part", "source", "licence", "citation", "is_complete", "counts", "strata")}
    except (ValueError, KeyError) as error:
        msg = f"{path}: cannot be read as the metadata of a dataset; delete it and collect the dataset again (files are kept)"
        raise InputError(msg) from error
    return {**row, "folder": path.parent.relative_to(root).as_posix(), "metadata_sha256": hashlib.sha256(content).hexdigest()}
