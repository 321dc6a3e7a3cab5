"""Roles and planes of MR series, from words alone and from tags."""

from __future__ import annotations

import csv
import hashlib
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mr_files import SHARED_DATA, needs_shared
from weakbox.imaging.role_table import classify_descriptions
from weakbox.imaging.roles import (
    FALLBACK_CONFIDENCE,
    PixelStatistics,
    RoleReading,
    SeriesFacts,
    plane_of,
    role_from_description,
    role_from_pixels,
    role_of_series,
)
from weakbox.records.errors import InputError
from weakbox.records.imaging import Plane, SeriesRole

LABELLED = SHARED_DATA / "series_descriptions" / "prostate_mr_labelled.csv"
BREAST = SHARED_DATA / "series_descriptions" / "breast_series_descriptions.csv"


@pytest.mark.parametrize(
    ("description", "role", "plane"),
    [
        # words that are in no labelled table: vendors, languages, seams
        ("T2 TSE transversaal 3 mm", "T2W", "axial"),
        ("t2_tse_koronal", "T2W", "coronal"),
        ("AXT2 FRFSE small FOV", "T2W", "axial"),
        ("eT2W_TSE_sagittal", "T2W", "sagittal"),
        ("T2W_SPACE_cor_iso", "T2W", "coronal"),
        ("SAG CUBE T2", "T2W", "sagittal"),
        ("t2_blade_obl_tra", "T2W", "axial"),
        ("dADC map", "ADC", None),
        ("eADC", "OTHER", None),
        ("ADC (10^-6 mm2/s)", "ADC", None),
        ("Diffusie b1500", "DWI", None),
        ("diffusion ax b2000 calc", "DWI", "axial"),
        ("resolve_4scan_trace_tra_TRACEW", "DWI", "axial"),
        ("IVIM tra", "DWI", "axial"),
        ("t1_twist_dynamisch_tra", "DCE", "axial"),
        ("perfusion dynamique", "DCE", None),
        ("T1 VIBE dyn +C", "DCE", None),
        ("SUB 3 min", "DCE", None),
        ("t1_tse_tra_pelvis", "T1W", "axial"),
        ("Ax T1 w/o", "T1W", "axial"),
        ("t1_vibe_dixon_cor_W", "T1W", "coronal"),
        ("Lokalisator Survey", "LOCALIZER", None),
        ("3-PLANE LOC", "LOCALIZER", None),
        ("ASSET calibration", "LOCALIZER", None),
        ("MIP of subtraction", "OTHER", None),
        ("PD_TSE_FS_tra", "OTHER", "axial"),
        ("Screen Save", "OTHER", None),
        ("STIR cor", "OTHER", "coronal"),
        ("T2* GRE ax", "OTHER", "axial"),
        ("fractional anisotropy", "OTHER", None),
        ("no text value", "unknown", None),
        ("", "unknown", None),
        ("   ", "unknown", None),
    ],
)
def test_words_show_role_and_plane(description: str, role: str, plane: str | None) -> None:
    reading = role_from_description(description)
    assert (reading.role.value, reading.plane.value if reading.plane else None) == (role, plane)


@pytest.mark.parametrize(
    ("description", "is_computed", "b_values"),
    [
        ("DW_Synthetic: Ax DWI All B-50-800 Synthetic B-1400", True, (1400,)),
        ("ep2d_diff_b0_100_400_800_1400_CALC_BVAL", True, ()),
        ("Ax eDWI _CALC_BVAL", True, ()),
        ("cDWI b2000", True, (2000,)),
        ("calc b1500", True, (1500,)),
        ("ep2d_diff_b1400_TRACEW", False, (1400,)),
        ("t2_tse_tra_320_p2", False, ()),
    ],
)
def test_computed_b_images_are_known_with_their_b_where_it_is_told(
    description: str, is_computed: bool, b_values: tuple[float, ...]
) -> None:
    reading = role_from_description(description)
    assert (reading.is_computed_b, reading.b_values) == (is_computed, b_values)


@pytest.mark.parametrize(
    "description", ["t2_tse_tra biopsy", "BEAT_IRTTT needle", "tra naald controle", "in-bore guidance T2", "trufi Biopsie Nadel"]
)
def test_needle_guidance_is_known(description: str) -> None:
    assert role_from_description(description).is_guidance


