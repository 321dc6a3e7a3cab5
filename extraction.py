"""Stage 2: report text -> what the report states, each value with its words.

As a program:  uv run extraction.py --input reports.csv --report-type pathology --output out.jsonl
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from weakbox.records.errors import InputError
from weakbox.records.extraction import ExtractionFailure, ExtractionStatus, Flag, ReportExtraction
from weakbox.records.report import Report, ReportStatus, ReportType

if TYPE_CHECKING:
    from weakbox.extractors.calibration import Parameters
    from weakbox.extractors.extractor import Extractor
    from weakbox.records.case import LedgerEntry, Outcome
    from weakbox.runtime.stage import StageOutput

STAGE = "extraction"
DEFAULT_ORGAN = "prostate"
REPORTS_A_CHUNK = 64
PARALLEL_FROM = 1500
"""Fewer reports are read faster in one process than workers start."""
LISTED_PROBLEMS = 20

ONLY_REMARKS = frozenset(
    {
        *("no_findings_section", "no_impression_section", "range", "composite", "ungraded", "unit_inferred", "explicit", "derived"),
        *("doubted", "unconfirmed", "header", "header_unusable"),
    }
)
"""Flags that tell how a value was read; every other flag sends the report to review."""


class Config(BaseModel):
    """Choices of the extraction stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    extractors: tuple[str, ...] = Field(
        default=("rules",), min_length=1, description="Files in `weakbox/extractors`, the most trusted first; several are fused."
    )
    options: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, description="Options of an extractor, by its name.")
    when: Literal["always", "rules_incomplete", "never"] = Field(
        default="always",
        description="When the extractors after the first are asked: `rules_incomplete`: on reports that it leaves to review.",
    )
    review_below: float = Field(default=0.75, ge=0.0, le=1.0, description="A report with a value less sure than this goes to review.")
    accept: Literal["confidence", "risk"] = Field(
        default="confidence",
        description="`risk` also asks of every value the threshold that was shown to keep the errors of its field under 1 or 2 %; "
        "few reports pass it without review.",
    )
    calibration: Path | None = Field(
        default=None, description="Fitted confidences, as `main.py calibrate` writes them; the package's own where none is given."
    )

    @model_validator(mode="after")
    def _extractors_exist(self) -> Config:
        from weakbox.runtime.plugins import load_plugin

        for name in self.extractors:
            load_plugin("weakbox.extractors", name, "EXTRACTOR")
        return self


def extract_report(report: Report, config: Config) -> ReportExtraction | ExtractionFailure:
    """What one report states, by the configured extractors; never raises for what is in the report."""
    first, *others = open_extractors(config)
    outcome = attempt(first, report)
    if others and is_asked(outcome, config):
        outcome = _fuse([outcome, *(attempt(extractor, report) for extractor in others)], config)
    return concluded(outcome, config)


def is_asked(outcome: ReportExtraction | ExtractionFailure, config: Config) -> bool:
    """Whether the extractors after the first are asked about a report that the first read so."""
    if config.when == "rules_incomplete":
        done = concluded(outcome, config)
        return isinstance(done, ExtractionFailure) or done.status is not ExtractionStatus.OK
    return config.when == "always"


def concluded(outcome: ReportExtraction | ExtractionFailure, config: Config) -> ReportExtraction | ExtractionFailure:
    """The outcome checked for consistency, with calibrated confidences and its status."""
    from weakbox.extractors.calibration import apply, thresholds_of
    from weakbox.extractors.consistency import check

    if isinstance(outcome, ExtractionFailure):
        return outcome
    parameters = _parameters(config)
    thresholds = thresholds_of(outcome, parameters) if config.accept == "risk" else {}
    return with_status(apply(check(outcome), parameters), config.review_below, thresholds)


def _parameters(config: Config) -> Parameters:
    from weakbox.extractors.calibration import DEFAULT_FILE, read_parameters

    return read_parameters(config.calibration or DEFAULT_FILE)


