"""Speed of the weight map: one distance transform per cell, as Eq. 2 reads, against `unet_paper.weight_map`."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from benchmarks.comparison import Comparison, medians
from unet_paper.cells import connected_cells
from unet_paper.datasets import em_sections, synthetic_em
from unet_paper.weight_maps import class_weights, separate_touching, weight_map

SIDE = 512  # px
CELLS = (10, 100, 1000, 5000)
MOST_BY_DEFINITION = 100  # cells; beyond, the definition takes too long to wait for
EM_GOALS = {"goal_ratio": 50, "goal_ms": 40, "goal_apart": 1e-5}


def measure(*, quick: bool = False, rounds: int = 5) -> dict:
    """Time an EM section, then images of the same size with more and more cells.

    Parameters
    ----------
    quick : bool
        A small part of a generated section, and few cells: seconds instead of half a minute.
    rounds : int
        How often each way is timed.

    Returns
    -------
    dict
        ``source``: which section; ``comparisons``: rows of `Comparison`.
    """
    sections = synthetic_em(count=1) if quick else em_sections()
    side, counts, goals = (192, CELLS[:1], {}) if quick else (SIDE, CELLS, EM_GOALS)
    section = connected_cells(sections.labels[0, :side, :side])
    rows = [compare(section, "cells of an EM section", rounds=rounds, **goals)]
    rows += [
        compare(round_cells(count, side=side), "round cells", rounds=rounds, wait=count <= MOST_BY_DEFINITION)
        for count in counts
    ]
    return {"source": sections.source, "comparisons": [row.as_row() for row in rows]}


def compare(labels: np.ndarray, kind: str, *, rounds: int, wait: bool = True, **goals) -> Comparison:
    """Time one label image (H, W) in both ways, or ours alone; take the largest difference between the weights."""
    tasks = {"ours": lambda: weight_map(labels)}
    if wait:
        tasks["definition"] = lambda: weight_map_by_definition(labels)
    times = medians(tasks, rounds=rounds)
    return Comparison(
        what=f"weight map, {len(np.unique(labels[labels > 0])):,} {kind}",
        other="one distance transform per cell",
        how=f"{labels.shape[0]} × {labels.shape[1]} px, one core",
        ours_ms=times["ours"],
        other_ms=times.get("definition"),
        apart=float(np.abs(tasks["ours"]() - tasks["definition"]()).max()) if wait else None,
        apart_in="largest difference of a weight",
        **goals,
    )


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
