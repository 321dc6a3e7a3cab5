"""What an export format publishes, and what it is given for each case.

A format is one file that publishes ``EXPORTER``. It writes per-case files into the case's folder, or files of the whole
set, or both. Everything it needs of a case is read and computed once, in ``PreparedCase``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weakbox.imaging.masks import LesionMask
from weakbox.imaging.volumes import Compressor, Volume
from weakbox.records.artifact import Artifact
from weakbox.records.grid import Grid
from weakbox.records.imaging import Purpose
from weakbox.records.label import CuratedCase, WeakLabel
from weakbox.records.record import record
from weakbox.runtime.privacy import ResearchIdentity

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CASES_FOLDER = "cases"
ELLIPSOID = "ellipsoid"
BOX = "box"
FILE_STEMS = {Purpose.T2W: "t2w", Purpose.ADC: "adc", Purpose.HIGH_B: "high_b", Purpose.DCE: "dce"}
"""The role of a purpose's native volume; on the reference grid it is ``<stem>_on_reference`` (the reference itself only native)."""
ON_REFERENCE = "_on_reference"


@record
class ExportOptions:
    """What the stage's configuration says to the formats."""

    segmentation_shapes: tuple[str, ...] = (ELLIPSOID,)
    overlay_slices: int = 1
    box_frame: str = "LPS"
    """World frame of the boxes of a MONAI datalist: ``LPS`` or ``RAS``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedVolume:
    """One purpose's volume. ``on_reference`` is None where it lies in another Frame of Reference than the boxes."""

    purpose: Purpose
    native: Volume
    on_reference: Volume | None
    is_reference: bool
    """Whether it is the series whose voxels the boxes count: its native file is the one on the reference grid."""
    provenance: Mapping[str, Any]
    """Where it comes from and in which unit: written beside the volume."""


class Compression:
    """Compresses volumes to NIfTI on threads of its own, each volume once; zlib leaves the interpreter lock free."""

    def __init__(self, workers: Executor, compress: Compressor) -> None:
        self._workers = workers
        self._compress = compress
        self._pending: dict[int, tuple[Volume, Future[bytes]]] = {}

    def start(self, volume: Volume) -> None:
        """Begin, unless this very volume has begun."""
        if id(volume) not in self._pending:
            # The volume is kept beside its future: an id is unique only among living objects.
            self._pending[id(volume)] = volume, self._workers.submit(self._compress, volume)

    def content(self, volume: Volume) -> bytes:
        """The bytes of the ``.nii.gz`` file; waits for them."""
        self.start(volume)
        return self._pending[id(volume)][1].result()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedLabel:
    """A label under the names by which it leaves the house. Masks are None for a label without a box."""

    label: WeakLabel
    number: int
    """1, 2, ... in the order of the case: the value in instance maps, and the end of ``research_id``."""
    research_id: str
    tracking_uid: str
    masks: Mapping[str, LesionMask]
    """By shape (``ellipsoid``, ``box``), on the reference grid; empty for a label without a box."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedCase:
    """Everything the formats need of one case. ``source_images`` are headers that name no patient, in slice order."""

    identity: ResearchIdentity
    reference: Grid | None
    """The grid of the boxes: the series that they name, else the chosen T2W."""
    reference_key: str | None
    volumes: Mapping[Purpose, PreparedVolume]
    labels: tuple[PreparedLabel, ...]
    source_images: tuple[Dataset, ...]
    options: ExportOptions
    compression: Compression

    def file_name(self, ending: str) -> str:
        """``<research case id>_<ending>``."""
        return f"{self.identity.case_id}_{ending}"

    def masks(self, shape: str) -> tuple[LesionMask, ...]:
        """The masks of one shape, in the order of the labels."""
        return tuple(label.masks[shape] for label in self.labels if shape in label.masks)


@record
class DatasetCase:
    """A case that is on disk: what the formats of the whole set are given. Artifacts' ``case_id`` is the research id."""

    case: CuratedCase
    identity: ResearchIdentity
    artifacts: tuple[Artifact, ...]

    def path_of(self, role: str) -> str | None:
        """The path of this case's file in a role, relative to the set's folder."""
        return next((artifact.path for artifact in self.artifacts if artifact.role == role), None)


WriteCase = Callable[[CuratedCase, PreparedCase, Path], tuple[Artifact, ...]]
WriteDataset = Callable[[Sequence[DatasetCase], Path, ExportOptions], tuple[Artifact, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """A format: ``write`` makes the files of one case, ``write_dataset`` those of the set."""

    write: WriteCase | None = None
    write_dataset: WriteDataset | None = None
    needs_source_images: bool = False
    """Whether it refers to DICOM instances, which a ready NIfTI or MHA volume does not have."""
    waits_for_compression: bool = False
    """Whether it writes the volumes that ``Compression`` compresses beside the other formats."""


def case_artifact(prepared: PreparedCase, name: str, content: bytes, kind: str, role: str, sop_instance_uid: str | None = None) -> Artifact:
    """The record of a file in the case's folder."""
    return Artifact(
        path=f"{CASES_FOLDER}/{prepared.identity.case_id}/{name}",
        kind=kind,
        role=role,
        case_id=prepared.identity.case_id,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        sop_instance_uid=sop_instance_uid,
    )


def dataset_artifact(name: str, content: bytes, kind: str, role: str) -> Artifact:
    """The record of a file of the whole set."""
    return Artifact(path=name, kind=kind, role=role, case_id=None, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def json_bytes(content: Any) -> bytes:
    """JSON with sorted keys and a final newline: the same content gives the same bytes."""
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
