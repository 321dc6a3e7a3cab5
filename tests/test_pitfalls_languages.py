"""Every pitfall of the table of other languages (L) and its like in each language: what the contract expects, with no language stated."""

from __future__ import annotations

from typing import Any

import pytest

from weakbox.extractors.rules import open_rules
from weakbox.records.extraction import ExtractionStatus, ReportExtraction
from weakbox.records.report import Report, ReportType


def read(text: str, report_type: ReportType = ReportType.RADIOLOGY, organ: str = "prostate") -> ReportExtraction:
    report = Report(report_id="r", patient_id=None, report_type=report_type, text=text, organ=organ, language="auto")
    return open_rules({}).extract(report)


def exam_of(text: str, report_type: ReportType = ReportType.RADIOLOGY, organ: str = "prostate") -> dict[str, Any]:
    return {name.removeprefix("exam."): stated.value for name, stated in read(text, report_type, organ).exam.items()}


def items_of(text: str, report_type: ReportType = ReportType.RADIOLOGY, organ: str = "prostate") -> list[dict[str, Any]]:
    return [{name: stated.value for name, stated in finding.values.items()} for finding in read(text, report_type, organ).findings]


def assert_contains(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("MRT Prostata: Kein Anhalt für signifikantes PCa, PI-RADS 2", 2),
        ("Beurteilung: Kein Nachweis eines suspekten Herdes in der Prostata. PI-RADS 1.", 1),
        ("MR prostata. Ingen misstänkt förändring. PI-RADS 1.", 1),
        ("MRI prostaat: geen aanwijzingen voor significant carcinoom. PI-RADS 2.", 2),
        ("RM de próstata: sin lesiones sospechosas. PI-RADS 2.", 2),
        ("IRM prostatique : absence de lésion suspecte. PI-RADS 1.", 1),
    ],
)
def test_a_report_without_a_lesion_has_its_category_and_no_lesion(text: str, category: int) -> None:
    assert exam_of(text).get("pirads") == category
    assert items_of(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "MRT Prostata. Z. n. PI-RADS-4-Herd links, aktuell nicht mehr abgrenzbar",
        "MRI prostaat. De eerder beschreven PI-RADS 4 laesie links is niet meer zichtbaar.",
        "MR prostata. Tidigare känd PI-RADS 4-förändring vänster kan inte längre påvisas.",
        "RM de próstata. La lesión PI-RADS 4 izquierda previa ya no se identifica.",
        "IRM de prostate. Absence de lésion suspecte ; ancienne cible PI-RADS 4 gauche",
    ],
)
def test_a_lesion_of_the_past_is_no_current_lesion(text: str) -> None:
    assert items_of(text) == []
    assert "pirads" not in exam_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "V. a. Herd re. apikal, 1,1 x 0,9 cm, PI-RADS-Kategorie 4",
            {"side": "right", "levels": ("apex",), "size_mm": (11.0, 9.0), "pirads": 4},
        ),
        (
            "Vä PZ mellersta tredjedelen, 9 mm, PI-RADS 4; tidigare 3",
            {"side": "left", "zone": "PZ", "levels": ("mid",), "size_mm": (9.0,), "pirads": 4},
        ),
        (
            "Zona periférica izquierda, tercio medio, nódulo de 12 mm, PI-RADS 4",
            {"side": "left", "zone": "PZ", "levels": ("mid",), "size_mm": (12.0,), "pirads": 4},
        ),
        (
            "Zone périphérique gauche, tiers moyen, nodule de 12 mm, PI-RADS 4",
            {"side": "left", "zone": "PZ", "levels": ("mid",), "size_mm": (12.0,), "pirads": 4},
        ),
        (
            "Perifere zone links, middelste derde, laesie van 12 mm, PI-RADS 4",
            {"side": "left", "zone": "PZ", "levels": ("mid",), "size_mm": (12.0,), "pirads": 4},
        ),
        (
            "Suspekter Herd in der Transitionszone links anterior auf Höhe der Basis, 12 mal 8 mm, PI-RADS 5",
            {"side": "left", "zone": "TZ", "levels": ("base",), "positions": ("anterior",), "size_mm": (12.0, 8.0), "pirads": 5},
        ),
    ],
)
def test_a_telegraphic_lesion_reads_in_every_language(text: str, expected: dict[str, Any]) -> None:
    (lesion,) = items_of(text)
    assert_contains(lesion, expected)


def test_dutch_lesions_named_together_share_their_category() -> None:
    lesions = items_of("MRI prostaat. Afwijking nr. 1+2: transitiezone rechts, PIRADS v2 categorie: 5")
    assert [(lesion["lesion_id"], lesion["pirads"], lesion["side"]) for lesion in lesions] == [("1", 5, "right"), ("2", 5, "right")]


def test_dutch_volume_and_density_are_read_with_decimal_commas() -> None:
    text = "Geen afwijking; volume van de prostaat 27 cc, PSA densiteit 0,37"
    assert_contains(exam_of(text), {"prostate_volume_ml": 27.0, "psa_density": 0.37})
    assert items_of(text) == []


