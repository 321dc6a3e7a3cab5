"""Answers by content, in one SQLite file: a killed run resumes, and a second run asks nothing."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from weakbox.language_models.interface import Answer, AnswerStatus, Choice, LanguageModel, Message, Question, Request
from weakbox.language_models.lazy import LazyModel
from weakbox.records.errors import InputError

LAYOUT = 1
BUSY_TIMEOUT_S = 60.0
KEYS_A_QUERY = 500
TABLES = (
    "CREATE TABLE IF NOT EXISTS layout (version INTEGER PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, content TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS failure (key BLOB PRIMARY KEY, content TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS model (facts BLOB PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID",
)
GIVE_UP_AFTER = 32
"""So many requests in a row that nothing came back for: the rest is not asked, a server that is gone stays away."""


class AnswerFile:
    """Key to content, in SQLite with a write-ahead log: several processes may read and write at once.

    Raises (from every method):
        InputError: the file is damaged, of another layout, or cannot be written; the message names it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process = 0
        self._connection: sqlite3.Connection | None = None
        with self._watched():
            self._open()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            advice = "delete the file (its answers are asked again) or name another"
            msg = f"{self._path}: the cache of language model answers cannot be used ({error}); {advice}"
            raise InputError(msg) from error

    def _open(self) -> sqlite3.Connection:
        """This process's connection: SQLite's do not survive a fork."""
        if self._connection is not None and self._process == os.getpid():
            return self._connection
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        for statement in TABLES:
            connection.execute(statement)
        connection.execute("INSERT OR IGNORE INTO layout SELECT ? WHERE NOT EXISTS (SELECT 1 FROM layout)", (LAYOUT,))
        found = connection.execute("SELECT version FROM layout").fetchall()
        if found != [(LAYOUT,)]:
            raise sqlite3.DatabaseError(f"layout {found}, expected {LAYOUT}")
        self._connection, self._process = connection, os.getpid()
        return connection

    def found(self, keys: Sequence[bytes], table: str = "entry") -> dict[bytes, dict[str, Any]]:
        """What is known of ``keys``; in the table ``failure``, how their last try failed."""
        with self._watched():
            contents: dict[bytes, dict[str, Any]] = {}
            for start in range(0, len(keys), KEYS_A_QUERY):
                part = keys[start : start + KEYS_A_QUERY]
                marks = ",".join("?" * len(part))
                rows = self._open().execute(f"SELECT key, content, sum FROM {table} WHERE key IN ({marks})", part)
                contents.update((key, _content(content, check)) for key, content, check in rows)
            return contents

    def keep(self, key: bytes, content: Mapping[str, Any]) -> None:
        """Remember; the first content of a key stays."""
        text = json.dumps(content)
        with self._watched():
            self._open().execute("INSERT OR IGNORE INTO entry VALUES (?, ?, ?)", (key, text, zlib.crc32(text.encode())))

    def keep_failure(self, key: bytes, content: Mapping[str, Any]) -> None:
        """Remember how the last try failed."""
        text = json.dumps(content)
        with self._watched():
            self._open().execute("INSERT OR REPLACE INTO failure VALUES (?, ?, ?)", (key, text, zlib.crc32(text.encode())))

    def digest_of(self, facts: str) -> str | None:
        """The digest of the model that these facts were last noted of."""
        with self._watched():
            row = self._open().execute("SELECT digest FROM model WHERE facts = ?", (hashlib.sha256(facts.encode()).digest(),)).fetchone()
        return None if row is None else str(row[0])

    def note_digest(self, facts: str, digest: str) -> None:
        """Remember the digest of the model with these facts."""
        with self._watched():
            self._open().execute("INSERT OR REPLACE INTO model VALUES (?, ?)", (hashlib.sha256(facts.encode()).digest(), digest))

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None and self._process == os.getpid():
            self._connection.close()
        self._connection = None


def _content(text: str, check: int) -> dict[str, Any]:
    if zlib.crc32(text.encode()) != check:
        raise sqlite3.DatabaseError("an entry does not match its checksum")
    content = json.loads(text)
    return content if isinstance(content, dict) else {}


