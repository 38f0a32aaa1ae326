"""Pixel error: every pixel counts alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unet_paper.arrays import IGNORE, check_labels, check_same_shape
from unet_paper.metrics.agreement import Agreement


def pixel_agreement(reference, result) -> Agreement:
    """Count the pixels on which two cell masks agree and differ; positive = cell.

    The challenge's pixel error is one minus the largest F-score (`Agreement.f_score`) over the thresholds;
    the plain fraction of differing pixels is ``1 - accuracy``.

    Parameters
    ----------
    reference, result : array_like
        (H, W) or (N, H, W), booleans or labels: 0 membrane, anything above 0 cell.

    Returns
    -------
    Agreement
        Counts in pixels, over all sections together.

    References
    ----------
    .. [1] Arganda-Carreras et al. 2015, section "Evaluation metrics", doi:10.3389/fnana.2015.00142.
    """
    reference = check_labels(reference, name="reference", ranks=(2, 3))
    result = check_labels(result, name="result", ranks=(2, 3))
    check_same_shape(result, reference.shape, name="result", other="reference")
    return count_pixels(reference > 0, result > 0)


def count_pixels(reference: np.ndarray, result: np.ndarray) -> Agreement:
    """`pixel_agreement` of two boolean arrays of the same shape, unchecked."""
    both = int(np.count_nonzero(reference & result))
    in_reference, in_result = int(np.count_nonzero(reference)), int(np.count_nonzero(result))
    return Agreement(both, in_result - both, in_reference - both, reference.size - in_reference - in_result + both)


class GreyThreshold(NamedTuple):
    """The best threshold on the grey value: `level` in [0, 1], share `error` of wrong pixels, polarity of the cells."""

    level: float
    error: float
    cells_are_bright: bool


def best_grey_threshold(images, labels, *, levels: np.ndarray | None = None) -> GreyThreshold:
    """Find the threshold on the grey value that separates cells best: what a network must beat.

    Parameters
    ----------
    images : array_like
        Any shape, in [0, 1].
    labels : array_like
        Same shape: 0 background or membrane, above 0 cell, -1 not counted.
    levels : array_like, optional
        Thresholds to try; by default 0, 0.01, ..., 1.

    Returns
    -------
    GreyThreshold
        Chosen on these very images, so it flatters the threshold; cells may be the bright or the dark side.
    """
    known = np.asarray(labels) != IGNORE
    grey, cell = np.asarray(images)[known], np.asarray(labels)[known] > 0
    levels = np.linspace(0, 1, 101) if levels is None else np.asarray(levels)
    wrong = np.array([np.mean((grey > level) != cell) for level in levels])  # with bright cells
    both = np.stack([wrong, 1 - wrong])
    dark, at = np.unravel_index(both.argmin(), both.shape)
    return GreyThreshold(float(levels[at]), float(both[dark, at]), bool(dark == 0))
