"""Border thinning: let the cells grow into the membrane until they meet, so that its thickness stops to matter."""

from __future__ import annotations

import numpy as np

from unet_paper.arrays import check_labels
from unet_paper.cells import connected_cells
from unet_paper.compiled import compiled

LINE = 0  # the watershed line that stays between two cells
UNSEEN = -1  # membrane that no cell has reached
QUEUED = -2  # membrane that waits in the queue
FRAME = -3  # outside the image


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
    columns = np.pad(np.where(cells.T == 0, UNSEEN, cells.T), 1, constant_values=FRAME)  # (W + 2, H + 2)
    labels = columns.astype(np.int32).ravel()  # column after column, as the challenge visits them
    queue = np.empty(np.count_nonzero(cells == 0), dtype=np.int64)
    height = columns.shape[1]
    _flood(labels, queue, np.array([-height, -1, height, 1]))  # left, up, right, down
    return np.ascontiguousarray(labels.reshape(columns.shape)[1:-1, 1:-1].T)


@compiled
def _flood(labels, queue, steps):
    """Give every membrane pixel of the framed, flat `labels` the cell that reaches it first, or `LINE`."""
    end = _queue_shore(labels, queue, steps)
    start = 0
    while start < end:
        pixel = queue[start]
        start += 1
        label, only_line = QUEUED, False  # only_line: called line just because a neighbour is line
        for step in steps:
            other = labels[pixel + step]
            if other > 0:
                label, only_line = _meet_cell(label, only_line, other)
            elif other == LINE and label == QUEUED:
                label, only_line = LINE, True
            elif other == UNSEEN:
                labels[pixel + step] = QUEUED
                queue[end] = pixel + step
                end += 1
        labels[pixel] = label


@compiled
def _queue_shore(labels, queue, steps):
    """Queue the membrane pixels that touch a cell, column by column; return how many."""
    end = 0
    for pixel in range(len(labels)):
        if labels[pixel] == UNSEEN and _touches_cell(labels, pixel, steps):
            labels[pixel] = QUEUED
            queue[end] = pixel
            end += 1
    return end


@compiled
def _touches_cell(labels, pixel, steps):
    for step in steps:  # noqa: SIM110 - numba compiles the loop, not `any`
        if labels[pixel + step] > 0:
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
