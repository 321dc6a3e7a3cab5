"""Reads reports with a language model and believes only what the report's own words confirm.

The model (``llm.py``) answers a prompt made from the organ's fields; every value of the answer is verified against its
quote (``verification.py``), dropped with a reason where it fails, and completed by what follows from it
(``derivation.py``). Where the model gives no usable answer the report is a failure or an abstention of this extractor;
nothing is ever filled in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

import llm
from llm import Answer, AnswerStatus, LanguageModel, Message, RememberingModel, Request
from weakbox.extractors.agreement import MINIMUM_AGREEMENT, agreement
from weakbox.extractors.answers import AnswerError, read_answer
from weakbox.extractors.choices import Chooser, questions
from weakbox.extractors.contract import shape_of
from weakbox.extractors.derivation import derive
from weakbox.extractors.excerpts import LARGEST, SIZES, excerpt
from weakbox.extractors.extractor import Extractor, abstain, assembled
from weakbox.extractors.masked import MaskedExtractor
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
from weakbox.records.report import Report, ReportType, Section
from weakbox.records.stated import FieldValue, Span, Stated
from weakbox.runtime.codec import decode, encode
from weakbox.runtime.digests import code_digest
from weakbox.text.injection import injection_spans
from weakbox.text.normalise import Normalised
from weakbox.text.sections import TextSection, raw_sections

Leaf = Stated[FieldValue]

NAME = "language_model"
NEVER_ASKED = frozenset({"empty", "unreadable", "wrong_organ"})
"""Abstentions of the rules that a model does not overrule: there is nothing to read."""
UNCALIBRATED = 0.85
"""Confidence of a verified value before calibration knows the model."""
OVERRULED = 0.5
"""Below this share of its own probability the model was forced into its answer: the values are less sure."""
OVERRULED_FACTOR = 0.8
REPORTS_AT_ONCE = 2048
"""Reports that are asked about in one go: enough to sort by length, few enough to hold."""


class Options(llm.Config):
    """The choices of this extractor: those of the model, and these."""

    cache: Path = Field(
        description="SQLite file that remembers answers by content; it holds patient data. Read from the folder of the run."
    )
    maximum_tokens: int = Field(default=2048, ge=64, description="Longest answer; what is longer is no answer.")
    deidentify: bool = Field(
        default=False, description="Show the model the text without names, days and numbers that identify; evidence is moved back."
    )
    choices: bool = Field(
        default=False, description="Ask fields of few answers once more as a choice between letters, for a probability of the answer."
    )


@dataclass(frozen=True)
class Material:
    """One report as the rules see it; read when it is needed, and once."""

    report: Report
    rules: RulesExtractor

    @cached_property
    def extraction(self) -> ReportExtraction:
        """What the rules read."""
        return self.rules.extract(self.report)

    @cached_property
    def prepared(self) -> tuple[Normalised, tuple[TextSection, ...]]:
        """The normalised, glossed text and its sections."""
        return prepare(self.report)

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections in raw offsets."""
        return raw_sections(*self.prepared)

    @property
    def is_hopeless(self) -> bool:
        """Whether there is nothing that a model could read."""
        rules = self.extraction
        return rules.status is ExtractionStatus.ABSTAINED and any(flag.code in NEVER_ASKED for flag in rules.flags)

    def reading(self) -> Reading:
        """What a model's claims are checked against."""
        return build_reading(self.report, *self.prepared, self.extraction, self.rules.extract)


