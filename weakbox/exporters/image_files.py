"""2-D images of public sets as PNG, with boxes, masks and crops in the pixels of what was written."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from weakbox.exporters.preparing import ledger_entry
from weakbox.imaging.image_conversion import ConversionSettings, ConvertedImage, ImageSource, MaskSource, MovedBox, MovedMask, convert_image
from weakbox.imaging.perceptual_hash import ImageHash
from weakbox.imaging.png_encoding import encode_png
from weakbox.imaging.projection import read_projection
from weakbox.records.artifact import Artifact
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import InputError
from weakbox.records.image_set import ConvertedCase, ImageBox, ImageRow
from weakbox.records.imaging import Series
from weakbox.records.label import CuratedCase, MaskFile, WeakLabel
from weakbox.records.stated import FieldValue

FOLDER = "public"
_SIDES = {"L": "left", "R": "right"}
_OF_ROW = ("laterality", "view", "breast_density", "site", "columns", "rows", "birads")
"""Attributes of an image that have a column of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWriter:
    """Writes the 2-D images of a case under ``folder``; picklable. ``keeps_source`` also copies each original file beside its PNG."""

    folder: Path
    settings: ConversionSettings
    keeps_source: bool = False

    def write(self, case: CuratedCase) -> tuple[ConvertedCase, tuple[LedgerEntry, ...]]:
        """Convert every image of a case; one that cannot be read is a dropped row of kind ``image``, and the others go on."""
        rows: list[ImageRow] = []
        artifacts: list[Artifact] = []
        ledger: list[LedgerEntry] = []
        for series in case.study.series:
            try:
                row, written, remarks = self._write_image(case, series)
            except InputError as error:
                ledger.append(_entry(case, series, Outcome.DROPPED, "unreadable", str(error)))
                continue
            rows.append(row)
            artifacts += written
            ledger += [_entry(case, series, Outcome.FLAGGED, "conversion_remark", remark) for remark in remarks]
        made = ConvertedCase(
            case_id=case.case_id,
            patient_id=case.patient_id,
            rows=tuple(rows),
            artifacts=tuple(artifacts),
            is_complete=len(rows) == len(case.study.series),
        )
        return made, tuple(ledger)

    def _write_image(self, case: CuratedCase, series: Series) -> tuple[ImageRow, list[Artifact], tuple[str, ...]]:
        labels = [label for label in case.labels if _image_of(label) == series.key and (label.pixel_box or label.mask)]
        boxed, masked = [label for label in labels if label.pixel_box], [label for label in labels if label.mask]
        source = ImageSource(
            path=_source_path(series),
            target=str(self.folder / _target(case.dataset, series)),
            boxes=tuple((box.x0, box.y0, box.x1, box.y1) for label in boxed if (box := label.pixel_box)),
            masks=tuple(MaskSource(path=mask.path, value=mask.value) for label in masked if (mask := label.mask)),
        )
        made = convert_image(source, self.settings)
        moved = {label.label_id: box for label, box in zip(boxed, made.boxes, strict=True)}
        masks = {label.label_id: mask for label, mask in zip(masked, made.masks, strict=True)}
        boxes = tuple(self._box(label, moved.get(label.label_id), masks.get(label.label_id), made) for label in labels)
        shown = tuple(box for box in boxes if box is not None)
        mask_path, artifacts = self._together(shown, made)
        row = self._row(case, series, made, shown, mask_path)
        return row, [*self._artifacts(case, series, made), *artifacts, *self._kept_source(case, series)], made.problems

    def _box(self, label: WeakLabel, moved: MovedBox | None, mask: MovedMask | None, made: ConvertedImage) -> ImageBox | None:
        place = moved.box if moved else mask.box if mask else None
        if place is None:
            return None
        roi = next((roi.path for roi in made.rois if moved and roi.number == moved.number), None)
        return ImageBox(
            label_id=label.label_id,
            start=place[:2],
            stop=place[2:],
            label=None,
            tier=label.tier.value,
            finding_types=label.finding_types,
            diagnosis=label.diagnosis,
            birads=label.birads,
            confidence=label.confidence,
            mask_path=self._relative(mask.path) if mask else None,
            roi_path=self._relative(roi) if roi else None,
        )

    def _together(self, boxes: Sequence[ImageBox], made: ConvertedImage) -> tuple[str | None, list[Artifact]]:
        """The mask of all lesions: the only one's own file, else one that numbers them; the smaller lies on top."""
        paths = [(number, box.mask_path) for number, box in enumerate(boxes, 1) if box.mask_path]
        if len(paths) <= 1:
            return (paths[0][1] if paths else None), []
        masks = [(number, read_projection(self.folder / path).pixels > 0) for number, path in paths]
        together = np.zeros(made.shape, dtype=np.uint8 if len(boxes) < 256 else np.uint16)
        for number, mask in sorted(masks, key=lambda item: (-int(item[1].sum()), item[0])):
            together[mask] = number
        path = Path(made.path).with_name(f"{Path(made.path).stem}_masks.png")
        content = encode_png(together)
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        name = self._relative(str(path))
        return name, [Artifact(path=name, kind="png", role="masks", case_id=None, sha256=sha256, bytes=len(content))]

    def _row(self, case: CuratedCase, series: Series, made: ConvertedImage, boxes: tuple[ImageBox, ...], mask_path: str | None) -> ImageRow:
        assert case.origin is not None
        stated = series.attributes
        return ImageRow(
            image_id=series.key,
            image_path=self._relative(made.path),
            dataset=case.dataset,
            organ=case.organ,
            modality=series.modality,
            patient_id=case.patient_id,
            study_id=case.study.study_uid,
            series_key=series.key,
            case_id=case.case_id,
            laterality=_text(stated.get("laterality")) or _SIDES.get(made.laterality or ""),
            view=_text(stated.get("view")) or made.view,
            breast_density=_text(stated.get("breast_density")),
            age_years=case.study.patient_age_years,
            sex=case.study.patient_sex,
            site=_text(stated.get("site")) or _text(case.clinical.get("site")),
            manufacturer=series.manufacturer,
            birads=_text(stated.get("birads")),
            tier=case.tier.value,
            boxes=boxes,
            mask_path=mask_path,
            official_split=case.origin.official_split,
            licence=case.origin.licence,
            attribution=case.origin.attribution,
            columns=made.shape[1],
            rows=made.shape[0],
            spacing_mm=None if made.spacing_mm is None else (made.spacing_mm[1], made.spacing_mm[0]),
            source_columns=made.change.shape[1],
            source_rows=made.change.shape[0],
            sha256=made.sha256,
            source_sha256=file_sha256(Path(made.source)),
            pixel_sha256=made.hash.content_sha256,
            perceptual_hash=perceptual_digits(made.hash),
            group_ids=case.origin.group_ids,
            identifiers=_identifiers(case, series, made),
            attributes={name: value for name, value in stated.items() if name not in _OF_ROW},
        )

    def _artifacts(self, case: CuratedCase, series: Series, made: ConvertedImage) -> Iterable[Artifact]:
        files = [("image", made.path, made.sha256)]
        files += [("mask", mask.path, mask.sha256) for mask in made.masks]
        files += [("roi", roi.path, roi.sha256) for roi in made.rois]
        for role, path, sha256 in files:
            size = Path(path).stat().st_size
            yield Artifact(path=self._relative(path), kind="png", role=role, case_id=case.case_id, sha256=sha256, bytes=size)

    def _kept_source(self, case: CuratedCase, series: Series) -> Iterable[Artifact]:
        if not self.keeps_source:
            return
        source = Path(_source_path(series))
        target = self.folder / _target(case.dataset, series)
        copy = target.with_name(f"{target.stem}_source{source.suffix or '.dcm'}")
        shutil.copyfile(source, copy)
        yield Artifact(
            path=self._relative(str(copy)),
            kind="source",
            role="source",
            case_id=case.case_id,
            sha256=file_sha256(copy),
            bytes=copy.stat().st_size,
        )

    def _relative(self, path: str) -> str:
        return Path(path).relative_to(self.folder).as_posix()


