"""The predecessor's workload through text stages and matching: seconds, reports per second, peak memory, and a run with nothing to do."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measured import Figure, one_core, seconds_of
from weakbox.simulate.cohort import simulate_workload

ROOT = Path(__file__).resolve().parents[1]
STAGES = "preprocessing,extraction,matching"


def measure(*, radiology: int, pathology: int, targets: int, studies: int, series: int) -> Iterator[Figure]:
    """Figures for one workload on this machine's cores."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate_workload(
            folder / "cohort", radiology=radiology, pathology=pathology, targets=targets, studies=studies, series=series, seed=3
        )
        config = _configuration(folder)
        first, peak = _run(config)
        seconds = {
            run["stage"]: run["seconds"] for run in json.loads((folder / "output" / "audit" / "timings.json").read_text(encoding="utf-8"))
        }
        again, _ = _run(config)
        rate = _reports_per_second(folder)
    reports = radiology + pathology
    size = f"{radiology:,} radiology and {pathology:,} pathology reports, {targets:,} targets, {studies:,} studies, {series:,} series"
    yield Figure(
        what=f"Workload: {size}; preprocessing, extraction and matching", value=f"{first:.1f} s", compared_with="predecessor: 2 h 19 min"
    )
    yield Figure(what="- reading and preprocessing", value=f"{seconds['reading'] + seconds['preprocessing']:.1f} s")
    yield Figure(what="- extraction, all cores", value=f"{seconds['extraction']:.1f} s ({reports / seconds['extraction']:,.0f} reports/s)")
    yield Figure(
        what="- extraction, one core",
        value=f"{rate:,.0f} reports/s",
        compared_with="EDS-NLP's bare term matching about 300, medspaCy 43 to 209 (published)",
        aim="at least 300",
    )
    yield Figure(what="- matching", value=f"{seconds['matching']:.1f} s", aim="under 10 s")
    yield Figure(what="- peak memory of the largest process", value=f"{peak:,.0f} MiB", aim="under 2,048 MiB")
    yield Figure(what="The same run again, nothing to do", value=f"{again:.1f} s", aim="under 5 s")


def _configuration(folder: Path) -> Path:
    content: dict[str, Any] = yaml.safe_load((folder / "cohort" / "configs.yaml").read_text(encoding="utf-8"))
    content["output"] = {"folder": str(folder / "output")}
    path = folder / "cohort" / "benchmark.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _run(config: Path) -> tuple[float, float]:
    command = [sys.executable, str(ROOT / "main.py"), "--config", str(config), "--stages", STAGES]
    # exit code 3 is a run that ended with unusable input: the workload holds some on purpose
    seconds = seconds_of(lambda: _check(subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode))
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _check(returncode: int) -> None:
    if returncode not in {0, 3}:
        msg = f"the run ended with {returncode}"
        raise RuntimeError(msg)


def _reports_per_second(folder: Path) -> float:
    import extraction
    from weakbox.records.case import PatientRecord
    from weakbox.runtime.store import Store

    store = Store(folder / "output" / "store", shards=len(list((folder / "output" / "store" / "preprocessing").glob("*.manifest.json"))))
    reports = [report for patient in store.read_all("preprocessing") if isinstance(patient, PatientRecord) for report in patient.reports][
        :3000
    ]
    config = extraction.Config()
    extraction.extract_report(reports[0], config)
    with one_core():
        os.sched_yield()
        return len(reports) / seconds_of(lambda: [extraction.extract_report(report, config) for report in reports])