class LanguageModelExtractor:
    """One model as an extractor. With a ``chooser`` the probabilities of its choices become confidences."""

    name = NAME

    def __init__(self, model: LanguageModel, maximum_tokens: int = 2048, chooser: Chooser | None = None) -> None:
        self._model = model
        self._maximum_tokens = maximum_tokens
        self._chooser = chooser
        self._rules = RulesExtractor()

    def extract(self, report: Report) -> ReportExtraction | ExtractionFailure:
        """What the model reads in ``report`` and the words confirm."""
        request = self.request(report)
        kept = self._kept(report, request)
        if kept is not None:
            return kept
        material = Material(report, self._rules)
        if material.is_hopeless:
            flag = material.extraction.flags[0]
            return abstain(report, material.extraction.organ, NAME, flag.code, flag.detail)
        asked, answer = self._answer(material)
        outcome = _read(material, answer, is_excerpt=asked.source != report.text)
        if isinstance(outcome, ExtractionFailure):
            return outcome
        outcome, is_final = (outcome, True) if self._chooser is None else self._chooser.weighed(report, outcome)
        if is_final:
            self._keep(report, request, outcome)
        return outcome

    def prefetch(self, reports: Iterable[Report]) -> Iterator[Answer]:
        """Ask for many reports at once, so that ``extract`` finds its answers in the model's cache; one answer a text."""
        rest = iter(reports)
        while some := tuple(islice(rest, REPORTS_AT_ONCE)):
            yield from self._prefetch(some)
            if self._chooser is not None:
                self._chooser.ask([asked for report in some for asked in self._questions(report)])

    def request(self, report: Report) -> Request:
        """What the model is asked about the whole of ``report``."""
        return request_for(report, self._maximum_tokens)

    def _prefetch(self, reports: Sequence[Report]) -> Iterator[Answer]:
        waiting: dict[str, tuple[Request, Iterator[Request]]] = {}
        for report in reports:
            material = Material(report, self._rules)
            request = self.request(report)
            if request.key in waiting:
                continue
            known = self._recalled(request)
            if known is not None and known.status is AnswerStatus.COMPLETE:
                yield known
            elif not material.is_hopeless:
                requests = self._requests(material)
                request = next(requests)
                waiting.setdefault(request.key, (request, requests))
        while waiting:
            shorter: dict[str, tuple[Request, Iterator[Request]]] = {}
            for answer in self._model.answer([request for request, _ in waiting.values()]):
                following = next(waiting[answer.key][1], None) if answer.is_too_long else None
                if following is None:
                    yield answer
                else:
                    shorter[following.key] = (following, waiting[answer.key][1])
            waiting = shorter

    def _requests(self, material: Material) -> Iterator[Request]:
        """The whole report, and then, should that not fit, ever shorter excerpts of it."""
        text = material.report.text
        if len(text) <= LARGEST:
            yield self.request(material.report)
        for size in SIZES:
            if size < len(text):
                part = excerpt(text, material.extraction, material.sections, size)
                yield request_for(replace(material.report, text=part), self._maximum_tokens)

    def _answer(self, material: Material) -> tuple[Request, Answer]:
        requests = self._requests(material)
        request = next(requests)
        answer = self._ask(request)
        while answer.is_too_long and (shorter := next(requests, None)) is not None:
            request, answer = shorter, self._ask(shorter)
        return request, answer

    def _ask(self, request: Request) -> Answer:
        """What is known, also of a failure: a batch that was asked before is not asked again one by one."""
        return self._recalled(request) or next(iter(self._model.answer([request])))

    def _recalled(self, request: Request) -> Answer | None:
        return self._model.recall(request) if isinstance(self._model, RememberingModel) else None

    def _questions(self, report: Report) -> Iterator[Any]:
        """What to ask as choices, where the answer is known and was not made use of yet."""
        if self._kept(report, self.request(report)) is not None:
            return
        material = Material(report, self._rules)
        if not material.is_hopeless:
            outcome = _read(material, self._answer(material)[1], is_excerpt=False)
            if isinstance(outcome, ReportExtraction):
                yield from questions(report, outcome)

    # -- what was made of an answer ------------------------------------------------------------------------------------

    def _kept(self, report: Report, request: Request) -> ReportExtraction | None:
        """What was once made of the answer about this text, by the same code."""
        made = self._model.made(request, self._version(report)) if isinstance(self._model, RememberingModel) else None
        return None if made is None else _of_report(decode(made.encode()), report)

    def _keep(self, report: Report, request: Request, extraction: ReportExtraction) -> None:
        if isinstance(self._model, RememberingModel):
            nameless = replace(extraction, report_id="", patient_id=None)
            self._model.keep_made(request, self._version(report), encode(nameless).decode())

    def _version(self, report: Report) -> str:
        """What decides, beside the answer, what is made of it."""
        return f"{code_digest('extraction.py')} {report.language} {self._chooser is not None}"


def request_for(report: Report, maximum_tokens: int = 2048) -> Request:
    """The prompt for one report: what is shared by all reports of its kind first, the report last.

    The key is the content's: reports of one text are one question, whatever their identifiers.
    """
    prompt = prompt_for(report.organ or DEFAULT_ORGAN, report.report_type)
    content = "\0".join((prompt.organ, prompt.report_type.value, report.text))
    return Request(
        key=sha256(content.encode("utf-8", errors="surrogatepass")).hexdigest(),
        messages=(Message(role="system", content=prompt.system), Message(role="user", content=user_message(report.text))),
        schema=prompt.schema,
        source=report.text,
        maximum_tokens=maximum_tokens,
        version=prompt.version,
    )


