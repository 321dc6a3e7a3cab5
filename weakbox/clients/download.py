"""One attempt to fetch one file into its ``.partial``: resume by Range, checks while the bytes come, a cause where it fails."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from weakbox.clients.addresses import AddressRefusedError
from weakbox.clients.client import ChecksumAlgorithm, ContentKind, RemoteFile
from weakbox.clients.connection import RETRIED, Connection, StoppedError
from weakbox.clients.content import HEAD_BYTES, Hasher, hasher, head_problem, is_cut_short, kind_of
from weakbox.records.record import record
from weakbox.runtime.store import write_text

PARTIAL = ".partial"
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-(\d+)/(\d+|\*)$")
Advance = Callable[[int], None]


@record
class Attempt:
    """How an attempt ended: ``reason`` is empty where the answer came to its end; final reasons are not tried again."""

    reason: str = ""
    is_final: bool = False
    detail: str = ""


class Partial:
    """The bytes so far of one file, with hashes kept along; a file beside it remembers which version of the file they belong to."""

    def __init__(self, final: Path, algorithm: ChecksumAlgorithm | None) -> None:
        self.path = final.with_name(final.name + PARTIAL)
        self._note = final.with_name(final.name + PARTIAL + ".json")
        self._algorithm = algorithm
        final.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        self.size = self.path.stat().st_size
        self.head = b""
        self._hashers: dict[str, Hasher] = {}
        self._rehash()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        if not self.size:
            self.path.unlink(missing_ok=True)
            self._note.unlink(missing_ok=True)

    def _rehash(self) -> None:
        self._hashers = {"sha256": hasher("sha256")}
        if self._algorithm is not None:
            self._hashers[self._algorithm] = hasher(self._algorithm)
        self._file.seek(0)
        self.head = b""
        while block := self._file.read(1 << 20):
            self._take(block)

    def _take(self, block: bytes) -> None:
        if len(self.head) < HEAD_BYTES:
            self.head += block[: HEAD_BYTES - len(self.head)]
        for found in self._hashers.values():
            found.update(block)

    def write(self, block: bytes) -> None:
        """Append bytes."""
        self._file.write(block)
        self._take(block)
        self.size += len(block)

    def clear(self) -> None:
        """Begin anew."""
        self._file.truncate(0)
        self.size = 0
        self._note.unlink(missing_ok=True)
        self._rehash()

    def sync(self) -> None:
        """All bytes on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def digest(self, algorithm: ChecksumAlgorithm) -> str:
        """Checksum of the bytes so far."""
        return self._hashers[algorithm].hexdigest()

    @property
    def validator(self) -> str:
        """The ETag or date of the version that the bytes belong to; empty where the server gave none that is strong."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return ""
        return str(note.get("validator", "")) if isinstance(note, dict) else ""

    def remember(self, response: httpx.Response) -> None:
        """Note which version the bytes belong to, before the first of them is written."""
        etag = response.headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
        write_text(self._note, json.dumps({"validator": validator}))

    def forget_note(self) -> None:
        """The file is whole: its note is no longer needed."""
        self._note.unlink(missing_ok=True)


def attempt(connection: Connection, file: RemoteFile, partial: Partial, advance: Advance) -> Attempt:
    """Fetch what is missing of ``file``. Whatever the network does becomes a reason.

    Raises:
        StoppedError: the run was stopped; the partial file stays.
    """
    try:
        ended = _request(connection, file, partial, advance)
    except httpx.TimeoutException as error:
        ended = Attempt(reason="timeout", detail=type(error).__name__)
    except httpx.TransportError as error:
        ended = Attempt(reason="connection_lost", detail=type(error).__name__)
    except AddressRefusedError as error:
        return Attempt(reason="address_refused", is_final=True, detail=str(error))
    except (httpx.TooManyRedirects, httpx.InvalidURL):
        return Attempt(reason="unusable_redirect", is_final=True)
    if ended.reason and partial.size < HEAD_BYTES:
        partial.clear()  # too few bytes to tell an image from an error page
    return ended


def _request(connection: Connection, file: RemoteFile, partial: Partial, advance: Advance) -> Attempt:
    if file.size_bytes is not None and partial.size == file.size_bytes and partial.size > 0:
        return Attempt()
    if file.size_bytes is not None and partial.size > file.size_bytes:
        partial.clear()
    validator = partial.validator
    if partial.size and not validator and file.checksum is None:
        partial.clear()  # nothing would tell that these bytes and the next belong to one version
    headers = {}
    if partial.size:
        headers["Range"] = f"bytes={partial.size}-"
        if validator:
            headers["If-Range"] = validator
    with connection.stream(file.url, headers) as response:
        problem = _status_problem(connection, response, partial)
        if problem is not None:
            return problem
        return _receive(connection, file, partial, response, advance)


def _status_problem(connection: Connection, response: httpx.Response, partial: Partial) -> Attempt | None:
    """What a status means; ``None`` where the body is the file or its rest. A whole file instead of the rest begins anew."""
    code = response.status_code
    if code == httpx.codes.PARTIAL_CONTENT:
        found = _CONTENT_RANGE.match(response.headers.get("Content-Range", "").strip())
        if found is None or int(found[1]) != partial.size:
            partial.clear()
            return Attempt(reason="wrong_range")
        return None
    if code == httpx.codes.OK:
        if partial.size:
            partial.clear()
        return None
    if code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        is_whole = response.headers.get("Content-Range", "").strip() == f"bytes */{partial.size}" and bool(partial.size)
        if is_whole:
            return Attempt()
        partial.clear()
        return Attempt(reason="wrong_range")
    if code in RETRIED:
        asked = connection.respect_retry_after(response)
        return Attempt(reason=f"status_{code}", is_final=asked > connection.options.longest_retry_after_s)
    reason = {401: "forbidden", 403: "forbidden", 404: "not_found", 410: "not_found", 451: "forbidden"}.get(code, f"status_{code}")
    return Attempt(reason=reason, is_final=True)


def _receive(connection: Connection, file: RemoteFile, partial: Partial, response: httpx.Response, advance: Advance) -> Attempt:
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        partial.clear()
        return Attempt(reason="encoded_answer")
    if not partial.size:
        partial.remember(response)
    kind, content_type = _checked_kind(file), response.headers.get("Content-Type", "").lower()
    pace = _Pace(connection)
    is_checked = partial.size >= HEAD_BYTES
    for block in response.iter_raw():
        if connection.stop.is_set():
            raise StoppedError
        partial.write(block)
        advance(len(block))
        if not is_checked and partial.size >= HEAD_BYTES:
            is_checked = True
            if problem := head_problem(partial.head, kind, content_type):
                partial.clear()
                return Attempt(reason=problem)
        if file.size_bytes is not None and partial.size > file.size_bytes:
            partial.clear()
            return Attempt(reason="wrong_size", detail="more bytes than listed")
        if pace.is_too_slow(len(block)):
            return Attempt(reason="too_slow")
    if not is_checked and (problem := head_problem(partial.head, kind, content_type)):
        partial.clear()
        return Attempt(reason=problem)
    return Attempt()


def _checked_kind(file: RemoteFile) -> ContentKind:
    """Where a checksum will decide, a misnamed image is no reason to refuse it; an error page still is."""
    return "any" if file.checksum is not None else kind_of(file.path, file.kind)


class _Pace:
    """Finds a transfer that trickles: too few bytes within the last window."""

    def __init__(self, connection: Connection) -> None:
        self._options = connection.options
        self._since = time.monotonic()
        self._bytes = 0

    def is_too_slow(self, count: int) -> bool:
        self._bytes += count
        elapsed = time.monotonic() - self._since
        if elapsed < self._options.stall_window_s:
            return False
        too_slow = self._bytes < self._options.minimum_bytes_per_s * elapsed
        self._since, self._bytes = time.monotonic(), 0
        return too_slow


def whole_problem(file: RemoteFile, partial: Partial) -> str:
    """A reason code for a file that came to its end but is not what was promised; empty where it is. Unusable bytes are dropped."""
    if file.size_bytes is not None and partial.size != file.size_bytes:
        if partial.size > file.size_bytes:
            partial.clear()
        return "wrong_size"
    if file.size_bytes is None and partial.size == 0:
        return "empty_answer"
    if file.checksum is not None and partial.digest(file.checksum.algorithm) != file.checksum.value:
        partial.clear()
        return "wrong_checksum"
    partial.sync()
    if file.checksum is None and is_cut_short(partial.path, kind_of(file.path, file.kind)):
        partial.clear()
        return "cut_short"
    return ""
