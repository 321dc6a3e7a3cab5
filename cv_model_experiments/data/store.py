"""Prepared images on disk, each made once, and in memory where they fit.

A file's name is the digest of what went in, so changed choices or files make new ones and nothing stale is read.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cv_model_experiments.data.placement import Placement, placement_from_json
from cv_model_experiments.data.preparation import ImageFiles, Preparation
from cv_model_experiments.settings import CacheSettings
from weakbox.records.record import record
from weakbox.runtime.executors.executor import ItemError
from weakbox.runtime.executors.local import LocalExecutor
from weakbox.runtime.store import digest_of, write_bytes

GIB = 2**30


@record
class LeftOut:
    """An image that cannot be used, and why."""

    image_id: str
    reason: str


@record
class _Order:
    """One image to prepare, and the file it goes to."""

    files: ImageFiles
    path: Path


@record
class _Preparer:
    """Prepares one image and stores it; picklable."""

    preparation: Preparation

    def __call__(self, order: _Order) -> None:
        prepared = self.preparation(order.files)
        content = io.BytesIO()
        np.save(content, np.ascontiguousarray(prepared.pixels), allow_pickle=False)
        write_bytes(order.path.with_suffix(".json"), json.dumps(prepared.placement.as_json()).encode())
        write_bytes(order.path, content.getvalue())


def prepare_all(
    images: Sequence[tuple[str, ImageFiles]], preparation: Preparation, folder: Path, workers: int
) -> tuple[dict[str, Path], list[LeftOut]]:
    """The prepared file of every image by its id, and the images that cannot be used.

    A failure of one image leaves it out with its reason; the others go on. What is already there is not made again.
    """
    orders = {image_id: _Order(files=files, path=folder / _file_name(files, preparation)) for image_id, files in images}
    missing = {image_id: order for image_id, order in orders.items() if not order.path.is_file()}
    left_out = []
    with closing(LocalExecutor(min(workers, max(1, len(missing))))) as executor:
        results = executor.map(_Preparer(preparation=preparation), missing.values(), description="Preparing images", total=len(missing))
        for image_id, result in zip(missing, results, strict=True):
            if isinstance(result, ItemError):
                if not result.is_input_error:
                    raise RuntimeError(result.traceback)
                left_out.append(LeftOut(image_id=image_id, reason=result.message))
                del orders[image_id]
    return {image_id: order.path for image_id, order in orders.items()}, left_out


def _file_name(files: ImageFiles, preparation: Preparation) -> str:
    states = [(path.name, *_state(path)) for path in files.paths]
    key = digest_of(preparation.key_parts(), states, files.region, files.is_mirrored)
    return f"{key[:2]}/{key}.npy"


def _state(path: Path) -> tuple[str, int, int]:
    """The name alone does not tell two sets apart, the folder and the time of change do. A missing file has none."""
    if not path.is_file():
        return str(path.parent), 0, 0
    status = path.stat()
    return str(path.parent), status.st_size, status.st_mtime_ns


class PreparedStore:
    """Prepared images by their place in ``paths``: [channel, *axes].

    In memory where all of them fit in ``memory_gib``: one tensor where they have one shape. Else mapped from disk, where the
    operating system's page cache keeps what was read last.
    """

    def __init__(self, paths: Sequence[Path], settings: CacheSettings) -> None:
        self.paths = tuple(paths)
        sizes = [path.stat().st_size for path in self.paths]
        self.bytes = sum(sizes)
        self.is_in_memory = self.bytes <= settings.memory_gib * GIB
        self._images: list[NDArray[Any]] | None = None
        self._stacked: torch.Tensor | None = None
        if self.is_in_memory and self.paths:
            self._load()

    def _load(self) -> None:
        first = self._mapped(0)
        images = [self._mapped(place) for place in range(len(self.paths))]
        if all(image.shape == first.shape and image.dtype == first.dtype for image in images):
            stacked = np.empty((len(images), *first.shape), first.dtype)
            for place, image in enumerate(images):
                stacked[place] = image
            self._stacked = torch.from_numpy(stacked)
        else:
            self._images = [np.array(image) for image in images]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> NDArray[Any]:
        """One image; do not write into it."""
        if self._stacked is not None:
            image: NDArray[Any] = self._stacked[place].numpy()
            return image
        return self._mapped(place) if self._images is None else self._images[place]

    def _mapped(self, place: int) -> NDArray[Any]:
        image: NDArray[Any] = np.load(self.paths[place], mmap_mode="r", allow_pickle=False)
        return image

    def stack(self, places: Sequence[int] | torch.Tensor) -> torch.Tensor:
        """Images of one shape as [n, channel, *axes]."""
        if self._stacked is not None:
            return self._stacked[torch.as_tensor(places, dtype=torch.long)]
        images = [self[int(place)] for place in places]
        out = np.empty((len(images), *images[0].shape), images[0].dtype)
        for place, image in enumerate(images):
            out[place] = image
        return torch.from_numpy(out)

    def placement(self, place: int) -> Placement:
        """Where a prepared image lies on the exported one."""
        return placement_from_json(json.loads(self.paths[place].with_suffix(".json").read_text(encoding="utf-8")))
