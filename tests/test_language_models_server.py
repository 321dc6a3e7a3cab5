"""Servers that speak the OpenAI dialect: real processes on loopback, good and faulty ones."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm import Config, open_model
from weakbox.language_models.cache import CachedModel
from weakbox.language_models.evidence_grammar import evidence_grammar
from weakbox.language_models.interface import Answer, AnswerStatus, Message, Question, Request
from weakbox.language_models.json_schema import evidence_in
from weakbox.language_models.options import ServerOptions
from weakbox.language_models.reply import without_thoughts
from weakbox.language_models.server import ServerModel, chosen, least_tokens
from weakbox.language_models.server_address import checked_address, is_loopback
from weakbox.language_models.server_connection import retry_after
from weakbox.records.errors import ConfigurationError
from weakbox.runtime.config import validate

ROOT = Path(__file__).resolve().parents[1]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "findings": {
            "type": "array",
            "maxItems": 2,
            "items": {
                "type": "object",
                "properties": {
                    "evidence": {"type": "string", "x-evidence": True, "maxLength": 40},
                    "score": {"type": "integer", "maximum": 5},
                },
                "required": ["evidence", "score"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["findings"],
    "additionalProperties": False,
}
INVENTED_NAMES = ("Erika", "Mustermann")
"""Stand in every report and every fault; they may be in no cause and no log line."""


class Process:
    """A server in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir()
        self.log = folder / "log.jsonl"
        port_file = folder / "port"
        command = [sys.executable, "-m", "tests.language_model_server", "--port-file", str(port_file), "--log", str(self.log), *options]
        self._process = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 120
        while not port_file.exists():
            assert self._process.poll() is None, "the server ended at its start"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        self.port = int(port_file.read_text())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def asked(self) -> list[dict[str, Any]]:
        """Every request it got, in order."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()] if self.log.exists() else []

    def kill(self) -> None:
        """As a power failure would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Process]]:
    processes: list[Process] = []

    def started(*options: str) -> Process:
        processes.append(Process(tmp_path_factory.mktemp("server") / "process", *options))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()


@pytest.fixture(scope="module")
def faulty(start: Callable[..., Process]) -> Process:
    return start()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("torch", "transformers", "llguidance"):
        pytest.importorskip(package, reason="the model server needs the extra `llm`")
    from tests.tiny_language_model import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def serving(start: Callable[..., Process], tiny: Path) -> Process:
    return start("--model", str(tiny))


def options(url: str, **changes: Any) -> ServerOptions:
    settings = {"url": url, "model": "tiny", "timeout_s": 20.0, "backoff_s": 0.01, "retries": 3, **changes}
    return ServerOptions.model_validate(settings)


@contextmanager
def opened(process: Process, **changes: Any) -> Iterator[ServerModel]:
    model = ServerModel(options(process.url, **changes))
    try:
        yield model
    finally:
        model.close()


def request(text: str, key: str = "r", **changes: Any) -> Request:
    messages = (Message(role="system", content="Answer in JSON."), Message(role="user", content=text))
    return Request(**{"key": key, "messages": messages, "schema": SCHEMA, "source": text, "maximum_tokens": 300, **changes})


def outcome(process: Process, fault: str, **changes: Any) -> Answer:
    """The answer to one request that meets this fault."""
    with opened(process, **changes) as model:
        (answer,) = model.answer([request(f"Patient Erika Mustermann. fault: {fault} {time.monotonic_ns()}")])
    return answer


# -- a real model -------------------------------------------------------------------------------------------------------


def reports(number: int) -> list[Request]:
    texts = [f"Report {place}: left {place},{place} mm, PI-RADS {place % 5 + 1}." for place in range(number)]
    grammars = [evidence_grammar(SCHEMA, text) if place % 2 else None for place, text in enumerate(texts)]  # own, or made by the model
    return [request(text, key=f"key {place}", grammar=grammars[place]) for place, text in enumerate(texts)]


def test_the_probe_finds_what_a_server_can_do(serving: Process) -> None:
    with opened(serving) as model:
        found = model.capabilities
    assert found.models == ("tiny",)
    assert found.has_schema
    assert found.has_grammar
    assert found.top_logprobs == 20
    assert found.context_length == 4096


