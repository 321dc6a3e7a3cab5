"""Glossing: phrases, cases, abbreviations, numbers, placeholders, and the way back to the raw text."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from weakbox.text.gloss import GLOSSARIES, gloss, glossary_languages, load_glossary
from weakbox.text.normalise import normalise
from weakbox.text.phrasebook import Phrasebook


def glossed(text: str, language: str) -> str:
    normalised = normalise(text)
    return gloss(normalised, [(0, len(normalised.text), language)]).text


def test_brackets_choices_stems_and_numbers_stand_for_what_the_header_of_the_glossaries_says() -> None:
    book = Phrasebook([("link[e|er|s]", "left"), ("(rot|blau)es licht", "light"), ("stanz*", "core"), ("auf # uhr", "at # o'clock")])

    def english(text: str) -> str | None:
        end = re.match(r"\w+", text)
        found = book.longest(text, 0, end.end() if end else 0, len(text))
        return found.english if found else None

    assert [english(text) for text in ("links", "linke", "linkes")] == ["left", "left", None]
    assert [english(text) for text in ("rotes licht", "blaues-licht", "gelbes licht")] == ["light", "light", None]
    assert [english(text) for text in ("stanzzylinder", "stanz", "distanz")] == ["core", "core", None]
    assert english("auf 10 uhr") == "at # o'clock"


def test_the_longest_phrase_wins_over_its_parts() -> None:
    book = Phrasebook([("nicht", "not"), ("nicht mehr", "no longer"), ("nicht mehr abgrenzbar", "no longer seen")])
    found = book.longest("nicht mehr abgrenzbar", 0, 5, 21)
    assert found is not None
    assert found.english == "no longer seen"


@pytest.mark.parametrize("phrase", ["linke[r", "9 mm", "(a|b"])
def test_a_phrase_that_cannot_be_read_is_refused_with_its_words(phrase: str) -> None:
    with pytest.raises(ValueError, match=re.escape(phrase)):
        Phrasebook([(phrase, "x")])


@pytest.mark.parametrize("language", ["de", "nl", "sv", "es", "fr"])
def test_every_glossary_loads_and_says_no_english_phrase_twice_in_a_group(language: str) -> None:
    assert language in glossary_languages()
    assert load_glossary(language).terms.words
    node = yaml.compose((GLOSSARIES / f"{language}.yaml").read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    waiting = [node]
    while waiting:
        mapping = waiting.pop()
        keys = Counter(key.value for key, _ in mapping.value)
        assert [key for key, count in keys.items() if count > 1] == []
        waiting += [value for _, value in mapping.value if isinstance(value, yaml.MappingNode)]


def test_capitals_inside_a_sentence_become_no_titles_and_titles_stay() -> None:
    assert glossed("Suspekter Herd in der Prostata.", "de") == "Suspicious lesion in the prostate."
    assert glossed("BEURTEILUNG:\nKein Herd.", "de") == "IMPRESSION:\nNo lesion."


def test_a_heading_word_in_running_text_is_no_heading() -> None:
    assert glossed("Befund:\nUnauffälliger Befund.", "de").startswith("Findings:\nUnremarkable ")
    assert "Findings." not in glossed("Befund:\nUnauffälliger Befund.", "de")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("V. a. Herd re. apikal, ca. 8 mm.", "Suspected lesion right apex, approximately 8 mm."),
        ("Herd li. Keine Lymphknoten.", "Lesion left. No lymph nodes."),
        ("Samenblasen o. B.\nLymphknoten o. B.", "Seminal vesicles unremarkable.\nLymph nodes unremarkable."),
        ("Herd li.\napikal.", "Lesion left apex."),
    ],
)
def test_full_stops_of_abbreviations_neither_break_sentences_nor_swallow_their_end(text: str, expected: str) -> None:
    assert glossed(text, "de") == expected


def test_words_without_accents_and_in_the_spelling_of_old_systems_read_the_same() -> None:
    assert glossed("Laesion, Groesse 8 mm", "de") == "Lesion, size 8 mm"
    assert glossed("zona periferica, lesion", "es") == "zone peripheral, lesion".replace("zone peripheral", "peripheral zone")
    assert glossed("PERIPHERIQUE", "fr") == glossed("PÉRIPHÉRIQUE", "fr")


def test_elided_articles_leave_a_blank() -> None:
    assert "apex" in glossed("cible à l'apex, absence d'adénopathie", "fr").split(",")[0].split()
    assert glossed("absence d'adénopathie", "fr") == "no lymphadenopathy"


def test_a_capital_letter_alone_is_a_label_and_no_word() -> None:
    assert glossed("I. Prostata", "sv") == "I. Prostate"


def test_numbers_keep_their_own_place_in_the_raw_text() -> None:
    raw = "Masse à gauche sur le rayon de 10 h, 8 mm"
    text = normalise(raw)
    read = gloss(text, [(0, len(text.text), "fr")])
    start = read.text.index("10")
    assert read.text[start:].startswith("10 o'clock")
    assert read.to_raw(start, start + 2).cut(raw) == "10"


def test_words_put_in_another_order_point_to_the_whole_stretch() -> None:
    raw = "Prostatastanzen. 12 Stanzen, davon 3 mit Karzinom"
    text = normalise(raw)
    read = gloss(text, [(0, len(text.text), "de")])
    start = read.text.index("3 of 12 cores")
    assert read.to_raw(start, start + len("3 of 12 cores")).cut(raw) == "12 Stanzen, davon 3"


def test_placeholders_of_deidentification_stay_whole() -> None:
    raw = "Patient: [**Herr Links**], Herd links."
    text = normalise(raw)
    read = gloss(text, [(0, len(text.text), "de")])
    assert "[**Herr Links**]" in read.text
    assert read.text[slice(*read.masked[0])] == "[**Herr Links**]"


def test_a_stretch_of_another_language_is_left_alone() -> None:
    raw = "Herd links. The lesion is left in place."
    text = normalise(raw)
    cut = raw.index("The")
    assert gloss(text, [(0, cut, "de"), (cut, len(raw), "en")]).text == "Lesion left. The lesion is left in place."


_WORDS = (
    "Herd",
    "links",
    "re.",
    "PI-RADS-4-Läsion",
    "12",
    "x",
    "8",
    "mm",
    ",",
    ".\n",
    "nicht abgrenzbar",
    "[**X**]",
    "Zürich",
    "auf 10 Uhr",
    "à",
)


@given(st.lists(st.sampled_from(_WORDS), max_size=25), st.sampled_from(["de", "nl", "sv", "es", "fr"]))
def test_every_stretch_of_the_glossed_text_points_into_the_raw_text_in_order(words: list[str], language: str) -> None:
    raw = " ".join(words)
    text = normalise(raw)
    read = gloss(text, [(0, len(text.text), language)])
    previous = 0
    assert len(read.lower) == len(read.text)
    for match in re.finditer(r"\S+", read.text):
        span = read.to_raw(*match.span())
        assert 0 <= span.start <= span.end <= len(raw)
        assert span.start >= previous
        previous = span.start
        if match[0].isdigit() and match[0] in ("12", "8"):
            assert match[0] in raw[span.start : span.end]


def english(raw: str, language: str) -> str:
    text = normalise(raw)
    return gloss(text, [(0, len(text.text), language)]).text


@pytest.mark.parametrize(
    ("raw", "language", "expected"),
    [
        ("im kaudalen Drittel", "de", "apex"),
        ("de oksellymfeklieren", "nl", "axillary lymph nodes"),
        ("förtätningarna", "sv", "mass"),
        ("nódulos espiculados", "es", "spiculated"),
        ("cytoponctions", "fr", "fine needle aspiration"),
    ],
)
def test_a_word_with_another_ending_is_the_same_word(raw: str, language: str, expected: str) -> None:
    assert expected in english(raw, language).lower()


def test_a_word_cut_short_by_a_full_stop_is_known() -> None:
    assert "seminal vesicle invasion" in english("Samenblaseninfiltr.: nein", "de").lower()


def test_two_headings_in_one_are_the_weightier_one() -> None:
    assert english("Mikroskopie und Beurteilung:\nBefall links", "de").startswith("Impression:")
    assert english("Diagnóstico por frasco:\n1. negativo", "es").startswith("Diagnosis:")


def test_an_abbreviations_stop_ends_the_sentence_before_a_capital_but_not_before_a_german_noun() -> None:
    assert english("Mammografi bilat. Täthet C", "sv") == "Mammography bilateral. Density C"
    assert "." not in english("Herd re. Basis", "de")


def test_gleason_before_a_sum_is_no_share_of_a_pattern() -> None:
    assert "pattern" not in english("adenokarcinom Gleason 4+4=8", "sv").lower()
