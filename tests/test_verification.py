"""Every value of a model must survive its own words: wrong digits, sides, negations and priors are caught, right values stay."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.model_answers import Said, as_answer, gold_reports, injected, reading_of, right_claims, wrong_value
from weakbox.extractors.answers import AnswerError, read_answer
from weakbox.extractors.contract import shape_of
from weakbox.extractors.verification import Claim, Reason, occurrences, verify
from weakbox.records.report import Report, ReportType

ANSWERS = 2000


def report(text: str, report_type: ReportType = ReportType.RADIOLOGY, organ: str = "prostate") -> Report:
    return Report(report_id="r", patient_id=None, report_type=report_type, text=text, organ=organ)


def reason(text: str, field: str, value: object, quote: str, *, with_rules: bool = True, **more: object) -> Reason | None:
    claim = Claim(field=field, value=value, quote=quote, item=None if "." in field else 0)  # type: ignore[arg-type]
    return verify([claim], reading_of(report(text, **more), with_rules=with_rules))[0].reason  # type: ignore[arg-type]


MRI = """PROSTATE MRI
CLINICAL: PSA 7.8 ng/mL. Rule out PI-RADS 5.
COMPARISON: MRI 2021, PI-RADS 2, 9 mm.
FINDINGS: Prostate volume 52 cc. Lesion 1: left posterolateral mid peripheral zone, 12 x 8 mm, PI-RADS 3.
Lesion 2: right anterior transition zone at the apex, 15 mm, PI-RADS 4. Seminal vesicles are normal.
"""


@pytest.mark.parametrize("with_rules", [True, False])
@pytest.mark.parametrize(
    ("field", "value", "quote", "expected"),
    [
        ("pirads", 3, "PI-RADS 3", None),
        ("pirads", 4, "PI-RADS 3", Reason.MISMATCH),
        ("size_mm", (12.0, 8.0), "12 x 8 mm", None),
        ("size_mm", (22.0, 8.0), "12 x 8 mm", Reason.MISMATCH),
        ("side", "left", "left posterolateral mid peripheral zone", None),
        ("side", "right", "left posterolateral mid peripheral zone", Reason.MISMATCH),
        ("pirads", 5, "PI-RADS 5", Reason.PRIOR),
        ("pirads", 2, "PI-RADS 2", Reason.PRIOR),
        ("size_mm", (9.0,), "9 mm", Reason.PRIOR),
        ("exam.prostate_volume_ml", 52.0, "volume 52 cc", None),
        ("exam.prostate_volume_ml", 62.0, "volume 52 cc", Reason.MISMATCH),
        ("exam.psa_ng_ml", 7.8, "PSA 7.8 ng/mL", None),
        ("exam.psa_ng_ml", 9.8, "PSA 7.8 ng/mL", Reason.MISMATCH),
        ("exam.svi", "absent", "Seminal vesicles are normal", None),
        ("exam.svi", "present", "Seminal vesicles are normal", Reason.MISMATCH),
        ("pirads", 7, "PI-RADS 3", Reason.RANGE),
        ("pirads", 3, "PIRADS three", Reason.UNSUPPORTED),
    ],
)
def test_the_langextract_holes_are_closed(field: str, value: object, quote: str, expected: Reason | None, with_rules: bool) -> None:
    assert reason(MRI, field, value, quote, with_rules=with_rules) == expected


def test_a_quote_matches_whole_numbers_only() -> None:
    assert [span.start for span in occurrences("8 mm", "18 mm 1.8 mm 8 mm 8 mmol")] == [13]


def test_the_words_of_another_lesion_are_dropped_from_an_item() -> None:
    claims = [
        Claim(field="pirads", value=3, quote="PI-RADS 3", item=0),
        Claim(field="size_mm", value=(12.0, 8.0), quote="12 x 8 mm", item=0),
        Claim(field="side", value="right", quote="right anterior transition zone", item=0),
    ]
    assert [verdict.reason for verdict in verify(claims, reading_of(report(MRI)))] == [None, None, Reason.GROUPING]


def test_an_answer_that_is_not_of_the_schema_is_refused_without_its_text() -> None:
    shape = shape_of("prostate", ReportType.RADIOLOGY)
    for text in ("", "<html>", '{"exam":', "[]", '{"exam": {}}', '{"exam": {"pirads": 4}, "lesions": []}', '{"lesions": [4]}'):
        with pytest.raises(AnswerError) as error:
            read_answer(text, shape)
        assert "html" not in str(error.value)


def said(wrong_share: float) -> Iterator[Said]:
    """Whole items as a model would give them, some with one wrong claim; priors and negations put into the report."""
    rng = random.Random(20261121)
    for entry in gold_reports():
        reading = reading_of(entry.report)
        claims, _ = read_answer(as_answer(right_claims(entry.report, reading.extraction), reading.extraction), reading.shape)
        for claim in claims:
            beside = tuple(other for other in claims if other.item == claim.item and other is not claim)
            yield Said(claim, (), reading, True, "right")
            field = next(f for f in (reading.shape.exam if claim.item is None else reading.shape.item) if f.name == claim.field)
            wrong = wrong_value(claim.value, field, rng) if rng.random() < wrong_share else None
            if wrong is not None:
                yield Said(replace(claim, value=wrong), beside, reading, False, "wrong side" if claim.field == "side" else "wrong value")
        for kind, _, claim, longer in injected(entry, rng):
            yield Said(claim, (), reading_of(longer), False, kind)


@pytest.mark.slow
def test_injected_errors_are_caught_and_right_values_stay() -> None:
    outcome = Counter[tuple[str, bool]]()
    missed = []
    for one in said(wrong_share=0.25):
        is_kept = verify([one.claim, *one.beside], one.reading)[0].reason is None
        outcome[(one.kind, is_kept)] += 1
        if is_kept and not one.is_right:
            missed.append((one.reading.report.report_id, one.claim.field, one.kind))
    wrong = sum(count for (kind, _), count in outcome.items() if kind != "right")
    assert wrong >= ANSWERS
    assert missed == []
    rejected = outcome[("right", False)]
    assert rejected <= 0.01 * (rejected + outcome[("right", True)])
