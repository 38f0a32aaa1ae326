"""What every array passes through: one check, one unit range, one table of overlaps for the whole package.

Each check refuses one kind of bad array, names the value and says how to mend it. Every public function that takes an
image, labels or probabilities sends them through here, so the same mistake gives the same message everywhere.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

IGNORE = -1  # label of a pixel that nobody annotated: it gets loss weight 0
FULL_RANGE = {"uint8": 255, "uint16": 65535}  # grey value that becomes 1.0
SMALL_PART = 0.25  # of a type's range: 12 and 14 bits stored in 16 stay below it, the challenges' images do not


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


def check_both_classes(labels: np.ndarray, *, name: str, parts: str = "images") -> None:
    """Refuse an annotation of nothing but background, or nothing but cell: there is nothing to tell apart.

    Parameters
    ----------
    labels : numpy.ndarray
        (N, ...): 0 background, above 0 cells, below 0 ignored; or booleans, True in a cell.
    name, parts : str
        What it is called in the message, and what its N parts are.

    Raises
    ------
    ValueError
        If no pixel is cell, or none background.
    """
    for here, members in {"cell (label above 0)": labels > 0, "background (label 0)": labels == 0}.items():
        if not members.any():
            raise ValueError(
                f"{name} has no pixel of {here} in any of its {len(labels)} {parts}; check the labels: "
                "0 is background, 1..n are cells"
            )


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


def check_image(image, *, name: str = "image", ranks: tuple[int, ...] = (2, 3)) -> np.ndarray:
    """Return an image that a user gave as float32 in [0, 1]: the one door for grey values.

    Only what comes from outside passes here. Images that are standardised for the network leave [0, 1] on purpose;
    they are made of checked ones.

    Parameters
    ----------
    image : array_like
        uint8 is divided by 255, uint16 by 65535; floats must lie in [0, 1].
    name : str
        What the message calls it.
    ranks : tuple of int
        The allowed numbers of dimensions.

    Returns
    -------
    numpy.ndarray
        Same shape, float32.

    Raises
    ------
    TypeError
        If the dtype is none of these.
    ValueError
        If floats leave [0, 1]; the message says how to bring them there (also all that `check_array` refuses).

    Warns
    -----
    UserWarning
        If less than a quarter of the type's range is used, as by 12 bits stored in 16: the network would see black.
    """
    image = check_array(image, name=name, ranks=ranks)
    warn_of_small_range(image[None], name=name)
    return _in_unit_range(image, name=name)


def check_images(images, *, name: str = "images") -> np.ndarray:
    """Return images (N, H, W) that a user gave as float32 in [0, 1]; the range is looked at in every image.

    Parameters
    ----------
    images : array_like
        As in `check_image`: an array, or a sequence of N arrays of one size and dtype.
    name : str
        What the message calls them.

    Returns
    -------
    numpy.ndarray
        (N, H, W) float32.

    Raises
    ------
    TypeError, ValueError
        As in `check_image`, or if the images differ in size or dtype.
    """
    images = check_array(_stacked(images, name=name), name=name, ranks=(3,))
    warn_of_small_range(images, name=name)
    return _in_unit_range(images, name=name)


def _stacked(images, *, name: str):
    """Return a sequence of arrays as one; stacking would lift the grey values of other types without a word."""
    if not isinstance(images, list | tuple):
        return images
    arrays = [np.asarray(image) for image in images]
    for number, image in enumerate(arrays):
        if (image.shape, image.dtype) != (arrays[0].shape, arrays[0].dtype):
            here, there = (f"{array.shape} px {array.dtype}" for array in (image, arrays[0]))
            raise ValueError(f"{name}[{number}] is {here}, {name}[0] is {there}; all must be alike: convert them first")
    return np.asarray(arrays)


def _in_unit_range(image: np.ndarray, *, name: str) -> np.ndarray:
    if image.dtype.kind != "f":
        if str(image.dtype) not in FULL_RANGE:
            raise TypeError(f"{name} has dtype {image.dtype}; convert it to uint8, uint16 or a float in [0, 1]")
        return unit_range(image, name=name)
    low, high = image.min(), image.max()
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} holds values from {low:g} to {high:g}, outside [0, 1]; divide 8-bit grey values by 255 and 16-bit "
            f"ones by 65535, or map others by ({name} - low) / (high - low)"
        )
    return image.astype(np.float32, copy=False)


def warn_of_small_range(images: np.ndarray, *, name: str) -> None:
    """Warn of integer images (N, ...) of which one uses less than `SMALL_PART` of its type's range.

    Warns
    -----
    UserWarning
        With the grey values that are used, as in "0-4095 of 65535": 12 bits stored in 16 look black to a network.
    """
    full = FULL_RANGE.get(str(images.dtype))
    if full is None:
        return
    low, high = (extreme(axis=tuple(range(1, images.ndim))).astype(int) for extreme in (images.min, images.max))
    small = np.flatnonzero(high - low < SMALL_PART * full)
    if len(small):
        first = small[0]
        which = f" in {len(small)} of {len(images)} images, first in number {first}" if len(images) > 1 else ""
        warnings.warn(
            f"{name} uses the grey values {low[first]}-{high[first]} of {full}{which}: the network sees little "
            "contrast. If the camera has fewer bits than the file, divide by its own largest value (12 bits: 4095) and "
            "pass floats in [0, 1]",
            stacklevel=2,
        )


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
