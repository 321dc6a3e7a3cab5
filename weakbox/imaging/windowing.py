"""Display windows for pictures. Exported volumes are never windowed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWER_PERCENTILE = 1.0
UPPER_PERCENTILE = 99.5


def percentile_window(array: NDArray[Any]) -> tuple[float, float]:
    """The values shown as black and as white: 1st and 99.5th percentile of the non-zero voxels (of all, if none)."""
    values = array[array != 0]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, (LOWER_PERCENTILE, UPPER_PERCENTILE))
    return float(low), float(high) if high > low else float(low) + 1.0


def to_8_bit(array: NDArray[Any], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Values scaled so that the window spans 0..255, clipped outside."""
    low, high = window
    return np.clip(np.rint((array.astype(np.float32) - low) * (255.0 / (high - low))), 0, 255).astype(np.uint8)
