"""The joined set in figures: counts that add up, what is missing, what gives the class away, and a page that stands alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakbox.audit.croissant import SetFile, croissant
from weakbox.audit.image_set import NOT_STATED, cramers_v, describe, frame_of, warnings_of
from weakbox.audit.image_set_figures import chosen_examples, write_set_figures
from weakbox.audit.image_set_page import SourceCard, write_data_card, write_page
from weakbox.records.image_set import ImageBox, ImageRow

PARTS = ("train", "train", "train", "validation", "test")


def row(number: int, dataset: str, label: str | None, **more: object) -> ImageRow:
    box = ImageBox(label_id=f"{number}", start=(10.0, 12.0), stop=(30.0, 52.0), label=label, tier="expert")
    content: dict[str, object] = {
        "image_id": f"{dataset}/{number}",
        "image_path": f"public/{dataset}/{number}.png",
        "dataset": dataset,
        "organ": "breast",
        "modality": "MG",
        "patient_id": f"{dataset}:{number // 2}",
        "study_id": f"{number // 2}",
        "series_key": f"{dataset}/{number}",
        "case_id": f"{dataset}/{number // 2}",
        "laterality": ("left", "right")[number % 2],
        "view": ("CC", "MLO")[number // 2 % 2],
        "age_years": 40.0 + number % 30,
        "label": label,
        "label_source": "histopathology",
        "tier": "expert",
        "boxes": (box,) if label == "malignant" else (),
        "split": PARTS[number % 5],
        "licence": "CC-BY-4.0",
        "columns": 80,
        "rows": 100,
        "spacing_mm": (0.5, 0.25),
    }
    return ImageRow(**(content | more))  # type: ignore[arg-type]


@pytest.fixture
def rows() -> list[ImageRow]:
    first = [row(number, "one", "malignant") for number in range(40)]
    second = [row(number, "two", ("benign", None)[number % 4 == 3], manufacturer="Maker") for number in range(40)]
    return [replace(first[0], attributes={"duplicate_label_conflict": "benign"}), *first[1:], *second]


def test_every_table_adds_up_to_the_images(rows: list[ImageRow]) -> None:
    found = describe(frame_of(rows), 1)
    assert found.images == 80
    for table in (found.datasets, found.splits, found.tiers, found.label_sources):
        assert sum(sum(counts.values()) for counts in table.values()) == found.images
    for counts in (found.licences, *found.facts.values()):
        assert sum(counts.values()) == found.images
    assert found.datasets == {"one": {"malignant": 40}, "two": {"benign": 30, NOT_STATED: 10}}
    assert (found.patients, found.boxes, found.duplicates_left_out, found.conflicts) == (40, 40, 1, 1)


def test_box_lengths_use_the_spacing_of_their_own_axis(rows: list[ImageRow]) -> None:
    frame = frame_of(rows)
    assert frame["box_mm"].iloc[0] == (pytest.approx(10.0),)
    assert frame["box_shares"].iloc[0] == (pytest.approx(20 * 40 / 8000),)


def test_what_is_not_stated_is_shown_by_dataset(rows: list[ImageRow]) -> None:
    missing = describe(frame_of(rows), 1).missing
    assert missing["one"]["manufacturer"] == 1.0
    assert missing["two"]["manufacturer"] == 0.0
    assert missing["two"]["sex"] == 1.0


def test_a_class_that_comes_from_one_dataset_only_is_warned_of(rows: list[ImageRow]) -> None:
    found = describe(frame_of(rows), 1)
    assert found.associations["breast: dataset"] > 0.95
    assert found.associations["breast: laterality"] < 0.3
    assert any(line.startswith("breast: dataset gives the class away") for line in warnings_of(found))


def test_a_part_without_a_class_is_warned_of(rows: list[ImageRow]) -> None:
    without = [one for one in rows if not (one.split == "test" and one.label == "malignant")]
    assert "no image of malignant in the test part" in warnings_of(describe(frame_of(without), 0))


def test_independent_facts_have_no_association() -> None:
    generator = np.random.default_rng(3)
    import pandas as pd

    first, second = (pd.Series(generator.integers(0, 4, 4000).astype(str)) for _ in range(2))
    value = cramers_v(first, second)
    assert value is not None
    assert value < 0.05


def test_too_few_rows_give_no_association() -> None:
    import pandas as pd

    assert cramers_v(pd.Series(["a", "b"] * 5), pd.Series(["x", "y"] * 5)) is None


@pytest.fixture
def pictured(rows: list[ImageRow], tmp_path: Path) -> tuple[list[ImageRow], Path]:
    for one in rows[:80]:
        path = tmp_path / one.image_path
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((100, 80), 90, np.uint8)).save(path)
    return rows, tmp_path


def test_figures_are_the_same_bytes_each_time(pictured: tuple[list[ImageRow], Path]) -> None:
    rows, folder = pictured
    made = []
    for name, order in (("a", rows), ("b", rows[::-1])):
        frame = frame_of(order)
        made.append(write_set_figures(frame, chosen_examples(order), describe(frame, 1), folder, folder / name))
    first, second = made
    assert [path.name for path in first] == [path.name for path in second]
    assert {"examples.png", "classes_by_dataset.png", "classes_by_split.png", "missing.png"} <= {path.name for path in first}
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


SOURCE = SourceCard(
    title="One <set>",
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    citation="Somebody, 2020.",
    homepage="https://example.org",
    label_basis="histopathology",
    access="open",
    images=40,
    patients=20,
)


def test_the_page_needs_no_network_and_escapes_names(pictured: tuple[list[ImageRow], Path]) -> None:
    rows, folder = pictured
    found = describe(frame_of(rows), 1)
    pictures = write_set_figures(frame_of(rows), chosen_examples(rows), found, folder, folder / "figures")
    page = folder / "report.html"
    lines = warnings_of(found)
    write_page(page, found, name="set", version="abc", pictures=pictures, sources=[SOURCE], warnings=lines, left_out={"no_image": 3})
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert "@import" not in text
    assert "One &lt;set&gt;" in text
    assert text.count("data:image/png;base64,") == len(pictures)
    assert "no_image" in text


def test_the_data_card_names_licences_citations_and_policy(rows: list[ImageRow], tmp_path: Path) -> None:
    found = describe(frame_of(rows), 1)
    path = tmp_path / "data_card.md"
    write_data_card(
        path, found, name="set", version="abc", sources=[SOURCE], warnings=[], left_out={}, policy={"birads": "map"}, settings={"seed": 0}
    )
    text = path.read_text(encoding="utf-8")
    for words in ("CC-BY-4.0", "Somebody, 2020.", '"birads": "map"', "| train |", "80 images of 40 patients"):
        assert words in text
    assert "One <set>" in text


def test_croissant_names_every_column_file_and_licence() -> None:
    source = {name: getattr(SOURCE, name) for name in ("title", "licence", "licence_url", "citation", "homepage")}
    table = SetFile(name="images.csv", content_type="text/csv", sha256="0" * 64, bytes=10)
    made = croissant("set", version="1", description="d", sources=[source], table=table, columns={"image_id": "text", "age_years": "float"})
    assert made["@type"] == "sc:Dataset"
    assert made["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    fields = made["recordSet"][0]["field"]
    assert [field["name"] for field in fields] == ["image_id", "age_years"]
    assert {field["source"]["fileObject"]["@id"] for field in fields} == {"images.csv"}
    files = {item["@id"] for item in made["distribution"]}
    assert "images.csv" in files
    assert made["license"] == [SOURCE.licence_url]
    json.dumps(made)
