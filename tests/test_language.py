"""Which language a report and its parts are in: short, telegraphic, mixed, and languages that nobody reads here."""

from __future__ import annotations

import pytest

from weakbox.text.gloss import glossary_languages
from weakbox.text.language import UNKNOWN, detect_language, language_stretches


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("PZ li. apikal 9 mm, PI-RADS 4.", "de"),
        ("Kein Anhalt für signifikantes PCa, PI-RADS 2", "de"),
        ("PZ li apex 9 mm, PIRADS 4, geen EPE", "nl"),
        ("Vä apex 9 mm, PI-RADS 4", "sv"),
        ("ZP izq ápex 9 mm, PI-RADS 4", "es"),
        ("ZP gauche apex 9 mm, PI-RADS 4", "fr"),
        ("1. Höger bas: benign prostatavävnad.", "sv"),
        ("Adénocarcinome, score de Gleason 3+4=7, 2/12 carottes", "fr"),
    ],
)
def test_short_reports_show_their_language(text: str, language: str) -> None:
    assert detect_language(text.lower()) == language


@pytest.mark.parametrize(
    "text",
    [
        "PI-RADS 4",
        "L PZ mid 12 mm PI-RADS 4. R TZ ant 8 mm PI-RADS 3. SV neg. LN neg. PSA 6.2 vol 48 cc",
        "4+3=7, 3/12 cores",
        "A. R base: benign. B. L apex: GS 3+4, 2/3, 40%",
        "RUOQ 10:00 N+3 mass 8 mm BI-RADS 4B",
        "RALP + bilat PLND. PCa, GS 9 (4+5), GG5, TV 45%. EPE+ R posterolat, SVI+ (L), SM+ (apex, 4 mm), LN 2/17. PNI+, LVI+. pT3b pN1 R1.",
        "lt mid pz 1.2 cm restricted diffusion pirads 4 no epe",
        "Dr. van der Berg, Hôpital de la Paix. Right breast, 8 mm mass, category 4.",
    ],
)
def test_telegraphic_english_is_never_taken_for_another_language(text: str) -> None:
    assert {language for _, _, language in language_stretches(text.lower())} == {"en"}


@pytest.mark.parametrize(
    "text",
    [
        "Risonanza magnetica della prostata. Nella zona periferica di destra si osserva lesione di 12 mm. PI-RADS 4.",
        "MR af prostata. I den perifere zone på højre side ses en 12 mm stor forandring med nedsat diffusion. Ingen tegn på vækst.",
        "MR prostata. I perifer sone på høyre side sees en 12 mm stor lesjon. PI-RADS 4. Ikke forstørrede lymfeknuter.",
        "Ressonância magnética da próstata. Na zona periférica direita observa-se lesão de 12 mm. PI-RADS 4. Não há extensão.",
        "Badanie MR prostaty. W strefie obwodowej po stronie prawej widoczna zmiana o wymiarach 12 x 8 mm, PI-RADS 4.",
        "Prostat MR. Sağ periferik zonda orta kesimde 12 mm boyutunda lezyon izlendi. PI-RADS 4. Ekstraprostatik uzanım saptanmadı.",
        "Eturauhasen magneettikuvaus. Oikealla vyöhykkeellä 12 mm:n muutos. PI-RADS 4. Imusolmukkeita ei ole suurentunut.",
        "Μαγνητική τομογραφία προστάτη. Στην περιφερική ζώνη δεξιά βλάβη 12 mm PI-RADS 4.",
    ],
)
def test_languages_without_a_glossary_are_seen_as_such(text: str) -> None:
    assert detect_language(text.lower()) not in ("en", *glossary_languages())


def test_a_language_that_no_list_knows_is_unknown_and_not_the_nearest_neighbour() -> None:
    lithuanian = (
        "Prostatos MRT. Dešinėje periferinėje zonoje vidurinėje dalyje matomas 12 mm židinys su difuzijos restrikcija. PI-RADS 4. "
        "Ekstraprostatinio plitimo požymių nėra. Sėklinės pūslelės be pakitimų, limfmazgiai nepadidėję."
    )
    assert detect_language(lithuanian.lower()) == UNKNOWN


def test_a_stated_language_decides_where_the_words_do_not() -> None:
    assert detect_language("pi-rads 4", "sv") == "sv"
    assert detect_language("the lesion is not seen on the right", "sv") == "en"


def test_paragraphs_keep_their_own_language_and_short_ones_take_the_reports() -> None:
    text = (
        "mri prostaat\n\nbevindingen: in de perifere zone rechts is een verdachte laesie te zien. geen aanwijzingen "
        "voor kapseldoorbraak, de zaadblaasjes zijn vrij en er zijn geen vergrote lymfeklieren in het kleine bekken.\n\n"
        "pi-rads 4\n\nimpression: suspicious lesion in the right peripheral zone with no extraprostatic extension.\n"
    )
    found = [(text[start:end].strip()[:10], language) for start, end, language in language_stretches(text)]
    assert found == [("mri prosta", "nl"), ("impression", "en")]


def test_stretches_cover_the_text_without_gap_or_overlap() -> None:
    text = "herd links.\n\nthe lesion is on the left and not on the right.\n\nkein herd rechts, keine lymphknoten.\n"
    stretches = language_stretches(text)
    assert [start for start, _, _ in stretches] == [0, *(end for _, end, _ in stretches[:-1])]
    assert stretches[-1][1] == len(text)
