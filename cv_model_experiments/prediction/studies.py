"""Raw studies: a folder of DICOM files to images that a model can be shown, and a model's boxes back as DICOM objects.

Series are told apart and chosen as the pipeline does it, with its own modules; candidates leave as labels of tier ``model`` whose
tissue nobody tested, through the same exporters as weak labels.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from cv_model_experiments.predictions import PredictedBox
from weakbox.exporters import dicom_seg, dicom_sr, nifti
from weakbox.exporters.exporter import CASES_FOLDER, Compression, ExportOptions
from weakbox.exporters.preparing import prepare, reference_key
from weakbox.exporters.set_rows import volume_row
from weakbox.imaging.boxes import box_over
from weakbox.imaging.resampling import resample_linear
from weakbox.imaging.series_choice import ChoicePolicy, choose_series
from weakbox.imaging.volumes import compress_fast
from weakbox.records.artifact import Artifact
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.image_set import ImageRow
from weakbox.records.imaging import ImagingStudy
from weakbox.records.label import CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.records.record import record
from weakbox.runtime.executors.local import LocalExecutor
from weakbox.runtime.privacy import Pseudonymiser, ResearchIdentity
from weakbox.sources.dicom_folder import DicomFolderOptions, read

DATASET = "inference"
COMPRESSING_THREADS = 2


@record
class RawStudy:
    """A study on disk, its name outside of the hospital, and its row as if it came from an exported set."""

    case: CuratedCase
    identity: ResearchIdentity
    row: ImageRow


@record
class UnusableStudy:
    """A study that no model can be shown, or files that are no images; names no patient."""

    name: str
    reason: str


def read_studies(folder: Path, output: Path, identities: Pseudonymiser, organ: str) -> Iterator[RawStudy | UnusableStudy]:
    """The studies of a folder, each with its volumes written under ``output/cases``, by Study Instance UID.

    Raises:
        InputError: there is no such folder.
    """
    options = DicomFolderOptions(source="dicom_folder", path=folder)
    with closing(LocalExecutor(1)) as executor:
        for item in read(options, executor, output / "index"):
            if isinstance(item, LedgerEntry):
                yield UnusableStudy(name=item.kind, reason=item.reason)
            else:
                yield _written(item, output, identities, organ)


def _written(study: ImagingStudy, output: Path, identities: Pseudonymiser, organ: str) -> RawStudy | UnusableStudy:
    chosen = replace(study, choices=choose_series(study.series, ChoicePolicy()))
    case = CuratedCase(
        case_id=study.study_uid, patient_id=study.patient_id, dataset=DATASET, organ=organ, study=chosen, tier=Tier.CASE_LEVEL
    )
    identity = identities.identity(study.patient_id, study.study_uid)
    try:
        artifacts = write_case(case, identity, output, with_objects=False)
        row = volume_row(case, identity, artifacts)
    except InputError as error:
        return UnusableStudy(name=identity.case_id, reason=str(error))
    if row is None:
        return UnusableStudy(name=identity.case_id, reason="no series that the boxes could count: the study has no usable axial T2W series")
    return RawStudy(case=case, identity=identity, row=replace(row, split="test"))


def write_case(case: CuratedCase, identity: ResearchIdentity, output: Path, *, with_objects: bool) -> tuple[Artifact, ...]:
    """Write a case's NIfTI files and, with its labels, DICOM Segmentation and Structured Report where its source is DICOM.

    Raises:
        InputError: a chosen series cannot be read.
    """
    folder = output / CASES_FOLDER / identity.case_id
    with ThreadPoolExecutor(COMPRESSING_THREADS) as workers:
        prepared, _ = prepare(case, identity, ExportOptions(), resample_linear, Compression(workers, compress_fast), start_early=False)
        if folder.is_dir():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        artifacts = list(nifti.write(case, prepared, folder))
        if with_objects and prepared.source_images:
            artifacts += dicom_seg.write(case, prepared, folder)
            artifacts += dicom_sr.write(case, prepared, folder)
    return tuple(artifacts)


def with_candidates(study: RawStudy, boxes: Sequence[PredictedBox], least_score: float, model: str) -> CuratedCase:
    """The case with a model's candidates as labels; those below ``least_score`` are left out."""
    key = reference_key(study.case)
    series = study.case.study.find_series(key)
    if key is None or series is None or series.grid is None:
        return study.case
    chosen = [box for box in boxes if box.score >= least_score]
    labels = tuple(_label(number, box, study, series.grid, key, model) for number, box in enumerate(chosen, start=1))
    return replace(study.case, labels=labels, tier=Tier.MODEL if labels else Tier.CASE_LEVEL)


def _label(number: int, box: PredictedBox, study: RawStudy, grid: Grid, key: str, model: str) -> WeakLabel:
    name = f"{study.case.case_id}:candidate-{number}"
    # Edges count from the voxel's border, the grid's indices from its middle.
    edges = np.array([box.start, box.stop]) - 0.5
    corners = grid.to_lps(np.array([[edges[i, 0], edges[j, 1], edges[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)]))
    points = [(float(x), float(y), float(z)) for x, y, z in corners]
    return WeakLabel(
        label_id=name,
        lesion_id=name,
        case_id=study.case.case_id,
        status=LesionStatus.UNTESTED,
        box=box_over(points, grid, key, 0.0),
        tier=Tier.MODEL,
        centre_source=f"model {model}",
        size_source=f"model {model}",
        class_source=None if box.label is None else f"model {model}",
        diagnosis=box.label,
        confidence=box.score,
    )
