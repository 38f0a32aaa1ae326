"""How much memory a training step needs: counted from the network on any machine, measured on a GPU."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from unet_paper.model import PRECISIONS, UNet


def kept_bytes(net: UNet, tile: int, *, precision: str = "float32") -> int:
    """Count what one forward pass keeps in memory for the backward pass.

    Counted on torch's "meta" device, which has shapes and no numbers, so it takes neither memory nor a GPU. The
    weights themselves do not count, their copies in 16 bits do. The loss and the work space of single operations come
    on top.

    Parameters
    ----------
    net : UNet
        The network.
    tile : int
        Side of the input tile in px, a legal one.
    precision : {"float32", "bfloat16"}
        Of the convolutions.

    Returns
    -------
    int
        Bytes, of one tile.
    """
    dtype = PRECISIONS[precision]
    weights = {name: torch.empty_like(w, device="meta", dtype=dtype) for name, w in net.named_parameters()}
    kept: dict[int, torch.UntypedStorage] = {}  # by address, and held, so that an address stays its own

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with _training(net), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        image = torch.empty(1, net.in_channels, tile, tile, device="meta", dtype=dtype)
        torch.func.functional_call(net, {name: w.requires_grad_() for name, w in weights.items()}, image)
    if precision == "float32":
        for weight in weights.values():
            kept.pop(weight.untyped_storage()._cdata, None)
    return sum(storage.nbytes() for storage in kept.values())


def training_bytes(net: UNet, tile: int, *, precision: str = "float32") -> int:
    """Count the least memory of a training step with momentum: `kept_bytes`, weights, gradients, running sum."""
    weights = sum(parameter.numel() for parameter in net.parameters())
    return kept_bytes(net, tile, precision=precision) + 3 * 4 * weights


def largest_tile(net: UNet, memory: float, *, precision: str = "float32", limit: int = 2012) -> int:
    """Return the largest legal tile in px, up to `limit`, whose `training_bytes` fit into `memory` bytes.

    Raises
    ------
    ValueError
        If not even the smallest tile fits.
    """
    legal = [n for n in range(net.legal_size_for(1), limit) if net.is_legal_size(n)]
    count = bisect(legal, memory, key=lambda n: training_bytes(net, n, precision=precision))
    if count == 0:
        least = training_bytes(net, legal[0], precision=precision)
        raise ValueError(f"memory is {memory:g} bytes; the smallest tile, {legal[0]} px, needs {least:g}")
    return legal[count - 1]


def clear_peak(device: torch.device) -> None:
    """Start to look for the peak of memory anew, on a GPU."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int | None:
    """Return the most memory that tensors took at once since `clear_peak`; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


@contextmanager
def _training(net: UNet) -> Iterator[None]:
    """Put a network into training mode for a while: dropout keeps its masks."""
    before = net.training
    net.train()
    try:
        yield
    finally:
        net.train(before)
