"""An index of the DICOM images in a folder tree: one table, one row an image (or a frame that has its own position).

Files are found whatever their names and layout, headers are read in parallel, and the table is kept as Parquet: a second
run opens only files whose size or modification time changed. Nothing is lost silently: every file that is not in the table
is a ledger entry with its reason.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from weakbox.imaging.byte_source import MemberBytes
from weakbox.imaging.csa import CSA_NUMBERS
from weakbox.imaging.header import read_headers, read_headers_from
from weakbox.imaging.header_fields import PRIVATE_FIELDS, STANDARD_FIELDS, Kind
from weakbox.imaging.header_reading import Header, HeaderReading, SkipReason
from weakbox.records.case import LedgerEntry, Outcome
from weakbox.records.errors import InputError

CHUNK_FILES = 256
"""Files a worker reads at a time: about a tenth of a second of work."""
MEMBER_MARK = "!"
"""Between the path of an archive and the path of its member."""

_TYPES = {Kind.TEXT: pa.string(), Kind.INTEGER: pa.int64(), Kind.NUMBER: pa.float64(), Kind.NUMBERS: pa.list_(pa.float64())}
_FILE_COLUMNS = [
    ("path", pa.string()),
    ("file", pa.string()),
    ("size", pa.int64()),
    ("mtime_ns", pa.int64()),
    ("skipped", pa.string()),
    ("skip_detail", pa.string()),
]
_REPLACED = ("patient_age", "patient_birth_date", "siemens_csa_image")
_DERIVED = [
    ("patient_age_years", pa.float64()),
    ("acquisition_contrast", pa.string()),
    ("frame", pa.int64()),
    *((name, pa.list_(pa.float64()) if name == "csa_slice_normal" else pa.float64()) for name in CSA_NUMBERS),
]
SCHEMA = pa.schema(
    [
        *_FILE_COLUMNS,
        *((field.name, _TYPES[field.kind]) for field in (*STANDARD_FIELDS, *PRIVATE_FIELDS) if field.name not in _REPLACED),
        *_DERIVED,
    ]
)
_VERSION = hashlib.sha256(f"1 {SCHEMA}".encode()).hexdigest()[:16].encode()
"""Changes with the columns, so that an older cache is read anew. Raise the number when a value's meaning changes."""
_HEADER_COLUMNS = SCHEMA.names[len(_FILE_COLUMNS) :]
_ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
"""What ``zipfile`` raises on damaged members, unknown compression and encryption (RuntimeError)."""


class Mapper(Protocol):
    """What is needed of an executor (``weakbox.runtime.executors``): results in order, errors as values that are no tables."""

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], *, description: str = "", total: int | None = None
    ) -> Iterator[Any]:
        """One result for each item, in order."""
        ...


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below the root: its path relative to it (POSIX form), and what tells whether it changed."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class DicomIndex:
    """The images found (columns: ``SCHEMA``), sorted by path and frame, and what was left out.

    ``opened`` counts the files that had to be read; the others came from the cache.
    """

    root: Path
    table: pa.Table
    ledger: tuple[LedgerEntry, ...]
    opened: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    root: str
    files: tuple[FoundFile, ...]


def index_folder(root: Path, executor: Mapper, cache_folder: Path) -> DicomIndex:
    """Index every file below ``root``; symbolic links are followed once, archives (``.zip``) are looked into.

    Raises:
        InputError: ``root`` is no folder.
    """
    if not root.is_dir():
        msg = f"{root}: expected a folder with DICOM files; correct the path"
        raise InputError(msg)
    found, ledger = _find_files(root, cache_folder)
    cache_path = cache_folder / f"dicom_index-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]}.parquet"
    cached = _read_cache(cache_path)
    kept, changed = _split_unchanged(cached, found)
    tables = [kept, *_read_files(root, changed, executor)]
    table = pa.concat_tables(tables).sort_by([("path", "ascending"), ("frame", "ascending")])
    if changed or kept.num_rows != cached.num_rows:
        _write_cache(table, cache_path)
    images, left_out = _separate(table)
    return DicomIndex(root=root, table=images, ledger=(*ledger, *left_out), opened=len(changed))


def _find_files(root: Path, cache_folder: Path) -> tuple[list[FoundFile], list[LedgerEntry]]:
    found: list[FoundFile] = []
    ledger: list[LedgerEntry] = []
    visited = {cache_folder.resolve()}
    _scan(root, "", visited, found, ledger)
    return found, ledger


def _scan(folder: Path, prefix: str, visited: set[Path], found: list[FoundFile], ledger: list[LedgerEntry]) -> None:
    """Collect the files of one folder and those below, in the order of their names; each real folder once."""
    real = folder.resolve()
    if real in visited:
        return
    visited.add(real)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        ledger.append(_entry(prefix or ".", SkipReason.UNREADABLE, error.strerror or type(error).__name__))
        return
    for entry in entries:
        path = f"{prefix}{entry.name}"
        try:
            path.encode()
            if entry.is_dir():
                _scan(folder / entry.name, f"{path}/", visited, found, ledger)
                continue
            status = entry.stat()
        except UnicodeEncodeError:
            ledger.append(_entry(path.encode(errors="replace").decode(), SkipReason.UNREADABLE, "the name is not UTF-8"))
        except OSError as error:
            ledger.append(_entry(path, SkipReason.UNREADABLE, error.strerror or type(error).__name__))
        else:
            found.append(FoundFile(path, status.st_size, status.st_mtime_ns))


