"""Models judged on an exported set: refusals, statements about the truth, thresholds, subgroups, comparison, and the files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cv_model_experiments.evaluation.evaluate import evaluate
from cv_model_experiments.evaluation.report import EvaluationReport
from cv_model_experiments.model_eval import app, evaluate_set, read_settings
from cv_model_experiments.predictions import PredictedBox, Prediction, PredictionSet, write_predictions
from tests.evaluated_sets import PARTS, SIDE, quick_settings, toy_header, toy_predictions, toy_row, toy_rows
from weakbox.curation.leakage import LeakageError
from weakbox.exporters.image_manifest import write_manifest
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.image_set import ImageRow
from weakbox.runtime.digests import optional_file_digest

pytest.importorskip("picai_eval", reason="extra `train` is not installed")


@pytest.fixture(scope="module")
def toy_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set on disk: images, masks of the malignant lesions of the first patients, and the manifest."""
    folder = tmp_path_factory.mktemp("set")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    random, rows = np.random.default_rng(1), []
    for row in toy_rows():
        Image.fromarray(random.integers(0, 255, (SIDE, SIDE), dtype=np.uint8)).save(folder / row.image_path)
        if row.boxes and row.split == "test" and row.view == "CC":
            mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
            (x0, y0), (x1, y1) = row.boxes[0].start, row.boxes[0].stop
            mask[int(y0) + 1 : int(y1) - 1, int(x0) + 1 : int(x1) - 1] = 255
            path = f"masks/{Path(row.image_path).name}"
            Image.fromarray(mask).save(folder / path)
            row = replace(row, mask_path=path)
        rows.append(row)
    write_manifest(rows, folder)
    return folder


@pytest.fixture(scope="module")
def report(toy_set: Path) -> EvaluationReport:
    rows = toy_rows()
    sets = [toy_predictions(rows, "good", 1.0, 1), toy_predictions(rows, "poor", 0.1, 2)]
    return evaluate(toy_set / "images.parquet", sets, quick_settings())


def _manifest(rows: list[ImageRow], tmp_path: Path) -> Path:
    write_manifest(rows, tmp_path / "changed")
    return tmp_path / "changed" / "images.parquet"


def _values(report: EvaluationReport, model: str, group: str = "all") -> dict[tuple[str, str], float | None]:
    return {
        (item.section, item.estimate.metric): item.estimate.value
        for own in report.models
        for item in own.measured
        if (item.model, item.group) == (model, group)
    }


def test_better_model_is_better_in_every_figure_and_the_tests_say_so(report: EvaluationReport) -> None:
    good, poor = _values(report, "good"), _values(report, "poor")
    keys = (
        ("cases", "AUROC"),
        ("cases", "AUPRC"),
        ("lesions iou:0.1", "AP"),
        ("lesions iou:0.5", "sensitivity at 0.5 FP, last point"),
        ("picai", "picai AP"),
        ("picai", "picai score"),
    )
    for key in keys:
        assert good[key] > poor[key], key  # type: ignore[operator]
    tests = {(item.metric, item.test): item for item in report.compared}
    assert set(tests) == {("AUROC", "DeLong"), ("AUROC", "permutation"), ("AUPRC", "permutation"), ("AP of lesions", "permutation")}
    delong = tests["AUROC", "DeLong"]
    assert delong.p_value is not None
    assert delong.p_value < 0.01
    assert "30 patients" in delong.note, "two views a patient: clustered"
    assert delong.difference == pytest.approx(good["cases", "AUROC"] - poor["cases", "AUROC"])  # type: ignore[operator]


def test_every_figure_has_its_n_and_its_interval_holds_the_value(report: EvaluationReport) -> None:
    for item in (item for model in report.models for item in model.measured):
        assert item.estimate.count > 0 or item.estimate.value is None, item
        if item.estimate.value is not None and item.estimate.low is not None and item.section != "picai":
            assert item.estimate.low - 0.1 <= item.estimate.value <= item.estimate.high + 0.1, item  # type: ignore[operator]


def test_weak_truth_is_said_by_tier(report: EvaluationReport) -> None:
    weak = [note for note in report.notes if "weak" in note]
    assert len(weak) == 1
    assert "20 of 60 images (biopsy_coordinate: 20)" in weak[0]
    assert "boxes (biopsy_coordinate: " in weak[0]


