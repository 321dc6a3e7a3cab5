"""Public data sets: what is on disk, what may be used for what, and how to get the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weakbox.commands.command_line import DebugOption, errors_for_users

if TYPE_CHECKING:
    from weakbox.datasets_public.dataset import DatasetCard
    from weakbox.datasets_public.searching import Holding

RootOption = Annotated[
    list[Path] | None,
    typer.Option("--root", help="Folder to look in; repeatable. Without it: those of WEAKBOX_DATA, else data, ~/data and the like."),
]


def datasets(
    root: RootOption = None,
    name: Annotated[list[str] | None, typer.Option("--dataset", help="Only this set; repeatable.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Also write everything as JSON.")] = None,
    page: Annotated[Path | None, typer.Option(help="Only write the reference page of all sets, Markdown.")] = None,
    debug: DebugOption = False,
) -> None:
    """Which public data sets are on disk: found, partial or absent; what they hold, their licence, and how to get the others.

    Sets of one organ are listed in the order in which they are worth trying first.
    """
    with errors_for_users(debug):
        from weakbox.datasets_public.locating import Listing
        from weakbox.datasets_public.searching import (
            dataset_names,
            denied_folders,
            load_dataset,
            search_listings,
            search_roots,
            take_stock,
        )
        from weakbox.runtime.progress import track
        from weakbox.runtime.store import write_text

        chosen = [load_dataset(one).card.name for one in name or dataset_names()]
        if page is not None:
            from weakbox.datasets_public.reference import render

            write_text(page, render([load_dataset(one) for one in chosen]))
            typer.echo(f"written: {page}")
            return
        roots = search_roots(root or ())
        listings = [Listing(place) for place in roots]
        found = list(search_listings(listings, chosen))
        holdings = [take_stock(located) for located in track(found, description="Reading tables")]
        cards = sorted((load_dataset(one).card for one in chosen), key=lambda card: (card.organ, card.preference, card.name))
        content = [entry(card, [held for held in holdings if held.dataset == card.name]) for card in cards]
        print_datasets(content, roots)
        for folder in denied_folders(listings):
            typer.echo(f"{folder}: cannot be listed; check its rights: a set may lie there")
        if as_json is not None:
            write_text(as_json, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
            typer.echo(f"written: {as_json}")


def simulate_public(
    folder: Annotated[Path, typer.Argument(help="Folder to fill: one folder a set.")],
    name: Annotated[list[str] | None, typer.Option("--dataset", help="Only this set; repeatable.")] = None,
    patients: Annotated[int, typer.Option(min=1)] = 12,
    seed: Annotated[int, typer.Option()] = 7,
    debug: DebugOption = False,
) -> None:
    """Small trees in the exact layouts of the public sets, with made-up images and annotations: to try things without a download."""
    with errors_for_users(debug):
        from weakbox.datasets_public.searching import dataset_names, load_dataset
        from weakbox.records.errors import InputError
        from weakbox.runtime.plugins import load_plugin
        from weakbox.simulate.public.tree import CONSTANT, PACKAGE

        for one in name or dataset_names():
            card = load_dataset(one).card
            target = folder / card.name
            if target.exists():
                msg = f"{target}: is there already; name another folder, or remove it"
                raise InputError(msg)
            made = load_plugin(PACKAGE, card.name, CONSTANT).write(target, patients, seed)
            typer.echo(f"{card.title}: {len(made.images)} images in {target}")


def entry(card: DatasetCard, holdings: Sequence[Holding]) -> dict[str, Any]:
    """One set for the table and the JSON file: its card, its state, and every place where it lies."""
    from dataclasses import asdict

    whole = [held for held in holdings if not held.missing and not held.error]
    state = "found" if whole else "partial" if holdings else "absent"
    places = [{**asdict(held), "folder": str(held.folder)} for held in holdings]
    return {**asdict(card), "access": card.access.value, "state": state, "places": places}


def print_datasets(content: Sequence[dict[str, Any]], roots: Sequence[Path]) -> None:
    """The table, and below it what is wrong with what was found and how to get what is absent."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if typer.get_text_stream("stdout").isatty() else 160)
    console.print(f"looked in: {', '.join(str(root) for root in roots) or 'no folder: give --root or set WEAKBOX_DATA'}")
    table = Table("set", "organ", "state", "patients", "images", "boxes", "classes", "best for", "licence", "commercial", box=None)
    for item in content:
        held = item["places"][0] if item["places"] else None
        counts = [str(held[key]) if held else "" for key in ("patients", "images", "boxes")]
        classes = ", ".join(f"{name} {count}" for name, count in _most(held["classes"])) if held else ""
        commercial = {True: "yes", False: "no", None: "not stated"}[item["allows_commercial_use"]]
        row = (item["title"], item["organ"], item["state"], *counts, classes, ", ".join(item["good_for"][:2]), item["licence"], commercial)
        table.add_row(*row, style={"found": "green", "partial": "yellow", "absent": "dim"}[item["state"]])
    console.print(table)
    for item in content:
        for line in _remarks(item):
            console.print(line, highlight=False, soft_wrap=True)


SHOWN_CLASSES = 4


def _most(classes: dict[str, int]) -> list[tuple[str, int]]:
    ranked = sorted(classes.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in ranked[SHOWN_CLASSES:])
    return ranked[:SHOWN_CLASSES] + ([("other", rest)] if rest else [])


def _remarks(item: dict[str, Any]) -> list[str]:
    if not item["places"]:
        return [f"{item['title']}: {item['how_to_obtain']} ({item['homepage']})"]
    lines = []
    for place in item["places"]:
        problems = ", ".join(f"{count} {reason}" for reason, count in place["problems"].items())
        parts = [f"missing {'; '.join(place['missing'])}" if place["missing"] else "", problems, place["error"]]
        said = "; ".join(part for part in parts if part)
        lines.append(f"{item['title']} in {place['folder']} ({place['layout']}){': ' + said if said else ''}")
    return lines
