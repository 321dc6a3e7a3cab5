"""A run compared with the truth of its simulated cohort: labels, links, boxes, classes and yield, each with a 95 % interval."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from weakbox.audit.cohort_truth import CohortTruth, TextRange, TrueLesion, read_truth
from weakbox.audit.intervals import Figure, proportion, statistic
from weakbox.records.case import Lesion, MatchedCase
from weakbox.records.extraction import Item
from weakbox.records.grid import Point
from weakbox.records.label import CuratedCase, LesionStatus, WeakLabel
from weakbox.records.record import record

if TYPE_CHECKING:
    from weakbox.runtime.store import Store

OVERLAPS = (0.1, 0.3, 0.5)
_SAMPLES = 32
"""Points along each edge of a true box for the overlap with a label's box, which may be oblique to it."""
TARGET_SHEET = "targets.csv"
MEANINGS = {
    "lesion_recall": "visible lesions with a finding or target that have a label",
    "lesion_precision": "labels that are a true lesion, once",
    "target_yield": "rows of the biopsy sheet that became a box",
    "lesion_yield": "all visible lesions that have a box, missing records included",
    "class_accuracy": "benign or ISUP grade as in targeted tissue",
    "significance_accuracy": "csPCa or not, as in targeted tissue",
    "tissue_coverage": "labels of sampled lesions with a tissue class",
    "untested_right": "lesions without tissue that claim none",
    "side_accuracy": "labels on the true side",
    "case_yield": "diagnostic studies in the set",
    "negative_precision": "studies curated as negative that hold no csPCa",
    "negative_recall": "reported studies without lesion or cancer that are curated as negative",
}


@record
class EvaluatedItem:
    """A finding or specimen that a label rests on; ``ranges`` are the raw offsets of its words."""

    report_id: str
    index: int
    ranges: tuple[TextRange, ...] = ()


@record
class EvaluatedLabel:
    """What the evaluation needs of one label: the records it rests on, its box (eight corners, LPS mm, i fastest) and class."""

    label_id: str
    patient_id: str
    study_uid: str
    status: LesionStatus
    isup_grade: int | None
    side: str | None
    tier: str
    corners: tuple[Point, ...] | None = None
    finding: EvaluatedItem | None = None
    target_row: int | None = None
    """Row of the biopsy sheet."""
    specimens: tuple[EvaluatedItem, ...] = ()

    @property
    def centre(self) -> Point | None:
        """The middle of the box."""
        if self.corners is None:
            return None
        x, y, z = np.mean(np.array(self.corners), axis=0)
        return float(x), float(y), float(z)


@record
class EvaluatedCase:
    """One study that went into the set."""

    study_uid: str
    is_negative: bool
    """Curated as a study without cancer, with a reason."""


@record
class EvaluatedRun:
    """What a run made."""

    labels: tuple[EvaluatedLabel, ...]
    cases: tuple[EvaluatedCase, ...]


def run_from_records(matched: Iterable[MatchedCase], curated: Iterable[CuratedCase]) -> EvaluatedRun:
    """The labels of a run with the records behind each, from what matching and postprocessing made."""
    lesions = {lesion.lesion_id: lesion for case in matched for lesion in case.lesions}
    curated = sorted(curated, key=lambda case: case.case_id)
    return EvaluatedRun(
        labels=tuple(_label(case, label, lesions.get(label.lesion_id)) for case in curated for label in case.labels),
        cases=tuple(EvaluatedCase(study_uid=case.study.study_uid, is_negative=case.negative_reason is not None) for case in curated),
    )


def run_from_store(store: Store) -> EvaluatedRun:
    """The labels of a run from its store."""
    matched = (item for item in store.read_all("matching") if isinstance(item, MatchedCase))
    curated = (item for item in store.read_all("postprocessing") if isinstance(item, CuratedCase))
    return run_from_records(matched, curated)


def _label(case: CuratedCase, label: WeakLabel, lesion: Lesion | None) -> EvaluatedLabel:
    target = lesion.target if lesion else None
    return EvaluatedLabel(
        label_id=label.label_id,
        patient_id=case.patient_id,
        study_uid=case.study.study_uid,
        status=label.status,
        isup_grade=label.isup_grade,
        side=label.side,
        tier=label.tier.value,
        corners=label.box.corners if label.box else None,
        finding=_item(lesion.finding) if lesion and lesion.finding else None,
        target_row=target.source_row if target and target.source_file == TARGET_SHEET else None,
        specimens=tuple(_item(specimen) for specimen in lesion.specimens) if lesion else (),
    )


