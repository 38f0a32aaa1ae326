"""What a finished run is measured by: the held-out images, and thresholds that the training images settle.

References
----------
Ronneberger, Fischer, Brox (2015), section 4, Tables 1 and 2, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import numpy as np

from unet_paper.arrays import IGNORE
from unet_paper.cells import instances, watershed_instances
from unet_paper.datasets import Dataset, closed_rings
from unet_paper.experiments.plan import Experiment
from unet_paper.metrics.cells import det, match_cells, merged_cells, seg
from unet_paper.metrics.em import EMScores, em_scores, rand_error_when_grown
from unet_paper.metrics.maps import THRESHOLDS
from unet_paper.metrics.warping import MERGE, SPLIT, warp
from unet_paper.model import UNet
from unet_paper.predict import cell_maps

EM_MEASURES = ("warping_error", "rand_error", "pixel_error", "pixel_difference", "v_rand", "v_info")
# How the held-out probability is averaged: the network once, the paper's 7 rotations, the release's 4 flips.
AVERAGES = {
    "none": {},
    "7 rotations": {"rotations": 7},
    "4 flips": {"rotations": 2, "flips": True},
    "8 symmetries": {"rotations": 4, "flips": True},
}
CELL_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(4, 17))  # 0.2 .. 0.8
REACHES = (0, 1, 2, 3, 5, 8)  # px by which cells grow into membrane, to see how much of a Rand error is thickness


def measure(
    experiment: Experiment, net: UNet, learn: Dataset, held_out: Dataset, *, progress: bool
) -> tuple[dict, dict]:
    """Return the scores of every way to average, and the seconds that one image took in each.

    Beside each best threshold of the held-out images stands the score at a threshold that the training images settle
    (their maps without any average), which no held-out image had a part in. For cells the whole curve of the training
    images is kept too, from maps averaged like those of the held-out ones.

    Parameters
    ----------
    experiment : Experiment
        Names task, scale and precision.
    net : UNet
        Trained.
    learn, held_out : Dataset
        Annotated images at their own size.
    progress : bool
        Print the scores as they come.

    Returns
    -------
    scores, seconds : dict
        By the names of `AVERAGES`: what `em_measures` or `cell_measures` returns; and s per image.
    """
    config, is_em = experiment.config, experiment.task == "em"
    how = {"scale": experiment.scale, "precision": config.precision, "standardise": config.standardise_each}
    if is_em:
        settled = em_scores(learn.labels, cell_maps(net, learn.images, **how)).best_threshold
    else:
        seen = {name: cell_maps(net, learn.images, **average, **how) for name, average in AVERAGES.items()}
        learned = {name: seg_curve(learn.labels, maps) for name, maps in seen.items()}
        settled = best_threshold(learned["none"])
    scores, seconds = {}, {}
    for name, average in AVERAGES.items():
        started = time.perf_counter()
        maps = cell_maps(net, held_out.images, **average, **how)
        seconds[f"one image, {name}"] = (time.perf_counter() - started) / len(maps)
        scores[name] = (em_measures if is_em else cell_measures)(held_out.labels, maps, settled)
        if not is_em:
            scores[name]["curves"]["seg_learned"] = seven_digits(learned[name])
        if progress:
            plain = {key: value for key, value in scores[name].items() if isinstance(value, float | int)}
            print(f"{experiment.name}, {name}: {plain}", flush=True)
    return scores, seconds


def em_measures(labels: np.ndarray, probability: np.ndarray, settled: dict[str, float]) -> dict:
    """Return the challenge's measures of the EM sections, each at its best threshold, as Table 1 does.

    Beside them: the measures at the thresholds `settled` by other sections, the whole curves over the thresholds, of
    all sections together and of each one, the pixels of mergers and splits, and the Rand error while cells grow.

    Parameters
    ----------
    labels : numpy.ndarray
        (N, H, W) int, 0 membrane, above 0 cell.
    probability : numpy.ndarray
        (N, H, W) float in [0, 1], class cell.
    settled : dict of str to float
        A threshold of `unet_paper.metrics.THRESHOLDS` for each of `EM_MEASURES`.

    Raises
    ------
    ValueError
        As `unet_paper.metrics.em_scores`.
    """
    scores = em_scores(labels, probability)
    sections = [em_scores(truth, cell) for truth, cell in zip(labels, probability, strict=True)]
    grown = {str(reach): rand_error_when_grown(labels, probability, reach) for reach in (*REACHES, np.inf)}
    return {
        **{name: getattr(scores, name) for name in EM_MEASURES},
        "threshold": scores.best_threshold,
        "settled": {name: _at(settled[name], scores.curves[name]) for name in EM_MEASURES},
        "settled_threshold": {name: settled[name] for name in EM_MEASURES},
        "curves": rounded_curves(scores),
        "sections": [rounded_curves(section) for section in sections],
        "mistakes": mistakes(labels, probability, scores.best_threshold["warping_error"]),
        "rand_error_when_grown": grown,
        "membrane": float((probability <= 0.5).mean()),
    }


def rounded_curves(scores: EMScores) -> dict[str, list[float]]:
    """Return each measure at every threshold, to seven digits: enough for figures, and a record stays small."""
    return {name: seven_digits(scores.curves[name]) for name in EM_MEASURES}


def seven_digits(values: Iterable[float]) -> list[float]:
    """Return floats rounded to seven digits."""
    return [float(f"{value:.7g}") for value in values]


def mistakes(labels: np.ndarray, probability: np.ndarray, threshold: float) -> list[dict[str, int]]:
    """Return the pixels that the warping error counts in each section, and how many of them closed rings cost.

    A ring is an organelle that the annotators outlined like a cell; see `unet_paper.datasets.closed_rings`.

    Parameters
    ----------
    labels, probability : numpy.ndarray
        (N, H, W), as in `em_measures`.
    threshold : float
        Above it a pixel is cell.

    Returns
    -------
    list of dict
        One per section: px of ``"merge"``, ``"split"`` and ``"merge_on_rings"``.
    """
    found = []
    for truth, cell in zip(labels, probability, strict=True):
        errors, rings = warp(truth, cell, threshold).errors, closed_rings(truth)[0]
        merger = errors == MERGE
        counts = {"merge": merger, "split": errors == SPLIT, "merge_on_rings": merger & rings}
        found.append({name: int(pixels.sum()) for name, pixels in counts.items()})
    return found


def seg_curve(labels: np.ndarray, probability: np.ndarray) -> list[float]:
    """Return SEG at each of `CELL_THRESHOLDS`.

    Parameters
    ----------
    labels : numpy.ndarray
        (N, H, W) int cells by number, 0 background, -1 not annotated.
    probability : numpy.ndarray
        (N, H, W) float in [0, 1].

    Raises
    ------
    ValueError
        If no frame has a cell.
    """
    return [seg(labels, _cells(probability, threshold)) for threshold in CELL_THRESHOLDS]


def best_threshold(curve: Sequence[float]) -> float:
    """Return the threshold at which a curve over `CELL_THRESHOLDS` is largest; of equal ones that next to 0.5."""
    by_nearness = sorted(zip(CELL_THRESHOLDS, curve, strict=True), key=lambda point: abs(point[0] - 0.5))
    return max(by_nearness, key=lambda point: point[1])[0]


def cell_measures(labels: np.ndarray, probability: np.ndarray, settled: float) -> dict:
    """Return SEG, DET and merged cells of the gold frames; with the watershed too. Unannotated cells do not count.

    All at the paper's threshold of 0.5; SEG and mergers also at the threshold `settled` by other frames, where the
    record keeps the intersection over union of every cell (0: not found), and over all of `CELL_THRESHOLDS`.

    Parameters
    ----------
    labels, probability : numpy.ndarray
        (N, H, W), as in `seg_curve`.
    settled : float
        In [0, 1].

    Raises
    ------
    ValueError
        If no frame has a cell.
    """
    cells, best = _cells(probability, 0.5), _cells(probability, settled)
    cut = np.stack([watershed_instances(frame) for frame in probability])
    complete = [n for n, frame in enumerate(labels) if (frame != IGNORE).all()]  # the others have cells nobody drew
    results = [_cells(probability, threshold) for threshold in CELL_THRESHOLDS]
    return {
        "seg": seg(labels, cells),
        "det": det(labels[complete], cells[complete]) if complete else None,
        "merged": merged_cells(labels, cells),
        "reference_cells": sum(len(np.unique(frame[frame > 0])) for frame in labels),
        "seg_watershed": seg(labels, cut),
        "merged_watershed": merged_cells(labels, cut),
        "settled_threshold": settled,
        "seg_settled": seg(labels, best),
        "merged_settled": merged_cells(labels, best),
        "jaccard": [jaccard_of_cells(*frame) for frame in zip(labels, best, strict=True)],
        "curves": {
            "threshold": list(CELL_THRESHOLDS),
            "seg": seven_digits(seg(labels, result) for result in results),
            "merged": [merged_cells(labels, result) for result in results],
        },
    }


def jaccard_of_cells(reference: np.ndarray, result: np.ndarray) -> list[float]:
    """Return the intersection over union of every reference cell of a frame with its match, to five digits; 0 if none.

    Their mean over all frames is SEG.
    """
    matches = match_cells(reference, result)
    return [float(f"{value:.5g}") for value in matches.jaccard] + [0.0] * len(matches.missed)


def _at(threshold: float, curve: np.ndarray) -> float:
    return float(curve[np.abs(THRESHOLDS - threshold).argmin()])


def _cells(probability: np.ndarray, threshold: float) -> np.ndarray:
    return np.stack([instances(frame, threshold=threshold) for frame in probability])
