"""A small mini-MIAS: films of 1024 x 1024 as PGM, ``Info.txt`` with lines of three to seven fields, origin at the bottom left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakbox.simulate.mammograms import Rectangle, breast_phantom, eight_bit, write_picture
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree

SIDE_PIXELS = 1024
_COARSE = 4
"""The films are drawn four times smaller and enlarged: the same bytes, in a fraction of the time."""
_README = """THE MINI-MIAS DATABASE OF MAMMOGRAMS

1st column: MIAS database reference number.
2nd column: Character of background tissue:
                F Fatty
                G Fatty-glandular
                D Dense-glandular

NOTES
1) The list is arranged in pairs of films, where each pair represents the left (even
   filename numbers) and right mammograms (odd filename numbers) of a single patient.

"""
_KINDS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("CIRC B 1",), ("NORM",)),
    (("MISC B 1", "MISC M 2"), ("NORM",)),
    (("NORM",), ("CALC M *NOTE 3*",)),
    (("CALC B",), ("NORM",)),
    (("NORM",), ("NORM",)),
    (("ASYM M 1",), ("SPIC M 1",)),
    (("ARCH B 1",), ("NORM",)),
)
"""What right and left film of a woman show; a number stands for a place drawn in the image."""
_SEVERITY = {"B": "benign", "M": "malignant"}


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The Kaggle copy: ``Info.txt`` with a header beside ``all-mias/*.pgm``."""
    images, lines = _films(folder / "all-mias", folder, ".pgm", patients, seed)
    text = "REFNUM BG CLASS SEVERITY X Y RADIUS \n" + "".join(f"{line} \n" for line in lines)
    (folder / "Info.txt").write_text(text, encoding="ascii")
    return PlantedTree(images=images)


def write_readme(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The list inside the README, images turned to PNG."""
    images, lines = _films(folder, folder, ".png", patients, seed)
    (folder / "README").write_text(_README + "".join(f"{line}\n" for line in lines), encoding="ascii")
    return PlantedTree(images=images)


def _films(images_folder: Path, folder: Path, ending: str, patients: int, seed: int) -> tuple[tuple[PlantedImage, ...], list[str]]:
    images, lines = [], []
    for patient in range(1, patients + 1):
        for film, side in ((2 * patient - 1, "R"), (2 * patient, "L")):
            kinds = _KINDS[(patient - 1) % len(_KINDS)]["RL".index(side)]
            pixels, circles = _film(seed * 1000 + film, side, sum(kind[-1].isdigit() for kind in kinds))
            path = images_folder / f"mdb{film:03d}{ending}"
            write_picture(path, pixels)
            tissue = "FGD"[patient % 3]
            lines += _lines(f"mdb{film:03d} {tissue}", kinds, circles)
            images.append(_image(path.relative_to(folder), patient, side, kinds, circles))
    return tuple(images), lines


def _film(seed: int, side: str, count: int) -> tuple[NDArray[np.uint8], list[Rectangle]]:
    """A film and the squares around its round lesions, in pixels of the film."""
    shape = (SIDE_PIXELS // _COARSE, SIDE_PIXELS // _COARSE)
    _, boxes = breast_phantom(seed, side, "MLO", count, shape=shape)
    squares = [(box[0], box[1], box[0] + 2 * _radius(box), box[1] + 2 * _radius(box)) for box in boxes]
    coarse, _ = breast_phantom(seed, side, "MLO", squares, shape=shape)
    pixels = np.kron(eight_bit(coarse), np.ones((_COARSE, _COARSE), dtype=np.uint8))
    return pixels, [(x0 * _COARSE, y0 * _COARSE, x1 * _COARSE, y1 * _COARSE) for x0, y0, x1, y1 in squares]


def _radius(box: Rectangle) -> int:
    return int(min(box[2] - box[0], box[3] - box[1])) // 2


def _lines(start: str, kinds: Sequence[str], circles: Sequence[Rectangle]) -> list[str]:
    lines = []
    places = iter(circles)
    for kind in kinds:
        if kind[-1].isdigit():
            x0, y0, x1, y1 = next(places)
            kind = f"{kind[:-2]} {(x0 + x1) / 2:.0f} {SIDE_PIXELS - (y0 + y1) / 2:.0f} {(x1 - x0) / 2:.0f}"
        lines.append(f"{start} {kind}")
    return lines


def _image(path: Path, patient: int, side: str, kinds: Sequence[str], circles: Sequence[Rectangle]) -> PlantedImage:
    places = iter(circles)
    lesions = []
    for kind in kinds:
        if kind == "NORM":
            continue
        x0, y0, x1, y1 = next(places) if kind[-1].isdigit() else (0.0, 0.0, float(SIDE_PIXELS), float(SIDE_PIXELS))
        diagnosis = _SEVERITY[kind.split()[1]]
        lesions.append(PlantedLesion(start=(x0, y0), stop=(x1, y1), diagnosis=diagnosis, is_annotated=kind[-1].isdigit()))
    attributes = {"laterality": {"L": "left", "R": "right"}[side], "view": "MLO"}
    return PlantedImage(path=path.as_posix(), patient_id=f"{patient:03d}", lesions=tuple(lesions), attributes=attributes)


TREE = PublicTree(layout="info", write=write, other_layouts={"readme": write_readme})