def _item(item: Item) -> EvaluatedItem:
    ranges = {(span.start, span.end) for stated in item.values.values() for span in stated.evidence}
    return EvaluatedItem(report_id=item.report_id, index=item.index, ranges=tuple(sorted(ranges)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Every figure of a run, in a fixed order."""

    figures: tuple[Figure, ...]

    def figure(self, name: str) -> Figure:
        """The figure of that name.

        Raises:
            KeyError: there is none.
        """
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)

    def as_json(self) -> str:
        """The figures as JSON."""
        return json.dumps({"figures": [asdict(figure) for figure in self.figures]}, indent=1) + "\n"

    def as_markdown(self) -> str:
        """The figures as a Markdown table."""
        rows = ["| figure | value | 95 % interval | n | meaning |", "| --- | --- | --- | --- | --- |"]
        rows += [f"| {figure.name} | {' | '.join(_cells(figure))} | {figure.meaning} |" for figure in self.figures]
        return "\n".join(rows) + "\n"


def _cells(figure: Figure) -> tuple[str, str, str]:
    count = str(figure.count) if figure.hits is None else f"{figure.hits}/{figure.count}"
    if figure.value is None or figure.low is None or figure.high is None:
        return "-", "-", count
    unit = f" {figure.unit}" if figure.unit else ""
    return f"{figure.value:.3f}{unit}", f"{figure.low:.3f} to {figure.high:.3f}", count


def evaluate(run: EvaluatedRun, truth: Path | CohortTruth) -> Evaluation:
    """Compare a run with the truth of its cohort.

    A label is the lesion that its records describe: its target first, then its finding, then its tissue. A second label
    of the same lesion is a false one.

    Raises:
        InputError: ``truth`` is no truth folder.
    """
    return Evaluation(figures=tuple(_Comparison(run, read_truth(truth) if isinstance(truth, Path) else truth).figures()))


def print_evaluation(store: Store, truth: Path, output: Path | None = None) -> None:
    """Print the figures of a run as a table, and write them as JSON where ``output`` is given."""
    from rich.console import Console
    from rich.table import Table

    evaluation = evaluate(run_from_store(store), truth)
    table = Table("figure", "value", "95 % interval", "n", "meaning", title="Run against the truth of its simulated cohort")
    for figure in evaluation.figures:
        table.add_row(figure.name, *_cells(figure), figure.meaning)
    Console().print(table)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(evaluation.as_json(), encoding="utf-8")


class _Comparison:
    def __init__(self, run: EvaluatedRun, truth: CohortTruth) -> None:
        self._run = run
        self._truth = truth
        self._known: dict[EvaluatedItem, frozenset[tuple[str, str]]] = {}
        self._lesion_of = {label.label_id: self._identify(label) for label in run.labels}

    def _identify(self, label: EvaluatedLabel) -> TrueLesion | None:
        """The true lesion at the label's own study that its records describe."""
        for keys in self._record_lesions(label):
            here = sorted(key for key in keys if key[0] == label.study_uid)
            if here:
                return self._truth.lesions[here[0]]
        return None

    def _record_lesions(self, label: EvaluatedLabel) -> Iterator[frozenset[tuple[str, str]]]:
        if label.target_row is not None:
            yield self._target(label.target_row)
        if label.finding is not None:
            yield self._about(label.finding)
        for specimen in label.specimens:
            yield self._about(specimen)

    def _target(self, row: int) -> frozenset[tuple[str, str]]:
        key = self._truth.targets.get(row)
        return frozenset() if key is None else frozenset({key})

    def _about(self, item: EvaluatedItem) -> frozenset[tuple[str, str]]:
        if item not in self._known:
            found = self._truth.item(item.report_id, item.index, item.ranges)
            self._known[item] = frozenset() if found is None else found.lesions
        return self._known[item]

    @cached_property
    def _pairs(self) -> list[tuple[EvaluatedLabel, TrueLesion]]:
        """Labels with their lesions, the first label of each lesion only: one with a box before one without."""
        pairs: dict[tuple[str, str], tuple[EvaluatedLabel, TrueLesion]] = {}
        for label in sorted(self._run.labels, key=lambda label: (label.corners is None, label.label_id)):
            lesion = self._lesion_of[label.label_id]
            if lesion is not None:
                pairs.setdefault(lesion.key, (label, lesion))
        return list(pairs.values())

    def figures(self) -> Iterator[Figure]:
        yield from self._lesion_figures()
        yield from self._yield_figures()
        yield from self._link_figures()
        yield from self._class_figures()
        yield from self._box_figures()
        yield from self._case_figures()

    def _lesion_figures(self) -> Iterator[Figure]:
        labelled = {lesion.key for _, lesion in self._pairs}
        described = [lesion for lesion in self._truth.lesions.values() if lesion.is_visible and (lesion.has_finding or lesion.has_target)]
        first = {label.label_id for label, _ in self._pairs}
        yield proportion(
            "lesion_recall", (lesion.key in labelled for lesion in described), "lesions with a finding or target that have a label"
        )
        yield _share("lesion_precision", (label.label_id in first for label in self._run.labels))

    def _yield_figures(self) -> Iterator[Figure]:
        boxed = {lesion.key for label, lesion in self._pairs if label.corners is not None}
        rows = {label.target_row for label in self._run.labels if label.corners is not None}
        yield _share("target_yield", (row in rows for row in sorted(self._truth.targets)))
        visible = [lesion for lesion in self._truth.lesions.values() if lesion.is_visible]
        yield proportion(
            "lesion_yield", (lesion.key in boxed for lesion in visible), "all visible lesions that have a box, missing records included"
        )

    def _link_figures(self) -> Iterator[Figure]:
        made = {name: list(self._links(name)) for name in ("finding-target", "finding-specimen", "target-specimen")}
        together = [is_right for links in made.values() for is_right in links]
        yield proportion("link_accuracy", together, "links in labels, of all kinds, whose two records are one lesion")
        for name, links in made.items():
            yield proportion(f"{name}_precision", links, "links in labels whose two records are one lesion")
        for name in made:
            yield proportion(f"{name}_recall", self._link_recall(name), "lesions with both records whose label has both")

    def _links(self, name: str) -> Iterator[bool]:
        for label in self._run.labels:
            finding = self._about(label.finding) if label.finding else None
            target = self._target(label.target_row) if label.target_row is not None else None
            if name == "finding-target" and finding is not None and target is not None:
                yield bool(finding & target)
            anchor = finding if name == "finding-specimen" else target
            if name != "finding-target" and anchor is not None:
                yield from (bool(anchor & self._about(specimen)) for specimen in label.specimens)

    def _link_recall(self, name: str) -> Iterator[bool]:
        first, second = name.split("-")
        joined = {lesion.key for label, lesion in self._pairs if self._has(label, lesion, first) and self._has(label, lesion, second)}
        for lesion in self._truth.lesions.values():
            stated = {"finding": lesion.has_finding, "target": lesion.has_target, "specimen": lesion.tissue == "targeted"}
            if stated[first] and stated[second]:
                yield lesion.key in joined

    def _has(self, label: EvaluatedLabel, lesion: TrueLesion, kind: str) -> bool:
        """Whether the label holds this lesion's own record of a kind."""
        if kind == "finding":
            return label.finding is not None and lesion.key in self._about(label.finding)
        if kind == "target":
            return label.target_row is not None and lesion.key in self._target(label.target_row)
        return any(lesion.key in self._about(specimen) for specimen in label.specimens)

    def _class_figures(self) -> Iterator[Figure]:
        sampled = [(label, lesion) for label, lesion in self._pairs if lesion.tissue == "targeted"]
        classed = [(label, lesion) for label, lesion in sampled if label.status is not LesionStatus.UNTESTED]
        yield proportion(
            "class_accuracy", (_is_class_right(label, lesion) for label, lesion in classed), "tissue classes that are the targeted tissue's"
        )
        significant = [(label.isup_grade or 0) >= 2 for label, _ in sampled]
        truly = [lesion.isup_grade >= 2 for _, lesion in sampled]
        yield proportion(
            "significance_accuracy", (a == b for a, b in zip(significant, truly, strict=True)), "csPCa or not, as in targeted tissue"
        )
        yield proportion(
            "tissue_coverage",
            (label.status is not LesionStatus.UNTESTED for label, _ in sampled),
            "labels of sampled lesions with a tissue class",
        )
        untested = [label for label, lesion in self._pairs if lesion.tissue == "none"]
        yield proportion(
            "untested_right", (label.status is LesionStatus.UNTESTED for label in untested), "lesions without tissue that claim none"
        )
        sided = [(label, lesion) for label, lesion in self._pairs if label.side is not None]
        yield _share("side_accuracy", (label.side == lesion.side for label, lesion in sided))

    def _box_figures(self) -> Iterator[Figure]:
        boxes = [_compare_box(label, lesion) for label, lesion in self._pairs if label.corners is not None]
        yield from _box_figures("", boxes)
        for tier in sorted({box.tier for box in boxes}):
            yield from _box_figures(f"{tier}:", [box for box in boxes if box.tier == tier])

    def _case_figures(self) -> Iterator[Figure]:
        curated = {case.study_uid: case for case in self._run.cases}
        yield _share("case_yield", (uid in curated for uid in sorted(self._truth.cases)))
        negative = {uid for uid, case in curated.items() if case.is_negative and uid in self._truth.cases}
        grades = {uid: int(case["case_isup_grade"]) for uid, case in self._truth.cases.items()}
        yield _share("negative_precision", (grades[uid] < 2 for uid in sorted(negative)))
        free = [
            uid
            for uid, case in sorted(self._truth.cases.items())
            if not grades[uid] and not case["visible_lesions"] and case["has_radiology"]
        ]
        yield proportion(
            "negative_recall", (uid in negative for uid in free), "reported studies without lesion or cancer curated as negative"
        )


def _share(name: str, outcomes: Iterable[bool]) -> Figure:
    return proportion(name, outcomes, MEANINGS[name])


def _is_class_right(label: EvaluatedLabel, lesion: TrueLesion) -> bool:
    if lesion.isup_grade == 0:
        return label.status is LesionStatus.BENIGN
    return label.status is LesionStatus.CANCER and label.isup_grade == lesion.isup_grade


@record
class _ComparedBox:
    patient_id: str
    tier: str
    error_mm: float
    overlap: float


def _compare_box(label: EvaluatedLabel, lesion: TrueLesion) -> _ComparedBox:
    corners, true_corners = np.array(label.corners), np.array(lesion.corners)
    return _ComparedBox(
        patient_id=label.patient_id,
        tier=label.tier,
        error_mm=float(np.linalg.norm(np.array(label.centre) - np.array(lesion.centre))),
        overlap=box_overlap(corners, true_corners),
    )


def _box_figures(prefix: str, boxes: Sequence[_ComparedBox]) -> Iterator[Figure]:
    errors = _by_patient((box.patient_id, box.error_mm) for box in boxes)
    overlaps = _by_patient((box.patient_id, box.overlap) for box in boxes)
    yield statistic(f"{prefix}centre_error_mean", errors, _mean, unit="mm", meaning="distance of box centre and true centre")
    yield statistic(f"{prefix}centre_error_median", errors, _median, unit="mm")
    yield statistic(f"{prefix}centre_error_p95", errors, _percentile_95, unit="mm")
    yield statistic(f"{prefix}box_iou_mean", overlaps, _mean, meaning="overlap (IoU) of the box and the true box")
    for least in OVERLAPS:
        yield proportion(f"{prefix}box_hit_{least}", (box.overlap >= least for box in boxes), f"boxes with an overlap of at least {least}")


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.mean(values))


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values))


