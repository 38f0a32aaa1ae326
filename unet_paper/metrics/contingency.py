"""Who overlaps whom: the table from which the Rand and the information scores are computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
