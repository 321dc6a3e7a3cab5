"""Reads English pathology reports of the prostate: biopsies, resections and whole glands, as the extraction contract says.

Specimens are found by their labels, by table rows or by their sites; each is read on its own, and what list, gross,
microscopy, synoptic block and addenda say of it is put together: the diagnosis counts most, an amendment supersedes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from weakbox.extractors.extractor import abstain, assembled
from weakbox.extractors.grammar.pathology.assembly import Assembled, assemble
from weakbox.extractors.grammar.pathology.blocks import lay_out
from weakbox.extractors.grammar.pathology.case_level import case_cores, mask_past, overall_grade, read_case, read_procedure
from weakbox.extractors.grammar.pathology.diagnoses import diagnostic_starts
from weakbox.extractors.grammar.pathology.facts import Fact, Facts, TextRange, blank, combine
from weakbox.extractors.grammar.pathology.grades import GRADE_FIELDS
from weakbox.extractors.grammar.pathology.imaging import is_imaging_report
from weakbox.extractors.grammar.pathology.passages import Role, find_passages
from weakbox.extractors.grammar.pathology.places import location_facts
from weakbox.extractors.grammar.pathology.sites import with_site_lines
from weakbox.extractors.grammar.pathology.specimens import MALIGNANT, Reader
from weakbox.extractors.grammar.pathology.stating import report_flags, stated
from weakbox.extractors.grammar.pathology.tables import ColumnOf
from weakbox.extractors.grammar.pathology.targets import read_target, read_targeted
from weakbox.organs.prostate import ORGAN, PATHOLOGY
from weakbox.records.extraction import ReportExtraction, Specimen
from weakbox.records.report import Report
from weakbox.text.normalise import Normalised
from weakbox.text.sections import TextSection

SOURCE = "rules"
_FREE_OF_CANCER = ("asap", "hgpin", "inflammation", "benign")
_OTHER_ORGANS = re.compile(
    r"\b(?:breast|mammar\w+|ductal carcinoma in situ|colon\w*|polyp|duodenal|gastric|stomach|oesophag\w+|esophag\w+|thyroid"
    r"|endometri\w+|cervix|cervical|melan\w+|nevus|naevus|kidney|renal|nephrectomy|lung|liver|tonsil|skin)\b",
    re.IGNORECASE,
)
_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget)\s+(?:all\s+|any\s+|the\s+|these\s+|your\s+)*(?:previous|prior|above|earlier|preceding)?\s*"
    r"(?:instructions?|prompts?|rules|text|report)\b"
    r"|\b(?:system prompt|as an ai|language model)\b|\b(?:output|respond with|return|answer)\s+(?:only\s+)?(?:gleason|isup|grade group"
    r"|benign|\"|\{)",
    re.IGNORECASE,
)
_OF_INJECTION = (
    *("ignore", "disregard", "forget", "system prompt", "as an ai", "language model"),
    *("output", "respond with", "return", "answer"),
)
"""Without one of these words no instruction is given."""
_CONFUSED_DIGIT = re.compile(r"[lI|](?<![\w.][lI|])(?=\d{1,2}\s?(?:%|percent|mm\b))")
_MASKED_VALUE = re.compile(r"\b(?:gleason|score|grade group|isup|cores?)\W{0,3}(?:score|sum|is|of|:|=|\s)*$", re.IGNORECASE)


def read_pathology(report: Report, text: Normalised, sections: Sequence[TextSection]) -> ReportExtraction:
    """What ``report`` states. Abstains on another organ's report and on one that says nothing of prostatic tissue."""
    if _is_other_organ(text):
        return abstain(report, ORGAN.name, SOURCE, "wrong_organ", "the report speaks of another organ")
    if is_imaging_report(text.text):
        return abstain(report, ORGAN.name, SOURCE, "wrong_type", "the report reads as imaging, and has no tissue")
    passages = find_passages(text, sections)
    may_be_injected = any(word in text.lower for word in _OF_INJECTION)
    injected = [_sentence_around(text.text, *match.span()) for match in _INJECTION.finditer(text.text)] if may_be_injected else []
    masked = mask_past(blank(_CONFUSED_DIGIT.sub("1", with_site_lines(text)), injected), passages)
    procedure = read_procedure(masked, passages)
    reader = Reader(text=masked, diagnostic=diagnostic_starts(masked), procedure=None if procedure is None else str(procedure.value))
    layout = lay_out(masked, passages, reader.procedure, _columns_of(text))
    reader = replace(reader, text=blank(reader.text, layout.ignored)).with_other_parts(layout.blocks)
    stated, everything = read_case(reader, layout.case_level)
    specimens = assemble(reader, layout.blocks, layout.case_level)
    specimens = _with_case_facts(reader, specimens, layout.case_level, everything, stated)
    if len(specimens) == 1 and layout.blocks:
        stated = _of_lone_specimen(specimens[0].facts, stated)
    if not specimens and not stated:
        return abstain(report, ORGAN.name, SOURCE, "unreadable", "no specimen, diagnosis or grade was found")
    exam = _exam(procedure, stated, everything, [specimen.facts for specimen in specimens])
    return _extraction(report, text, exam, specimens, bool(injected))


