"""From a probability map to separate cells: what the authors did after the network, and one alternative (section 4).

The network does the separating: Eq. 2 taught it the gaps. What is left is to threshold, to take connected components,
and to drop what is too small to be a cell.

References
----------
Ronneberger, Fischer, Brox 2015, section 4 and Fig. 4, doi:10.1007/978-3-319-24574-4_28; the steps and their numbers
are those of the authors' release of 2015.
"""

from __future__ import annotations

import numpy as np
import skimage
from scipy import ndimage

from unet_paper.arrays import IGNORE, check_labels, check_probability, check_same_shape, overlaps
from unet_paper.options import check_border, check_scalar

MIN_SIZE = 500  # px; the authors' release drops components that are not larger
FIELD_BORDER = 50  # px; what the challenge leaves out on every side of both data sets of Table 2


def connected_cells(labels) -> np.ndarray:
    """Turn a semantic label into cells: the 4-connected components of the foreground become 1..n.

    Use this for the EM sections, where annotators drew membranes and nobody numbered the cells. Cells are 4-connected
    and membranes 8-connected everywhere in the EM challenge: a diagonal line of membrane pixels separates.

    Parameters
    ----------
    labels : array_like
        (H, W): 0 background or membrane, positive foreground, -1 ignored.

    Returns
    -------
    numpy.ndarray
        (H, W) int32: 0 background, 1..n components, -1 ignored.
    """
    labels = check_labels(labels)
    cells, _ = ndimage.label(labels > 0)  # int32; scipy's default neighbourhood is the 4-connected one
    cells[labels == IGNORE] = IGNORE
    return cells


def touching_pixels(labels) -> int:
    """Count the pairs of 4-neighbours that belong to two cells, with no background between.

    Parameters
    ----------
    labels : array_like
        (..., H, W) int: 0 background, 1..n cells of each image, -1 ignored.
    """
    labels = np.asarray(labels)
    below, right = (labels[..., :-1, :], labels[..., 1:, :]), (labels[..., :-1], labels[..., 1:])
    return sum(int(np.count_nonzero((a > 0) & (b > 0) & (a != b))) for a, b in (below, right))


def markers_within(cells, markers) -> dict[int, int]:
    """Return which marker lies in each cell: labels of masks need not last from frame to frame, markers do.

    Parameters
    ----------
    cells, markers : array_like of int
        (H, W) of one frame: 0 background, cells by label (-1 ignored), and the challenge's markers by number.

    Returns
    -------
    dict of int to int
        Label of each cell -> number of the marker that shares most pixels with it, 0 if none does.

    Raises
    ------
    ValueError
        If the shapes differ, or either is no label image.

    References
    ----------
    .. [1] Maska et al. 2023, "Methods", doi:10.1038/s41592-023-01879-y: markers in every cell of every frame.
    """
    cells, markers = np.maximum(check_labels(cells), 0), np.maximum(check_labels(markers, name="markers"), 0)
    check_same_shape(markers, cells.shape, name="markers", other="cells")
    found = dict.fromkeys(np.unique(cells[cells > 0]).tolist(), 0)
    shared = overlaps(cells, markers)
    for at in np.argsort(shared.pixels):  # the largest share comes last and stays
        cell, marker = int(shared.reference[at]), int(shared.result[at])
        if cell and marker:
            found[cell] = marker
    return found


def instances(probability, *, threshold: float = 0.5, min_size: int = MIN_SIZE, border: int = 0) -> np.ndarray:
    """Return the cells of a probability map: the 4-connected components above a threshold.

    No hole is filled and no cell is cut: two cells that touch in the thresholded map are one.

    Parameters
    ----------
    probability : array_like
        (H, W) probability of cell in [0, 1], or (K, H, W) of every class, of which class 1 is cell.
    threshold : float
        Cell is where the probability is above it, in [0, 1]. With two classes, 0.5 is the more probable class.
    min_size : int
        Components of this many px or fewer are dropped, >= 0. Default: the authors' 500.
    border : int
        Cells that lie wholly within this many px of the image's edge are dropped, >= 0. The challenge leaves out 50
        (`FIELD_BORDER`) on both data sets of Table 2; SEG does not change by it, counts of cells do.

    Returns
    -------
    numpy.ndarray
        (H, W) int32: 0 background, 1..n cells, numbered from the top row down.

    Raises
    ------
    ValueError
        If the map is no probability (values outside [0, 1]), or a number is out of its range.
    """
    foreground = _cell_probability(probability) > _checked_threshold(threshold)
    return _kept(connected_cells(foreground), min_size=min_size, border=border)


