"""Cells out of a drawing of membranes: the pieces between the lines, each with a number of its own."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from unet_paper.checks import IGNORE, check_labels


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
