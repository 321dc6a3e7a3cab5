"""Reviewed reports -> examples that a model can be tuned on, none of which may be among those it is tested on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

from weakbox.evaluation.gold import GoldReport
from weakbox.extractors.language_model import request_for
from weakbox.extractors.rules import RulesExtractor
from weakbox.extractors.targets import target_for
from weakbox.records.errors import InputError
from weakbox.records.record import record


@record
class Examples:
    """Messages, answer and hospital of each example, and what was left out."""

    examples: tuple[tuple[Sequence[Any], str, str], ...]
    values: int
    """Values in the answers, each with its words."""
    values_left_out: int
    """Values of the reviewers for which no words are known that state them."""
    reports_left_out: int
    """Reports with an item for which no words are known: they would teach a model to overlook items."""


def examples_of(gold: Sequence[GoldReport], excluded: Sequence[GoldReport] = ()) -> Examples:
    """The examples that the reviewed reports give, in their order.

    Raises:
        InputError: a text is among ``excluded``, whatever its spaces and letter case; or nothing can be learnt from.
    """
    refuse_overlap(gold, excluded)
    rules = RulesExtractor()
    targets = [(entry, target_for(entry.report, entry.body, rules)) for entry in gold]
    usable = [(entry, target) for entry, target in targets if target.is_whole and target.values]
    if not usable:
        msg = f"none of {len(gold)} reviewed reports can be learnt from: the rules find no words for their values"
        raise InputError(msg)
    return Examples(
        examples=tuple((request_for(entry.report).messages, target.answer, _group(entry)) for entry, target in usable),
        values=sum(target.values for _, target in usable),
        values_left_out=sum(target.left_out for _, target in usable),
        reports_left_out=len(gold) - len(usable),
    )


def _group(entry: GoldReport) -> str:
    """The hospital; where it is not known, the patient or the report itself."""
    return entry.hospital or entry.report.patient_id or entry.report.report_id


def refuse_overlap(gold: Iterable[GoldReport], excluded: Iterable[GoldReport]) -> None:
    """See that no report to learn from is one to test on.

    Raises:
        InputError: some are.
    """
    common = set(_digests(gold)) & set(_digests(excluded))
    if common:
        msg = f"{len(common)} of the reviewed reports are among those that --exclude keeps for testing; take them out of --gold"
        raise InputError(msg)


def _digests(gold: Iterable[GoldReport]) -> Iterator[str]:
    for entry in gold:
        yield sha256(" ".join(entry.report.text.casefold().split()).encode("utf-8", errors="surrogatepass")).hexdigest()