def _columns_of(text: Normalised) -> ColumnOf:
    """On which column of its raw line a character of the text stands: blanks between columns are shortened in the text."""

    def column_of(position: int) -> int:
        at = text.to_raw(position, position + 1).start
        return at - text.raw.rfind("\n", 0, at) - 1

    return column_of


def _of_lone_specimen(facts: Facts, stated: Facts) -> Facts:
    """The case is its one specimen: what a worse passage says of the case completes it, or is flagged; a composite grade stands."""
    own = {name: fact for name, fact in facts.items() if name in (*GRADE_FIELDS, "cores_positive", "cores_total")}
    composite = {name: fact for name, fact in stated.items() if fact.rule == "composite"}
    return {**combine(own, {name: fact for name, fact in stated.items() if name not in composite}), **composite}


def _is_other_organ(text: Normalised) -> bool:
    return not any(word in text.lower for word in ORGAN.words) and _OTHER_ORGANS.search(text.lower) is not None


def _sentence_around(text: str, start: int, end: int) -> TextRange:
    first = max(text.rfind(".", 0, start), text.rfind("\n", 0, start)) + 1
    stops = [stop for stop in (text.find(".", end), text.find("\n", end)) if stop >= 0]
    return first, min(stops, default=len(text))


def _with_case_facts(
    reader: Reader, specimens: list[Assembled], stretches: Sequence[tuple[Role, TextRange]], everything: Facts, stated: Facts
) -> list[Assembled]:
    """A lone specimen, and the one that holds the tumour, also take what is said outside their blocks."""
    own = {name: fact for name, fact in everything.items() if name in {field.name for field in PATHOLOGY.item}}
    if not specimens:
        lone = own | {name: fact for name, fact in _places(reader, stretches).items() if name not in own}
        return [Assembled(label=None, position=0, facts=lone)] if lone else []
    if reader.procedure == "prostatectomy" and all(specimen.label is None for specimen in specimens):
        return [Assembled(label=None, position=0, facts=own), *specimens] if own else specimens
    amended = [(role, span) for role, span in stretches if role is Role.AMENDMENT]
    if amended:
        specimens = _amend(reader, specimens, amended)
    glands = [index for index, specimen in enumerate(specimens) if specimen.ordinals not in reader.other_parts]
    tumours = [index for index, specimen in enumerate(specimens) if _holds_tumour(specimen) and index in glands]
    if len(glands) == 1 and reader.procedure == "prostatectomy" and "isup_grade" not in specimens[glands[0]].facts:
        tumours = glands
    if len(tumours) > 1 and reader.procedure == "prostatectomy":
        tumours = [index for index in tumours if any(name in specimens[index].facts for name in GRADE_FIELDS)]
    if len(specimens) == 1:
        chosen = 0
    elif len(tumours) == 1 and reader.procedure in ("prostatectomy", "turp"):
        chosen = tumours[0]
    else:
        return specimens
    filled = specimens[chosen]
    extra = {name: fact for name, fact in own.items() if name not in filled.facts and not _is_ungraded(filled, name)}
    if filled.facts.get("diagnosis", _NOTHING).value == "other_malignancy" and own.get("diagnosis", _NOTHING).value == "adenocarcinoma":
        filled = replace(filled, facts={**filled.facts, "diagnosis": own["diagnosis"]})
    if "diagnosis" in filled.facts and filled.facts["diagnosis"].value not in MALIGNANT:
        extra = {name: fact for name, fact in extra.items() if name.startswith("cores_")}
    specimens[chosen] = replace(filled, facts={**filled.facts, **extra})
    return specimens


