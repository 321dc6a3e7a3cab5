"""Shown on the real ISIC 2019 tables: nothing that hangs together crosses a part, and adding a tenth of the lesions moves no one."""

from __future__ import annotations

import csv
import hashlib
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from weakbox.curation.curate import curate
from weakbox.curation.leakage import check_leakage
from weakbox.curation.settings import CurationSettings
from weakbox.exporters.image_manifest import PARQUET_NAME, read_manifest, write_manifest
from weakbox.records.image_set import ImageRow

TABLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "nc_isic"
METADATA, TRUTH = TABLES / "ISIC_2019_Training_Metadata.csv", TABLES / "ISIC_2019_Training_GroundTruth.csv"
IMAGES = 25_331
CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.shared,
    pytest.mark.skipif(not (METADATA.is_file() and TRUTH.is_file()), reason="the ISIC 2019 tables beside the checkout are absent"),
]


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {line["image"]: line for line in csv.DictReader(file)}


@pytest.fixture(scope="module")
def rows() -> list[ImageRow]:
    """One row an image; images of one lesion get perceptual hashes that differ in at most two bits, as photographs of it may."""
    truth = table(TRUTH)
    return [isic_row(name, line, truth[name]) for name, line in table(METADATA).items()]


def isic_row(name: str, metadata: dict[str, str], truth: dict[str, str]) -> ImageRow:
    lesion = metadata["lesion_id"]
    (diagnosis,) = [code for code in CLASSES if float(truth[code]) == 1]
    look = int(hashlib.sha256((lesion or name).encode()).hexdigest()[:32], 16) ^ (
        1 << int(hashlib.sha256(name.encode()).hexdigest()[:2], 16) % 128
    )
    return ImageRow(
        image_id=f"isic_2019/{name}",
        image_path=f"images/isic_2019/{name}.png",
        dataset="isic_2019",
        organ="skin",
        modality="DMS",
        patient_id=f"isic_2019:{lesion or name}",
        study_id=name,
        series_key=f"isic_2019/{name}",
        case_id=f"isic_2019/{name}",
        label="malignant" if diagnosis in {"MEL", "BCC", "SCC"} else "benign",
        diagnosis=diagnosis,
        tier="case_level",
        sex=metadata["sex"] or None,
        age_years=float(metadata["age_approx"]) if metadata["age_approx"] else None,
        group_ids=(f"lesion:isic:{lesion}",) if lesion else (),
        identifiers=(f"isic:{name.removesuffix('_downsampled')}",),
        pixel_sha256=hashlib.sha256(name.encode()).hexdigest(),
        perceptual_hash=f"{look:032x}",
        official_split="train",
    )


def parts_of(rows: list[ImageRow]) -> dict[str, str | None]:
    with curate(rows, CurationSettings()) as found:
        return {one.image_id: one.split for one in found.rows}


def test_no_lesion_content_or_near_duplicate_of_isic_2019_crosses_a_part_of_the_written_manifest(
    rows: list[ImageRow], tmp_path: Path
) -> None:
    assert len(rows) == IMAGES
    with curate(rows, CurationSettings()) as found:
        write_manifest(found.rows, tmp_path)
        assert found.count + found.left_out_count == IMAGES
    written = list(read_manifest(tmp_path / PARQUET_NAME))
    report = check_leakage(written, CurationSettings().duplicates.near_distance)
    assert sum(report.rows.values()) == len(written) == IMAGES
    parts: defaultdict[str, set[str | None]] = defaultdict(set)
    lesions = {f"isic_2019/{name}": line["lesion_id"] for name, line in table(METADATA).items()}
    for one in written:
        if lesions[one.image_id]:
            parts[lesions[one.image_id]].add(one.split)
    assert len(parts) == len({lesion for lesion in lesions.values() if lesion})
    assert all(len(found) == 1 for found in parts.values())


def test_each_diagnosis_of_isic_2019_has_its_share_of_each_part(rows: list[ImageRow]) -> None:
    parts = parts_of(rows)
    counts: defaultdict[str | None, Counter[str | None]] = defaultdict(Counter)
    for one in rows:
        counts[one.diagnosis][parts[one.image_id]] += 1
    for diagnosis, found in counts.items():
        total = found.total()
        # Lesions of several images make the spread of images wider than that of lesions: at most 31 images share one.
        assert found["test"] / total == pytest.approx(0.15, abs=max(0.02, 2.5 / total**0.5)), diagnosis


def test_adding_a_tenth_of_the_lesions_of_isic_2019_moves_no_one(rows: list[ImageRow]) -> None:
    groups = sorted({one.patient_id for one in rows})
    added = set(random.Random(4).sample(groups, len(groups) // 10))
    before = parts_of([one for one in rows if one.patient_id not in added])
    after = parts_of(rows)
    assert len(after) - len(before) > 2000
    assert {name: after[name] for name in before} == before


def test_the_order_of_the_tables_changes_no_byte_of_the_manifest(rows: list[ImageRow], tmp_path: Path) -> None:
    shuffled = rows.copy()
    random.Random(9).shuffle(shuffled)
    contents = []
    for name, order in (("one", rows), ("other", shuffled)):
        with curate(order, CurationSettings()) as found:
            write_manifest(found.rows, tmp_path / name)
        contents.append((tmp_path / name / PARQUET_NAME).read_bytes())
    assert contents[0] == contents[1]
