"""What every language model looks like from outside: requests in, answers out, each with what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from weakbox.records.record import record


@record
class Message:
    """One turn of a chat: ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


@record
class Request:
    """One question. ``key`` names it to the caller; it never reaches the model.

    ``schema`` is a JSON Schema (2020-12) that the answer must meet. ``grammar`` is the same demand as a Lark grammar of
    ``llguidance``, stricter where a schema cannot say it (evidence strings that are verbatim pieces of ``source``);
    a back end that cannot enforce a grammar uses the schema. Without ``grammar`` a back end makes it from ``schema`` (strings marked
    ``x-evidence``) and ``source`` itself, batch by batch. Parts that many requests share stand first in ``messages``.
    """

    key: str
    messages: tuple[Message, ...]
    schema: Mapping[str, Any]
    source: str = ""
    """The text that the question is about (evidence must be cut from it); part of the messages as well."""
    grammar: str | None = None
    maximum_tokens: int = 2048
    version: str = ""
    """Version of the prompt: part of the cache's key."""


@record
class Question:
    """One choice to make: the model gives a probability to each of ``options`` as the continuation of ``messages``."""

    key: str
    messages: tuple[Message, ...]
    options: tuple[str, ...]
    version: str = ""


class AnswerStatus(StrEnum):
    COMPLETE = "complete"
    TRUNCATED = "truncated"
    """The answer hit its length, or the server cut the prompt."""
    INVALID = "invalid"
    """Something came back that is not what was asked for (HTML, broken JSON)."""
    FAILED = "failed"
    """Nothing came back."""


@record
class Answer:
    """What came back. ``text`` is the answer without a reasoning model's thoughts; ``cause`` carries no report text."""

    key: str
    status: AnswerStatus
    text: str = ""
    cause: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    allowed_mass: float | None = None
    """Mean probability that the model itself gave to what the grammar allowed; low where the grammar overruled it."""
    is_cached: bool = False
    is_too_long: bool = False
    """The prompt left no room in the model's context: a shorter one may be answered."""


@record
class Choice:
    """Probabilities over a question's options, in their order; empty where the model gave none (``cause`` says why)."""

    key: str
    probabilities: tuple[float, ...] = ()
    cause: str = ""
    is_cached: bool = False


class LanguageModel(Protocol):
    """A back end. Errors on one request are that request's answer; a model that cannot be used at all raises ConfigurationError."""

    name: str

    @property
    def digest(self) -> str:
        """Identifies weights, quantisation, chat template and decoding parameters: part of the cache's key."""
        ...

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """One answer a request, in the order in which they are done."""
        ...

    def choose(self, questions: Sequence[Question]) -> Iterator[Choice]:
        """One choice a question, in the order in which they are done."""
        ...

    def close(self) -> None:
        """Free the model or the connections."""
        ...


@runtime_checkable
class RememberingModel(LanguageModel, Protocol):
    """A model behind a memory. ``answer`` and ``choose`` ask what failed before once more; ``recall`` asks nothing."""

    def recall(self, request: Request) -> Answer | None:
        """What is known of a request: the complete answer, or how the last try failed."""
        ...

    def recall_choice(self, question: Question) -> Choice | None:
        """What is known of a question."""
        ...

    def made(self, request: Request, version: str) -> str | None:
        """What the caller once made of the answer to this request, in this version."""
        ...

    def keep_made(self, request: Request, version: str, made: str) -> None:
        """Remember what was made of an answer."""
        ...
