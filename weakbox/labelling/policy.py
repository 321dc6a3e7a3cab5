"""Which class a label or an image gets in the joined set, by the policy of the configuration.

What a set states (pathology, BI-RADS, ISUP, a dermatological diagnosis) stays on the label as it is; the class is derived
from it here and nowhere else, and carries what it rests on. Nothing stated gives no class; an image is only called benign
where none of its lesions is left open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, LesionStatus, WeakLabel
from weakbox.records.record import record
from weakbox.terminology.dermatology import malignancy_of
from weakbox.terminology.gleason import CLINICALLY_SIGNIFICANT_FROM

MALIGNANT, BENIGN, NORMAL = "malignant", "benign", "normal"
NO_CANCER = "no_cancer"
"""What screening sets (RSNA) say of a breast in which no cancer was found and nothing was biopsied: normal, by follow-up."""
SIGNIFICANT, NOT_SIGNIFICANT = "csPCa", "no_csPCa"
LABEL_SCOPE = "label_scope"
"""Attribute of a label that was stated of more than one image: ``breast``, ``study`` or ``patient``."""
BIRADS = "birads"
"""Attribute of an image, and source of a class."""

Choice = Literal["malignant", "benign", "normal", "exclude"]


class _Policy(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BreastPolicy(_Policy):
    """Classes of breast images and lesions."""

    normal: Literal["own_class", "benign"] = Field(default="own_class", description="Images without a finding: their own class, or benign.")
    benign_without_callback: Literal["benign", "exclude"] = Field(
        default="benign", description="CBIS-DDSM's findings that were never called back: benign by follow-up, not by tissue."
    )
    no_cancer: Literal["benign", "normal", "exclude"] = Field(
        default="benign", description="Breasts said to be without cancer, benign findings not told apart (RSNA): not malignant is `benign`."
    )
    without_tissue: Literal["birads", "no_class"] = Field(
        default="birads", description="Lesions and images of which only a BI-RADS category is known: class by the table below, or none."
    )
    birads: Mapping[str, Choice] = Field(
        default={
            "0": "exclude",
            "1": "normal",
            "2": "benign",
            "3": "exclude",
            "4": "malignant",
            "4A": "malignant",
            "4B": "malignant",
            "4C": "malignant",
            "5": "malignant",
            "6": "malignant",
        },
        description="Class of a BI-RADS category where no tissue is known; `exclude` leaves the image out of the set.",
    )


class SkinPolicy(_Policy):
    """Classes of skin lesions."""

    classes: Literal["binary", "diagnosis"] = Field(
        default="binary", description="benign and malignant (indeterminate ones have no class), or the diagnosis itself."
    )


class ProstatePolicy(_Policy):
    """Classes of prostate studies and lesions."""

    classes: Literal["csPCa", "isup"] = Field(
        default="csPCa", description="csPCa (ISUP 2 and above) and no_csPCa, or ISUP_0 (benign) to ISUP_5."
    )


class LabelPolicy(_Policy):
    """How stated facts become classes of the joined set; the facts themselves are kept beside them."""

    breast: BreastPolicy = Field(default=BreastPolicy(), description="Mammography and breast MRI.")
    skin: SkinPolicy = Field(default=SkinPolicy(), description="Dermatoscopy.")
    prostate: ProstatePolicy = Field(default=ProstatePolicy(), description="Prostate MRI.")


@record
class Verdict:
    """A class and what it rests on; or none, with the reason."""

    name: str | None
    source: str | None = None
    scope: str = "image"
    reason: str = ""
    """Why there is no class: ``not_stated``, ``indeterminate``, ``open_lesion``, or ``excluded_<what>``."""

    @property
    def is_excluded(self) -> bool:
        """Whether the policy leaves it out of the set, rather than without a class."""
        return self.reason.startswith("excluded_")


NOT_STATED = Verdict(name=None, reason="not_stated")


def lesion_class(label: WeakLabel, organ: str, policy: LabelPolicy) -> Verdict:
    """The class of one label."""
    verdict = _OF_LESION[organ](label, policy)
    scope = str(label.attributes.get(LABEL_SCOPE, "study" if label.series_key is None else "image"))
    return Verdict(name=verdict.name, source=verdict.source, scope=scope, reason=verdict.reason)


def image_class(case: CuratedCase, series: Series, policy: LabelPolicy) -> Verdict:
    """The class of one 2-D image: its most serious lesion, what was stated of its breast or patient, or normal without any."""
    labels = [label for label in case.labels if _speaks_of(label, series)]
    verdicts = [lesion_class(label, case.organ, policy) for label in labels]
    stated = series.attributes.get(BIRADS)
    if isinstance(stated, str) and not any(verdict.name for verdict in verdicts):
        verdicts.append(_of_birads(stated, policy.breast))
    if verdicts:
        return _most_serious(verdicts)
    reason = series.attributes.get("negative_reason", case.negative_reason)
    return _of_nothing(case.organ, None if reason is None else str(reason), policy)


def study_class(case: CuratedCase, policy: LabelPolicy) -> Verdict:
    """The class of a 3-D study: of its most serious lesion, of the case's grade, or a negative."""
    verdicts = [lesion_class(label, case.organ, policy) for label in case.labels]
    if case.organ == "prostate" and case.case_isup_grade is not None:
        verdicts.append(_of_grade(case.case_isup_grade, "case_grade", policy))
    elif case.is_clinically_significant is not None:
        verdicts.append(_of_significance(is_significant=case.is_clinically_significant, source="case_grade"))
    return _most_serious(verdicts) if verdicts else _of_nothing(case.organ, case.negative_reason, policy)


