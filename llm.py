"""The one door to a language model: what a configuration may say, and the model that it means. No medicine."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from weakbox.language_models.evidence_grammar import evidence_grammar
from weakbox.language_models.interface import (
    Answer,
    AnswerStatus,
    Choice,
    LanguageModel,
    Message,
    Question,
    RememberingModel,
    Request,
)
from weakbox.language_models.json_schema import SchemaError, portable
from weakbox.language_models.lazy import LazyModel
from weakbox.language_models.options import LocalOptions, ServerOptions, TuneOptions
from weakbox.records.errors import ConfigurationError

__all__ = [
    "Answer", "AnswerStatus", "Choice", "Config", "LanguageModel", "Message", "Question", "RememberingModel", "Request", "SchemaError",
    "TuneOptions", "evidence_grammar", "open_model", "portable", "tune_model",
]  # fmt: skip
"""What those who ask a model need; they import it from here, and nothing behind this door."""


class Config(BaseModel):
    """One language model: in this process (``local``) or behind a server (``server``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    local: LocalOptions | None = Field(default=None, description="A model that runs in this process; extra `llm`.")
    server: ServerOptions | None = Field(default=None, description="An OpenAI-compatible server.")
    cache: Path | None = Field(
        default=None, description="SQLite file that remembers answers by content; it holds patient data. None: nothing is remembered."
    )
    data_policy: Literal["open", "credentialed"] = Field(
        default="open", description="`credentialed` (PhysioNet and the like) refuses every server that is not this machine."
    )

    @model_validator(mode="after")
    def _one_back_end(self) -> Config:
        if (self.local is None) == (self.server is None):
            msg = "give either `local` or `server`"
            raise ValueError(msg)
        return self


def open_model(config: Config) -> LanguageModel:
    """The model behind its cache; or, where there is no cache, opened at once. Close it after use.

    Behind a cache weights are loaded, or the server is asked, only when an answer is not known yet: a process that finds all
    answers in the cache pays nothing. Whether the model may be used is checked at once all the same.

    Raises:
        ConfigurationError: it cannot be used: not there, not allowed, not installed, or (here or at the first question) its
            server does not answer.
        InputError: the cache file is damaged.
    """
    model = _local_model(config.local) if config.local is not None else _server_model(config)
    if config.cache is None:
        return model.opened()
    from weakbox.language_models.cache import CachedModel

    return CachedModel(model, config.cache)


def tune_model(examples: Sequence[tuple[Sequence[Message], str, str]], options: TuneOptions) -> dict[str, Any]:
    """Train a model's adapters on examples (messages, answer, hospital or patient) and write adapter, merged model and card.

    Returns the card: digests, counts and losses, no text.

    Raises:
        ConfigurationError: the extra `llm` is not installed, no such model or device, or an output folder that is not empty.
        InputError: no example fits.
    """
    _need("torch", "transformers", "llguidance", "huggingface_hub", "peft")
    from weakbox.language_models.tune import Example, tune

    return tune([Example(messages=tuple(messages), answer=answer, group=group) for messages, answer, group in examples], options)


def _need(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            msg = f"a local language model needs the extra `llm` ({package} is not installed): uv sync --extra llm"
            raise ConfigurationError(msg)


def _local_model(options: LocalOptions) -> LazyModel:
    _need("torch", "transformers", "llguidance", "huggingface_hub")
    from weakbox.language_models.weights import facts_of

    def opened() -> LanguageModel:
        from weakbox.language_models.local import load_local

        return load_local(options)

    def digest_of() -> str:
        from weakbox.language_models.local import digest_without_weights

        return digest_without_weights(options)

    return LazyModel(options.model, facts_of(options), opened, digest_of)


def _server_model(config: Config) -> LazyModel:
    from weakbox.language_models.server import ServerModel
    from weakbox.language_models.server_address import api_key, checked_address

    options = config.server
    assert options is not None
    checked_address(options, config.data_policy)
    api_key(options)
    facts = options.model_dump_json(include={"url", "model", "revision", "temperature", "seed", "extra_body"})
    return LazyModel(options.model, facts, lambda: ServerModel(options, config.data_policy))
