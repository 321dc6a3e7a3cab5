"""What `main.py evaluate extraction` says: the contract's scores, DRAGON's metrics, calibration, and the page of errors."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import main
from weakbox.evaluation.dragon import dragon_metrics, r_smape_score, weighted_kappa
from weakbox.evaluation.error_page import error_page, marked
from weakbox.evaluation.extraction import read_answers
from weakbox.evaluation.gold import GoldReport, as_contract, read_gold
from weakbox.evaluation.scores import ErrorKind, score
from weakbox.extractors.risk_control import coverage_at_risk, expected_calibration_error
from weakbox.records.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
SCORER = ROOT.parent / "shared" / "tools" / "score_extraction.py"
GOLD = """
- id: a-1
  hospital: a
  difficulty: easy
  report_type: radiology
  organ: prostate
  text: |
    Prostate <b>MRI</b>. Volume 52 cc. Lesion 1: left mid PZ, 12 x 8 mm, PI-RADS 4. Lesion 2: right apex TZ, 9 mm, PI-RADS 3.
  gold:
    exam: {pirads: 4, prostate_volume_ml: 52}
    lesions:
      - {lesion_id: 1, pirads: 4, side: left, zone: PZ, levels: [mid], size_mm: [12, 8], max_diameter_mm: 12}
      - {lesion_id: 2, pirads: 3, side: right, zone: TZ, levels: [apex], size_mm: [9], max_diameter_mm: 9}
"""


@pytest.fixture
def gold(tmp_path: Path) -> tuple[GoldReport, ...]:
    (tmp_path / "gold.yaml").write_text(GOLD, encoding="utf-8")
    return read_gold(tmp_path / "gold.yaml")


def perfect(entry: GoldReport) -> dict[str, Any]:
    return copy.deepcopy(dict(entry.body)) | {"report_id": entry.report.report_id, "status": "ok", "evidence": [], "confidence": {}}


def test_the_gold_itself_scores_one(gold: tuple[GoldReport, ...]) -> None:
    one = score([(gold[0], perfect(gold[0]))])["radiology/prostate"]
    assert (one.field_f1, one.item_f1, one.core_exact, one.full_exact, one.errors) == (1.0, 1.0, 1, 1, [])
    assert one.ungrounded == one.leaves > 0


def test_a_wrong_digit_is_a_miss_and_a_false_alarm_and_costs_the_core(gold: tuple[GoldReport, ...]) -> None:
    answer = perfect(gold[0])
    answer["lesions"][0]["pirads"] = 5
    one = score([(gold[0], answer)])["radiology/prostate"]
    assert (one.false_positives, one.false_negatives, one.core_exact) == (1, 1, 0)
    assert [(error.kind, error.path, error.expected, error.got) for error in one.errors] == [(ErrorKind.WRONG, "lesions[0].pirads", 4, 5)]


def test_a_missing_lesion_is_named(gold: tuple[GoldReport, ...]) -> None:
    answer = perfect(gold[0])
    answer["lesions"].pop()
    kinds = [error.kind for error in score([(gold[0], answer)])["radiology/prostate"].errors]
    assert kinds[0] is ErrorKind.ITEM_MISSED
    assert ErrorKind.INVENTED not in kinds


def test_an_unknown_gold_field_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "gold.yaml").write_text(GOLD.replace("prostate_volume_ml", "prostate_volum_ml"), encoding="utf-8")
    with pytest.raises(InputError, match="prostate_volume_ml"):
        read_gold(tmp_path / "gold.yaml")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.yaml", "- id: 1\n  text: [Jane Doe\n", "line 3"),
        ("a.yaml", "text: Jane Doe\n", "expected a YAML list"),
        ("a.yaml", "- Jane Doe\n", "entry 1: expected a mapping"),
        ("a.yaml", GOLD.replace("radiology", "letter to Jane Doe"), "entry 1: report_type is none of radiology, pathology"),
        (
            "a.yaml",
            GOLD.replace("report_type: radiology", "report_type: radiology\n  report_id: x").replace("organ: prostate", "organ: 3"),
            "int for organ",
        ),
        ("a.yaml", GOLD + GOLD, "entry 2: its id is that of"),
        ("a.jsonl", '{"text": "Jane Doe"', "line 1"),
    ],
)
def test_unusable_gold_names_its_place_and_quotes_no_report(name: str, content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        read_gold(tmp_path / name)
    assert "Jane" not in str(caught.value)


def test_gold_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(GOLD.replace("Prostate", "Größe").encode("cp1252"))
    with pytest.raises(InputError, match="UTF-8"):
        read_gold(tmp_path / "a.yaml")


def test_answers_are_split_at_line_ends_alone_and_a_report_has_one(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    line = json.dumps({"report_id": "a", "evidence": [{"text": "left\u2028mid\x85zone"}]}, ensure_ascii=False)
    path.write_text(f"{line}\n\n", encoding="utf-8")
    assert read_answers(path)["a"]["evidence"][0]["text"] == "left\u2028mid\x85zone"
    path.write_text(f"{line}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2"):
        read_answers(path)


@pytest.mark.shared
@pytest.mark.skipif(not SCORER.is_file(), reason="the contract's scorer is not beside the checkout")
def test_the_scores_are_those_of_the_contracts_scorer(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("scorer", SCORER)
    assert spec and spec.loader
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    entries = read_gold(ROOT / "tests" / "data" / "reports" / "look")[:60]
    rng = np.random.default_rng(7)
    answers = [damaged(perfect(entry), rng) for entry in entries]
    (tmp_path / "gold.jsonl").write_text("\n".join(json.dumps(as_contract(entry)) for entry in entries))
    (tmp_path / "pred.jsonl").write_text("\n".join(json.dumps(answer) for answer in answers))
    import sys

    arguments = sys.argv
    sys.argv = [
        "scorer",
        "--gold",
        str(tmp_path / "gold.jsonl"),
        "--pred",
        str(tmp_path / "pred.jsonl"),
        "--json",
        str(tmp_path / "o.json"),
    ]
    try:
        scorer.main()
    finally:
        sys.argv = arguments
    theirs = json.loads((tmp_path / "o.json").read_text())
    ours = score(zip(entries, answers, strict=True))
    for kind, figures in theirs.items():
        mine = ours[kind].as_dict()
        assert {name: mine[name] for name in ("field_f1", "item_f1", "core_exact", "full_exact")} == {
            name: figures[name] for name in ("field_f1", "item_f1", "core_exact", "full_exact")
        }
        assert mine["fields"] == figures["fields"]


def damaged(answer: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Some values changed, some removed, some items dropped or doubled."""
    for key in ("lesions", "findings", "specimens"):
        for item in answer.get(key, ()):
            for name in item:
                if rng.random() < 0.1:
                    item[name] = [] if isinstance(item[name], list) else None
            if rng.random() < 0.2 and item.get("side"):
                item["side"] = "right"
        if answer.get(key) and rng.random() < 0.15:
            answer[key].pop()
        if answer.get(key) and rng.random() < 0.1:
            answer[key].append(dict(answer[key][0]))
    return answer


