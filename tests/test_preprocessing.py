"""The preprocessing stage: which reports count, which studies are diagnostic, which series serves what, one patient at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from preprocessing import (
    Config,
    IdentitySettings,
    Inputs,
    PatientStage,
    assemble_patient,
    open_sources,
    read_inputs,
    research_patients,
    study_kind,
)
from tests.phantom import oblique_grid, uid
from weakbox.imaging.series_choice import ChoicePolicy, choose_series
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, CoordinateSystem, Segmentation, SegmentationKind
from weakbox.records.case import LedgerEntry, Outcome, PatientRecord
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.imaging import ImagingStudy, Plane, Purpose, Series, SeriesChoice, SeriesRole, StudyKind
from weakbox.records.report import Report, ReportStatus, ReportType
from weakbox.runtime.config import validate
from weakbox.runtime.executors.local import LocalExecutor
from weakbox.runtime.stage import check_flow

CONFIG = Config()
GRID = oblique_grid((24, 20, 12))
FRAME = GRID.frame_of_reference_uid


def report(report_id: str = "R1", text: str = "PROSTATE MRI. PI-RADS 4.", day: date | None = date(2021, 3, 4), **fields: Any) -> Report:
    values: dict[str, Any] = {"patient_id": "P1", "report_type": ReportType.RADIOLOGY, "status": ReportStatus.FINAL, **fields}
    return Report(report_id=report_id, text=text, exam_date=day, **values)


def series(name: str = "t2", role: SeriesRole = SeriesRole.T2W, **fields: Any) -> Series:
    values: dict[str, Any] = {
        "role_confidence": 0.9,
        "role_reason": "test",
        "plane": Plane.AXIAL,
        "description": name,
        "image_count": 12,
        **fields,
    }
    values = {"grid": GRID, "frame_of_reference_uid": FRAME, **values}
    return Series(series_uid=uid(name.split("#")[0]), study_uid="1.1", role=role, **values)


def dwi(b_value: float, name: str = "dwi", **fields: Any) -> Series:
    return series(name, SeriesRole.DWI, part=f"b{b_value:g}", b_values=(b_value,), **fields)


def study(*items: Series, description: str = "MR prostate", **fields: Any) -> ImagingStudy:
    return ImagingStudy(
        **{"study_uid": "1.1", "patient_id": "P1", "series": items, "description": description, "study_date": date(2021, 3, 4), **fields}
    )


def target(target_id: str = "T1", **fields: Any) -> BiopsyTarget:
    values: dict[str, Any] = {"patient_id": "P1", "label": "1", "position": (1.0, 2.0, 3.0), **fields}
    return BiopsyTarget(target_id=target_id, **values)


def assemble(*records: Any, config: Config = CONFIG) -> tuple[PatientRecord, Counter[tuple[str, str]]]:
    patient, ledger = assemble_patient("P1", records, config)
    return patient, Counter((entry.outcome.value, entry.reason) for entry in ledger)


def texts(*reports: Report, config: Config = CONFIG) -> tuple[list[tuple[str, str]], Counter[tuple[str, str]]]:
    patient, counts = assemble(*reports, config=config)
    return [(item.report_id, item.text) for item in patient.reports], counts


# Reports ----------------------------------------------------------------------------------------------------------------

A, B = "Prostate: PI-RADS 3.", "Prostate: PI-RADS 4."


@pytest.mark.parametrize(
    ("versions", "kept", "reasons"),
    [
        ([report(text=A), report(text=A)], [("R1", A)], {("dropped", "duplicate"): 1}),
        ([report(text=A, status=ReportStatus.PRELIMINARY), report(text=B)], [("R1", B)], {("dropped", "superseded"): 1}),
        ([report(text=A), report(text=B, status=ReportStatus.CORRECTED)], [("R1", B)], {("dropped", "superseded"): 1}),
        (
            [report(text=A, report_date=date(2021, 3, 5)), report(text=B, report_date=date(2021, 3, 9))],
            [("R1", B)],
            {("dropped", "superseded"): 1},
        ),
        (
            [report(text=A, report_date=date(2021, 3, 5)), report(text=B, status=ReportStatus.PRELIMINARY, report_date=date(2021, 3, 9))],
            [("R1", A)],
            {("dropped", "superseded"): 1},
        ),
        ([report(text=A), report(text=B)], [("R1", A), ("R1~2", B)], {("flagged", "duplicate_id_conflict"): 2}),
        ([report(text=A, status=ReportStatus.CANCELLED), report(text=B)], [("R1", B)], {("dropped", "cancelled"): 1}),
        (
            [report(text=A), report(text="Lesion is on the RIGHT.", status=ReportStatus.ADDENDUM)],
            [("R1", f"{A}\n\nADDENDUM:\nLesion is on the RIGHT.")],
            {("dropped", "attached_addendum"): 1, ("flagged", "addendum_attached"): 1},
        ),
        (
            [report(text=A), report(text=f"{A}\nAddendum: now PI-RADS 4.", status=ReportStatus.ADDENDUM)],
            [("R1", f"{A}\nAddendum: now PI-RADS 4.")],
            {("dropped", "attached_addendum"): 1, ("flagged", "addendum_attached"): 1},
        ),
        (
            [
                report(text=A, accession="X"),
                report("R1-add", text="Addendum: prostate 40 mL.", status=ReportStatus.ADDENDUM, accession="X"),
            ],
            [("R1", f"{A}\n\nAddendum: prostate 40 mL.")],
            {("dropped", "attached_addendum"): 1, ("flagged", "addendum_attached"): 1},
        ),
        (
            [report(text=A, accession="X"), report("R0", text=B, status=ReportStatus.PRELIMINARY, accession="X")],
            [("R1", A)],
            {("dropped", "superseded"): 1},
        ),
        ([report(text=A), report("R2", text=" prostate:\npi-rads 3 ")], [("R1", A)], {("dropped", "near_duplicate"): 1}),
        ([report(text=A), report("R2", text=B)], [("R1", A), ("R2", B)], {}),
        ([report(text=A), report("R2", text=A, day=date(2022, 1, 1))], [("R1", A), ("R2", A)], {("flagged", "copied_forward"): 1}),
        (
            [report(text=A), report(text="Prostate biopsy, benign", report_type=ReportType.PATHOLOGY)],
            [("R1~pathology", "Prostate biopsy, benign"), ("R1", A)],
            {("flagged", "duplicate_id_conflict"): 1},
        ),
    ],
)
def test_each_text_that_counts_stays_once_in_its_last_version(
    versions: list[Report], kept: list[tuple[str, str]], reasons: dict[Any, int]
) -> None:
    for order in (versions, versions[::-1]):
        assert texts(*order) == (kept, Counter(reasons))


@pytest.mark.parametrize(
    ("item", "config", "reason"),
    [
        (report(text="Knee MRI. Meniscal tear."), CONFIG, "other_organ"),
        (report(organ="breast"), CONFIG, "other_organ"),
        (report(title="MRI guided prostate BIOPSY"), CONFIG, "excluded_title"),
        (report(day=date(2009, 12, 31)), Config(minimum_date=date(2010, 1, 1)), "before_minimum_date"),
        (report(patient_id=None), CONFIG, "no_patient"),
    ],
)
def test_a_report_that_does_not_count_is_dropped_with_the_reason(item: Report, config: Config, reason: str) -> None:
    assert texts(item, config=config) == ([], Counter({("dropped", reason): 1}))


@pytest.mark.parametrize(
    ("item", "config"),
    [
        (report(day=date(2010, 1, 1)), Config(minimum_date=date(2010, 1, 1))),
        (report(text="Findings as below.", title="MR PROSTATE"), CONFIG),
        (report(title="Prostate, needle biopsy", report_type=ReportType.PATHOLOGY), CONFIG),
        (report(text="Prostaatcarcinoom."), Config(more_organ_words=("prostaa",))),
        (report(title="MRI guided prostate biopsy"), Config(excluded_title_words=())),
        (report(title="MRI PROSTATE FOR BIOPSY PLANNING"), CONFIG),
        (report(title="MRI prostate pre-biopsy"), CONFIG),
    ],
)
def test_a_report_that_counts_stays(item: Report, config: Config) -> None:
    assert texts(item, config=config) == ([("R1", item.text)], Counter())


def test_a_report_without_a_day_stays_and_is_flagged() -> None:
    kept, counts = texts(report(day=None))
    assert (len(kept), counts) == (1, Counter({("flagged", "no_date"): 1}))


# Studies ----------------------------------------------------------------------------------------------------------------

GUIDANCE = series("needle", SeriesRole.T2W, is_diagnostic=False)
T2, ADC = series("t2"), series("adc", SeriesRole.ADC)


@pytest.mark.parametrize(
    ("item", "kind", "words"),
    [
        (study(T2, ADC), StudyKind.DIAGNOSTIC, "nothing speaks"),
        (study(T2, ADC, description="MRI guided prostate biopsy"), StudyKind.INTRAPROCEDURAL, "'guided'"),
        (study(T2, ADC, description="MR PROSTATE PRE-BIOPSY"), StudyKind.DIAGNOSTIC, "nothing"),
        (study(T2, ADC, description="Prostate, status post biopsy"), StudyKind.DIAGNOSTIC, "nothing"),
        (study(T2, GUIDANCE), StudyKind.INTRAPROCEDURAL, "1 needle-guidance series and no diffusion"),
        (study(T2, ADC, GUIDANCE), StudyKind.DIAGNOSTIC, "full diagnostic protocol beside"),
        (study(ADC, *(replace(GUIDANCE, series_uid=str(number)) for number in range(3))), StudyKind.INTRAPROCEDURAL, "3 of 4 series"),
        (study(series(grid=oblique_grid((9, 9, 8)))), StudyKind.INTRAPROCEDURAL, "8 slices at most"),
    ],
)
def test_a_study_is_diagnostic_or_intraprocedural_with_a_reason(item: ImagingStudy, kind: StudyKind, words: str) -> None:
    found, reason = study_kind(item, CONFIG)
    assert (found, words in reason) == (kind, True), reason


def test_two_records_of_a_study_are_merged_and_counted() -> None:
    first, second = study(T2, accession=None), study(ADC, replace(T2, image_count=20), accession="A1", description="")
    patient, counts = assemble(first, second)
    (merged,) = patient.studies
    assert (merged.accession, merged.description, [item.image_count for item in merged.series]) == (
        "A1",
        "MR prostate",
        [12, 20] if ADC.key < T2.key else [20, 12],
    )
    assert counts["dropped", "merged_study"] == 1


def test_a_study_without_t2w_stays_and_says_which_series_could_not_be_used() -> None:
    broken = replace(T2, problems=("missing_slices",), series_number=4)
    patient, ledger = assemble_patient("P1", [study(broken, ADC)], CONFIG)
    assert len(patient.studies) == 1
    flags = {entry.reason: entry.detail for entry in ledger}
    assert flags == dict.fromkeys(("no_t2w", "no_high_b"), "T2W series 4: missing_slices")


# Series -----------------------------------------------------------------------------------------------------------------


def choose(*items: Series, **policy: Any) -> dict[Purpose, SeriesChoice]:
    return {choice.purpose: choice for choice in choose_series(items, ChoicePolicy(**policy))}


def chosen(*items: Series, **policy: Any) -> dict[Purpose, str | None]:
    names = {item.key: item.description + ("#" + item.part if item.part else "") for item in items}
    return {purpose: names.get(choice.series_key or "") for purpose, choice in choose(*items, **policy).items()}


FEW, COARSE = oblique_grid((24, 20, 10)), oblique_grid((24, 20, 12), spacing=(1.0, 1.0, 3.0))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (series("b"), series("a", grid=FEW)),
        (series("b"), series("a", grid=COARSE)),
        (series("a"), series("b")),
        (series("b", grid=FEW), series("a", problems=("irregular",))),
        (series("b", grid=FEW), series("a", plane=None)),
        (series("b", grid=None, image_count=30), series("a")),
    ],
)
def test_most_slices_then_finest_then_name_behind_fewer_problems(better: Series, worse: Series) -> None:
    for items in ((better, worse), (worse, better)):
        choice = choose(*items)[Purpose.T2W]
        assert (choice.series_key, choice.runners_up) == (better.key, (worse.key,))
        assert "first of 2" in choice.reason


@pytest.mark.parametrize(
    "change",
    [
        {"plane": Plane.SAGITTAL},
        {"is_diagnostic": False},
        {"role_confidence": 0.3},
        {"grid": oblique_grid((9, 9, 5))},
        {"problems": ("missing_slices",)},
        {"modality": "CT"},
        {"role": SeriesRole.UNKNOWN},
    ],
)
def test_a_series_that_cannot_serve_is_never_chosen(change: dict[str, Any]) -> None:
    assert choose(replace(T2, **change)) == {}


def test_adc_and_high_b_in_the_frame_of_the_t2w_series_come_first() -> None:
    elsewhere = {"frame_of_reference_uid": "9.9", "image_count": 99}
    items = (T2, series("adc a", SeriesRole.ADC, **elsewhere), series("adc b", SeriesRole.ADC), dwi(1400, "a", **elsewhere), dwi(2000, "b"))
    assert chosen(*items) == {Purpose.T2W: "t2", Purpose.ADC: "adc b", Purpose.HIGH_B: "b#b2000"}
    only = choose(T2, items[1])[Purpose.ADC]
    assert "another Frame of Reference than the T2W series" in only.reason


def test_the_policy_decides_between_variants_of_an_adc_map_and_is_logged() -> None:
    items = (T2, *(series(name, SeriesRole.ADC) for name in ("x_ADC", "x_ADC_DFC", "x_ADC_DFC_MIX")))
    assert chosen(*items)[Purpose.ADC] == "x_ADC_DFC"
    assert chosen(*items, adc_variants=("mixed", "plain", "corrected"))[Purpose.ADC] == "x_ADC_DFC_MIX"
    assert "policy corrected before plain before mixed" in choose(*items)[Purpose.ADC].reason
    assert "policy" not in choose(*items[:2])[Purpose.ADC].reason


def test_an_acquired_high_b_wins_over_a_computed_one_and_the_lowest_that_suffices_over_higher_ones() -> None:
    computed = series("calc", SeriesRole.DWI, is_computed_b=True, b_values=(1400.0,))
    assert chosen(T2, computed, dwi(1500), dwi(2000), dwi(1300))[Purpose.HIGH_B] == "dwi#b1500"
    assert chosen(T2, computed, dwi(800))[Purpose.HIGH_B] == "calc"
    unstated = replace(computed, b_values=())
    assert "b not stated" in choose(T2, unstated)[Purpose.HIGH_B].reason


def test_a_whole_series_of_several_b_values_is_no_high_b() -> None:
    whole = series("all", SeriesRole.DWI, b_values=(50.0, 800.0, 1400.0))
    assert Purpose.HIGH_B not in choose(T2, whole)


def test_adc_and_high_b_are_derived_where_none_was_acquired() -> None:
    parts = [dwi(0), dwi(50), dwi(400), dwi(800), dwi(1200)]
    choices = choose(T2, *parts)
    fitted = tuple(part.key for part in parts[1:4])
    assert (choices[Purpose.ADC].derived, choices[Purpose.ADC].inputs, choices[Purpose.ADC].series_key) == ("adc_from_dwi", fitted, None)
    assert (choices[Purpose.HIGH_B].derived, choices[Purpose.HIGH_B].inputs) == ("computed_b1400", fitted)
    two = choose(T2, dwi(0), dwi(800))
    assert two[Purpose.ADC].inputs == (dwi(0).key, dwi(800).key)


def test_one_part_and_the_adc_map_on_its_grid_give_a_computed_high_b() -> None:
    choices = choose(T2, ADC, dwi(800))
    assert (choices[Purpose.HIGH_B].derived, choices[Purpose.HIGH_B].inputs) == ("computed_b1400", (dwi(800).key, ADC.key))
    elsewhere = replace(ADC, grid=COARSE)
    assert Purpose.HIGH_B not in choose(T2, elsewhere, dwi(800))


def test_parts_on_different_grids_are_never_fitted_together() -> None:
    assert Purpose.ADC not in choose(T2, dwi(50), dwi(800, "other", grid=COARSE))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_choice_never_depends_on_the_order_and_no_series_serves_two_purposes(data: st.DataObject) -> None:
    pool = [
        T2,
        series("t2 b", grid=FEW),
        ADC,
        series("adc_MIX", SeriesRole.ADC),
        dwi(0),
        dwi(50),
        dwi(800),
        dwi(1400),
        dwi(2000, "x"),
        GUIDANCE,
    ]
    items = data.draw(st.lists(st.sampled_from(pool), unique_by=lambda item: item.key, max_size=8))
    choices = choose(*items)
    assert choose(*data.draw(st.permutations(items))) == choices
    keys = [choice.series_key for choice in choices.values() if choice.series_key]
    assert len(keys) == len(set(keys))
    known = {item.key for item in items}
    assert all(
        {*choice.inputs, *choice.runners_up, *([choice.series_key] if choice.series_key else [])} <= known for choice in choices.values()
    )


# Targets, cores, segmentations --------------------------------------------------------------------------------------------


def test_voxel_indices_become_lps_by_the_grid_of_their_series() -> None:
    index = (5.0, 7.5, 3.0)
    patient, counts = assemble(study(T2), target(position=index, coordinate_system=CoordinateSystem.IJK, series_uid=T2.series_uid))
    (item,) = patient.targets
    assert item.coordinate_system is CoordinateSystem.LPS
    assert item.position == pytest.approx(GRID.to_lps(np.array(index)))
    assert (item.study_uid, item.frame_of_reference_uid) == ("1.1", FRAME)
    assert ("flagged", "no_series_for_ijk") not in counts


def test_voxel_indices_without_their_series_give_no_point() -> None:
    patient, counts = assemble(study(T2), target(coordinate_system=CoordinateSystem.IJK, series_uid="9.9"))
    assert (patient.targets[0].position, patient.targets[0].problems) == (None, ("no_series_for_ijk",))
    assert counts["flagged", "no_series_for_ijk"] == 1


def test_a_series_number_finds_its_series_where_only_one_has_it() -> None:
    first, second = replace(T2, series_number=4), replace(ADC, series_number=7)
    patient, counts = assemble(study(first, second), target(series_number=4))
    assert (patient.targets[0].series_uid, patient.targets[0].frame_of_reference_uid) == (T2.series_uid, FRAME)
    twin = replace(first, series_uid="7.7", study_uid="1.2")
    patient, counts = assemble(study(first), study(twin, study_uid="1.2"), target(series_number=4))
    assert (patient.targets[0].series_uid, counts["flagged", "ambiguous_series_number"]) == (None, 1)


def test_a_frame_that_contradicts_the_named_series_is_flagged_and_kept() -> None:
    patient, counts = assemble(study(T2), target(series_uid=T2.series_uid, frame_of_reference_uid="9.9"))
    assert (patient.targets[0].frame_of_reference_uid, counts["flagged", "frame_of_reference_uid_conflict"]) == ("9.9", 1)


def test_copies_of_a_target_are_dropped_and_others_of_its_id_kept_apart() -> None:
    items = [target(source_row=2), target(source_row=9), target(position=(9.0, 9.0, 9.0))]
    for order in (items, items[::-1]):
        patient, counts = assemble(*order)
        assert [item.target_id for item in patient.targets] == ["T1", "T1~2"]
        assert counts == {("dropped", "duplicate"): 1, ("flagged", "duplicate_id_conflict"): 1}


# The whole patient --------------------------------------------------------------------------------------------------------

SEGMENTATION = Segmentation(
    segmentation_id="S1",
    patient_id="P1",
    kind=SegmentationKind.GLAND,
    label=None,
    path="x",
    segment_number=1,
    centroid=(0.0, 0.0, 0.0),
    corner=(0.0, 0.0, 0.0),
    edges=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    volume_ml=30.0,
)
CORE = BiopsyCore(core_id="C1", patient_id="P1", label="LEFT APEX", is_targeted=False, series_uid=T2.series_uid)
POOL: list[Any] = [
    *(report(f"R{number % 3}", f"Prostate PI-RADS {number % 4}", status=status) for number, status in enumerate(ReportStatus)),
    report("R1", A, status=ReportStatus.ADDENDUM, accession="X"),
    report("R5", "knee"),
    report("R6", day=None, report_type=ReportType.PATHOLOGY),
    study(T2, ADC),
    study(dwi(800)),
    study(GUIDANCE, study_uid="1.3", description="guided biopsy"),
    target(),
    target(source_row=7),
    target(position=None),
    target("T2", coordinate_system=CoordinateSystem.IJK),
    CORE,
    replace(CORE, core_id="C2"),
    SEGMENTATION,
    SEGMENTATION,
]


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_the_order_of_the_input_never_matters_and_everything_is_accounted_for(data: st.DataObject) -> None:
    items = data.draw(st.lists(st.sampled_from(POOL), max_size=12))
    needs = data.draw(st.sampled_from([(), ("study",), ("pathology", "target")]))
    config = Config(needs=needs)
    output = PatientStage(config)("P1", items)
    check_flow("preprocessing", output)
    shuffled = PatientStage(config)("P1", data.draw(st.permutations(items)))
    assert (shuffled.records, shuffled.ledger) == (output.records, output.ledger)
    ids = [item.report_id for item in output.records[0].reports]
    assert len(ids) == len(set(ids))


def test_a_patient_without_what_is_needed_is_dropped_item_by_item() -> None:
    patient, counts = assemble(report(), target(), config=Config(needs=("study",)))
    assert (patient.reports, patient.targets) == ((), ())
    assert counts["dropped", "patient_without_study"] == 2


# Inputs -------------------------------------------------------------------------------------------------------------------


def inputs(**families: Any) -> Inputs:
    return validate(Inputs, families, "inputs", "configs.yaml")


@pytest.mark.parametrize(
    ("families", "message"),
    [
        ({"reports": [{"source": "report_tabel", "path": "x"}]}, r"report_tabel\.py; did you mean 'report_table'"),
        ({"reports": [{"path": "x"}]}, "an input needs `source: <name>`"),
        (
            {"reports": [{"source": "report_table", "path": "x", "colums": {}}]},
            r"unknown key `inputs\.reports\.colums`; did you mean 'columns'",
        ),
        ({"images": [{"source": "report_table", "path": "x"}]}, r"'report_table' gives reports; list it under `inputs\.reports`"),
        ({"report": []}, r"unknown key `inputs\.report`; did you mean 'reports'"),
        ({"biopsies": [{"source": "biopsy_csv", "path": "x", "frame": "MNI"}]}, r"`inputs\.biopsies\.frame`"),
    ],
)
def test_inputs_that_make_no_sense_are_refused_before_any_work(families: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        inputs(**families)


def test_options_of_every_source_survive_as_json() -> None:
    made = inputs(biopsies=[{"source": "biopsy_csv", "path": "t.csv", "frame": "RAS"}])
    assert '"frame":"RAS"' in made.model_dump_json()


def cohort(folder: Path) -> Inputs:
    (folder / "reports.csv").write_text(
        "report_id,mrn,accession,study_date,text\n"
        "R1,M1,A1,2021-03-31,Prostate PI-RADS 4\nR2,,A1,2021-03-31,Prostate benign\nR3,M7,,2021-03-31,Prostate\nR4,,,2021-03-31,Prostate\n",
        encoding="utf-8",
    )
    (folder / "targets.csv").write_text(
        "mrn,target,x,y,z,frame,study_uid,procedure_date\nM1,1,1,2,3,RAS,1.1,2021-04-10\n", encoding="utf-8"
    )
    (folder / "crosswalk.csv").write_text(
        "mrn,anon_patient_id,accession,anon_accession,study_uid,anon_study_uid,date_shift_days\n"
        "M1,P1,A1,X1,1.1,2.1,-30\nM2,P2,A2,X2,1.2,2.2,5\nM2,P3,A3,X3,1.3,2.3,5\n",
        encoding="utf-8",
    )
    return inputs(
        reports=[{"source": "report_table", "path": folder / "reports.csv", "report_type": "radiology"}],
        biopsies=[{"source": "biopsy_csv", "path": folder / "targets.csv"}],
        crosswalk=[{"source": "crosswalk_table", "path": folder / "crosswalk.csv"}],
    )


def test_records_are_brought_onto_the_identifiers_of_the_images(tmp_path: Path) -> None:
    items = list(read_inputs(cohort(tmp_path), CONFIG, LocalExecutor(1), tmp_path / "cache"))
    reports = [item for item in items if isinstance(item, Report)]
    (point,) = [item for item in items if isinstance(item, BiopsyTarget)]
    assert [(item.report_id, item.patient_id, item.accession, item.exam_date) for item in reports] == [
        ("R1", "P1", "X1", date(2021, 3, 1)),
        ("R2", "P1", "X1", date(2021, 3, 1)),
    ]
    assert (point.patient_id, point.study_uid, point.procedure_date, point.position) == ("P1", "2.1", date(2021, 3, 11), (-1.0, -2.0, 3.0))
    dropped = [(item.item_id, item.reason) for item in items if isinstance(item, LedgerEntry) and item.outcome is Outcome.DROPPED]
    assert dropped == [
        ("crosswalk.csv:3", "crosswalk_conflict"),
        ("crosswalk.csv:4", "crosswalk_conflict"),
        ("R3", "not_in_crosswalk"),
        ("R4", "not_in_crosswalk"),
    ]


def test_records_can_keep_the_original_identifiers_and_still_find_the_images_studies(tmp_path: Path) -> None:
    config = Config(identity=IdentitySettings(patients="original"))
    items = list(read_inputs(cohort(tmp_path), config, LocalExecutor(1), tmp_path / "cache"))
    reports = [item for item in items if isinstance(item, Report)]
    (point,) = [item for item in items if isinstance(item, BiopsyTarget)]
    assert [(item.report_id, item.patient_id, item.exam_date) for item in reports] == [
        ("R1", "M1", date(2021, 3, 31)),
        ("R3", "M7", date(2021, 3, 31)),
    ]
    assert (point.patient_id, point.study_uid, point.procedure_date) == ("M1", "2.1", date(2021, 4, 10))


def test_without_a_crosswalk_reports_without_a_patient_are_dropped(tmp_path: Path) -> None:
    made = cohort(tmp_path).model_copy(update={"crosswalk": ()})
    items = list(read_inputs(made, CONFIG, LocalExecutor(1), tmp_path / "cache"))
    assert [(item.item_id, item.reason) for item in items if isinstance(item, LedgerEntry)] == [("R2", "no_patient"), ("R4", "no_patient")]
    assert {item.patient_id for item in items if isinstance(item, Report)} == {"M1", "M7"}


def test_research_identifiers_and_files_of_the_inputs_are_known(tmp_path: Path) -> None:
    made = cohort(tmp_path)
    assert research_patients(made) == {"M1": "P1", "P1": "P1"}
    assert [path.name for path in open_sources(made).table_files()] == ["reports.csv", "targets.csv", "crosswalk.csv"]
    assert list(open_sources(made).image_files()) == []


def test_a_missing_input_file_is_named(tmp_path: Path) -> None:
    made = inputs(reports=[{"source": "report_table", "path": tmp_path / "absent.csv", "report_type": "radiology"}])
    with pytest.raises(InputError, match=r"absent\.csv: no such file"):
        list(read_inputs(made, CONFIG, LocalExecutor(1), tmp_path))


@pytest.mark.parametrize("model", [Inputs, Config, IdentitySettings])
def test_every_choice_is_described(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
