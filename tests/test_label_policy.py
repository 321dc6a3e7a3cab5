"""Classes of the joined set follow from what is stated, by the policy; nothing stated gives none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from weakbox.datasets_public.cases import image_series, origin_of, public_case
from weakbox.datasets_public.dataset import Access, DatasetCard
from weakbox.labelling.policy import BreastPolicy, LabelPolicy, ProstatePolicy, SkinPolicy, image_class, study_class
from weakbox.records.label import CuratedCase, LesionStatus, WeakLabel


def card(organ: str) -> DatasetCard:
    return DatasetCard(
        name="made_up",
        title="Made up",
        organ=organ,
        modalities=("MG",),
        licence="CC0-1.0",
        access=Access.OPEN,
        how_to_obtain="",
        homepage="",
        citation="",
        annotations="",
        label_basis="",
        good_for=(),
        preference=1,
    )


def label(name: str, **stated: object) -> WeakLabel:
    status = stated.pop("status", LesionStatus.UNTESTED)
    return WeakLabel(label_id=name, lesion_id=name, case_id="made_up/1", status=status, **stated)  # type: ignore[arg-type]


def case(organ: str, *labels: WeakLabel, negative: str | None = None, laterality: str = "left", **attributes: str) -> CuratedCase:
    of = card(organ)
    series = image_series(of, image="1", study="1", path=Path("1.png"), modality="MG", attributes={"laterality": laterality, **attributes})
    return public_case(
        of, patient="1", study="1", series=[series], labels=labels, origin=origin_of(of, patient="1"), negative_reason=negative
    )


def name_of(one: CuratedCase, policy: LabelPolicy | None = None) -> str | None:
    return image_class(one, one.study.series[0], policy or LabelPolicy()).name


KEY = "made_up/1"


def test_tissue_decides_whatever_birads_says() -> None:
    benign = label("a", status=LesionStatus.BENIGN, diagnosis="benign", birads="5", series_key=KEY, class_source="histopathology")
    verdict = image_class(case("breast", benign), case("breast").study.series[0], LabelPolicy())
    assert (verdict.name, verdict.source) == ("benign", "histopathology")


@pytest.mark.parametrize(
    ("category", "expected"),
    [("0", None), ("1", "normal"), ("2", "benign"), ("3", None), ("4", "malignant"), ("4A", "malignant"), ("6", "malignant")],
)
def test_birads_gives_a_class_by_the_table_and_says_so(category: str, expected: str | None) -> None:
    one = case("breast", label("a", birads=category, series_key=KEY))
    verdict = image_class(one, one.study.series[0], LabelPolicy())
    assert verdict.name == expected
    assert verdict.source == "birads"
    assert verdict.is_excluded == (expected is None)


def test_birads_gives_no_class_where_the_policy_wants_tissue() -> None:
    policy = LabelPolicy(breast=BreastPolicy(without_tissue="no_class"))
    verdict = image_class(one := case("breast", label("a", birads="5", series_key=KEY)), one.study.series[0], policy)
    assert (verdict.name, verdict.reason, verdict.is_excluded) == (None, "not_stated", False)


def test_birads_3_may_be_benign() -> None:
    policy = LabelPolicy(breast=BreastPolicy(birads={**BreastPolicy().birads, "3": "benign"}))
    assert name_of(case("breast", label("a", birads="3", series_key=KEY)), policy) == "benign"


def test_a_malignant_lesion_wins_over_a_benign_one() -> None:
    benign = label("a", status=LesionStatus.BENIGN, series_key=KEY)
    malignant = label("b", status=LesionStatus.CANCER, series_key=KEY)
    assert name_of(case("breast", benign, malignant)) == "malignant"


def test_an_image_with_an_open_lesion_is_not_called_benign() -> None:
    benign = label("a", status=LesionStatus.BENIGN, series_key=KEY)
    unknown = label("b", series_key=KEY)
    verdict = image_class(one := case("breast", benign, unknown), one.study.series[0], LabelPolicy())
    assert (verdict.name, verdict.reason) == (None, "open_lesion")


def test_an_excluded_category_beside_a_benign_lesion_excludes_the_image() -> None:
    one = case("breast", label("a", status=LesionStatus.BENIGN, series_key=KEY), label("b", birads="3", series_key=KEY))
    assert image_class(one, one.study.series[0], LabelPolicy()).is_excluded


def test_normal_is_its_own_class_or_benign() -> None:
    healthy = case("breast", negative="no_finding")
    assert name_of(healthy) == "normal"
    assert name_of(healthy, LabelPolicy(breast=BreastPolicy(normal="benign"))) == "benign"


def test_nothing_stated_is_no_class_and_no_exclusion() -> None:
    verdict = image_class(one := case("breast"), one.study.series[0], LabelPolicy())
    assert (verdict.name, verdict.is_excluded) == (None, False)


def test_benign_without_callback_follows_the_policy() -> None:
    one = case("breast", label("a", diagnosis="benign_without_callback", series_key=KEY))
    assert name_of(one) == "benign"
    policy = LabelPolicy(breast=BreastPolicy(benign_without_callback="exclude"))
    assert image_class(one, one.study.series[0], policy).is_excluded


def test_a_class_of_one_breast_says_nothing_of_the_other() -> None:
    left_cancer = label("a", status=LesionStatus.CANCER, side="left", attributes={"label_scope": "breast"})
    one = case("breast", left_cancer, laterality="left")
    verdict = image_class(one, one.study.series[0], LabelPolicy())
    assert (verdict.name, verdict.scope) == ("malignant", "breast")
    assert name_of(case("breast", left_cancer, laterality="right")) is None


def test_a_lesion_of_another_image_says_nothing_of_this_one() -> None:
    assert name_of(case("breast", label("a", status=LesionStatus.CANCER, series_key="made_up/2"))) is None


def test_skin_is_binary_or_by_diagnosis() -> None:
    melanoma = case("skin", label("a", diagnosis="melanoma", series_key=KEY, class_source="histopathology"))
    assert name_of(melanoma) == "malignant"
    assert name_of(melanoma, LabelPolicy(skin=SkinPolicy(classes="diagnosis"))) == "melanoma"


def test_an_indeterminate_skin_lesion_has_no_binary_class() -> None:
    one = case("skin", label("a", diagnosis="actinic_keratosis", series_key=KEY))
    verdict = image_class(one, one.study.series[0], LabelPolicy())
    assert (verdict.name, verdict.reason) == (None, "indeterminate")


@pytest.mark.parametrize(("grade", "expected"), [(1, "no_csPCa"), (2, "csPCa"), (5, "csPCa")])
def test_prostate_significance_starts_at_isup_2(grade: int, expected: str) -> None:
    graded = case("prostate", label("a", status=LesionStatus.CANCER, isup_grade=grade))
    assert study_class(graded, LabelPolicy()).name == expected
    assert study_class(graded, LabelPolicy(prostate=ProstatePolicy(classes="isup"))).name == f"ISUP_{grade}"


def test_not_significant_is_no_isup_grade() -> None:
    finding = label("a", status=LesionStatus.NOT_SIGNIFICANT, is_clinically_significant=False)
    assert study_class(case("prostate", finding), LabelPolicy()).name == "no_csPCa"
    assert study_class(case("prostate", finding), LabelPolicy(prostate=ProstatePolicy(classes="isup"))).name is None


def test_the_grade_of_the_case_counts_beside_its_lesions() -> None:
    untested = replace(case("prostate", label("a", pirads=4)), case_isup_grade=3)
    assert study_class(untested, LabelPolicy()).name == "csPCa"


def test_a_study_with_an_untested_lesion_is_no_negative() -> None:
    benign = label("a", status=LesionStatus.BENIGN)
    assert study_class(case("prostate", benign, label("b", pirads=4)), LabelPolicy()).name is None


@pytest.mark.parametrize(("birads", "expected"), [(None, "benign"), ("0", "benign"), ("1", "normal"), ("2", "benign")])
def test_a_breast_without_cancer_is_not_called_normal_unless_a_reader_saw_nothing(birads: str | None, expected: str) -> None:
    without = label("a", diagnosis="no_cancer", birads=birads, side="left", attributes={"label_scope": "breast"}, class_source="follow_up")
    assert name_of(case("breast", without)) == expected


def test_an_image_may_be_normal_in_a_study_that_is_not() -> None:
    cancer = label("a", status=LesionStatus.CANCER, series_key="made_up/2")
    assert name_of(case("breast", cancer, negative_reason="no_finding")) == "normal"


def test_a_rare_skin_diagnosis_takes_the_malignancy_that_its_set_states() -> None:
    stated = label("a", diagnosis="cylindroma", series_key=KEY, attributes={"malignancy": "benign"})
    assert name_of(case("skin", stated)) == "benign"
    assert name_of(case("skin", label("a", diagnosis="cylindroma", series_key=KEY))) is None


def test_a_skin_lesion_called_both_has_no_class() -> None:
    both = label("a", diagnosis="melanoma", series_key=KEY, conflicts=("malignancy_disagrees_with_diagnosis",))
    one = case("skin", both)
    assert image_class(one, one.study.series[0], LabelPolicy()).reason == "malignancy_disagrees"
