"""What every array passes through: one check, one unit range, one resize, one table of overlaps for the whole package.

Each check refuses one kind of bad array, names the value and says how to mend it. Every public function that takes an
image, labels or probabilities sends them through here, so the same mistake gives the same message everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate

IGNORE = -1  # label of a pixel that nobody annotated: it gets loss weight 0
FULL_RANGE = {"uint8": 255, "uint16": 65535}  # grey value that becomes 1.0


def check_choice(value: str, choices: Iterable[str], *, name: str) -> str:
    """Return `value` if it is one of `choices`; the message lists them.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(repr, choices))}")
    return value


def check_array(array, *, name: str, ranks: tuple[int, ...]) -> np.ndarray:
    """Return `array` as a numpy array, or refuse a wrong rank, an empty array, NaN and infinity.

    Parameters
    ----------
    array : array_like
        Anything that `numpy.asarray` takes; booleans and numbers only.
    name : str
        What the message calls it, for example ``"image"``.
    ranks : tuple of int
        The allowed numbers of dimensions.

    Raises
    ------
    TypeError
        If the values are not booleans or real numbers.
    ValueError
        If the rank is not in `ranks`, the array is empty, or a value is NaN or infinite.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} has dtype {array.dtype}; pass booleans, integers or floats")
    if array.ndim not in ranks:
        wanted = " or ".join(str(rank) for rank in ranks)
        raise ValueError(f"{name} has {array.ndim} dimensions, shape {array.shape}; needs {wanted}")
    if array.size == 0:
        raise ValueError(f"{name} is empty, shape {array.shape}; every side must be at least 1 px")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise ValueError(f"{name} holds {bad} NaN or infinite values; replace them, e.g. numpy.nan_to_num")
    return array


def check_same_shape(array: np.ndarray, shape: tuple[int, ...], *, name: str, other: str) -> None:
    """Refuse an array whose shape is not `shape`, the shape of `other`.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, {other} has {shape}; both must be the same")


def check_labels(labels, *, name: str = "labels", ranks: tuple[int, ...] = (2,)) -> np.ndarray:
    """Return `labels` as int32, or refuse what cannot be a label image.

    Parameters
    ----------
    labels : array_like
        0 background, 1..n objects, `IGNORE` (-1) unannotated. Booleans, integers, or floats that hold whole numbers.

    Returns
    -------
    numpy.ndarray
        The labels as int32, same shape.

    Raises
    ------
    ValueError
        If a value is fractional, less than -1, or too large for int32 (also all that `check_array` refuses).
    """
    labels = check_array(labels, name=name, ranks=ranks)
    if labels.dtype.kind == "f" and (labels != np.round(labels)).any():
        bad = labels[labels != np.round(labels)].flat[0]
        raise ValueError(f"{name} holds {bad}, not a whole number; threshold the map or label its components first")
    low, high = labels.min(), labels.max()
    if low < IGNORE:
        raise ValueError(f"{name} holds {low}; legal are 0 (background), 1..n (objects) and -1 (ignored)")
    if high > np.iinfo(np.int32).max:
        raise ValueError(f"{name} holds {high}, larger than int32; relabel the objects as 1..n")
    return labels.astype(np.int32)


# Departure: the paper's networks see every image at its own size; at scale 1 so do ours.


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return (H, W) in px of an image of `size` after resizing by `scale`, at least (1, 1).

    Raises
    ------
    ValueError
        If `scale` is not a finite number above 0.
    """
    if not (scale > 0 and math.isfinite(scale)):
        raise ValueError(f"scale is {scale}; needs a factor above 0, for example 0.5 for half the size")
    return tuple(max(1, round(side * scale)) for side in size)


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (C, H, W) float32 to (C, *size): linear interpolation, averaging over what a smaller pixel covers."""
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None]  # (1, C, H, W)
    return interpolate(tensor, size=size, mode="bilinear", antialias=True)[0].numpy()


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (N, H, W) int32 to (N, *size): each pixel takes the nearest label, none is made up."""
    rows, columns = (nearest_index(old, new) for old, new in zip(labels.shape[1:], size, strict=True))
    return labels[:, rows[:, None], columns]


def nearest_index(old: int, new: int) -> np.ndarray:
    """Return, for each of `new` px, the index of the nearest of `old` px by the position of their centres."""
    return np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)


def unit_range(pixels: np.ndarray, *, name: str) -> np.ndarray:
    """Return grey values as float32 in [0, 1]: uint8 divided by 255, uint16 by 65535.

    The full range of the type is mapped, not the range that happens to occur, so that the same grey means the same
    number in every image.

    Parameters
    ----------
    pixels : numpy.ndarray
        Any shape, uint8 or uint16.
    name : str
        What the message calls the pixels, usually the file.

    Raises
    ------
    ValueError
        If the dtype is neither uint8 nor uint16.
    """
    full = FULL_RANGE.get(str(pixels.dtype))
    if full is None:
        raise ValueError(f"{name} holds {pixels.dtype} grey values; save it as uint8 or uint16")
    return pixels.astype(np.float32) / np.float32(full)


def check_probability(probability, *, ranks: tuple[int, ...]) -> np.ndarray:
    """Return an array of probabilities unchanged, or refuse values outside [0, 1].

    Parameters
    ----------
    probability : array_like
        Numbers or booleans.
    ranks : tuple of int
        The allowed numbers of dimensions.

    Raises
    ------
    TypeError, ValueError
        As `check_array`, or if a value lies outside [0, 1].
    """
    probability = check_array(probability, name="probability", ranks=ranks)
    low, high = probability.min(), probability.max()
    if low < 0 or high > 1:
        raise ValueError(
            f"probability holds values from {low:g} to {high:g}, outside [0, 1]; pass the probability of cell: softmax "
            "output, not scores, and 8-bit maps divided by 255"
        )
    return probability


@dataclass(frozen=True)
class Overlaps:
    """The pairs of labels that share pixels, and how many.

    Attributes
    ----------
    reference, result : numpy.ndarray
        (P,) int64, the labels of each pair, sorted by `reference`, then by `result`.
    pixels : numpy.ndarray
        (P,) int64, the size of their intersection in px, at least 1.
    """

    reference: np.ndarray
    result: np.ndarray
    pixels: np.ndarray


def overlaps(reference: np.ndarray, result: np.ndarray) -> Overlaps:
    """Return all pairs of labels that share pixels; two integer arrays of the same shape, labels >= 0."""
    stride = int(result.max()) + 1
    pair = reference.astype(np.int64) * stride + result
    pair, pixels = np.unique(pair, return_counts=True)
    return Overlaps(pair // stride, pair % stride, pixels.astype(np.int64))


def sum_by(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum `values` (P,) over equal `labels` (P,); one entry per label that occurs, in ascending order."""
    _, index = np.unique(labels, return_inverse=True)
    return np.bincount(index, weights=values)
