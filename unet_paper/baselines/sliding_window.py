"""The network that held the field before the U-Net: classify each pixel from a square window around it.

Its default is the net called N4 of Ciresan et al. (2012): a window of 95 x 95 px, four convolutions with 48 maps, each
followed by 2x2 max-pooling, and two fully connected layers. N3 sees 65 x 65 px. A net can be run as its authors' idea
reads, one window per pixel, or densely: all windows at once with dilated kernels, the same scores for a fraction of
the work.

Departure: the example scripts that its authors gave away with trained nets smooth the calibrated map by medians over
small discs; here nothing smooths it. Other departures stand in the chapter on the comparison.

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

KERNELS = (4, 5, 4, 4)  # px, of the four convolutions of N4
# Side of the window in px -> kernels. Departure: of N3 we know the window alone; its kernels are ours, chosen so that
# every pooling sees even sides. The window of 31 px is none of the authors': it shows what less context costs.
WINDOWS = {31: (4, 3, 3), 65: (4, 4, 5, 4), 95: KERNELS}


class SlidingWindowNet(nn.Module):
    """(B, 1, w, w) -> (B, K), scores of the window's central pixel; ReLU between layers.

    Parameters
    ----------
    num_classes : int
        K, the number of scores.
    window : {95, 65, 31}
        Side w of the window in px: 95 is the net N4, 65 is N3.
    maps : int
        Channels of each convolution.
    hidden : int
        Neurons of the first fully connected layer.

    Attributes
    ----------
    left : int
        Positions per axis that are left of the window before the fully connected layers.

    Raises
    ------
    ValueError
        If there is no net for such a window; the message names those that there are.
    """

    def __init__(self, num_classes: int = 2, *, window: int = 95, maps: int = 48, hidden: int = 200):
        super().__init__()
        if window not in WINDOWS:
            legal = ", ".join(map(str, sorted(WINDOWS)))
            raise ValueError(f"window is {window} px; there are nets for windows of {legal} px (95 is N4, 65 is N3)")
        self.window, self.num_classes, self.left = window, num_classes, window
        self.settings = {"num_classes": num_classes, "window": window, "maps": maps, "hidden": hidden}
        self.convolutions = nn.ModuleList()
        for number, kernel in enumerate(WINDOWS[window]):
            self.convolutions.append(nn.Conv2d(maps if number else 1, maps, kernel))
            self.left = (self.left - kernel + 1) // 2  # N4: 46, 21, 9, 3
        self.hidden = nn.Linear(self.left**2 * maps, hidden)
        self.score = nn.Linear(hidden, num_classes)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew as for the U-Net: standard deviation sqrt(2/N), biases 0."""
        for layer in [*self.convolutions, self.hidden, self.score]:
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.weight[0].numel()), generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, windows: Tensor) -> Tensor:
        """(B, 1, w, w) -> (B, K) scores of the central pixels."""
        if windows.ndim != 4 or windows.shape[1:] != (1, self.window, self.window):
            needed = f"(B, 1, {self.window}, {self.window})"
            raise ValueError(f"windows have shape {tuple(windows.shape)}; needs {needed}, or call dense()")
        x = windows
        for convolution in self.convolutions:
            x = F.relu(F.max_pool2d(convolution(x), 2))  # sides of N4: 46, 21, 9, 3; ReLU keeps order, so it may wait
        return self.score(F.relu(self.hidden(x.flatten(1))))

    def dense(self, image: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, K, H - w + 1, W - w + 1): the scores of every window, each value computed once.

        Pooling with stride 1 keeps all positions; what a later kernel would have found side by side now lies twice,
        four times, ... as far apart, so kernels are dilated instead of maps shrunk.
        """
        x, spacing = image, 1
        for convolution in self.convolutions:
            x = F.relu(F.conv2d(x, convolution.weight, convolution.bias, dilation=spacing))
            x = F.max_pool2d(x, 2, stride=1, dilation=spacing)
            spacing *= 2
        as_kernel = self.hidden.weight.unflatten(1, (-1, self.left, self.left))  # (200, 48, 3, 3)
        x = F.relu(F.conv2d(x, as_kernel, self.hidden.bias, dilation=spacing))
        return F.conv2d(x, self.score.weight[..., None, None], self.score.bias)


class DenseWindows(nn.Module):
    """A sliding-window net in the form in which `unet_paper.predict_probability` takes networks.

    (B, 1, n, n) -> (B, K, n - w + 1, n - w + 1). Every size from the window on is legal, and stride is 1.

    Parameters
    ----------
    net : SlidingWindowNet
        Shared, not copied.
    """

    in_channels, stride = 1, 1

    def __init__(self, net: SlidingWindowNet):
        super().__init__()
        self.net, self.num_classes, self.border = net, net.num_classes, net.window // 2

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, K, H - w + 1, W - w + 1)."""
        return self.net.dense(image)

    def output_size(self, n: int) -> int:
        """Return the output side in px for an input side of `n` px."""
        if n < self.net.window:
            raise ValueError(f"input side {n} is not legal: the smallest is the window, {self.net.window} px")
        return n - 2 * self.border

    def legal_size_for(self, n_out: int) -> int:
        """Return the input side in px whose output side is `n_out` px."""
        return n_out + 2 * self.border


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
