"""Stage 5, export: curated cases -> a dataset on disk, in the formats asked for.

Each case is written into a temporary folder that is renamed when all its formats are written, so a kill leaves nothing
half written. A format that fails makes the case incomplete: its other files are kept, and the ledger names the failure.
File names carry research identifiers only. Source DICOM is opened read-only.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from weakbox.records.artifact import Artifact, ExportedCase
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import ConfigurationError, InputError
from weakbox.records.image_set import ConvertedCase
from weakbox.records.imaging import PURPOSES_OF, SeriesRole
from weakbox.records.label import CuratedCase
from weakbox.runtime.plugins import load_plugin, plugin_names
from weakbox.runtime.privacy import Pseudonymiser, ResearchIdentity
from weakbox.runtime.stage import StageOutput

if TYPE_CHECKING:
    from weakbox.exporters.exporter import Exporter, ExportOptions, PreparedCase
    from weakbox.imaging.image_conversion import ConversionSettings

PACKAGE = "weakbox.exporters"
CONSTANT = "EXPORTER"
COMPRESSING_THREADS = 2
BUILDS_ON = {"monai": "nifti"}
"""A format that lists the files of another. Stated here, because loading the formats is slow and a configuration is checked often."""


class ImageSettings(BaseModel):
    """How 2-D images of public sets become PNG. Boxes and masks move along."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bits: Literal[8, 16] = Field(default=8, description="Of grey images; colour is always 8.")
    window: Literal["header", "percentile", "full_range"] = Field(
        default="header",
        description="Values shown: the header's VOI LUT, else its window, else percentiles (`header`); percentiles; all values.",
    )
    lower_percentile: float = Field(default=1.0, ge=0, lt=50, description="Shown as black where percentiles are used.")
    upper_percentile: float = Field(default=99.5, gt=50, le=100, description="Shown as white where percentiles are used.")
    region: Literal["whole", "breast"] = Field(default="whole", description="`breast` crops mammograms to the breast; no box is ever cut.")
    margin_mm: float = Field(default=5.0, ge=0, description="Room around the breast, mm; 32 pixels where the spacing is not known.")
    long_side: int | None = Field(default=1536, ge=32, description="Pixels of the longer side; smaller images stay. null: as stored.")
    smallest_box: float = Field(default=8.0, gt=0, description="Sides that a box has at least, in stored pixels: points become boxes.")
    roi_context: float | None = Field(default=None, ge=1, description="Also write a crop around each box, this many times its size.")
    roi_long_side: int = Field(default=512, ge=16, description="Pixels of the longer side of such a crop.")
    preparations: tuple[Literal["without_hair", "even_colour"], ...] = Field(
        default=(), description="Of dermatoscopic images: hair removed, colour constancy."
    )
    keep_source: bool = Field(default=False, description="Copy each original file beside its PNG.")
    augmented_copies: int = Field(default=0, ge=0, le=50, description="Augmented copies of each training image, in their own manifest.")

    @model_validator(mode="after")
    def _copies_are_8_bit(self) -> ImageSettings:
        if self.augmented_copies and self.bits != 8:
            msg = "export.images: augmented_copies are made of 8-bit images; set bits: 8 or leave the copies out"
            raise ConfigurationError(msg)
        return self

    def conversion(self) -> ConversionSettings:
        """The same as the conversion takes it."""
        from weakbox.imaging.breast_region import Margin
        from weakbox.imaging.image_conversion import ConversionSettings, RoiSettings
        from weakbox.imaging.projection_voi import VoiMethod, VoiSettings

        return ConversionSettings(
            voi=VoiSettings(
                method=VoiMethod(self.window),
                lower_percentile=self.lower_percentile,
                upper_percentile=self.upper_percentile,
                bits=self.bits,
            ),
            region=self.region,
            margin=Margin(mm=self.margin_mm),
            long_side=self.long_side,
            smallest_box=self.smallest_box,
            rois=RoiSettings(context=self.roi_context, long_side=self.roi_long_side) if self.roi_context else None,
            preparations=self.preparations,
        )


