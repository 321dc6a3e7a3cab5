"""Honest numbers for models: ``python cv_model_experiments/model_eval.py --help``. See docs/evaluation.md."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if __package__ in (None, ""):
    # Run as a file: its own folder is on the path, the project's is not.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import typer

if TYPE_CHECKING:
    from cv_model_experiments.evaluation.estimates import Estimate
    from cv_model_experiments.evaluation.report import EvaluationReport
    from cv_model_experiments.evaluation.settings import EvaluationSettings

EXIT_UNUSABLE = 2
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def evaluate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the figures.")],
    manifest: Annotated[Path | None, typer.Option("--manifest", help="[cyan]images.parquet[/] of the exported set.")] = None,
    predictions: Annotated[
        list[Path] | None, typer.Option("--predictions", help="Folder of one model's predictions; repeat it to compare models.")
    ] = None,
    detection_maps: Annotated[
        Path | None, typer.Option("--detection-maps", help="Folder of detection maps, named as picai_eval does.")
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="Folder of their labels; that of the maps where not given.")] = None,
    subjects: Annotated[
        Path | None, typer.Option("--subjects", help="JSON list of the cases to score, all of which must be there.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with choices of the evaluation.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override one choice, [cyan]bootstrap.draws=2000[/]; repeatable.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Judge models on an exported set ([cyan]--manifest[/] and [cyan]--predictions[/]), or any system's detection maps
    ([cyan]--detection-maps[/] and [cyan]--labels[/]) by picai_eval."""
    from weakbox.records.errors import ConfigurationError

    with _errors_for_users(debug):
        settings = read_settings(config, overrides or [])
        if detection_maps is not None:
            if manifest is not None or predictions:
                raise ConfigurationError("--detection-maps scores folders; leave out --manifest and --predictions")
            _score_folder(detection_maps, labels or detection_maps, output, subjects, settings)
        elif manifest is not None:
            if labels is not None or subjects is not None:
                raise ConfigurationError("--labels and --subjects belong to --detection-maps")
            _score_set(manifest, predictions or [], output, settings)
        else:
            raise ConfigurationError("give --manifest with --predictions, or --detection-maps with --labels")


def read_settings(config: Path | None, overrides: Iterable[str]) -> EvaluationSettings:
    """The choices of a file with those of the command line over them; defaults where nothing is said.

    Raises:
        ConfigurationError: names the key, what was expected, and the nearest one.
    """
    from cv_model_experiments.evaluation.evaluate import check_settings
    from cv_model_experiments.evaluation.settings import EvaluationSettings
    from weakbox.runtime.config import apply_overrides, read_yaml, resolve_paths, validate

    content = apply_overrides({} if config is None else read_yaml(config), overrides)
    source = "the command line" if config is None else str(config)
    settings = validate(EvaluationSettings, content, "evaluation", source)
    check_settings(settings)
    resolved: EvaluationSettings = resolve_paths(settings, Path.cwd() if config is None else config.resolve().parent)
    return resolved


def evaluate_set(manifest: Path, folders: Iterable[Path], output: Path, settings: EvaluationSettings) -> EvaluationReport:
    """Evaluate the models whose predictions lie in ``folders`` and write tables, pictures and the page into ``output``.

    Raises:
        InputError: predictions or manifest cannot be used, or training patients are in the evaluated part.
    """
    from cv_model_experiments.evaluation.evaluate import evaluate as evaluate_models
    from cv_model_experiments.evaluation.figures import CAPTIONS, write_figures
    from cv_model_experiments.evaluation.overlays import captions, write_overlays
    from cv_model_experiments.evaluation.page import write_page
    from cv_model_experiments.evaluation.tables import write_tables
    from cv_model_experiments.predictions import read_predictions

    report = evaluate_models(manifest, [read_predictions(folder) for folder in folders], settings)
    write_tables(report, output)
    pictures = {path: CAPTIONS[path.name] for path in write_figures(report, output)}
    sheets = write_overlays(report, manifest.parent, output)
    write_page(report, {**pictures, **captions(sheets, report)}, output)
    return report


def _score_set(manifest: Path, folders: Iterable[Path], output: Path, settings: EvaluationSettings) -> None:
    from cv_model_experiments.evaluation.measuring import ALL
    from cv_model_experiments.evaluation.page import PAGE_NAME
    from cv_model_experiments.evaluation.tables import all_measures, all_notes

    report = evaluate_set(manifest, folders, output, settings)
    for model in report.models:
        _print(model.name, (item.estimate for item in all_measures(report) if (item.model, item.group) == (model.name, ALL)))
    _print_notes(all_notes(report))
    typer.echo(f"wrote {output / PAGE_NAME}")


def _score_folder(maps: Path, labels: Path, output: Path, subjects: Path | None, settings: EvaluationSettings) -> None:
    from cv_model_experiments.evaluation.folder_report import METRICS_JSON, evaluate_folder

    report = evaluate_folder(maps, labels, output, subjects, settings)
    _print(str(maps), report.estimates)
    _print_notes(report.notes)
    typer.echo(f"wrote {output / METRICS_JSON}")


def _print(title: str, estimates: Iterable[Estimate]) -> None:
    from rich.console import Console
    from rich.table import Table

    from cv_model_experiments.evaluation.tables import count_cell, text_cell

    table = Table("metric", "value (95 % interval)", "n", "note", title=title)
    for item in estimates:
        table.add_row(item.metric, text_cell(item), count_cell(item), item.note)
    Console().print(table)


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        typer.secho(f"note: {note}", fg="yellow", err=True)


@contextmanager
def _errors_for_users(debug: bool) -> Iterator[None]:
    """An error the user can act on ends with its sentence and exit code 2."""
    from weakbox.records.errors import InputError

    try:
        yield
    except InputError as error:
        if debug:
            raise
        typer.secho(f"error: {error}", err=True, fg="red")
        raise typer.Exit(EXIT_UNUSABLE) from None


if __name__ == "__main__":
    app()
