"""Reads reports with a language model and believes only what the report's own words confirm.

The model (``llm.py``) answers a prompt made from the organ's fields; every value of the answer is verified against its
quote (``verification.py``), dropped with a reason where it fails, and completed by what follows from it
(``derivation.py``). Where the model gives no usable answer the report is a failure or an abstention of this extractor;
nothing is ever filled in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

import llm
from weakbox.extractors.answers import AnswerError, read_answer
from weakbox.extractors.contract import shape_of
from weakbox.extractors.derivation import derive
from weakbox.extractors.extractor import abstain
from weakbox.extractors.prompts import prompt_for, user_message
from weakbox.extractors.rules import DEFAULT_ORGAN, RulesExtractor, prepare
from weakbox.extractors.verification import Claim, Reading, Verdict, build_reading, verify
from weakbox.records.errors import ConfigurationError
from weakbox.records.extraction import (
    ExtractionFailure,
    ExtractionStatus,
    Finding,
    Flag,
    Item,
    ReportExtraction,
    Specimen,
)
from weakbox.records.report import Report, ReportType
from weakbox.records.stated import FieldValue, Span, Stated
from weakbox.text.injection import injection_spans

if TYPE_CHECKING:
    from weakbox.language_models.interface import Answer, LanguageModel, Request

NAME = "language_model"
NEVER_ASKED = frozenset({"empty", "unreadable", "wrong_organ"})
"""Abstentions of the rules that a model does not overrule: there is nothing to read."""
UNCALIBRATED = 0.85
"""Confidence of a verified value before calibration knows the model."""
OVERRULED = 0.5
"""Below this share of its own probability the model was forced into its answer: the values are less sure."""
OVERRULED_FACTOR = 0.8


class LanguageModelExtractor:
    """One model as an extractor."""

    name = NAME

    def __init__(self, model: LanguageModel, maximum_tokens: int = 2048) -> None:
        self._model = model
        self._maximum_tokens = maximum_tokens
        self._rules = RulesExtractor()

    def extract(self, report: Report) -> ReportExtraction | ExtractionFailure:
        """What the model reads in ``report`` and the words confirm."""
        rules = self._rules.extract(report)
        if _is_hopeless(rules):
            return abstain(report, rules.organ, NAME, rules.flags[0].code, rules.flags[0].detail)
        request = self.request(report)
        answer = next(iter(self._model.answer([request])))
        return self._read(report, rules, answer)

    def prefetch(self, reports: Iterable[Report]) -> Iterator[Answer]:
        """Ask for many reports at once, so that ``extract`` finds its answers in the model's cache."""
        requests = [self.request(report) for report in reports if not _is_hopeless(self._rules.extract(report))]
        yield from self._model.answer(requests)

    def request(self, report: Report) -> Request:
        """What the model is asked about ``report``."""
        return request_for(report, self._maximum_tokens)

    def _read(self, report: Report, rules: ReportExtraction, answer: Answer) -> ReportExtraction | ExtractionFailure:
        from weakbox.language_models.interface import AnswerStatus

        if answer.status is not AnswerStatus.COMPLETE:
            return _failure(report, rules.organ, f"{answer.status.value}: {answer.cause}")
        shape = shape_of(rules.organ, report.report_type)
        try:
            claims, items = read_answer(answer.text, shape)
        except AnswerError as error:
            return _failure(report, rules.organ, f"invalid: {error}")
        text, sections = prepare(report)
        reading = build_reading(report, text, sections, rules, self._rules.extract)
        verdicts = verify(claims, reading)
        sureness = UNCALIBRATED * (OVERRULED_FACTOR if answer.allowed_mass is not None and answer.allowed_mass < OVERRULED else 1.0)
        return _extraction(reading, verdicts, items, sureness)


def request_for(report: Report, maximum_tokens: int = 2048) -> Request:
    """The prompt for one report: what is shared by all reports of its kind first, the report last."""
    from weakbox.language_models.interface import Message, Request

    prompt = prompt_for(report.organ or DEFAULT_ORGAN, report.report_type)
    return Request(
        key=report.report_id,
        messages=(Message(role="system", content=prompt.system), Message(role="user", content=user_message(report.text))),
        schema=prompt.schema,
        source=report.text,
        maximum_tokens=maximum_tokens,
        version=prompt.version,
    )


def _is_hopeless(rules: ReportExtraction) -> bool:
    return rules.status is ExtractionStatus.ABSTAINED and any(flag.code in NEVER_ASKED for flag in rules.flags)


