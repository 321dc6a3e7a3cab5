"""What a simulated tree of a 3-D prostate set planted, against what its reader finds and what the export writes of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from export import Config, export_case
from tests.planted import Reading
from weakbox.imaging.volumes import LPS_TO_RAS
from weakbox.records.artifact import Artifact
from weakbox.records.case import Outcome
from weakbox.records.imaging import Purpose, Series
from weakbox.records.label import Box, CuratedCase, WeakLabel
from weakbox.runtime.privacy import ResearchIdentity
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree

SHARED = Path(__file__).resolve().parents[2] / "shared"
SHARED_DATA = SHARED / "data"
needs_shared = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no shared sample data beside the checkout")


def reference(case: CuratedCase) -> Series:
    """The series whose voxels the boxes count."""
    chosen = case.study.chosen(Purpose.T2W)
    assert chosen is not None
    return chosen


def box_of(label: WeakLabel) -> Box:
    """The label's box."""
    assert label.box is not None
    return label.box


def overlap(label: WeakLabel, lesion: PlantedLesion) -> float:
    """Intersection over union of the voxel box of a label and of a planted lesion."""
    box = box_of(label)
    start = np.maximum(box.voxel_start, lesion.start)
    stop = np.minimum(box.voxel_stop, lesion.stop)
    shared = float(np.prod(np.maximum(stop - start, 0.0)))
    volumes = [float(np.prod(np.subtract(end, begin))) for begin, end in ((box.voxel_start, box.voxel_stop), (lesion.start, lesion.stop))]
    return shared / (sum(volumes) - shared)


def covers(label: WeakLabel, lesion: PlantedLesion) -> bool:
    """Whether every voxel of the lesion lies in the box."""
    box = box_of(label)
    return bool(np.all(np.less_equal(box.voxel_start, lesion.start)) and np.all(np.greater_equal(box.voxel_stop, lesion.stop)))


def check_truth(reading: Reading, tree: PlantedTree, folder: Path, *, iou: float) -> None:
    """Every planted study, its patient and attributes; every drawn lesion under exactly one box that covers it, and no further box."""
    found = {_place(reference(case), folder): case for case in reading.cases}
    assert sorted(found) == sorted(image.path for image in tree.images)
    for image in tree.images:
        case = found[image.path]
        assert case.patient_id.partition(":")[2] == image.patient_id
        assert {name: reference(case).attributes.get(name) for name in image.attributes} == dict(image.attributes)
        _check_boxes(case, image, iou)
    dropped = Counter(entry.reason for entry in reading.ledger if entry.outcome is Outcome.DROPPED)
    assert dropped == Counter(dict(tree.dropped))


def _place(series: Series, folder: Path) -> str:
    path = Path(series.volume_path) if series.volume_path else Path(series.instances[0].path).parent
    return path.resolve().relative_to(folder.resolve()).as_posix()


def _check_boxes(case: CuratedCase, image: PlantedImage, iou: float) -> None:
    boxes = [label for label in case.labels if label.box is not None]
    drawn = [lesion for lesion in image.lesions if lesion.is_annotated]
    assert len(boxes) == len(drawn), image.path
    for lesion in drawn:
        label = max(boxes, key=lambda each: overlap(each, lesion))
        assert overlap(label, lesion) >= iou, (image.path, label.box, lesion)
        assert covers(label, lesion)
        assert label.diagnosis == lesion.diagnosis
        assert box_of(label).reference_series_key == reference(case).key


def export_and_check(case: CuratedCase, image: PlantedImage, folder: Path) -> dict[str, Artifact]:
    """Export one case; its box masks lie over the planted lesions, and there the exported T2 is darker than around them."""
    identity = ResearchIdentity(patient_id="P1", case_id="P1_S1", date_shift_days=0, keep_original=False)
    artifacts, ledger = export_case(case, identity, folder, Config(segmentation_shapes=("ellipsoid", "box")))
    assert [row for row in ledger if row.outcome is Outcome.DROPPED] == []
    by_role = {artifact.role: artifact for artifact in artifacts}
    boxes = _volume(folder / by_role["label_boxes_instance"].path)
    grid = reference(case).grid
    assert grid is not None
    exported: Any = nibabel.load(folder / by_role["label_boxes_instance"].path)
    assert np.allclose(exported.affine, LPS_TO_RAS @ grid.matrix, atol=1e-4)
    t2 = _volume(folder / by_role["t2w"].path).astype(float)
    for lesion in image.lesions:
        (x0, y0, z0), (x1, y1, z1) = ([int(value) for value in ends] for ends in (lesion.start, lesion.stop))
        assert np.all(boxes[x0:x1, y0:y1, z0:z1] > 0)
        slice_index = (z0 + z1 - 1) // 2
        middle = t2[x0 + 3 : x1 - 3, y0 + 3 : y1 - 3, slice_index]
        beside = t2[x0 - 3 : x1 + 3, y0 - 3 : y1 + 3, slice_index]
        assert middle.mean() < beside.mean() - 30
    return by_role


def _volume(path: Path) -> np.ndarray:
    image: Any = nibabel.load(path)
    return np.asarray(image.dataobj)
