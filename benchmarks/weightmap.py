"""Speed of the weight map: one distance transform per cell, as Eq. 2 reads, against `unet_paper.weight_map`.

Run `python -m benchmarks.weightmap`; it prints JSON. Every ratio compares two timings of the same run.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from unet_paper.cells import connected_cells
from unet_paper.datasets import em_sections
from unet_paper.weightmap import class_weights, separate_touching, weight_map

CELLS = (10, 100, 1000, 5000)
SIDE = 512  # px
MOST_BY_DEFINITION = 100  # cells; beyond, the definition takes too long to wait for


def weight_map_by_definition(labels: np.ndarray, *, w0: float = 10.0, sigma: float = 5.0) -> np.ndarray:
    """Return the map of Eq. 2 from one Euclidean distance transform per cell, the two smallest kept: (H, W)."""
    d1, d2 = np.full((2, *labels.shape), np.inf)
    for cell in np.unique(labels[labels > 0]):
        distance = ndimage.distance_transform_edt(labels != cell)
        d1, d2 = np.minimum(d1, distance), np.minimum(d2, np.maximum(d1, distance))
    border = w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return class_weights(labels) + np.where(labels == 0, border, 0)


def round_cells(count: int, *, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """Return `count` cells in a side x side image: what lies nearest to random points, but no farther than a radius."""
    points = np.zeros((side, side), dtype=np.int32)
    points.flat[np.random.default_rng(seed).choice(side * side, count, replace=False)] = np.arange(1, count + 1)
    distance, (row, column) = ndimage.distance_transform_edt(points == 0, return_indices=True)
    return separate_touching(np.where(distance < 0.5 * side / math.sqrt(count), points[row, column], 0))


def best_time(function: Callable[[], object], *, repeats: int) -> float:
    """Return the shortest of `repeats` timings in s: the one that other processes disturbed least."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def compare(labels: np.ndarray, *, with_definition: bool = True, repeats: int = 7) -> dict:
    """Time both on one label image."""
    cells = len(np.unique(labels[labels > 0]))
    row = {"cells": cells, "ours_s": best_time(lambda: weight_map(labels), repeats=repeats)}
    if with_definition:
        row["definition_s"] = best_time(lambda: weight_map_by_definition(labels), repeats=2)
        row["ratio"] = row["definition_s"] / row["ours_s"]
        row["largest_difference"] = float(np.abs(weight_map(labels) - weight_map_by_definition(labels)).max())
    return row


def measure() -> dict:
    """Time an EM section, then images of the same size with more and more cells.

    Returns
    -------
    dict
        ``source``: which section; ``em``: its ``cells``, ``ours_s``, ``definition_s``, ``ratio`` (definition over
        ours) and ``largest_difference``; ``by_cells``: the same for each of `CELLS`, the definition up to 100 cells.
    """
    sections = em_sections()
    section = connected_cells(sections.labels[0])
    weight_map(section)  # compile before the clock starts
    by_cells = [compare(round_cells(count), with_definition=count <= MOST_BY_DEFINITION) for count in CELLS]
    return {"source": sections.source, "em": compare(section), "by_cells": by_cells}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
