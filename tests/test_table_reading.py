"""Tables as they come: encodings, delimiters, formats, damaged rows, missing columns."""

from __future__ import annotations

import csv
import json
import tracemalloc
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.sources.table_reading import Columns, Row, TableOptions, cell_text, comparable, read_rows

COLUMNS = Columns(required={"patient_id": ("mrn",), "text": ("report_text",)}, optional={"accession": ("accession_number",)})


def rows_of(path: Path, **options: object) -> list[Row]:
    return [item for item in items_of(path, **options) if isinstance(item, Row)]


def items_of(path: Path, **options: object) -> list[Row | LedgerEntry]:
    return list(read_rows(TableOptions(source="x", path=path, **options), COLUMNS, "report"))


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiter_and_encoding_are_told_from_the_file(tmp_path: Path, delimiter: str, encoding: str) -> None:
    text = f'MRN{delimiter}Report Text\r\n007{delimiter}"Läsion, 3; 4 | 5\t6\nzweite Zeile"\r\n'
    rows = rows_of(write(tmp_path / "t.csv", text.encode(encoding)))
    assert [(row.raw("patient_id"), row.raw("text")) for row in rows] == [("007", "Läsion, 3; 4 | 5\t6\nzweite Zeile")]


def test_windows_1252_is_taken_with_a_remark(tmp_path: Path) -> None:
    items = items_of(write(tmp_path / "t.csv", "mrn,text\n1,Läsion\n".encode("cp1252")))
    assert [item.reason for item in items if isinstance(item, LedgerEntry)] == ["assumed_windows_1252"]


def test_strings_stay_strings_in_every_format(tmp_path: Path) -> None:
    frame = pd.DataFrame({"mrn": ["007", "1e5"], "text": [" a\nb ", "NA"], "accession": ["00012", None]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    found = {
        suffix: [(row.raw("patient_id"), row.raw("text"), row.text("accession")) for row in rows_of(tmp_path / f"t.{suffix}")]
        for suffix in ("csv", "xlsx", "parquet", "jsonl")
    }
    for suffix, rows in found.items():
        assert rows == [("007", " a\nb ", "00012"), ("1e5", "NA", None)], suffix


def test_excel_cells_read_as_they_look() -> None:
    assert [cell_text(value) for value in (3, 3.0, 0.25, date(2021, 3, 4), True, None, float("nan"), "03")] == [
        "3", "3", "0.25", "2021-03-04", "TRUE", "", "", "03"
    ]  # fmt: skip


def test_a_missing_column_names_file_field_and_nearest_column(tmp_path: Path) -> None:
    path = write(tmp_path / "reports.csv", "mrn,reprot_text\n1,a\n")
    with pytest.raises(InputError, match=r"reports\.csv: no column for `text`; did you mean 'reprot_text'\?.*mrn, reprot_text"):
        rows_of(path)


def test_a_misspelt_mapping_names_the_nearest_column_or_field(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "Patient Number,text\n1,a\n")
    with pytest.raises(InputError, match=r"no column 'Patient Numbr' for `patient_id`; did you mean 'Patient Number'"):
        rows_of(path, columns={"patient_id": "Patient Numbr"})
    with pytest.raises(ConfigurationError, match=r"unknown field `patient`; did you mean 'patient_id'"):
        rows_of(path, columns={"patient": "Patient Number"})
    assert rows_of(path, columns={"patient_id": "Patient Number"})[0].raw("patient_id") == "1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "nothing but blanks"),
        ("mrn,text\n", "no rows under its header"),
        ("mrn,MRN,text\n1,2,a\n", r"'mrn', 'MRN' all read as `patient_id`"),
    ],
)
def test_a_table_without_usable_rows_is_refused_with_its_name(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"t\.csv: .*{message}"):
        rows_of(write(tmp_path / "t.csv", content))


def test_a_missing_file_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        rows_of(tmp_path / "absent.csv")
    with pytest.raises(InputError, match=r"is no table; expected one of \.csv"):
        rows_of(write(tmp_path / "t.docx", "x"))
    with pytest.raises(InputError, match="no readable Excel workbook"):
        rows_of(write(tmp_path / "t.xlsx", "no zip"))
    with pytest.raises(InputError, match="no readable Parquet"):
        rows_of(write(tmp_path / "t.parquet", "PAR1 no"))


