"""Train what a configuration describes: ``python cv_model_experiments/training.py --config cv_model_experiments/configs/NAME.yaml``.

Several GPUs: ``torchrun --nproc-per-node 4 cv_model_experiments/training.py --config ...``. A killed run goes on where it was
when the same command is given again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # as a script Python looks for modules beside this file, where `data` would be anyone's
    sys.path[0] = str(ROOT)

import typer  # noqa: E402

from weakbox.commands.command_line import DebugOption, SetOption, errors_for_users  # noqa: E402

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
PACKAGE = "cv_model_experiments"


@app.command()
def train(
    config: Annotated[Path, typer.Option("--config", "-c", help="The YAML file of the experiment.")],
    overrides: SetOption = None,
    fold: Annotated[list[int] | None, typer.Option(help="Only this fold of the manifest; repeatable.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget checkpoints and start anew.")] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Only measure: loader and step against a bare loop on pre-loaded tensors, as JSON.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Train, from the checkpoint where there is one; log, watch, keep the best epoch; predict validation and test part.

    [dim]Exit code 0: done. 2: the configuration or an input cannot be used.[/]
    """
    with errors_for_users(debug):
        chosen = [*(overrides or ()), *([f"folds={sorted(set(fold))}"] if fold else [])]
        typer.echo(run(config, chosen, restart=restart, profile=profile))


def run(config: Path, overrides: list[str], *, restart: bool, profile: bool) -> str:
    """Train (or measure) and say what came of it."""
    from cv_model_experiments.learning.experiment import run_experiment
    from cv_model_experiments.learning.profiling import profile_experiment
    from cv_model_experiments.settings import read_settings, task_of

    experiment = load_experiment(task_of(config, overrides))
    settings = read_settings(config, overrides, experiment.settings)
    if profile:
        return profile_experiment(experiment, settings)
    results = run_experiment(experiment, settings, restart=restart)
    lines = []
    for result in results:
        outcome = result.outcome
        figure = "never measured" if outcome.best is None else f"{outcome.best:.4f}"
        lines.append(
            f"{result.folder}: {settings.learning.monitor} {figure} at epoch {outcome.best_epoch} of {outcome.epochs} ({outcome.ended_by})"
        )
    return "\n".join(lines)


def load_experiment(task: str) -> Any:
    """The experiment that ``cv_model_experiments/<task>/experiment.py`` publishes.

    Raises:
        ConfigurationError: there is no such task, or the extra `train` is not installed.
    """
    import importlib

    from weakbox.records.errors import ConfigurationError
    from weakbox.runtime.nearest import one_of

    tasks = sorted(path.parent.name for path in (ROOT / PACKAGE).glob("*/experiment.py") if path.parent.name != "learning")
    try:
        module = importlib.import_module(f"{PACKAGE}.{one_of(task, tasks, 'task')}.experiment")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(PACKAGE):
            raise
        msg = f"training needs the package {error.name!r}; sync with the extra: uv sync --extra train"
        raise ConfigurationError(msg) from error
    return module.EXPERIMENT


if __name__ == "__main__":
    app()