def ask_ahead(reports: Iterable[Report], config: Config) -> Iterator[Any]:
    """Ask every model about many reports at once; ``extract_report`` then finds the answers in the model's cache."""
    from weakbox.extractors.extractor import BatchExtractor

    first, *others = open_extractors(config)
    models = [extractor for extractor in others if isinstance(extractor, BatchExtractor)]
    if not models:
        return
    chosen = [report for report in reports if config.when == "always" or is_asked(attempt(first, report), config)]
    for model in models:
        yield from model.prefetch(chosen)


def extract_reports(reports: Iterable[Report], config: Config) -> Iterator[ReportExtraction | ExtractionFailure]:
    """One outcome a report, in order."""
    for report in reports:
        yield extract_report(report, config)


def open_extractors(config: Config) -> tuple[Extractor, ...]:
    """The configured extractors, opened once a process.

    Raises:
        ConfigurationError: no such extractor, or an option that it does not have.
    """
    return tuple(_open(name, json.dumps(dict(config.options.get(name, {})), sort_keys=True)) for name in config.extractors)


@lru_cache(maxsize=16)
def _open(name: str, options: str) -> Extractor:
    from weakbox.runtime.plugins import load_plugin

    extractor: Extractor = load_plugin("weakbox.extractors", name, "EXTRACTOR")(json.loads(options))
    return extractor


def attempt(extractor: Extractor, report: Report) -> ReportExtraction | ExtractionFailure:
    """One extractor on one report; its programming errors become a failure of this report, so that the others go on.

    A configuration error is the user's and is raised.
    """
    try:
        return extractor.extract(report)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - the one boundary where a fault on one report becomes that report's outcome
        return ExtractionFailure(
            report_id=report.report_id,
            patient_id=report.patient_id,
            report_type=report.report_type,
            organ=report.organ or DEFAULT_ORGAN,
            extractor=extractor.name,
            cause=_cause(error),
        )


def _cause(error: Exception) -> str:
    """The kind of error and the place in the code; never its message, which may hold report text."""
    frames = extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if "weakbox" in Path(frame.filename).parts), frames[-1] if frames else None)
    where = f" in {Path(place.filename).stem}.{place.name}, line {place.lineno}" if place else ""
    return f"{type(error).__name__}{where}"


def _fuse(outcomes: Sequence[ReportExtraction | ExtractionFailure], config: Config) -> ReportExtraction | ExtractionFailure:
    from weakbox.extractors.fusion import fuse

    fused = fuse(outcomes, _parameters(config).labels)
    if isinstance(fused, ExtractionFailure):
        return fused
    unread = [outcome for outcome in outcomes if isinstance(outcome, ExtractionFailure)]
    flags = (Flag(path="", code="extractor_failed", detail=f"{outcome.extractor}: {outcome.cause}") for outcome in unread)
    return replace(fused, flags=(*fused.flags, *flags))


def with_status(extraction: ReportExtraction, review_below: float, thresholds: Mapping[str, float | None]) -> ReportExtraction:
    """Review where a value is less sure than its risk allows, or a flag asks for eyes; an abstention stays one."""
    from weakbox.extractors.risk_control import decide

    if extraction.status is ExtractionStatus.ABSTAINED:
        return extraction
    status = decide(extraction, thresholds, review_below)
    if status is ExtractionStatus.OK and any(flag.code not in ONLY_REMARKS for flag in extraction.flags):
        status = ExtractionStatus.REVIEW
    return replace(extraction, status=status)


