"""Diagnoses of skin lesions in one vocabulary, whatever a data set calls them, and which of them are malignant.

Names and malignancy follow the ISIC Archive's hierarchy of diagnoses (package ``isic-metadata``, ``diagnosis_hierarchical.py``): its third
level is the diagnosis, its first level is ``Benign``, ``Indeterminate`` or ``Malignant``. Classes of the challenges and of HAM10000
(Tschandl et al. 2018, doi:10.1038/sdata.2018.161) that span several diagnoses keep a name of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum


class Malignancy(StrEnum):
    """First level of the ISIC Archive's hierarchy."""

    MALIGNANT = "malignant"
    BENIGN = "benign"
    INDETERMINATE = "indeterminate"


CLASS_CODES: Mapping[str, str] = {
    "MEL": "melanoma",
    "NV": "nevus",
    "BCC": "basal_cell_carcinoma",
    "AK": "actinic_keratosis",
    "AKIEC": "actinic_keratosis_or_intraepithelial_carcinoma",
    "BKL": "benign_keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular_lesion",
    "SCC": "squamous_cell_carcinoma",
    "UNK": "none_of_the_classes",
}
"""Columns of the challenges' one-hot tables, and ``dx`` of HAM10000 in lower case. ISIC 2018's AKIEC and ISIC 2019's AK differ."""

_BY_MALIGNANCY: Mapping[Malignancy, tuple[str, ...]] = {
    Malignancy.MALIGNANT: (
        *("malignant", "melanoma", "melanoma_in_situ", "melanoma_invasive", "melanoma_metastasis"),
        *("basal_cell_carcinoma", "baso_squamous_carcinoma", "squamous_cell_carcinoma", "squamous_cell_carcinoma_in_situ"),
        *("squamous_cell_carcinoma_invasive", "keratoacanthoma", "bowenoid_papulosis", "verrucous_carcinoma", "sebaceous_carcinoma"),
        *("merkel_cell_carcinoma", "mycosis_fungoides", "dermatofibrosarcoma_protuberans", "atypical_fibroxanthoma"),
        *("malignant_melanocytic_proliferations_melanoma", "malignant_epidermal_proliferations", "merkel_cell_proliferation"),
        *("malignant_adnexal_epithelial_proliferations_follicular", "collision_at_least_one_malignant_proliferation"),
    ),
    Malignancy.BENIGN: (
        *("benign", "nevus", "nevus_spilus", "lentigo_nos", "lentigo_simplex", "solar_lentigo", "ink_spot_lentigo", "ephelis"),
        *("cafe_au_lait_macule_or_patch", "mucosal_melanotic_macule", "dermal_melanocytosis"),
        *("benign_keratosis", "pigmented_benign_keratosis", "seborrheic_keratosis", "lichen_planus_like_keratosis"),
        *("clear_cell_acanthoma", "epidermal_nevus", "porokeratosis", "verruca", "molluscum"),
        *("dermatofibroma", "angiofibroma", "fibroepithelial_polyp", "scar", "neurofibroma", "lipoma"),
        *("vascular_lesion", "hemangioma", "angiokeratoma", "pyogenic_granuloma", "hemorrhage", "venous_lake", "lymphangioma"),
        *("sebaceous_adenoma", "sebaceous_hyperplasia", "nevus_sebaceus", "trichoepithelioma", "pilomatricoma", "adnexal_tumor"),
        *("benign_melanocytic_proliferations", "benign_epidermal_proliferations", "cysts", "benign_other"),
        *("flat_melanotic_pigmentations_not_melanocytic_nevus", "inflammatory_or_infectious_diseases", "hemorrhagic_lesions"),
        *("benign_soft_tissue_proliferations_vascular", "benign_soft_tissue_proliferations_fibro_histiocytic"),
        "collision_only_benign_proliferations",
    ),
    Malignancy.INDETERMINATE: (
        *("indeterminate", "actinic_keratosis", "actinic_cheilitis", "actinic_keratosis_or_intraepithelial_carcinoma"),
        *("atypical_spitz_tumor", "atypical_melanocytic_neoplasm", "atypical_intraepithelial_melanocytic_proliferation"),
        *("atypical_pigmented_spindle_cell_tumor", "melanocytic_tumor_of_uncertain_malignant_potential"),
        *("indeterminate_epidermal_proliferations", "indeterminate_melanocytic_proliferations"),
    ),
}

MALIGNANCY: Mapping[str, Malignancy] = {name: malignancy for malignancy, names in _BY_MALIGNANCY.items() for name in names}
"""What each diagnosis means for a benign/malignant label policy; a diagnosis that is not here means nothing to it.

Actinic keratosis is indeterminate (in the archive's hierarchy), and so is HAM10000's ``akiec``, which mixes it with carcinoma in situ."""

_OTHER_NAMES: Mapping[str, str] = {
    "melanoma_nos": "melanoma",
    "invasive_melanoma": "melanoma_invasive",
    "melanocytic_nevus": "nevus",
    "nevus_nos": "nevus",
    "squamous_cell_carcinoma_nos": "squamous_cell_carcinoma",
    "solar_or_actinic_keratosis": "actinic_keratosis",
    "solar_or_actinic_cheilitis": "actinic_cheilitis",
    "lichenoid_keratosis": "lichen_planus_like_keratosis",
    "cafe_au_lait_macule": "cafe_au_lait_macule_or_patch",
    "mucosal_melanosis": "mucosal_melanotic_macule",
    "aimp": "atypical_intraepithelial_melanocytic_proliferation",
    "atypical_melanocytic_proliferation": "atypical_melanocytic_neoplasm",
    "acrochordon": "fibroepithelial_polyp",
    "angioma": "hemangioma",
    "angiofibroma_or_fibrous_papule": "angiofibroma",
    "muluscum": "molluscum",
}
"""Names of older metadata and the archive's own spellings -> the name used here."""