def _is_ungraded(specimen: Assembled, name: str) -> bool:
    return name in GRADE_FIELDS and (
        "ungraded" in specimen.facts.get("diagnosis", _NOTHING).flags or any(field in specimen.facts for field in GRADE_FIELDS)
    )


_NOTHING = Fact(value="", spans=())


def _holds_tumour(specimen: Assembled) -> bool:
    diagnosis = specimen.facts.get("diagnosis")
    return diagnosis is not None and diagnosis.value == "adenocarcinoma"


def _places(reader: Reader, stretches: Sequence[tuple[Role, TextRange]]) -> Facts:
    """Cores and target of a report without blocks; its site only where a heading gave it, which would be a block."""
    facts: Facts = {}
    for role, (start, end) in stretches:
        if reader.procedure in ("biopsy", None) and role in (Role.GROSS, Role.SPECIMEN_LIST):
            facts = {**reader.read_totals(start, end), **facts}
        if role in (Role.DIAGNOSIS, Role.SPECIMEN_LIST) and reader.procedure == "biopsy":
            target = read_target(reader.text, start, end)
            targeted = target or read_targeted(reader.text, start, reader.head_end(start, end))
            if targeted is not None:
                is_targeted = True if target else targeted.value
                facts = {"is_targeted": Fact(value=is_targeted, spans=targeted.spans, confidence=targeted.confidence), **facts}
            facts = {**({"target": target} if target else {}), **location_facts(reader.text, start, reader.head_end(start, end)), **facts}
    return facts


def _amend(reader: Reader, specimens: list[Assembled], stretches: Iterable[tuple[Role, TextRange]]) -> list[Assembled]:
    """An amendment goes to the specimen that it names, to the lone one, or to the only one with tumour."""
    amended = list(specimens)
    tumours = [index for index, specimen in enumerate(amended) if _holds_tumour(specimen)]
    lone = 0 if len(amended) == 1 else tumours[0] if len(tumours) == 1 else None
    for _, stretch in stretches:
        for index, (start, end) in _addressed(reader.text, stretch, amended, lone):
            specimen = amended[index]
            facts = reader.read_stretch(start, end)
            if "diagnosis" not in facts and specimen.facts.get("diagnosis", _NOTHING).value in MALIGNANT:
                facts = {**reader.read_amounts(start, end), **facts}
            if reader.procedure == "biopsy":
                facts |= _moved_to(location_facts(reader.text, start, end), specimen.facts)
            amended[index] = replace(specimen, facts=combine(facts, specimen.facts, conflict="superseded"))
    return amended


def _moved_to(place: Facts, known: Facts) -> Facts:
    """The place that an amendment gives, where it changes the side or level; words that only name the specimen add nothing."""
    return place if any(name in known and known[name].value != fact.value for name, fact in place.items()) or not known else {}


_NEXT_NAMED = (
    r"\band\s+(?=(?:the\s+)?(?:specimen|part|container|sample|core|site|jar|pot|vial|tube|bottle)\s*#?\s*(?:\d|(?-i:[A-Z]\b|[IVX]+\b)))"
)
_SENTENCE = re.compile(rf"(?:(?!{_NEXT_NAMED})[^.;\n]|[.;](?!\s)|\n(?!\s*\n))+", re.IGNORECASE)
_OF_THE_CASE = re.compile(r"\b(?:by\s+case|case\s+grade|(?:of|for)\s+the\s+case|overall|composite|case[- ]level)\b", re.IGNORECASE)
_STANDS = re.compile(r"\b(?:unchanged|no\s+changes?|remains?|stands|not\s+changed|unaltered)\b", re.IGNORECASE)


