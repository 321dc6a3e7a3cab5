"""Which series a simulated study has, where their slices lie, and what their headers say; no pixel is made here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.records.grid import Grid, Point
from weakbox.records.record import record
from weakbox.simulate import words
from weakbox.simulate.anatomy import Gland, rotation
from weakbox.simulate.draws import Draws, content_uid

PLANES = {
    "axial": np.eye(3),
    "sagittal": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]).T,
    "coronal": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]).T,
}
"""Columns are the directions of row, column and slice before the study's tilt."""
VENDOR_WEIGHTS = {"siemens": 0.55, "ge": 0.2, "philips": 0.25}
OBLIQUE_SHARE = 0.7
FRAME_PRECISION_MM = 6


@record
class Raster:
    """Pixels and slices of one kind of series: in-plane matrix, pixel size and slice step in mm."""

    matrix: int
    slices: int
    pixel_mm: float
    step_mm: float


SMALL = {
    "t2_axial": Raster(matrix=96, slices=24, pixel_mm=1.25, step_mm=3.3),
    "diffusion": Raster(matrix=56, slices=15, pixel_mm=2.2, step_mm=4.5),
    "distractor": Raster(matrix=32, slices=6, pixel_mm=5.0, step_mm=6.0),
    "localizer": Raster(matrix=32, slices=3, pixel_mm=9.0, step_mm=15.0),
}
"""About 100 files and 1 MB a study."""
FULL = {
    "t2_axial": Raster(matrix=384, slices=26, pixel_mm=0.47, step_mm=3.0),
    "diffusion": Raster(matrix=128, slices=22, pixel_mm=1.6, step_mm=3.3),
    "distractor": Raster(matrix=256, slices=20, pixel_mm=0.7, step_mm=3.6),
    "localizer": Raster(matrix=256, slices=9, pixel_mm=1.2, step_mm=15.0),
}
"""Matrices as scanners write them."""
RASTERS = {"small": SMALL, "full": FULL}


@record
class SeriesPlan:
    """One series: ``role`` names what it shows; several ``b_values`` mean several volumes in one series."""

    role: str
    """``t2_axial``, ``t2_sagittal``, ``t2_coronal``, ``dwi``, ``high_b``, ``adc``, ``dynamic``, ``localizer``, ``needle``."""
    series_uid: str
    number: int
    description: str
    vendor: str
    model: str
    grid: Grid
    frame_of_reference_uid: str
    b_values: tuple[int, ...] = ()
    temporal_position: int | None = None
    is_computed: bool = False
    is_reversed: bool = False
    """Whether the first image is the last slice."""

    @property
    def image_count(self) -> int:
        """Files in this series."""
        return self.grid.shape[2] * max(1, len(self.b_values))

    def image_number(self, slice_index: int) -> int:
        """The 1-based instance number of a slice of a one-volume series."""
        return self.grid.shape[2] - slice_index if self.is_reversed else slice_index + 1


@record
class ImagingPlan:
    """The series of one study."""

    vendor: str
    description: str
    series: tuple[SeriesPlan, ...]

    def first(self, role: str) -> SeriesPlan | None:
        """The first series of a role."""
        return next((series for series in self.series if series.role == role), None)


@record
class PlanOptions:
    """What is special about a study's images."""

    has_contrast: bool = True
    has_axial_t2: bool = True
    has_other_diffusion_frame: bool = False
    size: str = "small"


def plan_study(draws: Draws, study_uid: str, gland: Gland, vendor: str, options: PlanOptions) -> ImagingPlan:
    """The series of one diagnostic study, in the order in which they were scanned."""
    planner = _Planner(draws, study_uid, gland, vendor, options)
    return ImagingPlan(
        vendor=vendor,
        description=draws.pick(words.load("series")["study_descriptions"]["diagnostic"]),
        series=tuple(planner.diagnostic()),
    )


def plan_guidance(draws: Draws, study_uid: str, gland: Gland, vendor: str, size: str) -> ImagingPlan:
    """The series of an intra-procedural study: a localizer and needle checks in a frame of its own."""
    planner = _Planner(draws, study_uid, gland, vendor, PlanOptions(size=size))
    return ImagingPlan(
        vendor=vendor,
        description=draws.pick(words.load("series")["study_descriptions"]["guidance"]),
        series=tuple(planner.guidance()),
    )


