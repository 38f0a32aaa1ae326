"""What an annotation outlines: rings drawn inside a cell, which most sections leave white."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from unet_paper.arrays import check_labels

EIGHT = np.ones((3, 3), dtype=bool)  # membranes hang together over corners too, as everywhere in the EM challenge


def closed_rings(labels) -> tuple[np.ndarray, int]:
    """Find what is outlined inside a cell: membrane that closes around something and hangs on no other membrane.

    Annotators of the EM sections mostly left organelles white like the rest of the cell; here and there one was given
    an outline of its own. Such an outline is an 8-connected piece of membrane that does not reach the edge of the
    image and has at least one hole. The network of membranes between cells is no ring: it reaches the edge.

    Parameters
    ----------
    labels : array_like of int
        (H, W): 0 membrane, above 0 cell.

    Returns
    -------
    rings : numpy.ndarray
        (H, W) bool: the pixels of all rings, holes not included.
    outlined : int
        How many 4-connected pieces of cell the rings enclose; a ring with a bar across encloses two.
    """
    labels = check_labels(labels)
    pieces, _ = ndimage.label(labels == 0, structure=EIGHT)
    rings, outlined = np.zeros(labels.shape, dtype=bool), 0
    for number, place in enumerate(ndimage.find_objects(pieces), start=1):
        piece = pieces[place] == number
        holes = 0 if _reaches_edge(place, labels.shape) else ndimage.label(_holes(piece))[1]
        if holes:
            rings[place] |= piece
            outlined += holes
    return rings, outlined


def _holes(piece: np.ndarray) -> np.ndarray:
    """(h, w) bool -> the same: what a piece encloses."""
    return ndimage.binary_fill_holes(piece) & ~piece


def _reaches_edge(place: tuple[slice, slice], shape: tuple[int, int]) -> bool:
    return any(along.start == 0 or along.stop == n for along, n in zip(place, shape, strict=True))
