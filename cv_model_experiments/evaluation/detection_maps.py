"""Detection maps scored by picai_eval itself: its own ``evaluate_case`` and ``Metrics``, case by case in bounded memory.

Files are named as picai_eval's folder mode expects: ``[case]_detection_map.{npz,npy,nii.gz,nii,mha,mhd}`` and ``[case]_label.{...}``;
in two folders ``[case].{...}`` will do for either. What picai_eval fails on late, or passes over, is said before.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.errors import InputError
from weakbox.records.record import record
from weakbox.runtime.store import write_text

if TYPE_CHECKING:
    from picai_eval import Metrics

MAP_ENDINGS = (".npz", ".npy", ".nii.gz", ".nii", ".mha", ".mhd")
LABEL_ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".npz", ".npy")
MAP_MARK, LABEL_MARK = "_detection_map", "_label"
SMALLEST_OVERLAP = 0.10
GEOMETRY_TOLERANCE = 1e-3
_PATIENT_AND_STUDY = re.compile(r"(\d+)_\d+")
"""PI-CAI's names: patient, study."""
SHOWN = 3


@record
class MapPair:
    """A case's detection map and label on disk."""

    case: str
    detection_map: Path
    label: Path


@record
class CaseResult:
    """What picai_eval says of a case: (is lesion, confidence, overlap) tuples and the case's confidence."""

    case: str
    lesions: tuple[tuple[int, float, float], ...]
    confidence: float
    warnings: tuple[str, ...] = ()


def picai_library() -> Any:
    """The package picai_eval, without its greeting.

    Raises:
        InputError: it is not installed.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import picai_eval.eval
            import picai_eval.image_utils
    except ModuleNotFoundError as error:
        msg = f"picai scores need the package {error.name!r}; sync with `uv sync --extra train`"
        raise InputError(msg) from None
    return picai_eval


def find_pairs(maps: Path, labels: Path, subjects: Sequence[str] | None = None) -> tuple[tuple[MapPair, ...], tuple[str, ...]]:
    """Pair maps and labels by case, and the cases that have a label but no map (which are not scored, as in picai_eval).

    Raises:
        InputError: a folder is missing, there is no map, a map has no label, a case has two maps or labels, or a subject has no map.
    """
    for folder in (maps, labels):
        if not folder.is_dir():
            msg = f"{folder}: no such folder; expected detection maps and labels named as picai_eval does"
            raise InputError(msg)
    together = maps.resolve() == labels.resolve()
    found = _by_case(maps, MAP_MARK, MAP_ENDINGS, None if together else LABEL_MARK)
    truth = _by_case(labels, LABEL_MARK, LABEL_ENDINGS, None if together else MAP_MARK)
    wanted = sorted(found) if subjects is None else list(subjects)
    if not wanted:
        msg = f"{maps}: no detection map; expected files such as case-1{MAP_MARK}.nii.gz"
        raise InputError(msg)
    for what, place, known in (("detection map", maps, found), ("label", labels, truth)):
        missing = [case for case in wanted if case not in known]
        if missing:
            msg = f"{place}: {len(missing)} of {len(wanted)} cases have no {what}: {_some(missing)}"
            raise InputError(msg)
    pairs = tuple(MapPair(case=case, detection_map=found[case], label=truth[case]) for case in wanted)
    return pairs, () if subjects is not None else tuple(sorted(set(truth) - set(found)))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")


def _by_case(folder: Path, mark: str, endings: Sequence[str], other_mark: str | None) -> dict[str, Path]:
    """Files of a folder by case. Names without a mark count where maps and labels lie apart (``other_mark`` given)."""
    marked: dict[str, Path] = {}
    plain: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        ending = next((ending for ending in sorted(endings, key=len, reverse=True) if path.name.endswith(ending)), None)
        stem = path.name.removesuffix(ending) if ending else ""
        if not stem or not path.is_file():
            continue
        if stem.endswith(mark):
            _add(marked, stem.removesuffix(mark), path)
        elif other_mark is not None and not stem.endswith(other_mark):
            _add(plain, stem, path)
    return {**plain, **marked}


def _add(found: dict[str, Path], case: str, path: Path) -> None:
    if case in found:
        msg = f"{path.parent}: case {case} comes twice, as {found[case].name} and {path.name}; keep one"
        raise InputError(msg)
    found[case] = path


def read_subjects(path: Path) -> tuple[str, ...]:
    """A list of cases as picai_eval takes it: a JSON list, or an object with ``subject_list``.

    Raises:
        InputError: it is neither, or empty, or names a case twice.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"{path}: no JSON file that can be read ({type(error).__name__})"
        raise InputError(msg) from None
    names = content.get("subject_list") if isinstance(content, dict) else content
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        msg = f"{path}: expected a list of different case names, or an object whose subject_list is one"
        raise InputError(msg)
    return tuple(names)