def test_weighted_kappa_and_r_smape_are_as_published() -> None:
    assert weighted_kappa([1, 1, 2], [1, 1, 2]) == 1.0
    assert weighted_kappa([0, 2], [2, 0]) < 0
    assert r_smape_score([50.0], [0.0], 4.0) == pytest.approx(1 - 50 / 54)


def test_dragon_counts_lesions_from_category_three_on(gold: tuple[GoldReport, ...]) -> None:
    metrics = dragon_metrics([(gold[0], perfect(gold[0]))])
    assert metrics["exam.prostate_volume_ml, R-SMAPE score"] == 1.0
    assert metrics["T10 lesions with PI-RADS >= 3, weighted kappa"] == 1.0


def test_calibration_error_and_coverage_follow_their_definitions() -> None:
    confidence = np.array([0.9] * 10 + [0.5] * 10)
    right = np.array([True] * 9 + [False] + [True] * 5 + [False] * 5)
    assert expected_calibration_error(confidence, right, bins=2) == pytest.approx(0.0)
    assert coverage_at_risk(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True]), 0.01) == 0.5
    assert coverage_at_risk(np.array([0.9, 0.9]), np.array([True, False]), 0.01) == 0.0


def test_the_page_escapes_the_report_and_marks_wrong_words(gold: tuple[GoldReport, ...]) -> None:
    answer = perfect(gold[0])
    text = gold[0].report.text
    start = text.index("PI-RADS 4")
    answer["lesions"][0]["pirads"] = 5
    answer["evidence"] = [{"path": "lesions[0].pirads", "start": start, "end": start + 9, "text": "PI-RADS 4"}]
    page = error_page([(gold[0], answer)])
    assert '<mark class="wrong">PI-RADS 4</mark>' in page
    assert "<b>MRI" not in page
    assert "".join(words for words, _ in marked(text, answer, {"lesions[0].pirads"})) == text


def test_the_command_reads_scores_and_writes_its_page(tmp_path: Path) -> None:
    (tmp_path / "gold.yaml").write_text(GOLD, encoding="utf-8")
    arguments = ["evaluate", "extraction", "--gold", str(tmp_path / "gold.yaml"), "--page", str(tmp_path / "page.html")]
    result = CliRunner().invoke(main.app, [*arguments, "--output", str(tmp_path / "figures.json")])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "figures.json").read_text())["kind"]["radiology/prostate"]["core_exact"] == 1.0
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_an_unknown_grouping_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "gold.yaml").write_text(GOLD, encoding="utf-8")
    result = CliRunner().invoke(main.app, ["evaluate", "extraction", "--gold", str(tmp_path / "gold.yaml"), "--by", "langage"])
    assert result.exit_code == 2
    assert "language" in result.output
