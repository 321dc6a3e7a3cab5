"""Half a million rows of the joined set: curated, written and read back, beside pandas with a plain split by patient.

Each contender runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from operator import attrgetter
from pathlib import Path

from benchmarks.measured import Figure
from weakbox.records.image_set import ImageBox, ImageRow

ROOT = Path(__file__).resolve().parents[1]
DATASETS = ("cbis_ddsm", "vindr_mammo", "cmmd", "isic_2019", "isic_2020")
IMAGES_A_PATIENT = 4
COPIES, NEAR_COPIES = 0.02, 0.01
LABELS = ("benign",) * 8 + ("malignant",) * 2
_COLUMNS = ("image_id", "image_path", "dataset", "organ", "modality", "patient_id", "study_id", "series_key", "case_id",
            "laterality", "view", "age_years", "sex", "label", "tier", "official_split", "licence", "columns", "rows",
            "sha256", "source_sha256", "pixel_sha256", "perceptual_hash")  # fmt: skip


def synthetic_rows(count: int) -> Iterator[ImageRow]:
    """Rows of five sets with copies, near-copies, boxes and one official split; always the same."""
    choice = random.Random(7)
    bits, source = 0, ""
    for number in range(count):
        dataset = DATASETS[number % len(DATASETS)]
        kind = choice.random()
        if kind >= COPIES:
            source = sha256(f"source {number}".encode()).hexdigest()
            bits = bits ^ 1 if kind < COPIES + NEAR_COPIES else choice.getrandbits(128)
        yield _row(number, dataset, source, bits, choice)


def _row(number: int, dataset: str, source: str, bits: int, choice: random.Random) -> ImageRow:
    patient = f"{dataset}:{number // (IMAGES_A_PATIENT * len(DATASETS)):07d}"
    image = f"{dataset}/{number:08d}"
    label = choice.choice(LABELS)
    box = ImageBox(label_id=f"{image}#1", start=(100.5, 200.0), stop=(180.25, 310.0), label=label, tier="expert")
    return ImageRow(
        image_id=image,
        image_path=f"images/{image}.png",
        dataset=dataset,
        organ="skin" if dataset.startswith("isic") else "breast",
        modality="DMS" if dataset.startswith("isic") else "MG",
        patient_id=patient,
        study_id=f"{number // 4}",
        series_key=image,
        case_id=f"{dataset}/{number // 4}",
        laterality="left" if number % 2 else "right",
        view="cc" if number % 4 < 2 else "mlo",
        age_years=float(choice.randrange(30, 90)),
        sex="female",
        label=label,
        tier="expert",
        boxes=(box,) if label == "malignant" else (),
        official_split=("test" if patient.endswith("7") else "train") if dataset == "cbis_ddsm" else None,
        licence="CC-BY-NC-4.0",
        columns=1024,
        rows=1536,
        sha256=sha256(f"exported {number}".encode()).hexdigest(),
        source_sha256=source,
        pixel_sha256=sha256(source.encode()).hexdigest(),
        perceptual_hash=f"{bits:032x}",
        group_ids=(f"patient:{patient}",),
    )


def curate_rows(count: int, folder: Path) -> int:
    """Duplicates, groups, parts, balance, manifest, and the leakage check on the manifest read back."""
    from weakbox.curation.curate import curate
    from weakbox.curation.leakage import check_leakage
    from weakbox.curation.settings import BalanceSettings, CurationSettings
    from weakbox.exporters.image_manifest import PARQUET_NAME, read_manifest, write_manifest

    settings = CurationSettings(balance=BalanceSettings(mode="weights"))
    with curate(synthetic_rows(count), settings, workspace=folder) as curated:
        write_manifest(curated.rows, folder)
    check_leakage(read_manifest(folder / PARQUET_NAME), settings.duplicates.near_distance)
    return curated.count


def pandas_rows(count: int, folder: Path) -> int:
    """What a notebook does: drop equal files, draw patients at random, write both tables, read one back. No near-duplicates, no check."""
    import numpy as np
    import pandas as pd

    values = attrgetter(*_COLUMNS)
    frame = pd.DataFrame.from_records((values(row) for row in synthetic_rows(count)), columns=list(_COLUMNS))
    frame = frame.drop_duplicates("source_sha256")
    patients = frame["patient_id"].unique()
    draw = np.random.default_rng(0).random(len(patients))
    part = pd.Series(np.where(draw < 0.15, "test", np.where(draw < 0.3, "validation", "train")), index=patients)
    frame["split"] = frame["patient_id"].map(part)
    frame["weight"] = len(frame) / frame.groupby("label")["label"].transform("count")
    frame.to_parquet(folder / "images.parquet")
    frame.to_csv(folder / "images.csv", index=False)
    return len(pd.read_parquet(folder / "images.parquet"))


def only_rows(count: int, folder: Path) -> int:
    """Making the rows, which both contenders do first."""
    return sum(1 for _ in synthetic_rows(count))


CONTENDERS: dict[str, Callable[[int, Path], int]] = {"curate": curate_rows, "pandas": pandas_rows, "rows": only_rows}


def measure(count: int) -> Iterator[Figure]:
    """One figure: seconds and peak memory of both, less the making of the rows."""
    making, _ = _in_own_process("rows", count)
    ours, our_memory = _in_own_process("curate", count)
    theirs, their_memory = _in_own_process("pandas", count)
    yield Figure(
        what=f"Curating {count:,} rows: duplicates, groups, parts, weights; Parquet and CSV written, read back, checked for leaks",
        value=f"{ours - making:.1f} s ({count / (ours - making):,.0f} rows/s), peak {our_memory:.0f} MB",
        compared_with=f"pandas, split by patient without near-duplicates or check: {theirs - making:.1f} s, peak {their_memory:.0f} MB; "
        f"making the rows, {making:.1f} s, taken off both",
        aim="memory below pandas'",
    )


def _in_own_process(contender: str, count: int) -> tuple[float, float]:
    """Seconds, and the peak of resident memory in MB (10^6 bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.image_set", contender, str(count), folder]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout)
    return float(result["seconds"]), float(result["megabytes"])


def main_command() -> None:
    """Run one contender; what ``measure`` starts."""
    contender, count, folder = sys.argv[1:]
    started = time.perf_counter()
    CONTENDERS[contender](int(count), Path(folder))
    seconds = time.perf_counter() - started
    # Linux counts in units of 1,024 bytes.
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": seconds, "megabytes": megabytes}))


if __name__ == "__main__":
    main_command()
