"""Whether a point may be placed on a series: equality of the Frame of Reference, never a guess."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weakbox.records.biopsy import CoordinateSystem
from weakbox.records.grid import Point
from weakbox.records.imaging import ImagingStudy, Series
from weakbox.records.record import record

FRAME_UNSTATED = "frame_unstated"


@record
class Placed:
    """Points in the reference series' frame, LPS mm, or the reason why there are none.

    ``problem`` with points is a remark (``frame_unstated``); without points it is why they cannot be used:
    ``frame_mismatch``, ``series_not_found``, ``indices_without_grid``, ``no_reference``.
    """

    points: tuple[Point, ...] = ()
    problem: str | None = None


def place_points(
    points: Sequence[Point],
    study: ImagingStudy,
    reference: Series | None,
    *,
    coordinate_system: CoordinateSystem = CoordinateSystem.LPS,
    frame_uid: str | None = None,
    series_uid: str | None = None,
    study_uid: str | None = None,
) -> Placed:
    """Points of a source that names a frame, a series or a study, in the frame of ``reference``.

    A stated frame must equal the reference's. Without one, the named series' frame counts, then the study's where all its
    series share one; otherwise the frame is unstated, which the caller may allow or not.
    """
    if reference is None or reference.grid is None:
        return Placed(problem="no_reference")
    series = next((each for each in study.series if each.series_uid == series_uid), None) if series_uid else None
    if coordinate_system is CoordinateSystem.IJK:
        if series is None or series.grid is None:
            return Placed(problem="indices_without_grid")
        points = [_point(series.grid.to_lps(point)) for point in points]
    problem = _frame_problem(study, reference, series, frame_uid, series_uid, study_uid)
    return Placed(problem=problem) if problem not in (None, FRAME_UNSTATED) else Placed(points=tuple(points), problem=problem)


def _frame_problem(
    study: ImagingStudy, reference: Series, series: Series | None, frame_uid: str | None, series_uid: str | None, study_uid: str | None
) -> str | None:
    expected = frame_of(reference)
    if series is not None and series.key == reference.key and frame_uid in (None, expected):
        return None
    if series_uid is not None and series is None and frame_uid is None:
        return "series_not_found"
    stated = frame_uid or (frame_of(series) if series is not None else _only_frame(study) if study_uid == study.study_uid else None)
    if stated is None or expected is None:
        return FRAME_UNSTATED
    return None if stated == expected else "frame_mismatch"


def frame_of(series: Series) -> str | None:
    """The frame of a series: its header's, else its grid's."""
    return series.frame_of_reference_uid or (series.grid.frame_of_reference_uid if series.grid else None)


def _only_frame(study: ImagingStudy) -> str | None:
    frames = {frame_of(series) for series in study.series if series.is_diagnostic}
    return frames.pop() if len(frames) == 1 else None


def _point(values: NDArray[np.float64]) -> Point:
    x, y, z = values
    return float(x), float(y), float(z)
