"""ISIC archive, REST API version 2: photographs one by one, each with its own licence and attribution.

``/images/search/`` takes ``query``, ``collections`` (ids) and ``limit``, and answers ``{"next": <address>, "results": [...]}``.
A result has ``isic_id``, ``copyright_license``, ``attribution``, ``files.full.{url, size}`` and
``metadata.{acquisition, clinical}``. The diagnosis stands in ``diagnosis_1`` to ``diagnosis_5``; ``benign_malignant`` left the
schema on 2025-06-03. Image addresses may be signed: they are never logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from weakbox.clients.addresses import checked_base_url
from weakbox.clients.client import ClientOptions, ClientPlugin, ContentKind, ListRequest, RemoteFile, RemoteSeries, unusable
from weakbox.clients.connection import Connection
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError

_ISIC_ID = re.compile(r"^ISIC_[0-9]{7,}$")
_KINDS: Mapping[str, ContentKind] = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}


class IsicOptions(ClientOptions):
    """Where the archive is."""

    base_url: str = Field(default="https://api.isic-archive.com/api/v2")
    page_size: int = Field(default=100, ge=1, le=500)

    _check_base_url = field_validator("base_url")(checked_base_url)


class IsicClient:
    """Images of a search."""

    def __init__(self, options: IsicOptions, connection: Connection) -> None:
        self._options = options
        self._connection = connection

    def list(self, request: ListRequest) -> Iterator[RemoteSeries | LedgerEntry]:
        """One ``RemoteSeries`` for each image; ``collection`` is one id or several with commas, ``query`` the archive's search language.

        Raises:
            InputError: neither collection nor query, no answer, none found, or pages that lead elsewhere or in a circle.
        """
        if not request.collection and not request.query:
            msg = "the ISIC client needs `collection` (an id, for example 212) or `query` (for example diagnosis_1:Malignant)"
            raise InputError(msg)
        parameters = {"collections": request.collection, "query": request.query, "limit": str(self._options.page_size)}
        found = 0
        given = {key: value for key, value in parameters.items() if value}
        for page in _pages(self._connection, f"{self._options.base_url}/images/search/", given):
            for row in page:
                found += 1
                yield _image(found, row)
        if not found:
            msg = "no image of the ISIC archive fits the collection and query; check the collection id"
            raise InputError(msg)

    def files(self, series: RemoteSeries) -> tuple[RemoteFile, ...]:
        """The one image."""
        return series.files or ()

    def authorisation(self) -> Mapping[str, tuple[str, str]]:
        """Public images need no account."""
        return {}


def _pages(connection: Connection, start: str, parameters: Mapping[str, str]) -> Iterator[list[Any]]:
    answer = connection.get_json(start, parameters)
    seen: set[str] = set()
    while True:
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            msg = "images/search did not answer with `results`; check the base URL"
            raise InputError(msg)
        yield answer["results"]
        following = answer.get("next")
        if not following:
            return
        if not isinstance(following, str) or following in seen or urlsplit(following).netloc != urlsplit(start).netloc:
            msg = "images/search gave a next page that was read already or lies on another host; try later"
            raise InputError(msg)
        seen.add(following)
        answer = connection.get_json(following)


def _image(number: int, row: object) -> RemoteSeries | LedgerEntry:
    identity = str(row.get("isic_id") or "") if isinstance(row, dict) else ""
    if not isinstance(row, dict) or not _ISIC_ID.match(identity):
        return unusable(f"image {number}", "no_isic_id", "images/search gave no usable isic_id")
    full = _inner(_inner(row, "files"), "full")
    url = full.get("url")
    if not isinstance(url, str) or not url:
        return unusable(identity, "no_image_address", "no files.full.url")
    size = full.get("size") if isinstance(full.get("size"), int) else None
    attributes = {
        **_flat(_inner(row, "metadata")),
        "licence": str(row.get("copyright_license") or ""),
        "attribution": str(row.get("attribution") or ""),
    }
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    suffix = suffix if suffix in _KINDS else ".jpg"
    file = RemoteFile(url=url, path=f"images/{identity}{suffix}", size_bytes=size, kind=_KINDS[suffix], group=identity)
    return RemoteSeries(
        key=identity,
        patient_id=attributes.get("patient_id", ""),
        study=attributes.get("lesion_id", ""),
        modality="photograph",
        description=attributes.get("image_type", ""),
        size_bytes=size,
        image_count=1,
        attributes={name: value for name, value in sorted(attributes.items()) if value},
        files=(file,),
    )


def _inner(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    return value if isinstance(value, dict) else {}


def _flat(metadata: Mapping[str, Any]) -> dict[str, str]:
    """``acquisition`` and ``clinical`` as one table row, names as the archive spells them."""
    values: dict[str, str] = {}
    for group in ("acquisition", "clinical"):
        for name, value in _inner(metadata, group).items():
            if value is not None and not isinstance(value, dict | list):
                values[str(name)] = str(value)
    return values


def _source(options: IsicOptions, request: ListRequest) -> str:
    wanted = [f"collection {request.collection}"] if request.collection else []
    return ", ".join([f"ISIC archive (REST API v2, {options.base_url})", *wanted, *([f"query {request.query}"] if request.query else [])])


CLIENT = ClientPlugin(options=IsicOptions, open=IsicClient, source=_source)
