"""The Cell Tracking Challenge's measures of single frames: SEG (how well covered) and DET (how well found)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unet_paper.arrays import check_labels, check_same_shape, overlaps

# DET: cost of mending a result by hand, in the challenge's weights
SPLIT_COST, MISS_COST, EXTRA_COST = 5, 10, 1


@dataclass(frozen=True)
class Matches:
    """Cells of a reference and the result cells that cover more than half of them, in one frame.

    Attributes
    ----------
    reference, result : numpy.ndarray
        (M,) labels of each matched pair, ascending in `reference`. A reference cell is matched at most once; one
        result cell may match several reference cells.
    jaccard : numpy.ndarray
        (M,) float64 in (0, 1]: intersection over union of each pair.
    missed, extra : numpy.ndarray
        Labels of the reference cells and of the result cells that no pair holds.
    """

    reference: np.ndarray
    result: np.ndarray
    jaccard: np.ndarray
    missed: np.ndarray
    extra: np.ndarray


def match_cells(reference, result) -> Matches:
    """Match each reference cell g with the result cell r that covers more than half of it: |g & r| > |g| / 2.

    Parameters
    ----------
    reference, result : array_like of int
        (H, W) cells by label, 0 background; no connected components are made. Pixels that the reference ignores
        (-1) are background.

    References
    ----------
    .. [1] Maska et al. 2014, section 3.2, doi:10.1093/bioinformatics/btu080.
    """
    reference = np.maximum(check_labels(reference, name="reference"), 0)
    result = np.maximum(check_labels(result, name="result"), 0)
    check_same_shape(result, reference.shape, name="result", other="reference")
    table = overlaps(reference, result)
    cells, sizes = np.unique(reference, return_counts=True)
    found, found_sizes = np.unique(result, return_counts=True)
    own = sizes[np.searchsorted(cells, table.reference)]  # (P,) px
    other = found_sizes[np.searchsorted(found, table.result)]  # (P,) px
    matched = (table.reference > 0) & (table.result > 0) & (2 * table.pixels > own)
    jaccard = table.pixels / (own + other - table.pixels)
    return Matches(
        reference=table.reference[matched],
        result=table.result[matched],
        jaccard=jaccard[matched],
        missed=np.setdiff1d(cells[cells > 0], table.reference[matched]),
        extra=np.setdiff1d(found[found > 0], table.result[matched]),
    )


def seg(reference, result) -> float:
    """Return SEG: the mean over all reference cells of the intersection over union with their match, 0 if unmatched.

    Parameters
    ----------
    reference, result : array_like of int
        (H, W) or (T, H, W) cells by label, 0 background. Cells of all frames count alike; a frame without reference
        cells adds nothing, and result cells that match nothing cost nothing.

    Returns
    -------
    float
        In [0, 1]; Table 2 of the U-Net paper calls it "IoU".

    Raises
    ------
    ValueError
        If the shapes differ, or no frame of the reference has a cell.

    References
    ----------
    .. [1] Maska et al. 2014, section 3.2, doi:10.1093/bioinformatics/btu080.
    """
    frames = _match_frames(reference, result)
    covered = sum(frame.jaccard.sum() for frame in frames)
    return float(covered / _count_reference(frames))


def det(reference, result) -> float:
    """Return DET: 1 minus the cost of mending the found cells, relative to adding them all by hand.

    A result cell that covers several reference cells costs 5 per cut, a missed cell 10, a result cell that matches
    nothing 1; shapes do not count. The challenge itself computes it on its marker annotation.

    Parameters
    ----------
    reference, result : array_like of int
        (H, W) or (T, H, W) cells by label, 0 background.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ, or no frame of the reference has a cell.

    References
    ----------
    .. [1] Maska et al. 2023, "Methods", doi:10.1038/s41592-023-01879-y.
    """
    frames = _match_frames(reference, result)
    by_hand = MISS_COST * _count_reference(frames)
    return float(1 - min(sum(map(_mending_cost, frames)), by_hand) / by_hand)


def merged_cells(reference, result) -> int:
    """Count the cuts that would part the reference cells that the result took for one.

    A result cell that covers more than half of each of m reference cells needs m - 1 cuts (claim C7 of the book).

    Parameters
    ----------
    reference, result : array_like of int
        (H, W) or (T, H, W) cells by label, 0 background.

    Returns
    -------
    int
        >= 0, summed over frames.

    Raises
    ------
    ValueError
        If the shapes differ, or either is no label image.
    """
    return sum(_cuts(frame) for frame in _match_frames(reference, result))


def merged_labels(reference, result) -> np.ndarray:
    """Return the numbers of the result cells that cover more than half of several reference cells.

    Parameters
    ----------
    reference, result : array_like of int
        (H, W) cells by label, 0 background.

    Returns
    -------
    numpy.ndarray
        Labels of the result, ascending.
    """
    covered, count = np.unique(match_cells(reference, result).result, return_counts=True)
    return covered[count > 1]


def _cuts(frame: Matches) -> int:
    return len(frame.result) - len(np.unique(frame.result))


def _mending_cost(frame: Matches) -> int:
    return SPLIT_COST * _cuts(frame) + MISS_COST * len(frame.missed) + EXTRA_COST * len(frame.extra)


def _match_frames(reference, result) -> list[Matches]:
    reference = check_labels(reference, name="reference", ranks=(2, 3))
    result = check_labels(result, name="result", ranks=(2, 3))
    check_same_shape(result, reference.shape, name="result", other="reference")
    frame_shape = (-1, *reference.shape[-2:])
    return [
        match_cells(*pair) for pair in zip(reference.reshape(frame_shape), result.reshape(frame_shape), strict=True)
    ]


def _count_reference(frames: list[Matches]) -> int:
    number = sum(len(frame.reference) + len(frame.missed) for frame in frames)
    if number == 0:
        raise ValueError("the reference has no cell in any frame (all labels are 0); SEG and DET need at least one")
    return number
