"""Rand error: of the pairs of pixels that belong together, how many still are."""

from __future__ import annotations

import numpy as np

from unet_paper.arrays import Overlaps, check_labels, check_same_shape, overlaps, sum_by
from unet_paper.metrics.agreement import Agreement
from unet_paper.options import check_choice

FORMS = ("2015", "2012", "all_pixels")


def rand_agreement(reference, result, *, form: str = "2015") -> Agreement:
    """Count the pairs of pixels that are in one object in both segmentations, in one of them, in none.

    Parameters
    ----------
    reference, result : array_like of int
        (H, W) object labels, 0 membrane. Objects are told apart by value.
    form : {"2015", "2012", "all_pixels"}
        Which pairs count.

        - ``"2015"``: ordered pairs, a pixel with itself included, of pixels that the reference calls cell. Where
          the result calls such a pixel membrane, the pixel is an object of its own.
        - ``"2012"``: unordered pairs of different pixels, otherwise the same. Equal to scikit-image's
          `adapted_rand_error` when the zeros of the result are first numbered as objects of one pixel.
        - ``"all_pixels"``: unordered pairs of all pixels; membrane is one more object in both.

    Returns
    -------
    Agreement
        Counts of pairs. The Rand error is ``1 - f_score``.

    Raises
    ------
    ValueError
        If the shapes differ, or no pixel of the reference is cell.

    References
    ----------
    .. [1] Rand 1971, doi:10.1080/01621459.1971.10482356.
    .. [2] Arganda-Carreras et al. 2015, "Rand F-score", doi:10.3389/fnana.2015.00142.
    """
    check_choice(form, FORMS, name="form")
    reference = check_labels(reference, name="reference")
    result = check_labels(result, name="result")
    check_same_shape(result, reference.shape, name="result", other="reference")
    if form == "all_pixels":
        return count_pairs(overlaps(reference, result))
    table = foreground_overlaps(reference, result)
    return count_squares(table) if form == "2015" else count_pairs(table, singletons=True)


def joined_pairs(reference, result) -> dict[int, int]:
    """Return for every object of the result how many pairs of pixels it joins that the reference keeps apart.

    Their sum is what mergers add to the Rand error: one merger of two large cells weighs more than many of small ones.

    Parameters
    ----------
    reference, result : array_like of int
        (H, W) object labels, 0 membrane; only pixels that the reference calls cell count.

    Returns
    -------
    dict of int to int
        Label of the result -> ordered pairs, as in the form of 2015; the largest first.

    Raises
    ------
    ValueError
        As `rand_agreement`.
    """
    reference = check_labels(reference, name="reference")
    result = check_labels(result, name="result")
    check_same_shape(result, reference.shape, name="result", other="reference")
    table = foreground_overlaps(reference, result)
    labels, at = np.unique(table.result, return_inverse=True)
    sizes, squares = (np.bincount(at, counts).astype(np.int64) for counts in (table.pixels, table.pixels**2))
    pairs = sizes**2 - squares
    order = np.argsort(-pairs, kind="stable")
    return {int(labels[n]): int(pairs[n]) for n in order if labels[n] > 0}


def foreground_overlaps(reference: np.ndarray, result: np.ndarray) -> Overlaps:
    """Return the overlaps over those pixels that the reference calls cell; refuse a reference without any."""
    cell = reference > 0
    if not cell.any():
        raise ValueError("the reference has no cell pixel (all labels are 0); Rand and information scores need one")
    return overlaps(reference[cell], result[cell])


def count_squares(table: Overlaps) -> Agreement:
    """Ordered pairs; each pixel that the result calls membrane is an object of its own, paired with itself."""
    alone = int(table.pixels[table.result == 0].sum())
    kept = Overlaps(*(column[table.result > 0] for column in (table.reference, table.result, table.pixels)))
    together = _squares(kept.pixels) + alone
    in_result = _squares(_sizes(kept.result, kept.pixels)) + alone
    in_reference = _squares(_sizes(table.reference, table.pixels))
    return _agreement(together, in_result, in_reference, int(table.pixels.sum()) ** 2)


def count_pairs(table: Overlaps, *, singletons: bool = False) -> Agreement:
    """Unordered pairs; with `singletons`, a pixel that the result calls membrane is alone and has no pair."""
    joined = table.result > 0 if singletons else np.ones(len(table.result), dtype=bool)
    together = _pairs(table.pixels[joined])
    in_result = _pairs(_sizes(table.result[joined], table.pixels[joined]))
    in_reference = _pairs(_sizes(table.reference, table.pixels))
    return _agreement(together, in_result, in_reference, _pairs(table.pixels.sum()))


def _agreement(together: int, in_result: int, in_reference: int, total: int) -> Agreement:
    return Agreement(
        together, in_result - together, in_reference - together, total - in_result - in_reference + together
    )


def _sizes(labels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return sum_by(labels, pixels).astype(np.int64)  # exact: below 2**53 px


def _squares(sizes: np.ndarray) -> int:
    return int((sizes**2).sum())


def _pairs(sizes: np.ndarray) -> int:
    return int((sizes * (sizes - 1) // 2).sum())
