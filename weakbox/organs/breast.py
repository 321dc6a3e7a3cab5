"""The breast: fields of its radiology and pathology reports (contract: see docs/extraction_contract.md)."""

from __future__ import annotations

from weakbox.organs.organ import Field, FieldKind, Organ, ReportShape
from weakbox.records.report import ReportType

SIDES = ("left", "right", "midline", "bilateral")
MODALITIES = ("mammography", "ultrasound", "mri", "combined")
CATEGORIES = ("0", "1", "2", "3", "4", "4A", "4B", "4C", "5", "6")
DENSITIES = ("a", "b", "c", "d")
KINDS = ("mass", "calcifications", "asymmetry", "architectural_distortion", "non_mass_enhancement", "focus", "cyst", "lymph_node")
QUADRANTS = ("upper_outer", "upper_inner", "lower_outer", "lower_inner", "central", "subareolar", "axillary_tail")
PROCEDURES = ("core_biopsy", "excision", "mastectomy", "fna")
DIAGNOSES = ("malignant", "high_risk", "benign", "insufficient")
HISTOLOGIES = (
    "idc",
    "ilc",
    "dcis",
    "lcis",
    "adh",
    "alh",
    "fibroadenoma",
    "papilloma",
    "fibrocystic",
    "fat_necrosis",
    "radial_scar",
    "mucinous",
    "tubular",
    "phyllodes",
    "benign_other",
    "malignant_other",
)
RECEPTOR = ("positive", "negative")

_SIDE = Field(name="side", kind=FieldKind.CHOICE, meaning="side of the patient", choices=SIDES)
_QUADRANT = Field(name="quadrant", kind=FieldKind.CHOICE, meaning="quadrant or region as stated, never from the clock", choices=QUADRANTS)
_CLOCK = Field(
    name="clock", kind=FieldKind.NUMBER, meaning="clock position, 1 to 12, halves allowed (2:30 is 2.5)", minimum=1, maximum=12.5
)


def _category(name: str, meaning: str, *, is_derived: bool = False) -> Field:
    return Field(name=name, kind=FieldKind.CHOICE, meaning=meaning, choices=CATEGORIES, is_derived=is_derived)


def _receptor(name: str, meaning: str, choices: tuple[str, ...] = RECEPTOR) -> Field:
    return Field(name=name, kind=FieldKind.CHOICE, meaning=meaning, choices=choices)


RADIOLOGY = ReportShape(
    report_type=ReportType.RADIOLOGY,
    item_kind="findings",
    core=(
        *("exam.birads", "exam.birads_left", "exam.birads_right", "exam.density"),
        *("side", "kind", "size_mm", "birads"),
    ),
    conventions=(
        (
            "Findings are current lesions; normal nodes, implants, clips, scars, skin changes and resolved or prior-only lesions are none. "
            "Stable benign calcifications, cysts and intramammary nodes are findings."
        ),
        "One lesion seen on two modalities is one finding; a mass with associated calcifications is a mass.",
        "birads_left and birads_right only where the text ties a category to that side; 'both breasts' fills both.",
        "A finding's birads only where the category stands in its own sentence, row or block.",
        "quadrant is never inferred from the clock; 2:30 is 2.5; '3 cm from the nipple' is distance_from_nipple_mm 30.",
        "R, U, M and other systems' codes are not BI-RADS; the French 'ACR 4' is the category, 'ACR B' the density.",
        "An addendum or corrected report wins.",
    ),
    carriers=("Breast imaging.\n\nFINDINGS:\nMass: {quote}\n", "Breast imaging.\n\nFINDINGS:\n{quote}\n"),
    identity={"side": 2, "kind": 2, "clock": 2, "quadrant": 1, "size_mm": 2, "birads": 1},
    exam=(
        Field(name="exam.modality", kind=FieldKind.CHOICE, meaning="how the breast was examined", choices=MODALITIES, is_derived=True),
        _category("exam.birads", "overall BI-RADS category as stated, otherwise the worst stated", is_derived=True),
        _category("exam.birads_left", "BI-RADS category that the text ties to the left breast"),
        _category("exam.birads_right", "BI-RADS category that the text ties to the right breast"),
        Field(name="exam.density", kind=FieldKind.CHOICE, meaning="ACR breast density", choices=DENSITIES),
    ),
    item=(
        Field(name="finding_id", kind=FieldKind.TEXT, meaning="the report's own label without its noun"),
        _SIDE,
        Field(name="kind", kind=FieldKind.CHOICE, meaning="kind of finding", choices=KINDS),
        _QUADRANT,
        _CLOCK,
        Field(name="distance_from_nipple_mm", kind=FieldKind.NUMBER, meaning="distance from the nipple, mm", minimum=0, maximum=250),
        Field(
            name="size_mm",
            kind=FieldKind.NUMBERS,
            meaning="one to three measured diameters, mm, in the order of the report",
            minimum=0,
            maximum=250,
        ),
        Field(
            name="max_diameter_mm",
            kind=FieldKind.NUMBER,
            meaning="largest measured diameter, mm",
            minimum=0,
            maximum=250,
            is_derived=True,
            is_asked=False,
        ),
        _category("birads", "BI-RADS category in the finding's own sentence, row or block"),
    ),
)