def _failure(report: Report, organ: str, cause: str) -> ExtractionFailure:
    return ExtractionFailure(
        report_id=report.report_id,
        patient_id=report.patient_id,
        report_type=report.report_type,
        organ=organ,
        extractor=NAME,
        cause=cause,
    )


def _extraction(reading: Reading, verdicts: Sequence[Verdict], items: int, confidence: float) -> ReportExtraction:
    report, organ = reading.report, reading.extraction.organ
    confirmed = [verdict for verdict in verdicts if verdict.reason is None]
    exam = {verdict.claim.field: _stated(verdict, confidence) for verdict in confirmed if verdict.claim.item is None}
    listed = [_values(confirmed, index, confidence) for index in range(items)]
    kept = sorted((index for index in range(items) if _stands(listed[index], reading)), key=lambda index: _first_word(listed[index]))
    exam, completed = derive(organ, report.report_type, exam, [listed[index] for index in kept])
    records = [_item(report, index, values) for index, values in enumerate(completed)]
    return ReportExtraction(
        report_id=report.report_id,
        patient_id=report.patient_id,
        report_type=report.report_type,
        organ=organ,
        status=ExtractionStatus.OK,
        exam=exam,
        findings=tuple(record for record in records if isinstance(record, Finding)),
        specimens=tuple(record for record in records if isinstance(record, Specimen)),
        flags=tuple(_flags(reading, verdicts, kept, items)),
        extractor=NAME,
    )


def _stated(verdict: Verdict, confidence: float) -> Stated[FieldValue]:
    return Stated(value=verdict.claim.value, evidence=verdict.evidence, source=NAME, confidence=confidence, rule="verified_quote")


def _values(verdicts: Iterable[Verdict], index: int, confidence: float) -> dict[str, Stated[FieldValue]]:
    return {verdict.claim.field: _stated(verdict, confidence) for verdict in verdicts if verdict.claim.item == index}


def _stands(values: Mapping[str, Stated[FieldValue]], reading: Reading) -> bool:
    """An item is one where a word beside its label says what it is."""
    return any(name in values for name in reading.shape.identity if not name.endswith("_id"))


def _first_word(values: Mapping[str, Stated[FieldValue]]) -> tuple[int, int]:
    spans: list[Span] = [span for leaf in values.values() for span in leaf.evidence]
    return min((span.start, span.end) for span in spans)


def _item(report: Report, index: int, values: Mapping[str, Stated[FieldValue]]) -> Item:
    kind = Finding if report.report_type is ReportType.RADIOLOGY else Specimen
    return kind(item_id=f"{report.report_id}/{index}", report_id=report.report_id, index=index, values=values)


def _flags(reading: Reading, verdicts: Sequence[Verdict], kept: Sequence[int], items: int) -> Iterator[Flag]:
    kind = reading.shape.item_kind
    positions = {index: position for position, index in enumerate(kept)}
    for verdict in verdicts:
        if verdict.reason is not None:
            yield Flag(path=_path(verdict.claim, kind, positions), code=verdict.reason.value, detail="dropped: a model's value")
    if len(kept) < items:
        yield Flag(path=kind, code="dropped_items", detail=f"{items - len(kept)} items of a model had no confirmed value")
    if not kept and reading.extraction.items:
        yield Flag(path=kind, code="missing_items", detail="a model lists none where the rules found some")
    if injection_spans(reading.text.lower):
        yield Flag(path="", code="injection", detail="text that addresses a machine")


def _path(claim: Claim, kind: str, positions: Mapping[int, int]) -> str:
    if claim.item is None:
        return claim.field
    return f"{kind}[{positions[claim.item]}].{claim.field}" if claim.item in positions else f"{kind}.{claim.field}"


def dropped_counts(extractions: Iterable[ReportExtraction]) -> Counter[str]:
    """How often each reason dropped a model's value."""
    return Counter(flag.code for extraction in extractions for flag in extraction.flags if flag.detail.startswith("dropped"))


def open_language_model(options: Mapping[str, Any]) -> LanguageModelExtractor:
    """The extractor for ``extractors: [..., language_model]``; its options are those of ``llm.Config``.

    Raises:
        ConfigurationError: options that do not fit, or a model that cannot be used.
    """
    try:
        config = llm.Config(**options)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        msg = f"extraction.options.{NAME}.{place}: {first['msg']}"
        raise ConfigurationError(msg) from None
    return LanguageModelExtractor(llm.open_model(config), config.maximum_tokens)


EXTRACTOR = open_language_model
