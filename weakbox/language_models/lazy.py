"""A model that is opened when something must really be asked of it: where all answers are known, no weights are loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from weakbox.language_models.interface import Answer, Choice, LanguageModel, Question, Request


class LazyModel:
    """Stands for a model until it is needed, under the digest that is known of it.

    ``facts`` says what is known without opening (options, names and times of the files): under the same facts the digest of
    last time is taken. ``digest_of`` computes it where none is known; without it the model is opened for that.
    """

    def __init__(self, name: str, facts: str, opened: Callable[[], LanguageModel], digest_of: Callable[[], str] | None = None) -> None:
        self.name = name
        self.facts = facts
        self.known_digest: str | None = None
        self._open = opened
        self._digest_of = digest_of
        self._model: LanguageModel | None = None

    @property
    def digest(self) -> str:
        """The opened model's; before, the known or computed one."""
        if self._model is not None:
            return self._model.digest
        if self.known_digest is None:
            self.known_digest = self._digest_of() if self._digest_of is not None else self.opened().digest
        return self.known_digest

    @property
    def is_open(self) -> bool:
        """Whether the model was needed."""
        return self._model is not None

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the opened model; none before."""
        return dict(getattr(self._model, "settings", {}))

    def opened(self) -> LanguageModel:
        """The model itself.

        Raises:
            ConfigurationError: it cannot be used.
        """
        if self._model is None:
            self._model = self._open()
        return self._model

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """As the model does."""
        yield from self.opened().answer(requests)

    def choose(self, questions: Sequence[Question]) -> Iterator[Choice]:
        """As the model does."""
        yield from self.opened().choose(questions)

    def close(self) -> None:
        """Free the model, where it was opened."""
        if self._model is not None:
            self._model.close()
