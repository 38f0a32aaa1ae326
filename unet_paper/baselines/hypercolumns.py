"""Hypercolumns: describe a pixel by the values of all layers above it, and classify that description.

The maps of every level of a contracting path are enlarged to the size of the image and put behind each other; the
column of numbers at a pixel is its hypercolumn. A classifier looks at one column at a time. Because enlarging and a
1x1 convolution are both linear, they change places: each level is first reduced, then enlarged, then all are added.
The result is the same, and no huge stack of maps is ever made.

References
----------
Hariharan, Arbelaez, Girshick, Malik (2015), "Hypercolumns for object segmentation and fine-grained localization",
CVPR, 447-456, doi:10.1109/CVPR.2015.7298642.
"""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unet_paper.baselines.same_size import SameSizeNet, contracting_path

LEVELS = 5


class HypercolumnNet(SameSizeNet):
    """(B, C, H, W) -> (B, K, H, W), sides multiples of 16.

    Parameters
    ----------
    in_channels, num_classes : int
        Channels of the input, and K of the output.
    base_channels : int
        Channels of the first level of the contracting path.
    hidden : int
        Neurons of the classifier that looks at a column.
    dropout : float
        Behind the last two levels, as in the U-Net.

    Notes
    -----
    Departure: the authors refine boxes of detected objects, with classifiers that differ from place to place in the
    box, on a network trained on ImageNet. Here one classifier with a hidden layer serves all pixels, trained together
    with its features, from fresh weights.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 2,
        *,
        base_channels: int = 64,
        hidden: int = 64,
        dropout: float = 0.5,
    ):
        super().__init__(in_channels, num_classes, stride=2 ** (LEVELS - 1))
        self.settings = {"base_channels": base_channels, "hidden": hidden, "dropout": dropout}
        self.down = contracting_path(in_channels, base_channels, LEVELS)
        self.dropout = nn.Dropout(dropout)
        self.reduce = nn.ModuleList(
            nn.Conv2d(base_channels * 2**level, hidden, kernel_size=1) for level in range(LEVELS)
        )
        self.score = nn.Conv2d(hidden, num_classes, kernel_size=1)
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew; the five parts of the hidden layer count as the one layer that they are."""
        super().reset_parameters(generator)
        inputs = [layer.in_channels for layer in self.reduce]
        with torch.no_grad():
            for layer in self.reduce:
                layer.weight *= (layer.in_channels / sum(inputs)) ** 0.5

    def levels(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> the maps of each level, (B, c 2^l, H / 2^l, W / 2^l)."""
        self.check_input(image)
        x, maps = image, []
        for level, convolve in enumerate(self.down):
            x = convolve(F.max_pool2d(x, 2) if level else x)
            x = self.dropout(x) if level >= LEVELS - 2 else x
            maps.append(x)
        return maps

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, H, W) scores."""
        size = image.shape[2:]
        parts = [enlarged(layer(maps), size) for layer, maps in zip(self.reduce, self.levels(image), strict=True)]
        return self.score(F.relu(reduce(torch.add, parts)))  # a stack of them would lose channels-last

    def by_definition(self, image: Tensor) -> Tensor:
        """Do as `forward` does, the long way: make the columns, then classify them."""
        columns = torch.cat([enlarged(maps, image.shape[2:]) for maps in self.levels(image)], dim=1)
        weight = torch.cat([layer.weight for layer in self.reduce], dim=1)  # (hidden, 31 c, 1, 1)
        bias = torch.stack([layer.bias for layer in self.reduce]).sum(dim=0)
        return self.score(F.relu(F.conv2d(columns, weight, bias)))


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) -> (B, C, *size), bilinear; maps of that size stay as they are."""
    if maps.shape[2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
