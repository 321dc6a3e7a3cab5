"""Ways in which laboratories write receptor results, with what each of them says."""

from __future__ import annotations

import pytest

from weakbox.extractors.grammar.breast.pathology_receptors import find_receptors, receptor_facts, settle_her2
from weakbox.extractors.grammar.breast.pathology_tables import find_tables

P, N, E = "positive", "negative", "equivocal"
CASES: list[tuple[str, str | None, str | None, str | None]] = [
    ("ER 8/8, PR 6/8. HER2 3+ positive.", P, P, P),
    ("ER: 95% strong; PR: 0; HER2: 1+", P, N, N),
    ("ER/PR/HER2: +/+/-", P, P, N),
    ("ER+/PR+/HER2-", P, P, N),
    ("ER+ PR+ HER2-", P, P, N),
    ("ER-positive, PR-negative, HER2-negative", P, N, N),
    ("ER(+), PR(-), HER2(1+)", P, N, N),
    ("Hormone receptors positive, HER2 negative", P, P, N),
    ("HR+/HER2-", P, P, N),
    ("The tumour cells are positive for ER and PR and negative for HER2.", P, P, N),
    ("positive for ER (90%) and PR (40%), negative for HER2 (1+)", P, P, N),
    ("The tumour expresses ER and PR but not HER2.", P, P, N),
    ("ER and PR are positive, HER2 is negative", P, P, N),
    ("ER and PR both positive. HER2: 0", P, P, N),
    ("Neither ER nor PR is expressed. HER2 is overexpressed (3+).", N, N, P),
    ("There is no expression of ER, PR or HER2.", N, N, N),
    ("The cells lack ER and PR expression.", N, N, None),
    ("The tumour does not overexpress HER2.", None, None, N),
    ("shows strong overexpression of HER2 (3+)", None, None, P),
    ("HER2 (IHC) 2+ / FISH non-amplified", None, None, N),
    ("HER2 2+. FISH: HER2 gene amplification is present (ratio 4.2).", None, None, P),
    ("triple negative carcinoma", N, N, N),
    ("triple-negative phenotype", N, N, N),
    ("Oestrogen receptor  Quick score 7 (4+3)\nProgesterone receptor  Quick score 0", P, N, None),
    ("ER: Allred 5+3=8\nPR: Allred 0+0=0", P, N, None),
    ("ER: PS 5 + IS 3 = TS 8; PR: PS 2 + IS 2 = TS 4", P, P, None),
    ("PR H-score 180, ER H score 0", N, P, None),
    ("ER: nearly all nuclei positive", P, None, None),
    ("ER: Positive in 60-70% of nuclei; PR: focally positive (2%)", P, P, None),
    ("ER: 0 of 8; PR: 7 of 8", N, P, None),
    ("ER: Negative (Allred 2/8)", N, None, None),
    ("ER <1 %, PR < 1%", N, N, None),
    ("ER/PR: 90%/70%", P, P, None),
    ("ER, PR: 95%, 80%", P, P, None),
    ("ER/PR: positive/negative", P, N, None),
    ("Receptors: ER pos, PR neg, HER2 neg", P, N, N),
    ("HER2: 0 (negative)", None, None, N),
    ("HER2 score: 0", None, None, N),
    ("HER-2/neu (4B5): negative (score 1+)", None, None, N),
    ("HER2 3 +", None, None, P),
    ("HER2: score 3", None, None, P),
    ("HER2 low (1+)", None, None, N),
    ("c-erbB-2: 3+", None, None, P),
    ("Estrogen receptors (ER): Negative; Progesterone receptors (PgR): Negative", N, N, None),
    ("ER status: positive. PR status: positive. HER2 status: equivocal (2+)", P, P, E),
    ("80 % of the tumour cells are ER positive; PR negative", P, N, None),
    ("ER-, PR-, HER2-", N, N, N),
    ("ER neg/PR neg/HER2 neg", N, N, N),
    ("ER 90 % +++, PR +++ 90%", P, P, None),
    ("ER 3+ in 100%. PR 3+ in 80%. HER2 1+ negative.", P, P, N),
    ("diffusely positive for estrogen receptor and progesterone receptor, and HER2 is not overexpressed (score 0)", P, P, N),
    ("ER: Low positive (3%); PR: <1%; HER2: 1+", P, N, N),
    ("The invasive tumour is ER positive (Allred 8), PR negative (Allred 0) and HER2 negative (IHC 0).", P, N, N),
    (
        "Estrogen receptor immunostain is strongly positive in >95% of tumour cells. Progesterone receptor is negative. HER-2/neu is 1+.",
        P,
        N,
        N,
    ),
    ("HER2 by IHC: 2+ (equivocal). HER2 by FISH: Negative (HER2/CEP17 ratio 1.3)", None, None, N),
    ("HER2 IHC equivocal; reflex FISH: amplified", None, None, P),
    ("HER2 FISH result: HER2:CEP17 ratio = 5.6, average HER2 copy number 12. Group 1 - positive.", None, None, P),
    ("HER2 not amplified by FISH", None, None, N),
    ("ER + (90%), PR + (60%), Her2 negative, Ki67 15%", P, P, N),
    (
        "Estrogen Receptor (SP1)    POSITIVE   95%  Strong\nProgesterone Receptor (1E2) NEGATIVE   <1%\nHER2/neu (4B5)   EQUIVOCAL  2+",
        P,
        N,
        E,
    ),
    ("ER (6F11): 100 %, intensity 3, Allred 8/8. PgR (16): 5 %, intensity 1, Allred 3/8", P, P, None),
    ("Immunohistochemistry for estrogen and progesterone receptors is positive. HER2 is negative.", P, P, N),
    ("Estrogen and progesterone receptors are both negative", N, N, None),
    ("Oestrogen receptor staining: none. Progesterone receptor staining: none.", N, N, None),
    ("ER: 100%; PR: 100%; HER-2: 0/1+", P, P, N),
    ("ER Positive H-Score: 290; PR Negative H-Score: 0; HER2 Negative (0)", P, N, N),
    ("No HER2 overexpression", None, None, N),
    ("HER2-positive (IHC 3+), ER- and PR-negative", N, N, P),
    ("ER and PR pending, HER2 to follow", None, None, None),
    ("ER is expressed in 90% of cells, PR in 20%. HER2 protein is not overexpressed.", P, P, N),
    ("ER shows strong nuclear staining in 95%; PR shows no staining.", P, N, None),
    ("luminal type: ER+++, PR++, HER2 0", P, P, N),
    ("ER: Pos(90%)  PR: Neg(0%)  HER2: Neg(1+)", P, N, N),
    ("E.R.: positive, P.R.: negative", P, N, None),
    ("oestrogen receptors 95% of cells, progesterone receptors 10% of cells; HER-2: score 1+", P, P, N),
    ("Receptor status: ER 100 %, PR 80 %, HER2 not amplified (SISH)", P, P, N),
    ("HER2: 2+, SISH: not amplified (ratio 1.1)", None, None, N),
    ("HER2 (2+/equivocal); FISH pending", None, None, E),
    ("ER TS 8, PR TS 3", P, P, None),
    ("ER: TS=0, PgR: TS=7", N, P, None),
    ("ER 90%/3+, PgR 0%, HER2 1+, Ki-67 25%", P, N, N),
    ("The DCIS is ER positive.", P, None, None),
    ("ER-negative DCIS", N, None, None),
    ("All three receptors are negative: ER 0, PR 0, HER2 0.", N, N, N),
    ("ER:POSITIVE;PR:POSITIVE;HER2:NEGATIVE", P, P, N),
    ("ER=POS, PR=NEG, HER2=NEG (1+)", P, N, N),
    ("oestrogen receptor positive, progesterone receptor positive and HER2 negative", P, P, N),
    ("strongly ER and PR positive, HER2 borderline (2+)", P, P, E),
    ("ER and PR: 8/8 and 7/8. HER2 1+.", P, P, N),
    ("ER Allred 0/8, PR Allred 0/8; HER2 0 (triple negative)", N, N, N),
    ("ER: no nuclear staining (0 %). PR: weak staining in 5 % of nuclei.", N, P, None),
    ("HER2: IHC score 1 (negative)", None, None, N),
    ("HER2 immunostain shows complete intense membrane staining in 80% of cells (3+)", None, None, P),
    ("HER2 immunostain shows incomplete faint membrane staining in 15% of cells (1+)", None, None, N),
    ("Positive for ER/PR, HER2 FISH negative", P, P, N),
    ("FISH (HER2): Ratio 2.6, amplified", None, None, P),
    ("reflex HER2 ISH: NOT AMPLIFIED", None, None, N),
    ("ER/PR positive; Her-2-neu neg.", P, P, N),
    ("ER: 7 (5+2)/8, PR: 2 (1+1)/8", P, N, None),
    ("ER   Positive   100   3   8\nPR  Negative  0  0  0\nHER2  Negative  1+", P, N, N),
    ("Progesterone receptor is present in 40% of nuclei, oestrogen receptor in 90%", P, P, None),
    ("The tumour shows no ER or PR staining. HER2 scores 3+.", N, N, P),
    ("IHC - ER: Positive (7/8); PR: Positive (5/8); HER-2/neu: Negative (Score-1)", P, P, N),
    ("ER8 PR0 HER2 2+", P, N, E),
    ("ER - NEGATIVE. PR - NEGATIVE. HER2NEU - NEGATIVE (0).", N, N, N),
]