class _Planner:
    def __init__(self, draws: Draws, study_uid: str, gland: Gland, vendor: str, options: PlanOptions) -> None:
        self._draws = draws
        self._study_uid = study_uid
        self._vendor = vendor
        self._options = options
        self._site: dict[str, Any] = words.load("series")[vendor]
        self._model = draws.pick(self._site["models"])
        self._rasters = RASTERS[options.size]
        self._frame = content_uid(study_uid, "frame")
        self._tilt = self._draw_tilt()
        self._centre = np.array(gland.centre) + np.array([draws.normal(0, 3), draws.normal(0, 3), draws.normal(0, 2)])
        self._is_reversed = draws.chance(0.3)
        self._count = 0

    def _draw_tilt(self) -> NDArray[np.float64]:
        if not self._draws.chance(OBLIQUE_SHARE):
            return np.eye(3)
        return rotation(math.radians(self._draws.uniform(4, 22)), math.radians(self._draws.uniform(-4, 4)))

    def diagnostic(self) -> Iterator[SeriesPlan]:
        yield self._series("localizer", "localizer", np.eye(3))
        yield self._series("t2_sagittal", "distractor", PLANES["sagittal"])
        if self._options.has_axial_t2:
            yield self._series("t2_axial", "t2_axial", self._tilt)
        yield self._series("t2_coronal", "distractor", self._tilt @ PLANES["coronal"])
        yield from self._diffusion()
        if self._options.has_contrast:
            for phase in (1, 2):
                yield self._series("dynamic", "distractor", self._tilt, phase=phase)

    def guidance(self) -> Iterator[SeriesPlan]:
        yield self._series("localizer", "localizer", np.eye(3))
        for _ in range(2):
            yield self._series("needle", "distractor", self._tilt)

    def _diffusion(self) -> Iterator[SeriesPlan]:
        """Several b in one series, one series for each, or acquired low b with a computed high one; then the ADC map."""
        axes = self._tilt
        frame = content_uid(self._study_uid, "diffusion frame") if self._options.has_other_diffusion_frame else self._frame
        low = tuple(self._draws.pick(self._site["b_values"]))
        high = self._draws.pick(self._site["high_b"])
        layout = self._draws.pick(self._site["layouts"])
        if layout == "series_per_b":
            for b_value in (*low, high):
                yield self._series("dwi", "diffusion", axes, b_values=(b_value,), name="dwi_single", frame=frame)
        elif layout == "one_series_all":
            yield self._series("dwi", "diffusion", axes, b_values=(*low, high), frame=frame)
        else:
            yield self._series("dwi", "diffusion", axes, b_values=low, frame=frame)
            yield self._series("high_b", "diffusion", axes, b_values=(high,), is_computed=True, frame=frame)
        yield self._series("adc", "diffusion", axes, name_b_values=low, frame=frame)

    def _series(
        self,
        role: str,
        raster: str,
        axes: NDArray[np.float64],
        *,
        b_values: Sequence[int] = (),
        name_b_values: Sequence[int] = (),
        name: str | None = None,
        phase: int | None = None,
        is_computed: bool = False,
        frame: str | None = None,
    ) -> SeriesPlan:
        self._count += 1
        frame = frame or self._frame
        names = self._site["descriptions"][name or role]
        pattern = names[0] if role == "dynamic" else self._draws.stream("name", self._count).pick(names)
        shown = tuple(b_values or name_b_values)
        description = pattern.format(
            b=shown[-1] if shown else "", bs="_".join(map(str, shown)), n=len(shown), p=phase, t=f"{(phase or 0) * 8.4:.1f}"
        )
        return SeriesPlan(
            role=role,
            series_uid=content_uid(self._study_uid, "series", self._count),
            number=self._count + (self._count > 4),
            description=description,
            vendor=self._vendor,
            model=self._model,
            grid=self._grid(self._rasters[raster], axes, frame),
            frame_of_reference_uid=frame,
            b_values=tuple(b_values),
            temporal_position=phase,
            is_computed=is_computed,
            is_reversed=self._is_reversed and role not in ("localizer", "dynamic"),
        )

    def _grid(self, raster: Raster, axes: NDArray[np.float64], frame: str) -> Grid:
        """Centred on the volume's middle; positions rounded as the header writes them."""
        axes = np.round(axes, 9)
        steps = axes * np.array([raster.pixel_mm, raster.pixel_mm, raster.step_mm])
        middle = (np.array([raster.matrix, raster.matrix, raster.slices]) - 1) / 2.0
        matrix = np.eye(4)
        matrix[:3, :3] = steps
        matrix[:3, 3] = np.round(self._centre - steps @ middle, FRAME_PRECISION_MM)
        return Grid.from_matrix(matrix, (raster.matrix, raster.matrix, raster.slices), frame)


def nearest_image(series: SeriesPlan, lps: Point) -> int:
    """The instance number of the slice nearest to a point."""
    index = round(float(series.grid.to_index(lps)[2]))
    return series.image_number(min(max(index, 0), series.grid.shape[2] - 1))
