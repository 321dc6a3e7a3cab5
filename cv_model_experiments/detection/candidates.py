"""Lesion candidates cut from a map of probabilities, by the rules of Report-Guided-Annotation (Bosma 2023), and their boxes.

*Dynamic*: take the highest voxel, let it grow over connected voxels of at least ``peak_share`` (0.4) of it, keep the component if
it is large enough and touches no kept one, and go on until ``most`` are kept or the peak is below ``least_peak``.
*Static*: the components above one threshold. Voxels touch over faces, edges and corners (26 neighbours), as in
picai_eval. A component's score is its highest probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cv_model_experiments.detection.settings import SegmentationSettings

Map = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A component of a map; ``where`` cuts out ``voxels`` (boolean) from the map."""

    where: tuple[slice, ...]
    voxels: NDArray[np.bool_]
    score: float

    @property
    def box(self) -> tuple[float, ...]:
        """Its edges on tensor axes: starts, then stops."""
        return (*(float(part.start) for part in self.where), *(float(part.stop) for part in self.where))


def _structure(axes: int) -> NDArray[np.bool_]:
    return np.ones((3,) * axes, dtype=bool)


def dynamic_candidates(probabilities: Map, settings: SegmentationSettings) -> list[Candidate]:
    """Candidates of a map (2-D or 3-D), best first."""
    remaining = np.array(probabilities, np.float32)
    kept: list[Candidate] = []
    taken = np.zeros(remaining.shape, dtype=bool)
    while len(kept) < settings.most:
        peak = np.unravel_index(int(remaining.argmax()), remaining.shape)
        height = float(remaining[peak])
        if height < settings.least_peak:
            break
        candidate = _component_at(remaining, peak, height * settings.peak_share)
        view = remaining[candidate.where]
        view[candidate.voxels] = 0.0
        if candidate.voxels.sum() >= settings.least_voxels and not _touches(taken, candidate):
            kept.append(candidate)
            taken[candidate.where] |= candidate.voxels
    return kept


def _component_at(values: Map, peak: tuple[np.intp, ...], limit: float) -> Candidate:
    marked, _ = ndimage.label(values >= limit, structure=_structure(values.ndim))
    number = int(marked[peak])
    where = ndimage.find_objects(marked, max_label=number)[number - 1]
    return Candidate(where=where, voxels=marked[where] == number, score=float(values[peak]))


def _touches(taken: NDArray[np.bool_], candidate: Candidate) -> bool:
    around = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in candidate.where)
    block = taken[around]
    if not block.any():
        return False
    own = np.zeros(block.shape, dtype=bool)
    own[tuple(slice(part.start - outer.start, part.stop - outer.start) for part, outer in zip(candidate.where, around, strict=True))] = (
        candidate.voxels
    )
    return bool((ndimage.binary_dilation(own, _structure(own.ndim)) & block).any())


def static_candidates(probabilities: Map, settings: SegmentationSettings) -> list[Candidate]:
    """Candidates of a map (2-D or 3-D), best first."""
    marked, _ = ndimage.label(probabilities >= settings.threshold, structure=_structure(probabilities.ndim))
    found = []
    for number, where in enumerate(ndimage.find_objects(marked), start=1):
        voxels = marked[where] == number
        if voxels.sum() >= settings.least_voxels:
            found.append(Candidate(where=where, voxels=voxels, score=float(probabilities[where][voxels].max())))
    return sorted(found, key=lambda one: (-one.score, one.box))[: settings.most]


EXTRACTIONS: dict[str, Callable[[Map, SegmentationSettings], list[Candidate]]] = {
    "dynamic": dynamic_candidates,
    "static": static_candidates,
}


def detection_map(candidates: Sequence[Candidate], shape: Sequence[int]) -> Map:
    """Each candidate's voxels at its score, 0 elsewhere: what picai_eval scores.

    Dynamic candidates never touch; static ones are components, so they do not either.
    """
    painted = np.zeros(tuple(shape), np.float32)
    for candidate in candidates:
        painted[candidate.where][candidate.voxels] = candidate.score
    return painted
