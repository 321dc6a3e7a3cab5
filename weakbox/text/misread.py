"""Words that optical character recognition misread: the word of the field that a token was before its letters were confused.

Every token is brought to one form in which letters that look alike are one letter; a token that is no word itself but shares that
form with a word of the field was that word. A zero between letters is the letter o in any word.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WRITTEN = """
    abdominal aberrant abnormal abnormality abnormalities absent abutment abuts addendum adenocarcinoma adenopathy adenoma adjacent
    amplified angle anterior anteriorly anterolateral anteromedial apex apical architectural area areas asymmetric asymmetry atrophic
    atypical axial axilla axillary base basal benign bilateral biopsy birads bladder bone bones bony bottom breast bulge calcification
    calcifications capsular capsule carcinoma category cavity central circumscribed clear clinical clock comparison conclusion confined
    contact contour contrast core cores correlation craniocaudal cribriform cyst cysts definite dense density diagnosis diagnostic
    diameter diffuse diffusion dimension dimensions distant distortion ductal duct early edge enhancement enhances enhancing enlarged
    enlargement epithelial equivocal estrogen evidence examination excision extension extracapsular extraprostatic extends fibroadenoma
    fibrocystic fibroglandular fibromuscular final findings focal foci focus fragment fragments gland glands glandular gleason grade
    gross group haemorrhage hemorrhage heterogeneous high history homogeneous hyperplasia hypointense hypointensity identified iliac
    image impression impressions inferior inflammation inflammatory inner internal intact intensity intermediate indication indications
    intraductal invaded invasion invasive invades involved involvement involving irregular isup large largest lateral laterally left
    lesion lesions level likert likely limited lobe lobular local location lower lymph lymphadenopathy lymphoid lymphovascular
    malignancy malignant mammogram mammography margin margins marked mass masses maximum measurement measures measuring medial medially
    metastases metastasis metastatic microcalcifications microscopic midgland middle midline mild moderate moderately multiple
    muscle necrosis negative neurovascular nipple nodal node nodes nodule nodules normal nottingham oblique obturator osseous outer
    overall parenchyma pathology pattern pelvic pelvis perineural periphery peripheral positive possible posterior posterolateral
    posteromedial present previous prior probable procedure prostate prostatectomy prostatic quadrant receptor rectal rectum region
    report restricted restriction result results right sample score scores secretory segment seminal series sharply side signal
    significant simple site size skeletal slice small smooth solid specimen specimens sphincter spiculated stable stage
    stroma stromal subareolar superior suspicion suspicious suspected symmetric systematic target targets technique tissue total
    transition transitional transrectal tubular tumor tumour ultrasound unchanged unremarkable unifocal upper urethra urinary vascular
    vesicle vesicles verified version visualised visualized volume weighted well within zone zonal
"""
_WORDS = frozenset(_WRITTEN.split())
_ALIKE = str.maketrans("015|i", "olsll")


def _form(token: str) -> str:
    return token.translate(_ALIKE).replace("rn", "m").replace("vv", "w")


_FORMS = {_form(word): word for word in sorted(_WORDS)}
_WITH_ZERO = re.compile(r"[a-z]+0[a-z0]*")
_LETTERS_OF_A_WORD = 4
_OTHER = {"prostat3": "prostate", "nornal": "normal", "lesiori": "lesion", "serninai": "seminal", "intac1": "intact", "ap3x": "apex"}
_OTHER |= {"lymphadenopalhy": "lymphadenopathy", "likeri": "likert", "retums": "returns", "adenornatous": "adenomatous"}
_OTHER |= {"rnid": "mid", "zorie": "zone"}


@lru_cache(maxsize=65536)
def misread_word(token: str) -> str | None:
    """The word that a lower-case token was before it was misread, or None where it stands for itself.

    >>> misread_word("lesi0n"), misread_word("rnidgland"), misread_word("lesion"), misread_word("b2000")
    ('lesion', 'midgland', None, None)
    """
    if token in _WORDS:
        return None
    word = _OTHER.get(token) or _FORMS.get(_form(token))
    if word is None and _WITH_ZERO.fullmatch(token) and len(token.replace("0", "")) >= _LETTERS_OF_A_WORD:
        return token.replace("0", "o")
    return word
