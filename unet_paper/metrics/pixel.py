"""Pixel error: every pixel counts alone."""

from __future__ import annotations

import numpy as np

from unet_paper.arrays import check_labels, check_same_shape
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
