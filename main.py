"""The order of the stages, and the command line.

uv run main.py --config configs.yaml             the whole pipeline
uv run main.py plan --config configs.yaml        what would run, before any work
uv run main.py trace ID --config configs.yaml    how one label came to be
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weakbox.commands import cohort, collecting, public_sets, report_texts
from weakbox.commands.command_line import DEFAULT_CONFIG, EXIT_INCOMPLETE, ConfigOption, DebugOption, SetOption, errors_for_users

if TYPE_CHECKING:
    from weakbox.datasets_public.dataset import Located
    from weakbox.runtime.config import Configuration
    from weakbox.runtime.executors.executor import Executor
    from weakbox.runtime.stage import StageRun, StageTask
    from weakbox.runtime.store import Store

STAGES = ("preprocessing", "extraction", "matching", "postprocessing", "export")
SECTIONS = {
    "preprocessing": "preprocessing",
    "extraction": "extraction",
    "matching": "matching",
    "postprocessing": "labels",
    "export": "export",
}
"""The section of the configuration that each stage takes."""

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
app.command("simulate")(cohort.simulate_cohort)
app.command()(cohort.roles)
app.command("deidentify")(report_texts.deidentify_reports)
app.command()(report_texts.tune)
app.command()(public_sets.datasets)
app.command()(public_sets.simulate_public)
app.command()(collecting.collect)


def run_pipeline(configuration: Configuration, stages: tuple[str, ...]) -> bool:
    """Reports, biopsies and studies -> a labelled dataset on disk. Returns whether everything usable was used."""
    from weakbox.audit.summary import conclude
    from weakbox.commands import joined_set
    from weakbox.runtime.stage import run_stage

    simulate_if_absent(configuration)
    store, public = open_store(configuration), open_public_store(configuration)
    runs: list[StageRun] = []
    with closing(open_executor(configuration)) as executor:
        if configuration.inputs.has_cohort:
            runs += [read_inputs(configuration, store, executor)] if "preprocessing" in stages else []
            for task in stage_tasks(configuration, store):
                if task.stage in stages:
                    runs.append(run_stage(ask_models(configuration, task) if task.stage == "extraction" else task, executor))
        if configuration.inputs.public is not None:
            run_public_stages(configuration, public, executor, stages)
        if "export" in stages:
            if configuration.inputs.has_cohort:
                finish_dataset(configuration, store)
            joined_set.build_joined_set(configuration, store, public, pseudonymiser(configuration), executor)
    is_complete = conclude(configuration, store, runs) if configuration.inputs.has_cohort else True
    return (joined_set.print_joined_set(configuration, public) and is_complete) if "export" in stages else is_complete


def run_public_stages(configuration: Configuration, store: Store, executor: Executor, stages: tuple[str, ...]) -> None:
    """Public sets: tables -> cases, files -> boxes, images -> the set's files. Nothing is done where nothing changed."""
    import export
    import postprocessing
    import preprocessing
    from weakbox.runtime.reading import read_into
    from weakbox.runtime.stage import StageTask, run_stage
    from weakbox.runtime.store import READING

    def place_of(located: Located) -> str:
        return f"{located.dataset} {located.folder} {located.copies} {located.unreadable}"

    if "preprocessing" in stages:
        found = preprocessing.find_public(configuration.inputs.public)
        files = sorted({path for located in found for paths in located.files.values() for path in paths})
        key_parts = stage_key_parts(configuration, "preprocessing", *(place_of(located) for located in found))
        read_into(store, images=files, tables=(), key_parts=key_parts, read=lambda: preprocessing.read_public(found))
    table: tuple[tuple[str, str, Any], ...] = (
        ("postprocessing", READING, postprocessing.PublicStage(configuration.labels)),
        ("export", "postprocessing", export.PublicStage(configuration.export, configuration.output.dataset)),
    )
    for stage, upstream, function in table:
        if stage in stages:
            output = configuration.output.dataset if stage == "export" else None
            key_parts = stage_key_parts(configuration, stage)
            run_stage(
                StageTask(stage=stage, store=store, upstream=(upstream,), function=function, key_parts=key_parts, output=output), executor
            )


