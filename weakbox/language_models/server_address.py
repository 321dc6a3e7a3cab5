"""Where a server lies, and whether reports may go there: reports are patient data."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Literal

import httpx

from weakbox.language_models.options import ServerOptions
from weakbox.records.errors import ConfigurationError
from weakbox.records.record import record

DataPolicy = Literal["open", "credentialed"]
"""``credentialed``: data under a use agreement (PhysioNet and the like) that no server outside this machine may see."""


@record
class Address:
    """``url`` is what is connected to. For a server of this machine it holds the address itself, not a name that could move."""

    url: httpx.URL
    host: str
    is_local: bool


def checked_address(options: ServerOptions, data_policy: DataPolicy) -> Address:
    """The server's address, if reports may go there.

    Raises:
        ConfigurationError: no http(s) URL, a host that is not known, a remote one without ``allow_remote``, or a remote one
            while ``data_policy`` is ``credentialed``.
    """
    url = _url(options.url)
    found = resolved(url.host, url.port or (443 if url.scheme == "https" else 80))
    is_local = all(is_loopback(address) for address in found)
    if not is_local and data_policy == "credentialed":
        msg = f"server {url.host!r} is not this machine, and `data_policy: credentialed` lets no report leave it; use a loopback address"
        raise ConfigurationError(msg)
    if not is_local and not options.allow_remote:
        msg = f"server {url.host!r} is not this machine, and reports are patient data; set `allow_remote: true` if they may go there"
        raise ConfigurationError(msg)
    host = url.netloc.decode("ascii").rpartition("@")[2]
    return Address(url=url.copy_with(host=found[0]) if is_local else url, host=host, is_local=is_local)


def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.rstrip("/"))
    except httpx.InvalidURL as error:
        msg = "the server's `url` is not a URL; expected for example http://127.0.0.1:8000/v1"
        raise ConfigurationError(msg) from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query:
        msg = "the server's `url` must be http:// or https:// with a host, and without password or query; for example http://127.0.0.1:8000/v1"
        raise ConfigurationError(msg)
    return url


def resolved(host: str, port: int) -> tuple[str, ...]:
    """Every address that a host name stands for.

    Raises:
        ConfigurationError: the name is not known.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        msg = f"server {host!r}: no such host; check `url`"
        raise ConfigurationError(msg) from error
    ordered = sorted(found, key=lambda item: item[0] != socket.AF_INET)  # many servers listen on 127.0.0.1 alone
    return tuple(dict.fromkeys(str(item[4][0]) for item in ordered))


def is_loopback(address: str) -> bool:
    """Whether an IPv4 or IPv6 address is this machine itself; ``0.0.0.0`` is every address, so it is not."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def api_key(options: ServerOptions) -> str | None:
    """The key, from the environment variable that the configuration names.

    Raises:
        ConfigurationError: the variable is not set.
    """
    if options.api_key_variable is None:
        return None
    key = os.environ.get(options.api_key_variable, "").strip()
    if not key:
        msg = f"environment variable {options.api_key_variable} is not set; `api_key_variable` names it as the server's API key"
        raise ConfigurationError(msg)
    return key
