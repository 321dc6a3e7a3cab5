from __future__ import annotations

from itertools import product

import pytest

from weakbox.terminology.sectors import SECTOR_TABLE, SECTORS, sectors_of
from weakbox.text.locations import read_location


def test_the_map_has_its_41_sectors_with_distinct_codes() -> None:
    assert len(SECTORS) == len(set(SECTORS)) == len({sector.snomed for sector in SECTOR_TABLE}) == 41
    assert SECTORS[:2] == ("R_base_PZa", "L_base_PZa")
    assert SECTORS[-3:] == ("R_SV", "L_SV", "US")


def test_the_codes_are_those_of_dicom_cid_6304() -> None:
    cids = pytest.importorskip("pydicom.sr._cid_dict").cid_concepts
    concepts = pytest.importorskip("pydicom.sr._concepts_dict").concepts
    codes = {code for names in cids[6304].values() for name in names for code in concepts["SCT"][name]}
    assert {sector.snomed for sector in SECTOR_TABLE} == codes


def test_whatever_is_pinned_down_agrees_with_the_words() -> None:
    positions = [(), ("anterior",), ("posterior", "lateral"), ("posterior", "medial"), ("lateral",)]
    for side, zone, level, position in product(
        ("left", "right", "bilateral", "midline", None), ("PZ", "TZ", "CZ", "AFS", "SV", None), ("base", "mid", "apex"), positions
    ):
        for sector in sectors_of(side, zone, [level], position):
            found = next(entry for entry in SECTOR_TABLE if entry.sector_id == sector)
            assert side in (found.side, "bilateral")
            assert found.zone == zone
            assert found.level in (level, None)


@pytest.mark.parametrize(
    ("text", "side", "zone", "levels", "positions", "sectors"),
    [
        ("left posterolateral mid PZ", "left", "PZ", "mid", "posterior lateral", "L_mid_PZpl"),
        ("PZpm L mid-apex", "left", "PZ", "mid apex", "posterior medial", "L_mid_PZpm L_apex_PZpm"),
        ("L mid PZpl", "left", "PZ", "mid", "posterior lateral", "L_mid_PZpl"),
        ("Right/mid gland/PZ/posterolateral", "right", "PZ", "mid", "posterior lateral", "R_mid_PZpl"),
        ("right lobe, 7 o'clock", "right", None, "", "", ""),
        ("midline anterior, AFS, mid to apex", "midline", "AFS", "mid apex", "anterior", ""),
        ("bilateral base TZ", "bilateral", "TZ", "base", "", ""),
        ("bilateral anterior TZ at the base", "bilateral", "TZ", "base", "anterior", "R_base_TZa L_base_TZa"),
        ("left and right apex", "bilateral", None, "apex", "", ""),
        ("transition zone", None, "TZ", "", "", ""),
        ("transitional zone", None, "TZ", "", "", ""),
        ("central gland left", "left", "TZ", "", "", ""),
        ("central zone left", "left", "CZ", "", "", "L_base_CZ"),
        ("anterior horn of the right PZ, mid", "right", "PZ", "mid", "anterior", "R_mid_PZa"),
        ("anterolateral left apex PZ", "left", "PZ", "apex", "anterior lateral", "L_apex_PZa"),
        ("anterior fibromuscular stroma, right, apex", "right", "AFS", "apex", "", "R_apex_AFS"),
        ("paramedian right", "right", None, "", "medial", ""),
        ("RT mid", "right", None, "mid", "", ""),
        ("LT base", "left", None, "base", "", ""),
        ("posterior PZ left mid", "left", "PZ", "mid", "posterior", ""),
        ("lateral PZ left mid", "left", "PZ", "mid", "lateral", ""),
        ("base to apex, left TZa", "left", "TZ", "base mid apex", "anterior", "L_base_TZa L_mid_TZa L_apex_TZa"),
        ("left seminal vesicle", "left", "SV", "", "", "L_SV"),
        ("Side: L", "left", None, "", "", ""),
        ("L", "left", None, "", "", ""),
    ],
)
def test_words_place_a_lesion_and_pin_down_only_what_they_say(
    text: str, side: str | None, zone: str | None, levels: str, positions: str, sectors: str
) -> None:
    location = read_location(text)
    assert (location.side, location.zone) == (side, zone)
    assert location.levels == tuple(levels.split())
    assert location.positions == tuple(positions.split())
    assert location.sectors == tuple(sectors.split())


@pytest.mark.parametrize(
    "text",
    [
        "base of the bladder",
        "apex of the lung",
        "left external iliac node",
        "median lobe",
        "anterior rectal wall",
        "post biopsy",
        "PSA at baseline",
        "RT in 2019",
        "right hip prosthesis",
    ],
)
def test_other_organs_are_no_place_in_the_gland(text: str) -> None:
    assert not read_location(text)


def test_spans_cut_the_words_that_state_each_part() -> None:
    text = "lesion in the left PZ, mid and apex, posterolaterally"
    spans = read_location(text).spans
    assert {name: [text[start:end] for start, end in found] for name, found in spans.items()} == {
        "side": ["left"],
        "zone": ["PZ"],
        "levels": ["mid", "apex"],
        "positions": ["posterolaterally"],
    }
