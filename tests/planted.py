"""What a simulated tree of a public data set planted, against what its reader finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from weakbox.datasets_public.cases import image_path, read_cases
from weakbox.datasets_public.dataset import PublicDataset
from weakbox.datasets_public.locating import locate
from weakbox.records.case import LedgerEntry
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, PixelBox, WeakLabel
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Cases after ``complete``, and all ledger rows."""

    cases: tuple[CuratedCase, ...]
    ledger: tuple[LedgerEntry, ...]

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason was given."""
        return Counter(entry.reason for entry in self.ledger)

    @property
    def labels(self) -> list[WeakLabel]:
        """All labels of all cases."""
        return [label for case in self.cases for label in case.labels]

    @property
    def series(self) -> list[Series]:
        """All images of all cases."""
        return [series for case in self.cases for series in case.study.series]

    def image(self, name: str) -> Series:
        """The image whose key ends so."""
        return next(series for series in self.series if series.key.endswith(name))

    def of_image(self, name: str) -> list[WeakLabel]:
        """Labels of the image whose key ends so."""
        return [label for label in self.labels if label.series_key == self.image(name).key]


def read_folder(dataset: PublicDataset, folder: Path) -> Reading:
    """Locate, read and complete the set in a folder."""
    located = locate(dataset, folder)
    assert located is not None, "the set is not recognised"
    items = list(read_cases(dataset, located))
    ledger = [item for item in items if isinstance(item, LedgerEntry)]
    cases = []
    for item in items:
        if isinstance(item, CuratedCase):
            finished, entries = dataset.complete(item) if dataset.complete else (item, ())
            ledger += entries
            cases += [finished] if finished else []
    return Reading(cases=tuple(cases), ledger=tuple(ledger))


def overlap(box: PixelBox, lesion: PlantedLesion) -> float:
    """Intersection over union of a box and a planted lesion."""
    across = min(box.x1, lesion.stop[0]) - max(box.x0, lesion.start[0])
    down = min(box.y1, lesion.stop[1]) - max(box.y0, lesion.start[1])
    shared = max(across, 0.0) * max(down, 0.0)
    planted = (lesion.stop[0] - lesion.start[0]) * (lesion.stop[1] - lesion.start[1])
    return shared / ((box.x1 - box.x0) * (box.y1 - box.y0) + planted - shared)


def check_truth(reading: Reading, tree: PlantedTree, folder: Path, *, iou: float) -> None:
    """Every planted image, with its attributes and patient; every drawn lesion by exactly one box, and no further box."""
    found = {image_path(series).relative_to(folder).as_posix(): (case, series) for case in reading.cases for series in case.study.series}
    assert sorted(found) == sorted(image.path for image in tree.images)
    for image in tree.images:
        case, series = found[image.path]
        assert case.patient_id.partition(":")[2] == image.patient_id
        assert {name: series.attributes.get(name) for name in image.attributes} == dict(image.attributes)
        _check_boxes([label for label in case.labels if label.series_key == series.key], image, iou)
    dropped = Counter(entry.reason for entry in reading.ledger if entry.outcome == "dropped")
    assert dropped == Counter(dict(tree.dropped))


def _check_boxes(labels: list[WeakLabel], image: PlantedImage, iou: float) -> None:
    drawn = [lesion for lesion in image.lesions if lesion.is_annotated]
    boxes = [(label, label.pixel_box) for label in labels if label.pixel_box is not None]
    assert len(boxes) == len(drawn), image.path
    for lesion in drawn:
        label, box = max(boxes, key=lambda pair: overlap(pair[1], lesion))
        assert overlap(box, lesion) >= iou, (image.path, box, lesion)
        assert label.diagnosis == lesion.diagnosis


def same_bytes_twice(write: Callable[[Path, int, int], PlantedTree], folder: Path) -> bool:
    """Whether two runs of a tree's writer give the same files."""
    for name in ("first", "second"):
        write(folder / name, 2, 5)
    first, second = (
        {path.relative_to(folder / name): path.read_bytes() for path in (folder / name).rglob("*") if path.is_file()}
        for name in ("first", "second")
    )
    return bool(first) and first == second
