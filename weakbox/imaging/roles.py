"""What an MR series is: T2W, DWI, ADC, DCE, T1W, localizer or something else, and its plane.

Tags first, the description second (vendors' protocol words, ``series_words.yaml``), pixel values last. Where nothing settles it the
role is ``unknown``: a person or a mapping decides, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml

from weakbox.imaging.bvalues import b_values_from_description
from weakbox.records.imaging import Plane, SeriesRole
from weakbox.records.record import record

FALLBACK_CONFIDENCE = 0.7
"""Below this a reading is worth a look at the pixels or by a person."""


@record
class RoleReading:
    """The role read from one series: how sure (0..1) and why. ``b_values`` are those the words or tags name, ascending.

    For a computed b-value image ``b_values`` holds the computed one where it can be told from the acquired ones, else nothing.
    """

    role: SeriesRole
    plane: Plane | None = None
    confidence: float
    reason: str
    is_computed_b: bool = False
    b_values: tuple[float, ...] = ()
    is_guidance: bool = False


@dataclass(frozen=True, slots=True)
class _Words:
    """Whole tokens and phrases, compiled."""

    words: re.Pattern[str] | None
    phrases: re.Pattern[str] | None
    raw: re.Pattern[str] | None

    def found(self, description: _Description) -> bool:
        if self.words and any(self.words.fullmatch(token) for token in description.tokens):
            return True
        return bool((self.phrases and self.phrases.search(description.text)) or (self.raw and self.raw.search(description.raw)))


@dataclass(frozen=True, slots=True)
class _Rule:
    role: SeriesRole
    confidence: float
    reason: str
    words: _Words
    unless: _Words


@dataclass(frozen=True, slots=True)
class _Grammar:
    rules: tuple[_Rule, ...]
    planes: Mapping[Plane, _Words]
    computed_b: _Words
    guidance: _Words


@dataclass(frozen=True, slots=True)
class _Description:
    raw: str
    text: str
    tokens: tuple[str, ...]


def _any_of(patterns: Iterable[str]) -> re.Pattern[str] | None:
    alternatives = "|".join(f"(?:{pattern})" for pattern in patterns)
    return re.compile(alternatives) if alternatives else None


def _words(entry: Mapping[str, Any] | str | None) -> _Words:
    """Words are separated by blanks, with ``*`` for any letters; phrases and raw patterns are lists of regular expressions."""
    parts = {"words": entry} if isinstance(entry, str) else entry or {}
    whole = _any_of(word.replace("*", "[a-z]*") for word in parts.get("words", "").split())
    return _Words(whole, _any_of(parts.get("phrases", ())), _any_of(parts.get("raw", ())))


def _rule(entry: Mapping[str, Any]) -> _Rule:
    return _Rule(SeriesRole(entry["role"]), float(entry["confidence"]), entry["reason"], _words(entry), _words(entry.get("unless")))


@cache
def _grammar() -> _Grammar:
    data = yaml.safe_load(files("weakbox.imaging").joinpath("series_words.yaml").read_text(encoding="utf-8"))
    rules = tuple(_rule(entry) for entry in data["rules"])
    planes = {Plane(name): _words(words) for name, words in data["planes"].items()}
    return _Grammar(rules, planes, _words(data["computed_b"]), _words(data["guidance"]))


_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][A-Za-z])")
_CALC_SEAM = re.compile(r"(?<=[A-Za-z])(?=CALC_?BVAL)")
_PLANE_WORD = r"(?:ax|axial|cor|coronal|sag|sagittal|tra)"
_SEAM = re.compile(rf"(?<![a-z])({_PLANE_WORD}(?=t[12])|t[12]w?(?={_PLANE_WORD}(?![a-z])))")
_SEPARATOR = re.compile(r"[^0-9a-zà-ÿ]+")


def _read_words(description: str) -> _Description:
    seams = _CALC_SEAM.sub(" ", _CAMEL.sub(" ", description)).lower()
    text = _SEPARATOR.sub(" ", _SEAM.sub(r"\1 ", seams)).strip()
    as_written = _SEPARATOR.sub(" ", description.lower()).split()
    return _Description(raw=description.lower(), text=text, tokens=tuple(dict.fromkeys([*text.split(), *as_written])))


@lru_cache(maxsize=65536)
def role_from_description(description: str) -> RoleReading:
    """The role that the words of a description alone show.

    >>> reading = role_from_description("t2_spc_rst_axial obl_Prostate")
    >>> reading.role, reading.plane
    (<SeriesRole.T2W: 'T2W'>, <Plane.AXIAL: 'axial'>)
    >>> role_from_description("ep2d_diff_b1400_TRACEW").b_values
    (1400.0,)
    """
    grammar = _grammar()
    words = _read_words(description)
    if not words.tokens:
        return RoleReading(role=SeriesRole.UNKNOWN, confidence=0.0, reason="no description")
    rule = next((rule for rule in grammar.rules if rule.words.found(words) and not rule.unless.found(words)), None)
    plane = _plane(words, grammar)
    is_guidance = grammar.guidance.found(words)
    if rule is None:
        reason = "no known word in the description"
        return RoleReading(role=SeriesRole.UNKNOWN, plane=plane, confidence=0.0, reason=reason, is_guidance=is_guidance)
    is_diffusion = rule.role in (SeriesRole.DWI, SeriesRole.ADC)
    is_computed = rule.role is SeriesRole.DWI and grammar.computed_b.found(words)
    return RoleReading(
        role=rule.role,
        plane=plane,
        confidence=rule.confidence,
        reason=f"description: {rule.reason}",
        is_computed_b=is_computed,
        b_values=(_computed_b(description) if is_computed else b_values_from_description(description)) if is_diffusion else (),
        is_guidance=is_guidance,
    )


def _plane(words: _Description, grammar: _Grammar) -> Plane | None:
    """The one plane that the words name; None where they name none or several."""
    named = [plane for plane, plane_words in grammar.planes.items() if plane_words.found(words)]
    return named[0] if len(named) == 1 else None


_COMPUTED_MARK = re.compile(r"calc|comput|synth|cdwi|sdwi|extrapol|(?<![a-z])cb(?=\d)", re.IGNORECASE)


def _computed_b(description: str) -> tuple[float, ...]:
    """The computed b-value: the number behind the last computing word, or the only one there is; nothing where several may be meant."""
    marks = list(_COMPUTED_MARK.finditer(description))
    tail = description[marks[-1].end() :] if marks else ""
    behind = b_values_from_description(f"b{tail}" if tail[:1].isdigit() else tail)
    values = behind or b_values_from_description(description)
    return values if len(values) == 1 else ()


@record
class SeriesFacts:
    """What the headers of one series (or part) state, gathered over its images. Token tuples are upper case."""

    modality: str = "MR"
    sop_class_uid: str = ""
    image_type: frozenset[str] = frozenset()
    """Every value of Image Type (0008,0008), and of Acquisition Contrast (0008,9209) in enhanced images."""
    description: str = ""
    protocol_name: str = ""
    sequence_name: str = ""
    scanning_sequence: frozenset[str] = frozenset()
    acquisition_type: str = ""
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    temporal_positions: int = 1
    b_values: tuple[float, ...] = ()
    has_diffusion: bool = False
    """Whether another image of the same series is diffusion-weighted, so that b = 0 belongs to a diffusion series."""
    plane: Plane | None = None
    plane_count: int = 1
    """How many of the three planes its images lie in."""


SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SCREEN = frozenset({"SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "SECONDARY CAPTURE"})
_PROJECTION = frozenset({"PROJECTION IMAGE", "MIP", "MNIP", "MAX_IP", "MIN_IP", "CSA MIP", "VOLUME_RENDER"})
_REFORMAT = frozenset({"MPR", "CSA MPR", "REFORMATTED", "RESAMPLED MPR"})
_EXPONENTIAL = frozenset({"EADC", "EXPONENTIAL", "EXP_ADC", "EADC_MAP"})
_TENSOR = frozenset({"FA", "RA", "TENSOR", "COLFA", "TENSOR_B0", "FRACT_ANISO", "RELAT_ANISO", "VOL_RATIO", "FRACTIONAL_ANISOTROPY"})
_DIFFUSION = frozenset({"DIFFUSION", "TRACEW", "TRACE", "CALC_BVAL", "DIFFUSION_ANISO"})
_COMPUTED_TYPES = frozenset({"CALC_BVAL", "COMPUTED", "SYNTHETIC", "CALCULATED"})
_SUBTRACTION = frozenset({"SUBTRACT", "SUB", "SUBTRACTION", "SUBTRACTED"})
_NO_MAGNITUDE = frozenset({"P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "VELOCITY", "FIELD_MAP"})
_CONTRASTS = {
    "T2": SeriesRole.T2W,
    "T1": SeriesRole.T1W,
    "PROTON_DENSITY": SeriesRole.OTHER,
    "T2_STAR": SeriesRole.OTHER,
    "STIR": SeriesRole.OTHER,
    "FLUID_ATTENUATED": SeriesRole.OTHER,
}
"""Acquisition Contrast (0008,9209) and the third value of Image Type in enhanced MR."""
_TWO_B = re.compile(r"_b\d+_\d+\s*$", re.IGNORECASE)


def role_of_series(facts: SeriesFacts) -> RoleReading:
    """The role from tags first and description second.

    A reading below ``FALLBACK_CONFIDENCE`` is one where tags and words contradict each other or only habit speaks.

    >>> role_of_series(SeriesFacts(image_type=frozenset({"DERIVED", "DIFFUSION", "ADC"}))).role
    <SeriesRole.ADC: 'ADC'>
    """
    words = _words_of(facts)
    reading = _role_by_tags(facts, words)
    is_computed = reading.role is SeriesRole.DWI and _is_computed(facts, words)
    b_values: tuple[float, ...] = ()
    if reading.role is SeriesRole.DWI:
        b_values = facts.b_values or words.b_values
    return replace(reading, plane=facts.plane or words.plane, is_computed_b=is_computed, b_values=b_values, is_guidance=words.is_guidance)


def _words_of(facts: SeriesFacts) -> RoleReading:
    """The reading of the description, or of the protocol name where the description says nothing."""
    words = role_from_description(facts.description)
    if words.role is not SeriesRole.UNKNOWN or not facts.protocol_name:
        return words
    protocol = role_from_description(facts.protocol_name)
    return replace(
        protocol,
        confidence=0.9 * protocol.confidence,
        reason=protocol.reason.replace("description", "protocol name"),
        plane=words.plane or protocol.plane,
        is_guidance=words.is_guidance or protocol.is_guidance,
    )


def _is_computed(facts: SeriesFacts, words: RoleReading) -> bool:
    """Stated by the words or the image type, or a trace image whose Siemens sequence name holds the two b-values it was computed from."""
    return words.is_computed_b or bool(facts.image_type & _COMPUTED_TYPES) or bool(_TWO_B.search(facts.sequence_name))


def _role_by_tags(facts: SeriesFacts, words: RoleReading) -> RoleReading:
    if facts.modality != "MR":
        return _reading(SeriesRole.OTHER, 1.0, f"modality {facts.modality}")
    for step in (_no_volume, _diffusion_map, _diffusion_weighted, _other_contrast):
        reading = step(facts, words)
        if reading is not None:
            return reading
    return _agree(words, _role_by_timing(facts))


def _reading(role: SeriesRole, confidence: float, reason: str) -> RoleReading:
    return RoleReading(role=role, confidence=confidence, reason=reason)


def _no_volume(facts: SeriesFacts, words: RoleReading) -> RoleReading | None:
    """Localizers, captures and projections."""
    tokens = facts.image_type
    if "LOCALIZER" in tokens:
        return _reading(SeriesRole.LOCALIZER, 0.98, "ImageType LOCALIZER")
    if tokens & _SCREEN or facts.sop_class_uid.startswith(SECONDARY_CAPTURE):
        return _reading(SeriesRole.OTHER, 0.98, "a screen save or secondary capture")
    if words.role is SeriesRole.LOCALIZER:
        return words
    if facts.plane_count >= 3 and words.role is SeriesRole.UNKNOWN:
        return _reading(SeriesRole.LOCALIZER, 0.8, "images in three planes")
    if tokens & _PROJECTION:
        return _reading(SeriesRole.OTHER, 0.95, "ImageType of a projection")
    if tokens & _REFORMAT:
        if words.role is SeriesRole.T2W and words.confidence >= 0.9:
            return _reading(SeriesRole.T2W, 0.65, "a T2W volume, reformatted")
        return _reading(SeriesRole.OTHER, 0.9, "ImageType of a reformat")
    return None


def _diffusion_map(facts: SeriesFacts, words: RoleReading) -> RoleReading | None:
    tokens = facts.image_type
    if tokens & _EXPONENTIAL or "exponential" in words.reason:
        return _reading(SeriesRole.OTHER, 0.97, "exponential ADC")
    if tokens & _TENSOR:
        return _reading(SeriesRole.OTHER, 0.97, "ImageType of a tensor map")
    if "ADC" in tokens:
        return _reading(SeriesRole.ADC, 0.99, "ImageType ADC")
    return words if words.role is SeriesRole.ADC else None


def _diffusion_weighted(facts: SeriesFacts, words: RoleReading) -> RoleReading | None:
    if facts.image_type & _SUBTRACTION:
        return _reading(SeriesRole.DCE, 0.9, "ImageType of a subtraction")
    if facts.image_type & _DIFFUSION:
        return _reading(SeriesRole.DWI, 0.98, "ImageType of a diffusion image")
    if facts.has_diffusion or any(b_value > 0 for b_value in facts.b_values):
        return _reading(SeriesRole.DWI, 0.97, "tags state b-values")
    if words.role is not SeriesRole.DWI:
        return None
    if facts.scanning_sequence & {"GR"} and not facts.scanning_sequence & {"EP", "SE"}:
        return _reading(SeriesRole.OTHER, 0.75, "diffusion words on a gradient echo without b-value")
    return words


def _other_contrast(facts: SeriesFacts, words: RoleReading) -> RoleReading | None:
    if words.role is SeriesRole.OTHER and words.confidence >= 0.9:
        return words
    if facts.image_type & _NO_MAGNITUDE and words.role is not SeriesRole.T2W:
        return _reading(SeriesRole.OTHER, 0.85, "ImageType of a phase, real part or field map")
    if "EP" in facts.scanning_sequence and words.role in (SeriesRole.UNKNOWN, SeriesRole.OTHER):
        return _reading(SeriesRole.OTHER, 0.75, "echo planar without a b-value")
    return None


def _agree(words: RoleReading, timing: RoleReading | None) -> RoleReading:
    """Words and timing together: they confirm or contradict each other, or only one speaks."""
    if timing is None:
        return words if words.role is SeriesRole.UNKNOWN else replace(words, confidence=0.95 * words.confidence)
    if words.role is SeriesRole.UNKNOWN:
        return timing
    if words.role is timing.role:
        return replace(words, confidence=0.98, reason=f"{words.reason}; {timing.reason}")
    if {words.role, timing.role} == {SeriesRole.DCE, SeriesRole.T1W}:
        return _reading(SeriesRole.DCE, 0.9, f"{words.reason}; {timing.reason}")
    if words.confidence < 0.9:
        return timing
    if {words.role, timing.role} == {SeriesRole.T1W, SeriesRole.T2W}:
        return replace(timing, confidence=0.6, reason=f"{timing.reason}, against the {words.reason}")
    return replace(words, confidence=0.8, reason=f"{words.reason}, against {timing.reason}")


def _role_by_timing(facts: SeriesFacts) -> RoleReading | None:
    """The contrast that echo, repetition and inversion time make; rules of thumb, so that nothing between them is read."""
    echo, repetition, sequence = facts.echo_time_ms, facts.repetition_time_ms, facts.scanning_sequence
    if facts.temporal_positions > 2 and "GR" in sequence and (echo or 0) < 5:
        return _reading(SeriesRole.DCE, 0.85, "a gradient echo repeated over time")
    if echo and repetition and echo > 0 and repetition > 0:
        if "IR" in sequence and (reading := _inversion_recovery(facts, echo)):
            return reading
        if "SE" in sequence and "EP" not in sequence:
            return _spin_echo(facts, echo, repetition)
        if "GR" in sequence:
            return _gradient_echo(echo, repetition)
    token = next((token for token in _CONTRASTS if token in facts.image_type), None)
    return _reading(_CONTRASTS[token], 0.8, f"acquisition contrast {token}") if token else None


def _inversion_recovery(facts: SeriesFacts, echo: float) -> RoleReading | None:
    inversion = facts.inversion_time_ms
    if inversion is None or inversion <= 0:
        return None
    if "SE" in facts.scanning_sequence and inversion >= 1200 and echo >= 60:
        return _reading(SeriesRole.OTHER, 0.85, "fluid attenuated inversion recovery by its times")
    if "SE" in facts.scanning_sequence and inversion <= 300:
        return _reading(SeriesRole.OTHER, 0.85, "short inversion time")
    return None


def _spin_echo(facts: SeriesFacts, echo: float, repetition: float) -> RoleReading | None:
    shortest = 1000 if facts.acquisition_type == "3D" else 1800
    if echo >= 65 and repetition >= shortest:
        return _reading(SeriesRole.T2W, 0.85, "a spin echo with long TE and TR")
    if echo <= 35 and repetition <= 1300:
        return _reading(SeriesRole.T1W, 0.8, "a spin echo with short TE and TR")
    if echo <= 40 and repetition >= 2000:
        return _reading(SeriesRole.OTHER, 0.75, "a spin echo with short TE and long TR (proton density)")
    return None


def _gradient_echo(echo: float, repetition: float) -> RoleReading | None:
    if echo <= 12 and repetition <= 400:
        return _reading(SeriesRole.T1W, 0.75, "a gradient echo with short TE and TR")
    return None


def plane_of(orientation: Iterable[float]) -> Plane:
    """The plane of six direction cosines (Image Orientation Patient): the dominant component of row x column.

    >>> plane_of((1, 0, 0, 0, 0.82, -0.57))
    <Plane.AXIAL: 'axial'>
    """
    rx, ry, rz, cx, cy, cz = orientation
    normal = {Plane.SAGITTAL: abs(ry * cz - rz * cy), Plane.CORONAL: abs(rz * cx - rx * cz), Plane.AXIAL: abs(rx * cy - ry * cx)}
    return max(normal, key=lambda plane: normal[plane])


@record
class PixelStatistics:
    """Values of a volume after rescaling: what tells an ADC map from a magnitude image."""

    minimum: float
    maximum: float
    median_positive: float
    """Median of the values above zero."""
    fraction_zero: float


def role_from_pixels(statistics: PixelStatistics) -> RoleReading:
    """The role by value statistics, for series whose tags and words are unsure. Only ADC in mm²/s is telling.

    Magnitude images have arbitrary units, so that everything else stays unknown: a number in the range of 1e-6 mm²/s may be any image.
    """
    if statistics.minimum >= 0 and 3e-4 <= statistics.median_positive <= 3e-3 and statistics.maximum <= 2e-2:
        return _reading(SeriesRole.ADC, 0.7, "values of a diffusion coefficient in mm²/s")
    return _reading(SeriesRole.UNKNOWN, 0.0, "pixel values do not tell")
