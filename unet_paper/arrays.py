"""What every array passes through: one check, one unit range, one resize, one table of overlaps for the whole package.

Each check refuses one kind of bad array, names the value and says how to mend it. Every public function that takes an
image, labels or probabilities sends them through here, so the same mistake gives the same message everywhere.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn.functional import interpolate

IGNORE = -1  # label of a pixel that nobody annotated: it gets loss weight 0
FULL_RANGE = {"uint8": 255, "uint16": 65535}  # grey value that becomes 1.0
SMALL_PART = 0.25  # of a type's range: 12 and 14 bits stored in 16 stay below it, the challenges' images do not

Part = tuple[tuple[int, int], tuple[int, int]]  # rows, columns: first, and last + 1

_LONGEST_SIDE = 32_768  # px; an image of such sides takes 4 GB
_RESIZED_AT_ONCE = 1 << 23  # numbers in memory
_LARGEST_FLOAT = float(np.finfo(np.float64).max)
_Scalar = bool | int | float | str
TYPES = {kind.__name__: kind for kind in (bool, int, float, str)}  # by name, as annotations of a dataclass are text


def check_choice(value: str, choices: Iterable[str], *, name: str) -> str:
    """Return `value` if it is one of `choices`; the message lists them.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {short(repr(value))}; choose one of {', '.join(map(repr, choices))}")
    return value


def check_scalar(value, kind: type, *, name: str) -> _Scalar:
    """Return a setting as Python's own `kind`, so that it can be compared, printed and written as JSON.

    Parameters
    ----------
    value : object
        Also a NumPy scalar; a whole number is a float too, but neither is a boolean a number nor the reverse.
    kind : {bool, int, float, str}
        What the setting must be.
    name : str
        What the message calls it.

    Raises
    ------
    TypeError
        If it is something else; the message names the value.
    ValueError
        If it is a whole number that no float can hold, where a float is wanted.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, kind) and (kind is bool or not isinstance(plain, bool)):
        return plain
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        if abs(plain) > _LARGEST_FLOAT:
            raise ValueError(f"{name} is {short(repr(value))}, too large for a float; pass at most {_LARGEST_FLOAT:g}")
        return plain
    wanted = {bool: "True or False", int: "a whole number (int)", float: "a number", str: "text (str)"}[kind]
    raise TypeError(f"{name} is {short(repr(value))} ({type(value).__name__}); pass {wanted}")


def short(text: str, *, limit: int = 80) -> str:
    """Return `text`, or what of its beginning fits into `limit` characters: values in messages may be of any length."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def check_border(border: int, size: tuple[int, int]) -> None:
    """Refuse a border that is no whole number, negative, or leaves nothing of images of `size` (H, W) px.

    Raises
    ------
    TypeError, ValueError
        Naming what is allowed.
    """
    largest = (min(size) - 1) // 2
    if not 0 <= check_scalar(border, int, name="border") <= largest:
        raise ValueError(f"border is {border} px; frames of {size[0]} x {size[1]} px allow 0 to {largest}")


def gaps(numbers: Iterable[int], *, first: int, last: int) -> list[tuple[int, int]]:
    """Return the intervals of `first` to `last` that ascending `numbers` within them leave out, both ends included.

    What is listed are ends, never the numbers between them: a forged table may speak of two thousand million frames.
    """
    known = [first - 1, *(int(number) for number in numbers), last + 1]
    return [(before + 1, after - 1) for before, after in pairwise(known) if after - before > 1]


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as intervals, both ends included."""
    numbers = [int(number) for number in numbers]
    if not numbers:
        return []
    between = gaps(numbers, first=numbers[0], last=numbers[-1])
    starts, ends = [after + 1 for _, after in between], [before - 1 for before, _ in between]
    return list(zip([numbers[0], *starts], [*ends, numbers[-1]], strict=True))


def as_ranges(intervals: list[tuple[int, int]], *, limit: int = 5) -> str:
    """Write intervals as people do, 2-4, 8; behind the first few only how many there are."""
    text = ", ".join(f"{low}-{high}" if low < high else f"{low}" for low, high in intervals[:limit])
    return f"{text} and {len(intervals) - limit} more" if len(intervals) > limit else text


def check_device(device: str | torch.device | None) -> torch.device:
    """Return the device of that name, the CPU for None, or refuse what this machine does not have.

    Raises
    ------
    ValueError
        If it is neither the CPU nor a GPU (CUDA, Apple's) that PyTorch finds here; the message says what to choose.
    """
    try:
        known = torch.device("cpu" if device is None else device)
    except RuntimeError as error:
        raise ValueError(f'device is "{device}"; choose cpu or cuda') from error
    if known.type == "cuda" and (known.index or 0) >= (count := torch.cuda.device_count()):
        there = f"only {count} GPUs here, counted from 0" if count else "no GPU here; say --device cpu"
        raise ValueError(f'device is "{device}", but PyTorch finds {there}')
    apple = known.type == "mps" and torch.backends.mps.is_available()
    if not apple and (known.type not in ("cpu", "cuda") or (known.type == "cpu" and known.index)):
        raise ValueError(f'device is "{device}"; choose cpu or cuda')
    return known


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
