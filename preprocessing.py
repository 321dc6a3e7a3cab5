"""Stage 1: reports, studies, biopsy records and annotations -> one PatientRecord a patient.

Decides which reports count, which studies are diagnostic, which series serves which purpose, and onto which patient
identifiers everything is brought. Whatever was read is in a PatientRecord or has a dropped row in the ledger.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny

from weakbox.imaging.series_choice import AdcVariant, ChoicePolicy, choose_series, slice_count, unreadable_candidates
from weakbox.records.biopsy import BiopsyCore, BiopsyTarget, Segmentation
from weakbox.records.case import LedgerEntry, PatientRecord
from weakbox.records.crosswalk import CrosswalkEntry
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.imaging import ImagingStudy, Plane, Purpose, Series, SeriesRole, StudyKind
from weakbox.records.report import Report, ReportType
from weakbox.runtime.config import validate
from weakbox.runtime.plugins import load_plugin
from weakbox.runtime.stage import StageOutput
from weakbox.sources.identities import Identities, Space, build_identities, consistent_entries, map_identity, map_study_uid
from weakbox.sources.patient_items import SeriesIndex, settle_cores, settle_segmentations, settle_targets
from weakbox.sources.remarks import dropped, flagged
from weakbox.sources.source import Family, Source, SourceOptions
from weakbox.text.report_versions import settle_versions

if TYPE_CHECKING:
    from weakbox.datasets_public.dataset import Located
    from weakbox.records.label import CuratedCase
    from weakbox.runtime.executors.executor import Executor

SOURCES = "weakbox.sources"
FAMILIES: tuple[Family, ...] = ("reports", "images", "biopsies", "segmentations")
KIND_OF: Mapping[type[Any], str] = {
    Report: "report",
    ImagingStudy: "study",
    BiopsyTarget: "target",
    BiopsyCore: "core",
    Segmentation: "segmentation",
}
PatientItem = Report | ImagingStudy | BiopsyTarget | BiopsyCore | Segmentation
Need = Literal["study", "radiology", "pathology", "target"]

# Configuration ------------------------------------------------------------------------------------------------------


def _open_options(value: object) -> object:
    """The options of one input, checked by the source that it names."""
    if not isinstance(value, Mapping):
        return value
    if not isinstance(value.get("source"), str):
        msg = "an input needs `source: <name>`, a file in weakbox/sources"
        raise ConfigurationError(msg)
    source: Source = load_plugin(SOURCES, value["source"], "SOURCE")
    return validate(source.options, dict(value), f"inputs.{source.family}", f"source {value['source']}")


Input = Annotated[SerializeAsAny[SourceOptions], BeforeValidator(_open_options)]


class PublicInputs(BaseModel):
    """Public data sets on disk that join the set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roots: tuple[Path, ...] = Field(
        default=(),
        description="Folders to look in; where none is given, those of `WEAKBOX_DATA`, else the usual places (data, ~/data ...).",
    )
    datasets: tuple[str, ...] = Field(default=(), description="Sets that must be there, by name or title; every set found where empty.")
    allow_partial: bool = Field(default=False, description="Use sets of which required files are missing, rather than stop.")


class Inputs(BaseModel):
    """What is read: lists of inputs, each with the `source` that reads it and that source's own options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reports: tuple[Input, ...] = Field(default=(), description="Radiology and pathology reports.")
    images: tuple[Input, ...] = Field(default=(), description="Imaging studies.")
    biopsies: tuple[Input, ...] = Field(default=(), description="Biopsy targets and cores.")
    segmentations: tuple[Input, ...] = Field(default=(), description="Lesion, gland and zone masks.")
    crosswalk: tuple[Input, ...] = Field(default=(), description="Original and research identifiers, and date shifts.")
    public: PublicInputs | None = Field(default=None, description="Public data sets that join the set.")

    @property
    def has_cohort(self) -> bool:
        """Whether there are records of patients of one's own."""
        return any(getattr(self, family) for family in FAMILIES)

    def model_post_init(self, context: Any, /) -> None:
        """Every source stands in the list of its own family."""
        for family in (*FAMILIES, "crosswalk"):
            for options in getattr(self, family):
                source: Source = load_plugin(SOURCES, options.source, "SOURCE")
                if source.family != family:
                    msg = f"inputs.{family}: source {options.source!r} gives {source.family}; list it under `inputs.{source.family}`"
                    raise ConfigurationError(msg)