def perceptual_digits(found: ImageHash) -> str | None:
    """Difference, cosine and detail hash as digits; None for a picture too plain."""
    return f"{found.difference:016x}{found.cosine:016x}{found.detail}" if found.has_detail else None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _image_of(label: WeakLabel) -> str | None:
    if label.pixel_box:
        return label.pixel_box.series_key
    mask: MaskFile | None = label.mask
    return mask.series_key if mask else label.series_key


def _source_path(series: Series) -> str:
    return series.volume_path or series.instances[0].path


def _target(dataset: str, series: Series) -> str:
    """Where the PNG goes: folders by a hash keep them small; a piece of it keeps names apart that differ in odd characters only."""
    name = series.key.partition("/")[2]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    digest = hashlib.sha256(series.key.encode()).hexdigest()
    stem = plain if plain == name and len(plain) <= 100 else f"{plain[:80]}-{digest[:8]}"
    return f"{FOLDER}/{dataset}/images/{digest[:2]}/{stem}.png"


def _identifiers(case: CuratedCase, series: Series, made: ConvertedImage) -> tuple[str, ...]:
    """Of an image that is its own study the set's identifiers; of any the SOP Instance UID."""
    own = [f"sop:{made.sop_instance_uid}"] if made.sop_instance_uid else []
    stated = case.origin.identifiers if case.origin and len(case.study.series) == 1 else ()
    return tuple(sorted({*stated, *own}))


def _text(value: FieldValue | None) -> str | None:
    return None if value is None else str(value)


def _entry(case: CuratedCase, series: Series, outcome: Outcome, reason: str, detail: str) -> LedgerEntry:
    return replace(ledger_entry(case, outcome, reason, detail, kind="image"), item_id=series.key)
