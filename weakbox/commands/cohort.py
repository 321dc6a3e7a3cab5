"""A cohort before any work: a synthetic one with known truth, and how a site's series names would be read."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from weakbox.commands.command_line import DebugOption, errors_for_users


def roles(
    descriptions: Annotated[Path, typer.Option(help="CSV with a column `series_description`.")],
    output: Annotated[Path, typer.Option(help="CSV to write: the same rows with `role`, `plane`, `confidence`, `reason`.")],
    debug: DebugOption = False,
) -> None:
    """How a site's series names would be read, before any DICOM is touched."""
    with errors_for_users(debug):
        from weakbox.imaging.role_table import classify_descriptions

        rows = classify_descriptions(descriptions, output)
        typer.echo(f"{rows} descriptions read; written: {output}")


def simulate_cohort(
    folder: Annotated[Path, typer.Argument(help="Folder to make; must not exist.")],
    patients: Annotated[int, typer.Option(min=1)] = 12,
    seed: Annotated[int, typer.Option()] = 7,
    registration_error_mm: Annotated[float, typer.Option(min=0.0, help="Root mean square error of the biopsy coordinates.")] = 3.0,
    images: Annotated[bool, typer.Option(help="Write DICOM studies; without them a series index is written.")] = True,
    workers: Annotated[int | None, typer.Option(min=1)] = None,
    debug: DebugOption = False,
) -> None:
    """A synthetic cohort with known truth: reports, pathology, biopsy sheets, DICOM studies and a `configs.yaml` for it."""
    with errors_for_users(debug):
        from weakbox.runtime.executors.local import LocalExecutor
        from weakbox.simulate.cohort import simulate

        with closing(LocalExecutor(workers)) as executor:
            summary = simulate(
                folder, patients=patients, seed=seed, registration_error_mm=registration_error_mm, with_images=images, executor=executor
            )
        typer.echo(summary)
