"""The evidence grammar, its numbers and the schema check: what a model may write, and nothing else."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weakbox.language_models.evidence_grammar import PIECE, evidence_grammar
from weakbox.language_models.json_schema import SchemaError, breach, evidence_in, portable
from weakbox.language_models.number_patterns import DECIMALS, integer_pattern, number_pattern

pytest.importorskip("llguidance", reason="constrained decoding needs the extra `llm`")
pytest.importorskip("transformers", reason="constrained decoding needs the extra `llm`")
pytest.importorskip("torch", reason="constrained decoding needs the extra `llm`")

import llguidance
import llguidance.hf

from tests.tiny_language_model import tiny_tokenizer

EVIDENCE = {"type": "string", "x-evidence": True}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "findings": {
            "type": "array",
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "evidence": {**EVIDENCE, "maxLength": 40},
                    "score": {"type": "integer", "minimum": 1, "maximum": 5},
                    "size_mm": {"anyOf": [{"type": "number", "minimum": 0.5, "maximum": 200}, {"type": "null"}]},
                    "side": {"enum": ["left", "right", None]},
                    "sure": {"type": "boolean"},
                    "label": {"type": "string", "maxLength": 10},
                },
                "required": ["evidence", "score"],
                "additionalProperties": False,
            },
        },
        "none": {"const": "stated"},
    },
    "required": ["findings"],
    "additionalProperties": False,
}
REPORT = 'Links: "Läsion" 4.5x3.2cm,\nPI-RADS 4 \\ ADC tief.\tKein Nachweis… 12 mm'


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return llguidance.hf.from_tokenizer(tiny_tokenizer())


def accepts(tokenizer: Any, grammar: str, text: str) -> bool:
    """Whether the grammar allows exactly ``text`` as a whole answer."""
    matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_lark(grammar), log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    tokens = tokenizer.tokenize_str(text)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def finding(evidence: str, **values: Any) -> str:
    return json.dumps({"findings": [{"evidence": evidence, "score": 4, **values}]}, ensure_ascii=False)


@pytest.mark.parametrize(
    "evidence",
    ["PI-RADS 4", "4.5x3.2cm", '"Läsion"', "4.5x3.2cm,\nPI-RADS", "4 \\ ADC", "tief.\tKein", "Nachweis…", "12 mm", "Links", "RADS 4"],
)
def test_words_of_the_report_are_evidence_as_json_writes_them(tokenizer: Any, evidence: str) -> None:
    assert accepts(tokenizer, evidence_grammar(SCHEMA, REPORT), finding(evidence))


@pytest.mark.parametrize(
    "evidence",
    [
        "PI-RADS 5",
        "pi-rads 4",
        "2cm",
        "4.5",
        "5x3.2cm",
        "äsion",
        "Links Läsion",
        "PI-RADS4",
        "",
        " PI-RADS 4",
        "\nPI-RADS 4",
        "Lasion",
        "3.2",
    ],
)
def test_paraphrases_halves_of_numbers_and_empty_quotes_are_no_evidence(tokenizer: Any, evidence: str) -> None:
    assert not accepts(tokenizer, evidence_grammar(SCHEMA, REPORT), finding(evidence))


def test_evidence_is_not_longer_than_the_schema_says(tokenizer: Any) -> None:
    grammar = evidence_grammar(SCHEMA, "word " * 50)
    assert accepts(tokenizer, grammar, finding(("word " * 8)[:39]))
    assert not accepts(tokenizer, grammar, finding(("word " * 9)[:44]))


def test_a_length_counts_characters_and_not_their_escapes(tokenizer: Any) -> None:
    schema = {"type": "object", "properties": {"e": {**EVIDENCE, "maxLength": 4}}, "required": ["e"]}
    assert accepts(tokenizer, evidence_grammar(schema, '"\n"\n"'), '{"e":"\\"\\n\\"\\n"}')
    assert not accepts(tokenizer, evidence_grammar(schema, '"\n"\n"'), '{"e":"\\"\\n\\"\\n\\""}')


def test_properties_come_in_the_schemas_order(tokenizer: Any) -> None:
    grammar = evidence_grammar(SCHEMA, REPORT)
    assert accepts(tokenizer, grammar, '{"findings":[{"evidence":"mm","score":3,"side":null,"sure":true}],"none":"stated"}')
    assert not accepts(tokenizer, grammar, '{"findings":[{"score":3,"evidence":"mm"}]}')
    assert not accepts(tokenizer, grammar, '{"none":"stated","findings":[]}')
    assert not accepts(tokenizer, grammar, '{"findings":[{"evidence":"mm"}]}')
    assert not accepts(tokenizer, grammar, '{"findings":[],"more":1}')


def test_values_outside_the_schema_are_refused(tokenizer: Any) -> None:
    grammar = evidence_grammar(SCHEMA, REPORT)
    for wrong in ({"score": 6}, {"score": 0}, {"size_mm": 500}, {"size_mm": 0.4}, {"side": "both"}, {"sure": 1}, {"label": "x" * 11}):
        assert not accepts(tokenizer, grammar, finding("mm", **wrong)), wrong
    for right in ({"size_mm": 0.5}, {"size_mm": 199.999}, {"size_mm": None}, {"size_mm": 200}, {"label": 'a"\\\n'}):
        assert accepts(tokenizer, grammar, finding("mm", **right)), right
    four = '{"evidence":"mm","score":1}'
    assert accepts(tokenizer, grammar, f'{{"findings":[{four},{four},{four}]}}')
    assert not accepts(tokenizer, grammar, f'{{"findings":[{four},{four},{four},{four}]}}')


@pytest.mark.parametrize("indent", [None, 1, 2, 4, "\t"])
def test_usual_layouts_of_json_are_allowed(tokenizer: Any, indent: int | str | None) -> None:
    text = json.dumps(json.loads(finding("12 mm", size_mm=12.5, side="left")), indent=indent)
    assert accepts(tokenizer, evidence_grammar(SCHEMA, REPORT), text)


def test_white_space_has_an_end(tokenizer: Any) -> None:
    grammar = evidence_grammar(SCHEMA, REPORT)
    assert accepts(tokenizer, grammar, '{"findings": []}')
    assert not accepts(tokenizer, grammar, '{"findings":  []}')
    assert not accepts(tokenizer, grammar, '{"findings":\n\n[]}')
    assert not accepts(tokenizer, grammar, '{"findings":' + "\n" + " " * 17 + "[]}")


def test_optional_properties_may_all_be_left_out(tokenizer: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "boolean"}, "c": {"type": "null"}}}
    grammar = evidence_grammar(schema, "")
    for text in ("{}", '{"a":null}', '{"b":true}', '{"c":null}', '{"a":null,"c":null}', '{"b":false,"c":null}'):
        assert accepts(tokenizer, grammar, text), text
    for text in ('{"c":null,"a":null}', '{,"a":null}', '{"a":null,}', '{"a":null"b":true}'):
        assert not accepts(tokenizer, grammar, text), text


def test_a_referenced_part_is_the_same_everywhere(tokenizer: Any) -> None:
    leaf = {"type": "object", "properties": {"e": EVIDENCE}, "required": ["e"]}
    schema = {"$defs": {"leaf": leaf}, "type": "object", "properties": {n: {"$ref": "#/$defs/leaf"} for n in "ab"}, "required": ["a"]}
    assert accepts(tokenizer, evidence_grammar(schema, "one two"), '{"a":{"e":"one"},"b":{"e":"one two"}}')
    assert not accepts(tokenizer, evidence_grammar(schema, "one two"), '{"a":{"e":"one"},"b":{"e":"three"}}')


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "pattern": "a+"}, "pattern"),
        ({}, "allows anything"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "'a' is not described"),
        ({"$ref": "#/$defs/a"}, "leads to no schema"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}}, "refers to itself"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no number"),
        ({"enum": [["a"]]}, "enum and const"),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_refused(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaError, match=re.escape(words)):
        evidence_grammar(schema, "text")


@pytest.mark.parametrize("source", ["", " \n\t ", "\x00\x01", "\ud800"])
def test_a_source_without_words_gives_no_grammar(source: str) -> None:
    with pytest.raises(SchemaError, match="no words"):
        evidence_grammar(SCHEMA, source)


def test_a_source_that_is_too_long_is_refused_before_the_parser_refuses_it(tokenizer: Any) -> None:
    longest = "".join(f"w{number} " for number in range(19_999))
    assert accepts(tokenizer, evidence_grammar(SCHEMA, longest), finding("w19000 w19001"))
    with pytest.raises(SchemaError, match="too long"):
        evidence_grammar(SCHEMA, longest * 2)


def test_half_a_surrogate_pair_ends_the_evidence_and_not_the_run(tokenizer: Any) -> None:
    grammar = evidence_grammar(SCHEMA, "left\ud800right \U0001f600 side")
    assert accepts(tokenizer, grammar, finding("left"))
    assert accepts(tokenizer, grammar, finding("\U0001f600 side"))
    assert not accepts(tokenizer, grammar, finding("leftright"))


SOURCES = st.text(
    st.one_of(st.sampled_from('ab1.,"\\/\n\t é\u00a0\u2028\x00\x1f\x7f…\U0001f600عé'), st.characters(exclude_categories=["Cs"])), min_size=1
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(source=SOURCES, data=st.data())
def test_every_run_of_pieces_of_any_text_is_accepted_in_json(tokenizer: Any, source: str, data: st.DataObject) -> None:
    pieces = PIECE.findall(source)
    assert "".join(pieces) == source
    starts = [place for place, piece in enumerate(pieces) if piece[0] > " " and not piece.isspace()]
    if not starts:
        return
    start = data.draw(st.sampled_from(starts))
    end = data.draw(st.integers(start + 1, len(pieces)))
    evidence = "".join(pieces[start:end])
    schema = {"type": "object", "properties": {"e": EVIDENCE}, "required": ["e"]}
    assert accepts(tokenizer, evidence_grammar(schema, source), json.dumps({"e": evidence}, ensure_ascii=False))


BOUNDS = st.decimals(-1000, 1000, places=2) | st.integers(-300, 300).map(Decimal)


@settings(max_examples=300, deadline=None)
@given(low=BOUNDS, high=BOUNDS, value=st.decimals(-1200, 1200, places=DECIMALS))
def test_number_patterns_match_exactly_their_range(low: Decimal, high: Decimal, value: Decimal) -> None:
    low, high = min(low, high), max(low, high)
    if value == 0:
        value = abs(value)
    written = [str(value), *([f"{value:.1f}"] if value == round(value, 1) else [])]
    pattern = number_pattern(low, high)
    assert all(bool(re.fullmatch(pattern, text)) == (low <= value <= high) for text in written), (pattern, value)


@settings(max_examples=200, deadline=None)
@given(low=st.integers(-2000, 2000), width=st.integers(0, 3000), value=st.integers(-5000, 5000))
def test_integer_patterns_match_exactly_their_range(low: int, width: int, value: int) -> None:
    pattern = integer_pattern(Decimal(low), Decimal(low + width))
    assert bool(re.fullmatch(pattern, str(value))) == (low <= value <= low + width)
    assert not re.fullmatch(pattern, f"0{low}")


def test_the_portable_schema_says_the_same_without_our_keyword() -> None:
    text = json.dumps(portable(SCHEMA))
    assert "x-evidence" not in text
    assert list(portable(SCHEMA)["properties"]["findings"]["items"]["properties"])[:2] == ["evidence", "score"]
    jsonschema.Draft202012Validator.check_schema(portable(SCHEMA))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 8)
    | st.floats(-1, 300, allow_nan=False)
    | st.sampled_from(["left", "mm", "stated", "x" * 11]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["findings", "evidence", "score", "side", "size_mm", "none"]), inner)
    ),
    max_leaves=12,
)
NEAR = st.builds(
    lambda evidence, score, more: {"findings": [{"evidence": evidence, "score": score, **more}]},
    st.sampled_from(["mm", "", 4]),
    st.integers(0, 6),
    st.dictionaries(st.sampled_from(["side", "size_mm", "sure", "label", "other"]), VALUES, max_size=2),
)


@settings(max_examples=400, deadline=None)
@given(value=VALUES | NEAR)
def test_the_schema_check_agrees_with_jsonschema(value: object) -> None:
    assert (not breach(value, SCHEMA)) == jsonschema.Draft202012Validator(SCHEMA).is_valid(value)


def test_a_breach_says_where_and_never_what() -> None:
    secret = {"findings": [{"evidence": "Erika Mustermann", "score": 9}]}
    assert breach(secret, SCHEMA) == "$.findings[0].score: maximum"
    assert breach({"findings": [], "Erika": 1}, SCHEMA) == "$: additionalProperties"


def test_all_evidence_of_an_answer_is_found() -> None:
    answer = {"findings": [{"evidence": "a", "score": 1, "label": "no evidence"}, {"evidence": "b", "score": 2}]}
    assert list(evidence_in(answer, SCHEMA)) == ["a", "b"]
