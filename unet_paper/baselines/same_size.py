"""What the padded baselines have in common: output as large as the input, a contracting path like the U-Net's."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unet_paper.model import incoming_nodes


class SameSizeNet(nn.Module):
    """A network whose output is as large as its input, in the form that `unet_paper.predict_scores` takes.

    Attributes
    ----------
    in_channels, num_classes : int
        Channels of the input, and of the output.
    stride : int
        Legal sides are multiples of it, px.
    border : int
        0: nothing is lost at the border.
    """

    border = 0

    def __init__(self, in_channels: int, num_classes: int, *, stride: int):
        super().__init__()
        self.in_channels, self.num_classes, self.stride = in_channels, num_classes, stride

    def is_legal_size(self, n: int) -> bool:
        """Tell whether every pooling sees an even side, for an input side of `n` px."""
        return n >= 1 and n % self.stride == 0

    def output_size(self, n: int) -> int:
        """Return the output side in px for an input side of `n` px, or refuse it and name the nearest legal ones."""
        if not self.is_legal_size(n):
            below = n // self.stride * self.stride
            nearest = (
                f"nearest are {below} and {below + self.stride}" if below > 0 else f"the smallest is {self.stride}"
            )
            raise ValueError(f"input side {n} is not legal: needs a multiple of {self.stride}; {nearest}")
        return n

    def legal_size_for(self, n_out: int) -> int:
        """Return the smallest legal side of at least `n_out` px."""
        return -(-n_out // self.stride) * self.stride

    def check_input(self, image: Tensor) -> None:
        """Refuse a batch (B, C, H, W) of other channels than the network's, or with an illegal side."""
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise ValueError(f"input has shape {tuple(image.shape)}; needs (B, {self.in_channels}, H, W)")
        for n in image.shape[2:]:
            self.output_size(n)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all convolutions anew as for the U-Net: standard deviation sqrt(2/N), biases 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=math.sqrt(2 / incoming_nodes(module)), generator=generator)
                nn.init.zeros_(module.bias)


def padded_pair(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two zero-padded 3x3 convolutions with ReLU: (B, C_in, H, W) -> (B, C_out, H, W)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
    )


def contracting_path(in_channels: int, base_channels: int, levels: int) -> nn.ModuleList:
    """Return the levels of a contracting path as wide as the U-Net's: channels double from level to level."""
    widths = [base_channels * 2**level for level in range(levels)]
    return nn.ModuleList(
        padded_pair(before, after) for before, after in zip([in_channels, *widths], widths, strict=False)
    )