def ask_models(configuration: Configuration, task: StageTask) -> StageTask:
    """Ask the language models about all reports in batches, before the extraction stage reads the answers report by report.

    What stays unanswered belongs to the stage's key: once a model answers it, the records are made again. Nothing is asked
    where all records are current and no answer is missing.
    """
    import extraction
    from weakbox.audit.model_cost import Cost, unanswered
    from weakbox.runtime.progress import track

    path = task.store.folder / COST_FILE
    is_current = all(task.is_current(shard) for shard in range(task.store.shards))
    if not asks_models(configuration) or (is_current and not unanswered(path)):
        return task
    reports = (report for record in task.store.read_all("preprocessing") for report in extraction.reports_of(record))
    cost = Cost()
    for answer in track(extraction.ask_ahead(reports, configuration.extraction), description="Asking the language model"):
        cost.add(answer)
    cost.write(path)
    return replace(task, key_parts=stage_key_parts(configuration, "extraction", cost.unanswered))


COST_FILE = "language_model_cost.json"


def asks_models(configuration: Configuration) -> bool:
    """Whether extractors after the first are asked at all."""
    return len(configuration.extraction.extractors) > 1 and configuration.extraction.when != "never"


def unanswered_requests(configuration: Configuration, store: Store) -> str:
    """Digest of what the language models left unanswered in the last run."""
    from weakbox.audit.model_cost import unanswered

    return unanswered(store.folder / COST_FILE) if asks_models(configuration) else ""


def finish_dataset(configuration: Configuration, store: Store) -> None:
    """The files of the whole set: tables, datalists, manifest, exclusions; and, kept apart, the mapping of identifiers."""
    import export
    from weakbox.audit.dataset import close_dataset, remove_stale_cases
    from weakbox.records.label import CuratedCase

    identities = pseudonymiser(configuration)
    exported = sorted(store.read_all("export"), key=lambda case: case.research_case_id)
    remove_stale_cases(configuration.output.dataset, exported)
    cases = (record for record in store.read_all("postprocessing") if isinstance(record, CuratedCase))
    of_the_set = export.export_dataset(cases, exported, identities, configuration.output.dataset, configuration.export)
    close_dataset(configuration, store, exported, of_the_set, identities)


def stage_tasks(configuration: Configuration, store: Store) -> Iterator[StageTask]:
    """The five stages in their order: what each reads, its function, and what its records depend on."""
    import export
    import extraction
    import matching
    import postprocessing
    import preprocessing
    from weakbox.runtime.digests import optional_file_digest
    from weakbox.runtime.stage import StageTask
    from weakbox.runtime.store import READING

    decisions = configuration.output.decisions
    identities = pseudonymiser(configuration)
    dataset = configuration.output.dataset
    table: tuple[tuple[str, tuple[str, ...], Any, tuple[str, ...]], ...] = (
        ("preprocessing", (READING,), preprocessing.PatientStage(configuration.preprocessing), ()),
        ("extraction", ("preprocessing",), extraction.PatientStage(configuration.extraction), (unanswered_requests(configuration, store),)),
        ("matching", ("preprocessing", "extraction"), matching.PatientStage(configuration.matching), ()),
        ("postprocessing", ("matching",), postprocessing.PatientStage(configuration.labels, decisions), (optional_file_digest(decisions),)),
        ("export", ("postprocessing",), export.PatientStage(configuration.export, identities, dataset), (identities.digest(),)),
    )
    for stage, upstream, function, more in table:
        key_parts = stage_key_parts(configuration, stage, *more)
        yield StageTask(
            stage=stage,
            store=store,
            upstream=upstream,
            function=function,
            key_parts=key_parts,
            output=dataset if stage == "export" else None,
        )


def stage_key_parts(configuration: Configuration, stage: str, *more: str) -> tuple[str, ...]:
    """Configuration and code that a stage's records depend on, beside their input."""
    from weakbox.runtime.digests import code_digest

    return (configuration.sections[SECTIONS[stage]].model_dump_json(), code_digest(f"{stage}.py"), *more)


def read_inputs(configuration: Configuration, store: Store, executor: Executor) -> Any:
    """Everything that the sources give, spread over the shards by patient; nothing to do where no input changed."""
    import preprocessing
    from weakbox.runtime.reading import read_into

    sources = preprocessing.open_sources(configuration.inputs)
    key_parts = stage_key_parts(configuration, "preprocessing", configuration.inputs.model_dump_json())
    return read_into(
        store,
        images=sources.image_files(),
        tables=sources.table_files(),
        key_parts=key_parts,
        read=lambda: preprocessing.read_inputs(configuration.inputs, configuration.preprocessing, executor, store.folder / "cache"),
    )