@dataclass(frozen=True, slots=True)
class PatientStage:
    """The stage on one patient: every report that counts is extracted; cancelled ones and failures are in the ledger."""

    config: Config

    def __call__(self, patient_id: str, records: Sequence[Any]) -> StageOutput:
        from weakbox.records.case import Outcome
        from weakbox.runtime.stage import StageOutput

        reports = [report for record in records for report in reports_of(record)]
        made: list[ReportExtraction] = []
        ledger: list[LedgerEntry] = []
        for report in reports:
            if report.status is ReportStatus.CANCELLED:
                ledger.append(_entry(report, Outcome.DROPPED, "cancelled"))
                continue
            outcome = extract_report(report, self.config)
            if isinstance(outcome, ExtractionFailure):
                ledger.append(_entry(report, Outcome.DROPPED, "extraction_failed", outcome.cause))
                continue
            made.append(outcome)
            ledger += _remarks(report, outcome)
        return StageOutput(records=made, ledger=ledger, entered={"report": len(reports)}, left={"report": len(made)})


def reports_of(record: object) -> tuple[Report, ...]:
    """The reports that a record of the stage before carries."""
    from weakbox.records.case import PatientRecord

    if isinstance(record, PatientRecord):
        return record.reports
    return (record,) if isinstance(record, Report) else ()


def _remarks(report: Report, outcome: ReportExtraction) -> list[LedgerEntry]:
    from weakbox.records.case import Outcome

    if outcome.status is ExtractionStatus.ABSTAINED:
        return [_entry(report, Outcome.FLAGGED, flag.code, flag.detail) for flag in outcome.flags]
    if outcome.status is ExtractionStatus.REVIEW:
        codes = sorted({flag.code for flag in outcome.flags if flag.code not in ONLY_REMARKS}) or ["low_confidence"]
        return [_entry(report, Outcome.REVIEW, code) for code in codes]
    return []


def _entry(report: Report, outcome: Outcome, reason: str, detail: str = "") -> LedgerEntry:
    from weakbox.records.case import LedgerEntry

    return LedgerEntry(
        stage=STAGE, kind="report", item_id=report.report_id, outcome=outcome, reason=reason, detail=detail, patient_id=report.patient_id
    )


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some reports and the choices, as one piece of work."""

    reports: tuple[Report, ...]
    config: Config


def _read_chunk(chunk: _Chunk) -> list[tuple[str, str]]:
    """Status and contract line of each report."""
    from weakbox.extractors.contract import to_contract

    documents = [to_contract(report, extract_report(report, chunk.config)) for report in chunk.reports]
    return [(document["status"], json.dumps(document, ensure_ascii=False)) for document in documents]


def contract_lines(reports: Sequence[Report], config: Config, workers: int) -> Iterator[tuple[str, str]]:
    """Status and contract line of each report, in order; in parallel where there are many.

    Raises:
        InputError: the configured extractors cannot be used.
        RuntimeError: a fault outside the reading of a report.
    """
    from weakbox.runtime.executors.executor import ItemError
    from weakbox.runtime.executors.local import LocalExecutor

    chunks = [_Chunk(tuple(reports[start : start + REPORTS_A_CHUNK]), config) for start in range(0, len(reports), REPORTS_A_CHUNK)]
    executor = LocalExecutor(workers=workers if len(reports) >= PARALLEL_FROM else 1)
    try:
        for result in executor.map(_read_chunk, chunks, description="Reading reports", total=len(chunks)):
            if isinstance(result, ItemError):
                raise InputError(result.message) if result.is_input_error else RuntimeError(result.traceback)
            yield from result
    finally:
        executor.close()


EXIT_DONE, EXIT_UNUSABLE, EXIT_INCOMPLETE = 0, 2, 3

HELP = """\
Reads prostate radiology or pathology reports and writes what each one states: one JSON object a line, in the order of
the input, as docs/extraction_contract.md says. Nothing is inferred: what a report does not state is null, and every
value carries the words that state it (evidence), a confidence, and flags where a person should look.
"""
EXAMPLES = """\
input
  CSV (comma, semicolon or tab; UTF-8) with a header, or JSON Lines (.jsonl), with
    report_id     required, once a report
    text          required, the report as it is (line breaks kept)
    patient_id    optional
    report_type   optional column: radiology or pathology; wins over --report-type
    organ, language   optional columns; win over --organ and --language

