"""Cells of an image larger than memory: the same cells, with the same numbers, as `unet_paper.instances` gives.

The thresholded map is read twice in bands, full width and a few hundred rows high. The first time, the connected
components of each band are counted and measured, and where two touch across the line between bands they are one cell:
a graph with a node for each component and an edge for each touch, whose connected components are the cells. However
many bands a cell crosses, its parts meet there. The second time, the final numbers are written. A watershed cannot be
joined like this: where it cuts depends on all of a cell, so `unet_paper.watershed_instances` needs the whole image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unet_paper.cells import connected_cells
from unet_paper.options import check_border, check_scalar

MEASURED_AT_ONCE = 1 << 20  # px
MEASURES = ("area", "inside", "rows", "columns", "grey")
Band = tuple[int, int]  # first row, and last + 1
ReadBand = Callable[[Band], np.ndarray]


class Joined(NamedTuple):
    """The cells of an image, in their order, and how to find them again.

    Attributes
    ----------
    measures : numpy.ndarray
        (n, 5) float64 of the cells 1..n: area in px, pixels inside of the field of interest, sums of the rows, of the
        columns and of the grey values of its pixels.
    places : numpy.ndarray
        (n, 4) int64: first row, first column, last row + 1, last column + 1.
    numbers : list of numpy.ndarray
        For each band, the cell's number of each of its components, 0 first and 0 for what is no cell.
    """

    measures: np.ndarray
    places: np.ndarray
    numbers: list[np.ndarray]


def bands(height: int, rows: int) -> list[Band]:
    """Return the first row and the row behind the last of each band."""
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def join_cells(
    foreground: ReadBand, grey: ReadBand, size: tuple[int, int], *, rows: int, min_size: int, border: int = 0
) -> Joined:
    """Find the cells of an image whose thresholded map is read band by band.

    Parameters
    ----------
    foreground : callable
        From a band to (rows, W) bool.
    grey : callable
        The same for grey values.
    size : tuple of int
        (H, W) in px.
    rows : int
        Height of a band in px, >= 1.
    min_size, border
        As in `unet_paper.instances`.

    Returns
    -------
    Joined
        Numbered as `unet_paper.instances` numbers them: by their first pixel, row by row.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    if not check_scalar(min_size, float, name="min_size") >= 0:
        raise ValueError(f"min_size is {min_size} px; needs 0 or more")
    check_border(border, size)
    measured, places, nodes, touches = [], [], [], []
    above, known = None, 0  # nodes in the last row of the band before, and the number of nodes so far
    for top, bottom in bands(size[0], rows):
        labels = connected_cells(foreground((top, bottom)))  # (rows, W)
        measures, place = _measured(labels, grey((top, bottom)), top, size, border)
        alive = (measures[:, 0] > min_size) & (measures[:, 1] > 0)
        for line in (labels[0], labels[-1]):  # there a component may go on
            alive[line[line > 0] - 1] = True
        node = np.concatenate([[-1], np.where(alive, known + np.cumsum(alive) - 1, -1)]).astype(np.int32)
        if above is not None:
            touches.append(_touching(above, node[labels[0]]))
        measured.append(measures[alive])
        places.append(place[alive])
        nodes.append(node)
        above, known = node[labels[-1]], known + int(alive.sum())
    cells = _components(touches, known)
    total, place = _summed(cells, np.concatenate(measured), np.concatenate(places))
    keep = (total[:, 0] > min_size) & (total[:, 1] > 0)
    numbers = np.append(np.where(keep, np.cumsum(keep), 0)[cells] if known else cells, 0).astype(np.int32)
    return Joined(total[keep], place[keep], [numbers[node] for node in nodes])  # -1, no node, is the last: 0


def joined_bands(foreground: ReadBand, size: tuple[int, int], joined: Joined, *, rows: int) -> Iterator[np.ndarray]:
    """Give the final cells band by band, (rows, W) int32: 0 background, 1..n cells."""
    for (top, bottom), numbers in zip(bands(size[0], rows), joined.numbers, strict=True):
        yield numbers[connected_cells(foreground((top, bottom)))]


def _measured(
    labels: np.ndarray, grey: np.ndarray, top: int, size: tuple[int, int], border: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return `MEASURES` (n, 5) and places (n, 4) of the components of a band that begins at row `top`."""
    n = int(labels.max())
    measures = np.zeros((n, len(MEASURES)))
    place = np.tile(np.array([size[0], size[1], 0, 0]), (n, 1))
    at_once = max(1, MEASURED_AT_ONCE // size[1])
    for first in range(0, len(labels), at_once):
        row, column = np.nonzero(labels[first : first + at_once])  # only foreground: most of an image is background
        label, brightness = labels[first + row, column] - 1, grey[first + row, column].astype(np.float64)
        row = row + top + first
        edges = [border <= row, row < size[0] - border, border <= column, column < size[1] - border]
        for n_th, weight in enumerate((None, np.logical_and.reduce(edges), row, column, brightness)):
            measures[:, n_th] += np.bincount(label, weights=weight, minlength=n)
        for n_th, values in enumerate((row, column)):
            np.minimum.at(place[:, n_th], label, values)
            np.maximum.at(place[:, n_th + 2], label, values + 1)
    return measures, place


def _touching(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return the pairs (P, 2) of nodes on both sides of a line, -1 where there is none."""
    both = (above >= 0) & (below >= 0)
    return np.unique(np.stack([above[both], below[both]], axis=1), axis=0)


def _components(touches: Iterable[np.ndarray], count: int) -> np.ndarray:
    """Return (count,) the cell of each component, cells in the order of their first one."""
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *touches])
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    cell = connected_components(graph, directed=False)[1] if count else np.empty(0, dtype=np.int64)
    _, first, index = np.unique(cell, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[index]


def _summed(cells: np.ndarray, measures: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return measures and places of whole cells from those of their components."""
    n = int(cells.max()) + 1 if len(cells) else 0
    total = np.stack([np.bincount(cells, weights=column, minlength=n) for column in measures.T], axis=1)
    place = np.empty((n, 4), dtype=np.int64)
    place[:, :2], place[:, 2:] = np.iinfo(np.int64).max, 0
    np.minimum.at(place, (cells, slice(0, 2)), places[:, :2])
    np.maximum.at(place, (cells, slice(2, 4)), places[:, 2:])
    return total, place
