"""From a JSON Schema and one report's text to the grammar that an answer about this report must follow.

The grammar is llguidance's Lark (its ``docs/syntax.md``): strings marked ``x-evidence`` are runs of whole words of the source,
properties come in the schema's order, and white space, strings, numbers and arrays are bounded, so no answer runs on for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Any

from weakbox.language_models.interface import Request
from weakbox.language_models.json_schema import EVIDENCE, Schema, SchemaError, check_keywords, portable, resolve, types_of
from weakbox.language_models.number_patterns import integer_pattern, number_pattern

LONGEST_EVIDENCE = 400
LONGEST_STRING = 200
MOST_ITEMS = 64
MOST_PIECES = 40_000
"""Pieces of a source beyond which llguidance refuses the grammar (measured at 1.9: 40,000 take 0.1 s, 200,000 are refused)."""

PIECE = re.compile(r"\w+(?:(?<=\d)[.,](?=\d)\w+)*|\s|[^\w\s]")
"""What evidence is put together from: a whole number or word (``4.5cm`` is one), one space, one sign. Half a number is no evidence."""

WHITE_SPACE = r"WS: / |\n[ \t]{0,16}/"
CHARACTER = r'(?:[^"\\\x00-\x1f\x7f]|\\["\\\/bfnrt])'
"""One character of a JSON string."""
SOURCE_CHARACTER = r'(?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u[0-9a-f]{4})'
"""One character as ``json.dumps`` writes it."""
SOLID = r'(?:[^"\\\x00-\x20\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]|\\["\\])'
"""The first character of an evidence: no white space."""


def evidence_grammar(schema: Schema, source: str) -> str:
    """The Lark grammar of all answers to ``schema`` whose evidence is cut from ``source``.

    Raises:
        SchemaError: a keyword cannot be enforced, the schema refers to itself, the source has no words to cut evidence from, or
            it has more than 40,000 pieces (words, spaces, signs).
    """
    writer = _writer(json.dumps(schema))
    lines = [*writer.lines]
    if writer.has_evidence:
        lines.extend(_source_lines(source))
    return "\n".join(lines) + "\n"


def grammar_of(request: Request) -> str | None:
    """The grammar of a request: its own, or the one of its schema and source; ``None`` where it has neither.

    Made when the request's batch is made: thousands of requests need not carry thousands of grammars.

    Raises:
        SchemaError: as ``evidence_grammar``.
    """
    if request.grammar is not None or not request.schema:
        return request.grammar
    return evidence_grammar(request.schema if request.source else portable(request.schema), request.source)


def wants_evidence(request: Request) -> bool:
    """Whether a schema alone would say less than the request's grammar does."""
    return request.grammar is not None or bool(request.schema and request.source and _writer(json.dumps(request.schema)).has_evidence)


@lru_cache(maxsize=32)
def _writer(schema: str) -> _Writer:
    return _Writer(json.loads(schema))


def _source_lines(source: str) -> list[str]:
    segments = _segments(source)
    if not segments:
        raise SchemaError("the source has no words: no evidence can be cut from it")
    if sum(len(segment) for segment in segments) > MOST_PIECES:
        msg = f"the source has more than {MOST_PIECES} words, spaces and signs: too long for an evidence grammar"
        raise SchemaError(msg)
    runs = [json.dumps({"substring_chunks": segment}, ensure_ascii=False) for segment in segments]
    lines = [f"SOURCE_{number}: %regex {run}" for number, run in enumerate(runs)]
    return [*lines, "SOURCE: " + " | ".join(f"SOURCE_{number}" for number in range(len(segments)))]


def _segments(source: str) -> list[list[str]]:
    """Pieces of the source as JSON writes them; a lone surrogate, which no UTF-8 has, ends a segment."""
    runs = (list(run) for usable, run in groupby(PIECE.findall(source), _is_encodable) if usable)
    return [[json.dumps(piece, ensure_ascii=False)[1:-1] for piece in run] for run in runs if any(_is_solid(piece) for piece in run)]


def _is_solid(piece: str) -> bool:
    """Whether an evidence may begin with this piece."""
    return piece[0] > " " and not piece.isspace()


def _is_encodable(piece: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in piece)


