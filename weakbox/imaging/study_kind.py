"""Whether a study is diagnostic, or a biopsy or treatment under MR guidance."""

from __future__ import annotations

import re
from collections.abc import Sequence

from weakbox.records.imaging import Series, StudyKind

_GUIDED_STUDY = re.compile(r"guid(ed|ance)|needle|in.?bore|naald|nadel|intra.?(op|proc)", re.IGNORECASE)


def study_kind(series: Sequence[Series], description: str) -> tuple[StudyKind, str]:
    """Whether a study is a biopsy or treatment under MR guidance, and why."""
    guided = len({item.series_uid for item in series if not item.is_diagnostic})
    if guided:
        return StudyKind.INTRAPROCEDURAL, f"{guided} series of needle guidance"
    if _GUIDED_STUDY.search(description):
        return StudyKind.INTRAPROCEDURAL, "the study description names guidance"
    return StudyKind.DIAGNOSTIC, ""
