"""A small INbreast: DICOM files named by number and woman, contours as OsiriX property lists, the table separated by semicolons."""

from __future__ import annotations

import hashlib
import math
import plistlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakbox.simulate.draws import Draws
from weakbox.simulate.mammograms import Rectangle, breast_phantom, eight_bit, write_mammogram_dicom, write_picture
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree

Point = tuple[float, float]
SHAPE = (208, 160)
PICTURE_FACTOR = 16
"""Pictures have the size of the real small plate (3328 rows), so that a resized copy can be told."""
FULL_HEADER = (
    "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads;Mass ;Micros;Distortion;Asymmetry;"
    "Findings Notes (in Portuguese);Other Notes;Lesion Annotation Status;Pectoral Muscle Annotation;Other Annotations"
)
SHORT_HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
_VIEWS = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))
_NAMES = ("Mass", "Espiculated Region", "Mass", "Assymetry")
_BIRADS = ("2", "3", "4a", "4c", "5", "6")
_CONTOUR_POINTS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Film:
    number: int
    patient: str
    side: str
    view: str
    birads: str
    density: str
    contour: Rectangle | None
    contour_name: str
    points: tuple[Point, ...]

    @property
    def stem(self) -> str:
        """The files of the release call an oblique view ML."""
        return f"{self.number}_{self.patient}_MG_{self.side}_{'ML' if self.view == 'MLO' else self.view}_ANON"


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The release with its table saved as CSV: 17 columns, two lines at the end that speak of no image."""
    films = list(_films(patients, seed))
    totals = (";" * 8 + "116" + ";" * 8, ";" * 7 + "49" + ";" * 9)
    _write_table(folder / "INbreast.csv", (FULL_HEADER, *(_full_line(film) for film in films), *totals))
    _write_outlines(folder / "AllXML", films)
    images = []
    for film in films:
        path = folder / "AllDICOMs" / f"{film.stem}.dcm"
        write_mammogram_dicom(path, _pixels(film), laterality=film.side, view=film.view, patient_id="removed")
        images.append(_image(path.relative_to(folder), film))
    return PlantedTree(images=tuple(images), dropped={"no_image_name": len(totals)})


def write_renamed(folder: Path, patients: int, seed: int) -> PlantedTree:
    """A mirror: PNG files named by their number alone, so that nobody knows the women, and the short table."""
    films = list(_films(patients, seed))
    _write_table(folder / "INbreast.csv", (SHORT_HEADER, *(_short_line(film) for film in films)))
    _write_outlines(folder / "AllXML", films, PICTURE_FACTOR)
    images = []
    for film in films:
        path = folder / "AllPNGs" / f"{film.number}.png"
        write_picture(path, np.kron(eight_bit(_pixels(film)), np.ones((PICTURE_FACTOR, PICTURE_FACTOR), dtype=np.uint8)))
        images.append(_image(path.relative_to(folder), film, patient=f"unknown-{film.number}", factor=PICTURE_FACTOR))
    return PlantedTree(images=tuple(images))


def _films(patients: int, seed: int) -> Iterator[_Film]:
    """Four films a woman: BI-RADS 1 on one side; on the other a contour, and calcifications on its oblique view."""
    for patient in range(patients):
        token = hashlib.sha256(f"inbreast/{seed}/{patient}".encode()).hexdigest()[:16]
        draws = Draws("inbreast", seed, patient)
        sick, birads, density = draws.pick("LR"), draws.pick(_BIRADS), str(draws.whole(1, 4))
        for view_number, (side, view) in enumerate(_VIEWS):
            number = 20_000_000 + patient * 1000 + view_number * 7
            contour: Rectangle | None = None
            points: tuple[Point, ...] = ()
            if side == sick:
                contour = breast_phantom(number, side, view, 1, shape=SHAPE)[1][0]
                points = _calcifications(contour) if view == "MLO" else ()
            yield _Film(
                number=number,
                patient=token,
                side=side,
                view=view,
                birads=birads if side == sick else "1",
                density=density if patient or view_number else "     ",
                contour=contour,
                contour_name=_NAMES[patient % len(_NAMES)],
                points=points,
            )


def _calcifications(contour: Rectangle) -> tuple[Point, ...]:
    """Two pixels beside the contour."""
    return ((contour[0] - 2, contour[1] - 2), (contour[2] + 2, contour[3] + 1))


def _pixels(film: _Film) -> NDArray[np.uint16]:
    contours = [] if film.contour is None else [film.contour]
    pixels, _ = breast_phantom(film.number, film.side, film.view, contours, shape=SHAPE)
    for x, y in film.points:
        pixels[int(y), int(x)] = 4095
    return pixels


def _write_table(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("cp1252"))


def _short_line(film: _Film) -> str:
    return f"removed;removed;{film.side};{film.view};201001;{film.number};{film.density};{film.birads}"


def _full_line(film: _Film) -> str:
    """Numbers as a spreadsheet writes them (201001.0), a cross for each kind of finding."""
    name = film.contour_name if film.contour else ""
    crosses = ("X" if name == "Mass" else "", "X" if film.points else "", "", "X" if name == "Assymetry" else "")
    status = "" if film.contour else "No annotation (normal)"
    notes = "massa espiculada, distor\u00e7\u00e3o" if film.contour else "normal"
    start = f"removed;removed;{film.side};{film.view};201001.0;{film.number}.0;{film.density};{film.birads}"
    return ";".join((start, *crosses, notes, "", status, "", ""))


def _write_outlines(folder: Path, films: Sequence[_Film], factor: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for film in films:
        if film.contour is not None:
            contour, *points = _boxes(film, factor)
            regions = [(film.contour_name, ellipse_points(contour)), *(("Calcification", (box[:2],)) for box in points)]
            (folder / f"{film.number}.xml").write_bytes(outline_bytes(regions))


def ellipse_points(box: Rectangle) -> tuple[Point, ...]:
    """A contour through the outermost pixels of the ellipse in a box, by their column and row."""
    centre_x, centre_y = (box[0] + box[2] - 1) / 2, (box[1] + box[3] - 1) / 2
    across, down = (box[2] - box[0] - 1) / 2, (box[3] - box[1] - 1) / 2
    turns = [2 * math.pi * step / _CONTOUR_POINTS for step in range(_CONTOUR_POINTS)]
    return tuple((centre_x + across * math.cos(turn), centre_y + down * math.sin(turn)) for turn in turns)


def outline_bytes(regions: Sequence[tuple[str, Sequence[Point]]]) -> bytes:
    """A property list as OsiriX writes it: keys in its order, points as ``(x, y)`` texts."""
    rois = [
        {
            "Area": 0.0,
            "Center": "(0.000000, 0.000000, 0.000000)",
            "Dev": 0.0,
            "IndexInImage": position,
            "Max": 0.0,
            "Mean": 0.0,
            "Min": 0.0,
            "Name": name,
            "NumberOfPoints": len(points),
            "Point_mm": [f"({x * 0.07:f}, {y * 0.07:f}, 0.000000)" for x, y in points],
            "Point_px": [f"({x:f}, {y:f})" for x, y in points],
            "Total": 0.0,
            "Type": 15 if len(points) > 1 else 19,
        }
        for position, (name, points) in enumerate(regions)
    ]
    return plistlib.dumps({"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}, sort_keys=False)


def _boxes(film: _Film, factor: int) -> list[Rectangle]:
    """The contour, then the single pixels, on an image ``factor`` times as large."""
    boxes = [] if film.contour is None else [film.contour]
    scaled = [(x0 * factor, y0 * factor, x1 * factor, y1 * factor) for x0, y0, x1, y1 in boxes]
    return scaled + [(x * factor, y * factor, x * factor + 1, y * factor + 1) for x, y in film.points]


def _image(path: Path, film: _Film, patient: str | None = None, factor: int = 1) -> PlantedImage:
    attributes = {"laterality": {"L": "left", "R": "right"}[film.side], "view": film.view, "birads": film.birads.upper()}
    if film.density.strip():
        attributes["breast_density"] = "abcd"[int(film.density) - 1]
    lesions = tuple(PlantedLesion(start=box[:2], stop=box[2:]) for box in _boxes(film, factor))
    return PlantedImage(path=path.as_posix(), patient_id=patient or film.patient, lesions=lesions, attributes=attributes)


TREE = PublicTree(layout="release", write=write, other_layouts={"renamed images": write_renamed})