class Config(BaseModel):
    """What the export stage is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exporters: tuple[str, ...] = Field(
        default=("nifti", "dicom_seg", "dicom_sr", "monai", "tables", "overlay"), description="Formats: files of weakbox/exporters."
    )
    segmentation_shapes: tuple[Literal["ellipsoid", "box"], ...] = Field(
        default=("ellipsoid",), min_length=1, description="Shapes of DICOM segments; one object for each shape."
    )
    interpolation: Literal["linear", "bspline"] = Field(default="linear", description="How images are resampled to the reference grid.")
    compression: Literal["fast", "small"] = Field(default="fast", description="fast: run-length gzip; small: gzip level 6.")
    overlay_slices: int = Field(default=1, ge=1, le=9, description="Axial slices of each overlay picture, through the box's centre.")
    images: ImageSettings = Field(default=ImageSettings(), description="2-D images of public sets.")
    box_frame: Literal["LPS", "RAS"] = Field(default="LPS", description="World frame of the boxes of a MONAI datalist.")

    @model_validator(mode="after")
    def _formats_exist(self) -> Config:
        names = exporter_names()
        for name in self.exporters:
            if name not in names:
                load_exporter(name)
            needed = BUILDS_ON.get(name)
            if needed is not None and needed not in self.exporters:
                msg = f"export.exporters: {name} needs {needed}; add it"
                raise ConfigurationError(msg)
        return self


def load_exporter(name: str) -> Exporter:
    """The format of that name.

    Raises:
        ConfigurationError: there is none; the message names the nearest.
    """
    exporter: Exporter = load_plugin(PACKAGE, name, CONSTANT)
    return exporter


def exporter_names() -> tuple[str, ...]:
    """Every format there is."""
    return plugin_names(PACKAGE, CONSTANT)


def export_case(
    case: CuratedCase, identity: ResearchIdentity, folder: Path, config: Config
) -> tuple[tuple[Artifact, ...], tuple[LedgerEntry, ...]]:
    """Write one case under ``folder/cases/<research case id>`` in every format, and say what could not be written.

    A dropped row of kind ``file`` (``export_failed``) is one format that could not be written: the case is incomplete. A
    dropped row of kind ``case`` (``unreadable``) means that its images or boxes cannot be used and nothing was written.
    The folder replaces an earlier one of the same case.
    """
    from weakbox.exporters.exporter import Compression
    from weakbox.exporters.preparing import ledger_entry, prepare
    from weakbox.imaging.volumes import compress_fast, compress_small

    with ThreadPoolExecutor(COMPRESSING_THREADS) as workers:
        compression = Compression(workers, compress_small if config.compression == "small" else compress_fast)
        is_written = any(load_exporter(name).waits_for_compression for name in config.exporters)
        try:
            prepared, remarks = prepare(case, identity, _options(config), _resampler(config), compression, start_early=is_written)
        except InputError as error:
            _remove(final_folder(folder, identity))
            return (), (ledger_entry(case, Outcome.DROPPED, "unreadable", str(error)),)
        artifacts, failures = _write_formats(case, prepared, folder, config)
    return artifacts, (*remarks, *_missing_purposes(case, prepared), *failures)


def final_folder(folder: Path, identity: ResearchIdentity) -> Path:
    """Where a case's files lie."""
    return folder / "cases" / identity.case_id


def _write_formats(
    case: CuratedCase, prepared: PreparedCase, folder: Path, config: Config
) -> tuple[tuple[Artifact, ...], tuple[LedgerEntry, ...]]:
    final = final_folder(folder, prepared.identity)
    partial = final.with_name(f".{final.name}.partial")
    _remove(partial)
    partial.mkdir(parents=True)
    # Volumes are being compressed beside; the format that waits for them comes last.
    in_turn = sorted(config.exporters, key=lambda name: load_exporter(name).waits_for_compression)
    outcomes = {name: _write_format(name, case, prepared, partial) for name in in_turn}
    _remove(final)
    partial.rename(final)
    artifacts = tuple(artifact for name in config.exporters for artifact in outcomes[name][0])
    return artifacts, tuple(row for name in config.exporters for row in outcomes[name][1])


def _write_format(
    name: str, case: CuratedCase, prepared: PreparedCase, folder: Path
) -> tuple[tuple[Artifact, ...], tuple[LedgerEntry, ...]]:
    from weakbox.exporters.preparing import ledger_entry

    exporter = load_exporter(name)
    if exporter.write is None:
        return (), ()
    if exporter.needs_source_images and not prepared.source_images:
        detail = f"{name}: the reference series is not DICOM with one image a slice in a Frame of Reference"
        return (), (ledger_entry(case, Outcome.FLAGGED, "no_source_images", detail),)
    try:
        return exporter.write(case, prepared, folder), ()
    except InputError as error:
        return (), (ledger_entry(case, Outcome.DROPPED, "export_failed", f"{name}: {error}", kind="file"),)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _missing_purposes(case: CuratedCase, prepared: PreparedCase) -> tuple[LedgerEntry, ...]:
    from weakbox.exporters.preparing import ledger_entry

    missing = [purpose.value for purpose in PURPOSES_OF[case.organ] if purpose not in prepared.volumes]
    return (ledger_entry(case, Outcome.FLAGGED, "images_missing", f"no series for {', '.join(missing)}"),) if missing else ()


def _options(config: Config) -> ExportOptions:
    from weakbox.exporters.exporter import ExportOptions

    return ExportOptions(
        segmentation_shapes=config.segmentation_shapes,
        overlay_slices=config.overlay_slices,
        box_frame=config.box_frame,
    )


def _resampler(config: Config) -> Any:
    from weakbox.imaging.resampling import resample_bspline, resample_linear

    return {"linear": resample_linear, "bspline": resample_bspline}[config.interpolation]


def export_dataset(
    cases: Iterable[CuratedCase], exported: Iterable[ExportedCase], identities: Pseudonymiser, folder: Path, config: Config
) -> tuple[Artifact, ...]:
    """Write the files of the whole set: tables, datalists. Cases that were not exported are left out.

    Cases and what was exported of them are joined by case id; the files list them by research case id.
    """
    from weakbox.exporters.dataset import join_cases

    joined = join_cases(cases, exported, identities)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Artifact] = []
    for name in config.exporters:
        write_dataset = load_exporter(name).write_dataset
        if write_dataset is not None:
            written.extend(write_dataset(joined, folder, _options(config)))
    return tuple(written)


