"""How the facts of a study are put into words: each voice says a value in the form asked for, and marks it as stated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from weakbox.simulate import words
from weakbox.simulate.draws import Draws
from weakbox.simulate.facts import LesionFacts, RadiologyFacts, SpecimenFacts
from weakbox.simulate.statements import CORRECTION, EXAM, Notebook, squeeze

ROMAN = ("0", "I", "II", "III", "IV", "V")
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WRONG_SIZE_MM = 7
_SLOT = re.compile(r"\{(\w+)\}")


def write_day(day: date, form: str) -> str:
    """A day as a site writes it: ``iso``, ``american`` or ``words``.

    >>> write_day(date(2021, 3, 4), "words")
    '4 Mar 2021'
    """
    if form == "iso":
        return day.isoformat()
    if form == "american":
        return f"{day.month:02d}/{day.day:02d}/{day.year}"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def write_length(millimetres: int, unit: str) -> str:
    """A length without its unit: ``12`` in mm, ``1.2`` in cm."""
    return str(millimetres) if unit == "mm" else f"{millimetres / 10:.1f}"


class Author:
    """Chooses words, the same ones for the same report; what was chosen once under a name stays chosen."""

    def __init__(self, draws: Draws, notebook: Notebook) -> None:
        self.draws = draws
        self.notebook = notebook
        self._habits: dict[str, Any] = {}

    def pick(self, *choices: str) -> str:
        """One of the given wordings."""
        return self.draws.pick(choices)

    def phrase(self, name: str) -> str:
        """One of the phrases of that name in ``words/phrases.yaml``."""
        return str(self.draws.pick(words.load("phrases")[name]))

    def habit(self, name: str) -> Any:
        """One of the vocabularies of that name, the same throughout the report."""
        if name not in self._habits:
            self._habits[name] = self.draws.pick(words.load("phrases")[name])
        return self._habits[name]


def place_words(author: Author, scope: str, facts: LesionFacts | SpecimenFacts, side: str | None, pattern: str) -> str:
    """A place by a pattern of slots, each part marked; slots without a value vanish."""
    phrases = words.load("phrases")
    say = author.notebook.say
    position = " ".join(facts.positions)

    def level_words(vocabulary: Mapping[str, str], join: str) -> str:
        return say(scope, join.join(vocabulary[level] for level in facts.levels), levels=facts.levels) if facts.levels else ""

    def slot(name: str) -> str:
        if name in ("side", "side_letter", "side_short"):
            vocabulary = phrases[{"side": "sides", "side_letter": "side_letters", "side_short": "side_short"}[name]]
            return say(scope, vocabulary[side], side=side) if side else ""
        if name == "level":
            return level_words(author.habit("levels"), author.habit("level_joins"))
        if name == "level_short":
            return level_words(phrases["levels_short"], "-")
        if name in ("zone", "zone_short"):
            vocabulary = author.habit("zones") if name == "zone" else phrases["zones_short"]
            return say(scope, vocabulary[facts.zone], zone=facts.zone) if facts.zone else ""
        vocabulary = phrases["positions" if name == "position" else "position_codes"]
        return say(scope, vocabulary[position], positions=facts.positions) if position else ""

    return squeeze(_SLOT.sub(lambda match: slot(match[1]), pattern))


class LesionVoice:
    """Says one lesion. The body of a report with an addendum says what the addendum then corrects."""

    def __init__(self, author: Author, report: RadiologyFacts, facts: LesionFacts) -> None:
        self._author = author
        self._report = report
        self.facts = facts
        self._scope = facts.key
        self._unit: str = report.style["units"]
        self._scale: str = report.style.get("scale", "pirads")
        self.has_scores = bool(report.style.get("has_scores"))

    def _say(self, text: str, *, rank: int = 0, **values: Any) -> str:
        return self._author.notebook.say(self._scope, text, rank=rank, **values)

    def _body_side(self) -> str:
        is_wrong = self._report.addendum == "side"
        return {"left": "right", "right": "left"}.get(self.facts.side, self.facts.side) if is_wrong else self.facts.side

    def name(self, noun: str) -> str:
        """The noun and the lesion's label."""
        if self.facts.label is None:
            return noun
        return f"{noun}{'' if noun == '#' else ' '}{self._say(self.facts.label, lesion_id=self.facts.label)}"

    def label(self) -> str:
        """The label alone, for tables whose heading has the noun."""
        return self._say(self.facts.label or "", lesion_id=self.facts.label)

    def score(self, pattern: str, form: str = "digit") -> str:
        """The lesion's category on the report's scale."""
        text = {"digit": str(self.facts.score), "roman": ROMAN[self.facts.score], "word": NUMBER_WORDS[self.facts.score]}[form]
        return pattern.replace("{}", self._say(text, **{self._scale: self.facts.score}))

    def place(self, kind: str) -> str:
        """Where it lies: ``prose``, ``short`` or ``code``."""
        patterns = words.load("phrases")["places"]
        name = "prose_midline" if kind == "prose" and self.facts.side == "midline" else kind
        pattern = str(self._author.draws.pick(patterns[name]))
        if name == "prose_midline":
            return place_words(self._author, self._scope, self.facts, "midline", pattern.replace("midline", "{side}"))
        return place_words(self._author, self._scope, self.facts, self._body_side(), pattern)

    def part(self, pattern: str) -> str:
        """A part of the place by a pattern of slots, for tables and forms; ``-`` where there is nothing to say."""
        return place_words(self._author, self._scope, self.facts, self._body_side(), pattern) or "-"

    def _sizes(self) -> tuple[int, ...]:
        wrong = WRONG_SIZE_MM if self._report.addendum == "size" else 0
        return tuple(size + wrong for size in self.facts.sizes_mm)

    def size(self, form: str = "all") -> str:
        """Its size with the unit: ``all`` diameters of the style, ``greatest``, or ``named`` axes."""
        sizes = self._sizes()
        if form == "named" and self._report.addendum != "size":
            across, deep, high = self.facts.axes_mm
            text = " x ".join(f"{write_length(size, self._unit)} ({axis})" for size, axis in ((across, "TR"), (deep, "AP"), (high, "CC")))
            return self._say(f"{text} {self._unit}", size_mm=(across, deep, high))
        shown = sizes[:1] if form == "greatest" else sizes
        return self._say(f"{' x '.join(write_length(size, self._unit) for size in shown)} {self._unit}", size_mm=shown)

    def t2(self, pattern: str = "{}") -> str:
        """The T2W score."""
        return pattern.replace("{}", self._say(str(self.facts.t2), t2=self.facts.t2))

    def dwi(self, pattern: str = "{}") -> str:
        """The DWI score."""
        return pattern.replace("{}", self._say(str(self.facts.dwi), dwi=self.facts.dwi))

    def dce(self, pattern: str = "{}", *, positive: str = "positive", negative: str = "negative") -> str:
        """Enhancement; nothing where no contrast was given."""
        if not self._report.has_contrast:
            return ""
        name = "positive" if self.facts.is_enhancing else "negative"
        return pattern.replace("{}", self._say(positive if self.facts.is_enhancing else negative, dce=name))

    def images(self, pattern: str) -> str:
        """Series and image on which it is shown: ``<series>`` and ``<image>`` in the pattern; nothing without an axial T2."""
        if self.facts.series_number is None:
            return ""
        series = self._say(str(self.facts.series_number), series_number=self.facts.series_number)
        image = self._say(str(self.facts.image_number), image_number=self.facts.image_number)
        return pattern.replace("<series>", series).replace("<image>", image)

    def before(self, pattern: str) -> str:
        """What it was at the prior study, unmarked: ``<size>`` and ``<score>`` in the pattern."""
        if self.facts.prior_score is None or self.facts.prior_size_mm is None:
            return ""
        size = f"{write_length(self.facts.prior_size_mm, self._unit)} {self._unit}"
        return pattern.replace("<size>", size).replace("<score>", str(self.facts.prior_score))

    def correction(self, day: str) -> str:
        """The addendum's sentence, which wins over the body."""
        if self._report.addendum == "side":
            new = self._say(self.facts.side, rank=CORRECTION, side=self.facts.side)
            return self._author.phrase("addendum_side").format(new=new, old=self._body_side(), day=day)
        greatest = self.facts.sizes_mm[0]
        new = self._say(f"{write_length(greatest, self._unit)} {self._unit}", rank=CORRECTION, size_mm=(greatest,))
        old = f"{write_length(self._sizes()[0], self._unit)} {self._unit}"
        return self._author.phrase("addendum_size").format(new=new, old=old, day=day)