def _percentile_95(values: NDArray[np.float64]) -> float:
    return float(np.percentile(values, 95))


def _by_patient(values: Iterable[tuple[str, float]]) -> Mapping[str, list[float]]:
    grouped: dict[str, list[float]] = {}
    for patient_id, value in values:
        grouped.setdefault(patient_id, []).append(value)
    return grouped


def box_overlap(corners: NDArray[np.float64], true_corners: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes (8, 3), each with its first axis fastest; the first may be oblique to the second.

    The intersection is counted on 32 x 32 x 32 points of the second box: about 1 % of it.

    >>> unit = np.array([(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=float)
    >>> box_overlap(unit, unit), round(box_overlap(unit, unit + (0.5, 0.0, 0.0)), 2)
    (1.0, 0.33)
    """
    edges, true_edges = _edges(corners), _edges(true_corners)
    points = _unit_points() @ true_edges + true_corners[0]
    inside = (points - corners[0]) @ np.linalg.inv(edges)
    share = float(np.mean(np.all((inside >= 0.0) & (inside <= 1.0), axis=1)))
    volume, true_volume = (abs(float(np.linalg.det(each))) for each in (edges, true_edges))
    common = share * true_volume
    return common / (volume + true_volume - common)


@cache
def _unit_points() -> NDArray[np.float64]:
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)


def _edges(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows are the box's three edge vectors."""
    return np.stack([corners[1] - corners[0], corners[2] - corners[0], corners[4] - corners[0]])
