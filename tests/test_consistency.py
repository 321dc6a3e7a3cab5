"""Rules among a report's values: a breach is flagged and lowers confidence, and no value changes."""

from __future__ import annotations

from typing import Any

import pytest

from weakbox.extractors.consistency import check
from weakbox.records.extraction import ExtractionStatus, Finding, ReportExtraction, Specimen
from weakbox.records.report import ReportType
from weakbox.records.stated import Span, Stated


def values(fields: dict[str, Any]) -> dict[str, Stated[Any]]:
    return {name: Stated(value=value, evidence=(Span(start=0, end=1),), source="rules", confidence=0.9) for name, value in fields.items()}


def extraction(report_type: ReportType, items: list[dict[str, Any]], exam: dict[str, Any] | None = None) -> ReportExtraction:
    kind = Finding if report_type is ReportType.RADIOLOGY else Specimen
    made = tuple(kind(item_id=f"r/{index}", report_id="r", index=index, values=values(fields)) for index, fields in enumerate(items))
    return ReportExtraction(
        report_id="r",
        patient_id=None,
        report_type=report_type,
        organ="prostate",
        status=ExtractionStatus.OK,
        exam=values(exam or {}),
        findings=made if kind is Finding else (),  # type: ignore[arg-type]
        specimens=made if kind is Specimen else (),  # type: ignore[arg-type]
    )


PATHOLOGY, RADIOLOGY = ReportType.PATHOLOGY, ReportType.RADIOLOGY
BREACHES = [
    (PATHOLOGY, [{"gleason_primary": 3, "gleason_secondary": 4, "gleason_score": 8}], {}, "specimens[0].gleason_score", "gleason_sum"),
    (
        PATHOLOGY,
        [{"gleason_primary": 3, "gleason_secondary": 4, "gleason_score": 7, "isup_grade": 3}],
        {},
        "specimens[0].isup_grade",
        "isup_table",
    ),
    (PATHOLOGY, [{"gleason_score": 7, "isup_grade": 4}], {}, "specimens[0].isup_grade", "isup_table"),
    (PATHOLOGY, [{"cores_positive": 3, "cores_total": 2}], {}, "specimens[0].cores_positive", "cores_exceed_total"),
    (PATHOLOGY, [{"cores_positive": 0, "diagnosis": "adenocarcinoma"}], {}, "specimens[0].cores_positive", "positive_cores"),
    (PATHOLOGY, [{"cores_positive": 1, "diagnosis": "benign"}], {}, "specimens[0].cores_positive", "positive_cores"),
    (PATHOLOGY, [{"percent_involved": 140}], {}, "specimens[0].percent_involved", "percent_range"),
    (PATHOLOGY, [{"cores_total": 2}, {"cores_total": 2}], {"cores_total": 12}, "cores_total", "cores_sum"),
    (PATHOLOGY, [{"diagnosis": "benign"}], {"cancer_present": True}, "cancer_present", "cancer_present"),
    (
        PATHOLOGY,
        [],
        {"overall.gleason_primary": 4, "overall.gleason_secondary": 3, "overall.isup_grade": 2},
        "overall.isup_grade",
        "isup_table",
    ),
    (RADIOLOGY, [], {"exam.psa_ng_ml": 78.0, "exam.prostate_volume_ml": 52.0, "exam.psa_density": 0.15}, "exam.psa_density", "psa_density"),
    (RADIOLOGY, [{"pirads": 3}, {"pirads": 4}], {"exam.pirads": 3}, "exam.pirads", "overall_category"),
    (RADIOLOGY, [{"pirads": 3, "zone": "PZ", "t2": 4, "dwi": 5}], {}, "lesions[0].pirads", "pirads_table"),
    (RADIOLOGY, [{"pirads": 5, "dwi": 5, "max_diameter_mm": 9.0}], {}, "lesions[0].pirads", "pirads_size"),
    (RADIOLOGY, [{"zone": "CZ", "levels": ("apex",)}], {}, "lesions[0].zone", "sector"),
    (RADIOLOGY, [{"side": "left", "sectors": ("R_mid_PZpl",)}], {}, "lesions[0].sectors", "sector"),
]


@pytest.mark.parametrize(
    ("report_type", "items", "exam", "path", "code"), BREACHES, ids=[f"{code} {index}" for index, (*_, code) in enumerate(BREACHES)]
)
def test_a_breach_is_flagged_and_lowers_confidence(
    report_type: ReportType, items: list[dict[str, Any]], exam: dict[str, Any], path: str, code: str
) -> None:
    checked = check(extraction(report_type, items, exam))
    assert (path, code) in {(flag.path, flag.code) for flag in checked.flags}


SOUND = [
    (
        PATHOLOGY,
        [
            {
                "gleason_primary": 4,
                "gleason_secondary": 3,
                "gleason_score": 7,
                "isup_grade": 3,
                "cores_positive": 1,
                "cores_total": 2,
                "diagnosis": "adenocarcinoma",
            }
        ],
        {"cores_total": 2, "cancer_present": True},
    ),
    (PATHOLOGY, [{"diagnosis": "benign", "cores_positive": 0, "cores_total": 2}], {"cancer_present": False}),
    (RADIOLOGY, [{"pirads": 4, "zone": "PZ", "t2": 3, "dwi": 3, "dce": "positive"}], {"exam.pirads": 4}),
    (
        RADIOLOGY,
        [{"pirads": 3, "zone": "TZ", "t2": 2, "dwi": 4}],
        {"exam.psa_ng_ml": 7.8, "exam.prostate_volume_ml": 52.0, "exam.psa_density": 0.15},
    ),
    (RADIOLOGY, [{"pirads": 5, "dwi": 5, "max_diameter_mm": 18.0, "side": "left", "sectors": ("L_mid_PZpl",)}], {}),
]


@pytest.mark.parametrize(("report_type", "items", "exam"), SOUND)
def test_sound_values_pass_untouched(report_type: ReportType, items: list[dict[str, Any]], exam: dict[str, Any]) -> None:
    before = extraction(report_type, items, exam)
    assert check(before) == before


@pytest.mark.parametrize(("report_type", "items", "exam", "path", "code"), BREACHES)
def test_no_value_is_ever_fixed(report_type: ReportType, items: list[dict[str, Any]], exam: dict[str, Any], path: str, code: str) -> None:
    before = extraction(report_type, items, exam)
    after = check(before)
    assert {name: leaf.value for name, leaf in after.exam.items()} == exam
    assert [{name: leaf.value for name, leaf in item.values.items()} for item in after.items] == items
    lowered = [
        leaf.confidence
        for item in (after, *after.items)
        for leaf in (item.exam if isinstance(item, ReportExtraction) else item.values).values()
    ]
    assert min(lowered) < 0.9


def test_checking_twice_flags_once() -> None:
    once = check(extraction(PATHOLOGY, [{"cores_positive": 3, "cores_total": 2}]))
    assert check(once).flags == once.flags
