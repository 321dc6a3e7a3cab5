"""Run trained models: ``python cv_model_experiments/inference.py --model OUTPUT --images output/dataset --output predictions``.

Several models (folds, other experiments) are averaged; ``--studies`` takes raw DICOM studies instead of an exported set.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # as a script Python looks for modules beside this file, where `data` would be anyone's
    sys.path[0] = str(ROOT)

import typer  # noqa: E402

from weakbox.commands.command_line import DebugOption, SetOption, errors_for_users  # noqa: E402

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def infer(
    model: Annotated[list[Path], typer.Option("--model", "-m", help="[cyan]model.pt[/], or the output folder of a training; repeatable.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the predictions.")],
    images: Annotated[Path | None, typer.Option("--images", help="Folder of an exported set.")] = None,
    studies: Annotated[Path | None, typer.Option("--studies", help="Folder of raw DICOM studies.")] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="Raw studies: secret key of the research identifiers; made where it is not there.")
    ] = None,
    keep_identifiers: Annotated[
        bool, typer.Option("--keep-identifiers", help="Raw studies: keep patient identifiers and dates. Only inside the hospital.")
    ] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with choices of inference.")] = None,
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    """Look at every image: boxes with scores, picai detection maps, class probabilities; as tables, NIfTI and DICOM.

    [dim]Exit code 0: done. 2: a model, the configuration or an input cannot be used.[/]
    """
    from weakbox.records.errors import ConfigurationError

    with errors_for_users(debug):
        if (images is None) == (studies is None):
            raise ConfigurationError("give either --images, the folder of an exported set, or --studies, a folder of DICOM studies")
        if studies is not None and (key_file is None) != keep_identifiers:
            raise ConfigurationError("--studies needs either --key-file, for research identifiers, or --keep-identifiers")
        typer.echo(run(model, output, images, studies, key_file, config, overrides or []))


def run(
    models: list[Path],
    output: Path,
    images: Path | None,
    studies: Path | None,
    key_file: Path | None,
    config: Path | None,
    overrides: list[str],
) -> str:
    """Run the models and say what came of it.

    Raises:
        InputError: a model, the configuration or an input cannot be used.
    """
    from cv_model_experiments.prediction.classifying import classify_set
    from cv_model_experiments.prediction.running import detect_in_set, detect_in_studies, kind_of, model_paths
    from cv_model_experiments.prediction.settings import InferenceSettings
    from weakbox.records.errors import ConfigurationError, InputError
    from weakbox.runtime.config import apply_overrides, read_yaml, validate
    from weakbox.runtime.privacy import Pseudonymiser, load_or_create_key

    content = apply_overrides({} if config is None else read_yaml(config), overrides)
    settings = validate(InferenceSettings, content, "", "the command line" if config is None else str(config))
    paths = model_paths(models)
    kinds = {kind_of(path) for path in paths}
    if len(kinds) > 1:
        raise InputError("detectors and classifiers cannot be averaged; run inference for each and give both folders to model_eval.py")
    if kinds == {"classification"}:
        if images is None:
            raise ConfigurationError("classifiers look at an exported set: give --images")
        result = classify_set(paths, images, output, settings)
    elif images is not None:
        result = detect_in_set(paths, images, output, settings)
    else:
        assert studies is not None, "checked by the command"
        key = load_or_create_key(key_file) if key_file is not None else b""
        identities = Pseudonymiser(key=key, keep_original=key_file is None, research_patients={})
        result = detect_in_studies(paths, studies, output, identities, settings)
    more = f", {len(result.left_out)} left out (left_out.csv)" if result.left_out else ""
    return f"{result.folder}: {result.images} images, {result.candidates} candidates{more}"


if __name__ == "__main__":
    app()
