"""What a model wrote, read strictly: the thoughts off, one JSON value that meets the schema, or the reason why not."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from weakbox.language_models.interface import Request
from weakbox.language_models.json_schema import breach

THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>\s*", re.DOTALL)
FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)
PAGE = re.compile(r"\A\s*<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE)


def without_thoughts(text: str) -> str:
    """The answer alone: no leading thoughts of a reasoning model, no code fence around it.

    >>> without_thoughts('<think>hm</think>{"a": 1}')
    '{"a": 1}'
    """
    text = THOUGHT.sub("", text, count=1)
    if not text.lstrip().startswith(("{", "[")) and "</think>" in text:
        text = text.partition("</think>")[2]  # the chat template had opened the thought already
    fenced = FENCE.match(text)
    return (fenced.group(1) if fenced else text).strip()


def fault_of(text: str, request: Request) -> str:
    """Why ``text`` is no answer to ``request``; empty where it is one. Carries no word of the text."""
    if not text.strip():
        return "the answer is empty"
    if PAGE.match(text):
        return "the answer is HTML"
    if text.lstrip().startswith(("<think", "<thinking")):
        return "the answer is a thought without end"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "the answer holds half a character"
    if not request.schema:
        return ""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at character {error.pos} of {len(text)}"
    except (ValueError, RecursionError):
        return "not JSON: a number that JSON does not know, or nesting without end"
    found = breach(value, request.schema)
    return f"the answer breaks the schema at {found}" if found else ""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