class _Writer:
    """Rules of one schema; the source's lines come behind, report by report."""

    def __init__(self, schema: Schema) -> None:
        self._root = schema
        self._rules: dict[str, str] = {}
        self._terminals: dict[str, str] = {}
        self._references: dict[str, str] = {}
        self.has_evidence = False
        start = self._value(schema)
        self.lines = ["%llguidance {}", f"start: {start}", WHITE_SPACE, *self._named(self._rules), *self._named(self._terminals)]

    @staticmethod
    def _named(definitions: dict[str, str]) -> list[str]:
        return [f"{name}: {body}" for body, name in definitions.items()]

    def _rule(self, body: str) -> str:
        return self._rules.setdefault(body, f"rule_{len(self._rules)}")

    def _terminal(self, body: str) -> str:
        return self._terminals.setdefault(body, f"TERMINAL_{len(self._terminals)}")

    def _value(self, schema: Schema) -> str:
        """The name of the rule or terminal for a schema."""
        reference = schema.get("$ref")
        if reference is None:
            return self._described(schema)
        if reference not in self._references:
            self._references[reference] = ""
            self._references[reference] = self._described(resolve(schema, self._root))
        if not self._references[reference]:
            raise SchemaError(f"$ref {reference!r} refers to itself: its answers have no bound")
        return self._references[reference]

    def _described(self, schema: Schema) -> str:
        check_keywords(schema)
        if "const" in schema:
            return self._terminal(_literal(schema["const"]))
        if "enum" in schema:
            return self._terminal(" | ".join(_literal(option) for option in schema["enum"]))
        for name in ("anyOf", "oneOf"):
            if name in schema:
                return self._rule(" | ".join(dict.fromkeys(self._value(inner) for inner in schema[name])))
        kinds = types_of(schema)
        if not kinds:
            raise SchemaError("a schema without type, enum, const, anyOf, oneOf or $ref allows anything: say what is meant")
        names = [self._of_type(kind, schema) for kind in dict.fromkeys(kinds)]
        return names[0] if len(names) == 1 else self._rule(" | ".join(names))

    def _of_type(self, kind: str, schema: Schema) -> str:
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema)
        if kind == "string":
            return self._evidence(schema) if schema.get(EVIDENCE) else self._string(schema)
        if kind in ("integer", "number"):
            return self._terminal(_slashed(_number(kind, schema)))
        return self._terminal('"true" | "false"' if kind == "boolean" else '"null"')

    def _string(self, schema: Schema) -> str:
        least, most = schema.get("minLength", 0), schema.get("maxLength", LONGEST_STRING)
        return self._terminal(f'/"{CHARACTER}{{{least},{most}}}"/')

    def _evidence(self, schema: Schema) -> str:
        """The quotation marks belong to the terminal, so that a word of the source is no other lexeme's beginning."""
        self.has_evidence = True
        least, most = max(schema.get("minLength", 1), 1), schema.get("maxLength", LONGEST_EVIDENCE)
        bounded = self._terminal(f"SOURCE & /{SOLID}{SOURCE_CHARACTER}{{{least - 1},{most - 1}}}/")
        return self._terminal(f'"\\"" {bounded} "\\""')

    def _array(self, schema: Schema) -> str:
        least, most = schema.get("minItems", 0), schema.get("maxItems", MOST_ITEMS)
        if most == 0:
            return self._rule('"[" WS? "]"')
        item = self._value(schema["items"])
        further = f' ("," WS? {item}){{{max(least - 1, 0)},{most - 1}}}' if most > 1 else ""
        filled = f'"[" WS? {item}{further} WS? "]"'
        return self._rule(filled if least > 0 else f'{filled} | "[" WS? "]"')

    def _object(self, schema: Schema) -> str:
        required = set(schema.get("required", ()))
        members = [(self._member(name, inner), name in required) for name, inner in schema.get("properties", {}).items()]
        unknown = sorted(required - set(schema.get("properties", {})))
        if unknown:
            msg = f"required property {unknown[0]!r} is not described"
            raise SchemaError(msg)
        openings = [self._from(members, first) for first in _possible_first(members)]
        closed = [f'"{{" WS? {opening} WS? "}}"' for opening in openings]
        if not any(is_required for _member, is_required in members):
            closed.append('"{" WS? "}"')
        return self._rule(" | ".join(closed))

    def _member(self, name: str, schema: Schema) -> str:
        return self._rule(f"{_literal(name)} {_literal_text(':')} WS? {self._value(schema)}")

    @staticmethod
    def _from(members: Sequence[tuple[str, bool]], first: int) -> str:
        """The members from ``first`` on, this one present."""
        later = [f'"," WS? {name}' if is_required else f'("," WS? {name})?' for name, is_required in members[first + 1 :]]
        return " ".join([members[first][0], *later])


def _possible_first(members: Iterable[tuple[str, bool]]) -> list[int]:
    """Which members may come first: up to the first required one."""
    possible = []
    for place, (_name, is_required) in enumerate(members):
        possible.append(place)
        if is_required:
            break
    return possible


def _number(kind: str, schema: Schema) -> str:
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    step = Decimal(1) if kind == "integer" else Decimal("0.001")
    low = max((bound for bound in (low, None if above is None else above + step) if bound is not None), default=None)
    high = min((bound for bound in (high, None if below is None else below - step) if bound is not None), default=None)
    try:
        return integer_pattern(low, high) if kind == "integer" else number_pattern(low, high)
    except ValueError as error:
        raise SchemaError(str(error)) from None


def _bound(schema: Schema, name: str) -> Decimal | None:
    return Decimal(str(schema[name])) if name in schema else None


def _slashed(pattern: str) -> str:
    return f"/{pattern}/"


def _literal(value: Any) -> str:
    """A JSON value as a Lark string: its characters, in quotation marks once more."""
    if isinstance(value, dict | list):
        raise SchemaError("enum and const hold texts, numbers, true, false or null")
    return _literal_text(json.dumps(value, ensure_ascii=False))


def _literal_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
