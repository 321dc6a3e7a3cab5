"""Invented patients and doctors, and the header, body and closing lines in which hospitals of six languages write them.

Most names are in none of the word lists of de-identification. Check digits are right where a number has one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

GIVEN = {
    "en": ("Orla", "Tremaine", "Beatrix", "Desmond", "Imogen", "Casper", "Philippa", "Rufus", "John", "Mary"),
    "de": ("Hannelie", "Burkhart", "Roswitha", "Eckehard", "Traudel", "Ingmar", "Wiebke", "Gero", "Hans", "Ursula"),
    "nl": ("Reinout", "Machteld", "Wiebren", "Fenna", "Roelof", "Liesbeth", "Tjeerd", "Geertje", "Jan", "Maria"),
    "sv": ("Torbjörn", "Gunvor", "Ragnar", "Elvira", "Hjalmar", "Maj-Britt", "Sixten", "Signe", "Lars", "Anna"),
    "es": ("Leocadio", "Eulalia", "Baldomero", "Nieves", "Anselmo", "Visitación", "Gumersindo", "Casilda", "José", "Carmen"),
    "fr": ("Anatole", "Bérengère", "Fulgence", "Solange", "Gaspard", "Ghislaine", "Léandre", "Hortense", "Jean-Pierre", "Marie"),
}
FAMILY = {
    "en": (
        "Quillfeather",
        "O'Dowling",
        "Marchbanks",
        "Tottershell",
        "Fairhaven-Lisle",
        "MacAskill",
        "Brathwaite",
        "Penhallow",
        "Underwood",
        "Smith",
    ),
    "de": (
        "Brömmelkamp",
        "von Hagenow",
        "Überschaer",
        "Kleinschmidt-Rott",
        "Zwiebler",
        "Mangoldt",
        "Straßner",
        "Oehlenschläger",
        "Wittekind",
        "Klein",
    ),
    "nl": (
        "van der Zwaluw",
        "Oosterbosch",
        "de Kruyff",
        "Wijnstekers",
        "ter Haar-Bos",
        "Kromhout",
        "Verschueren",
        "IJzerman",
        "Poelstra",
        "de Groot",
    ),
    "sv": (
        "Lindqvist",
        "Åkerblom",
        "Söderkvist",
        "Hallonstam",
        "af Ekenhielm",
        "Rosengren-Dahl",
        "Björklöv",
        "Nordvall",
        "Fagerlind",
        "Berg",
    ),
    "es": (
        "Zubizarreta Ochoa",
        "Valdecasas Peña",
        "Íñiguez Roldán",
        "Carrascosa Viñas",
        "de la Encina Pardo",
        "Quiñonero Lara",
        "Belmonte Sáez",
        "Urrutia Goñi",
        "Pedrajas Muro",
        "Blanco Rey",
    ),
    "fr": (
        "Delacourtille",
        "d'Hautefeuille",
        "Le Guennec",
        "Bourdonnais",
        "Vaucresson-Petit",
        "Maréchaux",
        "Théroulde",
        "Quéméneur",
        "Lachassagne",
        "Petit",
    ),
}
TEMPLATES = {
    "en": (
        "{hospital}\nPatient Name: {comma_name}    DOB: {date}    MRN: {number}\nAccession: {accession}\nReferring Physician: Dr. {doctor}",
        "PATIENT: {upper_name}\nDATE OF BIRTH: {date}\nADDRESS: {address}\nPHONE: {phone}\nNHS No: {national}",
        "Name: {name}\nMedical Record Number: {number}\nExam date: {long_date} {time}\nOrdering Provider: {doctor}, MD",
    ),
    "de": (
        (
            "{hospital}\nPatient: {comma_name}, geb. {date}\nPat.-Nr.: {number}   Auftragsnummer: {accession}\n"
            "Zuweiser: Dr. med. {doctor}, {address}"
        ),
        "Name: {name}\nGeburtsdatum: {date}\nVersichertennummer: {national}\nTel.: {phone}\nUntersuchung vom {date2} um {time} Uhr",
        "Sehr geehrte Frau Dr. {doctor},\nwir berichten über Ihren Patienten Herrn {name}, geb. am {date}, wohnhaft {address}.",
    ),
    "nl": (
        "{hospital}\nPatiënt: {name}   Geb.: {date}   Patiëntnummer: {number}\nBSN: {national}\nAanvrager: dr. {doctor}",
        "Naam: {comma_name}\nGeboortedatum: {date}\nAdres: {address}\nTelefoon: {phone}\nOnderzoeksnummer: {accession}",
        "Geachte collega {doctor},\nOp {long_date} zagen wij de heer {name}, patiëntnr. {number}.",
    ),
    "sv": (
        "{hospital}\nPatient: {comma_name}\nPersonnummer: {national}\nRemissnummer: {accession}\nRemitterande läkare: {doctor}",
        "Namn: {name}\nFödd: {date}\nAdress: {address}\nTfn: {phone}\nUndersökningsdatum: {long_date} kl. {time}",
        "Remittent: Dr {doctor}, {hospital}\nPat: {name} {national}\nSvar: {date2}",
    ),
    "es": (
        (
            "{hospital}\nPaciente: {comma_name}\nNHC: {number}   DNI: {national}\n"
            "Fecha de nacimiento: {date}\nMédico solicitante: Dra. {doctor}"
        ),
        "Nombre y apellidos: {name}\nDomicilio: {address}\nTeléfono: {phone}\nNº de petición: {accession}\nFecha: {long_date}",
        "Estimado Dr. {doctor}:\nD. {name}, con nº de historia {number}, acude el {date2} a las {time}.",
    ),
    "fr": (
        (
            "{hospital}\nPatient : {name}   Né le {date}\nIPP : {number}\n"
            "N° de sécurité sociale : {national}\nMédecin prescripteur : Dr {doctor}"
        ),
        "Nom : {comma_name}\nAdresse : {address}\nTél : {phone}\nN° dossier : {accession}\nExamen du {long_date} à {time}",
        "Cher confrère, cher Docteur {doctor},\nVotre patient M. {name}, né le {date}, demeurant {address}, a été vu le {date2}.",
    ),
}
CLOSINGS = {
    "en": (
        "Electronically signed by: {doctor}, MD on {date2} {time}",
        "Discussed with Dr. {doctor} by phone ({phone}).",
        "Kind regards,\n{doctor}\nConsultant Radiologist",
    ),
    "de": (
        "Befundet von: Dr. {doctor}, Facharzt für Radiologie, {date2}",
        "Mit freundlichen kollegialen Grüßen\nProf. Dr. {doctor}",
        "Telefonisch an Dr. {doctor} übermittelt am {date2}, {time} Uhr.",
    ),
    "nl": ("Verslag door: {doctor}, radioloog", "Met vriendelijke groet,\n{doctor}\nradioloog", "Besproken met dr. {doctor} op {date2}."),
    "sv": (
        "Signerat av: {doctor}, överläkare {date2}",
        "Med vänlig hälsning\n{doctor}\nSpecialistläkare",
        "Meddelat till dr {doctor} per telefon {phone}.",
    ),
    "es": ("Fdo.: Dra. {doctor}", "Informado por: {doctor}, médico radiólogo, el {date2}", "Atentamente,\nDr. {doctor}\nMédico radiólogo"),
    "fr": ("Validé par : Dr {doctor} le {date2}", "Bien confraternellement,\nDr {doctor}", "Communiqué à Dr {doctor} au {phone}."),
}
HOSPITALS = {
    "en": ("Quarrybridge General Hospital", "Eastmere Medical Center"),
    "de": ("Klinikum Hohenfelde", "Universitätsklinikum Nordau"),
    "nl": ("Ziekenhuis Waterland-Oost", "Medisch Centrum Duinrand"),
    "sv": ("Björknäs sjukhus", "Norrviks universitetssjukhus"),
    "es": ("Hospital Universitario Valdehoz", "Clínica San Telmo"),
    "fr": ("CHU de Montbrisac", "Clinique des Ormeaux"),
}
ADDRESSES = {
    "en": ("48 Larkspur Lane, Quarrybridge QB4 7TD", "1207 Maple Ridge Road, Eastmere, OH 44129"),
    "de": ("Lindenstraße 14a, 48231 Hohenfelde", "Am Mühlbach 7, 24943 Nordau"),
    "nl": ("Kerkstraat 112, 1431 BX Waterland", "Duinlaan 9, 2071 EK Zandrand"),
    "sv": ("Storgatan 18, 862 31 Björknäs", "Ängsvägen 4, 175 62 Norrvik"),
    "es": ("Calle de la Alameda 23, 28310 Valdehoz", "Avenida del Puerto 118, 46023 Santelmo"),
    "fr": ("12 rue des Tilleuls, 34170 Montbrisac", "5 bis avenue de la Gare, 69120 Ormeaux"),
}
MONTHS = {
    "en": ("January", "April", "October"),
    "de": ("Januar", "März", "Oktober"),
    "nl": ("januari", "maart", "oktober"),
    "sv": ("januari", "maj", "oktober"),
    "es": ("enero", "abril", "octubre"),
    "fr": ("janvier", "août", "octobre"),
}


@dataclass(frozen=True)
class Written:
    """Lines with identities, and the words in them that identify (kind, words)."""

    text: str
    items: tuple[tuple[str, str], ...]


def identities(language: str, count: int) -> Iterator[tuple[Written, Written]]:
    """Header and closing lines of ``count`` invented patients."""
    drawn = random.Random(f"weakbox {language}")
    for index in range(count):
        values = _values(language, drawn, index)
        yield _write(TEMPLATES[language][index % 3], values), _write(CLOSINGS[language][(index // 3) % 3], values)


def _write(template: str, values: dict[str, str]) -> Written:
    items = tuple((name, value) for name, value in values.items() if f"{{{name}}}" in template)
    return Written(text=template.format(**values), items=items)


def _values(language: str, drawn: random.Random, index: int) -> dict[str, str]:
    given, family = GIVEN[language][index % 10], FAMILY[language][(index * 7 + 3) % 10]
    doctor = f"{drawn.choice(GIVEN[language])} {FAMILY[language][(index * 3 + 1) % 10]}"
    birth = (drawn.randint(1, 28), drawn.randint(1, 12), drawn.randint(1931, 1975))
    other = (drawn.randint(1, 28), drawn.randint(1, 12), drawn.randint(2015, 2024))
    return {
        "name": f"{given} {family}",
        "comma_name": f"{family}, {given}",
        "upper_name": f"{family}, {given}".upper(),
        "doctor": doctor,
        "date": _date(language, *birth),
        "date2": _date(language, *other),
        "long_date": _long_date(language, other, drawn),
        "time": f"{drawn.randint(7, 18):02d}:{drawn.choice((12, 37, 48)):02d}",
        "number": str(drawn.randint(100000, 9999999)),
        "accession": drawn.choice(
            (
                f"E{drawn.randint(10, 24)}-{drawn.randint(10000, 99999)}",
                f"AC{drawn.randint(1000000, 9999999)}",
                str(drawn.randint(10**7, 10**8)),
            )
        ),
        "phone": _phone(language, drawn),
        "national": _national(language, drawn, birth),
        "address": ADDRESSES[language][index % 2],
        "hospital": HOSPITALS[language][index % 2],
    }


def _date(language: str, day: int, month: int, year: int) -> str:
    forms = {"en": f"{month:02d}/{day:02d}/{year}", "de": f"{day:02d}.{month:02d}.{year}", "nl": f"{day:02d}-{month:02d}-{year}"}
    return {**forms, "sv": f"{year}-{month:02d}-{day:02d}", "es": f"{day}/{month}/{year}", "fr": f"{day:02d}/{month:02d}/{year}"}[language]


def _long_date(language: str, day: tuple[int, int, int], drawn: random.Random) -> str:
    month = drawn.choice(MONTHS[language])
    forms = {"en": f"{month} {day[0]}, {day[2]}", "de": f"{day[0]}. {month} {day[2]}", "es": f"{day[0]} de {month} de {day[2]}"}
    return forms.get(language, f"{day[0]} {month} {day[2]}")


def _phone(language: str, drawn: random.Random) -> str:
    four = drawn.randint(1000, 9999)
    forms = {"en": f"(555) 014-{four}", "de": f"0551 / 39-{four}0", "nl": f"020-555 {four}", "sv": f"08-517 {four // 100} {four % 100:02d}"}
    return {**forms, "es": f"+34 912 55 {four // 100} {four % 100:02d}", "fr": f"04 67 {four // 100} {four % 100:02d} 12"}[language]


def _national(language: str, drawn: random.Random, birth: tuple[int, int, int]) -> str:
    day, month, year = birth
    digits = [drawn.randint(0, 9) for _ in range(9)]
    if language == "en":
        return next(f"{head[:3]} {head[3:6]} {head[6:]}{check}" for head, check in iter(lambda: _nhs(drawn), None) if check < 10)
    if language == "de":
        letter, body = "K", "".join(map(str, digits[:8]))
        values = [1, 1, *digits[:8]]
        return f"{letter}{body}{sum(sum(divmod(v * f, 10)) for v, f in zip(values, [1, 2] * 5, strict=True)) % 10}"
    if language == "nl":
        return next(number for number in (str(drawn.randint(10**8, 10**9 - 1)) for _ in range(5000)) if _eleven(number))
    if language == "sv":
        head = f"{year % 100:02d}{month:02d}{day:02d}{drawn.randint(0, 999):03d}"
        total = sum(sum(divmod(int(sign) * factor, 10)) for sign, factor in zip(head, [2, 1] * 4 + [2], strict=True))
        return f"{year // 100}{head[:6]}-{head[6:]}{-total % 10}"
    if language == "es":
        number = drawn.randint(10**7, 10**8 - 1)
        return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"
    head = f"1{year % 100:02d}{month:02d}34{drawn.randint(1, 999):03d}{drawn.randint(1, 999):03d}"
    key = 97 - int(head) % 97
    return f"{head[0]} {head[1:3]} {head[3:5]} {head[5:7]} {head[7:10]} {head[10:]} {key:02d}"


def _nhs(drawn: random.Random) -> tuple[str, int]:
    head = str(drawn.randint(4 * 10**8, 5 * 10**8 - 1))
    check = 11 - sum(int(sign) * factor for sign, factor in zip(head, range(10, 1, -1), strict=True)) % 11
    return head, 0 if check == 11 else check


def _eleven(number: str) -> bool:
    weights = (*range(9, 1, -1), -1)
    return sum(int(sign) * weight for sign, weight in zip(number, weights, strict=True)) % 11 == 0
