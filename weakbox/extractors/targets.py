"""What a model should have answered about a reviewed report: the JSON answer, each value with words that state it.

The values are the reviewer's; the words are those in which the rules read the same value, confirmed by verification. A value
for which no such words are known is left out of the answer, and counted: a model must not learn to quote what states nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weakbox.extractors.agreement import MINIMUM_AGREEMENT, agreement, same_value
from weakbox.extractors.answers import typed
from weakbox.extractors.contract import shape_of
from weakbox.extractors.prompts import LONGEST_QUOTE, answer_schema, is_asked
from weakbox.extractors.rules import RulesExtractor, prepare
from weakbox.extractors.verification import Claim, build_reading, verify
from weakbox.organs.organ import Field
from weakbox.records.extraction import Item, ReportExtraction
from weakbox.records.record import record
from weakbox.records.report import Report
from weakbox.records.stated import FieldValue, Span, Stated

Leaf = Stated[FieldValue]


@record
class Target:
    """An answer to learn. ``left_out``: values that the reviewer states and the answer does not."""

    answer: str
    values: int
    left_out: int
    is_whole: bool
    """Whether every item of the reviewer is in the answer; one that is not teaches a model to overlook items."""


def target_for(report: Report, gold: Mapping[str, Any], rules: RulesExtractor) -> Target:
    """The answer that states ``gold`` (the contract's body) of ``report``."""
    extraction = rules.extract(report)
    shape = shape_of(extraction.organ, extraction.report_type)
    items = gold[shape.item_kind]
    stated = dict(_stated(gold, shape.exam))
    listed = [dict(_stated(item, shape.item)) for item in items]
    claims = list(_claims(report, stated, extraction.exam, None))
    for index, (values, item) in enumerate(zip(listed, _aligned(listed, extraction, shape.identity), strict=True)):
        claims += [] if item is None else _claims(report, values, item.values, index)
    reading = build_reading(report, *prepare(report), extraction, rules.extract)
    confirmed = [verdict.claim for verdict in verify(claims, reading) if verdict.reason is None]
    named = {claim.item for claim in confirmed if claim.field in shape.identity and not claim.field.endswith("_id")}
    kept = [claim for claim in confirmed if claim.item is None or claim.item in named]
    return Target(
        answer=answer_text(kept, extraction, [index for index in range(len(items)) if index in named]),
        values=len(kept),
        left_out=len(stated) + sum(map(len, listed)) - len(kept),
        is_whole=len(named) == len(items),
    )


def answer_text(claims: Sequence[Claim], extraction: ReportExtraction, items: Sequence[int]) -> str:
    """The claims as the JSON that the schema demands: every field in its order, null where nothing is claimed."""
    leaves = {(claim.item, claim.field): _leaf(claim) for claim in claims}
    kind = shape_of(extraction.organ, extraction.report_type).item_kind
    answer: dict[str, Any] = {}
    for name, schema in answer_schema(extraction.organ, extraction.report_type)["properties"].items():
        if name == kind:
            answer[name] = [{field: leaves.get((index, field)) for field in schema["items"]["properties"]} for index in items]
        elif "properties" in schema:
            answer[name] = {field: leaves.get((None, f"{name}.{field}")) for field in schema["properties"]}
        else:
            answer[name] = leaves.get((None, name))
    return json.dumps(answer, ensure_ascii=False)


def _leaf(claim: Claim) -> dict[str, Any]:
    return {"evidence": claim.quote, "value": list(claim.value) if isinstance(claim.value, tuple) else claim.value}


def _stated(body: Mapping[str, Any], fields: Sequence[Field]) -> Iterator[tuple[str, FieldValue]]:
    """The asked fields that a body states, with their values as records hold them."""
    for field in filter(is_asked, fields):
        node: Any = body
        for name in field.name.split("."):
            node = None if node is None else node.get(name)
        value = None if node is None or node == [] else typed(node, field)
        if value is not None:
            yield field.name, value


def _aligned(listed: Sequence[Mapping[str, FieldValue]], extraction: ReportExtraction, weights: Mapping[str, int]) -> list[Item | None]:
    """The rules' item for each of the reviewer's, none twice; the best matches first."""
    scores = sorted(
        (-agreement(_as_leaves(values), item.values, weights), abs(index - item.index), index, item.index)
        for index, values in enumerate(listed)
        for item in extraction.items
    )
    found: dict[int, int] = {}
    for score, _, index, other in scores:
        if -score >= MINIMUM_AGREEMENT and index not in found and other not in found.values():
            found[index] = other
    items = {item.index: item for item in extraction.items}
    return [items.get(found.get(index, -1)) for index in range(len(listed))]


def _as_leaves(values: Mapping[str, FieldValue]) -> dict[str, Leaf]:
    """Values without words, for comparing."""
    return {name: Stated(value=value, evidence=(Span(start=0, end=1),), source="", confidence=1.0) for name, value in values.items()}


def _claims(report: Report, stated: Mapping[str, FieldValue], read: Mapping[str, Leaf], item: int | None) -> Iterator[Claim]:
    """What the rules read as the reviewer states it, with the shortest words that hold all of its evidence."""
    for name, value in stated.items():
        leaf = read.get(name)
        if leaf is None or not same_value(leaf.value, value):
            continue
        quote = report.text[min(span.start for span in leaf.evidence) : max(span.end for span in leaf.evidence)].strip()
        if 0 < len(quote) <= LONGEST_QUOTE:
            yield Claim(field=name, value=value, quote=quote, item=item)
