"""A small BCDR: one film, one digital and one normal benchmarking set, cells and paths with blanks before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weakbox.simulate.draws import Draws
from weakbox.simulate.mammograms import Rectangle, breast_phantom, eight_bit, write_picture
from weakbox.simulate.public.inbreast import ellipse_points
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree

SHAPE = (256, 192)
IMAGE_HEADER = "patient_id,study_id,series,image_filename,image_type_name,image_type_id,age,density"
OUTLINE_HEADER = (
    "patient_id,study_id,series,lesion_id,segmentation_id,image_view,image_filename,lw_x_points,lw_y_points,mammography_type,"
    "mammography_nodule,mammography_calcification,mammography_microcalcification,mammography_axillary_adenopathy,"
    "mammography_architectural_distortion,mammography_stroma_distortion,age,density,classification"
)
_VIEWS = (("RCC", "R", "CC"), ("LCC", "L", "CC"), ("RO", "R", "MLO"), ("LO", "L", "MLO"))
_FINDINGS = ((1, 0, 0), (0, 0, 1), (1, 1, 0))
"""Nodule, calcification, microcalcification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Study:
    subset: str
    patient: int
    study: int
    sick_side: str | None
    is_malignant: bool
    age: int
    density: str
    findings: tuple[int, int, int]


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The benchmarking sets F01, D01 and DN01, each in its own folder."""
    return _write_sets(folder, ("F01", "D01", "DN01"), patients, seed)


def write_normal(folder: Path, patients: int, seed: int) -> PlantedTree:
    """The set of normal digital studies alone: a list of images, no outlines."""
    return _write_sets(folder, ("DN01",), patients, seed)


def _write_sets(folder: Path, subsets: Sequence[str], patients: int, seed: int) -> PlantedTree:
    images: list[PlantedImage] = []
    for subset in subsets:
        place = folder / f"BCDR-{subset}_dataset"
        studies = [_study(subset, patient, seed) for patient in range(1, patients + 1)]
        _write_table(place / f"bcdr_{subset.lower()}_img.csv", IMAGE_HEADER, [line for study in studies for line in _image_lines(study)])
        drawn = [line for study in studies for line in _outline_lines(study)]
        if drawn:
            _write_table(place / f"bcdr_{subset.lower()}_outlines.csv", OUTLINE_HEADER, drawn)
        for study in studies:
            images += (_write_image(folder, place, study, code) for code, _, _ in _VIEWS)
    return PlantedTree(images=tuple(images))


def _study(subset: str, patient: int, seed: int) -> _Study:
    draws = Draws("bcdr", seed, subset, patient)
    return _Study(
        subset=subset,
        patient=patient,
        study=patient + 10,
        sick_side=None if "N" in subset else draws.pick("LR"),
        is_malignant=patient % 2 == 0,
        age=draws.whole(35, 80),
        density=str(draws.whole(1, 4)) if patient != 1 else "NaN",
        findings=draws.pick(_FINDINGS),
    )


def _write_table(path: Path, header: str, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in (header, *lines)), encoding="ascii")


def _name(study: _Study, code: str) -> str:
    return f"patient_{study.patient}/study_{study.study}/img_{study.patient}_{study.study}_1_{code}.tif"


def _image_lines(study: _Study) -> list[str]:
    """Every second path with a blank after its first slash, as in the real lists."""
    lines = []
    for number, (code, _, _) in enumerate(_VIEWS):
        name = _name(study, code).replace("/", "/ ", number % 2)
        lines.append(f"{study.patient}, {study.study}, 1, {name}, {code}, {number}, {study.age}, {study.density}")
    return lines


def _contour(study: _Study, code: str) -> Rectangle | None:
    _, side, view = next(one for one in _VIEWS if one[0] == code)
    return None if side != study.sick_side else breast_phantom(_seed(study, code), side, view, 1, shape=SHAPE)[1][0]


def _seed(study: _Study, code: str) -> int:
    return Draws("bcdr image", study.subset, study.patient, code).whole(0, 10**6)


def _outline_lines(study: _Study) -> list[str]:
    """One lesion, outlined in both views of its side; its first view was segmented twice."""
    lines = []
    drawn = [(number, code) for number, (code, _, _) in enumerate(_VIEWS, start=1) if _contour(study, code)]
    for segmentation, (view, code) in enumerate([*drawn, *drawn[:1]], start=1):
        points = [(round(x), round(y)) for x, y in ellipse_points(_contour(study, code) or (0, 0, 1, 1))]
        x_text, y_text = ("".join(f" {value}" for value in values) for values in zip(*points, strict=True))
        marks = ",".join(str(mark) for mark in (*study.findings, 0, 0, 0))
        result = "Malign" if study.is_malignant else "Benign"
        lines.append(
            f"{study.patient},{study.study},1,1,{segmentation},{view}, {_name(study, code)},{x_text},{y_text},1,{marks},"
            f"{study.age},{study.density}, {result}"
        )
    return lines


def _write_image(folder: Path, place: Path, study: _Study, code: str) -> PlantedImage:
    _, side, view = next(one for one in _VIEWS if one[0] == code)
    contour = _contour(study, code)
    pixels, _ = breast_phantom(_seed(study, code), side, view, [contour] if contour else [], shape=SHAPE)
    path = place / _name(study, code)
    write_picture(path, eight_bit(pixels))
    attributes = {"laterality": {"L": "left", "R": "right"}[side], "view": view}
    if study.density != "NaN":
        attributes["breast_density"] = "abcd"[int(study.density) - 1]
    diagnosis = "malignant" if study.is_malignant else "benign"
    lesions = () if contour is None else (PlantedLesion(start=contour[:2], stop=contour[2:], diagnosis=diagnosis),)
    patient = f"{study.subset[0]}{study.patient}"
    return PlantedImage(path=path.relative_to(folder).as_posix(), patient_id=patient, lesions=lesions, attributes=attributes)


TREE = PublicTree(layout="benchmark", write=write, other_layouts={"normal studies": write_normal})
