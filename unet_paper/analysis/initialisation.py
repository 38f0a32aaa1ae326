"""How large the numbers inside of a fresh network are, for three ways to draw its weights (section 3).

References
----------
Ronneberger, Fischer, Brox (2015), section 3, doi:10.1007/978-3-319-24574-4_28.
He et al. (2015), doi:10.1109/ICCV.2015.123.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from unet_paper.model import UNet, incoming_nodes
from unet_paper.options import check_choice

RULES = ("sqrt(2/N)", "sqrt(1/N)", "PyTorch")


class Signal(NamedTuple):
    """What one convolution of a network puts out, before the ReLU.

    `deviation` is the standard deviation over all images, channels and pixels. `across_images` is the part of it that
    tells images apart: the root of the variance over images at the same place of the same map, averaged over places.
    `per_map` (K,) is the standard deviation of each map by itself, over images and pixels: what section 3 speaks of.
    """

    name: str
    deviation: float
    across_images: float
    per_map: np.ndarray


@torch.no_grad()
def draw_weights(net: UNet, rule: str, *, generator: torch.Generator) -> None:
    """Draw all weights of a network anew.

    Parameters
    ----------
    net : UNet
        Changed in place.
    rule : {"sqrt(2/N)", "sqrt(1/N)", "PyTorch"}
        Standard deviation of the Gaussian, N incoming nodes, with biases 0; or what PyTorch draws unasked: weights and
        biases uniform with standard deviation sqrt(1/(3N)), with its own N for up-convolutions (4 times the channels
        out, not the channels in).
    generator : torch.Generator
        Source of randomness, on the CPU.

    Raises
    ------
    ValueError
        If the rule is unknown.
    """
    check_choice(rule, RULES, name="rule")
    if rule == "PyTorch":
        for _, module in _convolutions(net):
            _draw_as_pytorch(module, generator)
        return
    net.reset_parameters(generator)
    if rule == "sqrt(1/N)":
        for _, module in _convolutions(net):
            module.weight /= math.sqrt(2)


@torch.no_grad()
def signals(net: UNet, images: Tensor) -> list[Signal]:
    """Send images through a network and note how large the output of every convolution is, in their order.

    Parameters
    ----------
    net : UNet
        Used as it is: in training mode, dropout is part of the measurement.
    images : Tensor
        (B, C, H, W) floating point, legal sizes, B at least 2.

    Returns
    -------
    list of Signal
        One for each of the convolutions and up-convolutions; 23 in the paper's network.
    """
    found: list[Signal] = []

    def note(name: str):
        def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            across = output.var(dim=0).mean().sqrt()  # (B, K, h, w): before the ReLU changes it in place
            per_map = output.std(dim=(0, 2, 3)).cpu().numpy()  # (K,)
            found.append(Signal(name, output.std().item(), across.item(), per_map))

        return look

    hooks = [module.register_forward_hook(note(name)) for name, module in _convolutions(net)]
    try:
        net(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _convolutions(net: UNet) -> list[tuple[str, nn.Module]]:
    kinds = nn.Conv2d | nn.ConvTranspose2d
    return [(name, module) for name, module in net.named_modules() if isinstance(module, kinds)]


def _draw_as_pytorch(module: nn.Conv2d | nn.ConvTranspose2d, generator: torch.Generator) -> None:
    """Repeat `reset_parameters` of PyTorch's convolutions, with a generator."""
    nodes = incoming_nodes(module)
    if isinstance(module, nn.ConvTranspose2d):
        nodes = module.out_channels * math.prod(module.kernel_size)
    for values in (module.weight, module.bias):
        values.uniform_(-1 / math.sqrt(nodes), 1 / math.sqrt(nodes), generator=generator)
