"""One small simulated cohort and one run over it, shared by the end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline import configuration_for, run_main, write_configuration


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five simulated patients with images."""
    from weakbox.simulate.cohort import simulate

    folder = tmp_path_factory.mktemp("cohort") / "cohort"
    simulate(folder, patients=5, seed=11, registration_error_mm=3.0, with_images=True)
    return folder


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key of the research identifiers, so that runs can be compared byte for byte."""
    path = tmp_path_factory.mktemp("key") / "research_id.key"
    path.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
    return path


@pytest.fixture(scope="session")
def finished_run(cohort: Path, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one whole run over the cohort."""
    folder = tmp_path_factory.mktemp("run")
    config = write_configuration(folder / "configs.yaml", configuration_for(cohort, folder / "output", key_file))
    run_main("--config", str(config))
    return folder / "output"


@pytest.fixture
def configure(cohort: Path, key_file: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration over the shared cohort with an output folder of its own; returns its path."""

    def write(**sections: Any) -> Path:
        return write_configuration(tmp_path / "configs.yaml", configuration_for(cohort, tmp_path / "output", key_file, **sections))

    return write
