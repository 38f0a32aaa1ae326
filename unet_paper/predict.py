"""Class probabilities of a whole image, averaged over rotated versions of it (section 4).

References
----------
Ronneberger, Fischer, Brox (2015), section 4, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from unet_paper.arrays import resize_image, scaled_size
from unet_paper.overlap_tile import PRECISIONS, as_network_input, predict_scores
from unet_paper.turning import average_on_device, fits_one_tile, rotate, rotate_back


def predict_probability(
    net: nn.Module,
    image,
    *,
    rotations: int = 1,
    flips: bool = False,
    scale: float = 1.0,
    standardise: bool = False,
    **how,
) -> np.ndarray:
    """Return the probability of every class at every pixel.

    The paper averages over 7 rotated versions of the input and does not say which; here they are evenly spaced over
    the full circle. Rotated images are mirrored outside, like the context of a tile, so no pixel sees made-up grey.

    Parameters
    ----------
    net : UNet
        The network.
    image : array_like
        (H, W) or (C, H, W), any size, uint8, uint16 or float in [0, 1].
    rotations : int
        Number of evenly spaced rotations; 1 is the image alone, 7 is the paper's.
    flips : bool
        Take every rotation of the mirrored image too: with 2 rotations the four flips of the authors' release,
        with 4 all eight symmetries of the square.
    scale : float
        Factor by which the image is resized before the network sees it, for a network trained on images of such size
        (its card says so); the map comes back at the image's own size.
    standardise : bool
        Give the network the image with mean 0 and variance 1, for one trained with `TrainConfig.standardise_each`.
    **how
        `tile`, `device`, `precision`, `progress` of `unet_paper.predict_scores`.

    Returns
    -------
    numpy.ndarray
        (K, H, W) float32 in [0, 1]; sums to 1 over K. Class 1 is cell.

    Raises
    ------
    ValueError
        If `rotations` is below 1 or `scale` not above 0 (also all that `unet_paper.predict_scores` refuses).
    """
    if rotations < 1:
        raise ValueError(f"rotations is {rotations}; needs at least 1 (1 is the image alone)")
    image = as_network_input(image)
    size = image.shape[1:]
    if scale != 1:
        image = resize_image(image, scaled_size(size, scale))
    if standardise:
        image = standardised(image)
    mean = _average(net, image, rotations, flips, how)
    return mean if scale == 1 else resize_image(mean, size).clip(0, 1)  # rounding may leave the range


def standardised(image: np.ndarray) -> np.ndarray:
    """Return an image with mean 0 and variance 1, as `TrainConfig.standardise_each` trains on it.

    Raises
    ------
    ValueError
        If it has one and the same grey value everywhere.
    """
    deviation = image.std(dtype=np.float64)
    if deviation == 0:
        raise ValueError("the image has one and the same grey value; it cannot be standardised")
    return ((image - np.float32(image.mean(dtype=np.float64))) / np.float32(deviation)).astype(np.float32)


def _average(net: nn.Module, image: np.ndarray, rotations: int, flips: bool, how: dict) -> np.ndarray:
    """(C, H, W) -> (K, H, W): the average over rotations and flips; on a GPU without leaving it, where tiles allow."""
    device = torch.device(how.get("device") or next(net.parameters()).device)
    tile, precision = how.get("tile", 572), how.get("precision", "float32")
    on_gpu = device.type == "cuda" and precision in PRECISIONS
    if on_gpu and fits_one_tile(net, image.shape[1:], rotations=rotations, tile=tile):
        turns = {"rotations": rotations, "flips": flips}
        return average_on_device(net, image, **turns, tile=tile, device=device, precision=precision)
    total = np.zeros((net.num_classes, *image.shape[1:]), dtype=np.float64)
    for flip in (False, True)[: 1 + flips]:
        for turn in range(rotations):
            total += _seen_rotated(net, image, 360 * turn / rotations, flip=flip, how=how)
    return (total / (rotations * (1 + flips))).astype(np.float32)


def _seen_rotated(net: nn.Module, image: np.ndarray, degrees: float, *, flip: bool, how: dict) -> np.ndarray:
    """(C, H, W) -> (K, H, W): the probability as the network sees it in the rotated (and mirrored) image."""
    turned = rotate(image[..., ::-1] if flip else image, degrees)
    probability = softmax(predict_scores(net, turned, **how), axis=0)
    upright = rotate_back(probability, degrees, image.shape[1:])
    return upright[..., ::-1] if flip else upright
