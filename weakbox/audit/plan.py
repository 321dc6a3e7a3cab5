"""What a run would do, before any work: stale shards, series roles, choices, and what finds no partner."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from weakbox.records.case import PatientRecord
from weakbox.records.imaging import PURPOSES_OF, ImagingStudy, StudyKind
from weakbox.runtime.stage import StageTask, by_patient
from weakbox.runtime.store import READING, Store

SHOWN_DESCRIPTIONS = 25


@dataclass(slots=True)
class Plan:
    """Counts that a plan shows; filled one patient at a time."""

    items: Counter[str] = field(default_factory=Counter)
    roles: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    choices: Counter[str] = field(default_factory=Counter)
    unmatched: Counter[str] = field(default_factory=Counter)

    def add(self, patient: PatientRecord) -> None:
        """Count one patient's records, roles, choices and what stands alone."""
        self.items.update(
            patients=1, reports=len(patient.reports), studies=len(patient.studies), targets=len(patient.targets), cores=len(patient.cores)
        )
        for study in patient.studies:
            self._add_study(study)
        self._add_unmatched(patient)

    def _add_study(self, study: ImagingStudy) -> None:
        for series in study.series:
            plane = f" {series.plane}" if series.plane else ""
            self.roles[f"{series.role}{plane}"][series.description] += 1
        if study.kind is not StudyKind.DIAGNOSTIC:
            self.choices["intra-procedural study: never a case"] += 1
            return
        for purpose in PURPOSES_OF["prostate"]:
            choice = study.choice(purpose)
            found = "none" if choice is None or (choice.series_key is None and choice.derived is None) else choice.derived or "acquired"
            self.choices[f"{purpose}: {found}"] += 1

    def _add_unmatched(self, patient: PatientRecord) -> None:
        accessions = {study.accession for study in patient.studies if study.accession}
        days = {study.study_date for study in patient.studies if study.study_date}
        if patient.reports and not patient.studies:
            self.unmatched["patients with reports but no imaging study"] += 1
        if patient.studies and not patient.reports:
            self.unmatched["patients with imaging but no report"] += 1
        for report in patient.reports:
            if report.report_type == "radiology" and report.accession not in accessions and report.date not in days:
                self.unmatched["radiology reports whose accession and date match no study"] += 1
        uids = {study.study_uid for study in patient.studies}
        for target in patient.targets:
            if target.study_uid is not None and target.study_uid not in uids:
                self.unmatched["targets whose study is not on disk"] += 1


def planned_patients(store: Store, preprocessing: StageTask) -> Iterator[PatientRecord]:
    """What preprocessing would make of the inputs, patient by patient, without writing it."""
    for shard in range(store.shards):
        for patient_id, records in by_patient([store.read(READING, shard)]):
            yield from (record for record in preprocessing.function(patient_id, records).records if isinstance(record, PatientRecord))


def make_plan(patients: Iterable[PatientRecord]) -> Plan:
    """The plan over all patients."""
    plan = Plan()
    for patient in patients:
        plan.add(patient)
    return plan


def print_plan(configuration: Any, store: Store, tasks: Sequence[StageTask]) -> None:
    """Show the plan of a run on the terminal."""
    console = Console()
    plan = make_plan(planned_patients(store, tasks[0]))
    console.print(_counter_table("What was found", plan.items))
    console.print(_roles_table(plan))
    console.print(_counter_table("Series chosen for each study", plan.choices))
    console.print(_counter_table("What finds no partner", plan.unmatched))
    console.print(_stages_table(store, tasks))
    console.print(f"Nothing was written but the index of the inputs. Run it: main.py --config {configuration.path.name}")


def _counter_table(title: str, counter: Counter[str]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for name, count in sorted(counter.items()):
        table.add_row(name, str(count))
    if not counter:
        table.add_row("nothing", "")
    return table


def _roles_table(plan: Plan) -> Table:
    table = Table(title="Series roles, and the most frequent names that take each", title_justify="left")
    table.add_column("role")
    table.add_column("series", justify="right")
    table.add_column("names")
    for role, names in sorted(plan.roles.items()):
        shown = ", ".join(
            f"{name} ({count})" for name, count in sorted(names.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_DESCRIPTIONS]
        )
        table.add_row(role, str(sum(names.values())), shown)
    return table


def _stages_table(store: Store, tasks: Sequence[StageTask]) -> Table:
    table = Table(title="What would run", title_justify="left")
    table.add_column("stage")
    table.add_column("shards")
    is_upstream_current = True
    for task in tasks:
        if is_upstream_current and all(_has_upstream(store, task, shard) for shard in range(store.shards)):
            stale = sum(not task.is_current(shard) for shard in range(store.shards))
            is_upstream_current = stale == 0
            table.add_row(task.stage, "cached" if stale == 0 else f"{stale} of {store.shards} would run")
        else:
            table.add_row(task.stage, "would run where its input changes")
    return table


def _has_upstream(store: Store, task: StageTask, shard: int) -> bool:
    return all(store.manifest(name, shard) is not None for name in task.upstream)
