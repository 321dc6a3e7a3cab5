"""The simulated cohort is deterministic, geometrically true, readable by others, and its gold is what its reports say."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbox.records.biopsy import BiopsyTarget, CoordinateSystem
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.report import Report, ReportType
from weakbox.simulate.anatomy import area_of, draw_gland, draw_place, level_of
from weakbox.simulate.cohort import CohortSummary, simulate, simulate_workload
from weakbox.simulate.course import draw_course
from weakbox.simulate.draws import Draws, content_uid
from weakbox.simulate.reports import styles
from weakbox.simulate.statements import Notebook, hard_wrap, replace_characters
from weakbox.sources.biopsy_csv import SOURCE as BIOPSY_SOURCE
from weakbox.sources.report_export import SOURCE as EXPORT_SOURCE
from weakbox.sources.report_table import SOURCE as TABLE_SOURCE

SHARED = Path(__file__).resolve().parents[2] / "shared"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def with_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohorts") / "images"
    simulate(folder, patients=8, seed=7, registration_error_mm=3.0, with_images=True)
    return folder


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohorts") / "tables"
    simulate(folder, patients=200, seed=11, registration_error_mm=3.0, with_images=False)
    return folder


def lines(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def in_gland(point: list[float], gland: Row) -> bool:
    unit = (np.array(point) - gland["centre_lps"]) @ np.array(gland["rotation"]).reshape(3, 3) / np.array(gland["semi_axes_mm"])
    return bool(np.sum(unit**2) <= 1.0)


def grid_of(files: list[pydicom.Dataset]) -> Grid:
    """The volume of a one-volume series from its headers alone, by PS3.3 C.7.6.2.1.1."""
    first = files[0]
    row, column = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    ordered = sorted((np.array(file.ImagePositionPatient, dtype=float) for file in files), key=lambda position: float(position @ normal))
    between_rows, between_columns = (float(value) for value in first.PixelSpacing)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1] = row * between_columns, column * between_rows
    matrix[:3, 2] = (ordered[-1] - ordered[0]) / (len(ordered) - 1)
    matrix[:3, 3] = ordered[0]
    return Grid.from_matrix(matrix, (first.Columns, first.Rows, len(ordered)), first.FrameOfReferenceUID)


@pytest.fixture(scope="module")
def datasets(with_images: Path) -> dict[str, list[pydicom.Dataset]]:
    series: dict[str, list[pydicom.Dataset]] = {}
    for path in sorted((with_images / "dicom").rglob("*")):
        if path.is_file():
            dataset = pydicom.dcmread(path)
            series.setdefault(dataset.SeriesInstanceUID, []).append(dataset)
    return series


def test_same_seed_gives_the_same_bytes(with_images: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "again", patients=8, seed=7, registration_error_mm=3.0, with_images=True)
    assert digests(tmp_path / "again") == digests(with_images)


def test_another_seed_gives_other_patients(tables: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "other", patients=20, seed=12, registration_error_mm=3.0, with_images=False)
    ours = {row["report_id"] for row in rows(tmp_path / "other/reports/radiology.csv")}
    assert not ours & {row["report_id"] for row in rows(tables / "reports/radiology.csv")}


def test_more_patients_only_add(tables: Path, with_images: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "few", patients=30, seed=11, registration_error_mm=3.0, with_images=False)
    for name in (
        "reports/radiology.csv",
        "reports/pathology_export.txt",
        "biopsies/targets.csv",
        "truth/lesions.jsonl",
        "truth/reports.jsonl",
    ):
        assert (tables / name).read_bytes().startswith((tmp_path / "few" / name).read_bytes())
    simulate(tmp_path / "one", patients=3, seed=7, registration_error_mm=3.0, with_images=True)
    every = digests(with_images)
    assert all(every[name] == digest for name, digest in digests(tmp_path / "one").items() if name.startswith("dicom/"))


@pytest.mark.slow
def test_workers_do_not_change_a_byte(with_images: Path, tmp_path: Path) -> None:
    from weakbox.runtime.executors.local import LocalExecutor

    executor = LocalExecutor(2)
    try:
        simulate(tmp_path / "parallel", patients=8, seed=7, registration_error_mm=3.0, with_images=True, executor=executor)
    finally:
        executor.close()
    assert digests(tmp_path / "parallel") == digests(with_images)


def test_a_cohort_is_never_overwritten_and_never_half_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cohort"
    monkeypatch.setattr("weakbox.simulate.cohort.write_truth", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        simulate(folder, patients=2, seed=1, registration_error_mm=3.0, with_images=False)
    assert not folder.exists()
    monkeypatch.undo()
    simulate(folder, patients=2, seed=1, registration_error_mm=3.0, with_images=False)
    assert json.loads((folder / "cohort.json").read_text())["parameters"]["patients"] == 2
    assert not list(tmp_path.glob("*.partial"))
    with pytest.raises(InputError, match="not empty"):
        simulate(folder, patients=2, seed=1, registration_error_mm=3.0, with_images=False)


def test_lesions_lie_inside_their_gland_on_their_side(tables: Path) -> None:
    glands = {case["study_uid"]: case["gland"] for case in lines(tables / "truth/cases.jsonl")}
    lesions = lines(tables / "truth/lesions.jsonl")
    assert len(lesions) > 100
    for lesion in lesions:
        assert in_gland(lesion["centre_lps"], glands[lesion["study_uid"]])
        corners = np.array(lesion["box_corners_lps"])
        assert np.allclose(corners.mean(axis=0), lesion["centre_lps"], atol=2e-3)
        assert np.allclose(np.ptp(corners, axis=0), lesion["extents_mm"], atol=2e-3)


def test_left_is_positive_x_in_the_glands_own_axes() -> None:
    for number in range(1, 60):
        for study in draw_course(3, number).studies:
            for region in study.regions:
                across = float(study.gland.to_unit(region.centre)[0])
                assert region.place.side == ("midline" if abs(across) < 0.12 else "left" if across > 0 else "right")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_every_place_lies_in_its_own_sector(number: int) -> None:
    place = draw_place(Draws("place", number))
    assert area_of(*place.unit) == place.area
    assert level_of(place.unit[2]) == place.level
    assert place.side in ("left", "right") or place.area == "AFS"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(18.0, 180.0))
def test_a_gland_has_its_volume_and_maps_back(number: int, volume_ml: float) -> None:
    gland = draw_gland(Draws("gland", number), volume_ml)
    assert gland.volume_ml == pytest.approx(volume_ml)
    assert np.allclose(gland.to_unit(gland.to_lps((0.3, -0.2, 0.5))), (0.3, -0.2, 0.5))


def test_lesion_sizes_follow_the_published_shares(tables: Path) -> None:
    lesions = lines(tables / "truth/lesions.jsonl")
    shares = np.median([np.array(lesion["extents_mm"]) / lesion["max_diameter_mm"] for lesion in lesions], axis=0)
    assert np.allclose(shares, (0.96, 0.85, 0.82), atol=0.03)
    assert all(lesion["max_diameter_mm"] >= 15 for lesion in lesions if lesion["pirads"] == 5)


def test_grades_rise_with_the_category() -> None:
    regions = [region for number in range(1, 600) for study in draw_course(5, number).studies[-1:] for region in study.visible]
    shares = {score: np.mean([r.isup_grade >= 2 for r in regions if r.pirads == score]) for score in (3, 4, 5)}
    assert shares[3] == pytest.approx(0.10, abs=0.08)
    assert shares[4] == pytest.approx(0.37, abs=0.08)
    assert shares[5] == pytest.approx(0.64, abs=0.08)


def test_cohort_holds_what_hospitals_hold(tables: Path) -> None:
    cases = lines(tables / "truth/cases.jsonl")
    defects = Counter(case["defect"] for case in cases)
    assert {"no_radiology", "no_pathology", "no_sheet", "missing_t2", "side_conflict", "other_frame", "preliminary"} <= set(defects)
    assert Counter(case["kind"] for case in cases)["intraprocedural"] > 0
    assert any(not case["visible_lesions"] and not case["case_isup_grade"] for case in cases)
    lesions = lines(tables / "truth/lesions.jsonl")
    assert any(lesion["isup_grade"] == 0 and any(s["is_targeted"] for s in lesion["specimens"]) for lesion in lesions)
    assert any(not lesion["is_visible"] and lesion["specimens"] for lesion in lesions)
    per_study = Counter(lesion["study_uid"] for lesion in lesions if lesion["is_visible"])
    assert {1, 2, 3} <= set(per_study.values())
    frames = Counter(row["frame"] for row in rows(tables / "biopsies/targets.csv"))
    assert set(frames) == {"LPS", "RAS", "ijk"}


def test_every_style_is_used(tables: Path) -> None:
    used = {(item["report_type"], item["style"]) for item in lines(tables / "truth/report_items.jsonl")}
    offered = {(kind.value, style) for kind in ReportType for style in styles(kind)}
    assert used == offered
    assert len(styles(ReportType.RADIOLOGY)) >= 12
    assert len(styles(ReportType.PATHOLOGY)) >= 8


def test_gold_words_stand_in_the_text_that_the_sources_read(tables: Path) -> None:
    texts = {report.report_id: report.text for report in read_reports(tables)}
    golds = lines(tables / "truth/reports.jsonl")
    assert set(texts) == {gold["report_id"] for gold in golds}
    for gold in golds:
        for entry in gold["evidence"]:
            assert texts[gold["report_id"]][entry["start"] : entry["end"]] == entry["text"] != ""


def read_reports(folder: Path) -> list[Report]:
    table = TABLE_SOURCE.options.model_validate(
        {"source": "report_table", "path": folder / "reports/radiology.csv", "report_type": "radiology"}
    )
    export = EXPORT_SOURCE.options.model_validate(
        {"source": "report_export", "path": folder / "reports/pathology_export.txt", "report_type": "pathology"}
    )
    found = [*TABLE_SOURCE.read(table), *EXPORT_SOURCE.read(export)]
    return [item for item in found if isinstance(item, Report)]


def test_gold_has_evidence_for_every_value(tables: Path) -> None:
    for gold in lines(tables / "truth/reports.jsonl"):
        paths = {entry["path"] for entry in gold["evidence"]}
        assert paths == set(leaves(gold)) == set(gold["confidence"])


def leaves(gold: Row) -> list[str]:
    found = []
    for name, value in gold.items():
        if name in ("evidence", "confidence", "flags", "status", "report_id", "patient_id", "report_type", "organ"):
            continue
        if name in ("exam", "overall"):
            found += [f"{name}.{leaf}" for leaf, part in value.items() if part not in (None, [])]
        elif name in ("lesions", "specimens"):
            found += [f"{name}[{i}].{leaf}" for i, item in enumerate(value) for leaf, part in item.items() if part not in (None, [])]
        elif value is not None:
            found.append(name)
    return found


def test_gold_agrees_with_the_anatomy(tables: Path) -> None:
    """What the report says of a lesion is what the lesion is, but for the stated shares of errors."""
    lesions = {(lesion["study_uid"], lesion["lesion_id"]): lesion for lesion in lines(tables / "truth/lesions.jsonl")}
    defects = {case["study_uid"]: case["defect"] for case in lines(tables / "truth/cases.jsonl")}
    golds = {gold["report_id"]: gold for gold in lines(tables / "truth/reports.jsonl")}
    levels_right = []
    for item in lines(tables / "truth/report_items.jsonl"):
        stated = golds[item["report_id"]]["lesions" if item["report_type"] == "radiology" else "specimens"]
        assert len(stated) == len(item["lesion_ids"])
        for gold, lesion_id in zip(stated, item["lesion_ids"], strict=True):
            if lesion_id is None:
                assert gold["target"] is None
                continue
            truth = lesions[item["study_uid"], lesion_id]
            if defects[item["study_uid"]] != "side_conflict":
                assert gold["side"] == truth["side"]
            assert gold["zone"] == truth["zone"]
            if item["report_type"] == "pathology":
                assert (gold["diagnosis"] == "adenocarcinoma") == (truth["isup_grade"] > 0)
                assert gold["isup_grade"] in (truth["isup_grade"], None)
                continue
            levels_right.append(gold["levels"] == truth["levels"])
            assert truth["pirads"] in (gold["pirads"], gold["likert"])
            if gold["max_diameter_mm"] is not None:
                assert abs(gold["max_diameter_mm"] - truth["max_diameter_mm"]) <= 0.45 * truth["max_diameter_mm"] + 2
    assert 0.85 < np.mean(levels_right) < 1.0


def test_addenda_win_in_the_gold(tables: Path) -> None:
    texts = {report.report_id: report.text for report in read_reports(tables)}
    corrected = [gold for gold in lines(tables / "truth/reports.jsonl") if "ADDENDUM" in texts[gold["report_id"]]]
    assert len(corrected) >= 5
    for gold in corrected:
        (lesion,) = gold["lesions"]
        entries = [entry for entry in gold["evidence"] if entry["path"] in ("lesions[0].side", "lesions[0].size_mm")]
        addendum = texts[gold["report_id"]].index("ADDENDUM")
        assert any(addendum < entry["start"] < addendum + 160 for entry in entries)
        assert lesion["side"] is not None


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="no shared contract beside the checkout")
def test_gold_fits_the_contract(tables: Path) -> None:
    import jsonschema

    schema = json.loads((SHARED / "contracts/extraction.schema.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    for gold in lines(tables / "truth/reports.jsonl")[::4]:
        validator.validate(gold)


def test_biopsy_source_finds_targets_at_the_stated_distance(tables: Path, tmp_path: Path) -> None:
    grids = {
        row["series_uid"]: Grid.from_matrix(
            [float(v) for v in row["affine_lps"].split()], [int(v) for v in row["shape_ijk"].split()], row["frame_of_reference_uid"]
        )
        for row in rows(tables / "images/index.csv")
    }
    truth = {target["row"]: lesion for lesion in lines(tables / "truth/lesions.jsonl") for target in lesion["targets"]}
    options = BIOPSY_SOURCE.options.model_validate({"source": "biopsy_csv", "path": tables / "biopsies/targets.csv"})
    targets = list(BIOPSY_SOURCE.read(options))
    assert targets
    assert all(isinstance(target, BiopsyTarget) and not target.problems for target in targets)
    errors = []
    for target in targets:
        lesion = truth[target.source_row]
        assert lesion["patient_id"] == target.patient_id
        point = np.array(target.position)
        if target.coordinate_system is CoordinateSystem.IJK:
            point = grids[target.series_uid].to_lps(point)
        errors.append(float(np.linalg.norm(point - lesion["centre_lps"])))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(3.0, rel=0.15)


def test_without_registration_error_targets_are_the_lesions(tmp_path: Path) -> None:
    simulate(tmp_path / "exact", patients=40, seed=2, registration_error_mm=0.0, with_images=False)
    truth = {target["row"]: lesion for lesion in lines(tmp_path / "exact/truth/lesions.jsonl") for target in lesion["targets"]}
    sheet = rows(tmp_path / "exact/biopsies/targets.csv")
    signs = {"LPS": (1, 1, 1), "RAS": (-1, -1, 1)}
    checked = 0
    for number, row in enumerate(sheet, start=2):
        if row["frame"] in signs:
            point = np.array([float(row[axis]) for axis in "xyz"]) * signs[row["frame"]]
            assert np.allclose(point, truth[number]["centre_lps"], atol=2e-3)
            checked += 1
    assert checked > 10


def test_dicom_files_are_valid_and_unique(datasets: dict[str, list[pydicom.Dataset]]) -> None:
    files = [dataset for series in datasets.values() for dataset in series]
    uids = [dataset.SOPInstanceUID for dataset in files]
    assert len(set(uids)) == len(uids) > 800
    for dataset in files:
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert dataset.pixel_array.shape == (dataset.Rows, dataset.Columns)
        assert len(dataset.SOPInstanceUID) <= 64
        normal = np.cross(*np.array(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3))
        assert float(dataset.SliceLocation) == pytest.approx(float(normal @ np.array(dataset.ImagePositionPatient, dtype=float)), abs=1e-4)
    for series in datasets.values():
        numbers = sorted(int(dataset.InstanceNumber) for dataset in series)
        assert numbers == list(range(1, len(series) + 1))


def test_axial_t2_is_oblique_in_most_studies(datasets: dict[str, list[pydicom.Dataset]]) -> None:
    axial = [series for series in datasets.values() if "T2" in series[0].SeriesDescription.upper() and len(series) == 24]
    tilts = []
    for series in axial:
        row, column = np.array(series[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
        assert abs(row @ column) < 1e-6
        tilts.append(np.degrees(np.arccos(abs(np.cross(row, column)[2]))))
    assert max(tilts) < 30
    assert np.mean(np.array(tilts) > 2) > 0.5


def test_vendors_store_their_own_b_values(datasets: dict[str, list[pydicom.Dataset]]) -> None:
    seen = Counter()
    for series in datasets.values():
        first = series[0]
        siemens, ge, philips = first.get((0x0019, 0x100C)), first.get((0x0043, 0x1039)), first.get((0x2001, 0x1003))
        seen["siemens"] += siemens is not None and first.Manufacturer == "SIEMENS"
        seen["ge"] += ge is not None and first.Manufacturer.startswith("GE")
        seen["philips"] += philips is not None and first.Manufacturer.startswith("Philips")
    assert seen["siemens"]
    assert len([vendor for vendor, count in seen.items() if count]) >= 2


def test_truth_lies_on_the_lesion_of_the_image(with_images: Path, datasets: dict[str, list[pydicom.Dataset]]) -> None:
    """Read by the headers alone, the images are dark on T2 and ADC at the true centres, and darker than the mirror place."""
    lesions = [lesion for lesion in lines(with_images / "truth/lesions.jsonl") if lesion["is_visible"] and lesion["zone"] == "PZ"]
    glands = {case["study_uid"]: case["gland"] for case in lines(with_images / "truth/cases.jsonl")}
    checked = 0
    for series in datasets.values():
        first = series[0]
        is_t2 = len(series) == 24 and "T2" in first.SeriesDescription.upper()
        if not is_t2 and "ADC" not in first.ImageType:
            continue
        grid = grid_of(series)
        normal = grid.directions[:, 2]
        ordered = sorted(series, key=lambda dataset: float(np.array(dataset.ImagePositionPatient, dtype=float) @ normal))
        volume = np.stack([dataset.pixel_array for dataset in ordered])
        for lesion in lesions:
            if lesion["study_uid"] == first.StudyInstanceUID:
                gland = glands[lesion["study_uid"]]
                axes = np.array(gland["rotation"]).reshape(3, 3)
                local = (np.array(lesion["centre_lps"]) - gland["centre_lps"]) @ axes * (-1, 1, 1)
                mirrored = local @ axes.T + gland["centre_lps"]
                assert sample(volume, grid, np.array(lesion["centre_lps"])) < 0.8 * sample(volume, grid, mirrored)
                checked += 1
    assert checked >= 4


def sample(volume: np.ndarray, grid: Grid, point: np.ndarray) -> float:
    i, j, k = np.rint(grid.to_index(point)).astype(int)
    return float(volume[k, j, i])


def test_high_b_shows_lesions_bright(with_images: Path, datasets: dict[str, list[pydicom.Dataset]]) -> None:
    lesions = [lesion for lesion in lines(with_images / "truth/lesions.jsonl") if (lesion["pirads"] or 0) >= 4]
    checked = 0
    for series in datasets.values():
        first = series[0]
        if first.get((0x0019, 0x100C)) is None:
            continue
        largest = max(int(dataset[0x0019, 0x100C].value) for dataset in series)
        volume = [dataset for dataset in series if int(dataset[0x0019, 0x100C].value) == largest]
        if largest < 1400:
            continue
        grid = grid_of(volume)
        ordered = sorted(volume, key=lambda dataset: float(np.array(dataset.ImagePositionPatient, dtype=float) @ grid.directions[:, 2]))
        pixels = np.stack([dataset.pixel_array for dataset in ordered])
        for lesion in lesions:
            if lesion["study_uid"] == first.StudyInstanceUID:
                assert sample(pixels, grid, np.array(lesion["centre_lps"])) > 1.4 * np.median(pixels[pixels > 0])
                checked += 1
    assert checked >= 1


def test_study_is_small(with_images: Path, datasets: dict[str, list[pydicom.Dataset]]) -> None:
    sizes: Counter[str] = Counter()
    for path in (with_images / "dicom").rglob("*"):
        if path.is_file():
            sizes[str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)] += (
                path.stat().st_size
            )
    assert max(sizes.values()) < 2.5e6


def test_full_images_have_scanner_matrices(tmp_path: Path) -> None:
    simulate(tmp_path / "full", patients=1, seed=7, registration_error_mm=3.0, with_images=True, image_size="full")
    largest = max((tmp_path / "full/dicom").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    assert pydicom.dcmread(largest).Rows == 384


def test_a_workload_has_the_numbers_asked_for(tmp_path: Path) -> None:
    summary = simulate_workload(tmp_path / "load", radiology=300, pathology=90, targets=25, studies=60, series=900, seed=4)
    assert isinstance(summary, CohortSummary)
    assert (summary.radiology, summary.pathology, summary.targets, summary.studies, summary.series) == (300, 90, 25, 60, 900)
    assert len(rows(tmp_path / "load/reports/radiology.csv")) == 300
    index = rows(tmp_path / "load/images/index.csv")
    assert len(index) == 900 == len({row["series_uid"] for row in index})
    reports = {row["report_id"] for row in rows(tmp_path / "load/reports/radiology.csv")}
    assert reports < {gold["report_id"] for gold in lines(tmp_path / "load/truth/reports.jsonl")}


@given(st.text(alphabet="ab \n&", max_size=120), st.integers(4, 30))
def test_wrapping_and_escaping_keep_the_marked_words(text: str, width: int) -> None:
    notebook = Notebook()
    marked = f"{text}{notebook.say('exam', 'PI-RADS 4', pirads=4)}{text}"
    raw, stretches = notebook.unmark(marked)
    wrapped, moved = replace_characters(hard_wrap(raw, width), stretches, {"\n": "\\.br\\", "&": "\\T\\"})
    (stretch,) = moved
    assert wrapped[stretch.start : stretch.end].replace("\\.br\\", " ") == "PI-RADS 4"
    assert hard_wrap(raw, width).replace("\n", " ") == raw.replace("\n", " ")


def test_uids_are_valid_and_of_one_length() -> None:
    uids = [content_uid("x", number) for number in range(200)]
    assert len(set(uids)) == 200
    assert {len(uid) for uid in uids} == {44}
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)


def test_no_report_text_repeats(tables: Path) -> None:
    texts = [report.text for report in read_reports(tables) if report.title != "MRI"]
    assert len(set(texts)) == len(texts)


def test_the_cohorts_own_configuration_names_files_that_are_there(with_images: Path) -> None:
    import yaml

    import preprocessing

    content = yaml.safe_load((with_images / "configs.yaml").read_text(encoding="utf-8"))
    preprocessing.Inputs.model_validate(content["inputs"])
    named = [entry["path"] for entries in content["inputs"].values() for entry in entries]
    assert len(named) == 4
    assert all((with_images / path).exists() for path in named)