def _addressed(text: str, stretch: TextRange, specimens: Sequence[Assembled], lone: int | None) -> list[tuple[int, TextRange]]:
    """Which sentences of an amendment speak of which specimen: the one that they name, or the one named before."""
    found: list[tuple[int, TextRange]] = []
    index = _named(text, *stretch, specimens) if lone is None else lone
    for sentence in _SENTENCE.finditer(text, *stretch):
        named = _named(text, *sentence.span(), specimens)
        index = index if named is None else named
        if _OF_THE_CASE.search(sentence[0]) and named is None:
            index = lone
        if index is None or _STANDS.search(sentence[0]):
            continue
        if found and found[-1][0] == index and not text[found[-1][1][1] : sentence.start()].strip(" .;\n"):
            found[-1] = (index, (found[-1][1][0], sentence.end()))
        else:
            found.append((index, sentence.span()))
    return found


def _named(text: str, start: int, end: int, specimens: Sequence[Assembled]) -> int | None:
    """The specimen whose label stands in the sentence, otherwise the only one at the place that it names."""
    for index, specimen in enumerate(specimens):
        if specimen.label is not None and re.search(
            r"\b(?:specimen|part|container|sample|core|site|biopsy|jar|pot|vial|tube|bottle)\s*#?\s*"
            rf"{re.escape(str(specimen.label.value))}\b",
            text[start:end],
            re.IGNORECASE,
        ):
            return index
    for index, specimen in enumerate(specimens):
        if specimen.label is not None and re.search(
            rf"\b(?:[Oo]f|[Ii]n|[Ff]or|[Ff]rom)\s+{re.escape(str(specimen.label.value))}(?:\)|(?<=[A-Z])\b(?!\.))", text[start:end]
        ):
            return index
    place = {name: fact.value for name, fact in location_facts(text, start, end).items() if name in ("side", "levels")}
    same = [
        i for i, specimen in enumerate(specimens) if place == {n: f.value for n, f in specimen.facts.items() if n in ("side", "levels")}
    ]
    return same[0] if len(same) == 1 and place else None


def _exam(procedure: Fact | None, stated: Facts, everything: Facts, specimens: Sequence[Facts]) -> Facts:
    exam: Facts = {} if procedure is None else {"procedure": procedure}
    cancer = _cancer_present(specimens, everything)
    if cancer is not None:
        exam["cancer_present"] = cancer
    is_free = cancer is not None and cancer.value is False
    grade = {} if is_free else overall_grade(stated, specimens)
    exam |= {f"overall.{name}": fact for name, fact in grade.items()}
    if procedure is None or procedure.value == "biopsy":
        exam |= case_cores(stated, specimens)
    return exam


def _cancer_present(specimens: Sequence[Facts], everything: Facts) -> Fact | None:
    diagnoses = [facts["diagnosis"] for facts in specimens if "diagnosis" in facts]
    malignant = [diagnosis for diagnosis in diagnoses if diagnosis.value in MALIGNANT]
    if malignant:
        return Fact(value=True, spans=malignant[0].spans, confidence=max(d.confidence for d in malignant), rule="specimens")
    if "diagnosis" in everything and everything["diagnosis"].value in MALIGNANT:
        return Fact(value=True, spans=everything["diagnosis"].spans, confidence=everything["diagnosis"].confidence, rule="case")
    free = [diagnosis for diagnosis in diagnoses if diagnosis.value in _FREE_OF_CANCER]
    if free:
        spans = tuple(dict.fromkeys(span for diagnosis in free for span in diagnosis.spans))
        return Fact(value=False, spans=spans, confidence=min(d.confidence for d in free), rule="specimens")
    return None


def _extraction(report: Report, text: Normalised, exam: Facts, specimens: Sequence[Assembled], is_injected: bool) -> ReportExtraction:
    flags = report_flags(text, _MASKED_VALUE, is_injected=is_injected)
    exam_values, exam_flags = stated(text, exam, "", SOURCE)
    flags += exam_flags
    records = []
    for index, specimen in enumerate(specimens):
        facts = specimen.facts if specimen.label is None else {"specimen_id": specimen.label, **specimen.facts}
        values, found = stated(text, facts, f"{PATHOLOGY.item_kind}[{index}].", SOURCE)
        flags += found
        records.append(Specimen(item_id=f"{report.report_id}/{index}", report_id=report.report_id, index=index, values=values))
    return assembled(report, ORGAN.name, SOURCE, exam_values, records, flags)
