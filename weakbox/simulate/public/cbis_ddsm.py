"""A small CBIS-DDSM: as the NBIA tools leave it, by UIDs as IDC's tools do, and as the Kaggle JPEG mirror.

Patients take turns: in the mass and the calcification table of the training part (with one film in both), the same of the test part,
masses only, calcifications only. Masks and crops change places, lie in one series or two; every third patient's film series have no
description; one mask of each sixth image is half as large; the second patient's image holds two lesions of different pathology.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbox.simulate.draws import Draws
from weakbox.simulate.mammograms import Rectangle, breast_phantom, eight_bit, ellipse_mask, write_mammogram_dicom, write_picture
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree

SHAPE = (256, 192)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
UID_ROOT = "1.3.6.1.4.1.9590.100.1.2."
HEADERS = {
    "Mass": (
        "patient_id", "breast_density", "left or right breast", "image view", "abnormality id", "abnormality type", "mass shape",
        "mass margins", "assessment", "pathology", "subtlety", "image file path", "cropped image file path", "ROI mask file path",
    ),
    "Calc": (
        "patient_id", "breast density", "left or right breast", "image view", "abnormality id", "abnormality type", "calc type",
        "calc distribution", "assessment", "pathology", "subtlety", "image file path", "cropped image file path", "ROI mask file path",
    ),
}  # fmt: skip
KINDS = (("Mass", "Calc"), ("Mass", "Calc"), ("Mass",), ("Calc",))
PARTS = ("Training", "Test", "Training", "Training")
PATHOLOGIES = (("MALIGNANT", "5"), ("BENIGN", "4"), ("BENIGN_WITHOUT_CALLBACK", "2"))
DESCRIPTORS = {
    "Mass": (("IRREGULAR-ARCHITECTURAL_DISTORTION", "SPICULATED"), ("OVAL", "CIRCUMSCRIBED"), ("N/A", "N/A")),
    "Calc": (("PLEOMORPHIC", "CLUSTERED"), ("N/A", "N/A"), ("LUCENT_CENTER", "DIFFUSELY_SCATTERED")),
}
TYPES = {"Mass": "mass", "Calc": "calcification"}
INFO = ("file_path", "image_path", "Columns", "Laterality", "Modality", "PatientID", "PatientOrientation", "Rows",
        "SeriesDescription", "SeriesInstanceUID", "StudyInstanceUID")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One whole image under one of its names, and the lesions that its table lists."""

    kind: str
    part: str
    patient: str
    side: str
    view: str
    density: int
    pixels: NDArray[np.uint16]
    lesions: tuple[tuple[Rectangle, str, str], ...]
    """Box, pathology, assessment."""
    number: int
    """Of the image in the tree: what turns its oddities on."""
    description: str

    @property
    def subject(self) -> str:
        """TCIA's PatientID of the whole image."""
        return f"{self.kind}-{self.part}_{self.patient}_{self.side}_{self.view}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One DICOM file to be: where it belongs and what it shows."""

    subject: str
    study: str
    series: str
    description: str
    name: str
    """As the NBIA tools name it: ``1-1.dcm``."""
    pixels: NDArray[Any]
    view: str


def write_nbia(folder: Path, patients: int, seed: int) -> PlantedTree:
    """Folders as the NBIA Data Retriever writes them, the tables beside."""

    def place(picture: Picture) -> Path:
        study = f"08-07-2016-DDSM-NA-{picture.study[-5:]}"
        series = f"1.000000-{picture.description or 'NA'}-{picture.series[-5:]}"
        return Path("manifest-1700000000000", "CBIS-DDSM", picture.subject, study, series, picture.name)

    return _write(folder, patients, seed, place, Path())


def write_idc(folder: Path, patients: int, seed: int) -> PlantedTree:
    """Folders by UID and files by UUID, as idc-index writes them."""

    def place(picture: Picture) -> Path:
        digest = hashlib.sha256(f"{picture.series}/{picture.name}".encode()).hexdigest()
        name = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
        return Path("cbis_ddsm", picture.subject, picture.study, f"MG_{picture.series}", f"{name}.dcm")

    return _write(folder, patients, seed, place, Path())


