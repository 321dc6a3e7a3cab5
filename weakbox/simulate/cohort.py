"""A synthetic cohort on disk: everything a hospital would export, and the truth beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weakbox.records.errors import InputError
from weakbox.simulate.patient import CohortPart, PatientPart
from weakbox.simulate.tables import write_inputs, write_truth

if TYPE_CHECKING:
    from weakbox.runtime.executors.executor import Executor

VERSION = 1
"""Raised when the same seed gives other bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortSummary:
    """What was written."""

    folder: str
    patients: int
    studies: int
    series: int
    files: int
    radiology: int
    pathology: int
    targets: int
    lesions: int

    def __str__(self) -> str:
        return (
            f"{self.folder}: {self.patients} patients, {self.studies} studies ({self.series} series, {self.files} DICOM files), "
            f"{self.radiology} radiology and {self.pathology} pathology reports, {self.targets} biopsy targets, {self.lesions} lesions"
        )


def simulate(
    folder: Path,
    *,
    patients: int,
    seed: int,
    registration_error_mm: float,
    with_images: bool,
    executor: Executor | None = None,
    image_size: str = "small",
) -> CohortSummary:
    """Write a cohort of ``patients`` to ``folder``; the same arguments give the same bytes, and more patients only add.

    ``registration_error_mm`` is the root mean square, in three dimensions, of the isotropic Gaussian error of the
    biopsy coordinates. ``image_size`` is ``small`` (about 120 files and 1.2 MB a study) or ``full``.

    Raises:
        InputError: the folder exists and is not empty.
    """

    def write(temporary: Path) -> list[PatientPart]:
        images = temporary / "dicom" if with_images else None
        cohort = CohortPart(seed=seed, registration_error_mm=registration_error_mm, size=image_size, image_folder=images)
        return list(_parts(cohort, patients, executor))

    parameters = {"patients": patients, "seed": seed, "registration_error_mm": registration_error_mm, "with_images": with_images}
    return _write_cohort(folder, parameters | {"image_size": image_size}, write, has_images=with_images)


def simulate_workload(
    folder: Path,
    *,
    radiology: int = 12000,
    pathology: int = 4000,
    targets: int = 600,
    studies: int = 1900,
    series: int = 31000,
    seed: int,
    executor: Executor | None = None,
) -> CohortSummary:
    """Write tables of the given sizes, without images: what a hospital's export looks like in numbers.

    More patients have reports than have targets or studies in the series index, as in a real export.
    """

    def write(_: Path) -> list[PatientPart]:
        cohort = CohortPart(seed=seed, registration_error_mm=3.0)
        kept = _Quota(radiology=radiology, pathology=pathology, targets=targets, studies=studies, series=series)
        parts: list[PatientPart] = []
        while not kept.is_filled:
            parts.extend(kept.take(part) for part in _parts(cohort, _BATCH, executor, first=len(parts) + 1))
        return parts

    parameters = {"radiology": radiology, "pathology": pathology, "targets": targets, "studies": studies, "series": series, "seed": seed}
    return _write_cohort(folder, parameters, write, has_images=False)


_BATCH = 250


def _parts(cohort: CohortPart, patients: int, executor: Executor | None, first: int = 1) -> Iterator[PatientPart]:
    numbers = range(first, first + patients)
    if executor is None:
        yield from map(cohort, numbers)
        return
    for result in executor.map(cohort, numbers, description="simulating patients", total=patients):
        if not isinstance(result, PatientPart):
            raise RuntimeError(result.traceback)
        yield result


def _write_cohort(
    folder: Path, parameters: dict[str, Any], write: Callable[[Path], list[PatientPart]], *, has_images: bool
) -> CohortSummary:
    if folder.exists() and any(folder.iterdir()):
        msg = f"{folder}: exists and is not empty; name another folder, or delete this one to simulate anew"
        raise InputError(msg)
    temporary = folder.with_name(f"{folder.name}.partial")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(parents=True)
    parts = write(temporary)
    write_inputs(temporary, parts, has_images=has_images)
    write_truth(temporary, parts)
    summary = _summary(folder, parts)
    counts = {name: getattr(summary, name) for name in CohortSummary.__slots__ if name != "folder"}
    content = {"version": VERSION, "parameters": parameters, "counts": counts}
    (temporary / "cohort.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    temporary.rename(folder)
    return summary


def _summary(folder: Path, parts: Iterable[PatientPart]) -> CohortSummary:
    parts = list(parts)
    return CohortSummary(
        folder=str(folder),
        patients=len(parts),
        studies=len({row["study_uid"] for part in parts for row in part.series}),
        series=sum(len(part.series) for part in parts),
        files=sum(part.files for part in parts),
        radiology=sum(len(part.radiology) for part in parts),
        pathology=sum(len(part.pathology) for part in parts),
        targets=sum(len(part.targets) for part in parts),
        lesions=sum(len(part.lesions) for part in parts),
    )


class _Quota:
    """Cuts patients' shares so that every table gets exactly its number of rows."""

    def __init__(self, *, radiology: int, pathology: int, targets: int, studies: int, series: int) -> None:
        self._left = {"radiology": radiology, "pathology": pathology, "targets": targets}
        self._studies = studies
        self._series = series

    @property
    def is_filled(self) -> bool:
        """Whether every table has its rows."""
        return not any(self._left.values()) and self._studies == 0 and self._series == 0

    def take(self, part: PatientPart) -> PatientPart:
        """The patient with what still fits; the truth says nothing of what was cut."""
        for name in self._left:
            rows = getattr(part, name)[: self._left[name]]
            setattr(part, name, rows)
            self._left[name] -= len(rows)
        part.series = list(self._take_series(part.series))
        reports = {row["report_id"] for row in (*part.radiology, *part.pathology)}
        part.gold = [gold for gold in part.gold if gold["report_id"] in reports]
        part.report_items = [item for item in part.report_items if item["report_id"] in reports]
        points = {tuple(row[axis] for axis in "xyz") for row in part.targets}
        for lesion in part.lesions:
            lesion["targets"] = [target for target in lesion["targets"] if tuple(target[axis] for axis in "xyz") in points]
            for name in ("findings", "specimens"):
                lesion[name] = [entry for entry in lesion[name] if entry["report_id"] in reports]
        return part

    def _take_series(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Whole studies, with further dynamic phases so that studies and series both come out."""
        for study_uid in dict.fromkeys(row["study_uid"] for row in rows):
            if self._studies == 0:
                return
            own = [row for row in rows if row["study_uid"] == study_uid]
            share = round(self._series / self._studies) if self._studies > 1 else self._series
            own += [_dynamic_phase(own[-1], phase) for phase in range(1, share - len(own) + 1)]
            own = own[:share]
            self._studies -= 1
            self._series -= len(own)
            yield from own


def _dynamic_phase(row: dict[str, Any], phase: int) -> dict[str, Any]:
    return row | {
        "series_uid": f"{row['series_uid']}.{phase}",
        "series_number": row["series_number"] + phase,
        "series_description": f"t1_vibe_tra_dyn_TT={8.4 * phase:.1f}s",
    }
