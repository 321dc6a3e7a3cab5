"""A model behind an OpenAI-compatible server: many requests at once, none of which can stop the others."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import queue
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from weakbox.language_models.evidence_grammar import grammar_of, wants_evidence
from weakbox.language_models.interface import Answer, AnswerStatus, Choice, Message, Question, Request
from weakbox.language_models.json_schema import SchemaError, portable
from weakbox.language_models.options import ServerOptions
from weakbox.language_models.reply import fault_of
from weakbox.language_models.server_address import DataPolicy, api_key, checked_address
from weakbox.language_models.server_connection import Connection, Reply
from weakbox.language_models.server_probe import (
    Capabilities,
    chat_body,
    first_choice,
    first_message,
    grammar_format,
    probed,
    schema_format,
    top_tokens,
)
from weakbox.records.errors import ConfigurationError

WORD = re.compile(r"\w+")
LEAST_TOKENS_A_WORD = 0.9
"""Tokenizers split at white space, so a word is at least one token; a little less, for those that do not."""
CUT_OFF = "the answer is longer than"
LONGEST_REPEATED = 4000
"""Characters of an unusable answer that are shown to the model again; more would only cost."""

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def least_tokens(messages: Sequence[Message]) -> int:
    """A lower bound of what a tokenizer makes of the messages.

    >>> least_tokens([Message(role="user", content="ten mm lesion")])
    2
    """
    return int(LEAST_TOKENS_A_WORD * sum(len(WORD.findall(message.content)) for message in messages))


class ServerModel:
    """Asks a server. ``capabilities`` is what the probe found; it belongs into the run's manifest.

    Raises (when made):
        ConfigurationError: reports may not go there, nothing answers, the key is refused, or there is no such model.
    """

    def __init__(self, options: ServerOptions, data_policy: DataPolicy = "open") -> None:
        address, key = checked_address(options, data_policy), api_key(options)
        self.name = options.model
        self.options = options
        self.is_local = address.is_local
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="language-model-server", daemon=True)
        self._thread.start()
        self._connection = self._run(_connected(options, address, key))
        try:
            self.capabilities = self._run(probed(self._connection, options))
        except ConfigurationError:
            self.close()
            raise
        self.digest = _digest(options, self.capabilities)

    @property
    def settings(self) -> dict[str, Any]:
        """How requests are made, for measurements."""
        return {"concurrency": self.options.concurrency, "schema": self.capabilities.has_schema, "grammar": self.capabilities.has_grammar}

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Close the connections and stop their thread."""
        if self._loop.is_closed():
            return
        self._run(self._ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _ended(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._connection.close()

    # -- many at once -------------------------------------------------------------------------------------------------

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """One answer a request, as they come in."""
        return self._each(requests, self._answer)

    def choose(self, questions: Sequence[Question]) -> Iterator[Choice]:
        """One choice a question, as they come in; without log-probabilities from the server, a cause instead."""
        if not self.capabilities.top_logprobs:
            return iter([Choice(key=question.key, cause="the server gives no log-probabilities") for question in questions])
        return self._each(questions, self._choose)

    def _each(self, items: Sequence[Item], ask: Callable[[Item], Awaitable[Outcome]]) -> Iterator[Outcome]:
        """Outcomes of all items, ``concurrency`` of them under way at once; what is under way is dropped when nobody takes more."""
        done: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        future = asyncio.run_coroutine_threadsafe(self._asked(items, ask, done), self._loop)
        future.add_done_callback(lambda _future: done.put(None))
        try:
            while (outcome := done.get()) is not None:
                yield outcome
            future.result()
        finally:
            future.cancel()

    async def _asked(
        self, items: Sequence[Item], ask: Callable[[Item], Awaitable[Outcome]], done: queue.SimpleQueue[Outcome | None]
    ) -> None:
        waiting = iter(items)

        async def worker() -> None:
            for item in waiting:
                done.put(await ask(item))

        workers = [asyncio.create_task(worker()) for _number in range(min(self.options.concurrency, len(items)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()

    # -- one answer ---------------------------------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Answer:
        """The answer; once more, with the reason, where it was cut off or is not what was asked for."""
        answer = await self._asked_once(request, request.messages)
        if answer.status is AnswerStatus.COMPLETE or not _is_worth_repair(answer):
            return answer
        second = await self._asked_once(request, _with_reason(request.messages, answer))
        if second.status is AnswerStatus.FAILED:
            return answer
        spent = answer.completion_tokens + second.completion_tokens
        return replace(second, prompt_tokens=answer.prompt_tokens + second.prompt_tokens, completion_tokens=spent)

    async def _asked_once(self, request: Request, messages: tuple[Message, ...]) -> Answer:
        body = chat_body(self.options, messages, self.capabilities.length_key, request.maximum_tokens)
        body |= self._form(request)
        reply = await self._connection.exchange("POST", "/chat/completions", body)
        return _read(request, messages, reply)

    def _form(self, request: Request) -> dict[str, Any]:
        """The form that the server holds the answer to: the grammar where it can, else the schema, else none.

        A schema that no grammar can be made of may still be one that the server knows; evidence is checked by who asked.
        """
        if self.capabilities.has_grammar:
            with suppress(SchemaError):
                grammar = grammar_of(request) if wants_evidence(request) else None
                if grammar is not None:
                    return grammar_format(grammar)
        return schema_format(portable(request.schema)) if request.schema and self.capabilities.has_schema else {}

    async def _choose(self, question: Question) -> Choice:
        body = chat_body(self.options, question.messages, self.capabilities.length_key, 1)
        body |= {"logprobs": True, "top_logprobs": self.capabilities.top_logprobs}
        reply = await self._connection.exchange("POST", "/chat/completions", body)
        if reply.content is None:
            return Choice(key=question.key, cause=reply.cause)
        return chosen(question, top_tokens(reply.content))


async def _connected(options: ServerOptions, address: Any, key: str | None) -> Connection:
    return Connection(options, address, key)


def _read(request: Request, messages: Sequence[Message], reply: Reply) -> Answer:
    if reply.content is None:
        is_too_long = reply.status is AnswerStatus.TRUNCATED
        return Answer(key=request.key, status=reply.status, cause=reply.cause, is_too_long=is_too_long)
    choice, text = first_choice(reply.content), first_message(reply.content)
    prompt_tokens, completion_tokens = _usage(reply.content, "prompt_tokens"), _usage(reply.content, "completion_tokens")
    status, cause = _judged(request, messages, choice, text, prompt_tokens)
    return Answer(
        key=request.key,
        status=status,
        text=text,
        cause=cause,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        is_too_long=status is AnswerStatus.TRUNCATED and not cause.startswith(CUT_OFF),
    )


def _judged(
    request: Request, messages: Sequence[Message], choice: Mapping[str, Any], text: str, prompt_tokens: int
) -> tuple[AnswerStatus, str]:
    if not choice:
        return AnswerStatus.INVALID, "the server's reply has no choices: it is no chat completion"
    if 0 < prompt_tokens < least_tokens(messages):
        return AnswerStatus.TRUNCATED, f"the server read {prompt_tokens} tokens of a prompt that has at least {least_tokens(messages)}"
    reason = choice.get("finish_reason")
    if reason == "length":
        return AnswerStatus.TRUNCATED, f"{CUT_OFF} {request.maximum_tokens} tokens"
    if reason == "content_filter":
        return AnswerStatus.FAILED, "the server's content filter withheld the answer"
    fault = fault_of(text, request)
    return (AnswerStatus.INVALID, fault) if fault else (AnswerStatus.COMPLETE, "")


def _usage(content: Mapping[str, Any], name: str) -> int:
    usage = content.get("usage")
    number = usage.get(name) if isinstance(usage, dict) else None
    return number if isinstance(number, int) and number > 0 else 0


def _is_worth_repair(answer: Answer) -> bool:
    """A prompt that was cut is cut again; a server that is not there stays away."""
    return answer.status is AnswerStatus.INVALID or answer.cause.startswith(CUT_OFF)


def _with_reason(messages: tuple[Message, ...], answer: Answer) -> tuple[Message, ...]:
    """The same question, with the answer that could not be used and why; as it was, where no answer reached us."""
    if not answer.text:
        return messages
    shown = (Message(role="assistant", content=answer.text),) if len(answer.text) <= LONGEST_REPEATED else ()
    reason = f"That answer cannot be used: {answer.cause}. Answer again, briefly, with nothing but JSON that meets the schema."
    return (*messages, *shown, Message(role="user", content=reason))


def chosen(question: Question, tokens: Sequence[tuple[str, float]]) -> Choice:
    """Probabilities of the options from the likeliest first tokens (each with its log-probability).

    An option that is not among them gets 0. Options that begin alike cannot be told apart by one token.
    """
    totals = [0.0] * len(question.options)
    for token, logprob in tokens:
        word = token.strip()
        matching = [place for place, option in enumerate(question.options) if word and option.startswith(word)]
        if len(matching) > 1:
            return Choice(key=question.key, cause="options begin alike: one token cannot tell them apart; give them letters")
        if matching:
            totals[matching[0]] += math.exp(logprob)
    whole = sum(totals)
    if not whole:
        return Choice(key=question.key, cause="no option is among the model's likeliest tokens")
    return Choice(key=question.key, probabilities=tuple(total / whole for total in totals))


def _digest(options: ServerOptions, capabilities: Capabilities) -> str:
    """What decides an answer besides the request. The address is no part of it: the same model may answer elsewhere tomorrow."""
    deciding = options.model_dump(include={"model", "revision", "temperature", "seed", "extra_body"})
    found = [capabilities.identity, capabilities.has_schema, capabilities.has_grammar]
    return hashlib.sha256(json.dumps([deciding, found], sort_keys=True, default=str).encode()).hexdigest()
