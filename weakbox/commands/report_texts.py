"""Report texts: without what identifies a person, and as the lessons of a site's own model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from weakbox.commands.command_line import EXIT_INCOMPLETE, DebugOption, errors_for_users


def deidentify_reports(
    reports: Annotated[Path, typer.Option("--input", help="Reports as extraction.py reads them: .csv, .tsv or .jsonl.")],
    output: Annotated[Path, typer.Option(help="JSON Lines file to write: texts without what identifies, under research identifiers.")],
    key_file: Annotated[Path, typer.Option(help="Secret key of the identifiers and shifts; made where it is not there. Keep it inside.")],
    dates: Annotated[str, typer.Option(help="shift (each patient's own days), year or mask.")] = "shift",
    others: Annotated[str, typer.Option(help="mask (<PERSON>) or surrogate (a stand-in made from the key).")] = "mask",
    report_type: Annotated[str | None, typer.Option(help="radiology or pathology, where rows do not say.")] = None,
    organ: Annotated[str, typer.Option(help="Organ of the reports whose row does not say.")] = "prostate",
    debug: DebugOption = False,
) -> None:
    """Take what identifies a person out of report texts; scores, sizes and eponyms stay. [bold]Never complete: look at a sample.[/]"""
    with errors_for_users(debug):
        from collections import Counter

        from weakbox.exporters.report_text import shared_lines
        from weakbox.extractors.report_files import Defaults, read_reports, write_lines
        from weakbox.runtime.nearest import one_of
        from weakbox.runtime.privacy import Pseudonymiser, load_or_create_key
        from weakbox.text.deidentify import Operator

        batch = read_reports(reports, Defaults(report_type=report_type, organ=organ, language="auto"))
        identities = Pseudonymiser(key=load_or_create_key(key_file), research_patients={})
        chosen = [
            Operator(one_of(dates, ("shift", "year", "mask"), "--dates")),
            Operator(one_of(others, ("mask", "surrogate"), "--others")),
        ]
        found: Counter[str] = Counter()
        write_lines(output, shared_lines(batch.reports, identities, chosen[1], chosen[0], found))
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items())) or "nothing"
        typer.echo(f"{len(batch.reports)} reports, replaced: {counts}; written: {output}")
        for problem in batch.problems:
            typer.echo(f"error: {problem}", err=True)
    if batch.problems:
        raise typer.Exit(EXIT_INCOMPLETE)


def tune(
    gold: Annotated[Path, typer.Option(help="Reviewed reports: gold .yaml or .jsonl, or a folder of them.")],
    model: Annotated[str, typer.Option(help="Folder of an instruct model, or its name in the local Hugging Face cache.")],
    output: Annotated[Path, typer.Option(help="New folder for the adapter, the merged model and its card.")],
    exclude: Annotated[list[Path] | None, typer.Option(help="Gold reports kept for testing; refused as training text. Repeatable.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    learning_rate: Annotated[float, typer.Option(min=0.0)] = 2e-4,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the LoRA adapters.")] = 16,
    longest: Annotated[int, typer.Option(min=64, help="Tokens of prompt and answer; longer examples are left out.")] = 8192,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    debug: DebugOption = False,
) -> None:
    """Make a site's own small model: tune one on reviewed reports (LoRA). The output folder serves as `local.model`."""
    with errors_for_users(debug):
        import llm
        from weakbox.evaluation.gold import read_gold
        from weakbox.evaluation.tuning import examples_of

        made = examples_of(read_gold(gold), [entry for path in exclude or () for entry in read_gold(path)])
        typer.echo(f"{len(made.examples)} reports, {made.values} values with their words", err=True)
        typer.echo(f"left out: {made.reports_left_out} reports, {made.values_left_out} values without words that state them", err=True)
        chosen = {"epochs": epochs, "learning_rate": learning_rate, "rank": rank, "longest": longest, "seed": seed, "device": device}
        card = llm.tune_model(made.examples, llm.TuneOptions.model_validate({"model": model, "output": output, **chosen}))
        typer.echo(json.dumps(card["loss"]))
        typer.echo(f"written: {output / 'model'}")