def test_many_reports_are_answered_with_evidence_from_each(serving: Process) -> None:
    asked = reports(10)
    with opened(serving, concurrency=4) as model:
        answers = list(model.answer(asked))
    sources = {item.key: item.source for item in asked}
    assert {answer.key for answer in answers} == set(sources)
    for answer in answers:
        assert answer.status is AnswerStatus.COMPLETE, answer
        assert answer.prompt_tokens > 0
        assert all(quote in sources[answer.key] for quote in evidence_in(json.loads(answer.text), SCHEMA))
    assert all("structured_outputs" in line["body"] for line in serving.asked()[-10:])


def test_without_a_grammar_the_schema_goes_to_the_server_without_our_keyword(serving: Process) -> None:
    with opened(serving) as model:
        (answer,) = model.answer([request("left 4 mm", source="")])
    sent = serving.asked()[-1]["body"]["response_format"]["json_schema"]
    assert answer.status is AnswerStatus.COMPLETE
    assert sent["strict"] is True
    assert "x-evidence" not in json.dumps(sent)


def test_a_server_gives_probabilities_of_options_where_it_tells_them(serving: Process) -> None:
    """The tiny model's likeliest first tokens are taken as options, so that they can be found."""
    question = Question(key="q", messages=(Message(role="user", content="Which?"),), options=("left", "right"))
    with opened(serving) as model:
        (unlikely,) = model.choose([question])
        top = _likeliest(model, question)
        asked = Question(key="q", messages=question.messages, options=top)
        (choice,) = model.choose([asked])
    assert len(choice.probabilities) == len(top) >= 2
    assert sum(choice.probabilities) == pytest.approx(1.0)
    assert list(choice.probabilities) == sorted(choice.probabilities, reverse=True)
    assert unlikely.probabilities or unlikely.cause == "no option is among the model's likeliest tokens"


def _likeliest(model: ServerModel, question: Question) -> tuple[str, ...]:
    from weakbox.language_models.server_probe import top_tokens

    body = {"model": "tiny", "messages": [{"role": "user", "content": "Which?"}], "max_tokens": 1, "logprobs": True, "top_logprobs": 20}
    reply = model._run(model._connection.exchange("POST", "/chat/completions", body))
    words: list[str] = []
    for token, _logprob in top_tokens(reply.content):
        word = token.strip()
        if word and not any(word.startswith(other) or other.startswith(word) for other in words):
            words.append(word)
    every = [token.strip() for token, _logprob in top_tokens(reply.content)]
    return tuple(word for word in words if sum(word.startswith(token) for token in every if token) == 1)[:3]


@pytest.mark.slow
def test_a_server_killed_in_the_middle_costs_only_what_was_under_way(start: Callable[..., Process], tiny: Path, tmp_path: Path) -> None:
    asked, cache = reports(12), tmp_path / "answers.sqlite"
    first = start("--model", str(tiny), "--delay", "0.05")
    model = CachedModel(ServerModel(options(first.url, concurrency=2, retries=1)), cache)
    before = []
    for answer in model.answer(asked):
        before.append(answer)
        if len(before) == 5:
            first.kill()
    model.close()
    complete = {answer.key for answer in before if answer.status is AnswerStatus.COMPLETE}
    failed = [answer for answer in before if answer.status is AnswerStatus.FAILED]
    assert len(before) == 12
    assert 5 <= len(complete) < 12
    assert len(failed) == 12 - len(complete)
    assert all("connection failed" in answer.cause for answer in failed)

    second = start("--model", str(tiny))
    resumed = CachedModel(ServerModel(options(second.url, concurrency=2)), cache)
    after = list(resumed.answer(asked))
    resumed.close()
    assert {answer.key for answer in after if answer.is_cached} == complete
    assert all(answer.status is AnswerStatus.COMPLETE for answer in after)
    asked_again = [line["body"]["messages"][-1]["content"] for line in second.asked() if "Report" in str(line["body"]["messages"])]
    assert sorted(asked_again) == sorted(item.source for item in asked if item.key not in complete)

    questions = len(second.asked())
    third = CachedModel(ServerModel(options(second.url)), cache)
    assert all(answer.is_cached for answer in third.answer(asked))
    third.close()
    assert not any("Report" in str(line["body"]["messages"]) for line in second.asked()[questions:])


CLIENT = """
import json, sys
from tests.test_language_models_server import options, reports
from weakbox.language_models.cache import CachedModel
from weakbox.language_models.server import ServerModel
model = CachedModel(ServerModel(options(sys.argv[1], concurrency=2)), __import__("pathlib").Path(sys.argv[2]))
for answer in model.answer(reports(12)):
    print(answer.key, flush=True)
"""