@pytest.mark.parametrize(
    ("text", "positive", "total", "isup"),
    [
        ("Prostatastanzen mit Adenokarzinom in 3 von 12 Zylindern, Gleason 7b, 40 %", 3, 12, 3),
        ("Prostatabiopsie. 12 Stanzzylinder, davon 3 mit Karzinom, Gleason 4+3=7", 3, 12, 3),
        ("Prostatabiopsier: adenocarcinom, Gleasonsumma 3+4=7, ISUP-grad 2, 2/12 px", 2, 12, 2),
        ("Prostaatbiopten: adenocarcinoom, Gleasonscore 3+4=7, graadgroep 2, in 2 van de 12 biopten", 2, 12, 2),
        ("Biopsias prostáticas: adenocarcinoma acinar, Gleason 3+4=7, grupo de grado 2, en 2 de 12 cilindros", 2, 12, 2),
        ("Biopsies prostatiques : adénocarcinome, score de Gleason 3+4=7, groupe 2, 12 carottes dont 2 positives", 2, 12, 2),
    ],
)
def test_core_counts_and_grades_read_in_every_language(text: str, positive: int, total: int, isup: int) -> None:
    assert_contains(
        exam_of(text, ReportType.PATHOLOGY),
        {"cores_positive": positive, "cores_total": total, "overall.isup_grade": isup, "cancer_present": True},
    )


def test_spanish_breast_category_and_quadrant_are_read_and_nothing_suspicious_is_found() -> None:
    text = "Mamografía. Sin lesiones sospechosas. BI-RADS 2. Cuadrante superoexterno derecho: quiste de 6 mm."
    assert exam_of(text, organ="breast").get("birads") == "2"
    (cyst,) = items_of(text, organ="breast")
    assert_contains(cyst, {"kind": "cyst", "side": "right", "quadrant": "upper_outer"})


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("Sonographie: echoarmer Herdbefund links auf 10 Uhr, 8 mm, BI-RADS 4A", 10.0),
        ("Ultraljud: tumörmisstänkt förtätning vänster bröst kl 10, 8 mm. BI-RADS 4A", 10.0),
        ("Ecografía: nódulo sólido hipoecoico en mama izquierda a las 10 h, 8 mm, BI-RADS 4A", 10.0),
        ("Echographie : masse hypoéchogène du sein gauche sur le rayon de 10h, 8 mm, BI-RADS 4A", 10.0),
        ("Echografie: massa linker mamma op 10 uur, 8 mm, BI-RADS 4A", 10.0),
    ],
)
def test_the_clock_reads_in_every_language(text: str, clock: float) -> None:
    (finding,) = items_of(text, organ="breast")
    assert_contains(finding, {"kind": "mass", "side": "left", "clock": clock, "size_mm": (8.0,)})


def test_codes_of_other_systems_are_no_birads() -> None:
    assert "birads" not in exam_of("Mammografi bilateralt. Inga malignitetsmisstänkta förändringar. Kod 2.", organ="breast")


def test_an_english_impression_under_a_dutch_body_is_read_as_english() -> None:
    text = (
        "MRI prostaat\n\nBevindingen:\nIn de perifere zone rechts in het middelste derde is een verdachte laesie van 12 mm te zien.\n"
        "Geen aanwijzingen voor kapseldoorbraak. De zaadblaasjes zijn zonder afwijkingen.\n\n"
        "Impression: suspicious lesion in the right mid peripheral zone, PI-RADS 4. No extraprostatic extension seen.\n"
    )
    (lesion,) = items_of(text)
    assert_contains(lesion, {"side": "right", "zone": "PZ", "levels": ("mid",), "pirads": 4, "size_mm": (12.0,)})
    assert_contains(exam_of(text), {"epe": "absent", "svi": "absent"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "MRT Prostata. Ein kapselüberschreitendes Wachstum liegt nicht vor. Die Samenblasen sind frei.",
            {"epe": "absent", "svi": "absent"},
        ),
        ("MRT Prostata. Eine Infiltration der Samenblasen ist nicht sicher auszuschließen.", {"svi": "suspected"}),
        ("MRI prostaat. Kapseldoorgroei kan niet worden uitgesloten. Zaadblaasjes vrij.", {"epe": "suspected", "svi": "absent"}),
        ("MR prostata. Inga hållpunkter för kapselgenomväxt. Inga skelettmetastaser.", {"epe": "absent", "bone_metastases": "absent"}),
        ("RM próstata. No se identifican adenopatías. Vesículas seminales respetadas.", {"lymph_nodes": "absent", "svi": "absent"}),
        (
            "IRM prostate. Pas d'argument pour une extension extra-prostatique. Ganglions non augmentés de taille.",
            {"epe": "absent", "lymph_nodes": "absent"},
        ),
    ],
)
def test_negation_and_doubt_read_wherever_the_language_puts_them(text: str, expected: dict[str, Any]) -> None:
    assert_contains(exam_of(text), expected)


@pytest.mark.parametrize(
    "text",
    [
        "Risonanza magnetica della prostata. Nella zona periferica di destra si osserva lesione ipointensa di 12 mm. PI-RADS 4.",
        "Badanie MR prostaty. W strefie obwodowej po stronie prawej widoczna zmiana o wymiarach 12 x 8 mm, PI-RADS 4.",
        "МРТ предстательной железы. В периферической зоне справа очаг 12 мм, PI-RADS 4.",
    ],
)
def test_a_language_without_a_glossary_is_set_aside_and_never_misread(text: str) -> None:
    extraction = read(text)
    assert extraction.status is ExtractionStatus.ABSTAINED
    assert [flag.code for flag in extraction.flags] == ["language"]
    assert not extraction.exam
    assert not extraction.findings


def test_evidence_is_in_the_reports_own_words() -> None:
    text = "MRT Prostata. Suspekter Herd in der peripheren Zone links, 12 x 8 mm, PI-RADS 4. Samenblasen frei."
    extraction = read(text)
    words = {name: [text[span.start : span.end] for span in stated.evidence] for name, stated in extraction.findings[0].values.items()}
    assert words["side"] == ["links"]
    assert words["zone"] == ["peripheren Zone"]
    assert words["size_mm"] == ["12 x 8 mm"]
    assert words["pirads"] == ["PI-RADS 4"]
