"""Border thinning: let the cells grow into the membrane until they meet, so that its thickness stops to matter."""

from __future__ import annotations

import numpy as np

from unet_paper.checks import check_labels
from unet_paper.metrics.compiled import compiled, inside, neighbour
from unet_paper.metrics.contingency import connected_cells

LINE = 0  # the watershed line that stays between two cells
UNSEEN = -1  # membrane that no cell has reached
QUEUED = -2  # membrane that waits in the queue


def thin_borders(foreground) -> np.ndarray:
    """Flood the membrane from the cells; lines remain where two cells meet.

    The Vincent-Soille watershed in its two-level form, 4-connected, as the challenge runs it before V_Rand and
    V_Info. The order in which pixels are visited (columns, then a queue) decides where the lines lie, so it is kept
    to the letter.

    Parameters
    ----------
    foreground : array_like of bool or int
        (H, W), above 0 = cell.

    Returns
    -------
    numpy.ndarray
        (H, W) int32: 1..n the grown cells, 0 the lines. An image without any cell is one cell, 1.

    References
    ----------
    .. [1] Vincent and Soille 1991, doi:10.1109/34.87344.
    .. [2] Arganda-Carreras et al. 2015, "Border thinning", doi:10.3389/fnana.2015.00142.
    """
    foreground = check_labels(foreground, name="foreground") > 0
    return grow_cells(connected_cells(foreground))


def grow_cells(cells: np.ndarray) -> np.ndarray:
    """Return what `thin_borders` does of numbered cells (H, W), 0 membrane; the input is not changed."""
    if not cells.any():
        return np.ones(cells.shape, dtype=np.int32)
    labels = np.where(cells == 0, UNSEEN, cells).astype(np.int32)
    _flood(labels, np.empty((np.count_nonzero(cells == 0), 2), dtype=np.int64))
    return labels


@compiled
def _flood(labels, queue):
    """Give every membrane pixel of `labels` the cell that reaches it first, or `LINE`; `queue` is (M, 2) scratch."""
    end = _queue_shore(labels, queue)
    start = 0
    while start < end:
        y, x = queue[start]
        start += 1
        label, only_line = QUEUED, False  # only_line: called line just because a neighbour is line
        for step in range(4):
            v, u = neighbour(y, x, step)
            if not inside(labels, v, u):
                continue
            other = labels[v, u]
            if other > 0:
                label, only_line = _meet_cell(label, only_line, other)
            elif other == LINE and label == QUEUED:
                label, only_line = LINE, True
            elif other == UNSEEN:
                labels[v, u] = QUEUED
                queue[end] = v, u
                end += 1
        labels[y, x] = label


@compiled
def _queue_shore(labels, queue):
    """Queue the membrane pixels that touch a cell, column by column; return how many."""
    end = 0
    for x in range(labels.shape[1]):
        for y in range(labels.shape[0]):
            if labels[y, x] == UNSEEN and _touches_cell(labels, y, x):
                labels[y, x] = QUEUED
                queue[end] = y, x
                end += 1
    return end


@compiled
def _touches_cell(labels, y, x):
    for step in range(4):
        v, u = neighbour(y, x, step)
        if inside(labels, v, u) and labels[v, u] > 0:
            return True
    return False


@compiled
def _meet_cell(label, only_line, other):
    """Return the label of a pixel, and whether it is line by a neighbour only, after it met the cell `other`."""
    if label == QUEUED or (label == LINE and only_line):
        return other, only_line
    if label > 0 and label != other:
        return LINE, False
    return label, only_line