def write_series(folder: Path, patients: int, seed: int) -> PlantedTree:
    """One folder a series and nothing else, as ``collect`` writes them."""
    return _write(folder, patients, seed, lambda picture: Path("series", picture.series, picture.name), Path("tables"))


def write_kaggle(folder: Path, patients: int, seed: int) -> PlantedTree:
    """``csv/`` and ``jpeg/<series UID>/``, 8 bits, with ``dicom_info.csv``."""
    names: dict[tuple[str, str], str] = {}

    def place(picture: Picture) -> Path:
        number = names.setdefault((picture.series, picture.name), f"{picture.name[:-4].split('-')[1]}-{len(names) + 1:03d}.jpg")
        return Path("jpeg", picture.series, number)

    tree = _write(folder, patients, seed, place, Path("csv"))
    rows = [_info(picture, place(picture)) for film in _films(patients, seed) for picture in _pictures(film)]
    _write_table(folder / "csv" / "dicom_info.csv", INFO, rows)
    return tree


def _info(picture: Picture, path: Path) -> Sequence[object]:
    rows, columns = picture.pixels.shape
    side = "L" if "_LEFT_" in picture.subject else "R"
    file = f"CBIS-DDSM/dicom/{picture.series}/{picture.name}"
    return (
        file, f"CBIS-DDSM/{path.as_posix()}", columns, side, "MG", picture.subject, picture.view, rows,
        picture.description, picture.series, picture.study,
    )  # fmt: skip


def _write(folder: Path, patients: int, seed: int, place: Callable[[Picture], Path], tables: Path) -> PlantedTree:
    rows: dict[tuple[str, str], list[Sequence[object]]] = defaultdict(list)
    images: dict[str, PlantedImage] = {}
    for film in _films(patients, seed):
        pictures = _pictures(film)
        for picture in pictures:
            _write_picture(folder / place(picture), picture)
        rows[film.kind, film.part] += [_row(film, number, pictures) for number in range(1, len(film.lesions) + 1)]
        planted = _planted(film, place(pictures[0]))
        same = hashlib.sha256(film.pixels.tobytes()).hexdigest()
        images[same] = replace(images[same], lesions=(*images[same].lesions, *planted.lesions)) if same in images else planted
    for (kind, part), lines in rows.items():
        name = f"{kind.lower()}_case_description_{'train' if part == 'Training' else 'test'}_set.csv"
        _write_table(folder / tables / name, HEADERS[kind], lines)
    return PlantedTree(images=tuple(images.values()))


def _planted(film: Film, path: Path) -> PlantedImage:
    lesions = tuple(
        PlantedLesion(start=box[:2], stop=box[2:], diagnosis=pathology.lower(), birads=birads) for box, pathology, birads in film.lesions
    )
    attributes = {"laterality": film.side.lower(), "view": film.view, "breast_density": "abcd"[film.density - 1]}
    return PlantedImage(path=path.as_posix(), patient_id=film.patient, lesions=lesions, attributes=attributes)


def _films(patients: int, seed: int) -> list[Film]:
    films: list[Film] = []
    for number in range(patients):
        draws = Draws("cbis_ddsm", seed, number)
        patient, side, density = f"P_{number + 1:05d}", draws.pick(("LEFT", "RIGHT")), draws.whole(1, 4)
        kinds, part = KINDS[number % 4], PARTS[number % 4]
        for view in ("CC", "MLO"):
            pixels, boxes = breast_phantom(seed * 1000 + number, side[0], view, len(kinds) + (number % 4 == 1), shape=SHAPE)
            for kind in sorted(kinds):
                own = boxes[-1:] if kind == "Calc" and len(kinds) > 1 else boxes[: len(boxes) - (len(kinds) > 1)]
                words = [PATHOLOGIES[(number + place) % 3] for place in range(len(own))]
                films.append(
                    Film(
                        kind=kind,
                        part=part,
                        patient=patient,
                        side=side,
                        view=view,
                        density=density,
                        pixels=(pixels << 4).astype(np.uint16),
                        lesions=tuple((box, *word) for box, word in zip(own, words, strict=True)),
                        number=len(films),
                        description="" if number % 3 == 2 else "full mammogram images",
                    )
                )
    return films


