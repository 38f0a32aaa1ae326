"""Cells from a semantic label."""

from __future__ import annotations

import numpy as np

from unet_paper.cells import connected_cells
from unet_paper.checks import IGNORE


def test_connected_cells_are_4_connected_and_keep_what_is_ignored():
    labels = [[1, 0, 1, 1], [0, 1, 0, 1], [1, IGNORE, 0, 0]]
    assert connected_cells(labels).tolist() == [[1, 0, 2, 2], [0, 3, 0, 2], [4, IGNORE, 0, 0]]


def test_masks_of_any_kind_give_the_same_int32_cells():
    mask = np.array([[1, 0, 1], [0, 0, 1]])
    for kind in (bool, np.uint8, np.float32):
        cells = connected_cells((mask * 255).astype(kind))
        assert cells.dtype == np.int32
        assert cells.tolist() == [[1, 0, 2], [0, 0, 2]]
