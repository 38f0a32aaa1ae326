"""Eq. 2: loss weights that make the network learn the narrow gaps between touching cells (Fig. 3).

The border term needs, at every background pixel, the distances to the nearest and to the second nearest cell. One
distance transform per cell gives them at a cost of pixels times cells. Here two sweeps over the columns and one over
the rows find both at once, so the cost grows with the pixels alone.

References
----------
Ronneberger, Fischer, Brox 2015, section 3, Eq. 2 and Fig. 3, doi:10.1007/978-3-319-24574-4_28
Meijster, Roerdink, Hesselink 2000, "A general algorithm for computing distance transforms in linear time"
Bertrand 1994, "Simple points, topological numbers and geodesic neighborhoods in cubic grids"
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from unet_paper.arrays import IGNORE, check_labels, check_same_shape
from unet_paper.compiled import compiled
from unet_paper.options import check_scalar

NEGLIGIBLE = 1e-6  # a border term below this is left out: 1/10 of the promised accuracy at w0 = 10
NO_CELL = 0


def weight_map(
    labels,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    balance: bool = True,
    inside_cells: bool = False,
) -> np.ndarray:
    r"""Return the loss weight of every pixel, :math:`w = w_c + w_0 \exp(-(d_1 + d_2)^2 / 2\sigma^2)` (Eq. 2).

    Parameters
    ----------
    labels : array_like
        (H, W) instance labels: 0 background, 1..n cells (a cell is a label, connected or not), -1 ignored.
        A semantic label (0 and 1) has one "cell" and so no gaps: turn it into cells first, see
        `unet_paper.cells.connected_cells`.
    w0 : float
        Height of the border term, at least 0.
    sigma : float
        Its width in px, above 0.
    balance : bool
        True: w_c is inversely proportional to the frequency of the pixel's class (background, cell), scaled so that
        its mean over the annotated pixels is 1. False: w_c = 1.
    inside_cells : bool
        False: the border term acts on the background only, as Fig. 3d shows. True: on the cells too, where d1 = 0.

    Returns
    -------
    numpy.ndarray
        (H, W) float32, at least 0; 0 where ignored. With fewer than two cells there is no border term. It differs
        from the definition by less than 1e-6 plus the rounding of float32, because terms below 1e-6 are left out.

    Raises
    ------
    ValueError
        If `labels` is not a label image, `w0` is negative or `sigma` is not above 0.
    """
    labels = check_labels(labels)
    for name, value in {"w0": w0, "sigma": sigma}.items():
        check_scalar(value, float, name=name)
    for name, value in {"balance": balance, "inside_cells": inside_cells}.items():
        check_scalar(value, bool, name=name)
    if not (w0 >= 0 and math.isfinite(w0)):
        raise ValueError(f"w0 is {w0}; needs a finite number of at least 0")
    if not (sigma > 0 and math.isfinite(sigma)):
        raise ValueError(f"sigma is {sigma}; needs a finite number of px above 0")
    annotated = labels != IGNORE
    weights = class_weights(labels) if balance else annotated.astype(np.float32)
    # Departure: Eq. 2 does not say where the border term acts; Fig. 3d shows it on the background.
    acts = annotated if inside_cells else labels == NO_CELL
    return weights + border_term(labels, w0=w0, sigma=sigma, where=acts)


def class_weights(labels) -> np.ndarray:
    """Return w_c of Eq. 2: inverse class frequencies, mean 1 over the annotated pixels.

    With N annotated pixels, of which n belong to the pixel's class, w_c = N / (2 n); N / n = 1 where there is only one
    class. So background and cells weigh the same in total.

    Parameters
    ----------
    labels : array_like
        (H, W): 0 background, 1..n cells, -1 ignored.

    Returns
    -------
    numpy.ndarray
        (H, W) float32; 0 where ignored.
    """
    labels = check_labels(labels)
    # Departure: the paper does not say how w_c balances the classes; this scale keeps the mean weight at 1.
    classes = [labels == NO_CELL, labels > NO_CELL]
    present = [members for members in classes if members.any()]
    annotated = sum(int(members.sum()) for members in present)
    weights = np.zeros(labels.shape, dtype=np.float32)
    for members in present:
        weights[members] = annotated / (len(present) * members.sum())
    return weights


def border_term(labels, *, w0: float = 10.0, sigma: float = 5.0, where: np.ndarray | None = None) -> np.ndarray:
    r"""Return :math:`w_0 \exp(-(d_1 + d_2)^2 / 2\sigma^2)`, the second part of Eq. 2; 0 where it is below 1e-6.

    Parameters
    ----------
    labels : array_like
        (H, W): 0 background, 1..n cells, -1 ignored.
    w0, sigma : float
        Height, and width in px.
    where : numpy.ndarray, optional
        (H, W) bool: the pixels that get a border term, the others get 0; all of them by default.

    Returns
    -------
    numpy.ndarray
        (H, W) float32.
    """
    # Beyond this sum of distances the term is below NEGLIGIBLE: no need to look farther for cells.
    reach = sigma * math.sqrt(2 * math.log(max(w0 / NEGLIGIBLE, 1)))
    d1, d2 = two_nearest_cells(labels, reach=reach, where=where)
    both = d1 + d2
    term = np.zeros(both.shape, dtype=np.float32)
    near = both <= reach
    term[near] = w0 * np.exp(-(both[near] ** 2) / (2 * sigma**2))
    return term


def two_nearest_cells(
    labels,
    *,
    reach: float = math.inf,
    where: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return d1 and d2 of Eq. 2: the distances to the nearest and to the second nearest cell.

    Distances are Euclidean, from pixel centre to the centre of the nearest pixel of the cell. Within a cell d1 = 0.

    Parameters
    ----------
    labels : array_like
        (H, W): 0 background, 1..n cells, -1 ignored (neither cell nor background).
    reach : float
        How far to look, in px, at least 0. Where d1 + d2 is larger, cells may be left out.
    where : numpy.ndarray, optional
        (H, W) bool: the pixels at which to look, all of them by default.

    Returns
    -------
    d1, d2 : numpy.ndarray
        (H, W) float64 in px; infinite where no first or second cell was found, or nobody looked.
    """
    labels = check_labels(labels)
    where = np.ones(labels.shape, dtype=bool) if where is None else np.asarray(where, dtype=bool)
    check_same_shape(where, labels.shape, name="where", other="labels")
    d1, d2 = np.sqrt(_two_nearest_in_image(*_two_nearest_in_column(labels), float(reach), where))
    return d1, d2


