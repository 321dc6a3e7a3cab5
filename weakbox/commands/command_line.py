"""What all commands share: exit codes, options, and errors as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

EXIT_UNUSABLE = 2
EXIT_INCOMPLETE = 3
"""The run ended, but some of the input could not be used; the ledger says which."""

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The YAML file that holds every choice of the run.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Override one choice, [cyan]labels.default_diameter_mm=10[/]; repeatable.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
DEFAULT_CONFIG = Path("configs.yaml")


@contextmanager
def errors_for_users(debug: bool) -> Iterator[None]:
    """An error the user can act on ends with its sentence and exit code 2; `--debug` shows where it came from."""
    import errno

    from weakbox.records.errors import InputError

    try:
        yield
    except InputError as error:
        if debug:
            raise
        typer.secho(f"error: {error}", err=True, fg="red")
        raise typer.Exit(EXIT_UNUSABLE) from None
    except OSError as error:
        if debug or error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}:
            raise
        typer.secho(
            f"error: {error.strerror}: {error.filename}; make room or rights there and run again: finished work is kept", err=True, fg="red"
        )
        raise typer.Exit(EXIT_UNUSABLE) from None
