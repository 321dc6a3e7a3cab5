"""presidio's recognisers of numbered identities (extra ``deid``), on a blank spaCy pipeline: no model, nothing is downloaded.

Imported late: presidio takes seconds to load. Its e-mail and URL recognisers are left out, because they ask the network for
the list of domains; ours need none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import spacy
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry
from presidio_analyzer import predefined_recognizers as predefined
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from weakbox.text.deidentify_detection import Detection, PhiKind
from weakbox.text.deidentify_words import phi_words

NAME = "presidio"
LANGUAGE = "en"
"""presidio registers recognisers by language; ours all run on every text, under one name."""
LOWEST_SCORE = 0.5
_SURE_SCORE = 0.99
_RECOGNISERS = {
    "IbanRecognizer": PhiKind.ID,
    "CreditCardRecognizer": PhiKind.ID,
    "IpRecognizer": PhiKind.URL,
    "MacAddressRecognizer": PhiKind.ID,
    "PhoneRecognizer": PhiKind.PHONE,
    "UsSsnRecognizer": PhiKind.NATIONAL_ID,
    "UsMbiRecognizer": PhiKind.NATIONAL_ID,
    "UsNpiRecognizer": PhiKind.NATIONAL_ID,
    "NhsRecognizer": PhiKind.NATIONAL_ID,
    "EsNifRecognizer": PhiKind.NATIONAL_ID,
    "EsNieRecognizer": PhiKind.NATIONAL_ID,
    "SePersonnummerRecognizer": PhiKind.NATIONAL_ID,
    "DeHealthInsuranceRecognizer": PhiKind.NATIONAL_ID,
    "DeTaxIdRecognizer": PhiKind.NATIONAL_ID,
    "DeSocialSecurityRecognizer": PhiKind.NATIONAL_ID,
    "DeLanrRecognizer": PhiKind.NATIONAL_ID,
}
"""presidio's class -> our kind. A class that an older presidio lacks is passed over."""


class BlankNlpEngine(NlpEngine):
    """Words only, from spaCy's blank pipeline; what presidio needs to see the words around a number."""

    engine_name = "blank"
    is_available = True

    def __init__(self) -> None:
        self._pipeline: Any = None

    def load(self) -> None:
        """Make the pipeline; no file is read."""
        self._pipeline = spacy.blank(LANGUAGE)

    def is_loaded(self) -> bool:
        """Whether ``load`` was called."""
        return self._pipeline is not None

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """The words of a text, in lower case as their lemmas."""
        document = self._pipeline.make_doc(text)
        lemmas = [token.lower_ for token in document]
        return NlpArtifacts([], document, [token.idx for token in document], lemmas, self, language, scores=[])

    def process_batch(
        self, texts: Iterable[str], language: str, batch_size: int = 1, n_process: int = 1, **options: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        """``process_text`` on each."""
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:
        """Whether spaCy counts it as one."""
        return bool(self._pipeline.vocab[word].is_stop)

    def is_punct(self, word: str, language: str) -> bool:
        """Whether it is punctuation."""
        return bool(self._pipeline.vocab[word].is_punct)

    def get_supported_entities(self) -> list[str]:
        """None: it names no entities."""
        return []

    def get_supported_languages(self) -> list[str]:
        """The one name under which all recognisers run."""
        return [LANGUAGE]


@cache
def _engine() -> tuple[AnalyzerEngine, dict[str, PhiKind]]:
    registry = RecognizerRegistry(recognizers=[], supported_languages=[LANGUAGE])
    kinds: dict[str, PhiKind] = {}
    for name, kind in _RECOGNISERS.items():
        made = getattr(predefined, name, None)
        if made is None:
            continue
        recogniser: EntityRecognizer = made(supported_language=LANGUAGE)
        kinds.update(dict.fromkeys(recogniser.supported_entities, kind))
        registry.add_recognizer(recogniser)
    engine = BlankNlpEngine()
    engine.load()
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[LANGUAGE]), kinds


def find_by_presidio(text: str) -> Iterator[Detection]:
    """What presidio finds with at least ``LOWEST_SCORE``; names of scores and signs are allowed words."""
    engine, kinds = _engine()
    results = engine.analyze(text, LANGUAGE, entities=sorted(kinds), score_threshold=LOWEST_SCORE, allow_list=sorted(phi_words().eponyms))
    for result in sorted(results, key=lambda found: (found.start, found.end, found.entity_type)):
        yield Detection(result.start, result.end, kinds[result.entity_type], NAME, result.score >= _SURE_SCORE)
