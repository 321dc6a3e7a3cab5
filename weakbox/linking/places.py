"""Where a case's records lie in the frame of its reference series, and where its gland lies."""

from __future__ import annotations

from collections.abc import Sequence

from weakbox.imaging.frames import Placed, place_points
from weakbox.organs.prostate_geometry import GlandFrame, frame_of_mask, prior_frame
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, CoordinateSystem, Segmentation
from weakbox.records.case import Case
from weakbox.records.grid import Point
from weakbox.records.imaging import Purpose


def gland_frame(case: Case) -> GlandFrame | None:
    """The gland's frame in the reference series: from its mask, else the prior at the image centre; None without a series."""
    reference = case.study.chosen(Purpose.T2W)
    if reference is None or reference.grid is None or any(report.organ != "prostate" for report in case.radiology):
        return None
    if case.gland is not None and centroid_of(case.gland, case):
        return frame_of_mask(case.gland)
    volume = case.radiology[0].value("exam.prostate_volume_ml") if case.radiology else None
    return prior_frame(reference.grid, float(volume) if isinstance(volume, int | float) else None)


def centroid_of(mask: Segmentation, case: Case) -> Point | None:
    """A mask's centroid in the reference frame, or None."""
    return next(iter(points_of(mask, [mask.centroid], case).points), None)


def point_of_target(target: BiopsyTarget, case: Case) -> Point | None:
    """A target's position in the reference frame, LPS mm, or None."""
    return next(iter(points_of(target, [target.position], case).points), None) if target.position else None


def points_of(record: BiopsyTarget | BiopsyCore | Segmentation, points: Sequence[Point], case: Case) -> Placed:
    """Points of a record in the reference series' frame, or why there are none."""
    return place_points(
        points,
        case.study,
        case.study.chosen(Purpose.T2W),
        coordinate_system=record.coordinate_system if isinstance(record, BiopsyTarget) else CoordinateSystem.LPS,
        frame_uid=record.frame_of_reference_uid,
        series_uid=record.series_uid,
        study_uid=record.study_uid,
    )
