"""Reading reports by rules, one core, against an EDS-NLP pipeline with the same terms in the same run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from benchmarks.measured import Figure, best_of, one_core
from weakbox.evaluation.gold import read_gold
from weakbox.records.report import Report
from weakbox.text.lexicon import load_words

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
REPEATS = 3


def measure(reports: int) -> Iterator[Figure]:
    """Figures over ``reports`` reports of all kinds and languages, the gold reports repeated with changed numbers of their own."""
    mixed = mixed_reports(reports)
    characters = sum(len(report.text) for report in mixed) / len(mixed)
    with one_core():
        ours = _rate(_read_all, mixed)
        peer, what = _peer_rate(mixed)
    yield Figure(
        what=f"Reading {len(mixed):,} reports of all four kinds in six languages ({characters:.0f} characters), one core",
        value=f"{ours:,.0f} reports/s",
        compared_with=f"{what}: {peer:,.0f} reports/s" if peer else what,
        aim="at least 300",
    )
    for kind in sorted({(str(report.organ), report.report_type.value) for report in mixed}):
        chosen = [report for report in mixed if (report.organ, report.report_type.value) == kind]
        with one_core():
            yield Figure(what=f"- {' '.join(kind)} ({len(chosen)} reports)", value=f"{_rate(_read_all, chosen):,.0f} reports/s")


def mixed_reports(count: int) -> list[Report]:
    """``count`` reports in turn from the gold files to look at; no two texts are the same, so that nothing is remembered."""
    found = (entry.report for path in sorted((DATA / "reports" / "look").glob("*.yaml")) for entry in read_gold(path))
    gold = sorted(found, key=lambda report: blake2b(report.report_id.encode()).digest())
    return [
        replace(gold[index % len(gold)], report_id=str(index), text=f"{gold[index % len(gold)].text}\nRef {index}\n", language="auto")
        for index in range(count)
    ]


def _read_all(reports: Sequence[Report]) -> None:
    import extraction

    config = extraction.Config()
    for report in reports:
        extraction.extract_report(report, config)


def _rate(read: Callable[[Sequence[Report]], None], reports: Sequence[Report]) -> float:
    read(reports[:20])
    return len(reports) / best_of(REPEATS, lambda: read(reports))


def _peer_rate(reports: Sequence[Report]) -> tuple[float, str]:
    """Reports a second of EDS-NLP: sentences, our location and staging terms as matchers, negation, hypothesis, family, history."""
    if importlib.util.find_spec("edsnlp") is None:
        return 0.0, "EDS-NLP is not installed (extra `peers`)"
    pipeline = _edsnlp_pipeline()

    def read(some: Sequence[Report]) -> None:
        for _ in pipeline.pipe([report.text for report in some]):
            pass

    return _rate(read, reports), "EDS-NLP matching the same terms, with its qualifiers, no lesion put together"


def _edsnlp_pipeline() -> Any:
    import edsnlp

    words = load_words("en")
    patterns = {f"{group}:{label}": list(phrases) for group in ("locations", "staging") for label, phrases in words[group].items()}
    pipeline = edsnlp.blank("eds")
    pipeline.add_pipe("eds.sentences")
    pipeline.add_pipe("eds.normalizer")
    pipeline.add_pipe("eds.matcher", config={"terms": {}, "regex": patterns, "attr": "LOWER"})
    for qualifier in ("eds.negation", "eds.hypothesis", "eds.family", "eds.history"):
        pipeline.add_pipe(qualifier)
    return pipeline