class ExamVoice:
    """Says what a radiology report states of the whole examination."""

    def __init__(self, author: Author, facts: RadiologyFacts) -> None:
        self._author = author
        self.facts = facts
        self._scale: str = facts.style.get("scale", "pirads")

    def _say(self, text: str, **values: Any) -> str:
        return self._author.notebook.say(EXAM, text, **values)

    def psa(self, pattern: str) -> str:
        """The latest PSA."""
        return pattern.replace("{}", self._say(f"{self.facts.psa_ng_ml:g}", psa_ng_ml=self.facts.psa_ng_ml))

    def density(self, pattern: str) -> str:
        """The PSA density."""
        return pattern.replace("{}", self._say(f"{self.facts.psa_density:.2f}", psa_density=self.facts.psa_density))

    def volume(self, pattern: str) -> str:
        """The gland's volume; ``<dimensions>`` in the pattern are its diameters in cm, unmarked."""
        dimensions = " x ".join(f"{size:.1f}" for size in self.facts.dimensions_cm)
        volume = self._say(str(self.facts.volume_ml), prostate_volume_ml=self.facts.volume_ml)
        return pattern.replace("<dimensions>", dimensions).replace("{}", volume)

    def overall(self, pattern: str, form: str = "digit") -> str:
        """The overall category on the report's scale."""
        text = {"digit": str(self.facts.overall), "roman": ROMAN[self.facts.overall], "word": NUMBER_WORDS[self.facts.overall]}[form]
        return pattern.replace("{}", self._say(text, **{self._scale: self.facts.overall}))

    def version(self, pattern: str) -> str:
        """The PI-RADS version."""
        return pattern.replace("{}", self._say("2.1", pirads_version="2.1"))

    def stage(self, name: str, *, end: str = ".") -> str:
        """One sentence of staging; nothing where it is not mentioned."""
        state = self.facts.staging.get(name)
        if state is None:
            return ""
        return self._say(str(self._author.draws.pick(words.load("phrases")["staging"][name][state])), **{name: state}) + end

    def staging(self) -> str:
        """Every sentence of staging, in one paragraph."""
        return " ".join(filter(None, (self.stage(name) for name in ("epe", "svi", "lymph_nodes", "bone_metastases"))))


