"""What a public data set publishes: its card, the layouts it is found in, its readers, and where its bytes come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from weakbox.records.case import LedgerEntry
from weakbox.records.label import CuratedCase
from weakbox.records.record import record

PACKAGE = "weakbox.datasets_public"
CONSTANT = "DATASET"


class Access(StrEnum):
    """What stands between a researcher and the files."""

    OPEN = "open"
    REGISTRATION = "registration"
    """An account, terms to accept."""
    COMPETITION = "competition"
    """Kaggle: an account and the competition's rules."""
    CREDENTIALED = "credentialed"
    """PhysioNet: training and a signed agreement."""
    ON_REQUEST = "on_request"
    """The authors decide."""


@record
class DatasetCard:
    """What a person should know before using a set."""

    name: str
    """The file's name: ``cbis_ddsm``."""
    title: str
    """As its authors write it: ``CBIS-DDSM``."""
    organ: str
    """``breast``, ``skin`` or ``prostate``."""
    modalities: tuple[str, ...]
    """DICOM modality codes: MG, MR, DMS ..."""
    licence: str
    """SPDX identifier where there is one, else the terms' own name."""
    licence_url: str = ""
    allows_commercial_use: bool | None = None
    """None where the terms do not say."""
    access: Access
    how_to_obtain: str
    """Steps for a person; gated sets are never fetched by us."""
    homepage: str
    citation: str
    doi: str = ""
    size_gb: float | None = None
    published: Mapping[str, int] = field(default_factory=dict)
    """Counts that its authors publish: ``patients``, ``images``, ``malignant`` ...; only those known for sure."""
    annotations: str
    """What is drawn or stated, in a few words: ``lesion masks``, ``boxes``, ``image class`` ..."""
    label_basis: str
    """What the classes rest on: ``histopathology``, ``BI-RADS``, ``mixed`` ..."""
    good_for: tuple[str, ...]
    """Of ``detection``, ``segmentation``, ``classification``, ``screening``: best first."""
    preference: int
    """1 is tried first among the sets of one organ."""
    traps: tuple[str, ...] = ()
    """What goes wrong with it, and what is done about it; each has a test."""


@record
class Part:
    """Files that belong to a layout, by a glob relative to the set's folder (case as on disk is ignored)."""

    name: str
    pattern: str
    """``*`` within one folder, ``**`` any number of folders."""
    is_required: bool = True


@record
class Layout:
    """One of the shapes in which a set lies on disk (the publisher's own, a mirror's)."""

    name: str
    signature: tuple[str, ...]
    """Names of the parts that together prove that this is the set: a folder with all of them has it."""
    parts: tuple[Part, ...]
    spans_folders: bool = False
    """Whether it lies in sibling folders each of which looks whole (DDSM's volumes): then all of them are one, not copies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A set found on disk. ``files`` are the paths of each part, sorted."""

    dataset: str
    folder: Path
    layout: str
    files: Mapping[str, tuple[Path, ...]]
    missing: tuple[str, ...] = ()
    """Required parts that are not there: the set is partial."""
    unreadable: tuple[Path, ...] = ()
    """Folders of the set that could not be listed."""
    copies: tuple[Path, ...] = ()
    """Other folders where the set lies too; they are not read."""

    def one(self, part: str) -> Path | None:
        """The only (or first) file of a part; None where it is absent."""
        found = self.files.get(part, ())
        return found[0] if found else None


@record
class CollectionSource:
    """Where the bytes of a set come from: a client of ``weakbox/clients`` and what to ask it."""

    client: str
    """``idc``, ``nbia``, ``isic``, ``http_list``, ``kaggle``, ``physionet``."""
    request: Mapping[str, str | tuple[str, ...]]
    brings: str
    """What comes from here: ``images``, ``tables``, ``masks`` ..."""


Completed = tuple[CuratedCase | None, tuple[LedgerEntry, ...]]


class ListedSeries(Protocol):
    """What a client tells of a series before it is fetched."""

    @property
    def patient_id(self) -> str:
        """The patient as the server names it."""
        ...


Annotator = Callable[[Path], Callable[[ListedSeries], Mapping[str, str]]]
"""From a folder that holds a set's tables: what they say of a listed series (``class``, the true ``patient_id`` ...), for choosing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicDataset:
    """A plug-in: every file in this package that describes a set publishes one as ``DATASET``.

    ``read`` looks at tables and file names only and yields one ``CuratedCase`` a study (one series an image) and a
    ``LedgerEntry`` for every row or file that it could not use: rows without images, images without rows, conflicting rows ...
    It raises ``InputError`` where the set cannot be used at all; a table of which no row could be mapped is such an error.

    ``complete`` opens the files of one case, in a worker process: boxes from masks and outlines, sizes, spacing, mask or crop
    told apart by content. None where tables alone say everything. It gives the finished case, or None with the reason.
    """

    card: DatasetCard
    layouts: tuple[Layout, ...]
    read: Callable[[Located], Iterator[CuratedCase | LedgerEntry]]
    complete: Callable[[CuratedCase], Completed] | None = None
    collection: tuple[CollectionSource, ...] = ()
    annotator: Annotator | None = None