_NOT_STATED = frozenset({"", "unknown", "none", "null", "nan", "n/a", "na"})

CONFIRMATIONS: Mapping[str, str] = {
    "histopathology": "histopathology",
    "histo": "histopathology",
    "serial imaging showing no change": "follow_up",
    "follow_up": "follow_up",
    "single image expert consensus": "consensus",
    "consensus": "consensus",
    "confocal microscopy with consensus dermoscopy": "confocal",
    "confocal": "confocal",
    "single contributor clinical assessment": "clinical_assessment",
}
"""What a diagnosis rests on: the archive's ``diagnosis_confirm_type`` and HAM10000's ``dx_type``."""

_CHALLENGE_CLASSES: Mapping[str, tuple[str, ...]] = {
    "melanoma": ("melanoma_in_situ", "melanoma_invasive", "melanoma_metastasis"),
    "squamous_cell_carcinoma": ("squamous_cell_carcinoma_in_situ", "squamous_cell_carcinoma_invasive"),
    "benign_keratosis": ("pigmented_benign_keratosis", "seborrheic_keratosis", "solar_lentigo", "lichen_planus_like_keratosis"),
    "vascular_lesion": ("hemangioma", "angiokeratoma", "pyogenic_granuloma", "hemorrhage"),
}
_CLASS_OF = {name: wider for wider, names in _CHALLENGE_CLASSES.items() for name in names}


def is_stated(text: str | None) -> bool:
    """Whether a cell says anything: not empty, ``unknown``, ``null`` ...

    >>> is_stated("nevus"), is_stated("unknown"), is_stated(None)
    (True, False, False)
    """
    return text is not None and text.strip().casefold() not in _NOT_STATED


def diagnosis_of(text: str) -> str:
    """A diagnosis by its one name, in lower snake case; names that are not known here are kept.

    >>> diagnosis_of("Melanoma, NOS"), diagnosis_of("lichenoid keratosis"), diagnosis_of("Cylindroma")
    ('melanoma', 'lichen_planus_like_keratosis', 'cylindroma')
    """
    name = re.sub(r"[^0-9a-z]+", "_", text.casefold()).strip("_")
    return _OTHER_NAMES.get(name, name)


def class_diagnosis(code: str) -> str:
    """The diagnosis of a challenge's class or of HAM10000's ``dx``.

    Raises:
        ValueError: no such class.

    >>> class_diagnosis("akiec")
    'actinic_keratosis_or_intraepithelial_carcinoma'
    """
    found = CLASS_CODES.get(code.strip().upper())
    if found is None:
        raise ValueError(f"expected one of {', '.join(CLASS_CODES)}, got {code!r}")
    return found


def challenge_class(diagnosis: str) -> str:
    """The class that a diagnosis belongs to in the challenges; the diagnosis itself where they have no wider class.

    >>> challenge_class("seborrheic_keratosis"), challenge_class("nevus")
    ('benign_keratosis', 'nevus')
    """
    return _CLASS_OF.get(diagnosis, diagnosis)


def malignancy_of(diagnosis: str) -> Malignancy | None:
    """Whether a diagnosis is malignant; None where this vocabulary does not say.

    >>> malignancy_of("basal_cell_carcinoma"), malignancy_of("actinic_keratosis"), malignancy_of("none_of_the_classes")
    (<Malignancy.MALIGNANT: 'malignant'>, <Malignancy.INDETERMINATE: 'indeterminate'>, None)
    """
    return MALIGNANCY.get(diagnosis)


def stated_malignancy(text: str) -> Malignancy:
    """Malignancy as a table writes it: ``Malignant``, ``benign``, ``indeterminate/benign``, or a target ``1``/``0``.

    Raises:
        ValueError: none of these.
    """
    word = re.sub(r"\.0+$", "", text.strip().casefold()).split("/")[0]
    word = {"1": "malignant", "0": "benign"}.get(word, word)
    if word not in Malignancy._value2member_map_:
        raise ValueError(f"expected malignant, benign or indeterminate, got {text!r}")
    return Malignancy(word)


def confirmation_of(text: str) -> str:
    """What a diagnosis rests on, in one word for all sets.

    Raises:
        ValueError: no known way.
    """
    found = CONFIRMATIONS.get(text.strip().casefold())
    if found is None:
        raise ValueError(f"expected one of {', '.join(CONFIRMATIONS)}, got {text!r}")
    return found


def sex_of(text: str) -> str:
    """``F`` or ``M``, DICOM's Patient's Sex.

    Raises:
        ValueError: neither.
    """
    found = {"female": "F", "f": "F", "male": "M", "m": "M"}.get(text.strip().casefold())
    if found is None:
        raise ValueError(f"expected female or male, got {text!r}")
    return found


def age_of(text: str) -> float:
    """Years; the archive writes ``85+`` for 85 and older.

    Raises:
        ValueError: no age.

    >>> age_of("85+"), age_of("55.0")
    (85.0, 55.0)
    """
    years = float(text.strip().removesuffix("+"))
    if not 0 <= years <= 120:
        raise ValueError(f"expected an age in years, got {text!r}")
    return years