def test_expert_truth_alone_needs_no_such_sentence(toy_set: Path) -> None:
    found = evaluate(toy_set / "images.parquet", [toy_predictions(toy_rows())], quick_settings(select={"tiers": ["expert"]}, picai=False))
    assert not any("weak" in note for note in found.notes)
    assert {row.tier for row in found.rows} == {"expert"}


def test_thresholds_come_from_validation_and_test_labels_cannot_move_them(toy_set: Path, report: EvaluationReport, tmp_path: Path) -> None:
    point = report.models[0].case_point
    rows = toy_rows()
    flipped = [
        replace(row, label="benign" if row.label == "malignant" else "malignant", boxes=()) if row.split == "test" else row for row in rows
    ]
    other = evaluate(_manifest(flipped, tmp_path), [toy_predictions(rows, "good", 1.0, 1)], quick_settings(picai=False))
    assert other.models[0].case_point == point
    assert other.models[0].lesion_point == report.models[0].lesion_point
    assert point.count == 40  # type: ignore[union-attr]


def test_without_validation_there_is_no_threshold_and_nothing_that_needs_one(toy_set: Path) -> None:
    rows = toy_rows()
    whole = toy_predictions(rows)
    only_test = replace(whole, rows=tuple(row for row in whole.rows if row.split == "test"))
    found = evaluate(toy_set / "images.parquet", [only_test], quick_settings(picai=False))
    assert ("cases", "sensitivity") not in _values(found, "good")
    assert ("cases", "AUROC") in _values(found, "good")
    assert "good: no operating point (youden): validation has no case" in found.models[0].notes


def test_training_patient_in_the_test_part_of_the_manifest_is_refused(tmp_path: Path) -> None:
    rows = toy_rows()
    leaking = [
        replace(row, patient_id="P-train00", group_ids=("patient:P-train00",)) if row.case_id == "toy-test03" else row for row in rows
    ]
    with pytest.raises(LeakageError, match="2 test images share a patient, group or content"):
        evaluate(_manifest(leaking, tmp_path), [toy_predictions(rows)], quick_settings())


@pytest.mark.parametrize("change", [{"group": "group-train01"}, {"sha256": "sha-train01-CC"}, {"group_ids": ("lesion:1",)}])
def test_shared_group_content_or_lesion_is_refused_too(change: dict[str, object], tmp_path: Path) -> None:
    rows = toy_rows()
    marked = [replace(row, group_ids=("lesion:1",)) if row.image_id == "toy/train01_CC" else row for row in rows]
    leaking = [replace(row, **change) if row.image_id == "toy/test05_CC" else row for row in marked]  # type: ignore[arg-type]
    with pytest.raises(LeakageError, match=r"1 test images .*toy/test05_CC"):
        evaluate(_manifest(leaking, tmp_path), [toy_predictions(rows)], quick_settings())


def test_model_that_was_trained_on_a_test_patient_is_refused(toy_set: Path) -> None:
    rows = toy_rows()
    trained = {"all": ["toy/train00_CC", "toy/test07_CC"]}
    with pytest.raises(LeakageError, match=r"good was trained on patients.*2 images \(toy/test07_CC, toy/test07_MLO\)"):
        evaluate(toy_set / "images.parquet", [toy_predictions(rows, trained_on=trained)], quick_settings())


def test_fold_that_was_trained_on_its_own_validation_images_is_refused(toy_set: Path) -> None:
    rows = toy_rows()
    validation = [row.image_id for row in rows if row.split == "validation"]
    whole = toy_predictions(rows, trained_on={"0": validation[20:], "1": validation[:20]})
    folds = {name: 0 if place < 20 else 1 for place, name in enumerate(validation)}
    out_of_fold = replace(whole, rows=tuple(replace(row, fold=folds.get(row.image_id)) for row in whole.rows))
    evaluate(toy_set / "images.parquet", [out_of_fold], quick_settings(picai=False))
    in_fold = replace(
        whole, rows=tuple(replace(row, fold=1 - folds[row.image_id] if row.image_id in folds else None) for row in whole.rows)
    )
    with pytest.raises(LeakageError, match="40 images"):
        evaluate(toy_set / "images.parquet", [in_fold], quick_settings(picai=False))


