"""Grey values and sizes of own images, brought to what a network knows; and in words, what was assumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unet_paper.arrays import SMALL_PART, check_array
from unet_paper.networks.image_settings import NORMALISATIONS, PERCENTILES, ImageSettings
from unet_paper.options import check_choice

FAR = 3.0  # standard deviations, and times the deviation: further off, images are of another kind
SMALLEST = 1e-4  # factor, µm or px, and its inverse the largest: beyond, a number is a slip
SAMPLED = 1 << 20  # pixels that are enough to know an image's percentiles


class Range(NamedTuple):
    """Grey values that occur (`low` to `high`) and the largest that the type can hold; None for floats."""

    low: float
    high: float
    full: float | None

    @property
    def is_small(self) -> bool:
        """Less than a quarter of the type's range is used; of floats, of [0, 1]."""
        return self.high - self.low < SMALL_PART * (self.full or 1.0)

    def __str__(self) -> str:
        return f"{self.low:g}-{self.high:g}" + ("" if self.full is None else f" of {self.full:g}")


def range_of(pixels: np.ndarray, *, full: float | None = None) -> Range:
    """Return the range of an image; without `full`, integers are taken to use all bits of their type."""
    if full is None and pixels.dtype.kind in "ui":
        full = float(np.iinfo(pixels.dtype).max)
    if pixels.dtype.kind == "b":
        full = 1.0
    return Range(float(pixels.min()), float(pixels.max()), full)


def choose_normalisation(asked: str | None, images: ImageSettings, used: Range) -> str:
    """Return how grey values come into [0, 1]: as asked, else as the network's training images did.

    A network that was trained on the full range of 8 bits gets other types by their percentiles, which are laid where
    those of its training images were.

    Parameters
    ----------
    asked : str or None
        ``"percentile"``, ``"range"``, ``"none"``, or None for the choice.
    images : ImageSettings
        What the network expects.
    used : Range
        Of the image.

    Raises
    ------
    ValueError
        If `asked` is something else.
    """
    if asked is not None:
        return check_choice(asked, NORMALISATIONS, name="normalise")
    outside = used.low < 0 or (used.full is None and used.high > 1)
    return "percentile" if images.normalise == "none" and (used.is_small or outside) else images.normalise


def normalised(
    pixels,
    how: str = "percentile",
    *,
    full: float | None = None,
    black: float = 0.0,
    white: float = 1.0,
    name: str = "image",
) -> np.ndarray:
    """Return grey values in [0, 1].

    Parameters
    ----------
    pixels : array_like
        (H, W), any type.
    how : {"percentile", "range", "none"}
        The 1st and 99.8th percentile become `black` and `white`, and what lies beyond [0, 1] is cut off; or the
        smallest and largest value become 0 and 1; or the type's range does.
    full : float, optional
        Largest value of the type, for ``"none"``; by default that of the array's type.
    black, white : float
        In [0, 1].
    name : str
        What messages call the image.

    Returns
    -------
    numpy.ndarray
        (H, W) float32. An image of one and the same grey becomes `black`, or 0.

    Raises
    ------
    ValueError
        If there are NaN or infinite values, or floats outside [0, 1] with ``"none"``.
    """
    check_choice(how, NORMALISATIONS, name="normalise")
    pixels = check_array(pixels, name=name, ranks=(2,))
    used = range_of(pixels, full=full)
    if how == "none":
        refuse_outside(used, name=name)
    return grey_map(how, used, sparse(pixels), black=black, white=white).of(pixels)


