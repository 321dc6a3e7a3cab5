"""Records to JSON Lines and back: nothing is lost, and a damaged line is named."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import hashlib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weakbox.records.artifact import ExportedCase, Provenance
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation
from weakbox.records.case import LedgerEntry, MatchedCase, Outcome, PatientRecord
from weakbox.records.errors import InputError
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Finding, ReportExtraction, Specimen
from weakbox.records.grid import Grid
from weakbox.records.image_set import ConvertedCase
from weakbox.records.imaging import ImagingStudy
from weakbox.records.label import CuratedCase, Exclusion, PixelBox, ReviewDecision
from weakbox.records.report import Report, ReportType
from weakbox.records.stated import FieldValue, Span, Stated
from weakbox.runtime.codec import as_plain, content_digest, decode, encode, read_records, write_records

RECORDS = (
    Report, ImagingStudy, BiopsyTarget, BiopsyCore, Segmentation, PatientRecord, ReportExtraction, ExtractionFailure,
    MatchedCase, CuratedCase, Exclusion, ReviewDecision, LedgerEntry, ExportedCase, Provenance,
    ConvertedCase,
)  # fmt: skip
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
FIELD_VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    FLOATS,
    st.text(),
    st.lists(st.text(), min_size=1, max_size=2).map(tuple),
    st.lists(FLOATS, min_size=1).map(tuple),
)
SPANS = st.integers(0, 1000).flatmap(lambda start: st.builds(Span, start=st.just(start), end=st.integers(start + 1, start + 50)))
EDGES = st.integers(0, 4000).flatmap(lambda low: st.tuples(st.just(float(low)), st.floats(low + 0.5, low + 500.0)))
PIXEL_BOXES = st.builds(
    lambda across, down, key: PixelBox(x0=across[0], x1=across[1], y0=down[0], y1=down[1], series_key=key),
    EDGES,
    EDGES,
    st.text(max_size=12),
)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    int: st.integers(),
    bool: st.booleans(),
    float: FLOATS,
    type(None): st.none(),
    FieldValue: FIELD_VALUES,
    Span: SPANS,
    PixelBox: PIXEL_BOXES,
    datetime.date: st.dates(),
    datetime.datetime: st.datetimes(timezones=st.just(datetime.UTC)),
    Grid: st.lists(FLOATS, min_size=16, max_size=16).map(lambda v: Grid(affine=tuple(v), shape=(3, 4, 5), frame_of_reference_uid="1.2")),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of every field type that the records use; fields with defaults are filled too."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Stated:
        return st.builds(
            Stated,
            value=FIELD_VALUES,
            evidence=st.lists(SPANS, min_size=1, max_size=2).map(tuple),
            source=st.text(),
            confidence=st.floats(0, 1),
        )
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values_of(argument) for argument in arguments])
    if origin is Mapping:
        return st.dictionaries(st.text(max_size=5), values_of(arguments[1]), max_size=2)
    if origin is tuple and arguments[-1] is ...:
        return st.lists(values_of(arguments[0]), max_size=1).map(tuple)
    if origin is tuple:
        return st.tuples(*(values_of(argument) for argument in arguments))
    if issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    hints = typing.get_type_hints(hint)
    return st.deferred(lambda: st.builds(hint, **{field.name: values_of(hints[field.name]) for field in dataclasses.fields(hint)}))


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
)
@given(data=st.data())
def test_every_field_of_a_record_survives(cls: type, data: st.DataObject) -> None:
    original = data.draw(values_of(cls))
    assert decode(encode(original)) == original
    assert b"\n" not in encode(original)


def test_values_keep_their_types() -> None:
    """True is not 1, 3.0 is not 3, and "3" is a text."""
    values: tuple[FieldValue, ...] = (True, 1, 3.0, 3, "3", ("a",), (14.0, 9.0))
    stated = {str(n): Stated(value=v, evidence=(Span(start=0, end=1),), source="rules", confidence=1.0) for n, v in enumerate(values)}
    finding = Finding(item_id="r/0", report_id="r", index=0, values=stated)
    extraction = ReportExtraction(
        report_id="r", patient_id="A", report_type=ReportType.RADIOLOGY, organ="prostate", status=ExtractionStatus.OK, findings=(finding,)
    )
    read = decode(encode(extraction)).findings[0]
    assert [(type(read.value(str(n))), read.value(str(n))) for n in range(len(values))] == [(type(value), value) for value in values]


def test_a_finding_stays_a_finding_and_a_specimen_a_specimen() -> None:
    assert type(decode(encode(Finding(item_id="r/0", report_id="r", index=0)))) is Finding
    assert type(decode(encode(Specimen(item_id="r/0", report_id="r", index=0)))) is Specimen


def exclusion(case: str) -> Exclusion:
    return Exclusion(case_id=case, patient_id="A", stage="matching", reason="no_t2w")


def test_records_written_to_a_file_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "shard.jsonl"
    count, sha256 = write_records(path, [exclusion(str(n)) for n in range(3)])
    assert count == 3
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(read_records(path)) == [exclusion(str(n)) for n in range(3)]
    assert [item.name for item in tmp_path.iterdir()] == ["shard.jsonl"]


def test_lines_can_be_passed_over_unread(tmp_path: Path) -> None:
    path = tmp_path / "shard.jsonl"
    write_records(path, [exclusion("wanted"), exclusion("other")])
    path.write_bytes(path.read_bytes() + b"not a record at all\n")
    assert [record.case_id for record in read_records(path, lambda line: b"wanted" in line)] == ["wanted"]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda line: line[:-9] + b"\n", "cut off"),
        (lambda line: line[:5] + b"\n", "cut off"),
        (lambda line: b"\n", "cut off"),
        (lambda line: b"\xff\xfe" + line, "cut off"),
        (lambda line: line.replace(b'"Exclusion"', b'"Exclusoin"'), "no record is called 'Exclusoin'"),
        (lambda line: line.replace(b'"Exclusion"', b'"Outcome"'), "no record is called 'Outcome'"),
        (lambda line: line.replace(b'"reason":"no_t2w"', b'"reason":4'), "field reason: Input should be a valid string"),
        (lambda line: line.replace(b'"stage":"matching",', b""), "field stage"),
    ],
    ids=["tail cut off", "head alone", "empty line", "binary", "unknown record", "no record but an enum", "wrong type", "field missing"],
)
def test_a_damaged_line_names_file_line_and_remedy(tmp_path: Path, damage: Any, expected: str) -> None:
    path = tmp_path / "matching" / "shard-0003.jsonl"
    path.parent.mkdir()
    write_records(path, [exclusion("1"), exclusion("2")])
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage(second))
    with pytest.raises(InputError) as caught:
        list(read_records(path))
    message = str(caught.value)
    assert message.startswith("matching/shard-0003.jsonl line 2: ")
    assert expected in message
    assert "delete the file" in message


def test_a_damaged_line_shows_none_of_its_values(tmp_path: Path) -> None:
    path = tmp_path / "shard.jsonl"
    text = "Mr Example, PSA 12"
    write_records(path, [Report(report_id="r", patient_id="MRN-77", report_type=ReportType.RADIOLOGY, text=text)])
    path.write_bytes(path.read_bytes().replace(b'"radiology"', b'"cardiology"'))
    with pytest.raises(InputError) as caught:
        list(read_records(path))
    assert "field report_type" in str(caught.value)
    assert "Example" not in str(caught.value)
    assert "MRN-77" not in str(caught.value)


def test_the_content_digest_tells_records_apart() -> None:
    assert content_digest(exclusion("1")) == content_digest(exclusion("1"))
    assert content_digest(exclusion("1")) != content_digest(exclusion("2"))


def test_plain_form_holds_enumerations_as_text() -> None:
    row = LedgerEntry(stage="matching", kind="case", item_id="1", outcome=Outcome.REVIEW, reason="x")
    assert as_plain(row)["outcome"] == "review"