def simulate_if_absent(configuration: Configuration) -> None:
    """Make the demo cohort where the configuration has a `simulate` section and the cohort is not on disk."""
    settings = configuration.sections.get("simulate")
    if settings is None or (configuration.simulate.folder / "cohort.json").exists():
        return
    from weakbox.simulate.cohort import simulate

    typer.echo(f"The demo cohort is not on disk: simulating {configuration.simulate.patients} patients ...", err=True)
    with closing(open_executor(configuration)) as executor:
        simulate(
            configuration.simulate.folder,
            patients=configuration.simulate.patients,
            seed=configuration.simulate.seed,
            registration_error_mm=configuration.simulate.registration_error_mm,
            with_images=True,
            executor=executor,
        )


def load_configuration(path: Path, overrides: list[str] | None) -> Configuration:
    """The validated configuration, each stage's section in that stage's own model."""
    from weakbox.runtime.config import load

    return load(path, overrides or (), configuration_models())


def configuration_models() -> dict[str, Any]:
    """Section -> pydantic model, the stages' own."""
    import export
    import extraction
    import matching
    import postprocessing
    import preprocessing
    from weakbox.curation.settings import CurationSettings

    return {
        "inputs": preprocessing.Inputs,
        "preprocessing": preprocessing.Config,
        "extraction": extraction.Config,
        "matching": matching.Config,
        "labels": postprocessing.Config,
        "export": export.Config,
        "curation": CurationSettings,
    }


def open_store(configuration: Configuration) -> Store:
    """The run's records on disk."""
    from weakbox.runtime.store import Store

    return Store(configuration.output.store, configuration.executor.shards)


def open_public_store(configuration: Configuration) -> Store:
    """The records of public sets on disk."""
    from weakbox.runtime.store import Store

    return Store(configuration.output.public, configuration.executor.shards)


def open_executor(configuration: Configuration) -> Any:
    """The executor that the configuration names."""
    from weakbox.runtime.plugins import load_plugin

    options = configuration.executor
    return load_plugin("weakbox.runtime.executors", options.kind, "EXECUTOR")(options)


def pseudonymiser(configuration: Configuration) -> Any:
    """Makes research identifiers with the run's key; a crosswalk's research identifiers win."""
    import preprocessing
    from weakbox.runtime.privacy import Pseudonymiser, load_key, load_or_create_key

    privacy = configuration.privacy
    return Pseudonymiser(
        key=load_key(privacy.key_file) if privacy.key_file else load_or_create_key(configuration.output.private / "research_id.key"),
        keep_original=privacy.identifiers == "original",
        shift_dates=privacy.shift_dates,
        research_patients=preprocessing.research_patients(configuration.inputs),
    )


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    stages: Annotated[str, typer.Option(help="Only these stages, comma separated; earlier ones must have run.")] = ",".join(STAGES),
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    """[bold]Weakbox[/]: reports, biopsy coordinates and imaging studies -> a labelled dataset.

    Without a command the whole pipeline runs. What is already done is not done again: change a threshold and only
    the stages after it run. [dim]Exit code 0: complete. 2: the configuration or an input cannot be used. 3: finished,
    but some input could not be used (see the ledger).[/]
    """
    if context.invoked_subcommand is not None:
        return
    with errors_for_users(debug):
        chosen = chosen_stages(stages)
        is_complete = run_pipeline(load_configuration(config, overrides), chosen)
    if not is_complete:
        raise typer.Exit(EXIT_INCOMPLETE)


