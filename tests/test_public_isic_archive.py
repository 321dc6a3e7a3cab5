"""ISIC Archive: today's table, the old API's files, a collected folder; licences, levels of diagnosis, images that are no photographs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.skin_sets import SHARED_ISIC, Read, edit_table, rename_column, tree_of
from weakbox.records.errors import InputError
from weakbox.records.label import LesionStatus

TABLE = "metadata.csv"
THUMBNAILS = SHARED_ISIC / "isic_archive_thumbs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tree_of("isic_archive").write(tmp_path, 5, 1)
    return tmp_path


def test_each_image_keeps_its_own_licence_and_attribution(folder: Path) -> None:
    origins = [case.origin for case in Read("isic_archive", folder).cases.values() if case.origin]
    assert {origin.licence for origin in origins} == {"CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0"}
    assert {origin.attribution for origin in origins} == {"Phantom clinic 0, skin", "Phantom clinic 1, skin"}


def test_levels_of_diagnosis_give_the_disease_and_whether_it_is_malignant(folder: Path) -> None:
    label = Read("isic_archive", folder).cases["ISIC_1000000"].labels[0]
    assert label.diagnosis == "nevus" and label.attributes["malignancy"] == "benign"
    assert label.attributes["diagnosis_levels"] == ("Benign", "Benign melanocytic proliferations", "Nevus", "Nevus, Compound")
    assert label.status is LesionStatus.BENIGN and label.evidence[0].field == "diagnosis_3"


def test_indeterminate_is_neither_benign_nor_malignant(folder: Path) -> None:
    edit_table(folder / TABLE, lambda rows: [{**row, "diagnosis_confirm_type": "histopathology"} for row in rows])
    labels = [case.labels[0] for case in Read("isic_archive", folder).cases.values()]
    indeterminate = [label for label in labels if label.attributes["malignancy"] == "indeterminate"]
    assert indeterminate and {label.status for label in indeterminate} == {LesionStatus.UNTESTED}


def test_patients_and_lesions_are_groups(folder: Path) -> None:
    groups = {case.origin.group_ids for case in Read("isic_archive", folder).cases.values() if case.origin}
    assert len(groups) == 5 and all([group.split(":")[0] for group in several] == ["lesion", "patient"] for several in groups)


def test_an_old_export_with_benign_malignant_is_read(folder: Path) -> None:
    def older(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        kept = [{name: cell for name, cell in row.items() if not name.startswith("diagnosis")} for row in rows]
        return [{**row, "diagnosis": "basal cell carcinoma", "benign_malignant": "malignant"} for row in kept]

    edit_table(folder / TABLE, older)
    labels = [case.labels[0] for case in Read("isic_archive", folder).cases.values()]
    assert {(label.diagnosis, label.attributes["malignancy"]) for label in labels} == {("basal_cell_carcinoma", "malignant")}


def test_an_image_without_a_diagnosis_is_left_out_and_never_benign(folder: Path) -> None:
    edit_table(
        folder / TABLE, lambda rows: [{name: "" if name.startswith("diagnosis") else cell for name, cell in rows[0].items()}, *rows[1:]]
    )
    read = Read("isic_archive", folder)
    assert read.reasons == {"no_diagnosis": 1} and len(read.cases) == 9


def test_a_table_without_any_diagnosis_is_an_error(folder: Path) -> None:
    edit_table(
        folder / TABLE,
        lambda rows: [{name: row[name] for name in ("isic_id", "attribution", "copyright_license", "age_approx")} for row in rows],
    )
    with pytest.raises(InputError, match="10 no_diagnosis"):
        Read("isic_archive", folder)


@pytest.mark.parametrize(
    ("change", "reasons", "cases"),
    [
        ({"image_type": "RCM: tile"}, {"confocal_microscopy_image": 1}, 9),
        ({"image_type": "TBP tile: close-up"}, {}, 10),
        ({"copyright_license": ""}, {"licence_not_stated": 1}, 10),
        ({"diagnosis_1": "Malignant"}, {"conflicting_labels": 1}, 10),
        ({"diagnosis_confirm_type": "guess"}, {"unexpected_value": 1}, 10),
        ({"age_approx": "85+"}, {}, 10),
        ({"isic_id": "ISIC_9999999"}, {"image_missing": 1, "image_without_row": 1}, 9),
        ({"diagnosis_3": "Cylindroma"}, {}, 10),
    ],
)
def test_odd_rows_are_counted_or_kept(change: dict[str, str], reasons: dict[str, int], cases: int, folder: Path) -> None:
    edit_table(folder / TABLE, lambda rows: [{**rows[0], **change}, *rows[1:]])
    read = Read("isic_archive", folder)
    assert read.reasons == reasons and len(read.cases) == cases


def test_image_types_stay_with_the_image(folder: Path) -> None:
    edit_table(folder / TABLE, lambda rows: [{**rows[0], "image_type": "clinical: overview"}, *rows[1:]])
    types = [case.study.series[0].attributes["image_type"] for case in Read("isic_archive", folder).cases.values()]
    assert types.count("clinical: overview") == 1 and types.count("dermoscopic") == 9


def test_today_s_sites_by_level_are_read(folder: Path) -> None:
    def newer(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        kept = [{name: cell for name, cell in row.items() if name != "anatom_site_general"} for row in rows]
        return [{**row, "anatom_site_1": "Trunk", "anatom_site_2": "Back"} for row in kept]

    edit_table(folder / TABLE, newer)
    assert {case.study.series[0].attributes["site"] for case in Read("isic_archive", folder).cases.values()} == {"trunk"}


def test_collections_that_share_an_image_count_it_once(folder: Path) -> None:
    collection = folder / "second"
    collection.mkdir()
    shutil.copy(folder / TABLE, collection)
    shutil.copy(folder / "ISIC_1000000.jpg", collection)
    read = Read("isic_archive", folder)
    assert len(read.cases) == 10 and read.reasons["repeated_file"] == 1 and read.reasons["repeated_image"] == 10


def test_a_table_without_isic_ids_is_refused(folder: Path) -> None:
    rename_column(folder / TABLE, "isic_id", "picture")
    with pytest.raises(InputError, match="isic_id"):
        Read("isic_archive", folder)


# JSON -----------------------------------------------------------------------------------------------------------------


def test_today_s_api_answer_beside_the_image_is_read(folder: Path) -> None:
    (folder / TABLE).unlink()
    for number in range(10):
        answer = {
            "isic_id": f"ISIC_{1000000 + number}",
            "copyright_license": "CC-BY",
            "attribution": "Phantom clinic",
            "files": {"full": {"url": "https://example.org/x.jpg", "size": 1}},
            "metadata": {
                "acquisition": {"pixels_x": 160, "pixels_y": 120, "image_type": "dermoscopic"},
                "clinical": {
                    "diagnosis_1": "Benign",
                    "diagnosis_3": "Nevus",
                    "patient_id": "IP_0000001",
                    "age_approx": 40,
                    "sex": "female",
                },
            },
        }
        (folder / f"ISIC_{1000000 + number}.json").write_text(json.dumps(answer))
    read = Read("isic_archive", folder)
    assert read.located.layout == "api" and len(read.cases) == 10 and not read.reasons
    case, reasons = read.completed("ISIC_1000000")
    assert case is not None and not reasons and case.labels[0].diagnosis == "nevus" and case.study.patient_age_years == 40.0
    assert case.origin is not None and case.origin.licence == "CC-BY-4.0"


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"name": "x"}', b"\xff\xfe", b"null"])
def test_a_json_file_of_something_else_is_listed(content: bytes, tmp_path: Path) -> None:
    tree_of("isic_archive").other_layouts["api"](tmp_path, 2, 1)
    (tmp_path / "ISIC_1000000.json").write_bytes(content)
    read = Read("isic_archive", tmp_path)
    assert len(read.cases) == 3
    assert read.reasons == {"malformed_file": 1, "image_without_row": 1, "licence_not_stated": 3}


def test_the_downloader_s_descriptions_without_an_ending_are_read(tmp_path: Path) -> None:
    tree_of("isic_archive").other_layouts["api"](tmp_path, 2, 1)
    for kind, ending in (("Images", "jpg"), ("Descriptions", "json")):
        (tmp_path / kind).mkdir()
        for path in tmp_path.glob(f"*.{ending}"):
            path.rename(tmp_path / kind / (path.name if kind == "Images" else path.stem))
    read = Read("isic_archive", tmp_path)
    assert read.located.layout == "descriptions" and len(read.cases) == 4


@pytest.mark.shared
@pytest.mark.skipif(not THUMBNAILS.is_dir(), reason="the real thumbnails are not beside the checkout")
def test_real_answers_of_the_old_api_load_completely() -> None:
    read = Read("isic_archive", THUMBNAILS)
    assert len(read.cases) == 12 and read.reasons == {"licence_not_stated": 12}
    melanomas = [case.labels[0] for case in read.cases.values() if case.labels[0].diagnosis == "melanoma"]
    assert len(melanomas) == 2 and {label.status for label in melanomas} == {LesionStatus.CANCER}
    case, reasons = read.completed("ISIC_0000002")
    assert case is not None and reasons == {"wrong_size": 1}
    assert case.study.series[0].attributes["columns"] == 250
