"""Which addresses may be fetched from, and where a file may be put: nothing of a server's answer is trusted."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import httpx

from weakbox.records.errors import ConfigurationError, InputError

LONGEST_NAME = 200
"""Bytes of one path component; most file systems allow 255, and a temporary name needs room."""
_DRIVE = re.compile(r"^[A-Za-z]:")
_DEVICE_NAMES = frozenset({"con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))})


class AddressRefusedError(Exception):
    """A URL, possibly of a redirect, that is neither HTTPS nor this machine."""


def is_loopback_host(host: str) -> bool:
    """Whether a host is literally this machine; a name that merely resolves to it is not.

    >>> is_loopback_host("127.0.0.1"), is_loopback_host("localhost"), is_loopback_host("localhost.example.org")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_address(url: httpx.URL) -> None:
    """Let HTTPS pass, and plain HTTP only to this machine.

    Raises:
        AddressRefusedError: anything else.
    """
    if url.scheme == "https" and url.host:
        return
    if url.scheme == "http" and is_loopback_host(url.host):
        return
    msg = f"{url.scheme}://{url.host}: only https is fetched, and http only from this machine"
    raise AddressRefusedError(msg)


def checked_base_url(text: str) -> str:
    """A base URL of the configuration without its last slash.

    Raises:
        ConfigurationError: no HTTPS URL (HTTP is for loopback alone), or one with a password or query in it.
    """
    try:
        url = httpx.URL(text.rstrip("/").replace("{bucket}", "bucket"))
        check_address(url)
    except (httpx.InvalidURL, AddressRefusedError) as error:
        msg = "a base URL must begin with https:// (http:// only for 127.0.0.1 or localhost)"
        raise ConfigurationError(msg) from error
    if url.userinfo or url.query:
        msg = "a base URL carries no password and no query; credentials come from the environment or ~/.netrc"
        raise ConfigurationError(msg)
    return text.rstrip("/")


def shown(url: str) -> str:
    """A URL without user, password, query and fragment: signed addresses and tokens never get into a log.

    >>> shown("https://user:secret@example.org/a/b.jpg?Signature=x#y")
    'https://example.org/a/b.jpg'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def safe_relative_path(text: str) -> str:
    """A relative path that stays below its folder on every system, normalised.

    >>> safe_relative_path("images/ISIC_0000000.jpg")
    'images/ISIC_0000000.jpg'

    Raises:
        InputError: absolute, with `..`, a drive letter, a backslash, a control character, or a reserved or too long name.
    """
    path = PurePosixPath(unicodedata.normalize("NFC", text))
    problem = _path_problem(text, path)
    if problem:
        msg = f"the path {text[:80]!r} is refused: {problem}; a relative path with / is expected"
        raise InputError(msg)
    return path.as_posix()


def _path_problem(text: str, path: PurePosixPath) -> str:
    if not text.strip() or not path.parts:
        return "it is empty"
    if path.is_absolute() or _DRIVE.match(text):
        return "it is absolute"
    if "\\" in text:
        return "it has a backslash"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return "it has a control character"
    for part in path.parts:
        if part == ".." or part.rstrip(". ") != part:
            return "it leaves its folder or ends with a dot or space"
        if part.split(".")[0].lower() in _DEVICE_NAMES:
            return "it is a reserved name"
        if len(part.encode()) > LONGEST_NAME:
            return "a name is too long"
    return ""


_UNSAFE_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]+")


def safe_name(text: str) -> str:
    """One path component made of a key: unsafe characters become ``_``.

    >>> safe_name("1.2.840/../x y")
    '1.2.840_.._x_y'
    """
    name = _UNSAFE_CHARACTERS.sub("_", text).strip(". ")
    return safe_relative_path(name or "_")