def test_unstated_training_data_are_said(toy_set: Path) -> None:
    found = evaluate(toy_set / "images.parquet", [toy_predictions(toy_rows(), trained_on={})], quick_settings(picai=False))
    assert any("does not state what it was trained on" in note for note in found.notes)


def test_predictions_on_another_version_of_the_manifest_are_said(toy_set: Path) -> None:
    manifest = toy_set / "images.parquet"
    same, other = (
        toy_predictions(toy_rows(), manifest_sha256=optional_file_digest(manifest)),
        toy_predictions(toy_rows(), manifest_sha256="0" * 64),
    )
    assert not any("another version" in note for note in evaluate(manifest, [same], quick_settings(picai=False)).notes)
    assert any("another version" in note for note in evaluate(manifest, [other], quick_settings(picai=False)).notes)


def test_set_that_was_divided_anew_after_training_is_refused(tmp_path: Path) -> None:
    rows = toy_rows()
    moved = [replace(row, split="train") if row.case_id == "toy-test04" else row for row in rows]
    with pytest.raises(LeakageError, match="2 images are test in one and not in the other"):
        evaluate(_manifest(moved, tmp_path), [toy_predictions(rows)], quick_settings())


def test_missing_predictions_are_refused_or_counted_as_nothing_found(toy_set: Path) -> None:
    rows = toy_rows()
    whole = toy_predictions(rows, tasks=("detection",), classes=())
    fewer = replace(whole, rows=tuple(replace(row, probabilities={}) for row in whole.rows if row.image_id != "toy/test01_CC"))
    with pytest.raises(InputError, match=r"1 of 60 images of part test have no prediction \(toy/test01_CC\)"):
        evaluate(toy_set / "images.parquet", [fewer], quick_settings())
    found = evaluate(toy_set / "images.parquet", [fewer], quick_settings(missing_predictions="nothing_found", picai=False))
    assert "good: 1 of 60 images have no prediction and count as nothing found." in found.notes
    assert found.models[0].detections is not None
    assert [entry.score for entry in found.models[0].detections.entries if entry.image_id == "toy/test01_CC"] == [0.0]


def test_predictions_of_another_set_and_two_models_of_one_name_are_refused(toy_set: Path) -> None:
    rows = toy_rows()
    whole = toy_predictions(rows)
    strange = replace(whole, rows=(*whole.rows, replace(whole.rows[0], image_id="other/1")))
    with pytest.raises(InputError, match=r"1 predicted images are not in the manifest \(other/1\)"):
        evaluate(toy_set / "images.parquet", [strange], quick_settings())
    with pytest.raises(InputError, match="two sets of predictions are of a model called 'good'"):
        evaluate(toy_set / "images.parquet", [whole, whole], quick_settings())
    with pytest.raises(InputError, match="no predictions given"):
        evaluate(toy_set / "images.parquet", [], quick_settings())


def test_empty_part_set_without_boxes_and_model_without_a_positive_class_are_refused(toy_set: Path, tmp_path: Path) -> None:
    rows = toy_rows()
    with pytest.raises(InputError, match="no image of the manifest is left"):
        evaluate(toy_set / "images.parquet", [toy_predictions(rows)], quick_settings(select={"organs": ["skin"]}))
    whole = toy_predictions(rows, tasks=("detection",), classes=())
    detector = replace(whole, rows=tuple(replace(row, probabilities={}, boxes=()) for row in whole.rows))
    bare = [replace(row, boxes=()) for row in rows]
    with pytest.raises(InputError, match="no box of a positive class"):
        evaluate(_manifest(bare, tmp_path), [detector], quick_settings())
    with pytest.raises(InputError, match="good knows the classes benign, malignant"):
        evaluate(toy_set / "images.parquet", [toy_predictions(rows)], quick_settings(positive_classes=["melanoma"]))
    nothing = [replace(row, boxes=(), label=None) for row in rows]
    with pytest.raises(InputError, match="no image states a class or lesions"):
        evaluate(_manifest(nothing, tmp_path), [detector], quick_settings())