@pytest.mark.parametrize(
    "description", ["t2_tse_tra", "ep2d_diff_tra_DYNDIST_ADC", "T2 Ax SPACE Prostate Plane(Top of Bladder-Thru Prostate)"]
)
def test_diagnostic_series_are_no_guidance(description: str) -> None:
    assert not role_from_description(description).is_guidance


@given(st.text(max_size=60))
def test_any_text_reads_to_a_role_with_a_confidence(text: str) -> None:
    reading = role_from_description(text)
    assert 0.0 <= reading.confidence <= 1.0
    assert (reading.role is SeriesRole.UNKNOWN) == (reading.confidence == 0.0)


def labelled_half(half: int) -> list[dict[str, str]]:
    with LABELLED.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if int(hashlib.sha1(row["series_description"].encode()).hexdigest(), 16) % 2 == half]


def is_right(row: dict[str, str], reading: RoleReading) -> bool:
    plane = reading.plane.value if reading.plane else ""
    return reading.role.value == row["role"] and row["plane"] in ("", plane)


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("half", [0, 1])
def test_real_descriptions_are_read_right(half: int) -> None:
    rows = labelled_half(half)
    right = sum(is_right(row, role_from_description(row["series_description"])) for row in rows)
    assert right / len(rows) >= 0.97


@needs_shared
@pytest.mark.shared
def test_breast_descriptions_read_without_a_guess_where_no_word_is_known() -> None:
    with BREAST.open(encoding="utf-8") as file:
        descriptions = sorted({row["SeriesDescription"] for row in csv.DictReader(file) if row["Modality"] == "MR"})
    readings = {description: role_from_description(description) for description in descriptions}
    unknown = sum(reading.role is SeriesRole.UNKNOWN for reading in readings.values())
    assert unknown / len(readings) < 0.1
    assert readings["ISPY2: Dynamic"].role is SeriesRole.DCE
    assert readings["RT BREAST SAG"].role is SeriesRole.UNKNOWN
    for description, reading in readings.items():
        if "locali" in description.lower() and "localization" not in description.lower():
            assert reading.role is SeriesRole.LOCALIZER, description


def facts(**values: object) -> SeriesFacts:
    sets = {"image_type", "scanning_sequence"}
    return SeriesFacts(**{name: frozenset(value) if name in sets else value for name, value in values.items()})  # type: ignore[arg-type, call-overload]


def test_another_modality_is_other_whatever_its_words() -> None:
    reading = role_of_series(facts(modality="CT", description="T2 axial"))
    assert (reading.role, reading.confidence) == (SeriesRole.OTHER, 1.0)


def test_tags_win_over_words() -> None:
    assert role_of_series(facts(image_type=["DERIVED", "DIFFUSION", "ADC"], description="ep2d_diff")).role is SeriesRole.ADC
    assert role_of_series(facts(image_type=["ORIGINAL", "PRIMARY", "LOCALIZER"], description="t2 tra")).role is SeriesRole.LOCALIZER
    assert role_of_series(facts(image_type=["DERIVED", "EADC"], description="adc")).role is SeriesRole.OTHER
    assert role_of_series(facts(b_values=(1400.0,), scanning_sequence=["EP"], description="")).role is SeriesRole.DWI


def test_ge_maps_are_known_by_their_words_against_their_b_value() -> None:
    adc = role_of_series(facts(description="ADC (10^-6 mm²/s)", scanning_sequence=["EP", "SE"], b_values=(1000.0,)))
    exponential = role_of_series(facts(description="Exponential Apparent Diffusion Coefficient", b_values=(1000.0,)))
    assert (adc.role, exponential.role) == (SeriesRole.ADC, SeriesRole.OTHER)
    assert adc.b_values == ()


def test_words_and_timing_confirm_each_other() -> None:
    both = role_of_series(facts(description="t2_tse", scanning_sequence=["SE"], echo_time_ms=101.0, repetition_time_ms=5000.0))
    alone = role_of_series(facts(description="t2_tse"))
    assert both.role is alone.role is SeriesRole.T2W
    assert both.confidence > alone.confidence


