"""How many floating point operations a network takes, as PyTorch's own counter finds them.

Networks are counted on torch's "meta" device, which carries shapes and no numbers: any size takes milliseconds. One
multiplication with a following addition counts as two operations; what is no convolution and no matrix product is
negligible, and left out.
"""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from unet_paper.model import UNet
from unet_paper.training.config import TrainConfig


def count_operations(run, *shape: int) -> int:
    """Count the floating point operations of a network on an input.

    Parameters
    ----------
    run : callable
        A network or a method of one, with all its weights on the "meta" device, which computes nothing.
    *shape : int
        Shape of the input.

    Returns
    -------
    int
        FLOP of convolutions and fully connected layers.
    """
    with FlopCounterMode(display=False) as counter:
        run(torch.empty(*shape, device="meta"))
    return counter.get_total_flops()


def forward_flop(net: UNet, tile: int) -> int:
    """Count the floating point operations of one forward pass.

    Parameters
    ----------
    net : UNet
        The network, on any device; it is left as it was.
    tile : int
        Side of the input tile in px, a legal one.

    Returns
    -------
    int
        FLOP of the convolutions.
    """
    return count_operations(_on_meta(net), 1, net.in_channels, tile, tile)


def step_flop(net: UNet, tile: int, *, batch_size: int = 1) -> int:
    """Count the floating point operations of the convolutions in one training step.

    The backward pass computes every convolution twice more, for the weights and for what came in; for the image
    itself no gradient is needed.

    Parameters
    ----------
    net : UNet
        The network, on any device; it is left as it was.
    tile : int
        Side of the input tile in px, a legal one.
    batch_size : int
        Tiles per step.

    Returns
    -------
    int
        FLOP.
    """
    forward = _on_meta(net)
    return count_operations(lambda image: forward(image).sum().backward(), batch_size, net.in_channels, tile, tile)


def training_flop(net: UNet, config: TrainConfig) -> int:
    """Count the floating point operations of the convolutions in a whole training, its last and larger tiles included.

    Parameters
    ----------
    net : UNet
        The network, as for `step_flop`.
    config : TrainConfig
        How it is trained.

    Returns
    -------
    int
        FLOP.
    """
    parts = [(config.tile, config.steps - config.late_steps), (config.late_tile, config.late_steps)]
    return sum(steps * step_flop(net, tile, batch_size=config.batch_size) for tile, steps in parts if steps)


def _on_meta(net: UNet):
    """Return a function that computes `net` with weights that have shapes and no numbers."""
    weights = {name: torch.empty_like(w, device="meta").requires_grad_() for name, w in net.named_parameters()}
    return lambda image: torch.func.functional_call(net, weights, image)