def watershed_instances(
    probability,
    *,
    threshold: float = 0.5,
    depth: float = 5.0,
    min_size: int = MIN_SIZE,
    border: int = 0,
) -> np.ndarray:
    """Return the cells of a probability map, cut apart at narrow waists by a watershed of the distance to background.

    The paper needs no such step, because its network learns the gaps. Compare `instances`.

    Parameters
    ----------
    probability, threshold, min_size, border
        As in `instances`.
    depth : float
        How much narrower than both cells, in px of distance to the background, a waist must be to be cut, > 0.

    Returns
    -------
    numpy.ndarray
        (H, W) int32: 0 background, 1..n cells.

    Raises
    ------
    ValueError
        As in `instances`, or if `depth` is not above 0.

    References
    ----------
    Vincent, Soille 1991, doi:10.1109/34.87344.
    """
    # Departure: cells are cut by their shape, after the network, not by what it learned.
    if not check_scalar(depth, float, name="depth") > 0:
        raise ValueError(f"depth is {depth}; needs a distance above 0 px, e.g. 5")
    foreground = _cell_probability(probability) > _checked_threshold(threshold)
    # A frame of background first: a cell that the image's edge cuts off is not deepest at the edge.
    distance = ndimage.distance_transform_edt(np.pad(foreground, 1))[1:-1, 1:-1]  # (H, W) px
    seeds = ndimage.label(_deep_maxima(distance, depth))[0]
    return _kept(skimage.segmentation.watershed(-distance, seeds, mask=foreground), min_size=min_size, border=border)


def _cell_probability(probability) -> np.ndarray:
    """Return the (H, W) map of class 1 out of (H, W) or (K, H, W), after checking that it holds probabilities."""
    probability = check_probability(probability, ranks=(2, 3))
    if probability.ndim == 3:
        if len(probability) < 2:
            raise ValueError(
                f"probability has shape {probability.shape}; pass (H, W), or (K, H, W) with class 1 = cell"
            )
        return probability[1]
    return probability


def _checked_threshold(threshold: float) -> float:
    if not 0 <= check_scalar(threshold, float, name="threshold") <= 1:
        raise ValueError(f"threshold is {threshold}; a probability is between 0 and 1, usual is 0.5")
    return threshold


def _deep_maxima(distance: np.ndarray, depth: float) -> np.ndarray:
    """Return where the distance is highest within hills that rise more than `depth`, or that have no other seed."""
    deep = skimage.morphology.h_maxima(distance, depth) > 0
    hills = connected_cells(distance > 0)
    count = int(hills.max())
    seeded = np.zeros(count + 1, dtype=bool)
    seeded[hills[deep]] = True
    summits = distance == _maximum_of_each(distance, hills, count)[hills]
    return deep | (summits & ~seeded[hills] & (hills > 0))


def _maximum_of_each(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    return np.array([0.0, *ndimage.maximum(values, labels, range(1, count + 1))])


def _kept(labels: np.ndarray, *, min_size: int, border: int) -> np.ndarray:
    """Drop small cells and those outside of the field of interest; number the others 1..n."""
    if not check_scalar(min_size, float, name="min_size") >= 0:
        raise ValueError(f"min_size is {min_size} px; needs 0 or more")
    check_border(border, labels.shape)
    keep = np.bincount(labels.ravel()) > min_size
    keep &= np.bincount(_inside(labels, border).ravel(), minlength=len(keep)) > 0
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]


def _inside(labels: np.ndarray, border: int) -> np.ndarray:
    """Return the field of interest: the labels without `border` px on every side."""
    return labels[border : labels.shape[0] - border, border : labels.shape[1] - border]
