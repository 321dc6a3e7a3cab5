"""Fetch public data sets from where they are published: plan, choose, transfer, verify; go on after a break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weakbox.commands.command_line import EXIT_INCOMPLETE, DebugOption, errors_for_users

if TYPE_CHECKING:
    from weakbox.clients.collecting import CollectionPlan, CollectionResult, CollectionTask
    from weakbox.clients.selection import SelectionOptions
    from weakbox.clients.transfer_options import TransferOptions
    from weakbox.datasets_public.dataset import CollectionSource, PublicDataset

DEFAULT_SERIES = 50


def collect(
    name: Annotated[list[str], typer.Option("--dataset", help="Set to fetch, by name or title; repeatable. `datasets` lists them.")],
    root: Annotated[Path, typer.Option(help="Folder that gets one folder a set.")] = Path("data"),
    source: Annotated[str | None, typer.Option(help="Client to fetch images with, where a set names several: idc, nbia ...")] = None,
    max_series: Annotated[int, typer.Option(min=1, help="At most so many series, spread over --strata; never the first.")] = DEFAULT_SERIES,
    full_collection: Annotated[bool, typer.Option("--full-collection", help="Everything, without a limit.")] = False,
    strata: Annotated[str, typer.Option(help="Attributes to spread over, comma separated: class, laterality, modality ...")] = "",
    whole_patients: Annotated[bool, typer.Option("--whole-patients/--single-series", help="All series of a patient or none.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list, choose and say what would be fetched.")] = False,
    client_option: Annotated[
        list[str] | None, typer.Option("--client-option", help="Option of a client, [cyan]idc.index=FILE[/]; repeatable.")
    ] = None,
    transfer_option: Annotated[
        list[str] | None, typer.Option("--transfer-option", help="Limit of the transfer, [cyan]parallel=8[/]; repeatable.")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Fetch public data sets: resumed after a break, every file verified, nothing fetched twice. Gated sets only with your own account.

    Tables come first, so that series can be chosen by class. [dim]Exit code 0: complete. 3: run again to go on.[/]
    """
    with errors_for_users(debug):
        from weakbox.clients.selection import SelectionOptions
        from weakbox.clients.transfer_options import TransferOptions
        from weakbox.datasets_public.searching import load_dataset

        selection = SelectionOptions(
            max_series=None if full_collection else max_series,
            strata=tuple(part.strip() for part in strata.split(",") if part.strip()),
            whole_patients=whole_patients,
        )
        limits = checked(TransferOptions, pairs(transfer_option, "--transfer-option"), "--transfer-option")
        options = pairs(client_option, "--client-option")
        outcomes = [_collect_dataset(load_dataset(one), root, source, selection, limits, options, is_dry_run=dry_run) for one in name]
    if not all(outcomes):
        raise typer.Exit(EXIT_INCOMPLETE)


def _collect_dataset(
    dataset: PublicDataset,
    root: Path,
    client: str | None,
    selection: SelectionOptions,
    limits: TransferOptions,
    options: Mapping[str, str],
    *,
    is_dry_run: bool,
) -> bool:
    from weakbox.clients.collecting import collect as run_collection
    from weakbox.clients.collecting import plan_collection

    is_complete = True
    for source in chosen_sources(dataset, client):
        task = task_of(dataset, source, root, selection, options)
        if is_dry_run:
            _print_plan(plan_collection(task, root, limits))
        else:
            is_complete &= _print_result(run_collection(task, root, limits))
    return is_complete


def chosen_sources(dataset: PublicDataset, client: str | None) -> tuple[CollectionSource, ...]:
    """Tables first, then whatever brings images: by the named client, else by the first that the set names for each kind of thing.

    Raises:
        InputError: nobody may fetch this set for you, or no source goes through that client.
    """
    from weakbox.records.errors import InputError
    from weakbox.runtime.nearest import one_of

    if not dataset.collection:
        msg = f"{dataset.card.title} cannot be fetched for you ({dataset.card.access.value}): {dataset.card.how_to_obtain}"
        raise InputError(msg)
    tables = [source for source in dataset.collection if not _brings_images(source)]
    images = [source for source in dataset.collection if _brings_images(source)]
    if client is not None:
        wanted = one_of(client, {source.client for source in images}, f"--source for {dataset.card.title}")
        images = [source for source in images if source.client == wanted]
    by_kind: dict[str, CollectionSource] = {}
    first = images[0].client if images else ""
    for source in images:
        if source.client == first:
            by_kind.setdefault(source.brings, source)
    return (*tables, *by_kind.values())


def _brings_images(source: CollectionSource) -> bool:
    return any(word in source.brings for word in ("image", "mask", "delineation"))


def task_of(
    dataset: PublicDataset, source: CollectionSource, root: Path, selection: SelectionOptions, options: Mapping[str, str]
) -> CollectionTask:
    """What the clients are asked for one source of a set. Everything of a list is fetched: the limit counts series of images."""
    from weakbox.clients.addresses import safe_name
    from weakbox.clients.client import ListRequest
    from weakbox.clients.collecting import CollectionTask
    from weakbox.clients.selection import SelectionOptions

    own = {key.partition(".")[2]: value for key, value in options.items() if key.startswith(f"{source.client}.")}
    is_list = source.client == "http_list"
    annotate = dataset.annotator(root / safe_name(dataset.card.title)) if dataset.annotator is not None else None
    return CollectionTask(
        name=dataset.card.title,
        part=folder_name(source),
        client=source.client,
        request=ListRequest.model_validate(dict(source.request)),
        client_options=own,
        selection=SelectionOptions() if is_list else selection,
        licence=dataset.card.licence,
        citation=dataset.card.citation,
        annotate=None if is_list else annotate,
    )


def folder_name(source: CollectionSource) -> str:
    """The folder of what a source brings, within the set's: ``images``, ``tables``."""
    words = source.brings.replace(",", " ").split()
    return "_".join(words[: words.index("and")] if "and" in words else words)


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """``key=value`` texts of a repeatable option.

    Raises:
        ConfigurationError: one has no ``=``.
    """
    from weakbox.records.errors import ConfigurationError

    found = {}
    for text in texts or ():
        key, separator, value = text.partition("=")
        if not separator:
            msg = f"{option} {text}: expected key=value"
            raise ConfigurationError(msg)
        found[key] = value
    return found


def checked(model: Any, values: Mapping[str, str], option: str) -> Any:
    """Options as their model.

    Raises:
        ConfigurationError: an unknown key (the nearest is named) or an unusable value.
    """
    from weakbox.runtime.config import validate

    return validate(model, dict(values), "", option)


def _print_plan(plan: CollectionPlan) -> None:
    from weakbox.clients.collecting import plan_lines

    for line in plan_lines(plan):
        typer.echo(line)
    for problem in plan.problems:
        typer.echo(f"  not usable: {problem.item_id} ({problem.reason}) {problem.detail}", err=True)


def _print_result(result: CollectionResult) -> bool:
    counts = _in_words(result.counts)
    typer.echo(f"{result.folder}: {result.outcome}; {counts}; {result.fetched_files:,} files fetched now")
    for series, reason in result.failures:
        typer.echo(f"  not fetched: {series} ({reason})", err=True)
    for problem in result.problems:
        typer.echo(f"  not usable: {problem.item_id} ({problem.reason}) {problem.detail}", err=True)
    typer.echo(f"  {result.metadata}\n  {result.manifest}")
    return result.outcome == "complete"


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count) or "nothing"