PATHOLOGY = ReportShape(
    report_type=ReportType.PATHOLOGY,
    item_kind="specimens",
    core=("malignant", "side", "diagnosis", "histology", "grade"),
    conventions=(
        "DCIS is malignant. LCIS, ADH, ALH, flat atypia, B3 lesions and mucocele-like lesions are high_risk.",
        "Several histologies in one specimen: the most serious counts (invasive over DCIS over high risk over benign).",
        "grade is the Nottingham grade of the invasive tumour, or the nuclear grade of pure DCIS; never of an earlier specimen.",
        "ER and PR: 1 % or more is positive. HER2: 3+ positive, 0 and 1+ negative, 2+ follows in-situ hybridisation, else equivocal.",
        "tumor_size_mm is the greatest stated invasive size, or the extent of pure DCIS; never the length of a specimen or core.",
        "Listed nodes and margins are specimens. No residual carcinoma is benign, benign_other.",
    ),
    carriers=("DIAGNOSIS:\nBreast:\n{quote}\n", "DIAGNOSIS:\n{quote}\n"),
    identity={"specimen_id": 3, "side": 1, "diagnosis": 1, "histology": 1},
    exam=(
        Field(name="procedure", kind=FieldKind.CHOICE, meaning="how the tissue was obtained", choices=PROCEDURES, is_derived=True),
        Field(
            name="malignant",
            kind=FieldKind.BOOLEAN,
            meaning="whether the case holds cancer, in situ included",
            is_derived=True,
            is_asked=False,
        ),
    ),
    item=(
        Field(name="specimen_id", kind=FieldKind.TEXT, meaning="specimen designation as written"),
        _SIDE,
        _QUADRANT,
        _CLOCK,
        Field(name="diagnosis", kind=FieldKind.CHOICE, meaning="what the specimen means", choices=DIAGNOSES, is_derived=True),
        Field(name="histology", kind=FieldKind.CHOICE, meaning="the most serious histology", choices=HISTOLOGIES),
        Field(name="grade", kind=FieldKind.INTEGER, meaning="Nottingham grade, or nuclear grade of pure DCIS", minimum=1, maximum=3),
        _receptor("er", "oestrogen receptor"),
        _receptor("pr", "progesterone receptor"),
        _receptor("her2", "HER2, after in-situ hybridisation where there is one", (*RECEPTOR, "equivocal")),
        Field(
            name="tumor_size_mm",
            kind=FieldKind.NUMBER,
            meaning="greatest invasive size, or extent of pure DCIS, mm",
            minimum=0,
            maximum=300,
        ),
    ),
)

ORGAN = Organ(
    name="breast",
    words=(
        "breast",
        "mamm",
        "mamogra",
        "mama",
        "brust",
        "borst",
        "bröst",
        "sein ",
        "seins",
        "bi-rads",
        "birads",
        "tomos",
        "nipple",
        "areola",
    ),
    shapes={ReportType.RADIOLOGY: RADIOLOGY, ReportType.PATHOLOGY: PATHOLOGY},
)
