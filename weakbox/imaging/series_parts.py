"""The volumes that one DICOM series mixes, told apart by what the headers say.

Orientations (localizers), matrix sizes, maps beside source images (Philips trace + ADC), b-values, directions, echoes and times
become parts; a series that is one volume stays whole.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from weakbox.imaging.bvalues import BValue, Diffusion, read_b_value
from weakbox.imaging.roles import plane_of
from weakbox.imaging.slice_geometry import Header, count_positions, has_geometry, image_order

SAME_DIRECTION = 0.995
"""Cosine of the largest angle (6 degrees) between slices of one stack."""
SAME_GRADIENT = 0.01
"""Components of one gradient direction differ by less than this from slice to slice."""
MOST_STACKS = 9
"""More orientations than this are no stacks but a rotating acquisition, which stays whole."""

_KINDS = {
    "ADC": "adc",
    "EADC": "eadc",
    "EXPONENTIAL": "eadc",
    "FA": "fa",
    "FRACT_ANISO": "fa",
    "PHASE": "phase",
    "PHASE MAP": "phase",
    "P": "phase",
    "FIELD_MAP": "field_map",
    "R": "real",
    "REAL": "real",
    "I": "imaginary",
    "IMAGINARY": "imaginary",
    "W": "water",
    "WATER": "water",
    "F": "fat",
    "FAT": "fat",
    "IP": "in_phase",
    "IN_PHASE": "in_phase",
    "OP": "opposed_phase",
    "OPP_PHASE": "opposed_phase",
    "OUT_PHASE": "opposed_phase",
}
"""Values of Image Type that make an image another one than the magnitude beside it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some images of a series that form one volume (or nothing better is known); ``name`` is empty for a whole series."""

    name: str
    headers: tuple[Header, ...]
    b_values: tuple[float, ...] = ()
    is_one_direction: bool = False


def split_parts(headers: Sequence[Header]) -> list[Part]:
    """The parts of one series, in the order of their first images."""
    ordered = sorted(headers, key=image_order)
    parts = [Part("", tuple(ordered))]
    for split in (_by_stack, _by_size, _by_kind, _by_b_value, _by_direction, _by_echo, _by_time):
        parts = [piece for part in parts for piece in split(part)]
    return parts


def _pieces(part: Part, keys: Sequence[Hashable], name: Callable[[Hashable, int], str]) -> list[Part]:
    """One part for each key, in the order in which the keys first appear; the part itself where there is one key."""
    groups: dict[Hashable, list[Header]] = {}
    for key, header in zip(keys, part.headers, strict=True):
        groups.setdefault(key, []).append(header)
    if len(groups) == 1:
        return [part]
    pieces = []
    for number, (key, group) in enumerate(groups.items(), start=1):
        names = [text for text in (part.name, name(key, number)) if text]
        pieces.append(Part("_".join(names), tuple(group), part.b_values, part.is_one_direction))
    return pieces


def _repeats(part: Part) -> bool:
    """Whether several images lie at one position, so that there is more than one volume (tiles of a mosaic are one image each)."""
    if not all(has_geometry(header) for header in part.headers):
        return False
    return count_positions(part.headers) < len(part.headers)


def _by_stack(part: Part) -> list[Part]:
    """Stacks of one orientation each, named by their plane."""
    if not all(has_geometry(header) for header in part.headers):
        return [part]
    stacks: list[np.ndarray] = []
    keys: list[Hashable] = []
    for header in part.headers:
        cosines = np.array(header["orientation"], dtype=float).reshape(2, 3)
        found = next((n for n, stack in enumerate(stacks) if np.all(np.sum(stack * cosines, axis=1) > SAME_DIRECTION)), None)
        if found is None:
            stacks.append(cosines)
        keys.append(len(stacks) - 1 if found is None else found)
    if len(stacks) > MOST_STACKS:
        return [part]
    planes = [plane_of(stack.ravel()).value for stack in stacks]
    names = [plane if planes.count(plane) == 1 else f"{plane}{planes[: n + 1].count(plane)}" for n, plane in enumerate(planes)]
    return _pieces(part, keys, lambda key, _: names[key] if isinstance(key, int) else "")


def _by_size(part: Part) -> list[Part]:
    sizes = [(header.get("rows"), header.get("columns")) for header in part.headers]
    return _pieces(part, sizes, lambda key, number: f"size{number}")


def _by_kind(part: Part) -> list[Part]:
    return _pieces(part, [_kind(header) for header in part.headers], lambda key, _: str(key))


def _kind(header: Header) -> str:
    """What an image shows beside plain magnitude; empty for magnitude."""
    values = str(header.get("image_type") or "").upper().split("\\")
    return next((_KINDS[value] for value in values[2:] if value in _KINDS), "")


def _by_b_value(part: Part) -> list[Part]:
    """One part a b-value, where images state several."""
    b_values = [b_value_of(header) for header in part.headers]
    values = [b_value.value if b_value else None for b_value in b_values]
    stated = sorted({value for value in values if value is not None})
    if not any(stated):
        return [part]
    if len(set(values)) == 1:
        return [Part(part.name, part.headers, (stated[0],), part.is_one_direction)]
    pieces = _pieces(part, values, lambda key, _: "b_unknown" if key is None else f"b{key:g}")
    return [Part(piece.name, piece.headers, _b_of(piece)) for piece in pieces]


def _b_of(part: Part) -> tuple[float, ...]:
    b_value = b_value_of(part.headers[0])
    return () if b_value is None else (b_value.value,)


def b_value_of(header: Header) -> BValue | None:
    """The b-value of an image; None for maps, whose tags repeat those of their sources."""
    return read_b_value(header) if _kind(header) in ("", "real", "phase", "imaginary") else None


def _by_direction(part: Part) -> list[Part]:
    """Trace images and single directions of one b-value apart, where positions repeat."""
    if not any(part.b_values):
        return [part]
    keys = _direction_keys([b_value_of(header) for header in part.headers])
    directions = {key: number for number, key in enumerate(dict.fromkeys(key for key in keys if key[0] is Diffusion.DIRECTION), start=1)}
    if not _repeats(part) or len(set(keys)) == 1:
        is_one = bool(directions) and len(set(keys)) == 1
        return [Part(part.name, part.headers, part.b_values, is_one)]
    pieces = []
    for piece in _pieces(part, keys, lambda key, _: f"dir{directions[key]}" if key in directions else _weighting_name(key)):
        b_value = b_value_of(piece.headers[0])
        is_one = b_value is not None and b_value.diffusion is Diffusion.DIRECTION
        pieces.append(Part(piece.name, piece.headers, piece.b_values, is_one))
    return pieces


def _direction_keys(b_values: Sequence[BValue | None]) -> list[tuple[Diffusion, str | None]]:
    """Weighting and direction of each image; gradient vectors that differ by rounding only count as one."""
    known: list[str] = []
    keys: list[tuple[Diffusion, str | None]] = []
    for b_value in b_values:
        direction = b_value.direction if b_value else None
        if direction is not None:
            found = next((other for other in known if _is_same_direction(direction, other)), None)
            if found is None:
                known.append(direction)
            direction = found or direction
        keys.append((b_value.diffusion if b_value else Diffusion.UNKNOWN, direction))
    return keys


def _is_same_direction(one: str, other: str) -> bool:
    if "," not in one or "," not in other:
        return one == other
    pairs = zip(one.split(","), other.split(","), strict=True)
    return all(abs(float(left) - float(right)) < SAME_GRADIENT for left, right in pairs)


def _weighting_name(key: Hashable) -> str:
    return "trace" if isinstance(key, tuple) and key[0] is Diffusion.TRACE else "other"


def _by_echo(part: Part) -> list[Part]:
    if not _repeats(part):
        return [part]
    echoes = [None if header.get("echo_time_ms") is None else round(header["echo_time_ms"], 1) for header in part.headers]
    return _split_if_better(part, echoes, "echo")


def _by_time(part: Part) -> list[Part]:
    """Phases by the first attribute that makes whole stacks, no position twice; else the part stays as it is."""
    if not _repeats(part):
        return [part]
    positions = count_positions(part.headers)
    for name in ("temporal_position", "acquisition_number", "trigger_time_ms", "acquisition_date_time", "acquisition_time"):
        values = [header.get(name) for header in part.headers]
        pieces = _pieces(part, values, lambda key, number: f"t{number}")
        if len(pieces) > 1 and all(len(piece.headers) == positions and not _repeats(piece) for piece in pieces):
            return _by_value_order(part, values, "t")
    return [part]


def _split_if_better(part: Part, values: Sequence[Hashable], name: str) -> list[Part]:
    """Parts by value, only where every value covers more than a stray image of the stack."""
    groups = {value: values.count(value) for value in values}
    if len(groups) == 1 or min(groups.values()) < count_positions(part.headers) / 2:
        return [part]
    return _by_value_order(part, values, name)


def _by_value_order(part: Part, values: Sequence[Hashable], name: str) -> list[Part]:
    """Parts numbered by ascending value."""
    ranks = {value: number for number, value in enumerate(sorted(set(values), key=lambda value: (value is None, value)), start=1)}
    return _pieces(part, [ranks[value] for value in values], lambda key, _: f"{name}{key}")
