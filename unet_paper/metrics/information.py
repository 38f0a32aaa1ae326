"""Information scores: how much one segmentation tells about the other, in nats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unet_paper.arrays import Overlaps, check_labels, check_same_shape, sum_by
from unet_paper.metrics.rand import foreground_overlaps


@dataclass(frozen=True)
class Information:
    """Entropies of two segmentations A (reference) and B (result), in nats (natural logarithm).

    Attributes
    ----------
    reference, result : float
        H(A) and H(B).
    reference_given_result : float
        H(A|B): what remains unknown of the reference; grows with mergers.
    result_given_reference : float
        H(B|A): what remains unknown of the result; grows with splits.
    """

    reference: float
    result: float
    reference_given_result: float
    result_given_reference: float

    @property
    def variation(self) -> float:
        """Variation of information, H(A|B) + H(B|A); 0 for equal segmentations."""
        return self.reference_given_result + self.result_given_reference

    @property
    def f_score(self) -> float:
        """Harmonic mean of MI/H(A) and MI/H(B); 0 where an entropy is exactly 0, NaN where nothing is shared."""
        if self.reference == 0 or self.result == 0:
            return 0.0
        precision = (self.reference - self.reference_given_result) / self.reference
        recall = (self.result - self.result_given_reference) / self.result
        if precision + recall == 0:
            return float("nan")
        return 2 * precision * recall / (precision + recall)


def information_scores(reference, result) -> Information:
    """Return the entropies of two segmentations over the pixels that the reference calls cell.

    A pixel that the result calls membrane (0) is an object of its own, as in the 2015 Rand error.

    Parameters
    ----------
    reference, result : array_like of int
        (H, W) object labels, 0 membrane.

    Raises
    ------
    ValueError
        If the shapes differ, or no pixel of the reference is cell.

    References
    ----------
    .. [1] Meila 2007, doi:10.1016/j.jmva.2006.11.013.
    .. [2] Arganda-Carreras et al. 2015, "Information theoretic F-score", doi:10.3389/fnana.2015.00142.
    """
    reference = check_labels(reference, name="reference")
    result = check_labels(result, name="result")
    check_same_shape(result, reference.shape, name="result", other="reference")
    return entropies(foreground_overlaps(reference, result))


def entropies(table: Overlaps) -> Information:
    """Compute `information_scores` from the overlaps over the reference's foreground."""
    n = table.pixels.sum()
    share = table.pixels / n  # p_ij, sums to 1
    joined = table.result > 0
    alone = share[~joined].sum() * np.log(n)  # each of these pixels has probability 1/n
    h_reference = _entropy(sum_by(table.reference, share))
    h_result = _entropy(sum_by(table.result[joined], share[joined])) + alone
    h_both = _entropy(share[joined]) + alone
    return Information(float(h_reference), float(h_result), float(h_both - h_result), float(h_both - h_reference))


def _entropy(share: np.ndarray) -> float:
    return -(share * np.log(share)).sum()