class SpecimenVoice:
    """Says one specimen of a pathology report; ``identifier`` is its letter or number, or a range of them."""

    def __init__(self, author: Author, facts: SpecimenFacts, identifier: str) -> None:
        self._author = author
        self.facts = facts
        self.identifier = identifier
        self._scope = f"specimen {identifier}"

    def _say(self, text: str, **values: Any) -> str:
        return self._author.notebook.say(self._scope, text, **values)

    def id(self) -> str:
        """The designation."""
        return self._say(self.identifier, specimen_id=self.identifier)

    def target(self, noun: str) -> str:
        """The noun and the target's label; the noun alone for an unnumbered target, nothing for systematic cores."""
        if not self.facts.is_targeted:
            return ""
        return f"{noun} {self._say(self.facts.label, target=self.facts.label)}" if self.facts.label else noun

    def place(self, pattern: str) -> str:
        """Where it was taken, by a pattern of slots."""
        return place_words(self._author, self._scope, self.facts, self.facts.side, pattern)

    def diagnosis(self, text: str | None = None) -> str:
        """The diagnosis in one of the phrases, or in the words given."""
        phrase = text or str(self._author.draws.pick(words.load("phrases")["pathology"][self.facts.diagnosis]))
        return self._say(phrase, diagnosis=self.facts.diagnosis)

    @property
    def is_cancer(self) -> bool:
        """Whether it holds cancer."""
        return self.facts.gleason is not None

    def gleason(self, pattern: str) -> str:
        """The Gleason score: ``<p>``, ``<s>`` and ``<sum>`` in the pattern; ``[[`` and ``]]`` bound what is marked."""
        return gleason_words(self._author.notebook, self._scope, self.facts.gleason, pattern)

    def grade_group(self, pattern: str) -> str:
        """The grade group."""
        return pattern.replace("{}", self._say(str(self.facts.isup_grade), isup_grade=self.facts.isup_grade))

    def cores(self, pattern: str, form: str = "digit") -> str:
        """Cores with cancer ``<n>`` of ``<of>``."""
        positive, total = self.facts.cores_positive, self.facts.cores_total
        texts = (NUMBER_WORDS[positive], NUMBER_WORDS[total]) if form == "word" else (str(positive), str(total))
        return pattern.replace("<n>", self._say(texts[0], cores_positive=positive)).replace("<of>", self._say(texts[1], cores_total=total))

    def taken(self, pattern: str, form: str = "digit") -> str:
        """Cores taken."""
        total = self.facts.cores_total
        return pattern.replace("{}", self._say(NUMBER_WORDS[total] if form == "word" else str(total), cores_total=total))

    def percent(self, pattern: str) -> str:
        """The highest share of a core that is cancer."""
        return pattern.replace("{}", self._say(str(self.facts.percent), percent_involved=self.facts.percent))

    def length(self, pattern: str) -> str:
        """The greatest tumour length, mm."""
        return pattern.replace("{}", self._say(str(self.facts.length_mm), tumor_length_mm=self.facts.length_mm))

    def core_list(self) -> list[str]:
        """One line a core, the involved ones first; together they state the counts."""
        positive, total = self.facts.cores_positive, self.facts.cores_total
        lines = [f"core {index + 1}: {'involved' if index < positive else 'no tumor'}" for index in range(total)]
        lines[0] = self._say(lines[0], cores_positive=positive)
        lines[-1] = self._say(lines[-1], cores_total=total)
        return lines


