"""The joined set: the cohort's own cases and those of public sets, without copies, in parts that share no patient, described."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weakbox.audit.image_set import SetDescription
    from weakbox.audit.image_set_page import SourceCard
    from weakbox.datasets_public.dataset import DatasetCard
    from weakbox.records.artifact import ExportedCase
    from weakbox.records.case import LedgerEntry
    from weakbox.records.image_set import ImageRow
    from weakbox.records.label import CuratedCase
    from weakbox.runtime.config import Configuration
    from weakbox.runtime.executors.executor import Executor
    from weakbox.runtime.store import Store

MANIFEST = "images.parquet"
KEY_FILE = "joined_set.json"
LEFT_OUT = "left_out.csv"
DUPLICATES = "duplicates.csv"
DATA_CARD = "data_card.md"
CROISSANT = "croissant.json"
LEDGER = "public_ledger.csv"
LOSSES = frozenset(
    {"export_failed", "malformed_file", "malformed_row", "no_image", "no_reference_image", "no_volume", "truncated", "unreadable"}
)
"""Reasons of dropped rows for which a public set is incomplete, with all that begin with ``unreadable_``: what was there is damaged."""


def build_joined_set(configuration: Configuration, own: Store, public: Store, identities: Any, executor: Executor) -> None:
    """Write the manifest, what was left out, augmented copies, the card and the lock, unless all lie there from the same records.

    Raises:
        InputError: public sets were asked for, and not one image is left.
        LeakageError: something crosses the parts; the set must not be used.
    """
    from weakbox.runtime.store import write_text

    folder = configuration.output.dataset
    write_public_ledger(configuration, public)
    key = _key(configuration, own, public, identities)
    before = public.folder.parent / KEY_FILE
    if _is_current(before, key, folder):
        return
    before.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    remove_stale_images(public, folder)
    ledger: list[LedgerEntry] = []
    rows = (row for store in (own, public) for row in classified_rows(store, configuration.labels.policy, identities, ledger))
    counts = _curate_and_write(rows, configuration, folder, ledger)
    write_augmented(configuration, folder, executor)
    describe_set(configuration, folder, counts)
    if configuration.inputs.public is not None and not counts["images"]:
        raise_empty(configuration, public, ledger)
    write_text(before, json.dumps({"key": key, **counts}, indent=1, sort_keys=True) + "\n")


def _key(configuration: Configuration, own: Store, public: Store, identities: Any) -> str:
    from weakbox.runtime.digests import code_digest, optional_file_digest
    from weakbox.runtime.store import digest_of

    digests = [
        store.digest(stage, shard)
        for store in (own, public)
        for stage in ("postprocessing", "export")
        for shard in range(store.shards)
        if store.manifest(stage, shard) is not None
    ]
    return digest_of(
        digests,
        configuration.labels.policy.model_dump_json(),
        configuration.curation.model_dump_json(),
        optional_file_digest(configuration.curation.split.earlier) if configuration.curation.split.earlier else "",
        configuration.export.images.model_dump_json(),
        configuration.labels.dataset,
        identities.digest(),
        code_digest("export.py"),
    )


def _is_current(before: Path, key: str, folder: Path) -> bool:
    from weakbox.curation.registry import LOCK_NAME

    if not before.is_file() or not all((folder / name).is_file() for name in (MANIFEST, LOCK_NAME)):
        return False
    return bool(json.loads(before.read_text(encoding="utf-8")).get("key") == key)


def classified_rows(store: Store, policy: Any, identities: Any, ledger: list[LedgerEntry]) -> Iterator[ImageRow]:
    """Rows of everything that was exported, with their classes. What the policy leaves out goes to ``ledger``."""
    from weakbox.labelling.image_classes import classified
    from weakbox.records.image_set import ConvertedCase
    from weakbox.records.label import CuratedCase

    for shard in range(store.shards):
        if store.manifest("export", shard) is None:
            continue
        exported = {record.case_id: record for record in store.read("export", shard)}
        for case in store.read("postprocessing", shard):
            made = exported.get(case.case_id) if isinstance(case, CuratedCase) else None
            if made is None:
                continue
            rows = made.rows if isinstance(made, ConvertedCase) else _own_rows(case, made, identities)
            kept, dropped = classified(case, rows, policy)
            ledger += dropped
            yield from kept if isinstance(made, ConvertedCase) else _with_research_names(case, kept, identities)


def _own_rows(case: CuratedCase, made: ExportedCase, identities: Any) -> tuple[ImageRow, ...]:
    from weakbox.exporters.set_rows import volume_row

    row = volume_row(case, identities.identity(case.patient_id, case.case_id), made.artifacts)
    return () if row is None else (row,)


def _with_research_names(case: CuratedCase, rows: Iterable[ImageRow], identities: Any) -> Iterator[ImageRow]:
    from weakbox.exporters.preparing import research_label_ids
    from weakbox.exporters.set_rows import with_label_names

    names = research_label_ids(case, identities.identity(case.patient_id, case.case_id))
    known = {label.label_id: name for label, name in zip(case.labels, names, strict=True)}
    return (with_label_names(row, known) for row in rows)


def _curate_and_write(rows: Iterable[ImageRow], configuration: Configuration, folder: Path, ledger: list[LedgerEntry]) -> dict[str, int]:
    from weakbox.curation.curate import curate, earlier_parts
    from weakbox.curation.leakage import check_leakage
    from weakbox.curation.tables import write_duplicates, write_shares
    from weakbox.exporters.image_coco import write_coco
    from weakbox.exporters.image_manifest import read_manifest, write_manifest
    from weakbox.runtime.store import write_text

    settings = configuration.curation
    earlier = earlier_parts(read_manifest(settings.split.earlier)) if settings.split.earlier else None
    with closing(curate(rows, settings, earlier=earlier, workspace=_workspace(configuration))) as made:
        write_manifest(made.rows, folder)
        write_duplicates(made.duplicates, folder)
        write_shares(made.shares, folder)
        ledger += made.ledger
        write_text(folder / LEFT_OUT, _left_out_table(ledger))
        copies = sum(row.duplicate_of is not None for row in made.left_out)
    check_leakage(read_manifest(folder / MANIFEST), settings.duplicates.near_distance)
    for stale in folder.glob("images.*.coco.json"):
        stale.unlink()
    write_coco(folder / MANIFEST, folder)
    return {"images": made.count, "left_out": made.left_out_count, "copies": copies}


def _left_out_table(ledger: Iterable[LedgerEntry]) -> str:
    rows = sorted((entry.stage, entry.kind, entry.item_id, entry.outcome.value, entry.reason, entry.detail) for entry in ledger)
    return _csv(("stage", "kind", "item", "outcome", "reason", "detail"), rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _workspace(configuration: Configuration) -> Path:
    """An empty folder for what curation spills; what a killed run left there goes."""
    import shutil

    path = Path(configuration.output.folder) / "cache" / "curation"
    if path.is_dir():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


def raise_empty(configuration: Configuration, public: Store, ledger: Iterable[LedgerEntry]) -> None:
    """An empty set is no success: say what left everything out.

    Raises:
        InputError: always.
    """
    from weakbox.records.case import Outcome
    from weakbox.records.errors import InputError

    reasons = Counter(entry.reason for entry in (*ledger, *public.ledger()) if entry.outcome is Outcome.DROPPED)
    said = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "nothing was exported"
    places = f"{configuration.output.dataset / LEFT_OUT} and {configuration.output.private / LEDGER}"
    msg = f"no image is left in the joined set ({said}); {places} name each; see labels.policy, labels.tiers and the sets' files"
    raise InputError(msg)


def write_public_ledger(configuration: Configuration, public: Store) -> None:
    """Every row and file of public sets that was not used, or only with a remark; an earlier table goes where there are none."""
    from weakbox.audit.ledger_table import write_ledger

    path = configuration.output.private / LEDGER
    if configuration.inputs.public is None:
        path.unlink(missing_ok=True)
    else:
        write_ledger(public, path)


def remove_stale_images(public: Store, folder: Path) -> None:
    """Remove files below ``public/`` that no record of this run names."""
    root = folder / "public"
    if not root.is_dir():
        return
    kept = {artifact.path for record in public.read_all("export") for artifact in record.artifacts}
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in kept:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def write_augmented(configuration: Configuration, folder: Path, executor: Executor) -> None:
    """Augmented copies of the training images in ``augmented/``, with a manifest of their own; an earlier folder goes.

    Raises:
        InputError: an exported image cannot be read.
    """
    import shutil

    from weakbox.exporters.augmented_images import FOLDER, Augmenter, is_augmentable
    from weakbox.exporters.image_manifest import read_manifest, write_manifest
    from weakbox.runtime.executors.executor import ItemError
    from weakbox.runtime.stage import raise_item_error

    target = folder / FOLDER
    if target.is_dir():
        shutil.rmtree(target)
    copies = configuration.export.images.augmented_copies
    if not copies:
        return

    def made() -> Iterator[ImageRow]:
        training = (row for row in read_manifest(folder / MANIFEST) if is_augmentable(row))
        for result in executor.map(Augmenter(folder=folder, copies=copies), training, description="Augmenting"):
            if isinstance(result, ItemError):
                raise_item_error("augmented copies", result)
            else:
                yield from result

    write_manifest(made(), target)


# Description ----------------------------------------------------------------------------------------------------------


def describe_set(configuration: Configuration, folder: Path, counts: Mapping[str, int]) -> None:
    """Data card, Croissant metadata and, last, the lock of every file."""
    from weakbox.audit.image_set import describe, frame_of, warnings_of
    from weakbox.audit.image_set_page import write_data_card
    from weakbox.curation.registry import write_lock
    from weakbox.exporters.image_manifest import read_manifest

    frame = frame_of(read_manifest(folder / MANIFEST))
    if frame.empty:
        write_lock(folder, _lock_cache(configuration))
        return
    description = describe(frame, counts["copies"])
    sources = source_cards(frame, configuration)
    name = configuration.labels.dataset
    version = set_version(folder)
    write_data_card(
        folder / DATA_CARD,
        description,
        name=name,
        version=version,
        sources=sources,
        warnings=warnings_of(description),
        left_out=left_out_counts(folder),
        policy=configuration.labels.policy.model_dump(mode="json"),
        settings=configuration.curation.model_dump(mode="json"),
    )
    write_croissant(folder, name, version, sources, description)
    write_lock(folder, _lock_cache(configuration))


def _lock_cache(configuration: Configuration) -> Path:
    return Path(configuration.output.folder) / "cache" / "lock_digests.json"


def set_version(folder: Path) -> str:
    """The set's version: a digest of its manifest, which names every image by the digest of its bytes."""
    from weakbox.runtime.digests import optional_file_digest

    return optional_file_digest(folder / MANIFEST)[:16]