class IdentitySettings(BaseModel):
    """Whose identifiers each kind of input carries; counts only where a crosswalk is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patients: Literal["images", "original"] = Field(
        default="images", description="Identifiers and days that all records get: those of the images, or the original ones."
    )
    reports: Space = Field(default="original", description="Identifiers and days of the reports as read.")
    images: Space = Field(default="research", description="Identifiers and days of the images as read.")
    biopsies: Space = Field(default="original", description="Identifiers and days of biopsy records as read.")
    segmentations: Space = Field(default="research", description="Identifiers and days of segmentations as read.")


class Config(BaseModel):
    """Choices of the preprocessing stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organ: str = Field(default="prostate", description="Organ of the cohort, a file in `weakbox/organs`.")
    more_organ_words: tuple[str, ...] = Field(
        default=(), description="Stems, beside the organ's own, that show that a report speaks of it (other languages, local names)."
    )
    minimum_date: date | None = Field(default=None, description="Reports of earlier days are dropped (ISO day).")
    excluded_title_words: tuple[str, ...] = Field(
        default=("biopsy", "amigo"),
        description="Radiology reports with one of these words in the title describe a procedure and are dropped "
        "(not after pre-, for, planning ...).",
    )
    intraprocedural_words: tuple[str, ...] = Field(
        default=("biopsy", "bx", "amigo", "guided", "guidance", "interventional", "intervention", "needle", "ablation"),
        description="Words of a study's description that make it intra-procedural (not after pre-, post-, prior to, planning ...).",
    )
    minimum_slices: int = Field(default=6, ge=1, description="Series with fewer slices are never chosen.")
    minimum_diagnostic_slices: int = Field(
        default=10, ge=1, description="A study whose axial T2W series all have fewer slices, without diffusion, is intra-procedural."
    )
    minimum_high_b: float = Field(default=1400.0, gt=0, description="Lowest b-value of a high-b image, s/mm2 (PI-RADS v2.1: 1400).")
    maximum_adc_b: float = Field(default=1000.0, gt=0, description="Highest b-value that an ADC fit uses, s/mm2.")
    minimum_adc_b: float = Field(
        default=50.0, ge=0, description="b-values below are left out of an ADC fit where two others are there, s/mm2."
    )
    minimum_role_confidence: float = Field(default=0.5, ge=0, le=1, description="Series whose role is less sure are never chosen.")
    adc_variants: tuple[AdcVariant, ...] = Field(
        default=("corrected", "plain", "mixed"), description="Order in which variants of an ADC map are preferred, first best."
    )
    needs: tuple[Need, ...] = Field(
        default=(), description="Patients without one of these records are dropped: study, radiology, pathology, target."
    )
    identity: IdentitySettings = Field(default_factory=IdentitySettings, description="Identifier spaces, where a crosswalk is given.")

    @property
    def policy(self) -> ChoicePolicy:
        """The choices that concern series."""
        return ChoicePolicy(
            minimum_high_b=self.minimum_high_b,
            minimum_fit_b=self.minimum_adc_b,
            maximum_fit_b=self.maximum_adc_b,
            minimum_slices=self.minimum_slices,
            minimum_role_confidence=self.minimum_role_confidence,
            adc_variants=self.adc_variants,
        )


