"""What a server can do, found by asking it once, before any report goes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weakbox.language_models.interface import Message, Request
from weakbox.language_models.options import ServerOptions
from weakbox.language_models.reply import fault_of, without_thoughts
from weakbox.language_models.server_connection import Connection, Reply
from weakbox.records.errors import ConfigurationError
from weakbox.records.record import record

WORD = "x7q"
"""No model says this by itself."""
SCHEMA = {
    "type": "object",
    "properties": {"probe": {"type": "string", "enum": [WORD]}},
    "required": ["probe"],
    "additionalProperties": False,
}
GRAMMAR = f'%llguidance {{}}\nstart: "<" WORDS ">"\nWORDS: %regex {{"substring_chunks": ["{WORD}"]}}\n'
GREETING = (Message(role="user", content="Say hello."),)
PROBE_TOKENS = 64
PROBE_TRIES = 2
TOP_LOGPROBS = (20, 5)


@record
class Capabilities:
    """What was found. ``top_logprobs`` is how many likeliest tokens the server tells (0: none)."""

    models: tuple[str, ...] = ()
    has_schema: bool = False
    has_grammar: bool = False
    top_logprobs: int = 0
    context_length: int | None = None
    length_key: str = "max_tokens"
    identity: str = ""
    """What the model list says about the weights, where it says anything."""


def chat_body(options: ServerOptions, messages: tuple[Message, ...], length_key: str, tokens: int) -> dict[str, Any]:
    """The part of a request that every question has."""
    return {
        "model": options.model,
        "messages": [{"role": message.role, "content": _encodable(message.content)} for message in messages],
        "temperature": options.temperature,
        "seed": options.seed,
        length_key: tokens,
        **options.extra_body,
    }


def _encodable(text: str) -> str:
    """Half a surrogate pair has no UTF-8; the model gets a question mark."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def schema_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``response_format`` for a schema."""
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)}}}


def grammar_format(grammar: str) -> dict[str, Any]:
    """vLLM's own key for a grammar; its guidance back end reads llguidance's."""
    return {"structured_outputs": {"grammar": grammar}}


def first_message(content: Mapping[str, Any] | None) -> str:
    """The text of a chat completion, without thoughts; empty where there is none."""
    choice = first_choice(content)
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    return without_thoughts(text) if isinstance(text, str) else ""


def first_choice(content: Mapping[str, Any] | None) -> dict[str, Any]:
    """The first of a completion's choices; empty where the reply has not that form."""
    choices = (content or {}).get("choices")
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def top_tokens(content: Mapping[str, Any] | None) -> list[tuple[str, float]]:
    """The first token's likeliest alternatives with their log-probabilities."""
    logprobs = first_choice(content).get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    listed = tokens[0].get("top_logprobs") if isinstance(tokens, list) and tokens and isinstance(tokens[0], dict) else None
    return [
        (item["token"], float(item["logprob"]))
        for item in listed or ()
        if isinstance(item, dict) and isinstance(item.get("token"), str) and isinstance(item.get("logprob"), int | float)
    ]


async def probed(connection: Connection, options: ServerOptions) -> Capabilities:
    """Ask for the model list, an answer in a schema, one in a grammar, and log-probabilities.

    Raises:
        ConfigurationError: nothing answers there, the key is refused, or there is no such model.
    """
    listing = await connection.exchange("GET", "/models", tries=PROBE_TRIES)
    _check(listing, options, ())
    entries = _entries(listing)
    models = tuple(sorted(str(entry["id"]) for entry in entries if "id" in entry))
    own = next((entry for entry in entries if entry.get("id") == options.model), {})
    length_key, with_schema = await _with_schema(connection, options, models)
    if with_schema.content is None:
        await _check_plain(connection, options, length_key)
    probe = Request(key="", messages=GREETING, schema=SCHEMA)
    return Capabilities(
        models=models,
        has_schema=not fault_of(first_message(with_schema.content), probe),
        has_grammar=await _has_grammar(connection, options, length_key),
        top_logprobs=await _top_logprobs(connection, options, length_key),
        context_length=_context_length(own),
        length_key=length_key,
        identity=repr([(name, own[name]) for name in ("root", "meta", "parent") if name in own]),
    )


async def _with_schema(connection: Connection, options: ServerOptions, models: tuple[str, ...]) -> tuple[str, Reply]:
    """The key under which the server takes a length, and its answer to the question in a schema."""
    reply = Reply()
    for length_key in ("max_tokens", "max_completion_tokens"):
        body = {**chat_body(options, GREETING, length_key, PROBE_TOKENS), **schema_format(SCHEMA)}
        reply = await connection.exchange("POST", "/chat/completions", body, tries=PROBE_TRIES)
        _check(reply, options, models)
        if not (reply.code in (400, 422) and "max_completion_tokens" in reply.error):
            return length_key, reply
    return "max_tokens", reply


async def _check_plain(connection: Connection, options: ServerOptions, length_key: str) -> None:
    """A server that refuses a schema must at least answer without one."""
    body = chat_body(options, GREETING, length_key, PROBE_TOKENS)
    reply = await connection.exchange("POST", "/chat/completions", body, tries=PROBE_TRIES)
    if not first_choice(reply.content):
        cause = reply.cause or "its reply is no chat completion"
        msg = f"language model server {options.url} does not answer as an OpenAI-compatible server: {cause}; is `url` right (with its /v1)?"
        raise ConfigurationError(msg)


async def _has_grammar(connection: Connection, options: ServerOptions, length_key: str) -> bool:
    body = {**chat_body(options, GREETING, length_key, PROBE_TOKENS), **grammar_format(GRAMMAR)}
    reply = await connection.exchange("POST", "/chat/completions", body, tries=1)
    return first_message(reply.content) in ("<>", f"<{WORD}>")


async def _top_logprobs(connection: Connection, options: ServerOptions, length_key: str) -> int:
    for number in TOP_LOGPROBS:
        body = {**chat_body(options, GREETING, length_key, 1), "logprobs": True, "top_logprobs": number}
        reply = await connection.exchange("POST", "/chat/completions", body, tries=1)
        if len(top_tokens(reply.content)) > 1:
            return number
    return 0


def _check(reply: Reply, options: ServerOptions, models: tuple[str, ...]) -> None:
    """Refuse a server that cannot be used at all."""
    if reply.code == 0:
        msg = f"language model server {options.url}: {reply.cause}; is it running, and is `url` right (with its /v1)?"
        raise ConfigurationError(msg)
    if reply.code in (401, 403):
        msg = f"language model server {options.url}: the API key is refused (HTTP {reply.code}); see `api_key_variable`"
        raise ConfigurationError(msg)
    if reply.code == 404 and models:
        msg = f"language model server {options.url} knows no model {options.model!r}; it has: {', '.join(models)}"
        raise ConfigurationError(msg)


def _entries(reply: Reply) -> list[dict[str, Any]]:
    data = (reply.content or {}).get("data")
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def _context_length(entry: Mapping[str, Any]) -> int | None:
    """vLLM says ``max_model_len``; llama.cpp says ``meta.n_ctx`` or what the model was trained with."""
    meta = entry.get("meta") if isinstance(entry.get("meta"), dict) else {}
    stated = (entry.get("max_model_len"), entry.get("context_length"), *(meta.get(name) for name in ("n_ctx", "n_ctx_train")))  # type: ignore[union-attr]
    return next((int(number) for number in stated if isinstance(number, int) and number > 0), None)
