"""A small DDSM: volumes, ``.ics`` and ``.OVERLAY`` files as the University of South Florida wrote them, and converted images.

Cases take turns among the four volumes. Cancers have a lesion in both views of one breast, with a ``CORE`` inside the outline and two
``LESION_TYPE`` lines every other time; benign cases have two lesions on one film; normal ones have no overlay. Images are 16-bit PNG or
TIFF under the names that two converters give.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakbox.simulate.draws import Draws
from weakbox.simulate.mammograms import Rectangle, breast_phantom, write_picture
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree

VOLUMES = ("cancer", "benign", "normal", "benign_without_callback")
WORDS = {"cancer": ("MALIGNANT", "5"), "benign": ("BENIGN", "3"), "benign_without_callback": ("BENIGN_WITHOUT_CALLBACK", "2")}
SCANNERS = (("A", "DBA", 42), ("B", "LUMISYS", 50), ("C", "LUMISYS LASER", 50), ("D", "HOWTEK", 43.5))
FILMS = (("LEFT", "CC"), ("LEFT", "MLO"), ("RIGHT", "CC"), ("RIGHT", "MLO"))
STEPS = {(0, -1): 0, (1, -1): 1, (1, 0): 2, (1, 1): 3, (0, 1): 4, (-1, 1): 5, (-1, 0): 6, (-1, -1): 7}
"""(column, row) -> chain code."""


def write_usf(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The tree of the ftp server with the converted images beside the text files."""
    images: list[PlantedImage] = []
    for number in range(patients):
        volume = VOLUMES[number % 4]
        place = Path("cases", f"{volume}s", f"{volume}_01", f"case{number + 1:04d}")
        images += _write_case(folder, place, number, seed, has_sheet=True)
    return PlantedTree(images=tuple(images))


def write_films(folder: Path, patients: int, seed: int) -> PlantedTree:
    """All files in one folder and no ``.ics``: the outlines give no place, because the size of the scans is unknown."""
    images: list[PlantedImage] = []
    for number in range(patients):
        images += _write_case(folder, Path(f"{VOLUMES[number % 4]}s"), number, seed, has_sheet=False)
    return PlantedTree(images=tuple(images))


def _write_case(folder: Path, place: Path, number: int, seed: int, *, has_sheet: bool) -> Iterator[PlantedImage]:
    volume = VOLUMES[number % 4]
    draws = Draws("ddsm", seed, number)
    side, density = draws.pick(("LEFT", "RIGHT")), draws.whole(1, 4)
    name = f"{SCANNERS[number % 4][0]}_{number + 1:04d}_1"
    (folder / place).mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for film_side, view in FILMS:
        shape = (248 + 8 * (number % 3), 184 if view == "CC" else 200)
        count = 0 if volume == "normal" or film_side != side else 2 if volume == "benign" else 1
        pixels, boxes = breast_phantom(seed * 1000 + number, film_side[0], view, count, shape=shape)
        ending = "LJPEG.tif" if number % 2 else "png"
        path = place / f"{name}.{film_side}_{view}.{ending}"
        write_picture(folder / path, pixels)
        lines.append(_film_line(f"{film_side}_{view}", shape, SCANNERS[number % 4][2], has_overlay=bool(boxes)))
        if boxes:
            text = _overlay(boxes, volume, with_core=number % 8 == 0)
            (folder / place / f"{name}.{film_side}_{view}.OVERLAY").write_text(text, encoding="latin-1", newline="\n")
        yield _planted(path, number, film_side, view, boxes, density, has_sheet=has_sheet)
    if has_sheet:
        sheet = _sheet(name.replace("_", "-"), 40 + number, density, SCANNERS[number % 4][1], lines)
        (folder / place / f"{name.replace('_', '-')}.ics").write_text(sheet, encoding="latin-1", newline="\n")


