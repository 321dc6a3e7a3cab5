"""A study's DICOM files: pixels of the phantom under the headers of the plan, in the folder layout of its site."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakbox.simulate.anatomy import Gland
from weakbox.simulate.course import Region
from weakbox.simulate.dicom_series import PHILIPS_ADC_SLOPE, StudyHeader, series_files
from weakbox.simulate.imaging_plan import ImagingPlan, SeriesPlan
from weakbox.simulate.phantom import Tissue, adc_pixels, contrast_pixels, diffusion_pixels, t2_pixels, tissue_on

LAYOUTS = {
    "north": "{patient}/{day}_{accession}/{number:03d}_{name}/IM-{image:04d}.dcm",
    "harbour": "harbour/{accession}/{uid}.dcm",
    "university": "university/{patient}/ST{day}/SE{number:04d}/I{image:04d}",
}
"""Where a site's archive puts a file."""


def write_study(folder: Path, site: str, header: StudyHeader, plan: ImagingPlan, gland: Gland, regions: tuple[Region, ...]) -> int:
    """Write every series of a study below ``folder``; returns the number of files."""
    tissues: dict[tuple[object, ...], Tissue] = {}
    count = 0
    for series in plan.series:
        key = (series.grid.affine, series.grid.shape)
        if key not in tissues:
            tissues[key] = tissue_on(series.grid, gland, regions)
        for uid, number, content in series_files(header, series, _volumes(series, tissues[key])):
            path = folder / _file_name(site, header, series, uid, number)
            if number == 1 or count == 0 or not path.parent.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
            count += 1
    return count


def _file_name(site: str, header: StudyHeader, series: SeriesPlan, uid: str, number: int) -> str:
    return LAYOUTS[site].format(
        patient=header.patient_id,
        day=header.day.strftime("%Y%m%d"),
        accession=header.accession,
        number=series.number,
        name=re.sub(r"[^A-Za-z0-9]+", "_", series.description).strip("_"),
        uid=uid,
        image=number,
    )


def _volumes(series: SeriesPlan, tissue: Tissue) -> list[NDArray[np.uint16]]:
    """One volume for each b-value; one for every other series."""
    noise = np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(series.series_uid.encode()).digest()[:8], "big")))
    if series.b_values:
        return [diffusion_pixels(tissue, b_value, noise) for b_value in series.b_values]
    if series.role == "adc":
        return [adc_pixels(tissue, noise, 1.0 / PHILIPS_ADC_SLOPE if series.vendor == "philips" else 1.0)]
    if series.role == "dynamic":
        return [contrast_pixels(tissue, series.temporal_position or 1, noise)]
    return [t2_pixels(tissue, noise)]
