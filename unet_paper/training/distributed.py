"""One process or many: who computes which tile, and how the shares come together.

Started by `torchrun`, every process runs the same script on its own device. The gradients of all processes are averaged
after each backward pass (DistributedDataParallel), so all of them hold the same weights at every step.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from unet_paper.options import check_device


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Attributes
    ----------
    rank : int
        Number of this process, 0 .. count - 1. Only rank 0 writes files and shows progress.
    count : int
        Number of processes.
    device : torch.device
        Where this process computes.
    """

    rank: int
    count: int
    device: torch.device

    def share(self, batch_size: int) -> range:
        """Return the numbers of the tiles of each step that this process computes.

        Rank 0 takes the first `batch_size / count` tiles, rank 1 the next, and so on.

        Raises
        ------
        ValueError
            If the tiles cannot be shared evenly.
        """
        if batch_size % self.count:
            fix = f"choose a multiple of {self.count}, or start fewer processes"
            raise ValueError(f"batch_size {batch_size} cannot be shared between {self.count} processes; {fix}")
        size = batch_size // self.count
        return range(self.rank * size, (self.rank + 1) * size)

    def wrap(self, net: nn.Module) -> nn.Module:
        """Return `net` itself, or wrapped so that its gradients are averaged over all processes."""
        return net if self.count == 1 else DistributedDataParallel(net)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over all processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values


@contextmanager
def processes(net: nn.Module, device: torch.device | str | None) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, if it did, for the length of a `with` block.

    Parameters
    ----------
    net : torch.nn.Module
        Says where to compute if nothing else does.
    device : torch.device or str or None
        Where to compute; None for the GPU of this process under torchrun, else for where `net` is.
    """
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
    device = _choose_device(net, device, launched)
    starts_here = launched and not dist.is_initialized()
    if launched and device.type == "cuda":
        torch.cuda.set_device(device)  # nccl talks through the current GPU
    if starts_here:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        joined = dist.is_available() and dist.is_initialized()
        yield Processes(dist.get_rank(), dist.get_world_size(), device) if joined else Processes(0, 1, device)
    finally:
        if starts_here:
            dist.destroy_process_group()


def _choose_device(net: nn.Module, device: torch.device | str | None, launched: bool) -> torch.device:
    if device is not None:
        return check_device(device)
    if launched and torch.cuda.is_available():
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return next(net.parameters()).device
