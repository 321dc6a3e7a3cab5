"""One row of the joined set: an image to train on, what is known of it, and where that comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from weakbox.records.artifact import Artifact
from weakbox.records.record import record
from weakbox.records.stated import FieldValue


@record
class ImageBox:
    """One annotated lesion of an exported image.

    2-D: ``start``/``stop`` are pixel edges (x, y) of the exported image. 3-D: the half-open voxel box (i, j, k) on the reference volume.
    """

    label_id: str
    start: tuple[float, ...]
    stop: tuple[float, ...]
    label: str | None
    """The class by the label policy; None where the policy gives none (the lesion is there, its class is not)."""
    tier: str
    finding_types: tuple[str, ...] = ()
    diagnosis: str | None = None
    birads: str | None = None
    confidence: float = 1.0
    mask_path: str | None = None
    """Of this lesion alone, relative to the set's folder."""
    roi_path: str | None = None
    """A crop around the box, relative to the set's folder."""


@record
class ImageRow:
    """An image (2-D) or a study's reference volume (3-D) of the set. Empty cells are not stated."""

    image_id: str
    """Unique in the set, the same in every run: ``<dataset>/<what names the image there>``."""
    image_path: str
    """Relative to the set's folder."""
    dataset: str
    organ: str
    modality: str
    patient_id: str
    study_id: str
    series_key: str
    case_id: str
    laterality: str | None = None
    view: str | None = None
    breast_density: str | None = None
    age_years: float | None = None
    sex: str | None = None
    site: str | None = None
    manufacturer: str | None = None
    label: str | None = None
    """The image's class by the label policy."""
    diagnosis: str | None = None
    birads: str | None = None
    label_source: str | None = None
    """What the class rests on: ``histopathology``, ``follow_up``, ``birads``, ``consensus`` ..."""
    label_scope: str = "image"
    """Whether the class was stated of the ``image``, the ``breast``, the ``study`` or the ``patient``."""
    tier: str
    boxes: tuple[ImageBox, ...] = ()
    mask_path: str | None = None
    """All lesions: 0 is background, 2-D the number of the lesion in the order of ``boxes`` (or 255 where it is alone), 3-D its instance."""
    split: str | None = None
    fold: int | None = None
    """Fold of cross-validation within the training and validation parts; None for test images."""
    weight: float = 1.0
    copies: int = 1
    """How often a training epoch should show it (over-sampling); 0 leaves it out (under-sampling)."""
    official_split: str | None = None
    licence: str = ""
    attribution: str = ""
    columns: int | None = None
    rows: int | None = None
    slices: int | None = None
    spacing_mm: tuple[float, ...] | None = None
    """Of the exported image, along (x, y[, z]); None where not stated."""
    source_columns: int | None = None
    source_rows: int | None = None
    sha256: str = ""
    """Of the exported file."""
    source_sha256: str | None = None
    """Of the bytes that came in (2-D): finds one file under two names."""
    pixel_sha256: str | None = None
    """Of the decoded source pixels: finds one image in two containers."""
    perceptual_hash: str | None = None
    """96 hexadecimal digits: difference, cosine and detail hash; None where the image is too plain for them to mean anything."""
    group_ids: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    group: str | None = None
    """Everything that must stay in one part: patients, lesions and duplicates that hang together."""
    duplicate_of: str | None = None
    """``image_id`` of the image that is kept instead."""
    attributes: Mapping[str, FieldValue] = field(default_factory=dict)


@record
class ConvertedCase:
    """What the export of one public case wrote: rows of the joined set (empty where nothing could be), and the files."""

    case_id: str
    patient_id: str
    rows: tuple[ImageRow, ...]
    artifacts: tuple[Artifact, ...]
    is_complete: bool