# Reading ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenSources:
    """The sources of a configuration with their options."""

    inputs: Inputs

    def of(self, family: str) -> Iterator[tuple[Source, SourceOptions]]:
        """(source, options) of one family, in the order of the configuration."""
        for options in getattr(self.inputs, family):
            yield load_plugin(SOURCES, options.source, "SOURCE"), options

    def image_files(self) -> Iterator[Path]:
        """Files of images and segmentations: many and large."""
        for family in ("images", "segmentations"):
            for source, options in self.of(family):
                yield from source.files(options)

    def table_files(self) -> Iterator[Path]:
        """Files of reports, biopsies and crosswalks."""
        for family in ("reports", "biopsies", "crosswalk"):
            for source, options in self.of(family):
                yield from source.files(options)


def open_sources(inputs: Inputs) -> OpenSources:
    """The sources that the configuration names; their files are looked for when asked for."""
    return OpenSources(inputs)


def find_public(inputs: PublicInputs) -> tuple[Located, ...]:
    """The public sets that the configuration asks for, where they lie; each once.

    Raises:
        InputError: a named set is not on disk, or (unless allowed) required files of it are missing.
    """
    from weakbox.datasets_public.locating import Listing
    from weakbox.datasets_public.searching import dataset_names, denied_folders, load_dataset, search_listings, search_roots

    wanted = [load_dataset(name).card.name for name in inputs.datasets]
    roots = search_roots(inputs.roots)
    listings = [Listing(root) for root in roots]
    places_of: dict[str, list[Located]] = defaultdict(list)
    for located in search_listings(listings, wanted or dataset_names()):
        places_of[located.dataset].append(located)
    found = {name: _best(places) for name, places in places_of.items()}
    places = ", ".join(str(root) for root in roots) or "none: give inputs.public.roots"
    if denied := denied_folders(listings):
        places += f"; these cannot be listed, check their rights: {', '.join(str(folder) for folder in denied)}"
    if not found and not wanted:
        msg = f"inputs.public: no public set lies in the folders looked in ({places}); `main.py datasets` shows how to get one"
        raise InputError(msg)
    for name in wanted:
        if name not in found:
            msg = f"inputs.public: {name} is not in the folders looked in ({places}); `main.py datasets` shows what is there"
            raise InputError(msg)
    for located in found.values():
        if located.missing and not inputs.allow_partial:
            msg = (
                f"{located.folder}: {located.dataset} is partial, missing {'; '.join(located.missing)}; "
                "complete it, leave it out of inputs.public.datasets, or set inputs.public.allow_partial: true"
            )
            raise InputError(msg)
    return tuple(found[name] for name in sorted(found))


def _best(places: Sequence[Located]) -> Located:
    """The place where most of a set is, the first of several; it names the others."""
    best = min(places, key=lambda place: len(place.missing))
    return replace(best, copies=tuple(place.folder for place in places if place is not best))


def read_public(found: Iterable[Located]) -> Iterator[CuratedCase | LedgerEntry]:
    """The cases of public sets as their tables tell them, and a ledger row for what could not be used."""
    from weakbox.datasets_public.cases import read_cases
    from weakbox.datasets_public.searching import load_dataset

    for located in found:
        yield from read_cases(load_dataset(located.dataset), located)


def read_inputs(inputs: Inputs, config: Config, executor: Executor, cache_folder: Path) -> Iterator[PatientItem | LedgerEntry]:
    """Everything that the sources give, under one identifier space, and a ledger row for what they could not use.

    Raises:
        InputError: an input is missing or cannot be read at all.
    """
    sources = open_sources(inputs)
    entries, ledger = _read_crosswalk(sources)
    yield from ledger
    maps, remarks = _identity_maps(entries, config.identity)
    yield from remarks
    for family in FAMILIES:
        for source, options in sources.of(family):
            items = source.read(options, executor, cache_folder) if family == "images" else source.read(options)
            for item in items:
                yield from [item] if isinstance(item, LedgerEntry) else _admit(item, maps.get(family))


def _read_crosswalk(sources: OpenSources) -> tuple[tuple[CrosswalkEntry, ...], tuple[LedgerEntry, ...]]:
    rows = [item for source, options in sources.of("crosswalk") for item in source.read(options)]
    entries, conflicts = consistent_entries(row for row in rows if isinstance(row, CrosswalkEntry))
    return entries, (*(row for row in rows if isinstance(row, LedgerEntry)), *conflicts)


