"""NCI Imaging Data Commons: public buckets, one folder for each series, one object for each image; no account.

The index of all series comes with the package ``idc-index`` (its data package holds one Parquet file), or from a table that the user gives:
any CSV or Parquet with the index's own column names. The buckets are read here over HTTPS, so that every image is checked against
the size and MD5 of the listing: the tool that ``idc-index`` would start checks neither (peak/s5cmd#563).
"""

from __future__ import annotations

import csv
import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field, field_validator

from weakbox.clients.addresses import checked_base_url
from weakbox.clients.bucket import list_objects, object_url
from weakbox.clients.client import ClientOptions, ClientPlugin, ListRequest, RemoteFile, RemoteSeries, series_folder, unusable
from weakbox.clients.connection import Connection
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import ConfigurationError, InputError

_SERIES_URL = re.compile(r"^(?:s3|gs)://([a-z0-9][a-z0-9.-]+)/([0-9a-f-]{36})/?\*?$")
_UID = re.compile(r"^[0-9]+(?:\.[0-9]+)+$")
_REQUIRED = ("collection_id", "SeriesInstanceUID")
_ATTRIBUTES = {
    "BodyPartExamined": "body_part", "Manufacturer": "manufacturer", "ManufacturerModelName": "manufacturer_model",
    "SeriesNumber": "series_number",
    "license_short_name": "licence", "source_DOI": "doi", "collection_id": "collection", "analysis_result_id": "analysis_result",
    "PatientAge": "age", "PatientSex": "sex",
}  # fmt: skip
_READ = (*_REQUIRED, "PatientID", "StudyInstanceUID", "Modality", "SeriesDescription", "instanceCount", "series_size_MB",
         "series_aws_url", "crdc_series_uuid", "aws_bucket", *_ATTRIBUTES)  # fmt: skip


class IdcOptions(ClientOptions):
    """Where the index and the buckets are."""

    index: Path | None = Field(default=None, description="CSV or Parquet with the columns of IDC's index; empty: the package idc-index.")
    bucket_url: str = Field(
        default="https://{bucket}.s3.amazonaws.com",
        description="Address of a bucket; `https://storage.googleapis.com/{bucket}` reads Google's copy.",
    )

    _check_bucket_url = field_validator("bucket_url")(checked_base_url)


class IdcClient:
    """Series of one collection of the index."""

    def __init__(self, options: IdcOptions, connection: Connection) -> None:
        self._options = options
        self._connection = connection

    def list(self, request: ListRequest) -> Iterator[RemoteSeries | LedgerEntry]:
        """One ``RemoteSeries`` for each row of the collection. ``CBIS-DDSM`` and ``cbis_ddsm`` are the same.

        Raises:
            InputError: no collection named, none found, or a table without the index's columns.
            ConfigurationError: no table given and idc-index is not installed.
        """
        collection = request.collection.lower().replace("-", "_").replace(" ", "_")
        if not collection:
            msg = "the IDC client needs a collection, for example `collection: cbis_ddsm`"
            raise InputError(msg)
        path = self._options.index or packaged_index()
        found = 0
        for number, row in enumerate(_rows(path, collection), 1):
            found += 1
            if not request.body_part or _text(row, "BodyPartExamined").casefold() == request.body_part.casefold():
                yield _series(number, row)
        if not found:
            msg = f"{path.name}: no series of the collection {collection!r}; check its spelling and the age of the index"
            raise InputError(msg)

    def files(self, series: RemoteSeries) -> tuple[RemoteFile, ...]:
        """The objects of a series.

        Raises:
            InputError: the bucket is not reachable, or holds another number of images than the index says.
        """
        bucket, folder = series.attributes["bucket"], series.attributes["bucket_folder"]
        bucket_url = self._options.bucket_url.replace("{bucket}", bucket)
        objects = list(list_objects(self._connection, bucket_url, f"{folder}/"))
        if series.image_count is not None and len(objects) != series.image_count:
            msg = f"series {series.key}: {len(objects)} objects in the bucket where the index says {series.image_count}; update the index"
            raise InputError(msg)
        return tuple(
            RemoteFile(
                url=object_url(bucket_url, item.key),
                path=f"{series_folder(series)}/{PurePosixPath(item.key).name}",
                size_bytes=item.size_bytes,
                checksum=item.checksum,
                kind="dicom",
                group=series.key,
            )
            for item in sorted(objects, key=lambda item: item.key)
        )

    def authorisation(self) -> Mapping[str, tuple[str, str]]:
        """The buckets are public."""
        return {}