def _speaks_of(label: WeakLabel, series: Series) -> bool:
    image = label.pixel_box.series_key if label.pixel_box else label.series_key
    if image is not None:
        return image == series.key
    side = series.attributes.get("laterality")
    return label.side is None or side is None or label.side == side


def _most_serious(verdicts: Iterable[Verdict]) -> Verdict:
    """The most serious class; a benign one only where no other lesion is open or left out."""
    ranked = sorted(verdicts, key=lambda verdict: (_rank(verdict), verdict.source or "", verdict.scope))
    worst = ranked[-1]
    if worst.name in _SERIOUS or worst.name is None:
        return worst
    unclear = [verdict for verdict in ranked if verdict.name is None]
    excluded = next((verdict for verdict in unclear if verdict.is_excluded), None)
    return excluded or (Verdict(name=None, scope=worst.scope, reason="open_lesion") if unclear else worst)


_SERIOUS = {MALIGNANT, SIGNIFICANT, *(f"ISUP_{grade}" for grade in range(1, 6))}
_ORDER = (NORMAL, "ISUP_0", NOT_SIGNIFICANT, BENIGN, SIGNIFICANT, MALIGNANT, *(f"ISUP_{grade}" for grade in range(1, 6)))


def _rank(verdict: Verdict) -> int:
    return -1 if verdict.name is None else _ORDER.index(verdict.name) if verdict.name in _ORDER else len(_ORDER)


def _of_nothing(organ: str, reason: str | None, policy: LabelPolicy) -> Verdict:
    if reason is None:
        return NOT_STATED
    names = {"breast": NORMAL if policy.breast.normal == "own_class" else BENIGN, "prostate": _negative_grade(policy), "skin": BENIGN}
    return Verdict(name=names[organ], source=_FOLLOW_UP.sub("", reason))


_FOLLOW_UP = re.compile(r"_followed_-?\d+_days$")


def _negative_grade(policy: LabelPolicy) -> str:
    return NOT_SIGNIFICANT if policy.prostate.classes == "csPCa" else "ISUP_0"


def _of_breast_lesion(label: WeakLabel, policy: LabelPolicy) -> Verdict:
    source = label.class_source
    if label.diagnosis == "benign_without_callback":
        if policy.breast.benign_without_callback == "exclude":
            return Verdict(name=None, source=source, reason="excluded_benign_without_callback")
        return Verdict(name=BENIGN, source=source)
    if label.diagnosis == NO_CANCER:
        return _chosen(NORMAL if label.birads == "1" else policy.breast.no_cancer, policy.breast, source, NO_CANCER)
    if label.diagnosis == NORMAL:
        return Verdict(name=NORMAL if policy.breast.normal == "own_class" else BENIGN, source=source)
    if label.status is LesionStatus.CANCER or label.diagnosis == MALIGNANT:
        return Verdict(name=MALIGNANT, source=source)
    if label.status is LesionStatus.BENIGN or label.diagnosis == BENIGN:
        return Verdict(name=BENIGN, source=source)
    return NOT_STATED if label.birads is None else _of_birads(label.birads, policy.breast)


def _of_birads(category: str, policy: BreastPolicy) -> Verdict:
    if policy.without_tissue == "no_class":
        return NOT_STATED
    return _chosen(policy.birads.get(category, "exclude"), policy, BIRADS, f"birads_{category}")


def _chosen(choice: str, policy: BreastPolicy, source: str | None, what: str) -> Verdict:
    if choice == "exclude":
        return Verdict(name=None, source=source, reason=f"excluded_{what}")
    return Verdict(name=BENIGN if choice == NORMAL and policy.normal == "benign" else choice, source=source)


DISAGREEMENT = "malignancy_disagrees_with_diagnosis"
"""Conflict of a skin lesion whose set calls it benign by one word and malignant by another."""


def _of_skin_lesion(label: WeakLabel, policy: LabelPolicy) -> Verdict:
    if label.diagnosis is None:
        return NOT_STATED
    if policy.skin.classes == "diagnosis":
        return Verdict(name=label.diagnosis, source=label.class_source)
    if DISAGREEMENT in label.conflicts:
        return Verdict(name=None, source=label.class_source, reason="malignancy_disagrees")
    found = malignancy_of(label.diagnosis) or label.attributes.get("malignancy")
    if found not in (BENIGN, MALIGNANT):
        return Verdict(name=None, source=label.class_source, reason=str(found or "not_stated"))
    return Verdict(name=str(found), source=label.class_source)


def _of_prostate_lesion(label: WeakLabel, policy: LabelPolicy) -> Verdict:
    if label.isup_grade is not None:
        return _of_grade(label.isup_grade, label.class_source, policy)
    if label.status is LesionStatus.BENIGN:
        return _of_grade(0, label.class_source, policy)
    if label.is_clinically_significant is not None and policy.prostate.classes == "csPCa":
        return _of_significance(is_significant=label.is_clinically_significant, source=label.class_source)
    return NOT_STATED


def _of_grade(grade: int, source: str | None, policy: LabelPolicy) -> Verdict:
    if policy.prostate.classes == "isup":
        return Verdict(name=f"ISUP_{grade}", source=source)
    return _of_significance(is_significant=grade >= CLINICALLY_SIGNIFICANT_FROM, source=source)


def _of_significance(*, is_significant: bool, source: str | None) -> Verdict:
    return Verdict(name=SIGNIFICANT if is_significant else NOT_SIGNIFICANT, source=source)


_OF_LESION: Mapping[str, Callable[[WeakLabel, LabelPolicy], Verdict]] = {
    "breast": _of_breast_lesion,
    "skin": _of_skin_lesion,
    "prostate": _of_prostate_lesion,
}