def chosen_stages(names: str) -> tuple[str, ...]:
    """The stages named on the command line, in their order."""
    from weakbox.records.errors import ConfigurationError
    from weakbox.runtime.nearest import nearest_name

    chosen = [name.strip() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in STAGES:
            msg = f"--stages: no stage is called {name!r}{nearest_name(name, STAGES)} (there are: {', '.join(STAGES)})"
            raise ConfigurationError(msg)
    return tuple(stage for stage in STAGES if stage in chosen)


@app.command()
def plan(config: ConfigOption = DEFAULT_CONFIG, overrides: SetOption = None, debug: DebugOption = False) -> None:
    """What would run, what is cached, which series would take which role, what does not match: before any work."""
    with errors_for_users(debug):
        from weakbox.audit.plan import print_plan

        configuration = load_configuration(config, overrides)
        simulate_if_absent(configuration)
        store = open_store(configuration)
        with closing(open_executor(configuration)) as executor:
            read_inputs(configuration, store, executor)
        print_plan(configuration, store, list(stage_tasks(configuration, store)))


@app.command()
def trace(
    identifier: Annotated[str, typer.Argument(help="A case, report, study, patient or label identifier, original or research.")],
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    """Every stage's record of one case or report, with the words, the links, the votes, the box and the files."""
    with errors_for_users(debug):
        from weakbox.audit.trace import print_trace

        print_trace(open_store(load_configuration(config, overrides)), identifier)


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG, overrides: SetOption = None, debug: DebugOption = False) -> None:
    """Which stages are done, which are stale, and what they hold."""
    with errors_for_users(debug):
        from weakbox.audit.status import print_status

        configuration = load_configuration(config, overrides)
        store = open_store(configuration)
        print_status(store, list(stage_tasks(configuration, store)))


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; remove everything listed.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    """What of a run can be made again, with sizes; removed after a question each. Keys and readers' decisions are never listed."""
    with errors_for_users(debug):
        from weakbox.audit.recreatable import recreatable, remove

        found = recreatable(load_configuration(config, overrides))
        for item in found:
            typer.echo(f"{item.bytes / 2**20:10.1f} MiB  {item.files:7d} files  {item.path}  (made again by {item.made_again_by})")
        for item in found:
            if yes or typer.confirm(f"remove {item.path}?", default=False):
                remove(item)
                typer.echo(f"removed: {item.path}")
        if not found:
            typer.echo("nothing to remove")


@app.command()
def report(config: ConfigOption = DEFAULT_CONFIG, overrides: SetOption = None, debug: DebugOption = False) -> None:
    """The joined set in figures: one HTML page that needs no network, with what to know before training on it."""
    with errors_for_users(debug):
        from weakbox.commands.joined_set import write_report

        typer.echo(f"written: {write_report(load_configuration(config, overrides))}")


@app.command()
def prompt(
    report_id: Annotated[str, typer.Argument(help="A report of the cohort, by its identifier.")],
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    schema: Annotated[bool, typer.Option("--schema", help="Also print the JSON Schema of the answer.")] = False,
    debug: DebugOption = False,
) -> None:
    """What a language model is asked about one report, word for word, with the prompt's version. [bold]Prints report text.[/]"""
    with errors_for_users(debug):
        from weakbox.extractors.language_model import request_for

        chosen = load_configuration(config, overrides)
        store = open_store(chosen)
        with closing(open_executor(chosen)) as executor:
            read_inputs(chosen, store, executor)
        request = request_for(find_report(store, report_id))
        typer.secho(f"prompt version {request.version}", fg="cyan", err=True)
        for message in request.messages:
            typer.echo(f"--- {message.role}\n{message.content}")
        if schema:
            typer.echo(f"--- schema\n{json.dumps(request.schema, indent=1)}")


def find_report(store: Store, report_id: str) -> Any:
    """The report of that identifier among what was read.

    Raises:
        InputError: there is none; the nearest identifier is named.
    """
    from weakbox.records.errors import InputError
    from weakbox.records.report import Report
    from weakbox.runtime.nearest import nearest_name
    from weakbox.runtime.store import READING

    names = []
    for record in store.read_all(READING):
        if isinstance(record, Report):
            if record.report_id == report_id:
                return record
            names.append(record.report_id)
    msg = f"no report is called {report_id!r}{nearest_name(report_id, names)} ({len(names)} reports were read)"
    raise InputError(msg)


@app.command()
def calibrate(
    gold: Annotated[Path, typer.Option(help="Gold reports of your own: a .yaml or .jsonl file, or a folder of them.")],
    output: Annotated[Path, typer.Option(help="JSON file to write; name it as `extraction.calibration`.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Fit for this configuration's extractors.")] = None,
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    """Fit the confidences on reports that you have labelled, and see how far they may be believed."""
    with errors_for_users(debug):
        import extraction
        from weakbox.evaluation.calibrate import fit_and_describe, samples
        from weakbox.evaluation.gold import read_gold

        settings = load_configuration(config, overrides).extraction if config else extraction.Config()
        extractors = extraction.open_extractors(settings)
        reports = read_gold(gold)
        read = (tuple(extraction.attempt(one, replace(entry.report, language="auto")) for one in extractors) for entry in reports)
        for line in fit_and_describe(samples(reports, read), output):
            typer.echo(line)
        typer.echo(f"written: {output}")


@app.command()
def annotate(
    output: Annotated[Path, typer.Option(help="YAML file to write: gold reports with what was read filled in. Holds report text.")],
    count: Annotated[int, typer.Option(min=1, help="How many reports.")] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    """The reports of a run most worth labelling, the best first: correct them, then evaluate, calibrate or tune a model with them."""
    with errors_for_users(debug):
        from weakbox.evaluation.worklist import worklist, write_worklist
        from weakbox.records.extraction import ReportExtraction

        store = open_store(load_configuration(config, overrides))
        import extraction

        reports = {report.report_id: report for record in store.read_all("preprocessing") for report in extraction.reports_of(record)}
        read = (record for record in store.read_all("extraction") if isinstance(record, ReportExtraction))
        chosen = worklist(((reports[one.report_id], one) for one in read if one.report_id in reports), count)
        write_worklist(chosen, output)
        typer.echo(f"{len(chosen)} reports to label: {output} (holds report text; set `state: done` on those that are right)")


@app.command()
def configuration(
    output: Annotated[Path, typer.Option(help="Markdown page to write.")] = Path("docs/configuration.md"),
) -> None:
    """Write the configuration reference from the models that validate it."""
    from weakbox.audit.configuration_reference import render
    from weakbox.runtime.config import RUNTIME_SECTIONS, SimulationSettings
    from weakbox.runtime.plugins import load_plugin, plugin_names
    from weakbox.runtime.store import write_text

    sections = {**configuration_models(), **RUNTIME_SECTIONS, "simulate": SimulationSettings}
    names = plugin_names("weakbox.sources", "SOURCE")
    sources = {name: load_plugin("weakbox.sources", name, "SOURCE").options for name in names}
    write_text(output, render(sections, {"Sources": sources}))
    typer.echo(f"written: {output}")


evaluation = typer.Typer(help="Compare what was made with what is known to be true.", invoke_without_command=True)
app.add_typer(evaluation, name="evaluate")


@evaluation.callback()
def evaluate(
    context: typer.Context,
    truth: Annotated[Path | None, typer.Option(help="The `truth` folder of a simulated cohort.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    output: Annotated[Path | None, typer.Option(help="Also write the figures as JSON.")] = None,
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    """Compare a run with the truth of its simulated cohort (`--truth`), or the reading of reports with gold answers (`extraction`)."""
    if context.invoked_subcommand is not None:
        return
    with errors_for_users(debug):
        from weakbox.audit.evaluation import print_evaluation
        from weakbox.records.errors import InputError

        if truth is None:
            msg = "give --truth FOLDER (a simulated cohort), or the command `evaluate extraction --gold REPORTS`"
            raise InputError(msg)
        print_evaluation(open_store(load_configuration(config, overrides)), truth, output)


@evaluation.command("extraction")
def evaluate_extraction(
    gold: Annotated[Path, typer.Option(help="Gold reports: a .yaml or .jsonl file, or a folder of them.")],
    answers: Annotated[Path | None, typer.Option(help="What extraction.py wrote; without it the reports are read now.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Read with this configuration's `extraction` section.")] = None,
    by: Annotated[str, typer.Option(help="Tables to print: kind, language, difficulty, hospital; comma separated.")] = "kind,language",
    errors: Annotated[int, typer.Option(help="How many of the most frequent errors to print.")] = 12,
    page: Annotated[Path | None, typer.Option(help="HTML page with every error highlighted in its report.")] = None,
    output: Annotated[Path | None, typer.Option(help="Also write the figures as JSON.")] = None,
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    """How well reports are read: F1, exact match, DRAGON's metrics, calibration, coverage at 1 % risk, the most frequent errors."""
    with errors_for_users(debug):
        from weakbox.evaluation.extraction import GROUPS, paired, print_evaluation, read_answers
        from weakbox.evaluation.gold import read_gold
        from weakbox.runtime.nearest import one_of

        groups = [one_of(name.strip(), GROUPS, "--by") for name in by.split(",")]
        reports = read_gold(gold)
        read = read_answers(answers) if answers else read_gold_reports(reports, config, overrides)
        print_evaluation(paired(reports, read), groups, errors=errors, page=page, figures=output)


def read_gold_reports(gold: Any, config: Path | None, overrides: list[str] | None) -> dict[str, dict[str, Any]]:
    """The gold reports as the configured extractors read them, without their stated language."""
    import extraction
    from weakbox.extractors.contract import to_contract

    settings = load_configuration(config, overrides).extraction if config else extraction.Config()
    reports = [replace(entry.report, language="auto") for entry in gold]
    for _ in extraction.ask_ahead(reports, settings):
        pass
    outcomes = zip(reports, extraction.extract_reports(reports, settings), strict=True)
    return {report.report_id: to_contract(report, outcome) for report, outcome in outcomes}


if __name__ == "__main__":
    sys.exit(app())
