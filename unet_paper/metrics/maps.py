"""The door for probability maps: in [0, 1], as the challenge's own software reads them (32-bit floats)."""

from __future__ import annotations

import numpy as np

from unet_paper.arrays import check_array, check_probability, unit_range

# The challenge's scripts add 0.1 in 64-bit floats, so that the fourth is 0.30000000000000004; so do we.
THRESHOLDS = np.cumsum([0.0] + [0.1] * 10)
WARPING_THRESHOLDS = THRESHOLDS[:10]  # the warping error stops at 0.9, the others go on to 1.0


def check_map(probability, *, ranks: tuple[int, ...] = (2,), rescale: bool = False) -> np.ndarray:
    """Return a probability map as float32, or refuse it.

    Parameters
    ----------
    probability : array_like
        Probability of cell, floats in [0, 1] or booleans. 64-bit floats are rounded to 32 bit first, because
        that is what a TIFF for the challenge holds, and the thresholds are strict.
    ranks : tuple of int
        Allowed numbers of dimensions.
    rescale : bool
        Accept an 8- or 16-bit map, and divide it by 255 or 65535.

    Raises
    ------
    TypeError
        If the map holds integers and `rescale` is off, or signed integers.
    ValueError
        If a value lies outside [0, 1], or an integer map to be rescaled holds only 0 and 1.
    """
    probability = np.asarray(probability)
    if probability.dtype.kind in "ui":
        probability = _rescaled(check_array(probability, name="probability", ranks=ranks), rescale)
    return check_probability(probability, ranks=ranks).astype(np.float32)


def _rescaled(probability: np.ndarray, rescale: bool) -> np.ndarray:
    """Divide an unsigned integer map by the largest value of its type, if that was asked for."""
    kind = probability.dtype
    if kind.kind == "i" or not rescale:
        raise TypeError(
            f"probability has dtype {kind}: every threshold in (0, 1) would only ask 'is it 0?'; divide it by its full "
            "scale, or ask for that (rescale=True, --rescale) if the integers are unsigned"
        )
    if probability.max() == 1:
        raise ValueError(f"probability has dtype {kind} but holds only 0 and 1; pass it as floats, without rescale")
    return unit_range(probability, name="probability")


def above(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Return where a map is larger than a threshold, compared in 64 bit as the challenge does."""
    return probability > np.float64(threshold)  # a Python float would be rounded to 32 bit first
