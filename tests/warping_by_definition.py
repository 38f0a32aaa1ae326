"""The warping error as its rule reads, pixel by pixel in plain Python: what the compiled one must equal."""

from __future__ import annotations

import numpy as np


def warp_by_definition(labels: np.ndarray, probability: np.ndarray, threshold: float) -> tuple[np.ndarray, int]:
    """Warp as the rule reads, pixel by pixel in Python: the warped labels (H, W) bool, and how many pixels remain."""
    warped, target = np.pad(labels > 0, 1), np.pad(probability > np.float64(threshold), 1)
    confidence = np.pad(np.abs(probability.astype(np.float64) - threshold).astype(np.float32), 1)
    before = None
    while True:
        differing = [(x, y) for x, y in zip(*np.nonzero((warped != target).T), strict=True)]  # column by column
        if len(differing) in (0, before):
            return warped[1:-1, 1:-1], len(differing)
        before = len(differing)
        for x, y in sorted(differing, key=lambda pixel: -confidence[pixel[1], pixel[0]]):  # the sort is stable
            warped[y, x] ^= is_simple(warped[y - 1 : y + 2, x - 1 : x + 2])


def is_simple(patch: np.ndarray) -> bool:
    """Whether the centre of a 3x3 patch touches one piece of cell (4-connected) and one of membrane (8-connected)."""
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    cells = [place for place in ring if patch[place]]
    membrane = [place for place in ring if not patch[place]]
    touching = [piece for piece in pieces(cells, reach=1) if any((j + i) % 2 for j, i in piece)]  # not corners alone
    return len(touching) == 1 and len(pieces(membrane, reach=2)) == 1


def pieces(places: list[tuple[int, int]], *, reach: int) -> list[set]:
    """Group places whose squared distance is at most `reach` (1: 4-connected, 2: 8-connected)."""
    groups: list[set] = []
    for j, i in places:
        near = [group for group in groups if any((j - b) ** 2 + (i - a) ** 2 <= reach for b, a in group)]
        groups = [group for group in groups if group not in near] + [{(j, i)}.union(*near)]
    return groups
