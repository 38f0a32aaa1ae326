"""Class probabilities of a whole image, averaged over rotated and mirrored versions of it (section 4).

There is one way for every device. Where each rotated version fits into one tile, the whole average is taken where the
network is, because moving maps between a GPU and its host would take longer than the network; a larger image stays on
the host and visits the network tile by tile.

References
----------
Ronneberger, Fischer, Brox (2015), section 4, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import softmax
from torch import Tensor, nn

from unet_paper.messages import short
from unet_paper.options import check_scalar
from unet_paper.overlap_tile import as_network_input, check_request, evaluating, tiled_scores
from unet_paper.resizing import resize_image, scaled_size

_MOST_ROTATIONS = 360  # one for each degree

Size = tuple[int, int]


def predict_probability(
    net: nn.Module,
    image,
    *,
    rotations: int = 1,
    flips: bool = False,
    scale: float = 1.0,
    standardise: bool = False,
    tile: int = 572,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool = True,
) -> np.ndarray:
    """Return the probability of every class at every pixel.

    The paper averages over 7 rotated versions of the input and does not say which; here they are evenly spaced over
    the full circle. Rotated images are mirrored outside, like the context of a tile, so no pixel sees made-up grey.

    Parameters
    ----------
    net : UNet
        The network; used in evaluation mode and given back as it was. It is moved to `device`.
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
    tile : int
        Largest input tile in px, a legal size of `net`. Smaller tiles need less memory and more operations.
    device : str or torch.device, optional
        Where to compute; by default where the network is.
    precision : {"float32", "bfloat16"}
        As in `unet_paper.predict_scores`.
    progress : bool
        Show a progress bar if the work takes longer than two seconds.

    Returns
    -------
    numpy.ndarray
        (K, H, W) float32 in [0, 1]; sums to 1 over K. Class 1 is cell.

    Raises
    ------
    ValueError
        If `rotations` is below 1 or above 360, or `scale` not above 0 (also all that `unet_paper.predict_scores`
        refuses).
    TypeError
        If `rotations` is no whole number, or `flips` or `standardise` is neither True nor False.
    """
    _check_views(rotations, flips)
    check_scalar(standardise, bool, name="standardise")
    image = as_network_input(image)
    check_request(net, image, tile=tile, precision=precision)
    size = image.shape[1:]
    resized = scaled_size(size, scale)
    if scale != 1:
        image = resize_image(image, resized)
    if standardise:
        image = standardised(image)
    views = [(360 * k / rotations, flip) for flip in (False, True)[: 1 + flips] for k in range(rotations)]
    with evaluating(net, device=device, precision=precision) as evaluate:
        whole = fits_one_tile(net, image.shape[1:], rotations=rotations, tile=tile)
        home = next(net.parameters()).device if whole else "cpu"
        read = partial(tiled_scores, net, evaluate, tile=tile, progress=progress)
        mean = _average(torch.from_numpy(np.ascontiguousarray(image)).to(home), views, read)
    return mean if scale == 1 else resize_image(mean, size).clip(0, 1)  # rounding may leave the range


def cell_maps(
    net: nn.Module,
    images: Sequence,
    *,
    rotations: int = 1,
    flips: bool = False,
    scale: float = 1.0,
    standardise: bool = False,
    tile: int = 572,
    device: str | torch.device | None = None,
    precision: str = "float32",
) -> np.ndarray:
    """Return the probability of cell at every pixel of images of one size.

    Parameters
    ----------
    net : UNet
        The network.
    images : sequence of array_like
        N images of one size, as `predict_probability` takes them.
    rotations, flips, scale, standardise, tile, device, precision
        As in `predict_probability`.

    Returns
    -------
    numpy.ndarray
        (N, H, W) float32 in [0, 1]: class 1 of each map.
    """
    how = {"rotations": rotations, "flips": flips, "scale": scale, "standardise": standardise}
    how |= {"tile": tile, "device": device, "precision": precision, "progress": False}
    return np.stack([predict_probability(net, image, **how)[1] for image in images])


def _check_views(rotations: int, flips: bool) -> None:
    """Refuse versions of an image that there are not: fewer than one rotation, or flips that are a number.

    Raises
    ------
    TypeError, ValueError
        Naming what to pass.
    """
    if check_scalar(rotations, int, name="rotations") < 1:
        raise ValueError(f"rotations is {rotations}; needs at least 1 (1 is the image alone)")
    if rotations > _MOST_ROTATIONS:
        raise ValueError(f"rotations is {short(str(rotations))}; needs at most {_MOST_ROTATIONS}, the paper has 7")
    check_scalar(flips, bool, name="flips")


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


def _average(image: Tensor, views: list[tuple[float, bool]], read: Callable[[Tensor], Tensor]) -> np.ndarray:
    """(C, H, W) -> (K, H, W): the mean of what `read` sees in each view, an angle in degrees and whether mirrored."""
    total = 0.0
    for degrees, flip in views:
        rotated = rotate(image.flip(-1) if flip else image, degrees)
        upright = rotate_back(_softmax(read(rotated)), degrees, image.shape[1:]).double()
        total = total + (upright.flip(-1) if flip else upright)
    return (total / len(views)).float().cpu().numpy()


def fits_one_tile(net: nn.Module, size: Size, *, rotations: int, tile: int) -> bool:
    """Tell whether each of the evenly spaced rotations of an image of `size` (H, W) fits into one tile of `tile` px."""
    sizes = (rotated_size(size, 360 * k / rotations) for k in range(rotations))
    return max(side for size in sizes for side in size) <= net.output_size(tile) // net.stride * net.stride


def rotated_size(size: Size, degrees: float) -> Size:
    """Return (H, W) in px of the smallest canvas that holds an image of `size` rotated by an angle."""
    if degrees % 90 == 0:
        return tuple(size) if degrees % 180 == 0 else tuple(size)[::-1]
    height, width = size
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    return math.ceil(height * cosine + width * sine), math.ceil(height * sine + width * cosine)


def rotate(image: Tensor, degrees: float) -> Tensor:
    """Rotate an image counter-clockwise about its centre, on a canvas that holds it all; outside it is mirrored.

    Parameters
    ----------
    image : Tensor
        (C, H, W) float32, on any device.
    degrees : float
        The angle. Multiples of 90 move pixels exactly, all others interpolate linearly.

    Returns
    -------
    Tensor
        (C, H', W') float32.
    """
    return _rotated(image, degrees, rotated_size(image.shape[1:], degrees))


def rotate_back(rotated: Tensor, degrees: float, size: Size) -> Tensor:
    """Undo `rotate`: (C, H', W') -> (C, *size)."""
    return _rotated(rotated, -degrees, size)


def _rotated(image: Tensor, degrees: float, size: Size) -> Tensor:
    """(C, H, W) -> (C, *size): every pixel of the canvas looks up where in the image it comes from."""
    if degrees % 90 == 0:
        return torch.rot90(image, int(degrees // 90), dims=(1, 2))
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    y, x = (torch.arange(n, device=image.device) - (n - 1) / 2 for n in size)  # from the centre of the canvas
    row = cosine * y[:, None] + sine * x  # (H', W'), from the centre of the image
    column = cosine * x - sine * y[:, None]
    half = [(n - 1) / 2 for n in image.shape[1:]]
    positions = torch.stack([column / half[1], row / half[0]], dim=-1)[None]  # edge pixels at -1 and 1
    read = {"mode": "bilinear", "padding_mode": "reflection", "align_corners": True}
    return F.grid_sample(image[None], positions, **read)[0]


def _softmax(scores: Tensor) -> Tensor:
    """(K, H, W) -> (K, H, W): scores as probabilities."""
    if scores.is_cuda:
        return scores.softmax(dim=0)
    return torch.from_numpy(softmax(scores.numpy(), axis=0))  # to the bit as in every result recorded on a CPU
