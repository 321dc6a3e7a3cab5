"""Too little memory as a sentence that names the setting to change; and how much was used."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from weakbox.records.errors import InputError

GIB = 2**30
_WORDS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "invalid size, memory could not be reserved",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python means that memory ran out, on the device or here."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)


@contextmanager
def memory_errors_for_users(what: str, remedies: str) -> Iterator[None]:
    """An error for want of memory becomes one that says what to change.

    Raises:
        InputError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        msg = f"too little memory {what}; {remedies} (torch says: {first[:200]})"
        raise InputError(msg) from error


def peak_memory(device: torch.device) -> dict[str, float]:
    """GiB at the peak: of this process, and on the device."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = {"process_peak_gib": round(resident / GIB, 3)}
    if device.type == "cuda":
        found["device_peak_gib"] = round(torch.cuda.max_memory_allocated(device) / GIB, 3)
        found["device_total_gib"] = round(torch.cuda.get_device_properties(device).total_memory / GIB, 3)
    return found
