"""Running the pipeline in tests as a user would."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
"""Real sample data beside the checkout; tests that use it skip where it is absent."""


def configuration_for(cohort: Path, output: Path, key_file: Path, **sections: Any) -> dict[str, Any]:
    """The shipped ``configs.yaml``, pointed at a cohort and an output folder."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "configs.yaml").read_text(encoding="utf-8"))
    del content["simulate"]
    for inputs in content["inputs"].values():
        for entry in inputs:
            entry["path"] = str(cohort / Path(entry["path"]).relative_to("demo"))
    content["output"]["folder"] = str(output)
    content["privacy"]["key_file"] = str(key_file)
    content["executor"] = {"kind": "local", "workers": 2, "shards": 4}
    for name, changes in sections.items():
        content[name] = {**content.get(name, {}), **changes}
    return content


def write_configuration(path: Path, content: dict[str, Any]) -> Path:
    """Write a configuration file."""
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def run_main(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run ``main.py`` as a user would."""
    command = [sys.executable, str(ROOT / "main.py"), *arguments]
    environment = {**os.environ, "COLUMNS": "200"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if check and result.returncode != 0:
        pytest.fail(f"{arguments} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    return result


def tree_digests(output: Path) -> dict[str, str]:
    """SHA-256 of every file that a run leaves: the dataset and the stages' records, not caches."""
    kept = [path for path in sorted(output.rglob("*")) if path.is_file() and "cache" not in path.parts and path.name != "timings.json"]
    return {path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}
