"""Imaging studies from a folder tree of DICOM files: any layout, any file names, ZIP archives included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from weakbox.records.case import LedgerEntry
from weakbox.records.imaging import ImagingStudy
from weakbox.sources.source import Source, SourceOptions

if TYPE_CHECKING:
    from weakbox.runtime.executors.executor import Executor


class DicomFolderOptions(SourceOptions):
    """A folder with DICOM files. The patient is the one that Patient ID (0010,0020) names."""

    path: Path = Field(description="The folder; subfolders and .zip archives in it are read too.")


def read(options: DicomFolderOptions, executor: Executor, cache_folder: Path) -> Iterator[ImagingStudy | LedgerEntry]:
    """A ledger entry for each file left out, then one study after the other, by Study Instance UID.

    Headers are read in parallel and kept in ``cache_folder``; files that did not change are not opened again.

    Raises:
        InputError: ``path`` is no folder.
    """
    from weakbox.imaging.dicom_index import index_folder
    from weakbox.imaging.series import build_studies

    index = index_folder(options.path, executor, cache_folder)
    yield from index.ledger
    yield from build_studies(index)


def files(options: DicomFolderOptions) -> Iterator[Path]:
    """The folder: its files are too many to name, and the index knows which of them changed."""
    yield options.path


SOURCE = Source(family="images", options=DicomFolderOptions, files=files, read=read)