def test_one_class_only_has_no_auroc_and_says_so(tmp_path: Path) -> None:
    rows = [row for row in toy_rows() if row.split != "test" or row.label == "benign"]
    found = evaluate(_manifest(rows, tmp_path), [toy_predictions(rows), toy_predictions(rows, "poor", 0.1)], quick_settings(picai=False))
    assert _values(found, "good")["cases", "AUROC"] is None
    assert any(note.startswith("All units are negative") for note in found.notes)
    assert all(item.p_value is None and item.note for item in found.compared)


def test_positive_image_without_a_box_counts_for_cases_and_not_for_lesions(tmp_path: Path) -> None:
    rows = [replace(row, boxes=()) if row.case_id == "toy-test01" else row for row in toy_rows()]
    found = evaluate(_manifest(rows, tmp_path), [toy_predictions(rows)], quick_settings(picai=False))
    assert len(found.models[0].cases.units) == 60
    assert found.models[0].detections is not None
    assert len(found.models[0].detections.units) == 58
    assert any("2 of 60 units are positive without a box" in note for note in found.notes)


def test_candidate_on_another_lesion_is_false_or_ignored_by_setting(toy_set: Path) -> None:
    rows = toy_rows()
    whole = toy_predictions(rows)
    everywhere = replace(whole, rows=tuple(replace(row, boxes=tuple(replace(box, label=None) for box in row.boxes)) for row in whole.rows))
    counts = {}
    for choice in ("background", "ignored"):
        found = evaluate(toy_set / "images.parquet", [everywhere], quick_settings(other_lesions=choice, picai=False))
        assert found.models[0].detections is not None
        counts[choice] = sum(not entry.is_lesion for entry in found.models[0].detections.entries)
    benign = sum(box.label == "benign" for row in rows if row.split == "test" for box in row.boxes)
    assert counts["background"] - counts["ignored"] == benign > 0
    everything = evaluate(toy_set / "images.parquet", [everywhere], quick_settings(lesions="all", picai=False))
    assert everything.models[0].detections is not None
    assert everything.models[0].detections.lesions == sum(len(row.boxes) for row in rows if row.split == "test")


def test_images_of_a_case_are_one_unit_where_asked(toy_set: Path) -> None:
    found = evaluate(toy_set / "images.parquet", [toy_predictions(toy_rows())], quick_settings(unit="case", picai=True))
    assert len(found.units) == 30
    scores = dict(zip([unit.unit_id for unit in found.models[0].cases.units], found.models[0].cases.scores, strict=True))
    own = {row.image_id: row.probabilities["malignant"] for row in found.models[0].data.evaluated.values()}
    assert scores["toy:toy-test03"] == max(own["toy/test03_CC"], own["toy/test03_MLO"])
    assert _values(found, "good")["picai", "picai AP"] is not None


def test_subgroups_come_with_n_and_small_ones_without_a_value(toy_set: Path) -> None:
    found = evaluate(toy_set / "images.parquet", [toy_predictions(toy_rows())], quick_settings(picai=False, smallest_subgroup=13))
    groups: dict[str, list] = {}  # type: ignore[type-arg]
    for item in found.models[0].measured:
        groups.setdefault(item.group, []).append(item)
    assert {
        "view=CC",
        "view=MLO",
        "tier=expert",
        "manufacturer=Acme",
        "lesion_type=mass",
        "lesion_tier=expert",
        "lesion_size=< 10 mm",
    } <= set(groups)
    assert "dataset=toy" not in groups, "one value only divides nothing"
    small = groups["lesion_type=calcification"]
    assert all(item.estimate.value is None and item.estimate.count < 13 and "fewer than 13" in item.estimate.note for item in small)
    views = {item.estimate.metric: item.estimate.count for item in groups["view=CC"]}
    assert views["AUROC"] == 30


