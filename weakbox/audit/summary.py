"""What a run made, what it dropped and why, what a person should look at, and where. Names no patient."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from weakbox.audit.flow import Flow, counted, in_words, plural, read_flow, write_flow
from weakbox.records.artifact import ExportedCase
from weakbox.records.case import Outcome
from weakbox.records.label import CuratedCase, LesionStatus, Tier, WeakLabel
from weakbox.records.record import record
from weakbox.runtime.stage import StageRun
from weakbox.runtime.store import READING, STAGES, Store, digest_of, write_text
from weakbox.terminology.dicom_codes import class_name

DELIBERATE_REASONS = frozenset(
    {
        "cancelled",
        "duplicate",
        "duplicate_instance",
        "empty_segment",
        "index_file",
        "name_not_matched",
        "not_dicom",
        "not_image",
        "path_not_kept",
        "position_not_defined",
    }
)
"""Reasons for which something is passed over that was never meant to be used; any other drop before matching is a loss."""

REASONS_SHOWN = 10
_NUMBER = re.compile(r"(?<![a-zA-Z0-9])\d+(?![a-zA-Z0-9])")


@record
class Summary:
    """The outcome of a run in figures. Mappings are in the order in which they are shown."""

    cases: int
    cases_with_boxes: int
    cases_negative: Mapping[str, int]
    """Reason -> true negatives: studies without a lesion, whose follow-up says so."""
    cases_without_box: int
    """Neither boxes nor a true negative: a case-level label only."""
    labels: Mapping[str, Mapping[str, int]]
    """Tier -> class -> how many, tiers best first."""
    conflicts: Mapping[str, int]
    """Code -> labels and cases that carry it."""
    labels_to_review: int
    cases_to_review: int
    dropped: tuple[tuple[str, str, str, int], ...]
    """(stage, kind, reason, how many), most frequent first."""
    flagged: tuple[tuple[str, str, str, int], ...]
    to_review: tuple[tuple[str, str, str, int], ...]
    files: Mapping[str, int]
    """Kind of exported file -> how many."""
    file_bytes: int
    incomplete: tuple[str, ...]
    """Sentences about input that could not be used, or work that is missing. Empty: everything usable was used."""
    stages: tuple[str, ...]
    """Stages whose records this speaks of."""
    records_sha256: str
    """Digest of the records and the ledger that this was counted from."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that was given could be used."""
        return not self.incomplete

    @property
    def label_total(self) -> int:
        """How many labels there are, boxes or not."""
        return sum(sum(classes.values()) for classes in self.labels.values())


def class_in_words(label: WeakLabel) -> str:
    """The class of a label: the tissue's grade, or what imaging says where there is no tissue."""
    name = class_name(label.status, label.isup_grade)
    return f"{name}, PI-RADS {label.pirads}" if label.status is LesionStatus.UNTESTED and label.pirads is not None else name


def code_of(remark: str) -> str:
    """The code of a conflict or reason, without its details: what stands before the first colon, numbers as ``n``.

    >>> code_of("side: report left, coordinate right"), code_of("followed_303_days")
    ('side', 'followed_n_days')
    """
    return _NUMBER.sub("n", remark.partition(":")[0].strip())


@dataclass(slots=True)
class _Tally:
    """Counts over the curated and exported cases, one case in memory at a time."""

    cases: Counter[str] = field(default_factory=Counter)
    negatives: Counter[str] = field(default_factory=Counter)
    labels: Counter[tuple[Tier, str]] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    file_bytes: int = 0
    partly_exported: int = 0

    def add_curated(self, case: CuratedCase) -> None:
        has_box = any(label.box is not None for label in case.labels)
        to_review = [label for label in case.labels if label.needs_review]
        self.cases.update(
            all=1,
            boxes=has_box,
            case_level=not has_box and not case.negative_reason,
            review=case.needs_review or bool(to_review),
            labels_to_review=len(to_review),
        )
        if case.negative_reason:
            self.negatives[code_of(case.negative_reason)] += 1
        self.labels.update((label.tier, class_in_words(label)) for label in case.labels)
        self.conflicts.update(code_of(text) for text in case.conflicts)
        self.conflicts.update(code_of(text) for label in case.labels for text in label.conflicts)

    def add_exported(self, case: ExportedCase) -> None:
        self.files.update(artifact.kind for artifact in case.artifacts)
        self.file_bytes += sum(artifact.bytes for artifact in case.artifacts)
        self.partly_exported += not case.is_complete


