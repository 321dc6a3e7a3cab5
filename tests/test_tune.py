"""A site's own small model: reviewed reports become answers to learn, and a tuned folder is a model folder like any other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import llm
from tests.model_answers import RULES, gold_reports
from tests.pipeline import run_main
from weakbox.evaluation.gold import GoldReport, as_contract
from weakbox.evaluation.tuning import examples_of
from weakbox.extractors.answers import read_answer
from weakbox.extractors.contract import shape_of
from weakbox.extractors.language_model import request_for
from weakbox.extractors.targets import target_for
from weakbox.language_models.reply import fault_of
from weakbox.records.errors import InputError
from weakbox.records.report import ReportType


def short_gold(count: int) -> list[GoldReport]:
    """The shortest gold reports that can be learnt from."""
    chosen = [entry for entry in gold_reports() if target_for(entry.report, entry.body, RULES).is_whole]
    return sorted(chosen, key=lambda entry: (len(entry.report.text), entry.report.report_id))[:count]


def test_a_target_is_an_answer_of_the_schema_that_states_what_the_reviewer_stated() -> None:
    values = left_out = 0
    for entry in gold_reports()[::6]:
        target = target_for(entry.report, entry.body, RULES)
        request = request_for(entry.report)
        assert fault_of(target.answer, request) == ""
        shape = shape_of(str(entry.report.organ), entry.report.report_type)
        claims, items = read_answer(target.answer, shape)
        assert len(claims) == target.values
        assert items <= len(entry.body[shape.item_kind])
        for claim in claims:
            assert claim.quote in entry.report.text
            node: Any = entry.body if claim.item is None else None
            if node is not None:
                for name in claim.field.split("."):
                    node = node[name]
                assert (tuple(node) if isinstance(node, list) else node) == claim.value
        values, left_out = values + target.values, left_out + target.left_out
    assert values > 5 * left_out


def test_a_value_that_the_words_do_not_state_is_left_out_and_counted() -> None:
    entry = next(e for e in gold_reports() if e.report.report_type is ReportType.RADIOLOGY and e.body["exam"]["prostate_volume_ml"])
    before = target_for(entry.report, entry.body, RULES)
    wrong = {**entry.body, "exam": {**entry.body["exam"], "prostate_volume_ml": 999.0}}
    after = target_for(entry.report, wrong, RULES)
    assert (after.values, after.left_out) == (before.values - 1, before.left_out + 1)
    assert json.loads(after.answer)["exam"]["prostate_volume_ml"] is None


def test_a_report_with_an_item_without_words_is_no_example() -> None:
    entry = short_gold(1)[0]
    kind = shape_of(str(entry.report.organ), entry.report.report_type).item_kind
    item = {name: None if not isinstance(value, list) else [] for name, value in entry.body[kind][0].items()}
    more = replace(entry, body={**entry.body, kind: [*entry.body[kind], item]})
    assert examples_of([entry, more]).reports_left_out == 1
    with pytest.raises(InputError, match="none of 1"):
        examples_of([more])


def test_a_report_that_is_kept_for_testing_is_refused_whatever_its_spaces() -> None:
    entries = short_gold(3)
    spaced = replace(
        entries[1], report=replace(entries[1].report, text=entries[1].report.text.upper().replace(" ", "  "), report_id="other")
    )
    with pytest.raises(InputError, match="1 of the reviewed reports"):
        examples_of(entries, [spaced])
    assert len(examples_of(entries[:1], [spaced]).examples) == 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("torch", "transformers", "llguidance", "peft"):
        pytest.importorskip(package, reason="tuning needs the extra `llm`")
    from tests.tiny_language_model import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("tiny"), max_position_embeddings=16384)


def test_groups_are_never_split_and_the_split_is_always_the_same(tiny: Path) -> None:
    from weakbox.language_models.tune import Example, split_by_group

    examples = [Example(messages=(), answer=str(index), group=f"h{index % 7}") for index in range(70)]
    training, validation = split_by_group(examples, 0.2, 0)
    assert not {e.group for e in training} & {e.group for e in validation}
    assert 0.2 * 70 <= len(validation) <= 0.35 * 70
    assert split_by_group(examples[::-1], 0.2, 0)[1] == validation[::-1]
    assert split_by_group(examples[::7], 0.2, 0)[1] == []


def test_the_loss_counts_the_answer_alone(tiny: Path) -> None:
    from weakbox.language_models.local import load_local
    from weakbox.language_models.options import LocalOptions
    from weakbox.language_models.tune import Example, tokens_of

    model = load_local(LocalOptions(model=str(tiny), device="cpu"))
    tokens = tokens_of(model, Example(messages=(llm.Message(role="user", content="PI-RADS?"),), answer='{"score": 4}', group=""))
    assert model._tokenizer.decode(tokens.ids[tokens.answer_from :]) == '{"score": 4}<|im_end|>'
    assert tokens.ids[: tokens.answer_from] == model.prompt_tokens((llm.Message(role="user", content="PI-RADS?"),))


def tuned(tiny: Path, output: Path, **changes: Any) -> dict[str, Any]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # short questions: what is tuned is the machinery, not the prompt
    examples = [
        (
            (llm.Message(role="user", content=entry.report.text[:300]),),
            target_for(entry.report, entry.body, RULES).answer[:400],
            f"h{index % 4}",
        )
        for index, entry in enumerate(short_gold(12))
    ]
    options = {"model": str(tiny), "output": output, "device": "cpu", "epochs": 6, "batch_size": 2, "learning_rate": 5e-3, **changes}
    card = llm.tune_model(examples, llm.TuneOptions.model_validate(options))
    torch.set_num_threads(threads)
    return card


def test_tuning_lowers_the_loss_and_leaves_a_model_folder(tiny: Path, tmp_path: Path) -> None:
    card = tuned(tiny, tmp_path / "own")
    loss = card["loss"]
    assert loss["training_after"] < 0.7 * loss["training_before"]
    assert loss["validation_after"] < loss["validation_before"]
    assert card == json.loads((tmp_path / "own" / "card.json").read_text(encoding="utf-8"))
    assert card["examples"]["training"] + card["examples"]["validation"] == 12
    assert not any(entry.report.text[:40] in json.dumps(card) for entry in short_gold(12))
    assert (tmp_path / "own" / "adapter" / "adapter_model.safetensors").is_file()
    model = llm.open_model(llm.Config(local={"model": str(tmp_path / "own" / "model"), "device": "cpu"}))  # type: ignore[arg-type]
    base = llm.open_model(llm.Config(local={"model": str(tiny), "device": "cpu"}))  # type: ignore[arg-type]
    assert model.digest != base.digest
    question = llm.Request(key="q", messages=(llm.Message(role="user", content="PI-RADS 4"),), schema={"type": "boolean"})
    assert [answer.status for answer in model.answer([question])] == [llm.AnswerStatus.COMPLETE]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(tiny: Path, tmp_path: Path) -> None:
    first, second, other = (tuned(tiny, tmp_path / name, epochs=1, seed=seed) for name, seed in (("a", 3), ("b", 3), ("c", 4)))
    assert first["model_digest"] == second["model_digest"] != other["model_digest"]


@pytest.mark.slow
def test_the_command_tunes_on_gold_reports_and_refuses_those_kept_for_testing(tiny: Path, tmp_path: Path) -> None:
    gold = tmp_path / "reviewed.jsonl"
    gold.write_text("\n".join(json.dumps(as_contract(entry)) for entry in short_gold(3)), encoding="utf-8")
    arguments = ["tune", "--gold", str(gold), "--model", str(tiny), "--epochs", "1", "--device", "cpu"]
    refused = run_main(*arguments, "--output", str(tmp_path / "x"), "--exclude", str(gold), check=False)
    assert refused.returncode == 2
    assert "--exclude" in refused.stderr
    assert not (tmp_path / "x").exists()
    run_main(*arguments, "--output", str(tmp_path / "own"))
    assert (tmp_path / "own" / "model" / "config.json").is_file()
    again = run_main(*arguments, "--output", str(tmp_path / "own"), check=False)
    assert again.returncode == 2
    assert "not empty" in again.stderr
