"""One HTTP exchange with a server that may hang, reset, trickle or talk nonsense: a JSON object comes back, or a cause."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from weakbox.language_models.interface import AnswerStatus
from weakbox.language_models.options import ServerOptions
from weakbox.language_models.server_address import Address
from weakbox.records.record import record

LARGEST_REPLY = 8 * 1024 * 1024
"""Bytes; a server that sends white space without end is cut off here."""
LARGEST_ERROR = 64 * 1024
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
TOO_LONG = ("context_length", "context length", "context size", "maximum context", "too long", "exceed_context", "max_model_len")
"""How servers say that a prompt does not fit."""
SECONDS = re.compile(r"\s*[0-9]{1,9}\s*")


@record
class Reply:
    """``content`` is the JSON object of a 200; otherwise ``status`` and ``cause`` say what came instead."""

    content: Mapping[str, Any] | None = None
    code: int = 0
    status: AnswerStatus = AnswerStatus.FAILED
    cause: str = ""
    error: str = ""
    """The server's own words, for the probe alone: they may quote the prompt, so they go no further."""


class Connection:
    """Sends requests and reads replies, within time and size, again where that may help. Lives in one event loop."""

    def __init__(self, options: ServerOptions, address: Address, key: str | None) -> None:
        self._options = options
        self._address = address
        headers = {"Host": address.host, "Accept": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        limits = httpx.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency)
        timeout = httpx.Timeout(options.timeout_s, connect=options.connect_timeout_s)
        # no proxies or .netrc from the environment, and no redirects: a report goes to the address that was checked, or nowhere
        self._client = httpx.AsyncClient(headers=headers, limits=limits, timeout=timeout, trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def exchange(self, method: str, path: str, body: Mapping[str, Any] | None = None, tries: int | None = None) -> Reply:
        """A reply, after at most ``tries`` tries (the options' where not given)."""
        tries = self._options.retries + 1 if tries is None else tries
        reply = Reply(cause="not asked")
        for number in range(tries):
            reply, asked_wait = await self._once(method, path, body)
            if asked_wait is None or number + 1 == tries:
                break
            jittered = self._options.backoff_s * 2**number * random.uniform(0.5, 1.5)
            await asyncio.sleep(min(max(jittered, asked_wait), self._options.longest_wait_s))
        return reply

    async def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[Reply, float | None]:
        """A reply, and how long to wait before another try (``None``: another try is of no use)."""
        try:
            async with asyncio.timeout(self._options.timeout_s):
                code, headers, content = await self._fetched(method, path, body)
        except (TimeoutError, httpx.TimeoutException):
            return Reply(cause=f"no whole answer within {self._options.timeout_s:g} s"), 0.0
        except httpx.HTTPError as error:
            return Reply(cause=f"the connection failed ({type(error).__name__})"), 0.0
        if code in RETRIED:
            return Reply(code=code, cause=f"HTTP {code}", error=_text(content)), retry_after(headers.get("Retry-After"))
        return (_refused(code, content) if code != 200 else _read(content)), None

    async def _fetched(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, httpx.Headers, bytes | None]:
        """Status, headers and body; a body that is larger than a reply can be is ``None``."""
        url = self._address.url.copy_with(path=self._address.url.path.rstrip("/") + path)
        extensions = {"sni_hostname": self._address.host.rpartition(":")[0] or self._address.host}
        async with self._client.stream(method, url, json=body, extensions=extensions) as response:
            limit = LARGEST_REPLY if response.status_code == 200 else LARGEST_ERROR
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > limit:
                    return response.status_code, response.headers, None
            return response.status_code, response.headers, bytes(content)


def _read(content: bytes | None) -> Reply:
    if content is None:
        return Reply(code=200, status=AnswerStatus.INVALID, cause=f"the server's reply is larger than {LARGEST_REPLY // 1024**2} MiB")
    if content.lstrip()[:1] == b"<":
        return Reply(code=200, status=AnswerStatus.INVALID, cause="the server's reply is HTML or XML, not JSON")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return Reply(code=200, status=AnswerStatus.INVALID, cause=f"the server's reply is not JSON ({len(content)} bytes)")
    if not isinstance(value, dict):
        return Reply(code=200, status=AnswerStatus.INVALID, cause="the server's reply is JSON, but no object")
    return Reply(content=value, code=200, status=AnswerStatus.COMPLETE)


def _refused(code: int, content: bytes | None) -> Reply:
    words = _text(content)
    if code in (400, 413, 422) and any(phrase in words.lower() for phrase in TOO_LONG):
        cause = f"HTTP {code}: the prompt is longer than the server's context"
        return Reply(code=code, status=AnswerStatus.TRUNCATED, cause=cause, error=words)
    return Reply(code=code, cause=f"HTTP {code}", error=words)


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", errors="replace")


def retry_after(header: str | None) -> float:
    """Seconds that a server asks to wait (RFC 9110: seconds or a date); 0 where it asks nothing that can be read.

    >>> retry_after("3")
    3.0
    """
    if header is None:
        return 0.0
    if SECONDS.fullmatch(header):
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