def left_out_counts(folder: Path) -> dict[str, int]:
    """Reason -> items that were left out of the set."""
    with (folder / LEFT_OUT).open(encoding="utf-8", newline="") as file:
        return dict(sorted(Counter(row["reason"] for row in csv.DictReader(file) if row["outcome"] == "dropped").items()))


def source_cards(frame: Any, configuration: Configuration) -> tuple[SourceCard, ...]:
    """Who is in the set: public sets by their cards, and the cohort of one's own."""
    from weakbox.audit.image_set_page import SourceCard
    from weakbox.datasets_public.searching import dataset_names, load_dataset

    cards = []
    for name, part in frame.groupby("dataset", sort=True):
        card = load_dataset(str(name)).card if name in dataset_names() else None
        images, patients = len(part), int(part["patient_id"].nunique())
        cards.append(_public_card(card, images, patients) if card else _own_card(SourceCard, str(name), images, patients))
    return tuple(cards)


def _public_card(card: DatasetCard, images: int, patients: int) -> SourceCard:
    from weakbox.audit.image_set_page import SourceCard

    return SourceCard(
        title=card.title,
        licence=card.licence,
        licence_url=card.licence_url,
        citation=card.citation,
        homepage=card.homepage,
        label_basis=card.label_basis,
        access=card.access.value,
        images=images,
        patients=patients,
    )