def _pictures(film: Film) -> list[Picture]:
    """The whole image first, then mask and crop of each lesion in the order in which they are numbered."""
    whole = Picture(
        subject=film.subject,
        study=_uid(film.subject, "study"),
        series=_uid(film.subject, "series"),
        description=film.description,
        name="1-1.dcm",
        pixels=film.pixels,
        view=film.view,
    )
    return [whole, *(picture for number in range(1, len(film.lesions) + 1) for picture in _region(film, number))]


def _region(film: Film, number: int) -> tuple[Picture, Picture]:
    """Mask and cropped image of one lesion: in one series in either order, or in two of one file."""
    subject = f"{film.subject}_{number}"
    (x0, y0, x1, y1), *_ = film.lesions[number - 1]
    mask = ellipse_mask(film.pixels.shape, (x0, y0, x1, y1)).astype(np.uint8) * 255
    if film.number % 6 == 3 and number == 1:
        mask = mask[::2, ::2]
    crop = film.pixels[max(0, int(y0) - 6) : int(y1) + 6, max(0, int(x0) - 6) : int(x1) + 6]
    is_split = film.number % 5 == 4
    names = ("1-1.dcm", "1-1.dcm") if is_split else ("1-1.dcm", "1-2.dcm") if film.number % 2 else ("1-2.dcm", "1-1.dcm")
    mask_series = _uid(subject, "mask series" if is_split else "series")
    common = {"subject": subject, "study": _uid(subject, "study"), "view": film.view}
    return (
        Picture(series=mask_series, description="ROI mask images", name=names[0], pixels=mask, **common),
        Picture(
            series=_uid(subject, "series"),
            description="cropped images" if is_split else "ROI mask images",
            name=names[1],
            pixels=np.ascontiguousarray(crop),
            **common,
        ),
    )


def _row(film: Film, number: int, pictures: Iterable[Picture]) -> Sequence[object]:
    """A row of a case table. Its paths name the files as TCIA once stored them; the mass mask's, the calc crop's end in a newline."""
    pictures = list(pictures)
    whole, mask, crop = pictures[0], pictures[2 * number - 1], pictures[2 * number]
    _, pathology, assessment = film.lesions[number - 1]
    first, second = DESCRIPTORS[film.kind][(film.number + number) % 3]
    breaks = {"Mass": ("", "\n"), "Calc": ("\n", "")}[film.kind]
    return (
        film.patient, film.density, film.side, film.view, number, TYPES[film.kind], first, second, assessment, pathology,
        1 + film.number % 5, _stored_path(whole), _stored_path(crop) + breaks[0], _stored_path(mask) + breaks[1],
    )  # fmt: skip


def _stored_path(picture: Picture) -> str:
    return f"{picture.subject}/{picture.study}/{picture.series}/00000{int(picture.name[2]) - 1}.dcm"


def _write_picture(path: Path, picture: Picture) -> None:
    if path.suffix == ".jpg":
        pixels = picture.pixels
        write_picture(path, pixels if pixels.dtype == np.uint8 else eight_bit(pixels, bits=16))
        return
    tags: Mapping[str, Any] = {
        "SOPClassUID": SECONDARY_CAPTURE,
        "SOPInstanceUID": _uid(picture.series, picture.name),
        "StudyInstanceUID": picture.study,
        "SeriesInstanceUID": picture.series,
        "StudyDescription": "",
        "SeriesDescription": picture.description,
        "PatientOrientation": picture.view,
    }
    bits = 8 * picture.pixels.itemsize
    write_mammogram_dicom(path, picture.pixels, laterality=None, view=None, patient_id=picture.subject, bits=bits, voi="none", tags=tags)


def _uid(*name: str) -> str:
    return UID_ROOT + str(int(hashlib.sha256("/".join(name).encode()).hexdigest(), 16) % 10**38)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


TREE = PublicTree(
    layout="dicom",
    write=write_nbia,
    other_layouts={"idc": write_idc, "dicom_by_series": write_series, "kaggle_jpeg": write_kaggle},
)