def gleason_words(notebook: Notebook, scope: str, patterns: tuple[int, int] | None, pattern: str, prefix: str = "") -> str:
    """A Gleason score by a pattern: ``<p>``, ``<s>``, ``<sum>``; ``[[`` and ``]]`` bound what is marked as stating it."""
    if patterns is None:
        raise ValueError("a specimen without cancer has no Gleason score")
    primary, secondary = patterns
    text = pattern.replace("<p>", str(primary)).replace("<s>", str(secondary)).replace("<sum>", str(primary + secondary))
    before, _, rest = text.partition("[[")
    marked, _, after = rest.partition("]]")
    grade = next(g for g, pairs in _GRADES.items() if (primary, secondary) in pairs)
    values = {"gleason_primary": primary, "gleason_secondary": secondary, "gleason_score": primary + secondary, "isup_grade": grade}
    return before + notebook.say(scope, marked, **{f"{prefix}{name}": value for name, value in values.items()}) + after


_GRADES = {1: ((3, 3),), 2: ((3, 4),), 3: ((4, 3),), 4: ((4, 4), (3, 5), (5, 3)), 5: ((4, 5), (5, 4), (5, 5))}
"""ISUP 2014 grade groups."""


class CaseVoice:
    """Says what a pathology report states of the case."""

    def __init__(self, author: Author, specimens: list[SpecimenFacts]) -> None:
        self._author = author
        self._specimens = specimens
        cancers = [specimen for specimen in specimens if specimen.gleason is not None]
        self.worst = max(cancers, key=lambda s: (s.isup_grade, s.gleason), default=None)

    def gleason(self, pattern: str) -> str:
        """The case's Gleason score and grade."""
        return gleason_words(self._author.notebook, EXAM, self.worst.gleason if self.worst else None, pattern, "overall.")

    def grade_group(self, pattern: str) -> str:
        """The case's grade group."""
        values: dict[str, Any] = {"overall.isup_grade": self.worst.isup_grade if self.worst else None}
        return pattern.replace("{}", self._author.notebook.say(EXAM, str(values["overall.isup_grade"]), **values))

    def cores(self, pattern: str) -> str:
        """Positive cores ``<n>`` of all ``<of>``."""
        positive, total = (sum(getattr(s, name) for s in self._specimens) for name in ("cores_positive", "cores_total"))
        say = self._author.notebook.say
        pattern = pattern.replace("<n>", say(EXAM, str(positive), cores_positive=positive))
        return pattern.replace("<of>", say(EXAM, str(total), cores_total=total))

    def procedure(self, text: str) -> str:
        """Words that say how the tissue was obtained."""
        return self._author.notebook.say(EXAM, text, procedure="biopsy")