def separate_touching(labels) -> np.ndarray:
    """Draw a background border, 1 px wide, between cells that touch (Fig. 3c).

    Thinning, restricted to where cells touch. A pixel with a pixel of another cell among its 8 neighbours becomes
    background, unless that would split its cell (it is no simple point, for 4- and for 8-connectivity) or shorten a
    tip (fewer than two of its neighbours belong to its cell). Of two touching cells the one with the smaller number
    gives way, the other one only where that was not possible; pixels are visited row by row until nothing changes.
    So no cell is lost, not even one of a single pixel, none falls apart, and pixels only ever turn from cell into
    background. The price: where both sides are only 1 px wide, they go on touching.

    Parameters
    ----------
    labels : array_like
        (H, W): 0 background, 1..n cells, -1 ignored.

    Returns
    -------
    numpy.ndarray
        (H, W) int32, the same labels with some pixels set to 0.
    """
    separated = np.pad(check_labels(labels), 1)  # a frame of background spares the loop its bounds
    lowest = ndimage.minimum_filter(np.where(separated > NO_CELL, separated, np.iinfo(np.int32).max), size=3)
    highest = ndimage.maximum_filter(separated, size=3)
    rows, columns = np.nonzero((separated > NO_CELL) & (lowest < highest))
    _thin(separated, rows, columns)
    return separated[1:-1, 1:-1].copy()


@compiled
def _keep_two_nearest(distances, cells, distance, cell):
    """Enter one more cell into the two nearest distinct ones, in place."""
    if distance < distances[0]:
        if cell != cells[0]:
            distances[1], cells[1] = distances[0], cells[0]
        distances[0], cells[0] = distance, cell
    elif distance < distances[1] and cell != cells[0]:
        distances[1], cells[1] = distance, cell


@compiled
def _two_nearest_in_column(labels):
    """Within each column, find the two nearest distinct cells: one sweep down, one sweep up. (H, W) -> 2x (H, W, 2)."""
    height, width = labels.shape
    distances = np.full((height, width, 2), np.inf)
    cells = np.zeros((height, width, 2), np.int32)
    for start, stop, step in ((0, height, 1), (height - 1, -1, -1)):
        for row in range(start, stop, step):
            before = row - step
            for column in range(width):
                here = distances[row, column], cells[row, column]
                if labels[row, column] > 0:
                    _keep_two_nearest(*here, 0.0, labels[row, column])
                if row != start:
                    for k in range(2):
                        _keep_two_nearest(*here, distances[before, column, k] + 1, cells[before, column, k])
    return distances, cells


@compiled
def _two_nearest_in_image(distances, cells, reach, where):
    """Along each row, combine what the columns found, outwards until nothing nearer can come. -> (2, H, W) squared."""
    height, width, _ = distances.shape
    squared = np.full((2, height, width), np.inf)
    cell = np.empty(2, np.int32)
    for row, column in zip(*np.nonzero(where)):  # noqa: B905 - numba knows no strict=
        nearest = squared[:, row, column]
        cell[:] = 0
        for offset in range(width):
            if offset + min(offset, math.sqrt(nearest[0])) > reach or offset**2 >= nearest[1]:
                break  # what is still unseen lies at least `offset` away: too far, or farther than what we have
            for other in (column - offset, column + offset):
                if 0 <= other < width:
                    for k in range(2):
                        distance = offset**2 + distances[row, other, k] ** 2
                        _keep_two_nearest(nearest, cell, distance, cells[row, other, k])
    return squared


@compiled
def _thin(labels, rows, columns):
    """Turn the given pixels into background where `separate_touching` allows it, in place, until nothing changes."""
    for both_sides in (False, True):
        changed = True
        while changed:
            changed = False
            for row, column in zip(rows, columns):  # noqa: B905 - numba knows no strict=
                window = labels[row - 1 : row + 2, column - 1 : column + 2]  # (3, 3)
                if window[1, 1] > 0 and _touches_another(window, both_sides) and _may_go(window):
                    labels[row, column] = 0
                    changed = True


@compiled
def _touches_another(window, both_sides):
    """Tell whether a (3, 3) window holds a cell other than its centre's; by default, one with a greater number."""
    if both_sides:
        return ((window > 0) & (window != window[1, 1])).any()
    return (window > window[1, 1]).any()


@compiled
def _may_go(window):
    """Tell whether the centre of a (3, 3) window is neither a tip nor a link of its cell."""
    around = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))  # clockwise from the corner
    ring = [window[place] == window[1, 1] for place in around]
    runs_of_4 = runs_of_8 = members = 0  # runs of cell pixels round the ring, as the two connectivities see them
    for edge in range(1, 8, 2):
        corner, next_edge = ring[(edge + 1) % 8], ring[(edge + 2) % 8]
        members += ring[edge] + corner
        runs_of_4 += ring[edge] and not (corner and next_edge)
        runs_of_8 += not ring[edge] and (corner or next_edge)
    return members >= 2 and runs_of_4 == 1 and runs_of_8 == 1
