"""The processes that train together (torchrun), and the device of this one. Alone, every exchange is nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn

from weakbox.records.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process among ``ranks``."""

    rank: int
    ranks: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order, on every rank."""
        if self.ranks == 1:
            return [value]
        found: list[Any] = [None] * self.ranks
        distributed.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.ranks > 1:
            distributed.barrier()

    def share_buffers(self, module: nn.Module) -> None:
        """Running statistics of the main process everywhere, so that all evaluate the same model."""
        if self.ranks > 1:
            for buffer in module.buffers():
                distributed.broadcast(buffer, src=0)


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device that the settings ask for.

    Raises:
        ConfigurationError: no such device, or CUDA is asked for where there is none.
    """
    if name == "auto":
        return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        msg = f"learning.device: {name!r} is no device of torch; write auto, cpu, cuda or cuda:1"
        raise ConfigurationError(msg) from None
    if device.type == "cuda" and not torch.cuda.is_available():
        msg = f"learning.device: {name!r}, but torch sees no CUDA device here; set learning.device to auto or cpu"
        raise ConfigurationError(msg)
    return device


@contextmanager
def opened_world(device_name: str) -> Iterator[World]:
    """The world that torchrun made, or this process alone; closed at the end."""
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    device = choose_device(device_name, local_rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if ranks == 1:
        yield World(rank=0, ranks=1, device=device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(rank=distributed.get_rank(), ranks=ranks, device=device)
    finally:
        distributed.destroy_process_group()
