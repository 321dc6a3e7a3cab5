"""TCGA-BRCA: cancer of the patient, one row a patient, MR only; the real table loads completely."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from tests.mr_files import SHARED_DATA, needs_shared
from tests.planted import read_folder, same_bytes_twice
from weakbox.datasets_public.breast_labels import SCOPE
from weakbox.datasets_public.cases import read_cases
from weakbox.datasets_public.dataset import Located
from weakbox.datasets_public.locating import locate
from weakbox.datasets_public.tcga_brca import DATASET
from weakbox.imaging.volumes import read_volume
from weakbox.labelling.policy import LabelPolicy, study_class
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError
from weakbox.records.imaging import Purpose, SeriesRole
from weakbox.records.label import CuratedCase, LesionStatus
from weakbox.simulate.public.breast_mr import SHAPE, draw_breast_study, phase_pixels
from weakbox.simulate.public.tcga_brca import TREE

TABLE = SHARED_DATA / "mammo_tables" / "tcga_brca" / "brca_tcga_clinical_data.tsv"


@pytest.mark.parametrize("layout", [TREE.layout, *TREE.other_layouts])
def test_the_tree_is_read_as_it_was_planted(tmp_path: Path, layout: str) -> None:
    tree = {TREE.layout: TREE.write, **TREE.other_layouts}[layout](tmp_path, 4, 1)
    reading = read_folder(DATASET, tmp_path)
    assert reading.reasons == Counter(tree.dropped)
    assert sorted(case.patient_id for case in reading.cases) == [f"tcga_brca:{image.patient_id}" for image in tree.images]
    for image, case in zip(tree.images, reading.cases, strict=True):
        chosen = case.study.chosen(Purpose.DCE)
        assert chosen is not None
        assert {str(Path(instance.path).parent.relative_to(tmp_path)) for instance in chosen.instances} == {image.path}
        assert [label.box for label in case.labels] == [None]


def test_volumes_are_whole_and_in_order(tmp_path: Path) -> None:
    TREE.write(tmp_path, 2, 1)
    for number, case in enumerate(read_folder(DATASET, tmp_path).cases, start=1):
        study = draw_breast_study(1, case.patient_id.partition(":")[2], number)
        chosen = case.study.chosen(Purpose.DCE)
        assert chosen is not None
        volume = read_volume(chosen)
        assert volume.grid.shape == SHAPE
        assert (volume.array == phase_pixels(study, "post_1")).all()


def test_every_patient_has_cancer_and_the_class_is_the_patients(tmp_path: Path) -> None:
    TREE.write(tmp_path, 4, 1)
    reading = read_folder(DATASET, tmp_path)
    facts = {(label.diagnosis, label.status, label.class_source, label.series_key, label.attributes[SCOPE]) for label in reading.labels}
    assert facts == {("malignant", LesionStatus.CANCER, "histopathology", None, "patient")}
    assert {study_class(case, LabelPolicy()).scope for case in reading.cases} == {"patient"}


def test_the_side_comes_from_the_tumour_site_also_of_two_places(tmp_path: Path) -> None:
    TREE.write(tmp_path, 4, 1)
    labels = read_folder(DATASET, tmp_path).labels
    assert [(label.side, label.location) for label in labels] == [
        ("left", "left_upper_outer_quadrant"),
        ("right", "right_lower_inner_quadrant_right"),
        ("left", "left"),
        (None, None),
    ]


def test_na_is_no_value(tmp_path: Path) -> None:
    TREE.write(tmp_path, 5, 1)
    cases = read_folder(DATASET, tmp_path).cases
    assert [case.study.patient_age_years for case in cases] == [41.0, 42.0, 43.0, 44.0, None]
    assert "er_status" not in cases[1].labels[0].attributes
    assert cases[0].labels[0].attributes["er_status"] == "positive"


def test_the_row_of_a_metastasis_is_not_the_patients(tmp_path: Path) -> None:
    TREE.write(tmp_path, 3, 1)
    table = tmp_path / "brca_tcga_clinical_data.tsv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([lines[0], *reversed(lines[1:])]))
    reading = read_folder(DATASET, tmp_path)
    (label,) = [label for label in reading.labels if "A003" in label.case_id]
    assert label.evidence[0].record_id == "brca_tcga_clinical_data.tsv:4"
    assert reading.reasons["metastasis_sample"] == 1


def test_the_phase_before_contrast_is_not_the_reference(tmp_path: Path) -> None:
    TREE.write(tmp_path, 2, 1)
    chosen = [case.study.chosen(Purpose.DCE) for case in read_folder(DATASET, tmp_path).cases]
    assert [(series.description, series.role) for series in chosen if series] == [("Sag VIBRANT MPH", SeriesRole.DCE)] * 2


def test_objects_that_are_no_mr_are_left_out(tmp_path: Path) -> None:
    TREE.other_layouts["idc"](tmp_path, 1, 1)
    for kind in ("SEG", "SR", "SM"):
        place = next((tmp_path / "tcga_brca").rglob("MR_*")).with_name(f"{kind}_1.2.3")
        place.mkdir()
        (place / "x.dcm").write_bytes(b"no image of the patient")
    reading = read_folder(DATASET, tmp_path)
    assert {series.modality for series in reading.series} == {"MR"}
    assert not reading.reasons.keys() - {"missing_image"}


def test_les_outlines_are_listed_and_not_read(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    (tmp_path / "TCGA-AR-A001-S2-1.les").write_bytes(b"\0" * 12)
    reading = read_folder(DATASET, tmp_path)
    assert reading.reasons["annotation_not_read"] == 1


def test_images_of_a_patient_that_the_table_does_not_name_are_counted(tmp_path: Path) -> None:
    TREE.write(tmp_path, 2, 1)
    (tmp_path / "TCGA-BRCA" / "TCGA-AR-A002").rename(tmp_path / "TCGA-BRCA" / "TCGA-ZZ-Z999")
    assert read_folder(DATASET, tmp_path).reasons["images_without_row"] == 1


def test_two_studies_of_a_patient_are_two_cases_of_one_group(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    (patient,) = (tmp_path / "TCGA-BRCA").iterdir()
    (study,) = patient.iterdir()
    (patient / "02-05-2001-NA-MRI BREAST-11111").mkdir()
    next(study.glob("*AX T1*")).rename(patient / "02-05-2001-NA-MRI BREAST-11111" / "4.000000-AX T1-22222")
    cases = read_folder(DATASET, tmp_path).cases
    assert len({case.case_id for case in cases}) == 2
    assert {case.origin.group_ids for case in cases if case.origin} == {("patient:tcga_brca:TCGA-AR-A001",)}


def test_a_study_without_a_volume_is_dropped(tmp_path: Path) -> None:
    TREE.write(tmp_path, 2, 1)
    for path in (tmp_path / "TCGA-BRCA" / "TCGA-AR-A002").rglob("*.dcm"):
        path.write_bytes(b"<html>")
    reading = read_folder(DATASET, tmp_path)
    assert len(reading.cases) == 1
    assert (reading.reasons["no_volume"], reading.reasons["not_dicom"]) == (1, 36)


def test_a_renamed_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    TREE.write(tmp_path, 1, 1)
    table = tmp_path / "brca_tcga_clinical_data.tsv"
    table.write_text(table.read_text().replace("Patient ID", "Case"))
    with pytest.raises(InputError, match="patient_id"):
        read_folder(DATASET, tmp_path)


def test_the_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert same_bytes_twice(TREE.write, tmp_path)


@pytest.mark.shared
@needs_shared
@pytest.mark.slow
def test_the_real_table_loads_completely(tmp_path: Path) -> None:
    with TABLE.open(newline="") as file:
        patients = sorted({row["Patient ID"] for row in csv.DictReader(file, delimiter="\t")})
    for patient in patients:
        place = tmp_path / "TCGA-BRCA" / patient / "study" / "series"
        place.mkdir(parents=True)
        (place / "1-01.dcm").touch()
    (tmp_path / TABLE.name).write_bytes(TABLE.read_bytes())
    located = locate(DATASET, tmp_path)
    assert isinstance(located, Located)
    items = list(read_cases(DATASET, located))
    cases = [item for item in items if isinstance(item, CuratedCase)]
    assert Counter(item.reason for item in items if isinstance(item, LedgerEntry)) == {"metastasis_sample": 7}
    assert len(cases) == len(patients) == 1101
    assert Counter(case.study.patient_sex for case in cases) == {"F": 1085, "M": 12, None: 4}
    assert Counter(case.labels[0].side for case in cases) == {"left": 572, "right": 525, None: 4}
    assert sum(case.study.patient_age_years is None for case in cases) == 5