@pytest.mark.slow
def test_a_run_killed_in_the_middle_resumes_and_asks_nothing_twice(start: Callable[..., Process], tiny: Path, tmp_path: Path) -> None:
    server, cache = start("--model", str(tiny), "--delay", "0.1"), tmp_path / "answers.sqlite"
    client = subprocess.Popen([sys.executable, "-c", CLIENT, server.url, str(cache)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    seen = [client.stdout.readline().strip() for _number in range(4)]
    client.send_signal(signal.SIGKILL)
    client.wait()
    time.sleep(0.5)  # what the killed run had under way reaches the server's log
    before = len(server.asked())
    model = CachedModel(ServerModel(options(server.url)), cache)
    answers = {answer.key: answer for answer in model.answer(reports(12))}
    model.close()
    assert len(answers) == 12
    assert all(answers[key].is_cached for key in seen)
    again = [line["body"]["messages"][-1]["content"] for line in server.asked()[before:] if "Report" in str(line["body"]["messages"])]
    assert sorted(again) == sorted(item.source for item in reports(12) if not answers[item.key].is_cached)


# -- faults -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "cause"),
    [
        ("none", "complete", ""),
        ("reset", "complete", ""),
        ("500", "complete", ""),
        ("busy", "complete", ""),
        ("thinks", "complete", ""),
        ("thinks-unopened", "complete", ""),
        ("fence", "complete", ""),
        ("no-usage", "complete", ""),
        ("cut-json-once", "complete", ""),
        ("wrong-schema-once", "complete", ""),
        ("always-reset", "failed", "the connection failed (ReadError)"),
        ("always-500", "failed", "HTTP 500"),
        ("forbidden", "failed", "HTTP 403"),
        ("redirect", "failed", "HTTP 307"),
        ("bad-request", "failed", "HTTP 400"),
        ("filter", "failed", "the server's content filter withheld the answer"),
        ("context", "truncated", "HTTP 400: the prompt is longer than the server's context"),
        ("cut-prompt", "truncated", "the server read 3 tokens of a prompt that has at least"),
        ("length", "truncated", "the answer is longer than 300 tokens"),
        ("white-space", "truncated", "the answer is longer than 300 tokens"),
        ("html", "invalid", "the server's reply is HTML or XML, not JSON"),
        ("html-text", "invalid", "the answer is HTML"),
        ("cut-body", "invalid", "the server's reply is not JSON"),
        ("white-body", "invalid", "the server's reply is larger than 8 MiB"),
        ("list", "invalid", "the server's reply is JSON, but no object"),
        ("no-choices", "invalid", "no chat completion"),
        ("empty", "invalid", "the answer is empty"),
        ("cut-json", "invalid", "not JSON: Unterminated string"),
        ("wrong-schema", "invalid", "the answer breaks the schema at $.findings[0].evidence: required"),
        ("thinks-forever", "invalid", "the answer is a thought without end"),
        ("nan", "invalid", "not JSON"),
        ("deep", "invalid", "not JSON"),
        ("surrogate", "invalid", "half a character"),
    ],
)
def test_each_fault_is_that_requests_answer_and_quotes_nothing(
    faulty: Process, fault: str, status: str, cause: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = outcome(faulty, fault)
    assert (answer.status.value, answer.cause[: len(cause)] if status != "invalid" else cause in answer.cause) == (
        status,
        cause if status != "invalid" else True,
    ), answer
    printed = capfd.readouterr()
    for name in INVENTED_NAMES:
        assert name not in answer.cause
        assert name not in caplog.text
        assert name not in printed.out + printed.err
    if status == "complete":
        assert json.loads(answer.text) == {"findings": []}


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_a_server_that_gives_no_whole_answer_costs_no_more_than_the_time_limit(faulty: Process, fault: str) -> None:
    begin = time.monotonic()
    answer = outcome(faulty, fault, timeout_s=0.5, retries=1)
    assert answer.status is AnswerStatus.FAILED
    assert answer.cause == "no whole answer within 0.5 s"
    assert time.monotonic() - begin < 5


def test_faults_of_some_requests_leave_the_others_alone(faulty: Process) -> None:
    faults = ["none", "hang", "html", "none", "always-reset", "cut-json", "none", "always-500", "none"]
    requests = [request(f"fault: {fault} among others {place}", key=f"{place} {fault}") for place, fault in enumerate(faults)]
    with opened(faulty, timeout_s=1.0, retries=1, concurrency=4) as model:
        answers = {answer.key: answer.status for answer in model.answer(requests)}
    assert len(answers) == len(faults)
    assert {key for key, status in answers.items() if status is AnswerStatus.COMPLETE} == {
        item.key for item in requests if "none" in item.key
    }


def test_retry_after_is_honoured(faulty: Process) -> None:
    begin = time.monotonic()
    assert outcome(faulty, "busy", backoff_s=0.0).status is AnswerStatus.COMPLETE
    assert time.monotonic() - begin >= 1.0


def test_a_wait_has_a_limit_whatever_the_server_asks(faulty: Process) -> None:
    begin = time.monotonic()
    assert outcome(faulty, "busy", longest_wait_s=0.1).status is AnswerStatus.COMPLETE
    assert time.monotonic() - begin < 1.0


def test_a_repair_shows_the_model_its_answer_and_the_reason_once(faulty: Process) -> None:
    before = len(faulty.asked())
    outcome(faulty, "wrong-schema")
    bodies = [line["body"]["messages"] for line in faulty.asked()[before:] if "fault" in str(line["body"])]
    assert len(bodies) == 2
    assert [turn["role"] for turn in bodies[1]] == ["system", "user", "assistant", "user"]
    assert "breaks the schema" in bodies[1][-1]["content"]


def test_no_more_requests_are_under_way_than_allowed_and_an_early_end_stops_them(faulty: Process) -> None:
    requests = [request(f"fault: none {place}", key=str(place)) for place in range(40)]
    with opened(faulty, concurrency=3) as model:
        before = len(faulty.asked())
        answers = model.answer(requests)
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        time.sleep(0.3)
        stopped = len(faulty.asked()) - before
        assert list(model.answer([])) == []
        assert len(list(model.answer(requests))) == 40
    assert stopped < 40


def test_a_text_with_half_a_character_can_be_asked_about(faulty: Process) -> None:
    with opened(faulty) as model:
        (answer,) = model.answer([request("fault: none \ud800 \x00 text")])
    assert answer.status is AnswerStatus.COMPLETE


def test_a_server_without_log_probabilities_gives_a_cause(faulty: Process) -> None:
    with opened(faulty) as model:
        assert model.capabilities.top_logprobs == 0
        (choice,) = model.choose([Question(key="q", messages=(), options=("a", "b"))])
    assert choice.probabilities == ()
    assert "no log-probabilities" in choice.cause


# -- where reports may go -----------------------------------------------------------------------------------------------


def test_the_key_comes_from_the_environment_and_is_shown_nowhere(
    faulty: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SITE_KEY", "top-secret-4711")
    with opened(faulty, api_key_variable="SITE_KEY") as model:
        list(model.answer([request("fault: none with key")]))
        assert "4711" not in repr(model.options) + repr(model.capabilities) + model.digest
    assert faulty.asked()[-1]["key"] == "Bearer top-secret-4711"
    assert "4711" not in caplog.text
    monkeypatch.delenv("SITE_KEY")
    with pytest.raises(ConfigurationError, match="SITE_KEY is not set"):
        ServerModel(options(faulty.url, api_key_variable="SITE_KEY"))


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:8000/v1", "https://[2001:db8::1]/v1", "http://0.0.0.0:8000/v1", "http://[::ffff:192.0.2.1]/v1"]
)
def test_a_remote_server_needs_permission_and_credentialed_data_never_goes_there(url: str) -> None:
    with pytest.raises(ConfigurationError, match="allow_remote: true"):
        checked_address(options(url), "open")
    assert not checked_address(options(url, allow_remote=True), "open").is_local
    with pytest.raises(ConfigurationError, match="credentialed"):
        checked_address(options(url, allow_remote=True), "credentialed")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://localhost:8000/v1",
        "http://127.8.9.10/v1",
        "http://[::1]:8000/v1",
        "https://[::ffff:127.0.0.1]/v1",
    ],
)
def test_this_machine_is_local_by_any_of_its_names(url: str) -> None:
    assert checked_address(options(url), "credentialed").is_local


