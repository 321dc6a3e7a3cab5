"""The prostate: fields of its radiology and pathology reports (contract: see docs/extraction_contract.md), and where its sectors lie."""

from __future__ import annotations

from weakbox.organs.organ import Field, FieldKind, Organ, ReportShape
from weakbox.records.report import ReportType

SIDES = ("left", "right", "midline", "bilateral")
ZONES = ("PZ", "TZ", "CZ", "AFS", "SV")
LEVELS = ("base", "mid", "apex")
POSITIONS = ("anterior", "posterior", "medial", "lateral")
STAGING = ("absent", "suspected", "present")
DIAGNOSES = ("adenocarcinoma", "benign", "hgpin", "asap", "inflammation", "other_malignancy", "insufficient")

_LOCATION = (
    Field(name="side", kind=FieldKind.CHOICE, meaning="side of the patient", choices=SIDES),
    Field(name="zone", kind=FieldKind.CHOICE, meaning="zone of the prostate, or seminal vesicle", choices=ZONES),
    Field(name="levels", kind=FieldKind.CHOICES, meaning="cranio-caudal levels", choices=LEVELS),
    Field(name="positions", kind=FieldKind.CHOICES, meaning="positions in the axial plane", choices=POSITIONS),
)


def _score(name: str, meaning: str) -> Field:
    return Field(name=name, kind=FieldKind.INTEGER, meaning=meaning, minimum=1, maximum=5)


RADIOLOGY = ReportShape(
    report_type=ReportType.RADIOLOGY,
    item_kind="lesions",
    core=(
        *("exam.pirads", "exam.likert", "exam.psa_ng_ml", "exam.psa_density", "exam.prostate_volume_ml"),
        *("pirads", "likert", "side", "zone", "levels", "size_mm"),
    ),
    conventions=(
        (
            "Lesions are the current, distinct suspicious lesions, in order of first mention; one that findings and impression "
            "both describe is one lesion. BPH nodules without a score are none."
        ),
        "lesion_id is a label with a noun (Lesion 1, Target A, ROI 2), without the noun; list numbers and ordinals are none.",
        "A Likert, UCLA or other institutional five-point score fills likert, never pirads. PI-QUAL, PRECISE and the like fill nothing.",
        "size_mm: the fullest current measurement, in mm, in the order of the report; never the gland, a node, a contact or a distance.",
        "positions: posterolateral is posterior and lateral. 'Anterior' inside 'anterior fibromuscular stroma' is the zone AFS.",
        "dce: early or focal enhancement is positive, 'no early enhancement' is negative.",
        (
            "epe, svi, lymph_nodes, bone_metastases: normal, clear, not enlarged is absent; possible or cannot be excluded is suspected; "
            "not assessable is null."
        ),
        "psa_ng_ml is the latest total PSA; prostate_volume_ml is the whole gland as stated, never computed from dimensions.",
        "An addendum or correction supersedes what it corrects.",
    ),
    carriers=(
        "Prostate MRI.\n\nFINDINGS:\nLesion: {quote}\n",
        "Prostate MRI.\n\nFINDINGS:\n{quote}\n",
        "Prostate MRI.\n\nFINDINGS:\nLesion: PI-RADS 3, left peripheral zone, {quote}\n",
    ),
    identity={"side": 2, "zone": 1, "levels": 1, "size_mm": 2, "pirads": 1, "likert": 1, "lesion_id": 1},
    exam=(
        Field(
            name="exam.pirads",
            kind=FieldKind.INTEGER,
            meaning="overall PI-RADS category of this exam",
            minimum=1,
            maximum=5,
            is_derived=True,
        ),
        Field(name="exam.pirads_version", kind=FieldKind.CHOICE, meaning="PI-RADS version", choices=("1", "2", "2.1")),
        _score("exam.likert", "overall Likert or institutional five-point score"),
        Field(name="exam.psa_ng_ml", kind=FieldKind.NUMBER, meaning="latest total PSA, ng/mL", minimum=0, maximum=20000),
        Field(name="exam.psa_density", kind=FieldKind.NUMBER, meaning="PSA density as stated, ng/mL/mL", minimum=0, maximum=100),
        Field(name="exam.prostate_volume_ml", kind=FieldKind.NUMBER, meaning="whole-gland volume, mL", minimum=1, maximum=1000),
        Field(name="exam.epe", kind=FieldKind.CHOICE, meaning="extraprostatic extension", choices=STAGING),
        Field(name="exam.svi", kind=FieldKind.CHOICE, meaning="seminal vesicle invasion", choices=STAGING),
        Field(name="exam.lymph_nodes", kind=FieldKind.CHOICE, meaning="suspicious lymph nodes", choices=STAGING),
        Field(name="exam.bone_metastases", kind=FieldKind.CHOICE, meaning="bone metastases", choices=STAGING),
    ),
    item=(
        Field(name="lesion_id", kind=FieldKind.TEXT, meaning="the report's own label without its noun"),
        _score("pirads", "PI-RADS category of the lesion"),
        _score("likert", "Likert or institutional score of the lesion"),
        *_LOCATION,
        Field(
            name="sectors",
            kind=FieldKind.CHOICES,
            meaning="PI-RADS v2.1 sectors that the words pin down",
            is_derived=True,
            is_asked=False,
            pattern=r"^[LR]_(base|mid|apex)_(PZa|PZpl|PZpm|TZa|TZp|CZ|AFS)$|^[LR]_SV$|^US$",
        ),
        Field(
            name="size_mm",
            kind=FieldKind.NUMBERS,
            meaning="one to three measured diameters, mm, in the order of the report",
            minimum=0,
            maximum=200,
        ),
        Field(
            name="max_diameter_mm",
            kind=FieldKind.NUMBER,
            meaning="largest measured diameter, mm",
            minimum=0,
            maximum=200,
            is_derived=True,
            is_asked=False,
        ),
        _score("t2", "T2W score"),
        _score("dwi", "DWI score"),
        Field(name="dce", kind=FieldKind.CHOICE, meaning="dynamic contrast enhancement", choices=("positive", "negative")),
        Field(name="series_number", kind=FieldKind.INTEGER, meaning="series on which the lesion is shown", minimum=0),
        Field(name="image_number", kind=FieldKind.INTEGER, meaning="image on which the lesion is shown", minimum=0),
    ),
)

