"""The cache of answers: what makes a key, what is kept, several processes, damage, speed."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from weakbox.language_models.cache import AnswerFile, CachedModel
from weakbox.language_models.interface import Answer, AnswerStatus, Choice, Message, Question, Request
from weakbox.records.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"evidence": {"type": "string"}, "score": {"type": "integer"}}}


class CountingModel:
    """Answers at once with what it was asked, and remembers what that was."""

    name = "counting"

    def __init__(self, digest: str = "d", status: AnswerStatus = AnswerStatus.COMPLETE) -> None:
        self.digest = digest
        self.status = status
        self.asked: list[str] = []
        self.is_open = True

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        for request in reversed(requests):
            self.asked.append(request.source)
            yield Answer(key=request.key, status=self.status, text=f"to {request.source}", prompt_tokens=7, allowed_mass=0.5)

    def choose(self, questions: Sequence[Question]) -> Iterator[Choice]:
        for question in questions:
            self.asked.append(question.messages[-1].content)
            probabilities = (0.25, 0.75) if self.status is AnswerStatus.COMPLETE else ()
            yield Choice(key=question.key, probabilities=probabilities, cause="" if probabilities else "none")

    def close(self) -> None:
        self.is_open = False


def request(text: str = "left", key: str = "r", **changes: Any) -> Request:
    settings = {
        "key": key,
        "messages": (Message(role="user", content=text),),
        "schema": SCHEMA,
        "source": text,
        "grammar": "start:",
        "version": "1",
    }
    return Request(**{**settings, **changes})


def question(text: str = "left", key: str = "q", **changes: Any) -> Question:
    return Question(**{"key": key, "messages": (Message(role="user", content=text),), "options": ("a", "b"), "version": "1", **changes})


def test_a_second_run_asks_nothing_and_gets_the_same(tmp_path: Path) -> None:
    first, second = CountingModel(), CountingModel()
    asked = [request(f"report {place} \ud800 \x00 ä", key=str(place)) for place in range(1200)]
    with_cost = {answer.key: answer for answer in CachedModel(first, tmp_path / "a" / "c.sqlite").answer(asked)}
    again = {answer.key: answer for answer in CachedModel(second, tmp_path / "a" / "c.sqlite").answer(asked)}
    assert len(first.asked) == 1200
    assert second.asked == []
    assert again == {key: replace(answer, is_cached=True) for key, answer in with_cost.items()}


@pytest.mark.parametrize("status", [AnswerStatus.TRUNCATED, AnswerStatus.INVALID, AnswerStatus.FAILED])
def test_only_complete_answers_are_kept(tmp_path: Path, status: AnswerStatus) -> None:
    model = CachedModel(CountingModel(status=status), tmp_path / "c.sqlite")
    assert next(iter(model.answer([request()]))).status is status
    assert next(iter(model.choose([question()]))).cause == "none"
    mended = CountingModel()
    cached = CachedModel(mended, tmp_path / "c.sqlite")
    assert next(iter(cached.answer([request()]))).status is AnswerStatus.COMPLETE
    assert next(iter(cached.choose([question()]))).probabilities == (0.25, 0.75)
    assert len(mended.asked) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "2"},
        {"schema": {"type": "object"}},
        {"schema": {"type": "object", "properties": dict(reversed(SCHEMA["properties"].items()))}},
        {"grammar": None},
        {"maximum_tokens": 5},
        {"source": "other"},
        {"messages": (Message(role="system", content="left"),)},
        {"messages": (Message(role="user", content="left"), Message(role="user", content=""))},
        {"messages": (Message(role="use", content="rleft"),)},
    ],
    ids=str,
)
def test_whatever_decides_an_answer_is_in_its_key(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = CountingModel()
    cached = CachedModel(model, tmp_path / "c.sqlite")
    list(cached.answer([request()]))
    (answer,) = cached.answer([request(**changes)])
    assert not answer.is_cached
    assert len(model.asked) == 2


def test_the_model_is_in_the_key_and_the_callers_name_and_the_grammars_text_are_not(tmp_path: Path) -> None:
    list(CachedModel(CountingModel(), tmp_path / "c.sqlite").answer([request()]))
    other, same = CountingModel(digest="e"), CountingModel()
    (answer,) = CachedModel(other, tmp_path / "c.sqlite").answer([request()])
    assert not answer.is_cached
    (answer,) = CachedModel(same, tmp_path / "c.sqlite").answer([request(key="another", grammar="start: other")])
    assert answer.is_cached
    assert answer.key == "another"


@pytest.mark.parametrize("changes", [{"version": "2"}, {"options": ("a", "c")}, {"options": ("a", "b", "")}, {"options": ("ab",)}], ids=str)
def test_a_choice_is_kept_by_its_options(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = CountingModel()
    cached = CachedModel(model, tmp_path / "c.sqlite")
    first, second = (next(iter(cached.choose([question()]))) for _time in range(2))
    assert (first.is_cached, second.is_cached) == (False, True)
    assert second.probabilities == first.probabilities == (0.25, 0.75)
    assert not next(iter(cached.choose([question(**changes)]))).is_cached


def test_the_same_content_is_asked_once_and_answered_to_all(tmp_path: Path) -> None:
    model = CountingModel()
    cached = CachedModel(model, tmp_path / "c.sqlite")
    asked = [request("same", key=str(place)) for place in range(5)] + [request("other", key="5")]
    answers = list(cached.answer(asked))
    assert sorted(model.asked) == ["other", "same"]
    assert sorted(answer.key for answer in answers) == [str(place) for place in range(6)]


def test_an_answer_is_kept_before_the_next_one_comes(tmp_path: Path) -> None:
    answers = CachedModel(CountingModel(), tmp_path / "c.sqlite").answer([request(str(place), key=str(place)) for place in range(5)])
    next(answers)
    model = CountingModel()
    list(CachedModel(model, tmp_path / "c.sqlite").answer([request(str(place), key=str(place)) for place in range(5)]))
    assert len(model.asked) == 4


def test_closing_closes_the_model_as_well(tmp_path: Path) -> None:
    model = CountingModel()
    CachedModel(model, tmp_path / "c.sqlite").close()
    assert not model.is_open


def test_the_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    CachedModel(CountingModel(), tmp_path / "c.sqlite")
    assert stat.S_IMODE((tmp_path / "c.sqlite").stat().st_mode) == 0o600


WRITER = """
import sys
from pathlib import Path
from tests.test_language_models_cache import CountingModel, request
from weakbox.language_models.cache import CachedModel
model = CachedModel(CountingModel(), Path(sys.argv[1]))
start, end = int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for answer in model.answer([request(f"report {place}", key=str(place)) for place in range(start, end)]):
    print(answer.key, flush=True)
