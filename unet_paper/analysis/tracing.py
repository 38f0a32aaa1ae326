"""What every layer of a live U-Net puts out: sizes, parameters, operations, and how much of the image it sees.

Nothing here is typed from the paper. Hooks on the network read a forward pass on torch's "meta" device, which
carries shapes and no numbers: the full network at 572 px takes milliseconds and no memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from unet_paper.model import CropAndConcatenate, UNet, incoming_nodes

INPUT = "input"
CONVOLUTION = "conv 3x3"
SCORE = "conv 1x1"
UP_CONVOLUTION = "up-conv 2x2"
POOLING = "max-pool 2x2"
CONCATENATION = "concatenate"
DROPOUT = "dropout"


@dataclass(frozen=True, eq=False)
class Layer:
    """One step of the forward pass, and what it puts out.

    Attributes
    ----------
    name : str
        The module's path inside the network, for example ``"down.0.2"``; shared modules appear once per call.
    kind : str
        One of this module's constants, for example ``"conv 3x3"``.
    level : int
        How many poolings above this map are not yet undone: 0 at full resolution, 4 at the bottom of Fig. 1.
    channels, height, width : int
        Shape of the output, sides in px of that level.
    parameters : int
        Weights and biases.
    multiply_adds : int
        Multiplications with a following addition for one image; one counts as two floating point operations.
    windows : numpy.ndarray
        (2, width) int: first and last column of the input image that each output column depends on.
    """

    name: str
    kind: str
    level: int
    channels: int
    height: int
    width: int
    parameters: int
    multiply_adds: int
    windows: np.ndarray

    @property
    def values(self) -> int:
        """Numbers in the output: channels x height x width."""
        return self.channels * self.height * self.width

    @property
    def receptive_fields(self) -> tuple[int, int]:
        """Smallest and largest side in px of the input window that one output position depends on."""
        sides = self.windows[1] - self.windows[0] + 1
        return int(sides.min()), int(sides.max())

    @property
    def receptive_field(self) -> int:
        """Side in px of the largest input window that one output position depends on."""
        return self.receptive_fields[1]


def trace(net: UNet, n: int) -> list[Layer]:
    """Run `net` on an input of `n` x `n` px without computing a number, and report every step in order.

    Parameters
    ----------
    net : UNet
        Any U-Net; it is left as it was.
    n : int
        Input side in px, a legal one.

    Returns
    -------
    list of Layer
        The input, then every convolution, pooling, dropout, up-convolution and concatenation.

    Raises
    ------
    ValueError
        If `n` is not legal; the message names the nearest legal sizes.

    References
    ----------
    Ronneberger, Fischer, Brox (2015), Fig. 1.
    """
    image = torch.empty(1, net.in_channels, n, n, device="meta")
    recorder = _Recorder(image)
    # Every module without children is one arrow of Fig. 1; its hook sees what goes in and what comes out.
    hooks = [
        module.register_forward_hook(recorder.hook(name)) for name, module in net.named_modules() if _is_leaf(module)
    ]
    try:
        weights = {name: torch.empty_like(value, device="meta") for name, value in net.named_parameters()}
        torch.func.functional_call(net, weights, image)
    finally:
        for hook in hooks:
            hook.remove()
    return recorder.layers


def convolutions(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers that have weights: 23 in the paper's network."""
    return [layer for layer in layers if layer.parameters]


def totals(layers: Sequence[Layer], quantity: str) -> np.ndarray:
    """Sum one quantity over the layers of each level, for the contracting and the expansive path.

    Parameters
    ----------
    layers : sequence of Layer
        From `trace`.
    quantity : {"parameters", "multiply_adds", "values"}
        What to sum. ``"values"`` counts the outputs of the convolutions only; `kept_bytes` counts all
        that training must keep.

    Returns
    -------
    numpy.ndarray
        (2, levels) int64: row 0 contracting path with the bottom, row 1 expansive path.
    """
    sums = np.zeros((2, 1 + max(layer.level for layer in layers)), dtype=np.int64)
    rising = 0
    for layer in layers:
        rising = rising or int(layer.kind == UP_CONVOLUTION)
        if layer.parameters:
            sums[rising, layer.level] += getattr(layer, quantity)
    return sums


