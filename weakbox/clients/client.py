"""What a protocol publishes, what it is asked, and what it answers: series and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError

from weakbox.clients.addresses import safe_name
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import ConfigurationError
from weakbox.records.record import record
from weakbox.runtime.plugins import load_plugin, plugin_names

if TYPE_CHECKING:
    from weakbox.clients.connection import Connection

PACKAGE = "weakbox.clients"
CONSTANT = "CLIENT"

ChecksumAlgorithm = Literal["md5", "sha1", "sha256", "crc32"]
ContentKind = Literal["any", "zip", "gzip", "tar", "jpeg", "png", "dicom", "pdf", "text", "json", "html"]


@record
class Checksum:
    """A checksum that the server or the list promises; ``value`` is lower-case hexadecimal."""

    algorithm: ChecksumAlgorithm
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


@record
class Unpacking:
    """What becomes of an archive after it was fetched: it is unpacked, checked and deleted.

    ``into`` is a folder relative to the collection. ``md5_list`` names a CSV of the archive (file name, MD5) that every file is
    checked against. ``count`` is the number of files with ``suffix`` that the series must have.
    """

    into: str
    md5_list: str = ""
    count: int | None = None
    suffix: str = ""


@record
class RemoteFile:
    """One file to fetch. ``path`` is relative to the collection, with ``/``.

    ``size_bytes`` is exact and checked; ``estimated_bytes`` serves only the plan, the space check and the progress bar.
    """

    url: str
    path: str
    size_bytes: int | None = None
    checksum: Checksum | None = None
    kind: ContentKind = "any"
    group: str = ""
    reason: str = ""
    estimated_bytes: int | None = None
    unpacking: Unpacking | None = None

    @property
    def expected_bytes(self) -> int | None:
        """The exact size where known, otherwise the estimate."""
        return self.size_bytes if self.size_bytes is not None else self.estimated_bytes


@record
class RemoteSeries:
    """What is chosen as one: a DICOM series, a photograph, a folder of a list.

    ``key`` is unique in a listing. ``size_bytes`` is what the series takes on this disk in the end. ``files`` is ``None`` where the client
    has to ask for them. A companion (label table, licence) belongs to the dataset as a whole: always chosen, never counted.
    """

    key: str
    patient_id: str = ""
    study: str = ""
    modality: str = ""
    description: str = ""
    size_bytes: int | None = None
    image_count: int | None = None
    attributes: Mapping[str, str]
    files: tuple[RemoteFile, ...] | None = None
    is_companion: bool = False

    def value(self, name: str) -> str | None:
        """A field or attribute by name, for strata; ``None`` where the series has none.

        >>> RemoteSeries(key="1", modality="MG", attributes={"laterality": "L"}).value("laterality")
        'L'
        """
        fields = {"patient_id": self.patient_id, "study": self.study, "modality": self.modality, "description": self.description}
        return fields.get(name) or self.attributes.get(name) or None


LISTED_PATIENT = "listed_patient_id"
"""Attribute that keeps the server's patient where the tables of a dataset know better."""


def series_folder(series: RemoteSeries) -> str:
    """``<patient>/<study>/<modality>_<series UID>``: where IDC's own tools put a DICOM series, so that readers find what they know.

    >>> series_folder(RemoteSeries(key="1.2.3", patient_id="P 1", study="1.2", modality="MG", attributes={}))
    'P_1/1.2/MG_1.2.3'
    """
    patient = series.attributes.get(LISTED_PATIENT, series.patient_id)
    parts = (patient, series.study, f"{series.modality}_{series.key}" if series.modality else series.key)
    return "/".join(safe_name(part) for part in parts if part)


class ListRequest(BaseModel):
    """Which series are asked for. What a protocol cannot filter itself is filtered here after listing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    collection: str = ""
    """Collection name, ISIC collection id, Kaggle handle or PhysioNet ``slug/version``: as the server spells it."""
    modality: str = ""
    body_part: str = ""
    patients: tuple[str, ...] = ()
    query: str = ""
    """A search in the server's own words (ISIC search language)."""
    urls: tuple[str, ...] = ()
    """Addresses to fetch as they are (client ``http_list``); ``paths`` names the files where the addresses do not."""
    paths: tuple[str, ...] = ()
    include_description: str = ""
    """Regular expression: only series whose description it finds."""
    exclude_description: str = ""


class ClientOptions(BaseModel):
    """Options of a protocol; a protocol's own options extend them. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Client(Protocol):
    """An open protocol: lists series, and tells the files of one."""

    def list(self, request: ListRequest) -> Iterator[RemoteSeries | LedgerEntry]:
        """The series that fit, and an entry for every answer that could not be used.

        Raises:
            InputError: the server is not reachable, refuses, or answers for another collection.
        """
        ...

    def files(self, series: RemoteSeries) -> tuple[RemoteFile, ...]:
        """The files of a series; may ask the server."""
        ...

    def authorisation(self) -> Mapping[str, tuple[str, str]]:
        """User and password by host, from the environment or netrc; empty where the data is open."""
        ...


@runtime_checkable
class OwnFetching(Protocol):
    """A client whose files only its own library can fetch (Kaggle)."""

    def fetch(self, series: RemoteSeries, folder: Path) -> None:
        """Put the files of ``series`` under ``folder``. The library resumes and checks by itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPlugin:
    """A plug-in: every file in this package that speaks a protocol publishes one as ``CLIENT``."""

    options: type[ClientOptions]
    open: Callable[[Any, Connection], Client]
    source: Callable[[Any, ListRequest], str]
    """Where the data comes from, in one line for ``metadata.json``; without credentials."""
    polite_interval_s: float = 0.1
    """Time between request starts that such servers are used to."""


def client_names() -> tuple[str, ...]:
    """The protocols there are."""
    return plugin_names(PACKAGE, CONSTANT)


def load_client(name: str) -> ClientPlugin:
    """The protocol of this name.

    Raises:
        ConfigurationError: there is none.
    """
    plugin = load_plugin(PACKAGE, name, CONSTANT)
    assert isinstance(plugin, ClientPlugin)
    return plugin


def client_options(name: str, values: Mapping[str, Any]) -> ClientOptions:
    """Checked options of a protocol.

    Raises:
        ConfigurationError: an unknown key or an unusable value; the message names it, and never quotes the value.
    """
    try:
        return load_client(name).options.model_validate(dict(values))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors(include_input=False))
        msg = f"options of the client {name}: {problems}"
        raise ConfigurationError(msg) from error


def unusable(item: str, reason: str, detail: str = "") -> LedgerEntry:
    """An answer of a server that gave no series."""
    return LedgerEntry(stage="collect", kind="series", item_id=item, outcome=Outcome.DROPPED, reason=reason, detail=detail)