def test_a_name_is_as_remote_as_any_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(host: str, port: int, **_options: Any) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", port)), (2, 1, 6, "", ("192.0.2.7", port))]

    monkeypatch.setattr("socket.getaddrinfo", both)
    with pytest.raises(ConfigurationError, match="credentialed"):
        checked_address(options("http://models.hospital.example/v1", allow_remote=True), "credentialed")


def test_a_local_name_is_connected_to_by_the_address_that_was_checked() -> None:
    address = checked_address(options("http://localhost:8000/v1"), "credentialed")
    assert is_loopback(address.url.host)
    assert address.host == "localhost:8000"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "127.0.0.1:8000",
        "http://",
        "http://user:secret@127.0.0.1/v1",
        "http://127.0.0.1/v1?key=secret",
        "http://[::1/v1",
    ],
)
def test_what_is_no_server_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        checked_address(options(url), "open")
    assert "secret" not in str(error.value)


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no such host"):
        checked_address(options("http://no-such-host.invalid/v1"), "open")


def test_a_server_on_ipv6_loopback_is_used(start: Callable[..., Process]) -> None:
    process = start("--host", "::1")
    model = ServerModel(options(f"http://[::1]:{process.port}/v1"), "credentialed")
    (answer,) = model.answer([request("fault: none")])
    model.close()
    assert answer.status is AnswerStatus.COMPLETE


