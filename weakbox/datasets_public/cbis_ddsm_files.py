"""Which file of a CBIS-DDSM download is meant by a row of the case tables, from names alone.

The tables name ``<subject>/<study UID>/<series UID>/000000.dcm``, and no download keeps these names: the NBIA tools write
``<subject>/<date>-DDSM-NA-<end of the study UID>/1.000000-<description>-<end of the series UID>/1-1.dcm``, IDC
``<subject>/<study UID>/MG_<series UID>/<UUID>.dcm``, the Kaggle mirror ``jpeg/<series UID>/1-249.jpg``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from weakbox.records.record import record

UID_ENDING = 5
"""Digits of a UID that the NBIA tools leave in a folder's name."""
_SUBJECT = re.compile(
    r"(?P<kind>Mass|Calc)-(?P<part>Training|Test)_(?P<patient>P_\d+)_(?P<side>LEFT|RIGHT)_(?P<view>CC|MLO)(?:_(?P<abnormality>\d+))?",
    re.IGNORECASE,
)
_UID = re.compile(r"(?<![\d.])\d+(?:\.\d+){5,}")
_ENDING = re.compile(rf"-(\d{{1,{UID_ENDING}}})$")


@record
class Subject:
    """What TCIA calls a patient: an image, or (with a number) one abnormality of it."""

    kind: str
    """``Mass`` or ``Calc``."""
    part: str
    """``Training`` or ``Test``."""
    patient: str
    side: str
    view: str
    abnormality: int | None = None

    @property
    def image(self) -> str:
        """Name of the whole image: ``Mass-Training_P_00001_LEFT_CC``."""
        return f"{self.kind}-{self.part}_{self.patient}_{self.side}_{self.view}"

    @property
    def name(self) -> str:
        """Name of the folder: that of the image, or with the number of the abnormality."""
        return self.image if self.abnormality is None else f"{self.image}_{self.abnormality}"


def subject_of(text: str) -> Subject | None:
    """The subject that a folder or a ``PatientID`` names; None for another name.

    >>> subject_of("Calc-Test_P_00038_LEFT_CC_1").image
    'Calc-Test_P_00038_LEFT_CC'
    """
    match = _SUBJECT.fullmatch(text.strip())
    if match is None:
        return None
    number = match["abnormality"]
    return Subject(
        kind=match["kind"].capitalize(),
        part=match["part"].capitalize(),
        patient=match["patient"].upper(),
        side=match["side"].upper(),
        view=match["view"].upper(),
        abnormality=None if number is None else int(number),
    )


@record
class StatedPath:
    """A path cell of the tables: its subject, and the UID of its series (the third part; the second is the study)."""

    subject: Subject | None
    series_uid: str | None


def stated_path(cell: str | None) -> StatedPath:
    """What a path cell names; parts that are not there are None. Cells may end in a newline."""
    parts = (cell or "").strip().replace("\\", "/").split("/")
    return StatedPath(subject=subject_of(parts[0]), series_uid=parts[2] if len(parts) > 2 and _UID.fullmatch(parts[2]) else None)


class ImageFiles:
    """Image files of a download by what their folders say: subject, series UID, or the end of it."""

    def __init__(self, folder: Path, paths: Iterable[Path], patients: Mapping[str, str]) -> None:
        """``patients`` gives the subject of a file (``<folder>/<name>``) where a table states it: Kaggle's ``dicom_info.csv``."""
        self._folder = folder
        self._by_subject: dict[str, list[Path]] = defaultdict(list)
        self._by_uid: dict[str, list[Path]] = defaultdict(list)
        self._by_ending: dict[tuple[str, str], list[Path]] = defaultdict(list)
        self._unused = dict.fromkeys(sorted(paths))
        for path in self._unused:
            self._place(path, patients.get(f"{path.parent.name}/{path.name}"))

    def _place(self, path: Path, patient: str | None) -> None:
        folders = path.relative_to(self._folder).parts[:-1]
        subject = next((found for found in map(subject_of, (patient or "", *reversed(folders))) if found), None)
        above = folders[-1] if folders else ""
        uid = _UID.search(above)
        ending = _ENDING.search(above)
        if uid:
            self._by_uid[uid[0]].append(path)
        if subject:
            self._by_subject[subject.name].append(path)
        if subject and ending:
            self._by_ending[subject.name, ending[1]].append(path)

    def find(self, subject: str, series_uids: Iterable[str]) -> tuple[Path, ...]:
        """The files of a subject: of those series if they can be told, else all that its folder holds. They count as used."""
        uids = tuple(dict.fromkeys(series_uids))
        exact = [path for uid in uids for path in self._by_uid.get(uid, [])]
        ending = [path for uid in uids for path in self._by_ending.get((subject, uid[-UID_ENDING:]), [])]
        found = tuple(sorted(set(exact or ending or self._by_subject.get(subject, []))))
        for path in found:
            self._unused.pop(path, None)
        return found

    @property
    def unused(self) -> tuple[Path, ...]:
        """Files that no row has asked for, sorted."""
        return tuple(self._unused)
