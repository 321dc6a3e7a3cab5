"""PhysioNet: the user's own account over Basic authentication, and ``SHA256SUMS.txt`` as the listing of a project.

Access to credentialed projects is granted to a person after training and agreement; nothing here asks for it. Each folder of images is one
series; files at the top (label tables, licence) belong to the project as a whole.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator

from weakbox.clients.addresses import checked_base_url, safe_relative_path
from weakbox.clients.client import ClientOptions, ClientPlugin, ListRequest, RemoteFile, RemoteSeries, unusable
from weakbox.clients.connection import Connection
from weakbox.clients.content import checksum
from weakbox.clients.credentials import credentials_for
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import InputError

USER_VARIABLE, PASSWORD_VARIABLE = "PHYSIONET_USERNAME", "PHYSIONET_PASSWORD"
SUMS = "SHA256SUMS.txt"
_PROJECT = re.compile(r"^[a-z0-9-]+/[0-9][0-9.]*$")
_SUM_LINE = re.compile(r"^([0-9a-fA-F]{64}) [ *](.+)$")


class PhysionetOptions(ClientOptions):
    """Where PhysioNet is."""

    base_url: str = Field(default="https://physionet.org/files")

    _check_base_url = field_validator("base_url")(checked_base_url)


class PhysionetClient:
    """The files of a project version."""

    def __init__(self, options: PhysionetOptions, connection: Connection) -> None:
        self._options = options
        self._connection = connection

    def list(self, request: ListRequest) -> Iterator[RemoteSeries | LedgerEntry]:
        """One ``RemoteSeries`` for each folder with files; ``collection`` is ``slug/version``.

        Raises:
            InputError: another form of ``collection``, no account, no access, or no checksums.
        """
        if not _PROJECT.match(request.collection):
            msg = "the PhysioNet client needs `collection: slug/version`, for example vindr-mammo/1.0.0"
            raise InputError(msg)
        base = f"{self._options.base_url}/{request.collection}"
        try:
            text = self._connection.get_text(f"{base}/{SUMS}")
        except InputError as error:
            msg = (
                f"{error}. Credentialed projects need an account with access: set {USER_VARIABLE} and {PASSWORD_VARIABLE}, "
                "or an entry in ~/.netrc, and sign the project's agreement on its page"
            )
            raise InputError(msg) from error
        folders: dict[str, list[RemoteFile]] = defaultdict(list)
        for number, line in enumerate(text.splitlines(), 1):
            file = _file(base, number, line)
            if isinstance(file, LedgerEntry):
                yield file
            elif file is not None:
                folders[file.group].append(file)
        if not folders:
            msg = f"{SUMS} of {request.collection} lists no file; an error page, perhaps: check account and agreement"
            raise InputError(msg)
        for folder, files in sorted(folders.items()):
            yield _series(folder, tuple(files))

    def files(self, series: RemoteSeries) -> tuple[RemoteFile, ...]:
        """The files of a folder."""
        return series.files or ()

    def authorisation(self) -> Mapping[str, tuple[str, str]]:
        """The user's account, for this host alone."""
        host = urlsplit(self._options.base_url)
        found = credentials_for(host.hostname or "", USER_VARIABLE, PASSWORD_VARIABLE)
        return {host.netloc: found} if found else {}


def _file(base: str, number: int, line: str) -> RemoteFile | LedgerEntry | None:
    if not line.strip():
        return None
    found = _SUM_LINE.match(line.rstrip())
    if found is None:
        return unusable(f"line {number}", "bad_line", "expected: SHA-256, two spaces, path")
    try:
        path = safe_relative_path(found[2])
    except InputError:
        return unusable(f"line {number}", "unsafe_path", "the path leaves the project")
    folder = PurePosixPath(path).parent.as_posix()
    return RemoteFile(url=f"{base}/{quote(path)}", path=path, checksum=checksum("sha256", found[1]), group=folder)


def _series(folder: str, files: tuple[RemoteFile, ...]) -> RemoteSeries:
    is_top = folder == "."
    return RemoteSeries(
        key="project files" if is_top else folder,
        study="" if is_top else PurePosixPath(folder).name,
        image_count=None if is_top else len(files),
        attributes={} if is_top else {"folder": PurePosixPath(folder).parts[0]},
        files=files,
        is_companion=is_top,
    )


def _source(options: PhysionetOptions, request: ListRequest) -> str:
    return f"PhysioNet ({options.base_url}), project {request.collection}"


CLIENT = ClientPlugin(options=PhysionetOptions, open=PhysionetClient, source=_source, polite_interval_s=0.2)