def test_proxies_of_the_environment_see_no_report(faulty: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert outcome(faulty, "none").status is AnswerStatus.COMPLETE


def test_a_server_that_cannot_be_used_is_refused_at_the_start(faulty: Process) -> None:
    with pytest.raises(ConfigurationError, match="is it running"):
        ServerModel(options("http://127.0.0.1:9/v1", retries=0))
    with pytest.raises(ConfigurationError, match="knows no model 'huge'; it has: tiny"):
        ServerModel(options(faulty.url, model="huge"))
    with pytest.raises(ConfigurationError, match="does not answer as an OpenAI-compatible server"):
        ServerModel(options(faulty.url.removesuffix("/v1"), model="huge"))


def test_a_configuration_opens_a_server_and_keeps_the_data_policy(faulty: Process) -> None:
    section = {"server": {"url": faulty.url, "model": "tiny"}, "data_policy": "credentialed"}
    model = open_model(validate(Config, section, "llm", "test"))
    (answer,) = model.answer([request("fault: none")])
    model.close()
    assert answer.status is AnswerStatus.COMPLETE
    remote = {"server": {"url": "http://192.0.2.1/v1", "model": "tiny", "allow_remote": True}, "data_policy": "credentialed"}
    with pytest.raises(ConfigurationError, match="credentialed"):
        open_model(validate(Config, remote, "llm", "test"))


def test_the_digest_names_the_model_and_not_the_address(faulty: Process, start: Callable[..., Process]) -> None:
    def digest(process: Process, **changes: Any) -> str:
        with opened(process, **changes) as model:
            return model.digest

    other = start()
    assert digest(faulty) == digest(other) == digest(faulty, concurrency=2, retries=9)
    assert (
        len({digest(faulty), digest(faulty, temperature=0.3), digest(faulty, revision="2"), digest(faulty, extra_body={"top_p": 0.5})}) == 4
    )


# -- small parts --------------------------------------------------------------------------------------------------------


def test_options_that_begin_alike_are_not_told_apart_by_one_token() -> None:
    question = Question(key="q", messages=(), options=("4", "4A", "none"))
    assert "begin alike" in chosen(question, [("4", -0.1)]).cause
    assert chosen(question, [("none", -0.1), ("4A", -3.0)]).probabilities[1] > 0


def test_probabilities_add_up_over_a_words_spellings() -> None:
    question = Question(key="q", messages=(), options=("left", "right"))
    choice = chosen(question, [("left", -1.0), (" left", -1.0), (" ri", -2.0), ("other", -0.5), (" ", -0.1)])
    assert choice.probabilities[0] / choice.probabilities[1] == pytest.approx(2 * 2.718281828)


def test_the_lower_bound_of_tokens_is_below_what_a_tokenizer_counts(tiny: Path) -> None:
    from tests.tiny_language_model import LINES, tiny_tokenizer

    tokenizer = tiny_tokenizer()
    for line in LINES:
        assert 0 < least_tokens([Message(role="user", content=line)]) <= len(tokenizer(line)["input_ids"])


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, 0.0), ("7", 7.0), ("soon", 0.0), ("-3", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("²", 0.0)]
)
def test_retry_after_is_read_in_every_form(header: str | None, seconds: float) -> None:
    assert retry_after(header) == seconds


def test_thoughts_are_taken_off_and_json_is_left_alone() -> None:
    assert without_thoughts('{"evidence": "</think> in a report"}') == '{"evidence": "</think> in a report"}'
    assert without_thoughts('<thinking>\n{"no": 1}\n</thinking>\n[1]') == "[1]"