def test_facts_of_lesions_may_come_from_a_table(toy_set: Path, tmp_path: Path) -> None:
    rows = toy_rows()
    lesions = [box.label_id for row in rows if row.split == "test" for box in row.boxes if box.label == "malignant"]
    table = tmp_path / "lesions.csv"
    table.write_text(
        "label_id,zone\n" + "".join(f"{name},{'PZ' if place % 2 else 'TZ'}\n" for place, name in enumerate(lesions)), encoding="utf-8"
    )
    found = evaluate(toy_set / "images.parquet", [toy_predictions(rows)], quick_settings(picai=False, lesion_table=table))
    counts = {item.group: item.estimate.count for item in found.models[0].measured if item.group.startswith("lesion_zone")}
    assert counts == {"lesion_zone=PZ": 15, "lesion_zone=TZ": 15}
    table.write_text("lesion,zone\na,PZ\n", encoding="utf-8")
    with pytest.raises(InputError, match="label_id"):
        evaluate(toy_set / "images.parquet", [toy_predictions(rows)], quick_settings(lesion_table=table))


def test_pirads_comes_from_the_exported_study_and_the_table_wins(tmp_path: Path) -> None:
    rows = toy_rows()
    manifest = _manifest(rows, tmp_path)
    (manifest.parent / "images").mkdir()
    chosen = [row for row in rows if row.split == "test" and row.boxes and row.boxes[0].label == "malignant"]
    for row in chosen:
        content = {"instances": [{"label": row.boxes[0].label_id, "pirads": 4}, {"label": "another", "pirads": None}]}
        (manifest.parent / "images" / f"{row.case_id}_labels.json").write_text(json.dumps(content), encoding="utf-8")
    table = tmp_path / "lesions.csv"
    table.write_text(f"label_id,pirads\n{chosen[-1].boxes[0].label_id},5\n", encoding="utf-8")
    found = evaluate(manifest, [toy_predictions(rows)], quick_settings(picai=False, smallest_subgroup=1, lesion_table=table))
    counts = {item.group: item.estimate.count for item in found.models[0].measured if item.group.startswith("lesion_pirads")}
    # Two views of a case share its file, which holds the second one's lesion.
    assert counts == {"lesion_pirads=4": len(chosen) // 2 - 1, "lesion_pirads=5": 1}
    (manifest.parent / "images" / f"{chosen[0].case_id}_labels.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="no list of labels as the export writes it"):
        evaluate(manifest, [toy_predictions(rows)], quick_settings(picai=False))


def test_ellipsoids_that_the_export_drew_are_not_called_masks(tmp_path: Path) -> None:
    name = "x_label_ellipsoids_instance.png"
    rows = [replace(row, mask_path=name) if row.image_id == "toy/test01_CC" else row for row in toy_rows()]
    manifest = _manifest(rows, tmp_path)
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    box = next(row.boxes[0] for row in rows if row.image_id == "toy/test01_CC")
    mask[int(box.start[1]) + 2 : int(box.stop[1]) - 2, int(box.start[0]) + 2 : int(box.stop[0]) - 2] = 1
    Image.fromarray(mask).save(manifest.parent / name)
    found = evaluate(manifest, [toy_predictions(rows)], quick_settings())
    assert "good: picai truth: 29 images with lesions from boxes, 1 images with lesions from ellipsoids in boxes" in found.models[0].notes


def test_picai_takes_masks_where_there_are_some_and_says_what_it_took(report: EvaluationReport) -> None:
    assert "good: picai truth: 15 images with lesions from boxes, 15 images with lesions from masks" in report.models[0].notes


@pytest.mark.parametrize(("content", "message"), [(b"nothing", "cannot be read"), (None, "is missing")])
def test_damaged_or_missing_mask_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    rows = [replace(row, mask_path="mask.png") if row.image_id == "toy/test01_CC" else row for row in toy_rows()]
    manifest = _manifest(rows, tmp_path)
    if content is not None:
        (manifest.parent / "mask.png").write_bytes(content)
    with pytest.raises(InputError, match=f"toy/test01_CC: mask.png {message}"):
        evaluate(manifest, [toy_predictions(rows)], quick_settings())


def test_mask_of_another_size_or_place_is_refused(tmp_path: Path) -> None:
    rows = [replace(row, mask_path="mask.png") if row.image_id == "toy/test01_CC" else row for row in toy_rows()]
    manifest = _manifest(rows, tmp_path)
    Image.fromarray(np.ones((SIDE, 10), dtype=np.uint8)).save(manifest.parent / "mask.png")
    with pytest.raises(InputError, match="belongs to another image"):
        evaluate(manifest, [toy_predictions(rows)], quick_settings())
    elsewhere = np.zeros((SIDE, SIDE), dtype=np.uint8)
    elsewhere[60:, 60:] = 1
    Image.fromarray(elsewhere).save(manifest.parent / "mask.png")
    with pytest.raises(InputError, match="value 1 of its mask overlaps none of its boxes"):
        evaluate(manifest, [toy_predictions(rows)], quick_settings())


def test_boxes_of_a_volume_for_a_flat_image_are_refused(toy_set: Path) -> None:
    whole = toy_predictions(toy_rows())
    solid = PredictedBox(start=(1.0, 1.0, 1.0), stop=(3.0, 3.0, 3.0), score=0.5)
    solid_rows = tuple(replace(row, boxes=(solid,)) for row in whole.rows)
    with pytest.raises(InputError, match="another number of axes"):
        evaluate(toy_set / "images.parquet", [replace(whole, rows=solid_rows)], quick_settings())


def test_several_classes_have_kappa_confusion_and_macro_figures(tmp_path: Path) -> None:
    classes = ("ISUP_2", "ISUP_0", "ISUP_1")
    rows = [replace(row, label=f"ISUP_{place % 4}", boxes=(), tier="expert") for place, row in enumerate(toy_rows())]
    random = np.random.default_rng(4)
    made = []
    for row in (row for row in rows if row.split != "train"):
        logits = random.normal(size=3) + 2.0 * np.array([row.label == name for name in classes])
        shares = np.exp(logits) / np.exp(logits).sum()
        made.append(
            Prediction(
                image_id=row.image_id, case_id=row.case_id, patient_id=row.patient_id, split=str(row.split),
                probabilities=dict(zip(classes, map(float, shares), strict=True)),
            )
        )  # fmt: skip
    predictions = PredictionSet(header=toy_header("graded", rows, tasks=("classification",), classes=classes), rows=tuple(made))
    manifest = _manifest(rows, tmp_path)
    found = evaluate(manifest, [predictions], quick_settings())
    values = _values(found, "graded")
    kappa = pytest.importorskip("sklearn.metrics").cohen_kappa_score
    known = [
        (row.label, max(own.probabilities, key=lambda name: own.probabilities[name]))
        for row in found.rows
        for own in made
        if own.image_id == row.image_id and row.label in classes
    ]
    assert values["classes", "quadratic kappa"] == pytest.approx(kappa([a for a, _ in known], [b for _, b in known], weights="quadratic"))
    assert values["classes", "accuracy"] == pytest.approx(np.mean([a == b for a, b in known]))
    note = next(item.estimate.note for item in found.models[0].measured if item.section == "classes")
    assert note == "15 images of other classes left out"
    evaluate_folder = tmp_path / "out"
    write_predictions(predictions.header, predictions.rows, tmp_path / "graded")
    evaluate_set(manifest, [tmp_path / "graded"], evaluate_folder, quick_settings())
    assert (evaluate_folder / "confusion.png").is_file()


def test_three_dimensional_studies_are_painted_and_scored_by_picai(tmp_path: Path) -> None:
    """Boxes (i, j, k) against boxes painted from the truth: a model that repeats the truth scores 1."""
    rows = []
    for part in PARTS:
        for number in range(12):
            row = toy_row(part, number, "t2w")
            boxes = tuple(
                replace(
                    box,
                    start=(*box.start, 2.0),
                    stop=(*box.stop, 6.0),
                    label="csPCa" if number % 2 else "no_csPCa",
                    diagnosis=f"ISUP {number % 4}",
                )
                for box in row.boxes
            )
            label = "csPCa" if number % 2 else "no_csPCa"
            rows.append(replace(row, boxes=boxes, slices=9, spacing_mm=(0.5, 0.5, 3.0), label=label, organ="prostate", modality="MR"))
    made = tuple(
        Prediction(
            image_id=row.image_id, case_id=row.case_id, patient_id=row.patient_id, split=str(row.split),
            boxes=tuple(PredictedBox(start=box.start, stop=box.stop, score=0.9) for box in row.boxes if box.label == "csPCa"),
        )
        for row in rows if row.split != "train"
    )  # fmt: skip
    predictions = PredictionSet(header=toy_header("oracle", rows, tasks=("detection",), classes=()), rows=made)
    found = evaluate(_manifest(rows, tmp_path), [predictions], quick_settings())
    values = _values(found, "oracle")
    assert values["picai", "picai score"] == 1.0
    assert values["COCO", "mAP .5:.05:.95"] == pytest.approx(1.0)
    assert values["lesions distance:5", "AP"] == 1.0
    grades = {item.group: item.estimate.count for item in found.models[0].measured if item.group.startswith("lesion_isup")}
    assert grades == {"lesion_isup=ISUP 1": 3, "lesion_isup=ISUP 3": 3}


@pytest.mark.slow
def test_command_writes_tables_pictures_and_page_and_the_same_bytes_again(toy_set: Path, tmp_path: Path) -> None:
    rows = toy_rows()
    arguments = ["--manifest", str(toy_set / "images.parquet")]
    for name, skill in (("good", 1.0), ("poor", 0.1)):
        made = toy_predictions(rows, name, skill)
        write_predictions(made.header, made.rows, tmp_path / name)
        arguments += ["--predictions", str(tmp_path / name)]
    arguments += ["--set", "bootstrap.draws=20", "--set", "bootstrap.permutations=20"]
    contents = []
    for run in ("first", "second"):
        result = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / run)])
        assert result.exit_code == 0, result.output
        contents.append({path.name: path.read_bytes() for path in sorted((tmp_path / run).iterdir())})
    assert contents[0] == contents[1]
    assert {
        "measures.csv", "comparison.csv", "comparison.md", "tests.csv", "froc.csv", "evaluation.json", "evaluation.html", "roc.png",
        "precision_recall.png", "froc.png", "lesion_precision_recall.png", "calibration.png", "confusion.png",
        "overlays_1.png", "overlays_2.png",
    } == set(contents[0])  # fmt: skip
    with (tmp_path / "first" / "comparison.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    auroc = next(line for line in table if (line["section"], line["metric"]) == ("cases", "AUROC"))
    assert float(auroc["good"]) > float(auroc["poor"])
    page = contents[0]["evaluation.html"].decode()
    assert page.count("data:image/png;base64,") == 8
    assert "truth of this evaluation is weak" in page
    assert "| cases | AUROC | 60 (30+) |" in contents[0]["comparison.md"].decode()
    assert json.loads(contents[0]["evaluation.json"])["operating_points"]["good"]["cases"]["rule"] == "youden"


def test_command_refuses_in_a_sentence(toy_set: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    manifest = str(toy_set / "images.parquet")
    out = ["--output", str(tmp_path / "out")]
    cases = {
        "give --manifest with --predictions": out,
        "leave out --manifest": ["--manifest", manifest, "--detection-maps", str(tmp_path), *out],
        "belong to --detection-maps": ["--manifest", manifest, "--labels", str(tmp_path), *out],
        "did you mean 'hit_criteria'": ["--manifest", manifest, "--set", "hit_criterai=[centre]", *out],
        "hit criterion 'iuo:0.1'": ["--manifest", manifest, "--set", "hit_criteria=['iuo:0.1']", *out],
        "no such file; a folder of predictions": ["--manifest", manifest, "--predictions", str(tmp_path), *out],
    }
    for message, arguments in cases.items():
        result = runner.invoke(app, arguments)
        assert result.exit_code == 2, (message, result.output)
        assert message in result.output.replace("\n", " "), result.output
    assert not (tmp_path / "out").exists()


def test_settings_of_a_file_find_their_table_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.yaml"
    path.write_text("unit: case\nlesion_table: lesions.csv\n", encoding="utf-8")
    found = read_settings(path, ["bootstrap.draws=30"])
    assert (found.unit, found.lesion_table, found.bootstrap.draws) == ("case", tmp_path / "lesions.csv", 30)
    with pytest.raises(ConfigurationError, match="operating point"):
        read_settings(path, ["case_operating_point=best"])
