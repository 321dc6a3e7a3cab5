"""The extraction evaluated against gold reports: what `main.py evaluate extraction` prints and writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from weakbox.evaluation.dragon import dragon_metrics
from weakbox.evaluation.error_page import Pair, error_page
from weakbox.evaluation.gold import GoldReport
from weakbox.evaluation.reliability import reliability
from weakbox.evaluation.scores import Score, frequent_errors, kind_of, score
from weakbox.records.errors import InputError
from weakbox.runtime.store import write_text

GROUPS: Mapping[str, Callable[[GoldReport], str]] = {
    "kind": kind_of,
    "language": lambda gold: f"{gold.report.language} {kind_of(gold)}",
    "difficulty": lambda gold: f"{gold.difficulty or 'not said'} {kind_of(gold)}",
    "hospital": lambda gold: f"{gold.hospital or 'not said'} {kind_of(gold)}",
}


def read_answers(path: Path) -> dict[str, dict[str, Any]]:
    """An extraction's output by report.

    Raises:
        InputError: no such file, a line that is not the contract's object, or a report that is answered twice.
    """
    if not path.is_file():
        msg = f"{path}: no such file; expected what extraction.py --output wrote"
        raise InputError(msg)
    answers: dict[str, dict[str, Any]] = {}
    # a JSON string may hold U+2028 and its like, which end a line for str.splitlines and not for JSON Lines
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            answer = json.loads(line)
            report_id = str(answer["report_id"])
        except (json.JSONDecodeError, KeyError, TypeError):
            msg = f"{path}, line {number}: not an extraction; expected an object with report_id"
            raise InputError(msg) from None
        if report_id in answers:
            msg = f"{path}, line {number}: this report was answered on an earlier line; every report has one line"
            raise InputError(msg)
        answers[report_id] = answer
    return answers


def paired(gold: Sequence[GoldReport], answers: Mapping[str, Mapping[str, Any]]) -> list[Pair]:
    """Each gold report with its answer; an empty one where there is none."""
    return [(entry, answers.get(entry.report.report_id, {})) for entry in gold]


def print_evaluation(pairs: Sequence[Pair], by: Iterable[str], *, errors: int, page: Path | None, figures: Path | None) -> None:
    """Tables on the terminal; the page (which holds report text) and the figures where they are asked for."""
    console = Console(width=None if Console().is_terminal else 140)
    for name in by:
        console.print(_table(f"by {name}", score(pairs, GROUPS[name])))
    everything = score(pairs, lambda gold: "all")["all"]
    more = [(name, f"{value:.4f}") for name, value in (dragon_metrics(pairs) | reliability(pairs)).items()]
    for name, value in more:
        console.print(f"{name:58s} {value}", highlight=False)
    for kind, name, times in frequent_errors([everything], errors):
        console.print(f"  {times:4d} x {kind} {name}", highlight=False)
    if page is not None:
        write_text(page, error_page(pairs, more))
        console.print(f"every error in its report: {page} (holds report text)", highlight=False)
    if figures is not None:
        document = {name: {group: one.as_dict() for group, one in score(pairs, GROUPS[name]).items()} for name in GROUPS}
        write_text(figures, json.dumps({**document, "figures": dict(more)}, indent=1, sort_keys=True))


def _table(title: str, scores: Mapping[str, Score]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("group")
    for heading in ("reports", "field F1", "item F1", "core exact", "full exact", "ungrounded", "ok"):
        table.add_column(heading, justify="right")
    for name in sorted(scores):
        one = scores[name]
        row = one.as_dict()
        shares = [f"{row[key]:.3f}" for key in ("field_f1", "item_f1", "core_exact", "full_exact")]
        table.add_row(name, str(one.reports), *shares, f"{one.ungrounded}/{one.leaves}", str(one.statuses["ok"]))
    return table
