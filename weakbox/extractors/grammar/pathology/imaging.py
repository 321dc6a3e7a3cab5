"""Whether a text that came as pathology is an imaging report: it speaks of sequences, signal and volumes, and hardly of tissue."""

from __future__ import annotations

import re

_IMAGING = re.compile(
    r"\b(?:(?P<sequence>T2[- ]?W\w*|T2\b|T1[- ]?W\w*|DWI|ADC|DCE|diffusion|b[- ]?values?|gadolinium|contrast[- ]enhanced|mp-?MRI"
    r"|bp-?MRI|multiparametric)"
    r"|(?P<signal>(?:hypo|hyper|iso)-?(?:intens\w*|sign\w+)|signal\b|restrict\w+|early enhanc\w+|enhanc(?:es|ing|ement)|opaque)"
    r"|(?P<score>(?:PI-?\s?RADS|Likert|UCLA score)\W{0,3}(?:v?2(?:\.1)?\W{1,3})?(?:score|category)?\W{0,3}(?:[1-5X]\b|\[)|PI-?QUAL|PRECISE)"
    r"|(?P<volume>(?:prostat\w*|gland|residual gland)?\s*(?:volume|vol\.?)\W{0,6}(?:of\s+|is\s+)?(?:\d|_|\[)|\d{2,3}\s?(?:mls?|cc|cm3"
    r"|cm\^3)\b|PSA-?\s?D(?:ensity)?\b)"
    r"|(?P<anatomy>bladder wall|(?:pelvic )?lymphadenopathy|adenopathy|bone marrow|bon[ey] (?:lesions?|metasta\w+)"
    r"|neurovascular bundles?|seminal vesicles?"
    r"|extraprostatic extension|EPE|SVI|extracapsular)"
    r"|(?P<exam>MRI?\s+(?:of\s+the\s+)?(?:prostat\w+|pelvis)|prostat\w+\s+MRI?|IRM|RMN|lesion \d|target lesion \d|slice|series \d"
    r"|image \d|Tesla|[13](?:\.5)?\s?T\b"
    r"|suspicious lesions?|peripheral zone lesion|lesion in the|(?:peripheral|transition|central) zone (?:nodule|is|clear)))",
    re.IGNORECASE,
)
_TISSUE = re.compile(
    r"\b(?:microscop\w*|macroscop\w*|histolog\w*|histopatholog\w*|formalin|paraffin|cassettes?|blocks?|H&E|immuno\w*|needle|cores?"
    r"|specimens?|chips?|chippings|prostatectomy|gross description|final (?:pathologic )?diagnosis|adenocarcinoma|carcinoma"
    r"|malignancy|benign|HGPIN|PIN|ASAP"
    r"|acinar|stroma|perineural|gleason|grade group|TURP|biops\w+|tumou?r)\b|\d\s*\+\s*\d",
    re.IGNORECASE,
)
_TISSUE_ALLOWED = {2: 0, 3: 1, 4: 2, 5: 3, 6: 4}
"""How many different words of tissue an imaging report may use (history, negations), by how many kinds of imaging words it uses."""

_GATE = ("rads", "t2", "dwi", "adc", "likert", "ucla", "mri", "mr ", "irm", "rmn", "signal", "diffusion", "enhanc", "volume")
_TITLE_CHARACTERS = 100


def is_imaging_report(text: str) -> bool:
    """Whether words of imaging prevail; the history of an MRI may name a biopsy, and a biopsy report its MRI target."""
    lower = text.lower()
    if not any(word in lower for word in _GATE):
        return False
    kinds = {match.lastgroup for match in _IMAGING.finditer(text)}
    if len(kinds) < min(_TISSUE_ALLOWED):
        return False
    tissue = {match[0].lower() for match in _TISSUE.finditer(text)}
    is_titled = any(match.lastgroup == "exam" for match in _IMAGING.finditer(text, 0, _TITLE_CHARACTERS))
    return len(tissue) <= _TISSUE_ALLOWED[len(kinds)] + (2 if is_titled else 0)