def test_a_contradiction_of_words_and_timing_is_unsure() -> None:
    reading = role_of_series(facts(description="t2_tse", scanning_sequence=["SE"], echo_time_ms=10.0, repetition_time_ms=500.0))
    assert reading.role is SeriesRole.T1W
    assert reading.confidence < FALLBACK_CONFIDENCE


def test_timing_alone_reads_series_without_words() -> None:
    t2w = facts(scanning_sequence=["SE"], echo_time_ms=104.0, repetition_time_ms=5660.0)
    cube = facts(scanning_sequence=["SE"], echo_time_ms=110.0, repetition_time_ms=1400.0, acquisition_type="3D")
    t1w = facts(scanning_sequence=["GR"], echo_time_ms=2.4, repetition_time_ms=5.1)
    dynamic = facts(scanning_sequence=["GR"], echo_time_ms=1.4, repetition_time_ms=3.9, temporal_positions=40)
    between = facts(scanning_sequence=["SE"], echo_time_ms=50.0, repetition_time_ms=1500.0)
    roles = [role_of_series(item).role.value for item in (t2w, cube, t1w, dynamic, between)]
    assert roles == ["T2W", "T2W", "T1W", "DCE", "unknown"]


def test_the_protocol_name_speaks_where_the_description_does_not() -> None:
    reading = role_of_series(facts(description="Series 4", protocol_name="t2_tse_tra"))
    assert (reading.role, reading.plane) == (SeriesRole.T2W, Plane.AXIAL)


def test_a_trace_image_computed_from_two_b_values_is_known_by_its_sequence_name() -> None:
    reading = role_of_series(facts(image_type=["DERIVED", "DIFFUSION", "TRACEW"], sequence_name="*ep_b50_800", b_values=(1400.0,)))
    assert (reading.role, reading.is_computed_b, reading.b_values) == (SeriesRole.DWI, True, (1400.0,))


@pytest.mark.parametrize("degrees", range(0, 45, 4))
@pytest.mark.parametrize("axis", ["x", "y"])
def test_oblique_axial_is_axial_up_to_any_tilt_below_45_degrees(degrees: int, axis: str) -> None:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    orientation = (1, 0, 0, 0, cosine, -sine) if axis == "x" else (cosine, 0, -sine, 0, 1, 0)
    assert plane_of(orientation) is Plane.AXIAL


def test_pixels_tell_only_a_diffusion_coefficient() -> None:
    adc = PixelStatistics(minimum=0.0, maximum=0.0041, median_positive=0.0012, fraction_zero=0.4)
    image = PixelStatistics(minimum=0.0, maximum=1800.0, median_positive=310.0, fraction_zero=0.1)
    assert role_from_pixels(adc).role is SeriesRole.ADC
    assert role_from_pixels(image).role is SeriesRole.UNKNOWN


def test_a_table_keeps_its_columns_and_gains_the_roles(tmp_path: Path) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "new" / "out.csv"
    source.write_text('id;series_description;role\n1;"t2_tse_tra; obl";x\n2;;y\n3;zzz\n', encoding="utf-8")
    assert classify_descriptions(source, output) == 3
    with output.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "series_description", "input_role", "role", "plane", "confidence", "reason"]
    assert [(row["id"], row["input_role"], row["role"], row["plane"]) for row in rows] == [
        ("1", "x", "T2W", "axial"),
        ("2", "y", "unknown", ""),
        ("3", "", "unknown", ""),
    ]
    assert float(rows[0]["confidence"]) > 0.9
    assert float(rows[1]["confidence"]) == 0.0


@pytest.mark.parametrize("name", ["SeriesDescription", "series_descripton", "Series Description"])
def test_a_table_without_the_column_names_the_nearest(tmp_path: Path, name: str) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"id,{name}\n1,t2\n")
    with pytest.raises(InputError, match=f"did you mean '{name}'"):
        classify_descriptions(source, tmp_path / "out.csv")


def test_a_missing_or_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        classify_descriptions(tmp_path / "absent.csv", tmp_path / "out.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="empty"):
        classify_descriptions(tmp_path / "empty.csv", tmp_path / "out.csv")
