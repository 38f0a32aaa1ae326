"""How many pixels of held-out images a network gets wrong, threshold by threshold, while it is trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from unet_paper.arrays import IGNORE
from unet_paper.metrics.maps import WARPING_THRESHOLDS, above
from unet_paper.overlap_tile import scores_of_input


def held_out_counts(net: nn.Module, images: np.ndarray, labels: np.ndarray, *, tile: int, precision: str) -> Tensor:
    """Count the annotated pixels where a thresholded map differs from the labels.

    Parameters
    ----------
    net : UNet
        The network.
    images, labels : numpy.ndarray
        (N, H, W) float32 and int32.
    tile : int
        Input tile in px.
    precision : {"float32", "bfloat16"}
        As in `unet_paper.predict_scores`.

    Returns
    -------
    Tensor
        (11,) float64: differing pixels at each of the ten thresholds, then the number of annotated pixels.
    """
    counts = torch.zeros(len(WARPING_THRESHOLDS) + 1, dtype=torch.float64)
    for image, truth in zip(images, labels, strict=True):
        read = scores_of_input(net, image[None], tile=tile, precision=precision, progress=False)  # (2, H, W)
        scores = torch.from_numpy(read)
        cell = scores.softmax(dim=0)[1].numpy()  # (H, W)
        known = truth != IGNORE
        differ = [np.count_nonzero((above(cell, threshold) != (truth > 0)) & known) for threshold in WARPING_THRESHOLDS]
        counts += torch.tensor([*differ, np.count_nonzero(known)], dtype=torch.float64)
    return counts
