"""Images, labels and parts of images at another size: one resize for the whole package.

Departure: the paper's networks see every image at its own size; at scale 1 so do ours.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import interpolate

from unet_paper.options import check_scalar

Part = tuple[tuple[int, int], tuple[int, int]]  # rows, columns: first, and last + 1

_LONGEST_SIDE = 32_768  # px; an image of such sides takes 4 GB
_RESIZED_AT_ONCE = 1 << 23  # numbers in memory


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return (H, W) in px of an image of `size` after resizing by `scale`, at least (1, 1).

    Raises
    ------
    ValueError
        If `scale` is not a finite number above 0, or makes a side longer than 32,768 px.
    """
    check_scalar(scale, float, name="scale")
    if not (scale > 0 and math.isfinite(scale)):
        raise ValueError(f"scale is {scale}; needs a factor above 0, for example 0.5 for half the size")
    if max(size) * scale > _LONGEST_SIDE:
        raise ValueError(
            f"scale is {scale:g}, for sides of {max(size)} px; needs at most {_LONGEST_SIDE / max(size):g}"
        )
    return tuple(max(1, round(side * scale)) for side in size)


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (C, H, W) float32 to (C, *size): linear interpolation, averaging over what a smaller pixel covers."""
    if size[1] == 1:  # PyTorch 2.13 repeats rows of a single column
        part = ((0, size[0]), (0, 1))
        planes = np.asarray(image, dtype=np.float32)
        return np.stack([resized_part(plane, (0, 0), plane.shape, size, part) for plane in planes])
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None]  # (1, C, H, W)
    return interpolate(tensor, size=size, mode="bilinear", antialias=True)[0].numpy()


def resized_part(
    window: np.ndarray, corner: tuple[int, int], old: tuple[int, int], new: tuple[int, int], part: Part
) -> np.ndarray:
    """Return a part of what `resize_image` makes of a whole image, to the bit, from the window of `needed_part`.

    Parameters
    ----------
    window : numpy.ndarray
        (h, w) float32, of the image.
    corner : tuple of int
        Row and column of its first pixel in the image.
    old, new : tuple of int
        (H, W) of the image before and after.
    part : tuple of tuple of int
        First and last + 1 of the rows and of the columns to return.

    Returns
    -------
    numpy.ndarray
        (rows, columns) float32.
    """
    wide = _resized_last_axis(window, corner[1], old[1], new[1], part[1])
    return np.ascontiguousarray(_resized_last_axis(np.ascontiguousarray(wide.T), corner[0], old[0], new[0], part[0]).T)


def needed_part(part: Part, old: tuple[int, int], new: tuple[int, int]) -> Part:
    """Return rows and columns of an image of `old` (H, W) on which a part of it, resized to `new`, depends."""
    spans = []
    for (start, stop), before, after in zip(part, old, new, strict=True):
        factor = before / after
        reach = max(factor, 1.0) + 1  # a pixel averages over what it covers, at least over its two neighbours
        low, high = (start + 0.5) * factor - reach, (stop - 0.5) * factor + reach
        spans.append((max(0, math.floor(low)), min(before, math.ceil(high))))
    return spans[0], spans[1]


def _resized_last_axis(window: np.ndarray, at: int, old: int, new: int, part: tuple[int, int]) -> np.ndarray:
    """(h, w) -> (h, part): the weights depend on a pixel's place in the whole axis, so the window is laid there."""
    if old == new:
        return window[:, part[0] - at : part[1] - at]
    at_once = max(1, _RESIZED_AT_ONCE // (old + new))
    pieces = []
    for first in range(0, len(window), at_once):
        piece = window[first : first + at_once]
        axis = torch.zeros(1, 1, len(piece), old)
        axis[0, 0, :, at : at + window.shape[1]] = torch.from_numpy(piece)
        resized = interpolate(axis, size=(len(piece), new), mode="bilinear", antialias=True)
        pieces.append(resized[0, 0, :, part[0] : part[1]].numpy().copy())
    return np.concatenate(pieces)


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (N, H, W) int32 to (N, *size): each pixel takes the nearest label, none is made up."""
    rows, columns = (nearest_index(old, new) for old, new in zip(labels.shape[1:], size, strict=True))
    return labels[:, rows[:, None], columns]


def nearest_index(old: int, new: int) -> np.ndarray:
    """Return, for each of `new` px, the index of the nearest of `old` px by the position of their centres."""
    return np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
