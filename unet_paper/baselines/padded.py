"""The U-Net that many later ports build: zero-padded convolutions, output as large as the input.

It has the same layers and takes the same weights as the paper's network, so the two can be compared with nothing but
the padding between them. Run tile by tile it shows what the paper avoids: seams.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from unet_paper.model import DoubleConvolution, UNet


class PaddedUNet(UNet):
    """A U-Net whose 3x3 convolutions put a ring of zeros around their input; parameters as for `UNet`.

    (B, C, H, W) -> (B, K, H, W), H and W multiples of 16. Nothing is lost at the border, so `border` is 0.
    With `batch_norm`, a batch normalisation stands behind each 3x3 convolution, as in most ports of the network.
    """

    def __init__(self, in_channels: int = 1, num_classes: int = 2, *, batch_norm: bool = False, **settings):
        super().__init__(in_channels, num_classes, **settings)
        self.batch_norm = batch_norm
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                module.padding = (1, 1)
            if batch_norm and isinstance(module, DoubleConvolution):
                for place in (1, 4):  # behind each convolution, before its ReLU
                    module.insert(place, nn.BatchNorm2d(module[0].out_channels))

    @property
    def settings(self) -> dict:
        """What `PaddedUNet(**settings)` needs to build a network of the same shape."""
        return {**super().settings, "batch_norm": self.batch_norm}

    @property
    def input_margin(self) -> int:
        """Pixels that the contracting path consumes: none."""
        return 0

    @property
    def output_margin(self) -> int:
        """Pixels that the rest consumes: none."""
        return 0


def padded_twin(net: UNet) -> PaddedUNet:
    """Return a padded network with the weights of `net`, in evaluation mode.

    Parameters
    ----------
    net : UNet
        Stays as it is; the weights are copied.
    """
    twin = PaddedUNet(
        net.in_channels,
        net.num_classes,
        base_channels=net.base_channels,
        depth=net.depth,
        dropout=net.dropout.p,
        variant=net.variant,
    )
    twin.load_state_dict(net.state_dict())
    return twin.to(next(net.parameters()).device).eval()


def reach_of_zeros(depth: int) -> int:
    """Return how many px on each side of a cut a padded network computes from zeros instead of image.

    Two convolutions carry the damage 2 px further, a pooling spoils each 2x2 block that holds a spoilt pixel, and an
    up-convolution doubles what there is. The cut lies on the pooling grid.

    Parameters
    ----------
    depth : int
        Number of 2x2 poolings; 94 px for the paper's 4.
    """
    spoilt = 2
    for _ in range(depth):
        spoilt = -(-spoilt // 2) + 2  # rounded up to whole blocks
    for _ in range(depth):
        spoilt = 2 * spoilt + 2
    return spoilt


def relative_difference(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return how far two score maps differ at each pixel, in standard deviations of the reference.

    Parameters
    ----------
    scores, reference : numpy.ndarray
        (K, H, W) float.

    Returns
    -------
    numpy.ndarray
        (H, W) largest absolute difference over the K classes, each divided by its class's standard deviation.
    """
    spread = reference.std(axis=(1, 2), keepdims=True)
    return (np.abs(scores - reference) / spread).max(axis=0)


def mean_by_distance(difference: np.ndarray, step: int) -> np.ndarray:
    """Average a map over all pixels at the same distance from the nearest border between tiles.

    Parameters
    ----------
    difference : numpy.ndarray
        (H, W) float.
    step : int
        Side of the tiles in px, counted from the top left corner.

    Returns
    -------
    numpy.ndarray
        (D,) float: entry d is the mean at a distance of d px, where 0 means that the next pixel is another tile's.
    """
    rows, columns = (distance_to_seam(n, step) for n in difference.shape)
    distance = np.minimum(rows[:, None], columns)
    return np.bincount(distance.ravel(), difference.ravel()) / np.bincount(distance.ravel())


def distance_to_seam(n: int, step: int) -> np.ndarray:
    """Return, for each of `n` px of an axis cut every `step` px, how far it is from the nearest cut.

    The ends of the axis are no cuts: there is no neighbouring tile to disagree with.
    """
    cuts = np.arange(step, n, step)
    if len(cuts) == 0:
        return np.full(n, n, dtype=np.int64)
    pixels = np.arange(n)[:, None]
    return np.where(pixels < cuts, cuts - pixels - 1, pixels - cuts).min(axis=1)
