"""The network that held the field before the U-Net: classify each pixel from a square window around it.

This is the net called N4 of Ciresan et al. (2012): a window of 95 x 95 px, four convolutions with 48 maps, each
followed by 2x2 max-pooling, and two fully connected layers. It can be run as its authors' idea reads, one window per
pixel, or densely: all windows at once with dilated kernels, the same scores for a fraction of the work.

References
----------
Ciresan, Giusti, Gambardella, Schmidhuber (2012), "Deep neural networks segment neuronal membranes in electron
microscopy images", NIPS 25, 2843-2851.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unet_paper.overlap_tile import mirror_crop

KERNELS = (4, 5, 4, 4)  # px, of the four convolutions


class SlidingWindowNet(nn.Module):
    """The net N4: (B, 1, 95, 95) -> (B, 2), scores of the window's central pixel; ReLU between layers.

    Parameters
    ----------
    num_classes : int
        K, the number of scores.
    maps : int
        Channels of each convolution.
    hidden : int
        Neurons of the first fully connected layer.

    Attributes
    ----------
    window : int
        Side of the window in px.
    """

    window = 95

    def __init__(self, num_classes: int = 2, *, maps: int = 48, hidden: int = 200):
        super().__init__()
        channels = [1, maps, maps, maps, maps]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel)
            for before, after, kernel in zip(channels, channels[1:], KERNELS, strict=False)
        )
        self.hidden = nn.Linear(9 * maps, hidden)  # 3 x 3 positions are left of the window
        self.score = nn.Linear(hidden, num_classes)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew as for the U-Net: standard deviation sqrt(2/N), biases 0."""
        for layer in [*self.convolutions, self.hidden, self.score]:
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.weight[0].numel()), generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, windows: Tensor) -> Tensor:
        """(B, 1, 95, 95) -> (B, K) scores of the central pixels."""
        if windows.ndim != 4 or windows.shape[1:] != (1, self.window, self.window):
            raise ValueError(f"windows have shape {tuple(windows.shape)}; needs (B, 1, 95, 95), or call dense()")
        x = windows
        for convolution in self.convolutions:
            x = F.max_pool2d(F.relu(convolution(x)), 2)  # sides 46, 21, 9, 3
        return self.score(F.relu(self.hidden(x.flatten(1))))

    def dense(self, image: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, K, H - 94, W - 94): the scores of every window, each intermediate value computed once.

        Pooling with stride 1 keeps all positions; what a later kernel would have found side by side now lies twice,
        four times, ... as far apart, so kernels are dilated instead of maps shrunk.
        """
        x, spacing = image, 1
        for convolution in self.convolutions:
            x = F.relu(F.conv2d(x, convolution.weight, convolution.bias, dilation=spacing))
            x = F.max_pool2d(x, 2, stride=1, dilation=spacing)
            spacing *= 2
        as_kernel = self.hidden.weight.unflatten(1, (-1, 3, 3))  # (200, 48, 3, 3)
        x = F.relu(F.conv2d(x, as_kernel, self.hidden.bias, dilation=spacing))
        return F.conv2d(x, self.score.weight[..., None, None], self.score.bias)


def windows_around(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, *, side: int = 95) -> np.ndarray:
    """Cut the window around each of the given pixels; beyond its edge the image is mirrored.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) float.
    rows, columns : numpy.ndarray
        (N,) int, the central pixels.
    side : int
        Side of the windows in px, odd.

    Returns
    -------
    numpy.ndarray
        (N, side, side), same dtype as the image.
    """
    half, shape = side // 2, (side, side)
    return np.stack([mirror_crop(image, y - half, x - half, shape) for y, x in zip(rows, columns, strict=True)])


def shared_share(side: int, *, shift: int = 1) -> float:
    """Return the share of its pixels that a window has in common with its neighbour.

    Parameters
    ----------
    side : int
        Side of the windows in px.
    shift : int
        Distance between the two along one axis, px.
    """
    return max(side - shift, 0) / side