def _planted(path: Path, number: int, side: str, view: str, boxes: Sequence[Rectangle], density: int, *, has_sheet: bool) -> PlantedImage:
    volume = VOLUMES[number % 4]
    pathology, birads = WORDS.get(volume, ("", ""))
    lesions = tuple(
        PlantedLesion(start=box[:2], stop=box[2:], diagnosis=pathology.lower(), birads=birads, is_annotated=has_sheet) for box in boxes
    )
    attributes = {"laterality": side.lower(), "view": view} | ({"breast_density": "abcd"[density - 1]} if has_sheet else {})
    patient = f"{SCANNERS[number % 4][0]}-{number + 1:04d}"
    return PlantedImage(path=path.as_posix(), patient_id=patient, lesions=lesions, attributes=attributes)


def _film_line(film: str, shape: tuple[int, int], resolution: float, *, has_overlay: bool) -> str:
    overlay = "OVERLAY" if has_overlay else "NON_OVERLAY"
    return f"{film} LINES {shape[0]} PIXELS_PER_LINE {shape[1]} BITS_PER_PIXEL 12 RESOLUTION {resolution} {overlay}"


def _sheet(name: str, age: int, density: int, digitizer: str, lines: Sequence[str]) -> str:
    """The text of an ``.ics`` file, with its trailing blanks."""
    head = (
        "ics_version 1.0", f"filename {name}", "DATE_OF_STUDY 2 7 1995", f"PATIENT_AGE {age}", "FILM ", "FILM_TYPE REGULAR",
        f"DENSITY {density}", "DATE_DIGITIZED 7 22 1997 ", f"DIGITIZER {digitizer}", "SEQUENCE",
    )  # fmt: skip
    return "\n".join((*head, *lines, ""))


def _overlay(boxes: Sequence[Rectangle], volume: str, *, with_core: bool) -> str:
    pathology, birads = WORDS[volume]
    lines = [f"TOTAL_ABNORMALITIES {len(boxes)}"]
    for number, box in enumerate(boxes, start=1):
        x0, y0, x1, y1 = box
        core = (x0 + 2, y0 + 2, x1 - 2, y1 - 2)
        types = ["LESION_TYPE MASS SHAPE IRREGULAR-ARCHITECTURAL_DISTORTION MARGINS SPICULATED"]
        types += ["LESION_TYPE CALCIFICATION TYPE PLEOMORPHIC DISTRIBUTION N/A"] if with_core else []
        lines += [f"ABNORMALITY {number} ", *types, f"ASSESSMENT {birads} ", "SUBTLETY 4 ", f"PATHOLOGY {pathology} "]
        lines += [f"TOTAL_OUTLINES {1 + with_core} ", "BOUNDARY", chain_code(outline(box))]
        lines += ["\tCORE", chain_code(outline(core))] if with_core else []
    return "\n".join((*lines, ""))


def outline(box: Rectangle) -> NDArray[np.int64]:
    """The pixels (n, 2) as (column, row) along an ellipse that touches all sides of a whole-number box, each next to the one before."""
    x0, y0, x1, y1 = box
    steps = 4 * math.ceil(math.pi * (x1 - x0 + y1 - y0))
    angle = np.arange(steps + 1) * (2 * np.pi / steps)
    columns = np.rint((x0 + x1 - 1) / 2 + (x1 - x0 - 1) / 2 * np.cos(angle)).astype(np.int64)
    rows = np.rint((y0 + y1 - 1) / 2 + (y1 - y0 - 1) / 2 * np.sin(angle)).astype(np.int64)
    points = np.stack([columns, rows], axis=1)
    return points[np.r_[True, np.any(np.diff(points, axis=0) != 0, axis=1)]]


def chain_code(points: NDArray[np.int64]) -> str:
    """A DDSM boundary line: start column, start row, codes, ``#``."""
    codes = [STEPS[int(x), int(y)] for x, y in np.diff(points, axis=0)]
    return " ".join(map(str, (*points[0], *codes, "#")))


TREE = PublicTree(layout="usf", write=write_usf, other_layouts={"films": write_films})
