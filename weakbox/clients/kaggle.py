"""Kaggle through the user's own ``kagglehub``: it holds the account, resumes and checks by itself. One handle is one series.

``collection`` is ``owner/dataset`` (with ``/versions/N`` to fix one) or ``competition:name`` (also ``competitions/name``), whose
rules the user must have accepted on its page.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from weakbox.clients.client import ClientOptions, ClientPlugin, ListRequest, RemoteFile, RemoteSeries
from weakbox.clients.connection import Connection
from weakbox.records.case import LedgerEntry
from weakbox.records.errors import ConfigurationError, InputError

COMPETITIONS = ("competition:", "competitions/")
_DATASET = re.compile(r"^[\w.-]+/[\w.-]+(?:/versions/[0-9]+)?$")
_COMPETITION = re.compile(r"^(?:competition:|competitions/)[\w.-]+$")
_KEY_VARIABLES = (("KAGGLE_API_TOKEN",), ("KAGGLE_USERNAME", "KAGGLE_KEY"))
_KEY_FILES = ("kaggle.json", "access_token")


class KaggleOptions(ClientOptions):
    """Nothing to set: the account is kagglehub's own matter."""


class KaggleClient:
    """One dataset or competition."""

    def __init__(self, options: KaggleOptions, connection: Connection) -> None:
        del options, connection

    def list(self, request: ListRequest) -> Iterator[RemoteSeries | LedgerEntry]:
        """The one series that the handle is.

        Raises:
            InputError: no usable handle.
            ConfigurationError: kagglehub is not installed, or there is no account.
        """
        if not _DATASET.match(request.collection) and not _COMPETITION.match(request.collection):
            msg = "the Kaggle client needs `collection: owner/dataset` or `collection: competition:name`"
            raise InputError(msg)
        _kagglehub()
        check_credentials()
        yield RemoteSeries(key=request.collection, attributes={})

    def files(self, series: RemoteSeries) -> tuple[RemoteFile, ...]:
        """Only kagglehub knows them."""
        del series
        return ()

    def authorisation(self) -> Mapping[str, tuple[str, str]]:
        """kagglehub keeps its own."""
        return {}

    def fetch(self, series: RemoteSeries, folder: Path) -> None:
        """Download into ``folder``.

        Raises:
            InputError: Kaggle refused, was not reached, or sent damaged data.
        """
        hub = _kagglehub()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            if series.key.startswith(COMPETITIONS):
                hub.competition_download(re.split("[:/]", series.key, maxsplit=1)[1], output_dir=str(folder))
            else:
                hub.dataset_download(series.key, output_dir=str(folder))
        except _errors() as error:
            msg = f"Kaggle did not give {series.key} ({type(error).__name__}): check the account, and accept the rules or terms on its page"
            raise InputError(msg) from error


def _kagglehub() -> ModuleType:
    try:
        return importlib.import_module("kagglehub")
    except ModuleNotFoundError as error:
        msg = "kagglehub is not installed: `uv sync --extra acquire` brings it"
        raise ConfigurationError(msg) from error


def _errors() -> tuple[type[Exception], ...]:
    """kagglehub's own errors of an account, a server, a name, a download, without common base; those of ``requests`` are ``OSError``."""
    module = importlib.import_module("kagglehub.exceptions")
    names = ("BackendError", "CredentialError", "DataCorruptionError", "NotFoundError", "UnauthenticatedError")
    return (OSError, *(getattr(module, name) for name in names if hasattr(module, name)))


def check_credentials() -> None:
    """Whether there is an account at one of the places where kagglehub looks.

    Raises:
        ConfigurationError: there is none.
    """
    folder = Path(os.environ.get("KAGGLE_CONFIG_DIR") or Path.home() / ".kaggle")
    in_environment = any(all(os.environ.get(name) for name in names) for names in _KEY_VARIABLES)
    if not in_environment and not any((folder / name).is_file() for name in _KEY_FILES):
        msg = "no Kaggle account: set KAGGLE_API_TOKEN (or KAGGLE_USERNAME and KAGGLE_KEY), or put kaggle.json into ~/.kaggle"
        raise ConfigurationError(msg)


def _source(_options: KaggleOptions, request: ListRequest) -> str:
    return f"Kaggle, {request.collection}"


CLIENT = ClientPlugin(options=KaggleOptions, open=KaggleClient, source=_source)
