"""b-values of every vendor, with their source."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.mr_files import SHARED_DATA, needs_shared
from weakbox.imaging.bvalues import Diffusion, b_values_from_description, b_values_of_adc, read_b_value
from weakbox.imaging.header import read_headers

MR = SHARED_DATA / "mr_dicom_multivendor"


@pytest.mark.parametrize(
    ("header", "value", "source"),
    [
        ({"diffusion_b_value": 1400.0, "siemens_b_value": 7.0}, 1400, "(0018,9087)"),
        ({"siemens_b_value": 800.0}, 800, "Siemens (0019"),
        ({"csa_b_value": 1000.0}, 1000, "CSA"),
        ({"ge_b_value": [1000000800.0, 8.0, 0.0, 0.0]}, 800, "GE"),
        ({"ge_b_value": [1400.0, 8.0, 0.0, 0.0]}, 1400, "GE"),
        ({"ge_b_value": [101400.0, 8.0, 0.0, 0.0]}, 1400, "GE"),
        ({"philips_b_value": 0.003}, 0, "Philips"),
        ({"philips_b_value": 1500.0}, 1500, "Philips"),
        ({"uih_b_value": 1200.0}, 1200, "UIH"),
        ({"sequence_name": "*ep_b1400t"}, 1400, "SequenceName"),
        ({"sequence_name": "ep_b1000#12"}, 1000, "SequenceName"),
        ({"sequence_name": "*re_b0"}, 0, "SequenceName"),
    ],
)
def test_every_place_is_read_and_named(header: dict[str, Any], value: float, source: str) -> None:
    found = read_b_value(header)
    assert found is not None
    assert found.value == value
    assert source in found.source


@pytest.mark.parametrize(
    "header", [{}, {"sequence_name": "*tse2d1_25"}, {"sequence_name": "*ep_b50_800"}, {"diffusion_b_value": -1.0}, {"ge_b_value": []}]
)
def test_where_nothing_states_a_b_value_there_is_none(header: dict[str, Any]) -> None:
    assert read_b_value(header) is None


@pytest.mark.parametrize(
    ("header", "diffusion", "direction"),
    [
        ({"diffusion_b_value": 800.0, "diffusion_directionality": "ISOTROPIC", "diffusion_gradient": [0, 0, 1]}, Diffusion.TRACE, None),
        ({"diffusion_b_value": 800.0, "diffusion_gradient": [0.0, 0.6, -0.8]}, Diffusion.DIRECTION, "0.000,0.600,-0.800"),
        ({"diffusion_b_value": 0.0, "diffusion_gradient": [0.0, 0.6, -0.8]}, Diffusion.NONE, None),
        ({"siemens_b_value": 800.0, "image_type": "DERIVED\\PRIMARY\\DIFFUSION\\TRACEW"}, Diffusion.TRACE, None),
        (
            {"ge_b_value": [800.0], "ge_gradient_x": 0.0, "ge_gradient_y": 1.0, "ge_gradient_z": 0.0},
            Diffusion.DIRECTION,
            "0.000,1.000,0.000",
        ),
        ({"ge_b_value": [800.0], "ge_gradient_x": 0.0, "ge_gradient_y": 0.0, "ge_gradient_z": 0.0}, Diffusion.UNKNOWN, None),
        ({"sequence_name": "ep_b1000#12"}, Diffusion.DIRECTION, "12"),
        ({"sequence_name": "*ep_b50t"}, Diffusion.TRACE, None),
    ],
)
def test_trace_and_directions_are_told_apart(header: dict[str, Any], diffusion: Diffusion, direction: str | None) -> None:
    found = read_b_value(header)
    assert found is not None
    assert (found.diffusion, found.direction) == (diffusion, direction)


def test_the_two_b_values_of_a_map_are_read_from_its_sequence_name() -> None:
    assert b_values_of_adc("*ep_b50_800") == (50.0, 800.0)
    assert b_values_of_adc("*ep_b800t") == ()


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("DWI b=1500", (1500,)),
        ("ax dwi b 50 400 and 1000", (50, 400, 1000)),
        ("diff_b-value_1400", (1400,)),
        ("ep2d_diff_tra_b0_b1000_p2_128_ADC", (0, 1000)),
        ("**AX DWI FS ZOOM 100_600_1000**_CALC_BVAL", (100, 600, 1000)),
        ("t2_tse_tra_512", ()),
        ("DWI SENSE 3b", ()),
        ("tfl_dyn_fast_tra_1.5x1.5_t3.5sec", ()),
        ("ep2d-advdiff-MDDW-12dir_spair_511b", ()),
    ],
)
def test_digits_of_a_description_are_the_last_resort(description: str, expected: tuple[float, ...]) -> None:
    assert b_values_from_description(description) == expected


def dcm2niix_b_values(folder: Path, output: Path) -> list[float]:
    """b-values that dcm2niix writes for the series of a folder, rounded (Philips numbers b = 0 repeats 0.001, 0.002 ...)."""
    output.mkdir()
    subprocess.run(
        ["dcm2niix", "-b", "y", "-z", "n", "-d", "9", "-f", "%s_%e", "-o", str(output), str(folder)], check=True, capture_output=True
    )
    return sorted({float(round(float(word))) for path in output.glob("*.bval") for word in path.read_text().split()})


@needs_shared
@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dcm2niix") is None, reason="dcm2niix is not installed")
@pytest.mark.parametrize(
    "place",
    [
        "prostate_dicom/ProstateX/ProstateX-0000/07-07-2011/6.000000-ep2ddifftraDYNDIST-69284",
        "prostate_dicom/ProstateX/ProstateX-0000/07-07-2011/8.000000-ep2ddifftraDYNDISTCALCBVAL-83202",
        "mr_dicom_multivendor/dcm_qa_ge/01_Ax_DWI_TENSOR_R2",
        "mr_dicom_multivendor/dcm_qa_philips_dwi/cl/DICOM",
        "mr_dicom_multivendor/dicom2nifti/ge/dti/001",
        "mr_dicom_multivendor/dicom2nifti/philips/dti/001",
    ],
)
def test_b_values_are_those_of_dcm2niix(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted((SHARED_DATA / place).iterdir()):
        content = path.read_bytes()
        (folder / path.name.removesuffix(".gz")).write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
    found = [read_b_value(header) for path in sorted(folder.iterdir()) for header in read_headers(path).headers]
    assert all(found)
    assert sorted({b_value.value for b_value in found if b_value}) == dcm2niix_b_values(folder, tmp_path / "out")


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize(("name", "expected"), [("siemens_dwi_0", 0.0), ("siemens_dwi_1000", 1000.0)])
def test_siemens_mosaics_state_their_b_value_twice(name: str, expected: float, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.decompress((MR / "nibabel" / f"{name}.dcm.gz").read_bytes()))
    (header,) = read_headers(path).headers
    assert read_b_value(header).value == expected  # type: ignore[union-attr]
    without_private = {key: value for key, value in header.items() if key not in ("siemens_b_value", "sequence_name")}
    from_csa = read_b_value(without_private)
    assert from_csa is not None
    assert (from_csa.value, from_csa.source) == (expected, "Siemens CSA B_value")