class CachedModel:
    """A model in front of which answers are remembered. Only complete answers are answers; the rest is asked again next time.

    Requests of the same content are asked once, and each gets the answer. How the last try failed is remembered too, for those
    who read the answers of a batch one by one (``recall``) and must not ask for them again.
    """

    def __init__(self, model: LanguageModel, path: Path) -> None:
        self.name = model.name
        self.model = model
        self._file = AnswerFile(path)
        self._noted = self._file.digest_of(model.facts) if isinstance(model, LazyModel) else None
        if isinstance(model, LazyModel):
            model.known_digest = self._noted
        self._schemas: dict[int, tuple[Mapping[str, Any], bytes]] = {}

    @property
    def digest(self) -> str:
        """That of the model behind."""
        digest = self.model.digest
        if isinstance(self.model, LazyModel) and digest != self._noted:
            self._file.note_digest(self.model.facts, digest)
            self._noted = digest
        return digest

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the model behind."""
        return dict(getattr(self.model, "settings", {}))

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Known answers first, then the model's, each kept as it comes."""
        known, unknown = self._known(requests, self._request_key)
        for request, content in known:
            yield _known_answer(request, content)
        asked = [replace(same[0], key=key.hex()) for key, same in unknown.items()]
        for answer in _until_gone(asked, self.model.answer(asked)) if asked else ():
            key = bytes.fromhex(answer.key)
            if answer.status is AnswerStatus.COMPLETE:
                self._file.keep(key, _answer_content(answer))
            else:
                self._file.keep_failure(key, _answer_content(replace(answer, text="")) | {"cause": answer.cause})
            for request in unknown[key]:
                yield replace(answer, key=request.key)

    def choose(self, questions: Sequence[Question]) -> Iterator[Choice]:
        """As ``answer``; choices without probabilities are failures."""
        known, unknown = self._known(questions, self._question_key)
        for question, content in known:
            yield Choice(key=question.key, probabilities=tuple(content["probabilities"]), is_cached=True)
        asked = [replace(same[0], key=key.hex()) for key, same in unknown.items()]
        for choice in self.model.choose(asked) if asked else ():
            key = bytes.fromhex(choice.key)
            if choice.probabilities:
                self._file.keep(key, {"probabilities": choice.probabilities})
            else:
                self._file.keep_failure(key, {"cause": choice.cause})
            for question in unknown[key]:
                yield replace(choice, key=question.key)

    def recall(self, request: Request) -> Answer | None:
        """The complete answer that is known, or how the last try failed; nothing is asked."""
        content = self._recalled(self._request_key(request))
        return None if content is None else _known_answer(request, content)

    def recall_choice(self, question: Question) -> Choice | None:
        """As ``recall``."""
        content = self._recalled(self._question_key(question))
        if content is None:
            return None
        probabilities = tuple(content.get("probabilities", ()))
        return Choice(key=question.key, probabilities=probabilities, cause=content.get("cause", ""), is_cached=True)

    def made(self, request: Request, version: str) -> str | None:
        """What was made of the answer to this request."""
        key = self._made_key(request, version)
        content = self._file.found([key]).get(key)
        return None if content is None else str(content["made"])

    def keep_made(self, request: Request, version: str, made: str) -> None:
        """Remember what was made of an answer."""
        self._file.keep(self._made_key(request, version), {"made": made})

    def _made_key(self, request: Request, version: str) -> bytes:
        return hashlib.sha256(b"made" + self._request_key(request) + version.encode()).digest()

    def _recalled(self, key: bytes) -> dict[str, Any] | None:
        return self._file.found([key]).get(key) or self._file.found([key], "failure").get(key)

    def _known(
        self, items: Sequence[Any], key_of: Callable[[Any], bytes]
    ) -> tuple[list[tuple[Any, dict[str, Any]]], dict[bytes, list[Any]]]:
        """Items with their known content, and the others by key. A model that must be opened may turn out to be another by now."""
        known, unknown = self._sorted(items, [key_of(item) for item in items])
        if unknown and isinstance(self.model, LazyModel) and not self.model.is_open:
            before = self.digest
            self.model.opened()
            if self.digest != before:
                return self._sorted(items, [key_of(item) for item in items])
        return known, unknown

    def close(self) -> None:
        """Close the file and the model."""
        self._file.close()
        self.model.close()

    def _sorted(self, items: Sequence[Any], keys: Sequence[bytes]) -> tuple[list[tuple[Any, dict[str, Any]]], dict[bytes, list[Any]]]:
        """Items with their known content, and the others by key."""
        contents = self._file.found(list(dict.fromkeys(keys)))
        known: list[tuple[Any, dict[str, Any]]] = []
        unknown: dict[bytes, list[Any]] = {}
        for item, key in zip(items, keys, strict=True):
            if key in contents:
                known.append((item, contents[key]))
            else:
                unknown.setdefault(key, []).append(item)
        return known, unknown

    def _request_key(self, request: Request) -> bytes:
        parts = [request.version, str(request.grammar is not None), str(request.maximum_tokens), request.source, *_turns(request.messages)]
        return self._key(b"answer", parts, self._schema_digest(request.schema))

    def _question_key(self, question: Question) -> bytes:
        return self._key(b"choice", [question.version, *question.options, "", *_turns(question.messages)], b"")

    def _key(self, kind: bytes, parts: Iterable[str], schema: bytes) -> bytes:
        digest = hashlib.sha256(kind + self.digest.encode() + schema)
        for part in parts:
            data = part.encode("utf-8", errors="surrogatepass")
            digest.update(b"%d:" % len(data))
            digest.update(data)
        return digest.digest()

    def _schema_digest(self, schema: Mapping[str, Any]) -> bytes:
        """Of a schema's JSON, in the order of its properties; remembered by object, because thousands of requests share one."""
        known = self._schemas.get(id(schema))
        if known is None or known[0] is not schema:
            known = (schema, hashlib.sha256(json.dumps(schema).encode()).digest())
            self._schemas = {**self._schemas, id(schema): known} if len(self._schemas) < KEYS_A_QUERY else {id(schema): known}
        return known[1]


def _turns(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        yield message.role
        yield message.content


def _known_answer(request: Request, content: Mapping[str, Any]) -> Answer:
    return Answer(**{**content, "key": request.key, "status": AnswerStatus(content["status"]), "is_cached": True})


def _until_gone(asked: Sequence[Request], answers: Iterator[Answer]) -> Iterator[Answer]:
    """The answers, until so many in a row failed that the others need not be asked; these fail with that cause."""
    waiting = {request.key for request in asked}
    failed = 0
    for answer in answers:
        waiting.discard(answer.key)
        failed = failed + 1 if answer.status is AnswerStatus.FAILED else 0
        yield answer
        if failed == GIVE_UP_AFTER:
            break
    if waiting:
        cause = f"not asked: nothing came back for {GIVE_UP_AFTER} requests in a row"
        yield from (Answer(key=request.key, status=AnswerStatus.FAILED, cause=cause) for request in asked if request.key in waiting)


def _answer_content(answer: Answer) -> dict[str, Any]:
    return {
        "status": answer.status.value,
        "text": answer.text,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "allowed_mass": answer.allowed_mass,
        "is_too_long": answer.is_too_long,
    }