"""


def writer(path: Path, start: int, end: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(start), str(end)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_several_processes_write_one_file_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    processes = [writer(path, start, start + 400) for start in (0, 200, 400)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    model = CountingModel()
    answers = list(CachedModel(model, path).answer([request(f"report {place}", key=str(place)) for place in range(800)]))
    assert len(answers) == 800
    assert model.asked == []


def test_a_killed_writer_leaves_what_it_had_and_a_file_that_works(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    process = writer(path, 0, 100_000)
    assert process.stdout is not None
    written = [process.stdout.readline().strip() for _line in range(30)][1:]
    process.send_signal(signal.SIGKILL)
    process.wait()
    model = CountingModel()
    answers = {answer.key: answer for answer in CachedModel(model, path).answer([request(f"report {key}", key=key) for key in written])}
    assert all(answers[key].is_cached for key in written)
    assert model.asked == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_opens_the_file_for_itself(tmp_path: Path) -> None:
    cached = CachedModel(CountingModel(), tmp_path / "c.sqlite")
    list(cached.answer([request("before")]))
    child = os.fork()
    if child == 0:
        list(cached.answer([request("in the child")]))
        os._exit(0 if next(iter(cached.answer([request("before")]))).is_cached else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert next(iter(cached.answer([request("in the child")]))).is_cached


def damaged_at_start(path: Path) -> None:
    path.write_bytes(b"this is no database " * 100)


def damaged_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = b"\xff" * len(data[4096 * 2 :])
    path.write_bytes(data)


def damaged_content(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entry SET content = replace(content, 'complete', 'COMPLETE')")
    connection.close()


def another_layout(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE layout SET version = 99")
    connection.close()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [damaged_at_start, damaged_pages, damaged_content, another_layout, a_folder])
def test_a_damaged_file_is_named_and_nothing_wrong_comes_out(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "answers.sqlite"
    asked = [request(f"Erika {place} " + "x" * 500, key=str(place)) for place in range(200)]
    cached = CachedModel(CountingModel(), path)
    list(cached.answer(asked))
    cached.close()
    damage(path)
    with pytest.raises(InputError, match=r"answers\.sqlite: the cache .* delete the file") as error:
        list(CachedModel(CountingModel(), path).answer(asked))
    assert "Erika" not in str(error.value)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"c\.sqlite"):
        CachedModel(CountingModel(), tmp_path / "c.sqlite")


@pytest.mark.slow
def test_known_answers_come_at_two_thousand_a_second_or_more(tmp_path: Path) -> None:
    text = "Findings: left peripheral zone, PI-RADS 4, 12 mm. " * 40
    asked = [request(f"{place} {text}", key=str(place)) for place in range(6000)]
    list(CachedModel(CountingModel(), tmp_path / "c.sqlite").answer(asked))
    cached = CachedModel(CountingModel(), tmp_path / "c.sqlite")
    begin = time.perf_counter()
    answers = list(cached.answer(asked))
    rate = len(answers) / (time.perf_counter() - begin)
    assert all(answer.is_cached for answer in answers)
    assert rate > 2000, f"{rate:.0f} a second"


def test_a_closed_file_opens_again_when_it_is_asked(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path / "c.sqlite")
    file.keep(b"k", {"a": 1})
    file.close()
    assert file.found([b"k", b"other"]) == {b"k": {"a": 1}}