@dataclass(frozen=True, slots=True)
class _Maps:
    """How one family's records get to the common identifiers (None: they have them), and to the images' study UIDs."""

    identities: Identities | None
    study_uids: Identities | None


def _identity_maps(entries: Sequence[CrosswalkEntry], settings: IdentitySettings) -> tuple[dict[str, _Maps], tuple[LedgerEntry, ...]]:
    if not entries:
        return {}, ()
    target: Space = settings.images if settings.patients == "images" else "original"
    to_research, remarks = build_identities(entries, "research")
    to_original, _ = build_identities(entries, "original")
    towards: dict[Space, Identities] = {"research": to_research, "original": to_original}
    maps: dict[str, _Maps] = {}
    for family in FAMILIES:
        space: Space = getattr(settings, family)
        maps[family] = _Maps(towards[target] if space != target else None, towards[settings.images] if space != settings.images else None)
    return maps, remarks


def _admit(item: PatientItem, maps: _Maps | None) -> Iterator[PatientItem | LedgerEntry]:
    kind = KIND_OF[type(item)]
    if maps is not None and maps.study_uids is not None:
        item = map_study_uid(item, maps.study_uids)
    mapped = [item] if maps is None or maps.identities is None else map_identity(item, maps.identities, kind, item_id_of(item))
    for each in mapped:
        if not isinstance(each, LedgerEntry) and not each.patient_id:
            yield dropped(kind, item_id_of(each), "no_patient", "neither the input nor a crosswalk names a patient")
        else:
            yield each


def item_id_of(item: PatientItem) -> str:
    """What names a record in the ledger."""
    if isinstance(item, Report):
        return item.report_id
    if isinstance(item, ImagingStudy):
        return item.study_uid
    if isinstance(item, BiopsyTarget):
        return item.target_id
    return item.core_id if isinstance(item, BiopsyCore) else item.segmentation_id


def research_patients(inputs: Inputs) -> dict[str, str]:
    """Research identifier by patient identifier (original or research) where a crosswalk gives one."""
    entries, _ = _read_crosswalk(open_sources(inputs))
    pairs = [(original, research) for entry in entries for kind, original, research in entry.pairs if kind == "patient"]
    return {research: research for _, research in pairs} | dict(pairs)


# One patient --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PatientStage:
    """The stage as the runtime calls it: one patient's items in, one PatientRecord out."""

    config: Config

    def __call__(self, patient_id: str, records: Sequence[Any]) -> StageOutput:
        """Assemble one patient and count what went in and out, by kind."""
        patient, ledger = assemble_patient(patient_id, records, self.config)
        entered = Counter(KIND_OF[type(record)] for record in records)
        return StageOutput(records=(patient,), ledger=ledger, entered=entered, left=_count(patient))


def _count(patient: PatientRecord) -> dict[str, int]:
    return {
        "report": len(patient.reports),
        "study": len(patient.studies),
        "target": len(patient.targets),
        "core": len(patient.cores),
        "segmentation": len(patient.segmentations),
    }


def assemble_patient(patient_id: str, records: Iterable[PatientItem], config: Config) -> tuple[PatientRecord, tuple[LedgerEntry, ...]]:
    """Everything of one patient that counts, sorted; what does not count is in the ledger. The order of records does not matter."""
    of_type: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        of_type[KIND_OF[type(record)]].append(record)
    reports, ledger = settle_reports(of_type["report"], config)
    studies, remarks = settle_studies(of_type["study"], config)
    ledger += remarks
    index = SeriesIndex(studies)
    targets, remarks = settle_targets(of_type["target"], index)
    ledger += remarks
    cores, remarks = settle_cores(of_type["core"], index)
    ledger += remarks
    segmentations, remarks = settle_segmentations(of_type["segmentation"], index)
    ledger += remarks
    patient = PatientRecord(
        patient_id=patient_id, reports=reports, studies=studies, targets=targets, cores=cores, segmentations=segmentations
    )
    return _keep_if_needed(patient, config, ledger)