class GreyMap(NamedTuple):
    """A straight line from grey values to [0, 1]: `low` becomes `black`, `high` becomes `white`, the rest is cut off.

    Without `low` and `high`, values are divided by `full`.
    """

    low: float | None
    high: float | None
    black: float = 0.0
    white: float = 1.0
    full: float = 1.0

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels (..., H, W) in [0, 1], float32; a part of an image gives a part of the result, to the bit."""
        if self.low is None:
            return (pixels / np.float32(self.full)).astype(np.float32)
        if self.high <= self.low:
            return np.full(pixels.shape, self.black, dtype=np.float32)
        slope = np.float32((self.white - self.black) / (self.high - self.low))
        unit = self.black + (pixels.astype(np.float32) - np.float32(self.low)) * slope
        return unit.clip(0, 1).astype(np.float32)


def grey_map(how: str, used: Range, sample: np.ndarray, *, black: float, white: float) -> GreyMap:
    """Return how the grey values of an image come into [0, 1], from its range and the pixels that `sparse` takes."""
    if how == "none":
        return GreyMap(None, None, full=used.full or 1.0)
    if how == "range":
        return GreyMap(used.low, used.high)
    low, high = np.percentile(sample, PERCENTILES)
    return GreyMap(low, high, black, white)


def sparse(pixels: np.ndarray, size: tuple[int, int] | None = None, *, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Return every n-th pixel of every n-th row, so many that an image's percentiles are known.

    Parameters
    ----------
    pixels : numpy.ndarray
        (H, W), an image, or the part of one of `size` (H, W) whose first pixel lies at `corner`.
    """
    height, width = size or pixels.shape
    step = max(1, int(np.sqrt(height * width / SAMPLED)))
    return pixels[-corner[0] % step :: step, -corner[1] % step :: step]


def axis_scales(
    images: ImageSettings,
    *,
    scale: float | None = None,
    pixel_size: tuple[float, float] | None = None,
    diameter: float | None = None,
) -> tuple[tuple[float, float], str]:
    """Return the factors by which rows and columns are resized for a network, and the reason in words.

    Parameters
    ----------
    images : ImageSettings
        What the network knows.
    scale : float, optional
        Taken as it is.
    pixel_size : tuple of float, optional
        Height and width of a pixel in µm: resized to the network's own, each axis for itself.
    diameter : float, optional
        Of the cells in px: resized to the network's own.

    Raises
    ------
    ValueError
        If a number is not in 0.0001 .. 10000, or the network does not know the size of its own cells.
    """
    for name, value in (("scale", scale), ("diameter", diameter), *(("pixel size", side) for side in pixel_size or ())):
        if value is not None and not SMALLEST <= value <= 1 / SMALLEST:
            raise ValueError(f"{name} is {value}; needs a finite number above 0, {SMALLEST:g} to {1 / SMALLEST:g}")
    if scale is not None:
        return (scale, scale), "as asked"
    if diameter is not None:
        if images.diameter is None:
            raise ValueError("the network's card does not say how large its cells are; give a scale instead")
        factor = images.scale * images.diameter / diameter
        return (factor, factor), f"cells of {diameter:g} px, the network's had {images.diameter:.3g}"
    if pixel_size is not None and images.pixel_size is not None:
        rows, columns = (images.scale * side / images.pixel_size for side in pixel_size)
        sizes = " x ".join(f"{side:.3g}" for side in pixel_size)
        return (rows, columns), f"pixels of {sizes} µm, the network's were {images.pixel_size:.3g}"
    return (images.scale, images.scale), "the network's own; no pixel size known for both"


def scaled_min_size(images: ImageSettings, scales: tuple[float, float]) -> int:
    """Return the network's smallest size of a cell in px of images that are resized by `scales`."""
    return round(images.min_size * images.scale**2 / (scales[0] * scales[1]))


def compare_statistics(samples: Sequence[np.ndarray], images: ImageSettings) -> str | None:
    """Return a warning if images in [0, 1] look unlike those that the network was trained on, else None.

    Parameters
    ----------
    samples : sequence of numpy.ndarray
        (H, W) float32 in [0, 1], as the network will see them.
    images : ImageSettings
        With `mean` and `deviation` of the training images; without, nothing can be said.
    """
    if images.mean is None or not images.deviation:
        return None
    mean = float(np.mean([sample.mean() for sample in samples]))
    deviation = float(np.mean([sample.std() for sample in samples]))
    ratio = max(deviation, 1e-9) / images.deviation
    if abs(mean - images.mean) <= FAR * images.deviation and 1 / FAR <= ratio <= FAR:
        return None
    return (
        f"these images differ from the network's training images: mean grey {mean:.3f} instead of {images.mean:.3f}, "
        f"standard deviation {deviation:.3f} instead of {images.deviation:.3f}; look at the result with care, or train "
        "on images of your own"
    )


def refuse_outside(used: Range, *, name: str) -> None:
    if used.low < 0 or (used.full is None and used.high > 1):
        raise ValueError(f'{name} holds {used}, not [0, 1]; normalise by "percentile" or "range"')