def packaged_index() -> Path:
    """The Parquet file of the package ``idc-index-data``, which comes with ``idc-index``.

    Raises:
        ConfigurationError: not installed.
    """
    try:
        package = importlib.import_module("idc_index_data")
    except ModuleNotFoundError as error:
        msg = (
            "the index of IDC is not installed: `uv sync --extra acquire` brings idc-index; or name a CSV or Parquet by the option `index`"
        )
        raise ConfigurationError(msg) from error
    path = package.IDC_INDEX_PARQUET_FILEPATH
    if path is None:
        msg = "the installed idc-index-data holds no index; sync again, or name a CSV or Parquet by the option `index`"
        raise ConfigurationError(msg)
    return Path(path)


def _rows(path: Path, collection: str) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        msg = f"{path}: no such file; the client option `index` names it"
        raise InputError(msg)
    yield from _parquet_rows(path, collection) if path.suffix == ".parquet" else _csv_rows(path, collection)


def _parquet_rows(path: Path, collection: str) -> Iterator[Mapping[str, Any]]:
    from pyarrow import ArrowInvalid, parquet

    try:
        names = set(parquet.read_schema(path).names)
        _check_columns(path, names)
        table = parquet.read_table(path, columns=[name for name in _READ if name in names], filters=[("collection_id", "==", collection)])
    except ArrowInvalid as error:
        msg = f"{path.name}: no Parquet file; a CSV or Parquet with the columns of IDC's index is expected"
        raise InputError(msg) from error
    yield from sorted(table.to_pylist(), key=lambda row: str(row["SeriesInstanceUID"]))


def _csv_rows(path: Path, collection: str) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        _check_columns(path, set(rows.fieldnames or ()))
        yield from (row for row in rows if row["collection_id"] == collection)


def _check_columns(path: Path, names: set[str]) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    if "series_aws_url" not in names and not {"crdc_series_uuid", "aws_bucket"} <= names:
        missing.append("series_aws_url (or crdc_series_uuid and aws_bucket)")
    if missing:
        msg = f"{path.name}: the columns {', '.join(missing)} are missing; the table must have the columns of IDC's index"
        raise InputError(msg)


def _series(number: int, row: Mapping[str, Any]) -> RemoteSeries | LedgerEntry:
    uid = _text(row, "SeriesInstanceUID")
    if not _UID.match(uid):
        return unusable(f"row {number}", "no_series_uid", "no usable SeriesInstanceUID")
    place = _SERIES_URL.match(_text(row, "series_aws_url") or f"s3://{_text(row, 'aws_bucket')}/{_text(row, 'crdc_series_uuid')}")
    if place is None:
        return unusable(uid, "no_bucket", "neither series_aws_url nor aws_bucket and crdc_series_uuid can be used")
    megabytes, count = _number(row, "series_size_MB"), _number(row, "instanceCount")
    named = {name: _text(row, key) for key, name in _ATTRIBUTES.items()}
    return RemoteSeries(
        key=uid,
        patient_id=_text(row, "PatientID"),
        study=_text(row, "StudyInstanceUID"),
        modality=_text(row, "Modality"),
        description=_text(row, "SeriesDescription"),
        size_bytes=None if megabytes is None else round(megabytes * 1_000_000),
        image_count=None if count is None else int(count),
        attributes={name: value for name, value in sorted({**named, "bucket": place[1], "bucket_folder": place[2]}.items()) if value},
    )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value).strip()


def _number(row: Mapping[str, Any], key: str) -> float | None:
    try:
        number = float(_text(row, key))
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _source(options: IdcOptions, request: ListRequest) -> str:
    return f"NCI Imaging Data Commons ({options.bucket_url}), collection {request.collection}"


CLIENT = ClientPlugin(options=IdcOptions, open=IdcClient, source=_source, polite_interval_s=0.0)
