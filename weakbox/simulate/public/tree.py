"""What a simulated tree of a public data set gives: the files on disk, and the truth about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weakbox.records.record import record

PACKAGE = "weakbox.simulate.public"
CONSTANT = "TREE"


@record
class PlantedLesion:
    """A lesion drawn into an image. 2-D ``start``/``stop``: pixel edges (x, y). 3-D: half-open voxels (i, j, k) of the reference volume."""

    start: tuple[float, ...]
    stop: tuple[float, ...]
    diagnosis: str | None = None
    birads: str | None = None
    is_annotated: bool = True
    """False where the set's own annotation does not give its place."""


@record
class PlantedImage:
    """One image of the tree, by its path relative to the tree (3-D: the reference volume's file or series folder)."""

    path: str
    patient_id: str
    lesions: tuple[PlantedLesion, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    """``laterality``, ``view`` ...: what the reader must find."""


@record
class PlantedTree:
    """Everything that was written; ``dropped`` are reason codes that the reader must write to the ledger, with how many."""

    images: tuple[PlantedImage, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTree:
    """A plug-in: every file in this package that makes a tree publishes one as ``TREE``.

    ``write(folder, patients, seed)`` makes the tree of a healthy download in the layout ``layout``, the same bytes each time.
    """

    layout: str
    write: Callable[[Path, int, int], PlantedTree]
    other_layouts: Mapping[str, Callable[[Path, int, int], PlantedTree]] = field(default_factory=dict)
