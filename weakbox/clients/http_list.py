"""Plain addresses: of the request, or of a CSV with ``url`` and, where known, ``path``, ``size``, ``sha256`` or ``md5``, ``group``.

Files of one ``group`` are one series; a row without one is a series of its own. ``companion`` (yes/true/1) marks label tables and the like.
``unpack`` names the folder that an archive is unpacked into. Any other column is an attribute that strata can name. Of the addresses
of a request, each archive is a series and is unpacked into a folder of its name; any other file is a companion.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx
from pydantic import Field

from weakbox.clients.addresses import AddressRefusedError, check_address, safe_relative_path
from weakbox.clients.archives import is_archive
from weakbox.clients.client import Checksum, ClientOptions, ClientPlugin, ListRequest, RemoteFile, RemoteSeries, Unpacking, unusable
from weakbox.clients.connection import Connection
from weakbox.clients.content import checksum
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError

_OWN_COLUMNS = frozenset({"url", "path", "size", "sha256", "md5", "group", "patient_id", "study", "modality", "companion", "unpack"})
_YES = frozenset({"yes", "true", "1"})


class HttpListOptions(ClientOptions):
    """The list."""

    list: Path | None = Field(default=None, description="CSV, UTF-8, with a column `url`; empty: the addresses of the request.")


class HttpListClient:
    """The files of a list."""

    def __init__(self, options: HttpListOptions, _connection: Connection) -> None:
        self._options = options

    def list(self, request: ListRequest) -> Iterator[RemoteSeries | LedgerEntry]:
        """One ``RemoteSeries`` for each group.

        Raises:
            InputError: neither list nor addresses, no such file, or no column ``url``.
        """
        groups: dict[str, list[tuple[RemoteFile, Mapping[str, str]]]] = defaultdict(list)
        for number, row in _rows(self._options.list) if self._options.list else _given_rows(request):
            file = _file(number, row)
            if isinstance(file, LedgerEntry):
                yield file
            else:
                groups[file.group].append((file, row))
        for key, members in sorted(groups.items()):
            yield _series(key, members)

    def files(self, series: RemoteSeries) -> tuple[RemoteFile, ...]:
        """The files of a group."""
        return series.files or ()

    def authorisation(self) -> Mapping[str, tuple[str, str]]:
        """Open addresses only."""
        return {}


def _given_rows(request: ListRequest) -> Iterator[tuple[int, Mapping[str, str]]]:
    if not request.urls or (request.paths and len(request.paths) != len(request.urls)):
        msg = "the client http_list needs the option `list` (a CSV), or `urls` in the request with as many `paths` or none"
        raise InputError(msg)
    for number, url in enumerate(request.urls, 1):
        path = request.paths[number - 1] if request.paths else PurePosixPath(unquote(urlsplit(url).path)).name
        folder = _without_suffix(path) if is_archive(path) else ""
        yield number, {"url": url, "path": path, "unpack": folder, "companion": "" if folder else "yes"}


def _without_suffix(path: str) -> str:
    """The folder that an archive is unpacked into.

    >>> _without_suffix("a/masks.tar.gz")
    'a/masks'
    """
    return re.sub(r"(?:\.tar)?\.[^./]+$", "", path)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    if not path.is_file():
        msg = f"{path}: no such file; the client option `list` names it"
        raise InputError(msg)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if "url" not in (rows.fieldnames or ()):
            msg = f"{path.name}: a column `url` is expected in the first line"
            raise InputError(msg)
        for row in rows:
            yield (
                rows.line_num,
                {name: (value or "").strip() for name, value in row.items() if isinstance(name, str) and not isinstance(value, list)},
            )


def _file(number: int, row: Mapping[str, str]) -> RemoteFile | LedgerEntry:
    item = f"line {number}"
    try:
        check_address(httpx.URL(row["url"]))
        path = safe_relative_path(row.get("path") or PurePosixPath(unquote(urlsplit(row["url"]).path)).name)
        into = safe_relative_path(row["unpack"]) if row.get("unpack") else ""
    except (httpx.InvalidURL, AddressRefusedError):
        return unusable(item, "address_refused", "only https addresses are fetched")
    except InputError as error:
        return unusable(item, "unsafe_path", str(error))
    if row.get("size") and not row["size"].isdigit():
        return unusable(item, "bad_size", "`size` is the number of bytes")
    promised = _checksum(row)
    if isinstance(promised, LedgerEntry):
        return unusable(item, promised.reason, promised.detail)
    return RemoteFile(
        url=row["url"],
        path=path,
        size_bytes=int(row["size"]) if row.get("size") else None,
        checksum=promised,
        group=row.get("group") or path,
        unpacking=Unpacking(into=into) if into and is_archive(path) else None,
    )


def _checksum(row: Mapping[str, str]) -> Checksum | LedgerEntry | None:
    for algorithm in ("sha256", "md5"):
        if row.get(algorithm):
            found = checksum("sha256" if algorithm == "sha256" else "md5", row[algorithm])
            return found or unusable("", "bad_checksum", f"`{algorithm}` is not hexadecimal of the right length")
    return None


def _series(key: str, members: list[tuple[RemoteFile, Mapping[str, str]]]) -> RemoteSeries:
    files = tuple(file for file, _row in members)
    first = members[0][1]
    sizes = [file.size_bytes for file in files if file.size_bytes is not None]
    return RemoteSeries(
        key=key,
        patient_id=first.get("patient_id", ""),
        study=first.get("study", ""),
        modality=first.get("modality", ""),
        size_bytes=sum(sizes) if len(sizes) == len(files) else None,
        image_count=None,
        attributes={name: value for name, value in sorted(first.items()) if name not in _OWN_COLUMNS and value},
        files=files,
        is_companion=any(row.get("companion", "").lower() in _YES for _file, row in members),
    )


def _source(options: HttpListOptions, request: ListRequest) -> str:
    hosts = sorted({urlsplit(url).netloc for url in request.urls})
    return f"HTTP list {options.list.name}" if options.list else f"HTTP, {', '.join(hosts)}"


CLIENT = ClientPlugin(options=HttpListOptions, open=HttpListClient, source=_source)