def _keep_if_needed(patient: PatientRecord, config: Config, ledger: list[LedgerEntry]) -> tuple[PatientRecord, tuple[LedgerEntry, ...]]:
    there: dict[Need, bool] = {
        "study": any(study.kind is StudyKind.DIAGNOSTIC for study in patient.studies),
        "radiology": any(report.report_type is ReportType.RADIOLOGY for report in patient.reports),
        "pathology": any(report.report_type is ReportType.PATHOLOGY for report in patient.reports),
        "target": bool(patient.targets),
    }
    missing = [need for need in config.needs if not there[need]]
    if missing:
        items: tuple[PatientItem, ...] = (*patient.reports, *patient.studies, *patient.targets, *patient.cores, *patient.segmentations)
        reason = f"patient_without_{missing[0]}"
        ledger += [dropped(KIND_OF[type(item)], item_id_of(item), reason, patient_id=patient.patient_id) for item in items]
        patient = PatientRecord(patient_id=patient.patient_id)
    order = sorted(ledger, key=lambda entry: (entry.kind, entry.item_id, entry.outcome, entry.reason, entry.detail))
    return patient, tuple(order)


# Reports ------------------------------------------------------------------------------------------------------------


def settle_reports(reports: Iterable[Report], config: Config) -> tuple[tuple[Report, ...], list[LedgerEntry]]:
    """The reports that count: of the organ, not of a procedure, not too old, each text once, in its last version."""
    settled, remarks = settle_versions(reports)
    kept: list[Report] = []
    ledger = list(remarks)
    for report in settled:
        reason = _why_report_is_dropped(report, config)
        if reason is not None:
            ledger.append(dropped("report", report.report_id, reason, patient_id=report.patient_id))
            continue
        kept.append(report if report.organ else replace(report, organ=config.organ))
        if report.date is None:
            ledger.append(flagged("report", report.report_id, "no_date", "can be matched by accession only", report.patient_id))
    return tuple(sorted(kept, key=lambda report: (report.date or date.max, report.report_type, report.report_id))), ledger


def _why_report_is_dropped(report: Report, config: Config) -> str | None:
    if report.patient_id is None:
        return "no_patient"
    if report.organ is not None and report.organ.casefold() != config.organ:
        return "other_organ"
    if not _organ_pattern(config.organ, config.more_organ_words).search(f"{report.title or ''}\n{report.text}"):
        return "other_organ"
    is_radiology = report.report_type is ReportType.RADIOLOGY
    if is_radiology and _procedure_word(report.title or "", config.excluded_title_words):
        return "excluded_title"
    if config.minimum_date is not None and report.date is not None and report.date < config.minimum_date:
        return "before_minimum_date"
    return None


@cache
def _organ_pattern(organ: str, more: tuple[str, ...]) -> re.Pattern[str]:
    words = (*load_plugin("weakbox.organs", organ, "ORGAN").words, *more)
    return re.compile("|".join(re.escape(word) for word in words), re.IGNORECASE)


