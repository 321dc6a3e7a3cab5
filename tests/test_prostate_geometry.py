"""The sector map in the gland, on a gland that is asymmetric and tilted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from weakbox.organs.prostate_geometry import (
    PRIOR_EXTENTS_MM,
    PRIOR_VOLUME_ML,
    frame_of_mask,
    prior_frame,
    region_centre,
    sector_centre,
    sectors_at,
)
from weakbox.records.biopsy import Segmentation, SegmentationKind
from weakbox.records.grid import Grid, Point
from weakbox.terminology.sectors import SECTOR_BY_ID, SECTORS

CENTRE: Point = (7.0, 31.0, -64.0)


def gland(degrees: float = 0.0) -> Segmentation:
    """60 x 36 x 48 mm, tilted about left-right; its edges run right, cranial and posterior, in that order."""
    angle = math.radians(degrees)
    turn = np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])
    edges = [tuple(float(v) for v in turn @ np.array(edge)) for edge in ((-60.0, 0, 0), (0, 0, 48.0), (0, 36.0, 0))]
    corner = np.array(CENTRE) - np.sum(edges, axis=0) / 2.0
    return Segmentation(
        segmentation_id="g", patient_id="p", kind=SegmentationKind.GLAND, label=None, path="g.nii.gz", segment_number=1, centroid=CENTRE,
        corner=(float(corner[0]), float(corner[1]), float(corner[2])), edges=(edges[0], edges[1], edges[2]), volume_ml=54.0,
    )  # type: ignore[arg-type]  # fmt: skip


def test_the_frame_of_a_mask_finds_its_centre_axes_and_extents_whatever_way_its_edges_run() -> None:
    frame = frame_of_mask(gland())
    assert np.allclose(frame.centre, CENTRE)
    assert np.allclose(frame.axes, np.eye(3))
    assert np.allclose(frame.half_extents, (30.0, 18.0, 24.0))


@pytest.mark.parametrize("degrees", [0.0, 20.0, -30.0])
def test_every_sector_of_the_gland_contains_its_own_centre(degrees: float) -> None:
    frame = frame_of_mask(gland(degrees))
    for sector_id in SECTORS:
        site = sectors_at(sector_centre(sector_id, frame), frame)
        sector = SECTOR_BY_ID[sector_id]
        assert site.sectors[0] == sector_id
        assert site.distances_mm[0] == pytest.approx(0.0, abs=1e-9)
        assert site.zone == sector.zone
        assert sector.level is None or site.level == sector.level
        assert sector.side is None or sector.side == site.side or abs(site.left_mm) <= 4.0


def test_patient_left_is_positive_x_base_is_cranial_and_the_peripheral_zone_is_posterior() -> None:
    frame = frame_of_mask(gland())
    left, right = sector_centre("L_mid_PZpl", frame), sector_centre("R_mid_PZpl", frame)
    assert left[0] > CENTRE[0] > right[0]
    assert sector_centre("L_base_TZa", frame)[2] > sector_centre("L_mid_TZa", frame)[2] > sector_centre("L_apex_TZa", frame)[2]
    assert sector_centre("L_mid_PZpm", frame)[1] > CENTRE[1] > sector_centre("L_mid_AFS", frame)[1]
    assert sectors_at((CENTRE[0] + 20.0, CENTRE[1] + 8.0, CENTRE[2] + 18.0), frame).level == "base"


def test_the_levels_are_thirds_of_the_height_of_a_tilted_gland() -> None:
    frame = frame_of_mask(gland(25.0))
    for w, level in ((0.34, "base"), (0.32, "mid"), (-0.32, "mid"), (-0.34, "apex")):
        assert sectors_at(frame.to_lps((0.1, 0.0, w)), frame).level == level


def test_a_point_near_the_midline_has_no_side() -> None:
    frame = frame_of_mask(gland())
    assert sectors_at((CENTRE[0] + 3.0, CENTRE[1], CENTRE[2]), frame).side == "midline"
    assert sectors_at((CENTRE[0] - 5.0, CENTRE[1], CENTRE[2]), frame).side == "right"


def test_how_far_a_point_lies_outside_the_gland_is_measured_in_millimetres() -> None:
    frame = frame_of_mask(gland())
    assert sectors_at(CENTRE, frame).outside_mm == 0.0
    assert sectors_at((CENTRE[0] + 33.0, CENTRE[1] + 22.0, CENTRE[2]), frame).outside_mm == pytest.approx(5.0)


def test_the_prior_lies_at_the_image_centre_and_grows_with_the_reported_volume() -> None:
    grid = Grid.from_matrix([[0.5, 0, 0, -70], [0, 0.5, 0, -40], [0, 0, 3, -90], [0, 0, 0, 1]], (281, 201, 21), "1")
    typical, large = prior_frame(grid), prior_frame(grid, 8.0 * PRIOR_VOLUME_ML)
    assert np.allclose(typical.centre, (0.0, 10.0, -60.0))
    assert np.allclose(typical.half_extents, np.array(PRIOR_EXTENTS_MM) / 2.0)
    assert np.allclose(large.half_extents, PRIOR_EXTENTS_MM)
    assert pytest.approx(57.0, abs=0.5) == PRIOR_VOLUME_ML


def test_a_region_is_the_mean_of_the_sectors_that_its_words_leave() -> None:
    frame = frame_of_mask(gland())
    both = region_centre(frame, side="left", zone="PZ", levels=("mid",), positions=("posterior",))
    pieces = [sector_centre(name, frame) for name in ("L_mid_PZpl", "L_mid_PZpm")]
    assert np.allclose(both or (), np.mean(pieces, axis=0))
    assert region_centre(frame, side="left", zone=None, sectors=("L_base_CZ",)) == sector_centre("L_base_CZ", frame)


def test_a_midline_region_lies_on_the_midline() -> None:
    frame = frame_of_mask(gland())
    centre = region_centre(frame, side="midline", zone="PZ", levels=("apex",))
    assert centre is not None
    assert centre[0] == pytest.approx(CENTRE[0])
    assert centre[2] < CENTRE[2]


@pytest.mark.parametrize(
    ("side", "zone", "levels", "sectors"),
    [(None, "PZ", ("mid",), ()), ("left", None, (), ()), ("bilateral", "TZ", ("mid",), ("L_mid_TZa", "R_mid_TZa"))],
)
def test_words_that_do_not_say_one_place_have_no_centre(
    side: str | None, zone: str | None, levels: tuple[str, ...], sectors: tuple[str, ...]
) -> None:
    assert region_centre(frame_of_mask(gland()), side=side, zone=zone, levels=levels, sectors=sectors) is None


def test_seminal_vesicles_lie_above_and_behind_the_gland() -> None:
    frame = frame_of_mask(gland())
    centre = region_centre(frame, side="right", zone="SV")
    assert centre is not None
    assert centre[0] < CENTRE[0]
    assert centre[2] > CENTRE[2] + 24.0
