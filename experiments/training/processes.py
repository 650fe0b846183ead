"""One training on several processes, as ``torchrun`` starts them: each takes its share of every batch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed
from torch import nn


@dataclasses.dataclass(frozen=True)
class Processes:
    """Which of how many processes this one is, and what it computes on."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this one writes files and shows progress."""
        return self.rank == 0

    def share(self, numbers: list[int]) -> list[int]:
        """Return this process's part of a batch."""
        return numbers[self.rank :: self.count]

    def joined(self, model: nn.Module) -> nn.Module:
        """Return a network whose gradients are the mean over all processes."""
        if self.count == 1:
            return model
        # Two stages leave weights' binarizers, and with them their scales, without gradient for a while.
        return nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Join the other processes if ``torchrun`` started this one: NCCL with a GPU each, else gloo."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    gpu = torch.cuda.is_available()
    if count == 1:
        yield Processes(device="cuda" if gpu else "cpu")
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if gpu:
        torch.cuda.set_device(local)
    torch.distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield Processes(torch.distributed.get_rank(), count, f"cuda:{local}" if gpu else "cpu")
    finally:
        torch.distributed.destroy_process_group()