examples
  uv run extraction.py --input reports.csv --report-type pathology --output pathology.jsonl
  uv run extraction.py --input all.jsonl --output all_read.jsonl          (each line has its report_type)
  uv run extraction.py --schema --report-type radiology                   (print the JSON Schema)

exit status
  0 every row was read; 2 the input or an option cannot be used, nothing was written;
  3 written, but rows were left out or report_ids repeat: they are listed on standard error.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _print_schema(options) if options.schema else _run(options)
    except InputError as error:
        print(f"extraction: {error}", file=sys.stderr)
        return EXIT_UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="extraction.py", description=HELP, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, metavar="FILE", help="reports, .csv, .tsv or .jsonl")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write, .jsonl; replaced only when all is read")
    parser.add_argument("--report-type", choices=[kind.value for kind in ReportType], help="type of the reports whose row does not say")
    parser.add_argument("--organ", default=DEFAULT_ORGAN, help="organ of the reports whose row does not say (default: %(default)s)")
    parser.add_argument("--language", default="auto", help="language of the reports whose row does not say (default: its own words tell)")
    parser.add_argument(
        "--extractors",
        default="rules",
        metavar="NAMES",
        help="files in weakbox/extractors, comma-separated, the most trusted first (default: %(default)s)",
    )
    parser.add_argument(
        "--review-below",
        type=float,
        default=Config().review_below,
        metavar="P",
        help="a report with a less sure value gets status review (default: %(default)s)",
    )
    parser.add_argument("--workers", type=int, default=2, help=f"processes, used from {PARALLEL_FROM} reports on (default: %(default)s)")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of --organ and --report-type, and stop")
    return parser


def _print_schema(options: argparse.Namespace) -> int:
    from weakbox.extractors.contract import schema

    if options.report_type is None:
        msg = "--schema needs --report-type radiology or pathology"
        raise InputError(msg)
    print(json.dumps(schema(options.organ, ReportType(options.report_type)), indent=1))
    return EXIT_DONE


def _run(options: argparse.Namespace) -> int:
    from weakbox.extractors.report_files import Defaults, read_reports, write_lines

    if options.input is None or options.output is None:
        msg = "give --input FILE and --output FILE (see --help)"
        raise InputError(msg)
    if not 0.0 <= options.review_below <= 1.0 or options.workers < 1:
        msg = "--review-below lies in 0..1 and --workers is at least 1"
        raise InputError(msg)
    config = Config(extractors=tuple(name.strip() for name in options.extractors.split(",")), review_below=options.review_below)
    open_extractors(config)
    defaults = Defaults(report_type=options.report_type, organ=options.organ, language=options.language)
    batch = read_reports(options.input, defaults)
    began = time.perf_counter()
    counts: Counter[str] = Counter()
    write_lines(options.output, _counted(contract_lines(batch.reports, config, options.workers), counts))
    seconds = max(time.perf_counter() - began, 1e-6)
    _conclude(options, batch.problems, counts, seconds)
    return EXIT_INCOMPLETE if batch.problems else EXIT_DONE


def _counted(lines: Iterable[tuple[str, str]], counts: Counter[str]) -> Iterator[str]:
    for status, line in lines:
        counts[status] += 1
        yield line


def _conclude(options: argparse.Namespace, problems: Sequence[str], counts: Counter[str], seconds: float) -> None:
    for problem in problems[:LISTED_PROBLEMS]:
        print(f"error: {options.input}: {problem}", file=sys.stderr)
    if len(problems) > LISTED_PROBLEMS:
        print(f"error: {options.input}: and {len(problems) - LISTED_PROBLEMS} more", file=sys.stderr)
    total = sum(counts.values())
    shares = ", ".join(f"{counts[status]} {status}" for status in ("ok", "review", "abstained", "failed") if counts[status])
    print(f"{total} reports: {shares}; {seconds:.1f} s ({total / seconds:.0f} a second) -> {options.output}", file=sys.stderr)


if __name__ == "__main__":
    import extraction  # the module by its name, so that worker processes find its classes

    sys.exit(extraction.main())
