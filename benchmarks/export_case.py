"""One case's conversion and export, against SimpleITK writing the same three volumes as .nii.gz."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import SimpleITK as sitk

import export
from benchmarks.measured import Figure, best_of
from weakbox.imaging.volumes import read_volume
from weakbox.records.imaging import Purpose
from weakbox.records.label import CuratedCase
from weakbox.runtime.privacy import Pseudonymiser
from weakbox.runtime.store import Store

FORMATS = ("nifti", "dicom_seg", "dicom_sr")
REPEATS = 5


def measure(store: Store) -> Iterator[Figure]:
    """Figures for the largest labelled case of a finished run whose three images are acquired series."""
    case = max((record for record in store.read_all("postprocessing") if _is_whole(record)), key=_voxels)
    identity = Pseudonymiser(key=b"benchmark-key-of-no-consequence", research_patients={}).identity(case.patient_id, case.case_id)
    config = export.Config(exporters=FORMATS)
    volumes = [read_volume(series) for purpose in Purpose if (series := case.study.chosen(purpose)) is not None]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = best_of(REPEATS, lambda: export.export_case(case, identity, folder, config))
        images = [sitk.GetImageFromArray(volume.array) for volume in volumes]
        peer = best_of(REPEATS, lambda: [sitk.WriteImage(image, str(folder / f"{index}.nii.gz")) for index, image in enumerate(images)])
    shapes = ", ".join("x".join(str(n) for n in volume.grid.shape) for volume in volumes)
    yield Figure(
        what=f"One case to NIfTI (native and on the T2 grid), masks, SEG and SR ({shapes})",
        value=f"{ours * 1000:,.0f} ms",
        compared_with=f"SimpleITK writing the three volumes as .nii.gz {peer * 1000:,.0f} ms: {ours / peer:.2f} times",
        aim="within 2 times",
    )


def _is_whole(record: object) -> bool:
    if not isinstance(record, CuratedCase) or not any(label.box for label in record.labels):
        return False
    return all(record.study.chosen(purpose) is not None for purpose in Purpose)


def _voxels(case: CuratedCase) -> int:
    grids = [series.grid for purpose in Purpose if (series := case.study.chosen(purpose)) is not None and series.grid is not None]
    return sum(grid.shape[0] * grid.shape[1] * grid.shape[2] for grid in grids)
