"""Warping error: bend the labels until only the errors of topology are left.

The labels may be changed pixel by pixel wherever that splits, merges, adds or deletes nothing (at "simple" pixels).
What still differs from the result afterwards cannot be explained by a shifted membrane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from unet_paper.arrays import check_labels, check_same_shape
from unet_paper.cells import connected_cells
from unet_paper.compiled import compiled
from unet_paper.metrics.maps import above, check_map

ERRORS = ("none", "merge", "split", "hole_addition", "hole_deletion", "object_addition", "object_deletion")
MERGE, SPLIT, HOLE_ADDITION, HOLE_DELETION, OBJECT_ADDITION, OBJECT_DELETION = range(1, 7)
RADIUS = 20  # px: how far round a pixel the challenge looks to see whether removing it splits a cell


@dataclass(frozen=True)
class Warp:
    """The labels bent onto a result, and what is left.

    Attributes
    ----------
    warped : numpy.ndarray
        (H, W) bool, the warped labels; True = cell.
    errors : numpy.ndarray
        (H, W) uint8, index into `ERRORS` for each pixel that still differs, 0 elsewhere.
    flips : numpy.ndarray
        (F, 3) int64, one row per changed pixel, in order: pass (from 0), y, x. A pixel changes at most once.
    """

    warped: np.ndarray
    errors: np.ndarray
    flips: np.ndarray

    @property
    def counts(self) -> dict[str, int]:
        """Remaining pixels of each type, in px."""
        return {name: int(np.count_nonzero(self.errors == code)) for code, name in enumerate(ERRORS) if code > 0}

    @property
    def error(self) -> float:
        """Warping error at this threshold: merge and split pixels per pixel of the image."""
        return float(np.isin(self.errors, (MERGE, SPLIT)).mean())

    @property
    def error_all_types(self) -> float:
        """All remaining pixels per pixel of the image, as the measure was first defined."""
        return float((self.errors > 0).mean())


def warp(labels, probability, threshold: float, *, radius: int = RADIUS) -> Warp:
    """Warp the labels onto a thresholded map and name the remaining differences.

    Parameters
    ----------
    labels : array_like of int or bool
        (H, W), 0 membrane, above 0 cell.
    probability : array_like of float
        (H, W) in [0, 1], probability of cell. Pixels whose probability lies furthest from the threshold move first.
    threshold : float
        A pixel is cell where its probability is larger.
    radius : int
        In px. A pixel splits a cell if the cell falls apart inside the square of ``2 * radius + 1`` px round it.

    Raises
    ------
    ValueError
        If shapes differ or the map leaves [0, 1].

    References
    ----------
    .. [1] Jain et al. 2010, section 3, doi:10.1109/CVPR.2010.5539950.
    .. [2] Bertrand 1994, Pattern Recognition Letters 15(10), 1003-1011 (simple points).
    """
    labels = check_labels(labels)
    probability = check_map(probability)
    check_same_shape(probability, labels.shape, name="probability", other="labels")
    return warp_mask(labels > 0, probability, threshold, radius=radius)


def warp_mask(cell: np.ndarray, probability: np.ndarray, threshold: float, *, radius: int = RADIUS) -> Warp:
    """`warp` of checked arrays: `cell` (H, W) bool, `probability` (H, W) float32."""
    target = above(probability, threshold)
    moves = _order_of_visits(cell != target, probability, threshold)  # (M, 2) y, x
    warped = np.pad(cell, 1).astype(np.uint8)  # the frame is membrane and never moves
    flips = np.empty((len(moves), 3), dtype=np.int64)
    flipped = _bend(warped, moves, flips, IS_SIMPLE)
    warped = warped[1:-1, 1:-1].astype(bool)
    errors = np.zeros(cell.shape, dtype=np.uint8)
    _classify(connected_cells(warped), moves[: len(moves) - flipped], radius, errors)
    return Warp(warped, errors, flips[:flipped].copy())


def _order_of_visits(differs: np.ndarray, probability: np.ndarray, threshold: float) -> np.ndarray:
    """Return the differing pixels (M, 2) as y, x: the most confident first, ties column by column.

    A pixel that differs later differed at the start, and its confidence stays: one sort serves every pass.
    """
    x, y = np.nonzero(differs.T)
    confidence = np.abs(probability[y, x].astype(np.float64) - threshold).astype(np.float32)
    order = np.argsort(-confidence, kind="stable")
    return np.stack([y[order], x[order]], axis=1)


def _is_simple(patch: np.ndarray) -> bool:
    """Whether flipping the centre of a 3x3 patch keeps every component of cell and membrane one and whole."""
    around = np.ones((3, 3), dtype=bool)
    around[1, 1] = False
    cells, _ = ndimage.label(patch & around)  # 4-connected
    touching = {cells[0, 1], cells[1, 0], cells[1, 2], cells[2, 1]} - {0}
    _, membranes = ndimage.label(~patch & around, structure=np.ones((3, 3)))  # 8-connected
    return len(touching) == 1 and membranes == 1


def _simple_table() -> np.ndarray:
    """Return (256,) bool: bit k of the index is neighbour k of the patch, row by row, centre left out."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1  # (256, 8)
    patches = np.insert(bits, 4, 0, axis=1).reshape(-1, 3, 3).astype(bool)
    return np.array([_is_simple(patch) for patch in patches])