_GLEASON = (
    Field(name="gleason_primary", kind=FieldKind.INTEGER, meaning="primary Gleason pattern", minimum=1, maximum=5),
    Field(name="gleason_secondary", kind=FieldKind.INTEGER, meaning="secondary Gleason pattern", minimum=1, maximum=5),
    Field(name="gleason_score", kind=FieldKind.INTEGER, meaning="Gleason score", minimum=2, maximum=10),
    Field(name="isup_grade", kind=FieldKind.INTEGER, meaning="ISUP grade group", minimum=1, maximum=5, is_derived=True),
)
_CORES = (
    Field(name="cores_positive", kind=FieldKind.INTEGER, meaning="cores with cancer", minimum=0, maximum=100),
    Field(name="cores_total", kind=FieldKind.INTEGER, meaning="cores taken", minimum=0, maximum=100),
)

_SIDE, _ZONE, _LEVELS, _POSITIONS = _LOCATION
_SPECIMEN_LOCATION = (_SIDE, _LEVELS, _ZONE, _POSITIONS)


def _overall(field: Field) -> Field:
    return Field(
        name=f"overall.{field.name}",
        kind=field.kind,
        meaning=f"{field.meaning}, of the case",
        minimum=field.minimum,
        maximum=field.maximum,
        is_derived=True,
    )


PATHOLOGY = ReportShape(
    report_type=ReportType.PATHOLOGY,
    item_kind="specimens",
    core=(
        *("cancer_present", "overall.isup_grade", "target", "side", "diagnosis", "gleason_primary", "gleason_secondary", "isup_grade"),
        *("cores_positive", "cores_total"),
    ),
    conventions=(
        "One entry a specimen, or a group of specimens reported together (C-F), with its label as written.",
        "target is the MRI lesion label that the specimen names, without its noun; null for systematic cores and unnumbered targets.",
        "diagnosis is the first that holds of: adenocarcinoma, other_malignancy, asap, hgpin, inflammation, benign, insufficient.",
        "cores_positive of a benign specimen is 0 only where the text says none of n; otherwise null.",
        "percent_involved and tumor_length_mm are the highest stated. Of a range the higher number counts.",
        "overall is what is stated for the case; null where only specimens are graded. The clinical history is not this case.",
        "In a prostatectomy the place of the tumour is not the specimen's side or zone. Lymph nodes and margins are ungraded specimens.",
    ),
    carriers=(
        "DIAGNOSIS:\nProstate, biopsy:\n{quote}\n",
        "DIAGNOSIS:\n{quote}\n",
        "DIAGNOSIS:\nProstate, biopsy:\nAdenocarcinoma, {quote}\n",
        "DIAGNOSIS:\n{quote}. Prostate, biopsy: benign\n",
    ),
    identity={"specimen_id": 3, "target": 2, "side": 1, "levels": 1, "diagnosis": 1, "isup_grade": 1},
    exam=(
        Field(name="procedure", kind=FieldKind.CHOICE, meaning="how the tissue was obtained", choices=("biopsy", "prostatectomy", "turp")),
        Field(name="cancer_present", kind=FieldKind.BOOLEAN, meaning="whether the case holds cancer", is_derived=True, is_asked=False),
        *(_overall(field) for field in _GLEASON),
        *_CORES,
    ),
    item=(
        Field(name="specimen_id", kind=FieldKind.TEXT, meaning="specimen designation as written"),
        Field(name="target", kind=FieldKind.TEXT, meaning="the MRI lesion label that the specimen names"),
        Field(
            name="is_targeted",
            kind=FieldKind.BOOLEAN,
            meaning="whether the specimen is said to be of a target, with or without its label",
            is_internal=True,
        ),
        *_SPECIMEN_LOCATION,
        Field(name="diagnosis", kind=FieldKind.CHOICE, meaning="diagnosis of the specimen", choices=DIAGNOSES),
        *_GLEASON,
        *_CORES,
        Field(name="percent_involved", kind=FieldKind.NUMBER, meaning="highest share of a core that is cancer, %", minimum=0, maximum=100),
        Field(name="tumor_length_mm", kind=FieldKind.NUMBER, meaning="greatest tumour length in a core, mm", minimum=0, maximum=100),
    ),
)

ORGAN = Organ(
    name="prostate",
    words=("prostat", "prostaa", "próstat", "pi-rads", "pirads", "gleason"),
    shapes={ReportType.RADIOLOGY: RADIOLOGY, ReportType.PATHOLOGY: PATHOLOGY},
)