def _own_card(kind: type[SourceCard], name: str, images: int, patients: int) -> SourceCard:
    return kind(
        title=name,
        licence="not stated: the cohort's own terms",
        licence_url="",
        citation="",
        homepage="",
        label_basis="reports, pathology and biopsy coordinates (see the column tier)",
        access="its owner decides",
        images=images,
        patients=patients,
    )


_KINDS = {"int64": "int", "double": "float"}


def write_croissant(folder: Path, name: str, version: str, sources: Sequence[SourceCard], description: SetDescription) -> None:
    """Croissant metadata of the manifest."""
    from weakbox.audit.croissant import SetFile, croissant
    from weakbox.exporters.image_manifest import CSV_NAME, SCHEMA
    from weakbox.runtime.digests import optional_file_digest
    from weakbox.runtime.store import write_text

    path = folder / CSV_NAME
    table = SetFile(name=CSV_NAME, content_type="text/csv", sha256=optional_file_digest(path), bytes=path.stat().st_size)
    plain = [{key: getattr(source, key) for key in ("title", "licence", "licence_url", "citation", "homepage")} for source in sources]
    about = f"{description.images} images of {description.patients} patients with {description.boxes} boxes, from {len(sources)} sources."
    content = croissant(
        name,
        version=version,
        description=about,
        sources=plain,
        table=table,
        columns={field.name: _KINDS.get(str(field.type), "text") for field in SCHEMA},
    )
    write_text(folder / CROISSANT, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_report(configuration: Configuration) -> Path:
    """Figures and the HTML page of the joined set, in ``report/`` of the run's folder.

    Raises:
        InputError: the set was not built yet.
    """
    from weakbox.audit.image_set import describe, frame_of, warnings_of
    from weakbox.audit.image_set_figures import chosen_examples, write_set_figures
    from weakbox.audit.image_set_page import write_page
    from weakbox.exporters.image_manifest import read_manifest
    from weakbox.records.errors import InputError

    folder = configuration.output.dataset
    state = configuration.output.public.parent / KEY_FILE
    if not (folder / MANIFEST).is_file() or not state.is_file():
        msg = f"{folder / MANIFEST}: the set was not built yet; run `main.py --config ...` first"
        raise InputError(msg)
    copies = int(json.loads(state.read_text(encoding="utf-8"))["copies"])
    frame = frame_of(read_manifest(folder / MANIFEST))
    description = describe(frame, copies)
    target = configuration.output.folder / "report"
    shown = chosen_examples(read_manifest(folder / MANIFEST))
    pictures = write_set_figures(frame, shown, description, folder, target / "figures")
    page = target / "report.html"
    write_page(
        page,
        description,
        name=configuration.labels.dataset,
        version=set_version(folder),
        pictures=pictures,
        sources=source_cards(frame, configuration),
        warnings=warnings_of(description),
        left_out=left_out_counts(folder),
    )
    return page


def print_joined_set(configuration: Configuration, public: Store) -> bool:
    """The set's parts and classes, and where it lies. Returns whether everything of the public sets could be used."""
    from rich.console import Console
    from rich.table import Table

    from weakbox.exporters.image_manifest import read_manifest
    from weakbox.records.case import Outcome

    folder = configuration.output.dataset
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in read_manifest(folder / MANIFEST):
        counts[row.dataset, row.split or "-", row.label or "no class"] += 1
    table = Table("data set", "part", "class", "images", title="Joined set", title_justify="left", box=None)
    for key, count in sorted(counts.items()):
        table.add_row(*key, f"{count:,}")
    console = Console()
    console.print(table)
    entries = [entry for entry in public.ledger(("reading", "postprocessing", "export")) if entry.outcome is Outcome.DROPPED]
    reasons = Counter(entry.reason for entry in entries)
    if reasons:
        console.print("public sets, not used: " + ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())))
        console.print(f"each by name: {configuration.output.private / LEDGER}", soft_wrap=True)
    console.print(f"[bold]{folder / MANIFEST}[/] and images.csv; {DATA_CARD}; left out: {LEFT_OUT}, {DUPLICATES}", soft_wrap=True)
    return not any(is_loss(entry) for entry in entries)


def is_loss(entry: LedgerEntry) -> bool:
    """Whether a dropped row speaks of something damaged, rather than of what is absent or was never meant to be used."""
    is_broken_dicom = entry.reason in ("not_dicom", "not_image") and entry.item_id.lower().endswith((".dcm", ".dicom"))
    return entry.reason in LOSSES or entry.reason.startswith("unreadable_") or is_broken_dicom