@dataclass(frozen=True, slots=True)
class PatientStage:
    """The export of one patient's curated cases under ``folder``; picklable, so that any executor can run it."""

    config: Config
    identities: Pseudonymiser
    folder: Path

    def __call__(self, patient_id: str, records: Sequence[Any]) -> StageOutput:
        """Export every curated case among the records; one ``ExportedCase`` each, dropped rows for those that cannot be read."""
        cases = [item for item in records if isinstance(item, CuratedCase)]
        exported: list[ExportedCase] = []
        ledger: list[LedgerEntry] = []
        for case in cases:
            identity = self.identities.identity(case.patient_id, case.case_id)
            artifacts, rows = export_case(case, identity, self.folder, self.config)
            ledger.extend(rows)
            if not any(row.kind == "case" and row.outcome is Outcome.DROPPED for row in rows):
                exported.append(_exported(case, identity, artifacts, rows))
        return StageOutput(records=exported, ledger=ledger, entered={"case": len(cases)}, left={"case": len(exported)})


def _exported(case: CuratedCase, identity: ResearchIdentity, artifacts: tuple[Artifact, ...], rows: Sequence[LedgerEntry]) -> ExportedCase:
    return ExportedCase(
        case_id=case.case_id,
        patient_id=case.patient_id,
        research_case_id=identity.case_id,
        research_patient_id=identity.patient_id,
        date_shift_days=identity.date_shift_days,
        artifacts=artifacts,
        is_complete=not any(row.outcome is Outcome.DROPPED for row in rows),
    )


@dataclass(frozen=True, slots=True)
class PublicStage:
    """The export of one patient's public cases under ``folder``: 2-D images as PNG, 3-D studies in the formats of a case."""

    config: Config
    folder: Path

    def __call__(self, patient_id: str, records: Sequence[Any]) -> StageOutput:
        """One ``ConvertedCase`` each, without classes; dropped rows for what cannot be read."""
        cases = [item for item in records if isinstance(item, CuratedCase)]
        made: list[ConvertedCase] = []
        ledger: list[LedgerEntry] = []
        for case in cases:
            converted, rows = self._studies(case) if is_volume(case) else self._images(case)
            ledger += rows
            if converted.rows:
                made.append(converted)
            elif not any(row.kind == "case" and row.outcome is Outcome.DROPPED for row in rows):
                ledger.append(_nothing_left(case))
        return StageOutput(records=made, ledger=ledger, entered={"case": len(cases)}, left={"case": len(made)})

    def _images(self, case: CuratedCase) -> tuple[ConvertedCase, tuple[LedgerEntry, ...]]:
        from weakbox.exporters.image_files import ImageWriter

        settings = self.config.images
        return ImageWriter(folder=self.folder, settings=settings.conversion(), keeps_source=settings.keep_source).write(case)

    def _studies(self, case: CuratedCase) -> tuple[ConvertedCase, tuple[LedgerEntry, ...]]:
        from weakbox.exporters.set_rows import public_identity, volume_row

        identity = public_identity(case)
        place = f"public/{case.dataset}"
        artifacts, ledger = export_case(case, identity, self.folder / place, self.config)
        if artifacts:
            drawn, remarks = _drawn_mask(case, identity, self.folder / place)
            artifacts, ledger = (*artifacts, *drawn), (*ledger, *remarks)
        placed = tuple(replace(artifact, path=f"{place}/{artifact.path}") for artifact in artifacts)
        row = volume_row(case, identity, placed)
        is_whole = row is not None and not any(entry.outcome is Outcome.DROPPED for entry in ledger)
        rows = () if row is None else (row,)
        return ConvertedCase(case_id=case.case_id, patient_id=case.patient_id, rows=rows, artifacts=placed, is_complete=is_whole), ledger


def _drawn_mask(case: CuratedCase, identity: ResearchIdentity, folder: Path) -> tuple[tuple[Artifact, ...], tuple[LedgerEntry, ...]]:
    from weakbox.exporters.drawn_masks import write_drawn_mask
    from weakbox.exporters.preparing import ledger_entry

    try:
        artifact = write_drawn_mask(case, identity, folder)
    except InputError as error:
        return (), (ledger_entry(case, Outcome.DROPPED, "export_failed", f"drawn mask: {error}", kind="file"),)
    return (() if artifact is None else (artifact,)), ()


def is_volume(case: CuratedCase) -> bool:
    """Whether a case is a 3-D study rather than 2-D images."""
    return not all(series.role in (SeriesRole.MAMMOGRAM, SeriesRole.DERMATOSCOPY) for series in case.study.series)


def _nothing_left(case: CuratedCase) -> LedgerEntry:
    from weakbox.exporters.preparing import ledger_entry

    return ledger_entry(case, Outcome.DROPPED, "no_image", "none of its images could be written")