def summarise(store: Store, flow: Flow) -> Summary:
    """Count what the run left in its store."""
    tally = _Tally()
    for case in store.read_all("postprocessing"):
        if isinstance(case, CuratedCase):
            tally.add_curated(case)
    for case in store.read_all("export"):
        if isinstance(case, ExportedCase):
            tally.add_exported(case)
    return Summary(
        cases=tally.cases["all"],
        cases_with_boxes=tally.cases["boxes"],
        cases_negative=_most_frequent(tally.negatives),
        cases_without_box=tally.cases["case_level"],
        labels=_by_tier(tally.labels),
        conflicts=_most_frequent(tally.conflicts),
        labels_to_review=tally.cases["labels_to_review"],
        cases_to_review=tally.cases["review"],
        dropped=_ledger_counts(store, Outcome.DROPPED),
        flagged=_ledger_counts(store, Outcome.FLAGGED),
        to_review=_ledger_counts(store, Outcome.REVIEW),
        files=dict(sorted(tally.files.items())),
        file_bytes=tally.file_bytes,
        incomplete=(*_losses(store), *_unexported(flow, tally), *_unfinished(store, flow)),
        stages=flow.stages,
        records_sha256=_records_digest(store),
    )


def _most_frequent(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _by_tier(counts: Counter[tuple[Tier, str]]) -> dict[str, dict[str, int]]:
    tiers = [tier for tier in Tier if any(found is tier for found, _ in counts)]
    return {tier.value: {name: count for (found, name), count in sorted(counts.items()) if found is tier} for tier in tiers}


def _ledger_counts(store: Store, outcome: Outcome) -> tuple[tuple[str, str, str, int], ...]:
    counts = Counter((stage, row.kind, row.reason) for stage in STAGES for row in store.ledger((stage,)) if row.outcome is outcome)
    return tuple((*key, count) for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _losses(store: Store) -> list[str]:
    losses = Counter(
        (row.kind, row.reason)
        for row in store.ledger((READING, "extraction"))
        if row.outcome is Outcome.DROPPED and row.reason not in DELIBERATE_REASONS
    )
    return [f"{counted(count, kind)} could not be used: {in_words(reason)}" for (kind, reason), count in sorted(losses.items())]


def _unexported(flow: Flow, tally: _Tally) -> list[str]:
    lost = [f"{counted(step.dropped_total, step.kind)} could not be exported" for step in flow.at("export") if step.dropped_total]
    return [*lost, f"{counted(tally.partly_exported, 'case')} lack a file in one of the formats"] if tally.partly_exported else lost


def _unfinished(store: Store, flow: Flow) -> list[str]:
    missing = {stage: sum(store.manifest(stage, shard) is None for shard in range(store.shards)) for stage in flow.stages}
    sentences = [f"{stage}: {counted(count, 'shard')} not finished" for stage, count in missing.items() if count]
    return [*sentences, *(f"the flow does not add up: {problem}" for problem in flow.problems())]


def _records_digest(store: Store) -> str:
    manifests = [store.manifest(stage, shard) for stage in STAGES for shard in range(store.shards)]
    return digest_of([(manifest.sha256, manifest.ledger_sha256) for manifest in manifests if manifest is not None])


def as_plain(summary: Summary) -> dict[str, Any]:
    """The summary as JSON-ready dictionaries and lists."""
    plain = {item.name: getattr(summary, item.name) for item in fields(summary)}
    return {**plain, "label_total": summary.label_total, "is_complete": summary.is_complete}


def as_markdown(summary: Summary, places: Mapping[str, str]) -> str:
    """The summary as a page; ``places`` are the relative paths to look at, by what lies there."""
    parts = ["# Summary of the run", ""]
    for title, rows in _tables(summary, places):
        parts += [f"## {title}", "", *(_markdown_rows(rows) or ["nothing"]), ""]
    return "\n".join(parts)


def _markdown_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    width = max(len(row) for row in rows)
    if width == 1:
        return [f"- {row[0]}" for row in rows]
    return ["|" + " |" * width, "|" + " --- |" * width, *("| " + " | ".join(row) + " |" for row in rows)]


def _tables(summary: Summary, places: Mapping[str, str]) -> list[tuple[str, list[tuple[str, ...]]]]:
    return [
        ("What was made", _made(summary)),
        ("Labels by tier and class", [(tier, name, str(n)) for tier, classes in summary.labels.items() for name, n in classes.items()]),
        ("What was dropped", _ledger_rows(summary.dropped)),
        ("What went on with a remark", _ledger_rows(summary.flagged)),
        ("What goes to review", _ledger_rows(summary.to_review)),
        ("Conflicts, kept and shown", [(in_words(code), str(count)) for code, count in summary.conflicts.items()]),
        ("What is incomplete", [(sentence,) for sentence in summary.incomplete]),
        ("Where to look", list(places.items())),
    ]


def _made(summary: Summary) -> list[tuple[str, ...]]:
    negatives = [(f"  negative: {in_words(reason)}", str(count)) for reason, count in summary.cases_negative.items()]
    return [
        ("cases", str(summary.cases)),
        ("  with boxes", str(summary.cases_with_boxes)),
        *negatives,
        ("  with a case-level label only", str(summary.cases_without_box)),
        ("labels", str(summary.label_total)),
        ("labels to review", str(summary.labels_to_review)),
        ("cases to review", str(summary.cases_to_review)),
        ("files", f"{sum(summary.files.values())} ({summary.file_bytes / 1e6:.1f} MB)"),
    ]


def _ledger_rows(rows: Sequence[tuple[str, str, str, int]]) -> list[tuple[str, ...]]:
    shown = [(stage, plural(kind), in_words(reason), str(count)) for stage, kind, reason, count in rows[:REASONS_SHOWN]]
    rest = sum(count for _, _, _, count in rows[REASONS_SHOWN:])
    return [*shown, ("", "", "other reasons", str(rest))] if rest else list(shown)


def as_renderable(summary: Summary, places: Mapping[str, str]) -> Group:
    """The summary for the terminal; empty tables are left out."""
    return Group(*(_terminal_table(title, rows) for title, rows in _tables(summary, places) if rows))


def _terminal_table(title: str, rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, title_style="bold", min_width=len(title) + 4)
    for number in range(max(len(row) for row in rows)):
        is_count = number > 0 and all(row[number].isdigit() for row in rows)
        table.add_column(justify="right" if is_count else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def conclude(configuration: Any, store: Store, runs: Sequence[StageRun]) -> bool:
    """End a run: write summary, flow and figures to ``audit/`` in its folder, and print the summary. None names a patient.

    Returns whether everything usable was used.
    """
    folder = configuration.output.folder
    audit = folder / "audit"
    flow = read_flow(store)
    summary = summarise(store, flow)
    places = _places(folder, configuration)
    write_text(audit / "summary.json", json.dumps(as_plain(summary), indent=1) + "\n")
    write_text(audit / "summary.md", as_markdown(summary, places))
    _draw_if_changed(store, flow, summary, audit)
    write_text(audit / "timings.json", json.dumps([_timing(run) for run in runs], indent=1) + "\n")
    console = Console()
    console.print(_terminal_table("Stages", [_run_row(run) for run in runs]) if runs else "No stage was run.")
    console.print(as_renderable(summary, places))
    return summary.is_complete


def _draw_if_changed(store: Store, flow: Flow, summary: Summary, audit: Path) -> None:
    """Flow and figures, unless they lie there, drawn from the same records by the same code."""
    from weakbox.audit.figures import write_figures

    code = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(__file__).parent.glob("*.py"))]
    key = digest_of(summary.records_sha256, code)
    drawn = audit / "drawn.json"
    before = json.loads(drawn.read_text(encoding="utf-8")) if drawn.is_file() else {}
    if before.get("key") == key and all((audit / name).is_file() for name in before["files"]):
        return
    files = (*write_flow(flow, audit), *write_figures(store, audit / "figures"))
    names = [path.relative_to(audit).as_posix() for path in files]
    write_text(drawn, json.dumps({"key": key, "files": names}, indent=1) + "\n")


def _places(folder: Path, configuration: Any) -> dict[str, str]:
    named = {
        "the dataset": configuration.output.dataset,
        "this summary": folder / "audit" / "summary.md",
        "the flow diagram": folder / "audit" / "flow.svg",
        "figures": folder / "audit" / "figures",
        "every dropped item by name (private)": configuration.output.private / "ledger.csv",
    }
    return {name: path.relative_to(folder).as_posix() for name, path in named.items()}


def _timing(run: StageRun) -> dict[str, Any]:
    return {"stage": run.stage, "shards_run": run.shards_run, "shards_current": run.shards_current, "seconds": round(run.seconds, 3)}


def _run_row(run: StageRun) -> tuple[str, ...]:
    done = f"{run.shards_run} shards run" if run.shards_run else "nothing to do"
    return run.stage, done, f"{run.seconds:.1f} s"
