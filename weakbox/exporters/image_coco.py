"""COCO files of the joined set, one a part: its 2-D images with boxes as ``x, y, width, height``.

Boxes are pixel edges of the exported image counted from 0, as in ``ImageBox``. Categories are the classes of the boxes, the
same numbers in every part; a box without a class is of the category ``not stated``. Studies (3-D) are left out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from weakbox.exporters.image_manifest import read_manifest
from weakbox.records.artifact import Artifact
from weakbox.records.errors import InputError
from weakbox.records.image_set import ImageBox, ImageRow
from weakbox.runtime.digests import optional_file_digest

NOT_STATED = "not stated"
KIND = "image_coco"


def write_coco(manifest: Path, folder: Path) -> tuple[Artifact, ...]:
    """Write ``images.<part>.coco.json`` for every part of a written manifest, reading it twice and holding none of it.

    Raises:
        InputError: an image whose size is not stated, or a box that is no box of a 2-D image.
    """
    numbers = _category_numbers(manifest)
    with ExitStack() as files:
        parts: dict[str, _Part] = {}
        for row in _flat_images(manifest):
            part = str(row.split)
            if part not in parts:
                parts[part] = _Part(folder / f"images.{part}.coco.json", files)
            parts[part].add(row, numbers)
        return tuple(parts[part].finish(numbers) for part in sorted(parts))


def _flat_images(manifest: Path) -> Iterator[ImageRow]:
    return (row for row in read_manifest(manifest) if row.split is not None and (row.slices is None or row.slices == 1))


def _category_numbers(manifest: Path) -> Mapping[str, int]:
    names = {box.label or NOT_STATED for row in _flat_images(manifest) for box in row.boxes}
    return {name: number for number, name in enumerate(sorted(names), start=1)}


class _Part:
    """One file in the making: images go straight into it, annotations beside it until the images are all there."""

    def __init__(self, path: Path, files: ExitStack) -> None:
        self._path = path
        self._whole, self._beside = path.with_name(f"{path.name}.tmp"), path.with_name(f"{path.name}.annotations.tmp")
        files.callback(self._whole.unlink, missing_ok=True)
        files.callback(self._beside.unlink, missing_ok=True)
        self._images: IO[str] = files.enter_context(self._whole.open("w", encoding="utf-8"))
        self._annotations: IO[str] = files.enter_context(self._beside.open("w", encoding="utf-8"))
        self._image_count = self._box_count = 0
        self._images.write('{"images":[\n')

    def add(self, row: ImageRow, numbers: Mapping[str, int]) -> None:
        """Add an image and its boxes."""
        self._image_count += 1
        _write_item(self._images, _image(row, self._image_count), self._image_count)
        for box in row.boxes:
            self._box_count += 1
            annotation = _annotation(row, box, numbers) | {"id": self._box_count, "image_id": self._image_count}
            _write_item(self._annotations, annotation, self._box_count)

    def finish(self, numbers: Mapping[str, int]) -> Artifact:
        """Put the file together."""
        self._images.close()
        self._annotations.close()
        categories = [{"id": number, "name": name} for name, number in numbers.items()]
        with self._whole.open("a", encoding="utf-8") as file:
            file.write('\n],"annotations":[\n')
            with self._beside.open(encoding="utf-8") as annotations:
                shutil.copyfileobj(annotations, file)
            file.write(f'\n],"categories":{json.dumps(categories, ensure_ascii=False)}}}\n')
        self._whole.replace(self._path)
        name, size = self._path.name, self._path.stat().st_size
        role = name.removesuffix(".coco.json").replace(".", "_")
        return Artifact(path=name, kind=KIND, role=role, case_id=None, sha256=optional_file_digest(self._path), bytes=size)


def _write_item(file: IO[str], item: Mapping[str, Any], number: int) -> None:
    file.write((",\n" if number > 1 else "") + json.dumps(item, sort_keys=True, ensure_ascii=False, allow_nan=False))


def _image(row: ImageRow, number: int) -> dict[str, Any]:
    if row.columns is None or row.rows is None:
        msg = f"{row.image_id}: COCO needs the image's columns and rows, which are not stated; convert the image again"
        raise InputError(msg)
    return {
        "id": number,
        "file_name": row.image_path,
        "width": row.columns,
        "height": row.rows,
        "source_image_id": row.image_id,
        "dataset": row.dataset,
        "group": row.group,
        "label": row.label,
        "tier": row.tier,
        "licence": row.licence,
    }


def _annotation(row: ImageRow, box: ImageBox, numbers: Mapping[str, int]) -> dict[str, Any]:
    if len(box.start) != 2 or len(box.stop) != 2:
        msg = f"{row.image_id}: box {box.label_id} has {len(box.start)} axes, expected 2 (x, y)"
        raise InputError(msg)
    (x0, y0), (x1, y1) = box.start, box.stop
    return {
        "category_id": numbers[box.label or NOT_STATED],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
        "segmentation": [],
        "label_id": box.label_id,
        "tier": box.tier,
        "score": box.confidence,
    }
