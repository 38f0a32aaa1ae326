"""What the sliding window's authors did to its output: a polynomial that turns scores into frequencies.

A network trained on as many windows of membrane as of cell expects membrane everywhere: its output is no probability
on images where one pixel in five is membrane. On training images one can look up how often a pixel with a given output
is a cell. A cubic polynomial that never falls is fitted to these frequencies, and applied to every map. It keeps the
order of pixels, so it decides what lies above a given threshold, and little about what the best of all can reach.

References
----------
Ciresan, Giusti, Gambardella, Schmidhuber (2012), section 2.3, NIPS 25, 2843-2851.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BPoly
from scipy.optimize import lsq_linear
from scipy.special import comb

DEGREE = 3
BINS = 50


@dataclass(frozen=True)
class Calibration:
    """A polynomial from [0, 1] to [0, 1] that never falls.

    Attributes
    ----------
    coefficients : tuple of float
        In the basis of Bernstein; they ascend, so the polynomial does.
    """

    coefficients: tuple[float, ...]

    @classmethod
    def fit(cls, probability: np.ndarray, cell: np.ndarray) -> Calibration:
        """Fit the polynomial to how often pixels of each output are cells.

        Parameters
        ----------
        probability : numpy.ndarray
            Any shape, float in [0, 1]: the network's output for class cell, on training images.
        cell : numpy.ndarray
            Same shape, bool: whether the pixel is a cell.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        if probability.shape != cell.shape:
            raise ValueError(f"cell has shape {cell.shape}, probability has {probability.shape}; both must be the same")
        bins = np.minimum((probability.ravel() * BINS).astype(int), BINS - 1)
        count = np.bincount(bins, minlength=BINS)
        used = count > 0
        output = np.bincount(bins, probability.ravel(), BINS)[used] / count[used]
        frequency = np.bincount(bins, cell.ravel(), BINS)[used] / count[used]
        # Ascending coefficients are sums of steps that are not negative; each bin counts as much as it has pixels.
        steps = bernstein(output) @ np.tri(DEGREE + 1)
        root = np.sqrt(count[used] / count.sum())
        found = lsq_linear(root[:, None] * steps, root * frequency, bounds=(0, 1)).x
        return cls(tuple(float(value) for value in np.minimum(np.cumsum(found), 1)))

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, same shape and dtype, in [0, 1]."""
        polynomial = BPoly(np.array(self.coefficients)[:, None], [0, 1])
        return polynomial(probability).astype(probability.dtype).clip(0, 1)


def bernstein(x: np.ndarray) -> np.ndarray:
    """Return the polynomials of Bernstein's basis at `x` in [0, 1]: (N,) -> (N, DEGREE + 1)."""
    k = np.arange(DEGREE + 1)
    return comb(DEGREE, k) * x[:, None] ** k * (1 - x[:, None]) ** (DEGREE - k)