def score_folder(
    maps: Path, labels: Path, subjects: Sequence[str] | None = None, workers: int = 2
) -> tuple[tuple[CaseResult, ...], tuple[str, ...]]:
    """Score all cases of two folders (which may be one); results in order of the cases, and warnings to be shown.

    Raises:
        InputError: see ``find_pairs`` and ``score_case``.
    """
    picai_library()
    pairs, unscored = find_pairs(maps, labels, subjects)
    results = list(_in_order(_score_pair, pairs, workers))
    said = [warning for result in results for warning in result.warnings]
    if unscored:
        said.insert(0, f"{len(unscored)} labels have no detection map and are not scored: {_some(unscored)}")
    return tuple(results), tuple(said)


def _in_order(function: Callable[[MapPair], CaseResult], pairs: Iterable[MapPair], workers: int) -> Iterator[CaseResult]:
    """Threads, a few cases at a time: results in order, memory for few volumes."""
    remaining = iter(pairs)
    with ThreadPoolExecutor(workers) as pool:
        while block := list(islice(remaining, 4 * workers)):
            yield from pool.map(function, block)


def _score_pair(files: MapPair) -> CaseResult:
    volumes = [_read(path, what) for path, what in ((files.detection_map, "detection map"), (files.label, "label"))]
    result = score_case(files.case, volumes[0], volumes[1])
    warning = _geometry_warning(files)
    return result if warning is None else replace(result, warnings=(*result.warnings, warning))


def _read(path: Path, what: str) -> NDArray[Any]:
    from picai_eval.image_utils import read_image

    try:
        return np.asarray(read_image(path))
    except (RuntimeError, OSError, ValueError, KeyError, EOFError, IndexError) as error:
        msg = f"{path}: this {what} cannot be read ({type(error).__name__}); write it again"
        raise InputError(msg) from None


def _geometry_warning(files: MapPair) -> str | None:
    """picai_eval compares voxels and never looks where they lie; a map on another grid gives a number all the same."""
    headers = [_header(path) for path in (files.detection_map, files.label)]
    if None in headers or np.allclose(headers[0], headers[1], atol=GEOMETRY_TOLERANCE):  # type: ignore[arg-type]
        return None
    return f"{files.case}: map and label lie in different places (origin, spacing or direction differ); voxels were compared as they are"


def _header(path: Path) -> tuple[float, ...] | None:
    if path.name.endswith((".npy", ".npz")):
        return None
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return (*reader.GetOrigin(), *reader.GetSpacing(), *reader.GetDirection())


