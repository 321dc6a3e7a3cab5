"""Reads and computes once what every format needs of a case: volumes, the reference grid, masks, headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from weakbox.exporters.exporter import BOX, ELLIPSOID, Compression, ExportOptions, PreparedCase, PreparedLabel, PreparedVolume
from weakbox.imaging.diffusion import AdcUnit, adc_in_micro, adc_map, computed_signal, extrapolated_signal, fit_adc
from weakbox.imaging.masks import LesionMask, box_mask, ellipsoid_mask
from weakbox.imaging.resampling import FrameMismatchError
from weakbox.imaging.volumes import SeriesImages, Volume, as_int16, read_series, same_place
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import InputError
from weakbox.records.grid import Grid
from weakbox.records.imaging import PURPOSES_OF, Purpose, Series, SeriesChoice, SeriesRole
from weakbox.records.label import CuratedCase
from weakbox.runtime.privacy import ResearchIdentity
from weakbox.terminology.dicom_codes import APPARENT_DIFFUSION_COEFFICIENT, DIFFUSION_UNIT

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

STAGE = "export"
ADC_UNIT = {
    "quantity": APPARENT_DIFFUSION_COEFFICIENT.meaning,
    "quantity_code": f"{APPARENT_DIFFUSION_COEFFICIENT.value} {APPARENT_DIFFUSION_COEFFICIENT.scheme}",
    "unit": "1e-6 mm2/s",
    "unit_ucum": DIFFUSION_UNIT.value,
}
"""What the voxels of an exported ADC map are."""
UNIT_FACTOR = 1e6

Resample = Callable[[Volume, Grid], Volume]


@dataclass(slots=True, kw_only=True)
class CaseReader:
    """Reads each series of a case at most once, and collects remarks for the ledger."""

    case: CuratedCase
    identity: ResearchIdentity
    _read: dict[str, SeriesImages] = field(default_factory=dict)
    ledger: list[LedgerEntry] = field(default_factory=list)

    def images(self, key: str) -> SeriesImages:
        """A series of the study.

        Raises:
            InputError: no such series, or its files cannot be used.
        """
        if key not in self._read:
            self._read[key] = read_series(self.series(key))
        return self._read[key]

    def series(self, key: str) -> Series:
        """The record of a series."""
        series = self.case.study.find_series(key)
        if series is None:
            msg = f"the study has no series {key}, which a choice or a box names; run the stages before export again"
            raise InputError(msg)
        return series

    def flag(self, reason: str, detail: str) -> None:
        """Note something that goes on with a remark."""
        self.ledger.append(ledger_entry(self.case, Outcome.FLAGGED, reason, detail))


def ledger_entry(case: CuratedCase, outcome: Outcome, reason: str, detail: str, *, kind: str = "case") -> LedgerEntry:
    """A row about one case, or (kind ``file``) about files of it."""
    return LedgerEntry(
        stage=STAGE, kind=kind, item_id=case.case_id, outcome=outcome, reason=reason, detail=detail, patient_id=case.patient_id
    )


def prepare(
    case: CuratedCase,
    identity: ResearchIdentity,
    options: ExportOptions,
    resample: Resample,
    compression: Compression,
    *,
    start_early: bool,
) -> tuple[PreparedCase, tuple[LedgerEntry, ...]]:
    """Everything the formats need, and remarks. ``start_early`` begins to compress each volume while the next is read.

    Raises:
        InputError: a chosen series cannot be read, or boxes name another series, frame or grid than the reference.
    """
    reader = CaseReader(case=case, identity=identity)
    key = reference_key(case)
    reference = _reference_grid(reader, key)
    volumes: dict[Purpose, PreparedVolume] = {}
    for purpose in Purpose:
        prepared_volume = _prepare_volume(reader, purpose, reference, resample)
        if prepared_volume is not None:
            volumes[purpose] = prepared_volume
            for volume in (prepared_volume.native, prepared_volume.on_reference) if start_early else ():
                if volume is not None:
                    compression.start(volume)
    prepared = PreparedCase(
        identity=identity,
        reference=reference,
        reference_key=key,
        volumes=volumes,
        labels=_prepare_labels(case, identity, reference),
        source_images=_source_images(reader, key),
        options=options,
        compression=compression,
    )
    return prepared, tuple(reader.ledger)


def reference_key(case: CuratedCase) -> str | None:
    """The key of the series whose voxels the boxes count: the one that they name, else the chosen T2W.

    Raises:
        InputError: boxes of one case name different series.
    """
    keys = sorted({label.box.reference_series_key for label in case.labels if label.box is not None})
    if len(keys) > 1:
        msg = f"boxes of one case name {len(keys)} reference series ({', '.join(keys)}); they must share one"
        raise InputError(msg)
    if keys:
        return keys[0]
    choice = case.study.choice(PURPOSES_OF[case.organ][0])
    return choice.series_key if choice else None


def _reference_grid(reader: CaseReader, key: str | None) -> Grid | None:
    if key is None:
        return None
    series = reader.series(key)
    return series.grid or reader.images(key).volume.grid


def _prepare_volume(reader: CaseReader, purpose: Purpose, reference: Grid | None, resample: Resample) -> PreparedVolume | None:
    choice = reader.case.study.choice(purpose)
    if choice is None:
        return None
    if choice.derived is not None:
        native, provenance = _derive(reader, choice)
    elif choice.series_key is not None:
        native, provenance = _acquired(reader, choice, choice.series_key)
    else:
        return None
    return PreparedVolume(
        purpose=purpose,
        native=native,
        on_reference=_on_reference(reader, purpose, native, reference, resample),
        is_reference=choice.derived is None and choice.series_key == reference_key(reader.case),
        provenance={"reason_for_choice": choice.reason, **provenance},
    )


def _on_reference(reader: CaseReader, purpose: Purpose, native: Volume, reference: Grid | None, resample: Resample) -> Volume | None:
    if reference is None:
        return None
    if native.grid.frame_of_reference_uid is not None and same_place(native.grid, reference):
        return native
    try:
        return resample(native, reference)
    except FrameMismatchError:
        reader.flag("frames_differ", f"{purpose.value}: another Frame of Reference than the reference series; exported natively only")
        return None


def _acquired(reader: CaseReader, choice: SeriesChoice, key: str) -> tuple[Volume, dict[str, Any]]:
    images, series = reader.images(key), reader.series(key)
    provenance: dict[str, Any] = {
        "kind": "computed by the scanner" if series.is_computed_b else "acquired",
        "series_key": key,
        "frame_of_reference_uid": images.volume.grid.frame_of_reference_uid,
        "b_values_s_mm2": series.b_values,
        "remarks": list(images.remarks),
    }
    if choice.purpose is not Purpose.ADC:
        return images.volume, provenance
    array, unit = adc_in_micro(images.volume.array)
    if unit is AdcUnit.UNKNOWN:
        reader.flag("adc_unit_unknown", "the values of the ADC series fit no unit of diffusion: exported as stored")
    provenance |= {"unit": None} if unit is AdcUnit.UNKNOWN else ADC_UNIT
    provenance["unit_as_stored"] = unit.value
    return Volume(array, images.volume.grid), provenance


def _derive(reader: CaseReader, choice: SeriesChoice) -> tuple[Volume, dict[str, Any]]:
    provenance: dict[str, Any] = {"kind": "derived by Weakbox", "derived": choice.derived, "inputs": list(choice.inputs)}
    acquired = {_single_b(reader.series(key)): key for key in choice.inputs if reader.series(key).role is not SeriesRole.ADC}
    maps = [key for key in choice.inputs if reader.series(key).role is SeriesRole.ADC]
    if choice.derived == "adc_from_dwi":
        return _derived_adc(reader, acquired, provenance)
    b_value = computed_b_value(choice.derived or "")
    if maps:
        return _extrapolated(reader, b_value, acquired, maps[0], provenance)
    fit = fit_adc({b: reader.images(key).volume for b, key in acquired.items()})
    grid = reader.images(acquired[fit.b_values[0]]).volume.grid
    provenance |= _fit_description(fit.b_values) | {"b_values_s_mm2": [b_value], "frame_of_reference_uid": grid.frame_of_reference_uid}
    return _whole(computed_signal(fit, b_value), grid), provenance


def _derived_adc(reader: CaseReader, acquired: Mapping[float, str], provenance: dict[str, Any]) -> tuple[Volume, dict[str, Any]]:
    fit = fit_adc({b: reader.images(key).volume for b, key in acquired.items()})
    grid = reader.images(acquired[fit.b_values[0]]).volume.grid
    provenance |= _fit_description(fit.b_values) | ADC_UNIT | {"frame_of_reference_uid": grid.frame_of_reference_uid}
    return Volume(adc_map(fit), grid), provenance


def _fit_description(b_values: tuple[float, ...]) -> dict[str, Any]:
    model = "S(b) = S0 exp(-b ADC), least squares of ln S, ADC clipped to 0..3.5e-3 mm2/s"
    return {"model": model, "fitted_b_values_s_mm2": list(b_values)}


def _extrapolated(
    reader: CaseReader, b_value: float, acquired: Mapping[float, str], adc_key: str, provenance: dict[str, Any]
) -> tuple[Volume, dict[str, Any]]:
    if not acquired:
        msg = f"computed b {b_value:g}: an ADC map alone is not enough; it needs an acquired b-value"
        raise InputError(msg)
    b_reference = max(acquired)
    signal, adc = reader.images(acquired[b_reference]).volume, reader.images(adc_key).volume
    if not same_place(signal.grid, adc.grid):
        msg = f"computed b {b_value:g}: the ADC map and the b {b_reference:g} image lie on different grids"
        raise InputError(msg)
    values, unit = adc_in_micro(adc.array)
    if unit is AdcUnit.UNKNOWN:
        msg = f"computed b {b_value:g}: the values of the ADC map fit no unit of diffusion"
        raise InputError(msg)
    made = extrapolated_signal(signal.array, b_reference, values / UNIT_FACTOR, b_value)
    provenance |= {
        "model": "S(b) = S(b_ref) exp(-(b - b_ref) ADC)",
        "b_reference_s_mm2": b_reference,
        "b_values_s_mm2": [b_value],
        "frame_of_reference_uid": signal.grid.frame_of_reference_uid,
    }
    return _whole(made, signal.grid), provenance


def _whole(values: Any, grid: Grid) -> Volume:
    return Volume(as_int16(np.rint(values)), grid)


def _single_b(series: Series) -> float:
    if len(series.b_values) != 1:
        msg = f"series {series.key}: expected one b-value to compute with, found {len(series.b_values)}"
        raise InputError(msg)
    return series.b_values[0]


def computed_b_value(derived: str) -> float:
    """The b-value (s/mm2) that a choice asks for.

    >>> computed_b_value("computed_b1400")
    1400.0

    Raises:
        InputError: anything else than ``computed_b<number>``.
    """
    number = derived.removeprefix("computed_b")
    if number == derived or not number.replace(".", "", 1).isdigit():
        msg = f"a derived image {derived!r} is unknown; expected adc_from_dwi or computed_b<number>"
        raise InputError(msg)
    return float(number)


def _prepare_labels(case: CuratedCase, identity: ResearchIdentity, reference: Grid | None) -> tuple[PreparedLabel, ...]:
    from weakbox.exporters.dicom_objects import content_uid

    prepared = []
    for number, (label, research_id) in enumerate(zip(case.labels, research_label_ids(case, identity), strict=True), start=1):
        masks: dict[str, LesionMask] = {}
        if label.box is not None and reference is not None:
            blocks = {ELLIPSOID: ellipsoid_mask(label.box, reference), BOX: box_mask(label.box, reference)}
            masks = {shape: LesionMask(label=label, number=number, mask=block) for shape, block in blocks.items()}
        tracking_uid = content_uid("lesion", research_id, case.study.study_uid)
        prepared.append(PreparedLabel(label=label, number=number, research_id=research_id, tracking_uid=tracking_uid, masks=masks))
    return tuple(prepared)


def research_label_ids(case: CuratedCase, identity: ResearchIdentity) -> tuple[str, ...]:
    """The names under which a case's labels leave the house, in the order of ``case.labels``.

    >>> identity = ResearchIdentity(patient_id="P1", case_id="P1_S1", date_shift_days=0, keep_original=False)
    >>> from weakbox.records.imaging import ImagingStudy
    >>> case = CuratedCase(case_id="c", patient_id="p", dataset="d", organ="prostate", study=ImagingStudy(study_uid="1", patient_id="p"))
    >>> research_label_ids(case, identity)
    ()
    """
    if identity.keep_original:
        return tuple(label.label_id for label in case.labels)
    return tuple(f"{identity.case_id}_L{number}" for number in range(1, len(case.labels) + 1))


def _source_images(reader: CaseReader, key: str | None) -> tuple[Dataset, ...]:
    """Headers of the reference series in slice order, under the research identity; none where its files are not one image a slice.

    A multi-frame file serves where its frames are the series' slices in order.
    """
    if key is None or reader.series(key).volume_path is not None or reader.series(key).frame_of_reference_uid is None:
        return ()
    from weakbox.exporters.dicom_objects import research_header

    headers, series = reader.images(key).headers, reader.series(key)
    slices = len(series.instances)
    is_multi_frame = len(headers) == 1 and [instance.frame for instance in series.instances] == list(range(1, slices + 1))
    is_whole = is_multi_frame and int(headers[0].get("NumberOfFrames", 0) or 0) == slices
    is_mosaic = series.grid is not None and series.grid.shape[2] != slices
    if is_mosaic or not (is_whole or len(headers) == slices):
        return ()
    return tuple(research_header(header, reader.case, reader.identity) for header in headers)
