"""The one door to a language model: what a configuration may say, and the model that it means. No medicine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from weakbox.language_models.evidence_grammar import evidence_grammar
from weakbox.language_models.interface import Answer, AnswerStatus, Choice, LanguageModel, Message, Question, Request
from weakbox.language_models.json_schema import SchemaError, portable
from weakbox.language_models.options import LocalOptions, ServerOptions
from weakbox.records.errors import ConfigurationError

__all__ = [
    "Answer", "AnswerStatus", "Choice", "Config", "LanguageModel", "Message", "Question", "Request", "SchemaError", "evidence_grammar",
    "open_model", "portable",
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
    """The model, ready to answer, behind its cache. Close it after use.

    Raises:
        ConfigurationError: it cannot be used: not there, not allowed, not installed, or its server does not answer.
        InputError: the cache file is damaged.
    """
    model = _local_model(config.local) if config.local is not None else _server_model(config)
    if config.cache is None:
        return model
    from weakbox.language_models.cache import CachedModel

    return CachedModel(model, config.cache)


def _local_model(options: LocalOptions) -> LanguageModel:
    try:
        from weakbox.language_models.local import load_local
    except ModuleNotFoundError as error:
        msg = f"a local language model needs the extra `llm` ({error.name} is not installed): uv sync --extra llm"
        raise ConfigurationError(msg) from error
    return load_local(options)


def _server_model(config: Config) -> LanguageModel:
    from weakbox.language_models.server import ServerModel

    assert config.server is not None
    return ServerModel(config.server, config.data_policy)
