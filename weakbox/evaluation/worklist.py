"""Which reports are most worth a person's reading, as a worklist in the form of gold reports, ready to be corrected.

A report scores by what is unsure in it, by what hangs on it, and by how unlike it is to the reports before it in the
list; a small share is drawn by the hash of its text instead, so that errors of which nobody is unsure are seen too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from weakbox.evaluation.gold import TO_DO
from weakbox.extractors.contract import shape_of, to_contract
from weakbox.organs.organ import ReportShape
from weakbox.records.extraction import ExtractionStatus, ReportExtraction
from weakbox.records.record import record
from weakbox.records.report import Report
from weakbox.runtime.store import write_text

AUDIT_SHARE = 0.04
"""Share of the list that is drawn by hash from the reports of which nothing is unsure."""
REVIEW_WEIGHT, IMPACT_WEIGHT, NOVELTY_WEIGHT = 0.5, 0.5, 0.5
SHINGLE = 3
SIGNATURE = 64
_MASK = (1 << 61) - 1
"""Hashes that fit a signed 64-bit number."""
_WORD = re.compile(r"[^\W\d_]+")
DECISIVE = frozenset({"pirads", "isup_grade", "cancer_present", "side", "birads", "exam.birads", "exam.pirads", "malignant", "diagnosis"})
"""Fields that decide a label."""


@record
class Candidate:
    """A report with what was read in it and why it is worth reading."""

    report: Report
    extraction: ReportExtraction
    doubt: float
    """1 minus the confidence of the least sure value (0..1)."""
    impact: float
    """1 minus the confidence of the least sure value that decides a label."""
    reasons: tuple[str, ...]


def worklist(pairs: Iterable[tuple[Report, ReportExtraction]], count: int) -> list[Candidate]:
    """The ``count`` reports most worth labelling, the best first; the same input gives the same list."""
    candidates = sorted((candidate_of(report, extraction) for report, extraction in pairs), key=_by_hash)
    # confidences never reach 1, so "nothing unsure" is what the run itself would accept without review
    audited = [c for c in candidates if c.extraction.status is ExtractionStatus.OK][: round(count * AUDIT_SHARE)]
    drawn = {c.report.report_id for c in audited}
    chosen = _greedy([c for c in candidates if c.report.report_id not in drawn], count - len(audited))
    return [*chosen, *(replace(candidate, reasons=("audit",)) for candidate in audited)]


def candidate_of(report: Report, extraction: ReportExtraction) -> Candidate:
    """How unsure the reading of one report is, and what it decides."""
    leaves = [*extraction.exam.items(), *(pair for item in extraction.items for pair in item.values.items())]
    reasons = sorted({flag.code for flag in extraction.flags}) if extraction.status is not ExtractionStatus.OK else []
    return Candidate(
        report=report,
        extraction=extraction,
        doubt=max((1.0 - leaf.confidence for _, leaf in leaves), default=0.0),
        impact=max((1.0 - leaf.confidence for name, leaf in leaves if name in DECISIVE), default=0.0),
        reasons=tuple(reasons),
    )


def _greedy(candidates: Sequence[Candidate], count: int) -> Iterator[Candidate]:
    """The best next report each time; what looks like one that is already chosen is worth less."""
    ordered = sorted(candidates, key=lambda c: c.report.report_id)
    signatures = np.array([signature(c.report.text) for c in ordered], dtype=np.int64).reshape(len(ordered), SIGNATURE)
    base = np.array([worth(candidate) for candidate in ordered])
    likeness = np.zeros(len(ordered))
    for _ in range(min(count, len(ordered))):
        best = int(np.argmax(base + NOVELTY_WEIGHT * (1.0 - likeness)))
        yield ordered[best]
        base[best] = -np.inf
        likeness = np.maximum(likeness, (signatures == signatures[best]).mean(axis=1))


def worth(candidate: Candidate) -> float:
    """Doubt, review flags and impact of one report by itself."""
    is_review = candidate.extraction.status is not ExtractionStatus.OK
    return candidate.doubt + REVIEW_WEIGHT * is_review + IMPACT_WEIGHT * candidate.impact


def signature(text: str) -> tuple[int, ...]:
    """MinHash of the three-word shingles of a text, numbers left out: alike for reports from one template."""
    words = _WORD.findall(text.lower())
    shingles = {" ".join(words[index : index + SHINGLE]) for index in range(max(len(words) - SHINGLE + 1, 1))}
    hashes = [int.from_bytes(_digest(shingle), "big") for shingle in shingles]
    return tuple(min((value * (2 * seed + 1) + seed * seed) & _MASK for value in hashes) for seed in range(SIGNATURE))


def _by_hash(candidate: Candidate) -> tuple[bytes, str]:
    return _digest(candidate.report.text), candidate.report.report_id


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=8).digest()


def compact_body(report: Report, extraction: ReportExtraction) -> dict[str, Any]:
    """What was read, as a person writes gold: null and empty fields left out."""
    document = to_contract(report, extraction)
    shape: ReportShape = shape_of(extraction.organ, report.report_type)
    names = dict.fromkeys(field.name.split(".")[0] for field in shape.exam if not field.is_internal)
    body = {name: _stated(document[name]) for name in names}
    body = {name: value for name, value in body.items() if value not in (None, {}, [])}
    body[shape.item_kind] = [_stated(item) for item in document[shape.item_kind]]
    return body


def _stated(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {name: value for name, value in node.items() if value is not None and value != []}
    return node


def write_worklist(candidates: Sequence[Candidate], path: Path) -> None:
    """Write the list as gold YAML with what was read filled in. It holds report text."""
    entries = [
        {
            "id": candidate.report.report_id,
            "report_type": candidate.report.report_type.value,
            "organ": candidate.extraction.organ,
            "language": candidate.report.language,
            "hospital": candidate.report.institution or "",
            "difficulty": "",
            "state": TO_DO,
            "worth": {"doubt": round(candidate.doubt, 3), "impact": round(candidate.impact, 3), "reasons": list(candidate.reasons)},
            "text": candidate.report.text,
            "gold": compact_body(candidate.report, candidate.extraction),
        }
        for candidate in candidates
    ]
    write_text(path, yaml.dump(entries, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120))


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, as a person writes them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