def _read_cache(path: Path) -> pa.Table:
    """The kept table; an empty one where there is none, or one of another version or that cannot be read."""
    if path.is_file():
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError):
            return SCHEMA.empty_table()
        if (table.schema.metadata or {}).get(b"weakbox_index") == _VERSION:
            return table.replace_schema_metadata(None)
    return SCHEMA.empty_table()


def _write_cache(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    pq.write_table(table.replace_schema_metadata({b"weakbox_index": _VERSION}), partial, compression="zstd")
    partial.replace(path)


def _split_unchanged(cached: pa.Table, found: list[FoundFile]) -> tuple[pa.Table, list[FoundFile]]:
    """Rows of the cache whose files are as they were, and the files to read."""
    known = {FoundFile(*key) for key in zip(*(cached[name].to_pylist() for name in ("file", "size", "mtime_ns")), strict=True)}
    changed = [file for file in found if file not in known]
    if not known:
        return cached, changed
    unchanged = pa.array([file.path for file in found if file in known], pa.string())
    return cached.filter(pc.is_in(cached["file"], value_set=unchanged)), changed


def _read_files(root: Path, files: list[FoundFile], executor: Mapper) -> Iterator[pa.Table]:
    """Tables of the chunks of ``files``; a chunk whose reading failed is read again file by file, to find the one at fault."""
    chunks = list(_chunks(root, files))
    for chunk, result in zip(chunks, executor.map(read_chunk, chunks, description="reading DICOM headers", total=len(chunks)), strict=True):
        if isinstance(result, pa.Table):
            yield result
            continue
        singles = [_Chunk(chunk.root, (file,)) for file in chunk.files]
        for file, single in zip(chunk.files, executor.map(read_chunk, singles), strict=True):
            is_read = isinstance(single, pa.Table)
            yield single if is_read else _table([_skipped_row(file, SkipReason.UNREADABLE, single.error_type)])


def _chunks(root: Path, files: Iterable[FoundFile]) -> Iterator[_Chunk]:
    """Files in chunks; an archive is a chunk of its own."""
    waiting: list[FoundFile] = []
    for file in files:
        if file.path.lower().endswith(".zip"):
            yield _Chunk(str(root), (file,))
            continue
        waiting.append(file)
        if len(waiting) == CHUNK_FILES:
            yield _Chunk(str(root), tuple(waiting))
            waiting = []
    if waiting:
        yield _Chunk(str(root), tuple(waiting))


def read_chunk(chunk: _Chunk) -> pa.Table:
    """Rows of the files of one chunk (runs in a worker)."""
    rows: list[Header] = []
    for file in chunk.files:
        if file.path.lower().endswith(".zip"):
            rows.extend(_archive_rows(f"{chunk.root}/{file.path}", file))
        else:
            rows.extend(_rows(read_headers(f"{chunk.root}/{file.path}"), file, file.path))
    return _table(rows)


def _archive_rows(path: str, file: FoundFile) -> Iterator[Header]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted((member for member in archive.infolist() if not member.is_dir()), key=lambda member: member.filename)
            if not members:
                yield _skipped_row(file, SkipReason.NOT_DICOM, "an empty archive")
            for member in members:
                yield from _member_rows(archive, member, file)
    except _ARCHIVE_ERRORS as error:
        yield _skipped_row(file, SkipReason.UNREADABLE, f"archive: {type(error).__name__}")


def _member_rows(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: FoundFile) -> Iterator[Header]:
    try:
        with MemberBytes(archive, member) as source:
            reading = read_headers_from(source)
    except _ARCHIVE_ERRORS as error:
        reading = HeaderReading(skipped=SkipReason.UNREADABLE, detail=f"archive member: {type(error).__name__}")
    yield from _rows(reading, file, f"{file.path}{MEMBER_MARK}{member.filename}")


def _rows(reading: HeaderReading, file: FoundFile, path: str) -> Iterator[Header]:
    origin: Header = {"path": path, "file": file.path, "size": file.size, "mtime_ns": file.mtime_ns}
    if reading.skipped is not None:
        yield origin | {"skipped": reading.skipped.value, "skip_detail": reading.detail}
    for header in reading.headers:
        header.update(origin)
        yield header


def _skipped_row(file: FoundFile, reason: SkipReason, detail: str) -> Header:
    return next(_rows(HeaderReading(skipped=reason, detail=detail), file, file.path))


def _table(rows: list[Header]) -> pa.Table:
    columns: list[Any] = [pa.array([row.get(column.name) for row in rows], column.type) for column in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _separate(table: pa.Table) -> tuple[pa.Table, list[LedgerEntry]]:
    """Images, each SOP instance once (the first path wins), and ledger entries of everything else."""
    ledger = []
    keep = []
    first_paths: dict[tuple[str, int | None], str] = {}
    names = ("path", "skipped", "skip_detail", "sop_instance_uid", "frame", "patient_id")
    for path, skipped, detail, uid, frame, patient in zip(*(table[name].to_pylist() for name in names), strict=True):
        first = path if skipped else first_paths.setdefault((uid, frame), path)
        keep.append(skipped is None and first == path)
        if skipped:
            ledger.append(_entry(path, SkipReason(skipped), detail))
        elif first != path and frame in (None, 1):
            ledger.append(_entry(path, SkipReason.DUPLICATE, "the same SOP Instance UID as another file", patient))
    return table.filter(pa.array(keep, pa.bool_())), ledger


def _entry(path: str, reason: SkipReason, detail: str, patient_id: str | None = None) -> LedgerEntry:
    return LedgerEntry(
        stage="preprocessing", kind="file", item_id=path, outcome=Outcome.DROPPED, reason=reason.value, detail=detail, patient_id=patient_id
    )