IS_SIMPLE = _simple_table()


@compiled
def _bend(warped, moves, flips, is_simple):
    """Flip simple pixels of the framed `warped`, pass by pass, until a pass flips none; return how many flipped.

    The pixels that remain are kept in order at the head of `moves`.
    """
    left, flipped, number = len(moves), 0, 0
    while left > 0:
        kept = 0
        for k in range(left):
            y, x = moves[k]
            if is_simple[_pattern(warped, y + 1, x + 1)]:
                warped[y + 1, x + 1] ^= 1
                flips[flipped] = number, y, x
                flipped += 1
            else:
                moves[kept] = y, x
                kept += 1
        if kept == left:
            break
        left, number = kept, number + 1
    return flipped


@compiled
def _pattern(image, y, x):
    """Return the 8 neighbours of a pixel as one number, bit by bit in row order."""
    return (
        image[y - 1, x - 1]
        | image[y - 1, x] << 1
        | image[y - 1, x + 1] << 2
        | image[y, x - 1] << 3
        | image[y, x + 1] << 4
        | image[y + 1, x - 1] << 5
        | image[y + 1, x] << 6
        | image[y + 1, x + 1] << 7
    )


@compiled
def _classify(cells, remaining, radius, errors):
    """Write the type of each remaining pixel (M, 2) into `errors`; `cells` are the components of the warped labels."""
    seen = np.zeros(cells.shape, dtype=np.int64)  # the number of the last search that came by
    for k in range(len(remaining)):
        y, x = remaining[k]
        errors[y, x] = _error_type(cells, y, x, radius, seen, k + 1)


@compiled
def _error_type(cells, y, x, radius, seen, mark):
    kinds, only = _distinct_neighbours(cells, y, x)
    is_cell = cells[y, x] != 0  # the labels say cell, the result says membrane
    if kinds == 0 or (kinds == 1 and only == 0):  # alone in membrane, or in an image of one pixel
        return OBJECT_DELETION if is_cell else OBJECT_ADDITION
    if kinds == 1:
        return HOLE_ADDITION if is_cell else HOLE_DELETION
    if kinds >= 3:
        return SPLIT if is_cell else MERGE
    if not is_cell:
        return HOLE_ADDITION
    return SPLIT if _falls_apart(cells, y, x, radius, seen, mark) else HOLE_DELETION


@compiled
def _distinct_neighbours(cells, y, x):
    """Return how many different values the 8 neighbours inside the image have, and the last of them."""
    seen = np.empty(8, dtype=np.int64)
    kinds = 0
    for v in range(max(y - 1, 0), min(y + 2, cells.shape[0])):
        for u in range(max(x - 1, 0), min(x + 2, cells.shape[1])):
            if (v != y or u != x) and not _holds(seen, kinds, cells[v, u]):
                seen[kinds] = cells[v, u]
                kinds += 1
    return kinds, seen[kinds - 1]


@compiled
def _holds(values, count, wanted):
    """Whether one of the first `count` values is the wanted one."""
    for k in range(count):  # noqa: SIM110 - numba compiles the loop, not `any`
        if values[k] == wanted:
            return True
    return False


@compiled
def _falls_apart(cells, y, x, radius, seen, mark):
    """Whether a cell pixel that is taken away leaves neighbours that do not find each other inside the window.

    A search spreads from one of the neighbours and marks `seen`; it ends as soon as it has met them all.
    """
    queue = np.empty(((2 * radius + 1) ** 2, 2), dtype=np.int64)
    neighbours = 0
    for v in range(max(y - 1, 0), min(y + 2, cells.shape[0])):
        for u in range(max(x - 1, 0), min(x + 2, cells.shape[1])):
            if (v != y or u != x) and cells[v, u] != 0:
                queue[0] = v, u
                neighbours += 1
    if neighbours == 8:
        return False  # no membrane near: the pixel becomes a hole
    seen[y, x] = mark
    seen[queue[0, 0], queue[0, 1]] = mark
    start, end, met = 0, 1, 1
    while start < end and met < neighbours:
        for step in range(4):
            v, u = _neighbour(queue[start, 0], queue[start, 1], step)
            distance = max(abs(v - y), abs(u - x))  # of rows or columns, px
            if distance <= radius and _inside(cells, v, u) and cells[v, u] != 0 and seen[v, u] != mark:
                seen[v, u] = mark
                queue[end] = v, u
                end += 1
                met += distance == 1
        start += 1
    return met < neighbours


@compiled
def _neighbour(y, x, step):
    """Return the coordinates of a 4-neighbour: left, up, right, down for steps 0 to 3."""
    if step == 0:
        return y, x - 1
    if step == 1:
        return y - 1, x
    if step == 2:
        return y, x + 1
    return y + 1, x


@compiled
def _inside(image, y, x):
    """Whether a pixel lies inside an image (H, W)."""
    return 0 <= y < image.shape[0] and 0 <= x < image.shape[1]