def score_case(case: str, detection_map: NDArray[Any], label: NDArray[Any], smallest_overlap: float = SMALLEST_OVERLAP) -> CaseResult:
    """One case by picai_eval's ``evaluate_case``; arrays (slices, rows, columns). Empty margins are cut first, which changes nothing but
    the time it takes.

    Raises:
        InputError: a map or label that is not 3-D, of other sizes, with NaN, below 0, or with more values than components (a softmax map).
    """
    evaluation = picai_library().eval
    _check_arrays(case, detection_map, label)
    said: tuple[str, ...] = ()
    if detection_map.shape[0] < label.shape[0]:
        # As picai_eval does it: centred padding. Elsewhere it fails on other sizes.
        detection_map = evaluation.resize_image_with_crop_or_pad(detection_map, label.shape)
        said = (f"{case}: the map has fewer slices than the label and was padded around its middle, as picai_eval does",)
    window = _window(detection_map, label)
    try:
        lesions, confidence, _, _ = evaluation.evaluate_case(detection_map[window], label[window], min_overlap=smallest_overlap)
    except ValueError as error:
        msg = (
            f"{case}: a detection map has components of one confidence each, this one has more values than components; it looks like "
            f"a softmax volume, of which candidates must be taken first ({type(error).__name__})"
        )
        raise InputError(msg) from None
    tuples = tuple((int(target), float(score), float(overlap)) for target, score, overlap in lesions)
    return CaseResult(case=case, lesions=tuples, confidence=float(confidence), warnings=said)


def _check_arrays(case: str, detection_map: NDArray[Any], label: NDArray[Any]) -> None:
    problem = None
    fits = detection_map.shape == label.shape or detection_map.shape[0] < label.shape[0]
    if detection_map.ndim != 3 or label.ndim != 3:
        problem = f"a map has {detection_map.ndim} axes and its label {label.ndim}, expected 3"
    elif not fits:
        sizes = f"the map is {detection_map.shape}, the label {label.shape} (slices, rows, columns)"
        problem = f"{sizes}: resample the map to the label's grid"
    elif not (np.isfinite(detection_map).all() and np.isfinite(label).all()):
        problem = "NaN or infinite voxels; the model's output was no number"
    elif detection_map.min() < 0:
        problem = "the map has values below 0; confidences are 0 or more"
    if problem is not None:
        msg = f"{case}: {problem}"
        raise InputError(msg)


def _window(*arrays: NDArray[Any]) -> tuple[slice, ...]:
    """The smallest block that holds every voxel that is not 0, at least one voxel."""
    used = np.logical_or.reduce([array != 0 for array in arrays])
    if not used.any():
        return (slice(0, 1),) * used.ndim
    places = [np.flatnonzero(used.any(axis=tuple(other for other in range(used.ndim) if other != axis))) for axis in range(used.ndim)]
    return tuple(slice(int(place[0]), int(place[-1]) + 1) for place in places)


def collect(results: Sequence[CaseResult]) -> Metrics:
    """picai_eval's metrics of all cases, each with weight 1."""
    with contextlib.redirect_stdout(io.StringIO()):
        from picai_eval import Metrics
    return Metrics(
        lesion_results={result.case: list(result.lesions) for result in results},
        case_target={result.case: max((target for target, _, _ in result.lesions), default=0) for result in results},
        case_pred={result.case: result.confidence for result in results},
        case_weight={result.case: 1 for result in results},
        lesion_weight={result.case: [1] * len(result.lesions) for result in results},
    )


def aggregates(metrics: Metrics) -> dict[str, float | None]:
    """AUROC, AP and their mean by picai_eval; None where picai_eval gives no number (one class only)."""
    with _without_class_warnings():
        values = {"auroc": metrics.auroc, "AP": metrics.AP if metrics.num_lesions else math.nan}
    values["score"] = (values["auroc"] + values["AP"]) / 2
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}


@contextlib.contextmanager
def _without_class_warnings() -> Iterator[None]:
    """scikit-learn warns where a class is missing; the caller says it in words."""
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def write_metrics(metrics: Metrics, path: Path) -> None:
    """picai_eval's ``metrics.json`` (``Metrics(path)`` reads it) with ``score`` beside its keys; a value that is no number is null."""
    with _without_class_warnings():
        content = {**metrics.as_dict(), **aggregates(metrics)}
    write_text(path, json.dumps(_plain(content), indent=4, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def patient_of_case(case: str) -> str:
    """The patient of a case named as in PI-CAI (``10000_1000000``); else each case is its own patient."""
    named = _PATIENT_AND_STUDY.fullmatch(case)
    return named.group(1) if named else case
