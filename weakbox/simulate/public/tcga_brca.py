"""A small TCGA-BRCA: a clinical export of cBioPortal, MR of some of its patients, objects of other modalities beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from weakbox.simulate.mammograms import breast_phantom, write_mammogram_dicom
from weakbox.simulate.public.breast_mr import SHAPE, BreastStudy, draw_breast_study, series_uid, write_phase
from weakbox.simulate.public.tree import PlantedImage, PlantedLesion, PlantedTree, PublicTree

HEADER = (
    "Study ID", "Patient ID", "Sample ID", "Diagnosis Age", "Cancer Type", "Cancer Type Detailed", "ER Status By IHC", "IHC-HER2",
    "Neoplasm Disease Stage American Joint Committee on Cancer Code", "Neoplasm Histologic Type Name",
    "Neoadjuvant Therapy Type Administered Prior To Resection Text", "Menopause Status", "Patient Primary Tumor Site", "PR status by ihc",
    "Sample Type", "Sex",
)  # fmt: skip
SITES = ("Left Upper Outer Quadrant", "Right Lower Inner Quadrant|Right", "Left", "NA")
PHASES = {"pre": "Sag VIBRANT PRE", "post_1": "Sag VIBRANT MPH", "t1": "AX T1"}
METASTASIS_EVERY = 3
"""Every so many-th patient has a second row, of a metastasis."""


def write(folder: Path, patients: int, seed: int) -> PlantedTree:
    """As the NBIA data retriever leaves it; a mammogram lies in each first study."""
    return _write(folder, patients, seed, "TCGA-BRCA", "01-04-2000-NA-MRI BREAST-{study}", "{number}.000000-{description}-{series}")


def write_by_uid(folder: Path, patients: int, seed: int) -> PlantedTree:
    """As IDC's tools leave it: folders by modality and UID."""
    return _write(folder, patients, seed, "tcga_brca", "{study_uid}", "{modality}_{series_uid}")


def _write(folder: Path, patients: int, seed: int, place: str, study_folder: str, series_folder: str) -> PlantedTree:
    rows: list[tuple[str, ...]] = [HEADER]
    images = []
    dropped = {"metastasis_sample": 0, "missing_image": 1}
    for number in range(1, patients + 1):
        study = draw_breast_study(seed, _patient(number), number)
        rows.append(_row(number, "01", "Primary"))
        if number % METASTASIS_EVERY == 0:
            rows.append(_row(number, "06", "Metastasis"))
            dropped["metastasis_sample"] += 1
        below = folder / place / study.patient_id / study_folder.format(study=study.study_uid[-5:], study_uid=study.study_uid)
        lesion = PlantedLesion(
            start=tuple(map(float, study.start)), stop=tuple(map(float, study.stop)), diagnosis="malignant", is_annotated=False
        )
        named = _folders(study, series_folder)
        for phase, description in PHASES.items():
            names = {slice_number: f"1-{slice_number:02d}.dcm" for slice_number in range(1, SHAPE[2] + 1)}
            write_phase(study, phase, below / named(phase), names, {"SeriesDescription": description})
        path = (below / named("post_1")).relative_to(folder).as_posix()
        images.append(PlantedImage(path=path, patient_id=study.patient_id, lesions=(lesion,)))
        if number == 1:
            _write_mammogram(below, study, series_folder)
            dropped["not_mr"] = int(place == "TCGA-BRCA")
    rows.append(_row(patients + 1, "01", "Primary"))
    (folder / "brca_tcga_clinical_data.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return PlantedTree(images=tuple(images), dropped={reason: count for reason, count in dropped.items() if count})


def _patient(number: int) -> str:
    return f"TCGA-AR-A{number:03d}"


def _folders(study: BreastStudy, pattern: str) -> Callable[[str], str]:
    def name(phase: str) -> str:
        uid = series_uid(study, phase)
        number = list(PHASES).index(phase) + 2
        return pattern.format(modality="MR", number=number, description=PHASES[phase], series=uid[-5:], series_uid=uid)

    return name


def _row(number: int, sample: str, kind: str) -> tuple[str, ...]:
    patient = _patient(number)
    age = "NA" if number % 5 == 0 else str(40 + number)
    receptors = ("Positive", "Negative") if number % 2 else ("NA", "Equivocal")
    return (
        *("brca_tcga", patient, f"{patient}-{sample}", age, "Breast Cancer", "Breast Invasive Ductal Carcinoma", *receptors),
        *("Stage IIA", "Infiltrating Ductal Carcinoma", "No", "NA", SITES[(number - 1) % len(SITES)], "Positive", kind, "Female"),
    )


def _write_mammogram(folder: Path, study: BreastStudy, pattern: str) -> None:
    name = pattern.format(modality="MG", number=1, description="MAMMOGRAM", series="00001", series_uid=f"{study.study_uid}.1")
    pixels, _ = breast_phantom(1, shape=(64, 48))
    write_mammogram_dicom(folder / name / "1-01.dcm", pixels, patient_id=study.patient_id, tags={"StudyInstanceUID": study.study_uid})


TREE = PublicTree(layout="tcia", write=write, other_layouts={"idc": write_by_uid})