@pytest.mark.parametrize(("words", "er", "pr", "her2"), CASES, ids=[words[:40] for words, *_ in CASES])
def test_a_way_of_writing_receptors_is_understood(words: str, er: str | None, pr: str | None, her2: str | None) -> None:
    facts = settle_her2(receptor_facts(find_receptors(words, words.lower())))
    assert [facts[name].value if name in facts else None for name in ("er", "pr", "her2")] == [er, pr, her2]


def read(table: str) -> dict[tuple[str | None, str], str | None]:
    lower = table.lower()
    return {(one.owner, one.name): one.value for one in find_receptors(table, lower, find_tables(lower))}


@pytest.mark.parametrize(
    "table",
    [
        "Specimen | ER | PR | HER2\nA | 95% | 0% | 1+\nC | 0% | 0% | 3+",
        "| Specimen | ER | PR | HER2 |\n| --- | --- | --- | --- |\n| A | pos | neg | negative (1+) |\n| C | neg | neg | positive (3+) |",
        "Marker    A              C\nER        Positive 95%   Negative\nPR        Negative       Negative\nHER2      1+             3+",
        "Part\tER\tPR\tHER2\nA\t8/8\t0/8\t0\nC\t0/8\t0/8\t3+",
    ],
)
def test_a_header_row_gives_the_columns_of_a_table(table: str) -> None:
    assert read(table) == {
        ("a", "er"): P,
        ("a", "pr"): N,
        ("a", "her2"): N,
        ("c", "er"): N,
        ("c", "pr"): N,
        ("c", "her2"): P,
    }


def test_an_empty_cell_keeps_the_columns_in_place() -> None:
    assert read("| Part | ER | PR | HER2 |\n| A | 95% | | 3+ |\n| B | 0% | 0% | 0 |")[("a", "her2")] == P