@cache
def _word_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the words as a whole word; with no words, a pattern that never matches."""
    return re.compile(rf"\b(?:{'|'.join(re.escape(word) for word in words)})\b" if words else r"(?!)", re.IGNORECASE)


# Studies ------------------------------------------------------------------------------------------------------------

_BEFORE_PROCEDURE = re.compile(r"\b(?:pre|post|prior to|before|after|s/p|planning(?: for)?|for)[\s-]*$", re.IGNORECASE)
_PLANNING_AFTER = re.compile(r"\W*(?:planning|protocol)\b", re.IGNORECASE)
"""Words beside the name of a procedure that say that the study was made for it or after it, not during it."""


def settle_studies(studies: Iterable[ImagingStudy], config: Config) -> tuple[tuple[ImagingStudy, ...], list[LedgerEntry]]:
    """Each study once, its kind with the reason, and the series that serve T2W, ADC and high b."""
    groups: dict[str, list[ImagingStudy]] = defaultdict(list)
    for study in studies:
        groups[study.study_uid].append(study)
    kept: list[ImagingStudy] = []
    ledger: list[LedgerEntry] = []
    for study_uid in sorted(groups):
        study = _merged(sorted(groups[study_uid], key=repr))
        ledger += [
            dropped("study", study_uid, "merged_study", "its series joined the same study", study.patient_id) for _ in groups[study_uid][1:]
        ]
        kind, reason = study_kind(study, config)
        study = replace(study, kind=kind, kind_reason=reason, choices=choose_series(study.series, config.policy))
        kept.append(study)
        ledger += _missing_purposes(study)
    return tuple(sorted(kept, key=lambda study: (study.study_date or date.max, study.study_time or "", study.study_uid))), ledger


def _merged(parts: Sequence[ImagingStudy]) -> ImagingStudy:
    """One study from records that several inputs give of it; of a series that comes twice, the one with more images."""
    by_key: dict[str, Series] = {}
    for series in (series for part in parts for series in part.series):
        other = by_key.get(series.key)
        if other is None or (series.image_count, repr(series)) > (other.image_count, repr(other)):
            by_key[series.key] = series
    names = ("accession", "study_date", "study_time", "patient_age_years", "patient_sex")
    stated: dict[str, Any] = {name: next((value for part in parts if (value := getattr(part, name)) is not None), None) for name in names}
    description = next((part.description for part in parts if part.description), "")
    return replace(parts[0], series=tuple(by_key[key] for key in sorted(by_key)), description=description, **stated)


def study_kind(study: ImagingStudy, config: Config) -> tuple[StudyKind, str]:
    """Diagnostic or intra-procedural, with the reason in words."""
    word = _procedure_word(study.description, config.intraprocedural_words)
    if word is not None:
        return StudyKind.INTRAPROCEDURAL, f"its description says {word!r}"
    guidance = [series for series in study.series if not series.is_diagnostic]
    diagnostic = [series for series in study.series if series.is_diagnostic]
    has_diffusion = any(series.role in (SeriesRole.DWI, SeriesRole.ADC) for series in diagnostic)
    if guidance and not has_diffusion:
        return StudyKind.INTRAPROCEDURAL, f"{len(guidance)} needle-guidance series and no diffusion"
    if len(guidance) * 2 > len(study.series):
        return StudyKind.INTRAPROCEDURAL, f"{len(guidance)} of {len(study.series)} series are needle guidance"
    t2w = [slice_count(series) for series in diagnostic if series.role is SeriesRole.T2W and series.plane in (Plane.AXIAL, None)]
    if t2w and not has_diffusion and max(t2w) < config.minimum_diagnostic_slices:
        return StudyKind.INTRAPROCEDURAL, f"its axial T2W series have {max(t2w)} slices at most, and there is no diffusion"
    return StudyKind.DIAGNOSTIC, "nothing speaks of a procedure" if not guidance else "a full diagnostic protocol beside needle guidance"


def _procedure_word(text: str, words: tuple[str, ...]) -> str | None:
    """The word that says that a procedure was done; none where the text speaks of before, after or planning one."""
    for match in _word_pattern(words).finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        if not _BEFORE_PROCEDURE.search(before) and not _PLANNING_AFTER.match(after):
            return match[0].lower()
    return None


def _missing_purposes(study: ImagingStudy) -> list[LedgerEntry]:
    """A diagnostic study without a purpose stays (it can still carry case-level labels), and says so."""
    if study.kind is not StudyKind.DIAGNOSTIC:
        return []
    names = {Purpose.T2W: "no_t2w", Purpose.ADC: "no_adc", Purpose.HIGH_B: "no_high_b"}
    left_out = [
        f"{series.role} series {series.series_number}: {', '.join(series.problems)}" for series in unreadable_candidates(study.series)
    ]
    reasons = [name for purpose, name in names.items() if study.choice(purpose) is None]
    return [flagged("study", study.study_uid, reason, "; ".join(left_out), study.patient_id) for reason in reasons]
