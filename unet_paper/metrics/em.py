"""The EM challenge's scores: every measure at every threshold, and the best of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from unet_paper.arrays import check_labels, check_same_shape
from unet_paper.cells import connected_cells
from unet_paper.metrics.agreement import Agreement
from unet_paper.metrics.information import entropies
from unet_paper.metrics.maps import THRESHOLDS, WARPING_THRESHOLDS, above, check_map
from unet_paper.metrics.pixel import count_pixels
from unet_paper.metrics.rand import count_pairs, count_squares, foreground_overlaps
from unet_paper.metrics.thinning import grow_cells, thin_borders
from unet_paper.metrics.warping import warp_mask

LARGER_IS_BETTER = ("v_rand", "v_info")


@dataclass(frozen=True)
class EMScores:
    """The EM challenge's measures; each is the best over its thresholds.

    Attributes
    ----------
    pixel_error : float
        1 - F-score of the cell pixels, pooled over sections.
    rand_error : float
        1 - F-score of pairs of the reference's cell pixels, in the form of 2015 (see `rand_agreement`).
    rand_error_2012 : float
        The same in the form of 2012 to 2014.
    warping_error : float
        Merge and split pixels left after warping, per pixel (see `warp`).
    warping_error_all_types : float
        All pixels left after warping, per pixel.
    v_rand, v_info : float
        Rand and information F-scores after border thinning, mean over sections; 1 is perfect.
    pixel_difference : float
        Plain fraction of pixels on which labels and thresholded map differ.
    curves : dict of str to numpy.ndarray
        For each of these names the value at every threshold, (10,) for the warping errors and the pixel difference,
        (11,) for the others.
    best_threshold : dict of str to float
        For each name the first threshold at which the best value is reached.
    warping_counts : dict of str to numpy.ndarray
        For each type of warping error the pixels left at every threshold, (10,), all sections together.
    """

    pixel_error: float
    rand_error: float
    rand_error_2012: float
    warping_error: float
    warping_error_all_types: float
    v_rand: float
    v_info: float
    pixel_difference: float
    curves: dict[str, np.ndarray]
    best_threshold: dict[str, float]
    warping_counts: dict[str, np.ndarray]


def em_scores(labels, probability, *, rescale: bool = False) -> EMScores:
    """Score a probability map as the ISBI 2012 EM segmentation challenge does.

    Parameters
    ----------
    labels : array_like of int or bool
        (H, W) or (N, H, W): 0 membrane, above 0 cell (0/1, 0/255 or numbered cells; cells are 4-connected
        components of what is above 0, so touching cells need a line of 0 between them).
    probability : array_like of float
        Same shape, in [0, 1]: probability of cell.
    rescale : bool
        Divide an 8- or 16-bit map by 255 or 65535. Without it such a map is refused.

    Returns
    -------
    EMScores

    Raises
    ------
    TypeError
        If the map holds integers and `rescale` is off.
    ValueError
        If shapes differ, the map leaves [0, 1] or holds NaN, a label is -1, or a section has no cell at all.
        Labels without any membrane are legal: one cell, for which `v_info` is 0.

    References
    ----------
    .. [1] Jain et al. 2010, doi:10.1109/CVPR.2010.5539950 (warping error).
    .. [2] Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142 (Rand and information scores).
    """
    labels = check_labels(labels, ranks=(2, 3))
    probability = check_map(probability, ranks=(2, 3), rescale=rescale)
    check_same_shape(probability, labels.shape, name="probability", other="labels")
    _check_cells(labels)
    sections = zip(labels.reshape(-1, *labels.shape[-2:]), probability.reshape(-1, *labels.shape[-2:]), strict=True)
    rows = [_score_section(section, chances) for section, chances in sections]  # (N sections, 11 thresholds)
    return _summary(rows)


def rand_error_when_grown(labels, probability, reach: float, *, threshold: float = 0.5) -> float:
    """Return the Rand error after the cells of the result have grown into the membrane around them; none are joined.

    Pixels that the labels call cell and the result calls membrane are objects of their own for the Rand error, so it
    grows with the thickness of membranes. What growth takes away was thickness, what stays are mergers and splits.

    Parameters
    ----------
    labels, probability : array_like
        (N, H, W), as in `em_scores`.
    reach : float
        px by which each cell may grow, >= 0; ``numpy.inf`` until all have met, which is the border thinning of
        `V_Rand`.
    threshold : float
        Above it a pixel is cell.

    Returns
    -------
    float
        In [0, 1], pooled over sections.

    Raises
    ------
    ValueError
        As `em_scores`, or if `reach` is negative.
    """
    labels, probability = check_labels(labels, ranks=(3,)), check_map(probability, ranks=(3,))
    check_same_shape(probability, labels.shape, name="probability", other="labels")
    _check_cells(labels)
    if not reach >= 0:
        raise ValueError(f"reach is {reach}; needs a distance of 0 px or more")
    counts = []
    for section, chances in zip(labels, probability, strict=True):
        cell = above(chances, threshold)
        grown = np.where(ndimage.distance_transform_edt(~cell) <= reach, thin_borders(cell), 0)
        counts.append(count_squares(foreground_overlaps(connected_cells(section > 0), grown)))
    return float(1 - _pooled(counts).f_score)


def _check_cells(labels: np.ndarray) -> None:
    if labels.min() < 0:
        raise ValueError("labels hold -1 (ignored); the challenge scores every pixel: crop to the annotated part")
    empty = np.flatnonzero(labels.reshape(-1, *labels.shape[-2:]).max(axis=(1, 2)) == 0)
    if empty.size:
        raise ValueError(f"labels of section {empty[0]} hold no cell (all are 0); are cells and membranes swapped?")


@dataclass(frozen=True)
class _Row:
    """One section at one threshold."""

    pixels: Agreement
    rand: Agreement
    rand_2012: Agreement
    v_rand: float
    v_info: float
    warping: dict[str, int] | None  # None at the threshold that the warping error leaves out


def _score_section(labels: np.ndarray, probability: np.ndarray) -> list[_Row]:
    cell = labels > 0
    cells = connected_cells(cell)
    return [_score_threshold(cell, cells, probability, threshold) for threshold in THRESHOLDS]


def _score_threshold(cell: np.ndarray, cells: np.ndarray, probability: np.ndarray, threshold: float) -> _Row:
    """Score one section: `cell` (H, W) bool, `cells` its components, `probability` (H, W) float32."""
    result = above(probability, threshold)
    result_cells = connected_cells(result)
    table = foreground_overlaps(cells, result_cells)
    thinned = foreground_overlaps(cells, grow_cells(result_cells))
    return _Row(
        pixels=count_pixels(cell, result),
        rand=count_squares(table),
        rand_2012=count_pairs(table, singletons=True),
        v_rand=count_squares(thinned).f_score,
        v_info=entropies(thinned).f_score,
        warping=warp_mask(cell, probability, threshold).counts if threshold in WARPING_THRESHOLDS else None,
    )


def _summary(rows: list[list[_Row]]) -> EMScores:
    """Pool counts over sections, average the V scores, and take the best threshold of each curve."""
    by_threshold = list(zip(*rows, strict=True))  # 11 tuples of N rows
    warped = by_threshold[: len(WARPING_THRESHOLDS)]
    size = _pooled(row.pixels for row in warped[0]).total
    counts = {name: _array(sum(row.warping[name] for row in at) for at in warped) for name in warped[0][0].warping}
    curves = {
        "pixel_error": _array(1 - _pooled(row.pixels for row in at).f_score for at in by_threshold),
        "rand_error": _array(1 - _pooled(row.rand for row in at).f_score for at in by_threshold),
        "rand_error_2012": _array(1 - _pooled(row.rand_2012 for row in at).f_score for at in by_threshold),
        "warping_error": (counts["merge"] + counts["split"]) / size,
        "warping_error_all_types": sum(counts.values()) / size,
        "v_rand": _array(np.mean([row.v_rand for row in at]) for at in by_threshold),
        "v_info": _array(np.mean([row.v_info for row in at]) for at in by_threshold),
        "pixel_difference": _array(1 - _pooled(row.pixels for row in at).accuracy for at in warped),
    }
    best = {name: _best(name, curve) for name, curve in curves.items()}
    return EMScores(
        **{name: float(value) for name, (value, _) in best.items()},
        curves=curves,
        best_threshold={name: float(threshold) for name, (_, threshold) in best.items()},
        warping_counts=counts,
    )


def _best(name: str, curve: np.ndarray) -> tuple[float, float]:
    """Return the best value of a curve and its threshold; NaN never wins, and a score is at least 0."""
    if name in LARGER_IS_BETTER:
        curve = np.nan_to_num(curve, nan=0.0)
        at = np.argmax(curve)
    else:
        at = np.argmin(curve)
    return curve[at], THRESHOLDS[at]


def _pooled(agreements: Iterable[Agreement]) -> Agreement:
    return sum(agreements, start=Agreement(0, 0, 0, 0))


def _array(values: Iterable[float]) -> np.ndarray:
    return np.array(list(values))
