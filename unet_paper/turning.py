"""Rotations of images and maps (section 4), on the CPU and on the GPU.

Where every rotated version fits into one tile, the whole average is taken without leaving the GPU: moving the maps to
the host and back would take longer than the network.

References
----------
Ronneberger, Fischer, Brox (2015), section 4, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unet_paper.overlap_tile import TileGrid, evaluating, tile_grid

Size = tuple[int, int]


def rotated_size(size: Size, degrees: float) -> Size:
    """Return (H, W) in px of the smallest canvas that holds an image of `size` rotated by an angle."""
    if degrees % 90 == 0:
        return tuple(size) if degrees % 180 == 0 else tuple(size)[::-1]
    height, width = size
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    return math.ceil(height * cosine + width * sine), math.ceil(height * sine + width * cosine)


def rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate an image counter-clockwise about its centre, on a canvas that holds it all; outside it is mirrored.

    Parameters
    ----------
    image : numpy.ndarray
        (C, H, W) float32.
    degrees : float
        The angle. Multiples of 90 move pixels exactly, all others interpolate linearly.

    Returns
    -------
    numpy.ndarray
        (C, H', W') float32.
    """
    return _rotated(image, degrees, rotated_size(image.shape[1:], degrees))


def rotate_back(rotated: np.ndarray, degrees: float, size: Size) -> np.ndarray:
    """Undo `rotate`: (C, H', W') -> (C, *size)."""
    return _rotated(rotated, -degrees, size)


def fits_one_tile(net: nn.Module, size: Size, *, rotations: int, tile: int) -> bool:
    """Tell whether each of the evenly spaced rotations of an image of `size` fits into one tile, with its context.

    Parameters
    ----------
    net : UNet
        Gives the legal sizes.
    size : tuple of int
        (H, W) of the image in px.
    rotations : int
        How many.
    tile : int
        Largest allowed input side in px.

    Returns
    -------
    bool
        True if `average_on_device` can take the image.
    """
    sides = {side for turn in range(rotations) for side in rotated_size(size, 360 * turn / rotations)}
    grids = {side: tile_grid(net, side, tile=tile) for side in sides}
    # The context is mirrored in one go, which needs an image that is wider than its context.
    return min(size) > 1 and all(len(g.starts) == 1 and g.size - net.border - n < n for n, g in grids.items())


def average_on_device(
    net: nn.Module, image: np.ndarray, *, rotations: int, flips: bool, tile: int, device, precision: str
) -> np.ndarray:
    """Return the probability of every class at every pixel, averaged over rotations (and flips).

    Parameters
    ----------
    net : UNet
        The network; moved to `device`.
    image : numpy.ndarray
        (C, H, W) float32 in [0, 1], for which `fits_one_tile` holds.
    rotations, flips, tile, device, precision
        As in `unet_paper.predict_probability` and `unet_paper.predict_scores`.

    Returns
    -------
    numpy.ndarray
        (K, H, W) float32.
    """
    with evaluating(net, device=device, precision=precision):
        image = torch.from_numpy(image)[None].to(device)  # (1, C, H, W)
        views = [
            _seen_rotated(net, image, 360 * turn / rotations, flip=flip, tile=tile)
            for flip in (False, True)[: 1 + flips]
            for turn in range(rotations)
        ]
        return torch.stack(views).mean(dim=0)[0].cpu().numpy()


def _seen_rotated(net: nn.Module, image: Tensor, degrees: float, *, flip: bool, tile: int) -> Tensor:
    """(1, C, H, W) -> (1, K, H, W): the probability as the network sees it in the rotated (and mirrored) image."""
    turned = rotate_tensor(image.flip(-1) if flip else image, degrees, rotated_size(image.shape[2:], degrees))
    rows, columns = (tile_grid(net, n, tile=tile) for n in turned.shape[2:])
    probability = net(_with_context(turned, net.border, rows, columns)).float().softmax(dim=1)
    probability = probability[..., : turned.shape[2], : turned.shape[3]]
    upright = rotate_tensor(probability, -degrees, image.shape[2:])
    return upright.flip(-1) if flip else upright


def _with_context(image: Tensor, border: int, rows: TileGrid, columns: TileGrid) -> Tensor:
    """Mirror an image on all sides so that it fills its tile."""
    below, right = (grid.size - border - n for grid, n in zip((rows, columns), image.shape[2:], strict=True))
    return F.pad(image, (border, right, border, below), mode="reflect")


def rotate_tensor(image: Tensor, degrees: float, size: Size) -> Tensor:
    """Rotate an image counter-clockwise about its centre; what was outside is its mirror image.

    Parameters
    ----------
    image : Tensor
        (1, C, H, W) float32. Multiples of 90 degrees move its pixels exactly, all other angles interpolate linearly.
    degrees : float
        The angle.
    size : tuple of int
        (H', W') of the canvas in px.

    Returns
    -------
    Tensor
        (1, C, H', W').
    """
    if degrees % 90 == 0:
        return torch.rot90(image, int(degrees // 90), dims=(2, 3))
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    y, x = (torch.arange(n, device=image.device) - (n - 1) / 2 for n in size)  # from the centre of the canvas
    row = cosine * y[:, None] + sine * x  # (H', W'), from the centre of the image
    column = cosine * x - sine * y[:, None]
    half = [(n - 1) / 2 for n in image.shape[2:]]
    positions = torch.stack([column / half[1], row / half[0]], dim=-1)[None]  # edge pixels at -1 and 1
    return F.grid_sample(image, positions, mode="bilinear", padding_mode="reflection", align_corners=True)


def _rotated(image: np.ndarray, degrees: float, size: Size) -> np.ndarray:
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None]  # (1, C, H, W)
    return rotate_tensor(tensor, degrees, size)[0].contiguous().numpy()
