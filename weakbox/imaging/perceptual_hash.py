"""Which images are the same, or nearly: a content hash of the pixels, perceptual hashes, and a search without n squared.

dHash: signs of the differences between neighbouring columns of a 9 x 8 picture (64 bits), and of a 17 x 16 one (256 bits).
pHash: signs of the 64 lowest cosine coefficients of a 32 x 32 picture against their median. All outlast resizing, JPEG and
changes of brightness. Mammograms are alike in outline: 64 bits find what may be the same, 256 bits tell. A picture with next to
no detail has a hash by chance: it is marked, and never searched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, sparse
from scipy.sparse import csgraph

from weakbox.records.record import record

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int64]
Confirm = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]

BITS = 64
LARGEST_DISTANCE = 3
"""Bits in which near-duplicates may differ: with four chunks of 16 bits one is then equal."""
_CHUNKS = 4
_DEAD_ZONE = 1.0
"""Grey levels that neighbours must differ by to count as a step: air is no texture."""
_LEAST_STEPS = 8
_LEAST_CONTRAST = 2.0
_CROWDED = 512
"""Hashes with an equal chunk beyond which the other chunks are split once more."""


@record
class ImageHash:
    """Hashes of one image. ``has_detail`` is False for blank and nearly constant pictures: their perceptual hashes say nothing."""

    content_sha256: str
    """Of the decoded pixels with their shape: equal for files that hold the same image in different encodings."""
    difference: int
    """64-bit dHash."""
    cosine: int
    """64-bit pHash."""
    detail: str
    """256-bit dHash, 64 hexadecimal digits."""
    has_detail: bool


def content_hash(pixels: NDArray[Any]) -> str:
    """SHA-256 of shape and pixel values. Whole numbers from 0 to 65535 hash alike whatever their dtype."""
    narrow = pixels
    if pixels.dtype.kind in "iub" and pixels.dtype != np.uint8 and pixels.size and int(pixels.min()) >= 0:
        narrow = pixels.astype("<u1" if int(pixels.max()) < 256 else "<u2" if int(pixels.max()) < 65536 else "<u8", copy=False)
    little = np.ascontiguousarray(narrow.astype(narrow.dtype.newbyteorder("<"), copy=False))
    digest = hashlib.sha256(f"{little.dtype.str} {little.shape}\n".encode())
    digest.update(little.data)
    return digest.hexdigest()


def image_hash(display: NDArray[np.uint8], pixels: NDArray[Any] | None = None) -> ImageHash:
    """Hashes of a grey or RGB picture of 8-bit display values; the content hash of ``pixels`` where given."""
    grey = Image.fromarray(np.ascontiguousarray(display)).convert("L")
    small = np.asarray(grey.resize((32, 32), Image.Resampling.BOX), dtype=np.float64)
    steps = _steps(grey, 8)
    return ImageHash(
        content_sha256=content_hash(display if pixels is None else pixels),
        difference=_packed(steps > _DEAD_ZONE),
        cosine=_cosine_hash(small),
        detail=f"{_packed(_steps(grey, 16) > _DEAD_ZONE):064x}",
        has_detail=int(np.count_nonzero(np.abs(steps) > _DEAD_ZONE)) >= _LEAST_STEPS and float(small.std()) >= _LEAST_CONTRAST,
    )


def _steps(grey: Image.Image, side: int) -> NDArray[np.float64]:
    """Differences between neighbouring columns of the picture shrunk to ``side`` rows and one column more, row by row."""
    shrunk = grey.convert("F").resize((side + 1, side), Image.Resampling.BOX)
    return np.diff(np.asarray(shrunk, dtype=np.float64), axis=1).ravel()


def _cosine_hash(picture: NDArray[np.float64]) -> int:
    low = fft.dctn(picture, norm="ortho")[:8, :8].ravel()
    # The first coefficient is the brightness: it takes no part in the median.
    return _packed(low > np.median(low[1:]))


def _packed(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming(first: Hashes | int, second: Hashes | int) -> NDArray[np.int64]:
    """Bits in which hashes differ, element by element."""
    different = np.asarray(first, dtype=np.uint64) ^ np.asarray(second, dtype=np.uint64)
    return np.bitwise_count(different).astype(np.int64)


def near_pairs(hashes: Hashes, distance: int = LARGEST_DISTANCE, *, confirm: Confirm | None = None) -> Pairs:
    """All pairs (m, 2) of numbers i < j whose hashes differ in at most ``distance`` (0..3) bits and that ``confirm`` keeps, sorted.

    Two hashes that differ in at most three of 64 bits have at least one of four chunks in common: only those are compared.
    ``confirm`` is given the numbers of both sides, block by block, so that many equal hashes cost time but no memory.

    Raises:
        ValueError: a distance that the chunks do not serve.
    """
    if not 0 <= distance <= LARGEST_DISTANCE:
        msg = f"the distance is 0..{LARGEST_DISTANCE}, got {distance}"
        raise ValueError(msg)
    values = _dealt(np.asarray(hashes, dtype=np.uint64))
    found = [np.empty((0, 2), dtype=np.int64)]
    for keys, members in _buckets(values):
        found.extend(_near_in_buckets(values, keys, members, distance, confirm))
    return np.unique(np.concatenate(found), axis=0)


class NearDuplicates:
    """Near-duplicates among many images: 64-bit dHashes within ``distance``, pHashes and 256-bit dHashes near as well.

    The search is by the first (exact up to three bits); the other two keep pictures that are alike only in outline apart.
    On phantoms copies differ in at most 15 of the 256 bits, other breasts of the same outline in 21 and more.
    Images without detail are alone unless their contents are equal.
    """

    def __init__(self, *, distance: int = LARGEST_DISTANCE, cosine_distance: int = 10, detail_distance: int = 17) -> None:
        self._distance = distance
        self._cosine_distance = cosine_distance
        self._detail_distance = detail_distance

    def groups(self, hashes: Sequence[ImageHash]) -> NDArray[np.int64]:
        """For each image the number of the first image of its group; equal contents are always together."""
        firsts: dict[str, int] = {}
        same = np.array([firsts.setdefault(one.content_sha256, number) for number, one in enumerate(hashes)], dtype=np.int64)
        numbers = np.arange(len(hashes), dtype=np.int64)
        return _components(np.concatenate([np.stack([same, numbers], axis=1), self.pairs(hashes)]), len(hashes))

    def pairs(self, hashes: Sequence[ImageHash]) -> Pairs:
        """Pairs (m, 2) of numbers i < j that all hashes call near, among the images with detail.

        Images whose hashes are all equal are all paired with the first of them, and only that one is compared with others.
        """
        detailed = np.array([number for number, one in enumerate(hashes) if one.has_detail], dtype=np.int64)
        words = np.array([_words(hashes[number]) for number in detailed], dtype=np.uint64).reshape(-1, 6)
        distinct, first, kind = np.unique(words, axis=0, return_index=True, return_inverse=True)

        def agree(i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.bool_]:
            detail = hamming(distinct[i, 2:], distinct[j, 2:]).sum(axis=1)
            return (hamming(distinct[i, 1], distinct[j, 1]) <= self._cosine_distance) & (detail <= self._detail_distance)

        near = near_pairs(distinct[:, 0], self._distance, confirm=agree)
        leaders = first[kind.ravel()]
        copies = np.flatnonzero(leaders != np.arange(len(leaders)))
        pairs = np.concatenate([first[near], np.stack([leaders[copies], copies], axis=1)])
        return np.unique(np.sort(detailed[pairs], axis=1), axis=0) if len(detailed) else np.empty((0, 2), dtype=np.int64)


def _words(one: ImageHash) -> tuple[int, ...]:
    return one.difference, one.cosine, *(int(one.detail[start : start + 16], 16) for start in range(0, 64, 16))


def _components(links: Pairs, count: int) -> NDArray[np.int64]:
    """For each number the smallest one that links lead to."""
    graph = sparse.coo_array((np.ones(len(links), dtype=np.int8), (links[:, 0], links[:, 1])), shape=(count, count))
    _, component = csgraph.connected_components(graph, directed=False)
    _, smallest = np.unique(component, return_index=True)
    return np.asarray(smallest[component], dtype=np.int64)


def _dealt(values: Hashes) -> Hashes:
    """The same hashes with their bits in another order: the telling ones dealt evenly to the chunks. Distances stay as they are.

    Where hashes share many bits (the black air of mammograms), a chunk of neighbouring bits would be the same for all.
    """
    shares = np.array([float(np.mean((values >> np.uint64(bit)) & np.uint64(1))) if len(values) else 0.0 for bit in range(BITS)])
    ranked = np.argsort(np.abs(shares - 0.5), kind="stable")
    dealt = np.zeros_like(values)
    for rank, bit in enumerate(ranked):
        place = rank % _CHUNKS * (BITS // _CHUNKS) + rank // _CHUNKS
        dealt |= (values >> np.uint64(bit) & np.uint64(1)) << np.uint64(place)
    return dealt


def _buckets(values: Hashes) -> Iterator[tuple[Hashes, NDArray[np.int64]]]:
    """Keys, and the numbers that have them: near hashes share a key in at least one of the rounds.

    Crowded keys (the black air of mammograms) are split by a quarter of the remaining bits, one of which is equal as well.
    """
    width = BITS // _CHUNKS
    everyone = np.arange(len(values), dtype=np.int64)
    for chunk in range(_CHUNKS):
        key = _bits(values, chunk * width, width)
        is_crowded = (np.bincount(key.astype(np.int64), minlength=1 << width) > _CROWDED)[key.astype(np.int64)]
        yield key[~is_crowded], everyone[~is_crowded]
        crowded = everyone[is_crowded]
        rest = _without(values[crowded], chunk * width, width)
        quarter = (BITS - width) // _CHUNKS
        for part in range(_CHUNKS if len(crowded) else 0):
            yield key[crowded] << np.uint64(quarter) | _bits(rest, part * quarter, quarter), crowded


def _bits(values: Hashes, start: int, count: int) -> Hashes:
    return (values >> np.uint64(start)) & np.uint64((1 << count) - 1)


def _without(values: Hashes, start: int, count: int) -> Hashes:
    """The values with ``count`` bits from ``start`` cut out."""
    low = _bits(values, 0, start) if start else np.zeros_like(values)
    return low if start + count == BITS else low | (values >> np.uint64(start + count)) << np.uint64(start)


def _near_in_buckets(values: Hashes, keys: Hashes, members: NDArray[np.int64], distance: int, confirm: Confirm | None) -> Iterator[Pairs]:
    """Compare every member with the next one of its key, then the next but one, until no key has as many."""
    order = np.argsort(keys, kind="stable")
    keys, members = keys[order], members[order]
    sorted_values = values[members]
    left = np.arange(len(keys), dtype=np.int64)
    offset = 0
    while len(left):
        offset += 1
        left = left[left + offset < len(keys)]
        left = left[keys[left] == keys[left + offset]]
        near = left[np.bitwise_count(sorted_values[left] ^ sorted_values[left + offset]) <= distance]
        pairs = np.sort(np.stack([members[near], members[near + offset]], axis=1), axis=1)
        yield pairs if confirm is None else pairs[confirm(pairs[:, 0], pairs[:, 1])]
