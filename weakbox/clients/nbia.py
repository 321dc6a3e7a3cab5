"""TCIA by the NBIA REST API, version 4: one zip for each series, with the MD5 of every image in it.

Endpoints and keys as in NBIA's own source (CBIIT/nbia, ``restAPI/v4``): ``getSeries`` with ``Collection``,
``BodyPartExamined``, ``Modality``; unknown parameters are refused by the server. ``getImageWithMD5Hash`` adds
``md5hashes.csv`` (``Filename,MD5Hash``). The zip is made while it is sent: no length, no Range, and an image that the server
could not read is left out without an error, so the count is checked. Version 1 is being switched off and is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import Field, field_validator

from weakbox.clients.addresses import checked_base_url
from weakbox.clients.client import ClientOptions, ClientPlugin, ListRequest, RemoteFile, RemoteSeries, Unpacking, series_folder, unusable
from weakbox.clients.connection import Connection
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import ConfigurationError, InputError

_UID = re.compile(r"^[0-9]+(?:\.[0-9]+)+$")
_VERSION_1 = re.compile(r"/v1(?:/|$)")
_ATTRIBUTES = {
    "BodyPartExamined": "body_part", "ProtocolName": "protocol", "SeriesNumber": "series_number", "Manufacturer": "manufacturer",
    "ManufacturerModelName": "manufacturer_model", "LicenseName": "licence", "LicenseURI": "licence_uri", "DataDescriptionURI": "doi",
    "Collection": "collection", "ThirdPartyAnalysis": "third_party_analysis",
}  # fmt: skip


class NbiaOptions(ClientOptions):
    """Where the server is, and how images are asked for."""

    base_url: str = Field(default="https://services.cancerimagingarchive.net/nbia-api/services/v4", description="Version 4 of the API.")
    image_endpoint: Literal["getImageWithMD5Hash", "getImage"] = Field(default="getImageWithMD5Hash")
    ask_sizes: bool = Field(default=False, description="Ask `getSeriesSize` for series whose listing has no size: one request each.")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, text: str) -> str:
        if _VERSION_1.search(text):
            msg = "version 1 of the NBIA API is being switched off; use .../nbia-api/services/v4"
            raise ConfigurationError(msg)
        return checked_base_url(text)


class NbiaClient:
    """Series of one collection."""

    def __init__(self, options: NbiaOptions, connection: Connection) -> None:
        self._options = options
        self._connection = connection

    def list(self, request: ListRequest) -> Iterator[RemoteSeries | LedgerEntry]:
        """One ``RemoteSeries`` for each row of ``getSeries``.

        Raises:
            InputError: no collection named, no answer, none found, or series of another collection in the answer.
        """
        if not request.collection:
            msg = "the NBIA client needs a collection, for example `collection: CBIS-DDSM`"
            raise InputError(msg)
        rows = self._connection.get_json(f"{self._options.base_url}/getSeries", _parameters(request))
        if rows is None or rows == []:
            msg = f"no series of {request.collection!r} fit the request; check the spelling of each name (case counts)"
            raise InputError(msg)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            msg = "getSeries did not answer with a list of series; check the base URL"
            raise InputError(msg)
        _check_collection(rows, request.collection)
        for number, row in enumerate(rows, 1):
            yield self._series(number, row)

    def _series(self, number: int, row: Mapping[str, Any]) -> RemoteSeries | LedgerEntry:
        uid = str(row.get("SeriesInstanceUID") or "").strip()
        if not _UID.match(uid):
            return unusable(f"row {number}", "no_series_uid", "getSeries gave no usable SeriesInstanceUID")
        size, count = _whole_number(row.get("FileSize")), _whole_number(row.get("ImageCount"))
        if self._options.ask_sizes and (size is None or count is None):
            size, count = self._asked_size(uid, size, count)
        return RemoteSeries(
            key=uid,
            patient_id=_text(row, "PatientID"),
            study=_text(row, "StudyInstanceUID"),
            modality=_text(row, "Modality"),
            description=_text(row, "SeriesDescription"),
            size_bytes=size,
            image_count=count,
            attributes={name: _text(row, key) for key, name in sorted(_ATTRIBUTES.items()) if _text(row, key)},
        )

    def _asked_size(self, uid: str, size: int | None, count: int | None) -> tuple[int | None, int | None]:
        answer = self._connection.get_json(f"{self._options.base_url}/getSeriesSize", {"SeriesInstanceUID": uid, "format": "json"})
        row = answer[0] if isinstance(answer, list) and answer and isinstance(answer[0], dict) else {}
        asked = _whole_number(row.get("TotalSizeInBytes")), _whole_number(row.get("ObjectCount"))
        return size if size is not None else asked[0], count if count is not None else asked[1]

    def files(self, series: RemoteSeries) -> tuple[RemoteFile, ...]:
        """The one zip of a series."""
        query = urlencode({"SeriesInstanceUID": series.key})
        has_md5 = self._options.image_endpoint == "getImageWithMD5Hash"
        unpacking = Unpacking(
            into=series_folder(series), md5_list="md5hashes.csv" if has_md5 else "", count=series.image_count, suffix=".dcm"
        )
        url = f"{self._options.base_url}/{self._options.image_endpoint}?{query}"
        return (
            RemoteFile(
                url=url,
                path=f"{series_folder(series)}.zip",
                kind="zip",
                group=series.key,
                estimated_bytes=series.size_bytes,
                unpacking=unpacking,
            ),
        )

    def authorisation(self) -> Mapping[str, tuple[str, str]]:
        """Open data only: restricted collections have left NBIA."""
        return {}


def _parameters(request: ListRequest) -> dict[str, str]:
    named = {"Collection": request.collection, "Modality": request.modality, "BodyPartExamined": request.body_part}
    if len(request.patients) == 1:
        named["PatientID"] = request.patients[0]
    return {**{key: value for key, value in named.items() if value}, "format": "json"}


def _check_collection(rows: list[dict[str, Any]], collection: str) -> None:
    """A server that ignores the filter must not fill the folder with foreign series."""
    foreign = sorted({_text(row, "Collection") for row in rows} - {collection})
    if foreign:
        shown = ", ".join(repr(name[:60]) for name in foreign[:3])
        msg = f"getSeries was asked for {collection!r} and answered with series of {shown}; nothing was fetched; check the spelling"
        raise InputError(msg)


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value).strip()


def _whole_number(value: object) -> int | None:
    """NBIA writes sizes as numbers or as text, sometimes with a point.

    >>> _whole_number("1024.0"), _whole_number(None), _whole_number("?")
    (1024, None, None)
    """
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if 0 <= number < float("inf") else None


def _source(options: NbiaOptions, request: ListRequest) -> str:
    return f"TCIA (NBIA REST API v4, {options.base_url}), collection {request.collection}"


CLIENT = ClientPlugin(options=NbiaOptions, open=NbiaClient, source=_source, polite_interval_s=0.5)
