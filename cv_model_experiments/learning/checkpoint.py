"""Everything that decides how a training goes on, in one file that is there whole or not at all.

Written under a temporary name, flushed to the disk, then renamed: a kill at any moment leaves the last whole one. Only
tensors and plain values are in it, so reading it runs no code.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from weakbox.records.errors import InputError

FORMAT = 1


def save_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping of tensors and plain values, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        torch.save({"format": FORMAT, **content}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_tensors(path: Path, what: str) -> dict[str, Any]:
    """Read such a mapping, on the CPU.

    Raises:
        InputError: missing, damaged, or not such a file.
    """
    if not path.is_file():
        msg = f"{path}: no such file; expected {what}"
        raise InputError(msg)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        msg = f"{path}: cannot be read as {what} ({reason}); remove it or give another"
        raise InputError(msg) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        msg = f"{path}: not {what} of this version (format {FORMAT})"
        raise InputError(msg)
    return content


def check_identity(saved: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """Refuse a checkpoint of another architecture, set or choice.

    Raises:
        InputError: names what differs.
    """
    differing = sorted(name for name in {*saved, *wanted} if saved.get(name) != wanted.get(name))
    if differing:
        what = "; ".join(f"{name}: {_short(saved.get(name))} there, {_short(wanted.get(name))} here" for name in differing)
        msg = f"{path}: was made by another experiment ({what}); choose another output folder, or start anew with --restart"
        raise InputError(msg)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def rng_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The random state of torch in this process."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_rng(state: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Put it back; a state of the GPU only where there is one."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def seed_everything(seed: int, *, is_deterministic: bool) -> None:
    """Seed torch and ask for deterministic algorithms (those that have none warn)."""
    torch.manual_seed(seed)
    if is_deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
    else:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = True
