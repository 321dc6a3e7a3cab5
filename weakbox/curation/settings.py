"""What a run decides about duplicates, parts and balance: the section ``curation`` of ``configs.yaml``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from weakbox.runtime.config import Settings


class Sameness(StrEnum):
    """Why two images are taken for one, surest first."""

    LISTED = "listed_duplicate"
    """The set's authors say so."""
    IDENTIFIER = "same_identifier"
    PIXELS = "same_pixels"
    SOURCE = "same_source_file"
    EXPORTED = "same_exported_file"
    NEAR = "near_duplicate"
    """Perceptual hashes that differ in a few bits only."""


class DuplicateSettings(Settings):
    """Which images are one, and which copy stays."""

    drop: tuple[Sameness, ...] = Field(
        default=(Sameness.LISTED, Sameness.IDENTIFIER, Sameness.PIXELS, Sameness.SOURCE, Sameness.EXPORTED),
        description="What makes two images one, of which one copy stays; any other sameness only keeps them in one part.",
    )
    near_distance: int = Field(
        default=3, ge=-1, le=3, description="Bits in which perceptual hashes of near-duplicates differ at most; -1 looks for none."
    )
    largest_near_cluster: int = Field(
        default=50,
        ge=2,
        description="A chain of more near-duplicates than this is a look, not a copy: for its images the distance is lowered "
        "until it falls apart.",
    )
    prefer: tuple[str, ...] = Field(
        default=(),
        description="Data sets whose copy stays, best first. "
        "Then: a copy with a class, one of an official test part, the better tier, more boxes, the smaller `image_id`.",
    )


class SplitSettings(Settings):
    """How groups of patients, lesions and duplicates are divided, by a hash of their name."""

    validation: float = Field(default=0.15, ge=0, lt=1, description="Expected share of the groups in the validation part.")
    test: float = Field(default=0.15, ge=0, lt=1, description="Expected share of the groups in the test part.")
    seed: int = Field(default=0, description="Another seed is another division.")
    folds: int = Field(default=5, ge=0, le=100, description="Folds over training and validation part together; 0 or 1 makes none.")
    official: Literal["complete", "always", "never"] = Field(
        default="complete",
        description="Honour the sets' own splits: of sets that bring a test part (`complete`), `always`, or `never`. "
        "Official test stays test, official training is divided into training and validation.",
    )
    earlier: Path | None = Field(default=None, description="Manifest of an earlier version of the set: nobody in it moves to another part.")
    hold_out: tuple[str, ...] = Field(default=(), description="Data sets that are test as a whole.")

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.validation + self.test >= 1:
            msg = f"validation ({self.validation}) and test ({self.test}) leave nothing for training"
            raise ValueError(msg)
        return self


class BalanceSettings(Settings):
    """How classes are balanced, in the training part only."""

    mode: Literal["none", "weights", "oversample", "undersample"] = Field(
        default="none",
        description="`weights`: inverse class frequency; `oversample`: rare classes are shown more often; "
        "`undersample`: frequent classes are thinned out.",
    )
    within: Literal["set", "organ", "dataset"] = Field(
        default="organ", description="Where the classes are balanced: over everything, within each organ, or within each data set."
    )
    ratio: float = Field(
        default=1.0, gt=0, le=1, description="Of the rarest to the most frequent class after over- or under-sampling; 1 makes them equal."
    )
    most_copies: int = Field(default=20, ge=1, description="No image is shown more often than this in an epoch.")


class CurationSettings(Settings):
    """What makes the joined set one: duplicates, parts, balance."""

    duplicates: DuplicateSettings = Field(default_factory=DuplicateSettings, description="Which images are one, and which copy stays.")
    split: SplitSettings = Field(default_factory=SplitSettings, description="Training, validation and test part.")
    balance: BalanceSettings = Field(default_factory=BalanceSettings, description="Balance of classes in the training part.")
