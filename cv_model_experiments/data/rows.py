"""Which rows of a set train, validate and test: by patient-wise folds of the manifest, or by its parts. Never by image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cv_model_experiments.settings import SetSettings
from weakbox.exporters.image_manifest import CSV_NAME, PARQUET_NAME, read_manifest
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageRow
from weakbox.records.record import record
from weakbox.runtime.nearest import nearest_name

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)


@record
class DividedRows:
    """The rows of one training run."""

    train: tuple[ImageRow, ...]
    validation: tuple[ImageRow, ...]
    test: tuple[ImageRow, ...]
    fold: int | None = None

    def of(self, part: str) -> tuple[ImageRow, ...]:
        """The rows of a part, by its name."""
        rows: tuple[ImageRow, ...] = getattr(self, part)
        return rows


def manifest_path(folder: Path) -> Path:
    """The manifest of a set.

    Raises:
        InputError: there is none.
    """
    for name in (PARQUET_NAME, CSV_NAME):
        if (folder / name).is_file():
            return folder / name
    msg = f"{folder}: no {PARQUET_NAME}; set.folder is the folder of a finished set, such as output/dataset of a run"
    raise InputError(msg)


def read_rows(settings: SetSettings) -> list[ImageRow]:
    """The rows that the settings choose, by ``image_id``. Rows in no part are left out.

    Raises:
        InputError: no manifest, a name that no row has, or nothing left.
    """
    rows = [row for row in read_manifest(manifest_path(settings.folder)) if row.split in PARTS]
    columns: tuple[tuple[str, tuple[str, ...], Callable[[ImageRow], str]], ...] = (
        ("datasets", settings.datasets, lambda row: row.dataset),
        ("organs", settings.organs, lambda row: row.organ),
        ("modalities", settings.modalities, lambda row: row.modality),
    )
    for name, wanted, value in columns:
        rows = _only(rows, name, wanted, value)
    if not rows:
        msg = f"{settings.folder}: no image is left; set.datasets, set.organs and set.modalities choose none that has a part"
        raise InputError(msg)
    return sorted(rows, key=lambda row: row.image_id)


def _only(rows: list[ImageRow], name: str, wanted: tuple[str, ...], value: Callable[[ImageRow], str]) -> list[ImageRow]:
    if not wanted:
        return rows
    known = {value(row) for row in rows}
    for one in wanted:
        if one not in known:
            msg = f"set.{name}: no image is of {one!r}{nearest_name(one, known)} (there are: {', '.join(sorted(known))})"
            raise InputError(msg)
    return [row for row in rows if value(row) in wanted]


def folds_of(rows: Iterable[ImageRow]) -> tuple[int, ...]:
    """The folds that the manifest names."""
    return tuple(sorted({row.fold for row in rows if row.fold is not None}))


def chosen_folds(rows: Sequence[ImageRow], wanted: str | tuple[int, ...]) -> tuple[int | None, ...]:
    """The runs to make: one without a fold, or one a fold.

    Raises:
        InputError: the manifest has no such fold.
    """
    if wanted == "none":
        return (None,)
    known = folds_of(rows)
    if len(known) < 2:
        msg = "folds: this set has no folds; set curation.split.folds to 5 and export again, or train with `folds: none`"
        raise InputError(msg)
    if isinstance(wanted, str):
        return known
    missing = sorted(set(wanted) - set(known))
    if missing:
        msg = f"folds: the manifest has the folds {', '.join(map(str, known))}, not {', '.join(map(str, missing))}"
        raise InputError(msg)
    return tuple(wanted)


def divide(rows: Sequence[ImageRow], settings: SetSettings, fold: int | None) -> DividedRows:
    """Training, validation and test rows.

    With a fold, its rows validate and those of all other folds train, whether the set calls them train or validation; test
    rows never move. Patients were put into folds whole, which is checked here again.

    Raises:
        InputError: a patient or group in two parts, no training rows, or no validation rows.
    """
    parts: dict[str, list[ImageRow]] = {part: [] for part in PARTS}
    for row in rows:
        part = _part(row, fold)
        tiers = settings.tiers if part == TRAIN else settings.evaluation_tiers
        if part is not None and (not tiers or row.tier in tiers):
            parts[part].append(row)
    check_nothing_leaks(parts)
    for part, remedy in _REMEDIES.items():
        if not parts[part]:
            place = f"fold {fold}" if fold is not None else "this set"
            msg = f"{settings.folder}: the {part} part of {place} is empty; {remedy}"
            raise InputError(msg)
    train, validation, test = (tuple(parts[part]) for part in PARTS)
    return DividedRows(train=train, validation=validation, test=test, fold=fold)


_REMEDIES = {
    TRAIN: "widen set.tiers and set.datasets, or export with a larger training share",
    VALIDATION: "without it no epoch can be chosen: export with curation.split.validation > 0, use `folds`, or widen set.evaluation_tiers",
}


def _part(row: ImageRow, fold: int | None) -> str | None:
    if row.split == TEST or fold is None:
        return row.split
    if row.fold is None:
        return None
    return VALIDATION if row.fold == fold else TRAIN


def check_nothing_leaks(parts: dict[str, list[ImageRow]]) -> None:
    """Raise where a patient or a group lies in two parts. Names no patient.

    Raises:
        InputError: with the number of patients and groups, and the parts.
    """
    for first, second in ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)):
        shared = _holders(parts[first]) & _holders(parts[second])
        if shared:
            msg = (
                f"{len(shared)} patients or groups are in {first} and in {second}; numbers measured so would be worthless: "
                "export again (curation divides by patient), and do not edit the columns `split` and `fold`"
            )
            raise InputError(msg)


def _holders(rows: Iterable[ImageRow]) -> set[tuple[str, str]]:
    found = set()
    for row in rows:
        found.add(("patient", f"{row.dataset}\n{row.patient_id}"))
        if row.group is not None:
            found.add(("group", row.group))
    return found
