"""How far a run is: for each stage what is done, what is current, what is stale, and what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from weakbox.records.record import record
from weakbox.runtime.stage import StageTask
from weakbox.runtime.store import READING, STAGES, Store


@record
class StageStatus:
    """One stage on disk. ``current`` is None where it cannot be told: for the reading of inputs, and after a stage that is not done."""

    stage: str
    shards: int
    done: int
    """Shards that are finished, under whatever configuration."""
    current: int | None
    """Shards that would not be run again."""
    records: int
    ledger_rows: int
    bytes_on_disk: int

    @property
    def stale(self) -> int | None:
        """Shards that are finished but would be run again."""
        return None if self.current is None else self.done - self.current

    @property
    def state(self) -> str:
        """In one word or two what would happen to this stage now."""
        if self.done == 0:
            return "not run"
        if self.done < self.shards:
            return "unfinished"
        if self.current is None:
            return "done"
        return "current" if self.current == self.shards else "stale"


def read_status(store: Store, tasks: Sequence[StageTask]) -> tuple[StageStatus, ...]:
    """The state of every stage, in order. A stage after a stale one is stale too, once that has run with a new result."""
    by_stage = {task.stage: task for task in tasks}
    return tuple(_stage_status(store, stage, by_stage.get(stage)) for stage in STAGES)


def _stage_status(store: Store, stage: str, task: StageTask | None) -> StageStatus:
    manifests = [manifest for shard in range(store.shards) if (manifest := store.manifest(stage, shard)) is not None]
    return StageStatus(
        stage=stage,
        shards=store.shards,
        done=len(manifests),
        current=None if task is None else _current(store, task),
        records=sum(manifest.records for manifest in manifests),
        ledger_rows=sum(manifest.ledger_rows for manifest in manifests),
        bytes_on_disk=_bytes_in(store.folder / stage),
    )


def _current(store: Store, task: StageTask) -> int | None:
    if any(store.manifest(name, shard) is None for name in task.upstream for shard in range(store.shards)):
        return None
    return sum(task.is_current(shard) for shard in range(store.shards))


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) if folder.is_dir() else 0


def as_table(statuses: Sequence[StageStatus]) -> Table:
    """The status for the terminal."""
    table = Table(title="Stages of this run", title_justify="left")
    for name in ("stage", "state", "done", "current", "stale", "records", "ledger", "size"):
        table.add_column(name, justify="left" if name in {"stage", "state"} else "right", no_wrap=True)
    for status in statuses:
        known = [str(count) if count is not None else "-" for count in (status.current, status.stale)]
        size = f"{status.bytes_on_disk / 1e6:.1f} MB"
        table.add_row(
            status.stage, status.state, f"{status.done}/{status.shards}", *known, str(status.records), str(status.ledger_rows), size
        )
    return table


def print_status(store: Store, tasks: Sequence[StageTask]) -> None:
    """Show on the terminal how far the run is."""
    console = Console()
    statuses = read_status(store, tasks)
    console.print(as_table(statuses))
    reading = next(status for status in statuses if status.stage == READING)
    if reading.done == 0:
        console.print("Nothing has been read yet: run main.py, or main.py plan.")
    else:
        console.print("Whether the inputs have changed shows when they are read: main.py plan.")