def skips(layers: Sequence[Layer]) -> list[int]:
    """Return how many positions the crop takes off each side of the copied map, for each level from the top.

    Parameters
    ----------
    layers : sequence of Layer
        From `trace`.
    """
    joined = {layer.level: layer.width for layer in layers if layer.kind == CONCATENATION}
    pooled = {layer.level - 1: 2 * layer.width for layer in layers if layer.kind == POOLING}
    return [(pooled[level] - joined[level]) // 2 for level in sorted(joined)]


def influence(net: UNet, image: Tensor) -> Tensor:
    """Tell how strongly every input pixel moves the scores of the central output pixel.

    Parameters
    ----------
    net : UNet
        Put it into evaluation mode first, or dropout will hide a part of the picture.
    image : Tensor
        (1, C, H, W) floating point, legal sizes.

    Returns
    -------
    Tensor
        (H, W) sum over classes and channels of the absolute derivatives; exactly 0 where nothing is seen.
    """
    image = image.detach().requires_grad_()
    scores = net(image)  # (1, K, H - 2 border, W - 2 border)
    centre = scores[0, :, scores.shape[2] // 2, scores.shape[3] // 2]
    slopes = [torch.autograd.grad(score, image, retain_graph=True)[0] for score in centre]
    return torch.stack(slopes).abs().sum(dim=(0, 1, 2))


def layer_table(layers: Sequence[Layer]) -> str:
    """Return one line of text per layer: name, kind, channels, side in px, parameters.

    Parameters
    ----------
    layers : sequence of Layer
        From `trace`, or a part of it.
    """
    head = f"{'layer':<13}{'kind':<12}{'ch':>5}{'px':>5}{'parameters':>12}"
    rows = [
        f"{layer.name:<13}{layer.kind:<12}{layer.channels:>5}{layer.width:>5}{layer.parameters:>12,}"
        for layer in layers
    ]
    total = f"{'sum':<35}{sum(layer.parameters for layer in layers):>12,}"
    return "\n".join([head, *rows, total])


class _Recorder:
    """Collects the layers of one forward pass; `seen` remembers where each tensor came from."""

    def __init__(self, image: Tensor):
        columns = np.arange(image.shape[-1])
        self.seen = {}
        self.layers = []
        self._add(image, Layer("image", INPUT, 0, *image.shape[1:], 0, 0, np.stack([columns, columns])))

    def hook(self, name: str):
        def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            sources = [self.seen[id(tensor)][1] for tensor in inputs]
            kind = _kind(module)
            if kind is None:  # ReLU: same map, nothing to report
                self.seen[id(output)] = (output, sources[0])
            else:
                self._add(output, _layer(name, kind, module, sources, output))

        return record

    def _add(self, tensor: Tensor, layer: Layer) -> None:
        self.layers.append(layer)
        self.seen[id(tensor)] = (tensor, layer)  # the tensor is kept alive, so its id stays its own


def _layer(name: str, kind: str, module: nn.Module, sources: list[Layer], output: Tensor) -> Layer:
    channels, height, width = output.shape[1:]
    has_weights = isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    return Layer(
        name=name,
        kind=kind,
        level=sources[0].level + {POOLING: 1, UP_CONVOLUTION: -1}.get(kind, 0),
        channels=channels,
        height=height,
        width=width,
        parameters=sum(weight.numel() for weight in module.parameters()),
        multiply_adds=math.prod(output.shape) * incoming_nodes(module) if has_weights else 0,
        windows=_windows(kind, [source.windows for source in sources], width),
    )


def _windows(kind: str, sources: list[np.ndarray], width: int) -> np.ndarray:
    """First and last input column for each of `width` output columns, from those of the layers before."""
    columns = np.arange(width)
    first, last = sources[0]  # of the layer before, (its width,) each
    if kind == CONVOLUTION:  # unpadded 3x3: output column x reads columns x, x + 1, x + 2
        return np.stack([first[columns], last[columns + 2]])
    if kind == POOLING:  # 2x2, stride 2: output column x reads 2x and 2x + 1
        return np.stack([first[2 * columns], last[2 * columns + 1]])
    if kind == UP_CONVOLUTION:  # kernel = stride: each output pixel sees one input pixel
        return np.stack([first[columns // 2], last[columns // 2]])
    if kind == CONCATENATION:  # sees what either map sees; the copied one is cropped to its centre
        left = (sources[1].shape[1] - width) // 2
        skip = sources[1][:, left : left + width]
        return np.stack([np.minimum(first, skip[0]), np.maximum(last, skip[1])])
    return sources[0]


def _kind(module: nn.Module) -> str | None:
    if isinstance(module, nn.Conv2d):
        return SCORE if module.kernel_size == (1, 1) else CONVOLUTION
    kinds = {
        nn.ConvTranspose2d: UP_CONVOLUTION,
        nn.MaxPool2d: POOLING,
        CropAndConcatenate: CONCATENATION,
        nn.Dropout: DROPOUT,
    }
    return kinds.get(type(module))


def _is_leaf(module: nn.Module) -> bool:
    return not any(module.children())