def test_a_row_with_other_cells_is_dropped_and_the_rest_goes_on(tmp_path: Path) -> None:
    items = items_of(write(tmp_path / "t.csv", 'mrn,text\n1,a\n2,b,c\n3\n\n4,"5"" node"\n'))
    assert [item.raw("patient_id") for item in items if isinstance(item, Row)] == ["1", "4"]
    ledger = [item for item in items if isinstance(item, LedgerEntry)]
    assert [(entry.item_id, entry.reason, entry.outcome) for entry in ledger] == [
        ("t.csv:3", "malformed_row", Outcome.DROPPED),
        ("t.csv:4", "malformed_row", Outcome.DROPPED),
    ]


def test_a_last_row_cut_inside_a_quoted_cell_is_dropped(tmp_path: Path) -> None:
    items = items_of(write(tmp_path / "t.csv", 'mrn,text\n1,a 5" lesion\n2,"the text ends he'))
    assert [item.raw("text") for item in items if isinstance(item, Row)] == ['a 5" lesion']
    assert [item.detail for item in items if isinstance(item, LedgerEntry)] == ["the file ends inside a quoted cell"]


def test_a_broken_json_line_is_dropped(tmp_path: Path) -> None:
    items = items_of(write(tmp_path / "t.jsonl", '{"mrn": "1", "text": "a"}\n{"mrn":\n[1]\n{"text": "b", "mrn": 2}\n'))
    assert [item.raw("patient_id") for item in items if isinstance(item, Row)] == ["1", "2"]
    assert [item.item_id for item in items if isinstance(item, LedgerEntry)] == ["t.jsonl:2", "t.jsonl:3"]


def test_a_wrong_encoding_option_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "mrn,text\n1,Läsion\n".encode("cp1252"))
    with pytest.raises(InputError, match="not utf-8 text"):
        rows_of(path, encoding="utf-8")
    with pytest.raises(InputError, match="no encoding is called 'utf-88'"):
        rows_of(path, encoding="utf-88")
    assert rows_of(path, encoding="cp1252")[0].raw("text") == "Läsion"


def test_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"a": [1]}).to_excel(book, sheet_name="notes", index=False)
        pd.DataFrame({"mrn": [1], "text": ["x"]}).to_excel(book, sheet_name="reports", index=False)
    assert rows_of(path, sheet="reports")[0].raw("text") == "x"
    with pytest.raises(InputError, match="no sheet 'report'; did you mean 'reports'"):
        rows_of(path, sheet="report")


@settings(max_examples=40, deadline=None)
@given(
    cells=st.lists(
        st.tuples(
            st.text(alphabet="ab1 ;,|\t'\"\n", min_size=1).filter(lambda text: text.strip() != ""),
            st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\r\x00")),
        ),
        min_size=1,
        max_size=5,
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]], delimiter: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([("patient_id", "text"), *cells])
    assert [(row.raw("patient_id"), row.raw("text")) for row in rows_of(path)] == cells


@settings(max_examples=30)
@given(order=st.permutations(["patient_id", "text", "accession", "something else"]))
def test_the_order_of_the_columns_does_not_matter(tmp_path_factory: pytest.TempPathFactory, order: list[str]) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    values = {"patient_id": "7", "text": "t", "accession": "A1", "something else": "-"}
    write(path, ",".join(order) + "\n" + ",".join(values[name] for name in order) + "\n")
    assert rows_of(path)[0].cells == {"patient_id": "7", "text": "t", "accession": "A1"}


@pytest.mark.parametrize("name", ["Patient ID", "patientId", " PATIENT-ID ", "patient.id"])
def test_names_are_compared_without_case_blanks_and_punctuation(name: str) -> None:
    assert comparable(name) == comparable("patient_id")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_large_file_is_read_in_bounded_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"large.{suffix}"
    text = "prostate " * 1000
    with path.open("w", encoding="utf-8") as file:
        if suffix == "csv":
            file.write("mrn,text\n")
        for number in range(3000):
            file.write(f"{number},{text}\n" if suffix == "csv" else json.dumps({"mrn": str(number), "text": text}) + "\n")
    assert path.stat().st_size > 25e6
    tracemalloc.start()
    count = sum(1 for _ in read_rows(TableOptions(source="x", path=path), COLUMNS, "report"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 3000
    assert peak < 8e6
