"""Inference as a whole: models, images, predictions, and what is written of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from cv_model_experiments.data.rows import manifest_path
from cv_model_experiments.data.store import LeftOut
from cv_model_experiments.detection.model_file import KIND as DETECTION
from cv_model_experiments.detection.model_file import MODEL_NAME, TrainedDetector
from cv_model_experiments.detection.model_file import load_model as load_detector
from cv_model_experiments.learning.checkpoint import load_tensors
from cv_model_experiments.learning.logs import csv_text
from cv_model_experiments.learning.world import choose_device
from cv_model_experiments.prediction.ensemble import FusionChoice, check_together
from cv_model_experiments.prediction.flips import all_flips
from cv_model_experiments.prediction.predicting import FreshViews, MapChoice, predict_images
from cv_model_experiments.prediction.settings import InferenceSettings
from cv_model_experiments.prediction.sharing import Share, shares_of
from cv_model_experiments.prediction.studies import RawStudy, UnusableStudy, read_studies, with_candidates, write_case
from cv_model_experiments.predictions import ALL_FOLDS, Prediction, PredictionHeader, write_predictions
from weakbox.exporters.image_manifest import read_manifest
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.records.record import record
from weakbox.runtime.digests import optional_file_digest
from weakbox.runtime.privacy import Pseudonymiser
from weakbox.runtime.store import write_text

BOXES_NAME = "boxes.csv"
_COLUMNS = ("image_id", "case_id", "number", "score", "label", "x_start", "y_start", "z_start", "x_stop", "y_stop", "z_stop")


@record
class InferenceResult:
    """What was said, and what could not be looked at."""

    folder: Path
    images: int
    candidates: int
    left_out: tuple[LeftOut, ...]


def model_paths(given: Sequence[Path]) -> tuple[Path, ...]:
    """Files of models: those given, or all below a folder that is given (the folds of an experiment).

    Raises:
        InputError: there is none.
    """
    found: list[Path] = []
    for path in given:
        inside = [path] if path.is_file() else sorted(path.glob(f"**/{MODEL_NAME}")) if path.is_dir() else []
        if not inside:
            msg = f"{path}: no {MODEL_NAME}; give the output folder of a training, a fold's folder in it, or the file itself"
            raise InputError(msg)
        found += inside
    return tuple(dict.fromkeys(found))


def kind_of(path: Path) -> str:
    """What a model does: ``detection`` or ``classification``.

    Raises:
        InputError: not a model file.
    """
    kind = load_tensors(path, "a trained model (model.pt)").get("kind")
    if kind not in (DETECTION, "classification"):
        msg = f"{path}: holds no trained model, but {kind!r}; give model.pt, not best.pt or checkpoint.pt"
        raise InputError(msg)
    return str(kind)


def load_detectors(paths: Sequence[Path], settings: InferenceSettings, device: torch.device) -> list[TrainedDetector]:
    """The detectors, fit to be run together.

    Raises:
        InputError: see ``detection.model_file.load_model`` and ``ensemble.check_together``.
    """
    models = [load_detector(path, device) for path in paths]
    check_together(models)
    if settings.windows_at_once is not None:
        for model in models:
            selection = model.settings.selection.model_copy(update={"windows_at_once": settings.windows_at_once})
            model.module.settings = model.settings.model_copy(update={"selection": selection})
    return models


def fusion_of(settings: InferenceSettings) -> FusionChoice:
    """How views and models are made one."""
    return FusionChoice(flips=all_flips(settings.flips), overlap=settings.overlap, most=settings.most)


def detect_in_set(paths: Sequence[Path], folder: Path, output: Path, settings: InferenceSettings) -> InferenceResult:
    """Look at the images of an exported set and write predictions, detection maps and a table of boxes.

    Raises:
        InputError: models or set cannot be used, or no image is left.
    """
    device = choose_device(settings.device)
    models = load_detectors(paths, settings, device)
    is_volume = models[0].settings.images.axes == 3
    rows = [row for row in read_manifest(manifest_path(folder)) if (row.slices is not None) == is_volume]
    shares = shares_of(models, rows, settings)
    if not shares:
        kind = "volume" if is_volume else "picture"
        msg = f"{folder}: no {kind} in {', '.join(settings.parts)}; choose with parts, or check what the model was trained on"
        raise InputError(msg)
    said, left_out = _look(shares, folder, output, settings, device)
    result = _written(models, paths, said, left_out, output, settings, optional_file_digest(manifest_path(folder)))
    _explain(models, rows, said, folder, output, settings)
    return result


def _explain(
    models: Sequence[TrainedDetector],
    rows: Sequence[ImageRow],
    said: Sequence[Prediction],
    folder: Path,
    output: Path,
    settings: InferenceSettings,
) -> None:
    if settings.explain == "none":
        return
    from cv_model_experiments.explain.explaining import explain_detections

    explain_detections(models, rows, said, folder, output, settings.explain, settings.explain_images)


def _look(
    shares: Sequence[Share[TrainedDetector]], folder: Path, output: Path, settings: InferenceSettings, device: torch.device
) -> tuple[list[Prediction], list[LeftOut]]:
    maps = None
    if settings.detection_maps != "none":
        maps = MapChoice(folder=output, images=folder, rule=settings.detection_maps)
    said, left_out = [], []
    for share in shares:
        views = FreshViews(share.models, folder)
        for one in predict_images(share.models, share.rows, views, fusion_of(settings), device, maps=maps):
            if isinstance(one, LeftOut):
                left_out.append(one)
            else:
                said.append(replace(one, fold=share.fold))
    return said, left_out


def _written(
    models: Sequence[TrainedDetector],
    paths: Sequence[Path],
    said: Sequence[Prediction],
    left_out: Sequence[LeftOut],
    output: Path,
    settings: InferenceSettings,
    manifest_digest: str | None,
) -> InferenceResult:
    if not said:
        reason = left_out[0].reason if left_out else "there is none"
        msg = f"no image could be looked at; the first: {reason}"
        raise InputError(msg)
    trained_on: dict[str, tuple[str, ...]] = {}
    for model in models:
        key = ALL_FOLDS if model.fold is None else str(model.fold)
        trained_on[key] = tuple(sorted({*trained_on.get(key, ()), *model.trained_on}))
    details = {
        "method": " + ".join(sorted({model.settings.method for model in models})),
        "models": ", ".join(hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in paths),
        "flips": str(list(settings.flips)),
        "fusion": f"weighted box fusion above IoU {settings.overlap:g}",
        "detection_maps": settings.detection_maps,
    }
    header = PredictionHeader(
        model=settings.name or models[0].name, tasks=("detection",), trained_on=trained_on, manifest_sha256=manifest_digest, details=details
    )
    written = write_predictions(header, said, output)
    write_text(output / BOXES_NAME, boxes_table(written.rows))
    write_text(
        output / "left_out.csv", csv_text(("image_id", "reason"), [{"image_id": one.image_id, "reason": one.reason} for one in left_out])
    )
    return InferenceResult(folder=output, images=len(said), candidates=sum(len(one.boxes) for one in said), left_out=tuple(left_out))


def boxes_table(said: Iterable[Prediction]) -> str:
    """One row a candidate, best first within an image; z is empty in 2-D."""
    rows = []
    for one in said:
        for number, box in enumerate(one.boxes, start=1):
            edges = {f"{axis}_start": value for axis, value in zip("xyz", box.start, strict=False)}
            edges |= {f"{axis}_stop": value for axis, value in zip("xyz", box.stop, strict=False)}
            own = {"image_id": one.image_id, "case_id": one.case_id, "number": number, "score": box.score, "label": box.label or ""}
            rows.append({**dict.fromkeys(_COLUMNS, ""), **own, **edges})
    return csv_text(_COLUMNS, rows)


def detect_in_studies(
    paths: Sequence[Path], folder: Path, output: Path, identities: Pseudonymiser, settings: InferenceSettings
) -> InferenceResult:
    """Look at raw DICOM studies: NIfTI, predictions, detection maps, and DICOM Segmentation and Structured Report of the candidates.

    Raises:
        InputError: models or folder cannot be used, or no study is left.
    """
    device = choose_device(settings.device)
    models = load_detectors(paths, settings, device)
    studies: dict[str, RawStudy] = {}
    left_out: list[LeftOut] = []
    for item in read_studies(folder, output, identities, settings.organ):
        if isinstance(item, UnusableStudy):
            left_out.append(LeftOut(image_id=item.name, reason=item.reason))
        else:
            studies[item.row.image_id] = item
    rows = tuple(study.row for _, study in sorted(studies.items()))
    said, unusable = _look([Share(models=tuple(models), fold=None, rows=rows)], output, output, settings, device)
    name = settings.name or models[0].name
    for one in said:
        study = studies[one.image_id]
        write_case(with_candidates(study, one.boxes, settings.object_score, name), study.identity, output, with_objects=True)
    result = _written(models, paths, said, [*left_out, *unusable], output, settings, None)
    _explain(models, rows, said, output, output, settings)
    return result
