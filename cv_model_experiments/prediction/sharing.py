"""Which models look at which images: those of a fold's validation part are for its model alone, since the others were trained on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from cv_model_experiments.data.rows import TEST, VALIDATION
from cv_model_experiments.prediction.settings import InferenceSettings
from weakbox.records.image_set import ImageRow


class OfFold(Protocol):
    """A trained model."""

    @property
    def fold(self) -> int | None:
        """The fold that it was not trained on; None for a model without folds."""
        ...


Model = TypeVar("Model", bound=OfFold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(Generic[Model]):
    """Images that the same models look at."""

    models: tuple[Model, ...]
    fold: int | None
    """Of images out of a fold; None where all models look."""
    rows: tuple[ImageRow, ...]


def shares_of(models: Sequence[Model], rows: Iterable[ImageRow], settings: InferenceSettings) -> tuple[Share[Model], ...]:
    """The images of the chosen parts, by ``image_id``, with the models that may look at them.

    With models of folds, ``validation`` is every image of these folds, whichever part of the set it is in.
    """
    ordered = sorted((row for row in rows if row.split is not None), key=lambda row: row.image_id)
    folds = sorted({model.fold for model in models if model.fold is not None}) if settings.out_of_fold else []
    shares = []
    for fold in folds if VALIDATION in settings.parts else ():
        own = tuple(replace(row, split=VALIDATION) for row in ordered if row.split != TEST and row.fold == fold)
        shares.append(Share(models=tuple(model for model in models if model.fold == fold), fold=fold, rows=own))
    rest = tuple(row for row in ordered if row.split in settings.parts and (row.split == TEST or row.fold not in folds))
    shares.append(Share(models=tuple(models), fold=None, rows=rest))
    return tuple(share for share in shares if share.rows)
