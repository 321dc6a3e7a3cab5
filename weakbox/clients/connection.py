"""The one HTTP client of a collection: pacing by host, retry, back-off, the address rule on every hop, credentials by host."""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx

from weakbox.clients.addresses import AddressRefusedError, check_address, shown
from weakbox.clients.transfer_options import TransferOptions
from weakbox.records.errors import InputError

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
LARGEST_LISTING = 512 << 20
"""Bytes; a listing that grows beyond this is no listing."""
LOOPBACK_DIRECT: Mapping[str, None] = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
"""This machine is never reached through a proxy."""


class StoppedError(Exception):
    """The user asked to stop; whatever is half done stays resumable."""


class Pacing:
    """Spaces request starts to one host, and lets a host rest that asked for it."""

    def __init__(self, interval_s: float, stop: threading.Event) -> None:
        self._interval_s = interval_s
        self._stop = stop
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def wait(self, host: str) -> None:
        """Sleep until the host may be asked again.

        Raises:
            StoppedError: the run was stopped meanwhile.
        """
        while True:
            with self._lock:
                now = time.monotonic()
                begin = self._next.get(host, 0.0)
                if begin <= now:
                    self._next[host] = now + self._interval_s
                    break
            self.pause(min(begin - now, 1.0))
        if self._stop.is_set():
            raise StoppedError

    def hold(self, host: str, seconds: float) -> None:
        """Nobody asks this host for the next ``seconds``."""
        with self._lock:
            self._next[host] = max(self._next.get(host, 0.0), time.monotonic() + seconds)

    def pause(self, seconds: float) -> None:
        """Sleep, unless the run is stopped.

        Raises:
            StoppedError: it was.
        """
        if self._stop.wait(seconds):
            raise StoppedError


class Connection:
    """An open HTTP client. Safe to share between threads."""

    def __init__(self, options: TransferOptions, stop: threading.Event | None = None) -> None:
        self.options = options
        self.stop = stop or threading.Event()
        self.pacing = Pacing(options.minimum_interval_s or 0.0, self.stop)
        self._authorisation: dict[str, str] = {}
        self._client = httpx.Client(
            follow_redirects=True,
            max_redirects=10,
            timeout=httpx.Timeout(options.read_timeout_s, connect=options.connect_timeout_s),
            limits=httpx.Limits(max_connections=options.parallel + 2, max_keepalive_connections=options.parallel + 2),
            headers={"User-Agent": options.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"},
            event_hooks={"request": [self._before]},
            mounts=dict(LOOPBACK_DIRECT),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def authorise(self, users: Mapping[str, tuple[str, str]]) -> None:
        """Send Basic credentials to these hosts (``host`` or ``host:port``), and to no other."""
        for host, (user, password) in users.items():
            self._authorisation[host] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def _before(self, request: httpx.Request) -> None:
        """Runs for every hop: the address rule, the pacing, and credentials for the right host alone."""
        check_address(request.url)
        self.pacing.wait(request.url.netloc.decode("ascii"))
        request.headers.pop("Authorization", None)
        credentials = self._authorisation.get(request.url.netloc.decode("ascii"))
        if credentials:
            request.headers["Authorization"] = credentials

    @contextmanager
    def stream(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """One GET, body unread."""
        with self._client.stream("GET", url, headers=dict(headers)) as response:
            yield response

    def backoff(self, name: str, attempt: int) -> float:
        """Seconds before the next attempt: doubled each time, with jitter that depends only on the seed, the name and the attempt."""
        longest = min(self.options.longest_backoff_s, self.options.backoff_s * 2 ** (attempt - 1))
        return longest * random.Random(f"{self.options.seed}:{name}:{attempt}").uniform(0.5, 1.0)

    def get_text(self, url: str, params: Mapping[str, str] | None = None) -> str:
        """The body of a listing, retried like any file.

        Raises:
            InputError: not reachable, refused, or no usable answer after all attempts.
        """
        try:
            return self._get(url, params).decode("utf-8")
        except UnicodeDecodeError as error:
            msg = f"{shown(url)} answered with bytes that are no UTF-8 text"
            raise InputError(msg) from error

    def get_json(self, url: str, params: Mapping[str, str] | None = None) -> Any:
        """Parsed JSON of a listing; ``None`` for an empty body (NBIA answers so when nothing was found).

        Raises:
            InputError: as ``get_text``, or no JSON.
        """
        problem = ""
        for attempt in range(1, self.options.attempts + 1):
            body = self._get(url, params)
            if not body.strip():
                return None
            try:
                return json.loads(body)
            except ValueError:
                problem = "an HTML page" if body.lstrip()[:1] == b"<" else "no JSON"
                self.pacing.pause(self.backoff(url, attempt))
        msg = f"{shown(url)} answered with {problem} where JSON was expected; try later, or check the base URL"
        raise InputError(msg)

    def _get(self, url: str, params: Mapping[str, str] | None) -> bytes:
        cause = ""
        for attempt in range(1, self.options.attempts + 1):
            try:
                with self._client.stream("GET", url, params=dict(params) if params else None) as response:
                    if response.is_success:
                        return _bounded_body(response, url)
                    cause = f"status {response.status_code}"
                    if response.status_code not in RETRIED:
                        break
                    self.respect_retry_after(response)
            except httpx.TransportError as error:
                cause = type(error).__name__
            except (AddressRefusedError, httpx.TooManyRedirects, httpx.InvalidURL) as error:
                msg = f"{shown(url)}: {error if isinstance(error, AddressRefusedError) else 'unusable redirect'}"
                raise InputError(msg) from error
            if attempt < self.options.attempts:
                self.pacing.pause(self.backoff(url, attempt))
        msg = f"{shown(url)} is not usable ({cause}); check the network, the base URL and the name of the collection, or try later"
        raise InputError(msg)

    def respect_retry_after(self, response: httpx.Response) -> float:
        """Hold the host for as long as it asks, up to the longest wait of the options. Returns what it asked for."""
        asked = retry_after_s(response.headers.get("Retry-After", ""))
        if asked > 0:
            self.pacing.hold(response.request.url.netloc.decode("ascii"), min(asked, self.options.longest_retry_after_s))
        return asked


def _bounded_body(response: httpx.Response, url: str) -> bytes:
    body = bytearray()
    for block in response.iter_bytes():
        body += block
        if len(body) > LARGEST_LISTING:
            msg = f"{shown(url)}: the listing has more than {LARGEST_LISTING} bytes; ask for less (a modality, a body part)"
            raise InputError(msg)
    return bytes(body)


def retry_after_s(text: str) -> float:
    """Seconds of a ``Retry-After`` header: a number or an HTTP date; 0 where there is none or it cannot be read.

    >>> retry_after_s("3"), retry_after_s(""), retry_after_s("soon")
    (3.0, 0.0, 0.0)
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