def _read(material: Material, answer: Answer, *, is_excerpt: bool) -> ReportExtraction | ExtractionFailure:
    """The claims of an answer that the report's words confirm."""
    report, rules = material.report, material.extraction
    if answer.status is not AnswerStatus.COMPLETE:
        return _failure(report, rules.organ, f"{answer.status.value}: {answer.cause}")
    try:
        claims, items = read_answer(answer.text, shape_of(rules.organ, report.report_type))
    except AnswerError as error:
        return _failure(report, rules.organ, f"invalid: {error}")
    reading = material.reading()
    sureness = UNCALIBRATED * (OVERRULED_FACTOR if answer.allowed_mass is not None and answer.allowed_mass < OVERRULED else 1.0)
    made = _extraction(reading, verify(claims, reading), items, sureness)
    return replace(made, flags=(*made.flags, EXCERPT)) if is_excerpt else made


EXCERPT = Flag(path="", code="truncated", detail="longer than the model's context: only an excerpt was asked about")


def _of_report(made: ReportExtraction, report: Report) -> ReportExtraction:
    """What was made of a text, as this report's."""
    return replace(
        made,
        report_id=report.report_id,
        patient_id=report.patient_id,
        findings=tuple(replace(item, item_id=f"{report.report_id}/{item.index}", report_id=report.report_id) for item in made.findings),
        specimens=tuple(replace(item, item_id=f"{report.report_id}/{item.index}", report_id=report.report_id) for item in made.specimens),
    )


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
    standing = [index for index in range(items) if _stands(listed[index], reading)]
    repeated = _repeated({index: listed[index] for index in standing}, reading)
    kept = sorted((index for index in standing if index not in repeated), key=lambda index: _first_word(listed[index]))
    exam, completed = derive(organ, report.report_type, exam, [listed[index] for index in kept])
    records = [_item(report, index, values) for index, values in enumerate(completed)]
    return assembled(report, organ, NAME, exam, records, _flags(reading, verdicts, kept, items))


def _stated(verdict: Verdict, confidence: float) -> Stated[FieldValue]:
    return Stated(value=verdict.claim.value, evidence=verdict.evidence, source=NAME, confidence=confidence, rule="verified_quote")


def _values(verdicts: Iterable[Verdict], index: int, confidence: float) -> dict[str, Stated[FieldValue]]:
    return {verdict.claim.field: _stated(verdict, confidence) for verdict in verdicts if verdict.claim.item == index}


def _stands(values: Mapping[str, Stated[FieldValue]], reading: Reading) -> bool:
    """An item is one where a word beside its label says what it is."""
    return any(name in values for name in reading.shape.identity if not name.endswith("_id"))


def _repeated(listed: Mapping[int, Mapping[str, Leaf]], reading: Reading) -> set[int]:
    """Items whose words are those of an item of the rules but that fusion would take for another, and second items of the same words.

    What is left of an item whose side was wrong must not become one more lesion.
    """
    by_owner: dict[int, list[tuple[float, int]]] = {}
    items = {item.index: item for item in reading.extraction.items}
    for index, values in listed.items():
        owner = _owner(values, reading.extraction.items)
        if owner is not None:
            by_owner.setdefault(owner, []).append((agreement(items[owner].values, values, reading.shape.identity), -index))
    best = {-max(rivals)[1] for rivals in by_owner.values() if max(rivals)[0] >= MINIMUM_AGREEMENT}
    return {-index for rivals in by_owner.values() for _, index in rivals} - best


def _owner(values: Mapping[str, Leaf], items: Sequence[Item]) -> int | None:
    """The item of the rules of which most of these words state the same fields."""
    shared = Counter(item.index for item in items for name, leaf in values.items() if _share_words(leaf, item.values.get(name)))
    return max(sorted(shared), key=shared.__getitem__, default=None)


def _share_words(left: Leaf, right: Leaf | None) -> bool:
    return right is not None and any(a.start < b.end and b.start < a.end for a in left.evidence for b in right.evidence)


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
        yield Flag(
            path=kind, code="dropped_items", detail=f"{items - len(kept)} items of a model had no confirmed value, or the words of another"
        )
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


def open_language_model(options: Mapping[str, Any]) -> Extractor:
    """The extractor for ``extractors: [..., language_model]``; its options are ``Options``.

    Raises:
        ConfigurationError: options that do not fit, or a model that cannot be used.
    """
    try:
        chosen = Options(**options)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join((NAME, *(str(part) for part in first["loc"])))
        msg = f"extraction.options.{place}: {first['msg'].removeprefix('Value error, ')}"
        raise ConfigurationError(msg) from None
    model = llm.open_model(chosen)
    extractor = LanguageModelExtractor(model, chosen.maximum_tokens, Chooser(model) if chosen.choices else None)
    return MaskedExtractor(extractor) if chosen.deidentify else extractor


EXTRACTOR = open_language_model
