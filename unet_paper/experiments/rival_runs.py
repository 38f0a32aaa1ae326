"""Train one rival within its budget, segment the held-out sections, write the record."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import nn

from unet_paper.baselines.calibration import Calibration
from unet_paper.baselines.cascade import fit_cascade
from unet_paper.baselines.fitting import Budget, fit
from unet_paper.baselines.sliding_window import DenseWindows
from unet_paper.baselines.window_samples import BalancedWindows
from unet_paper.datasets import Dataset
from unet_paper.experiments.measures import EM_MEASURES, rounded_curves
from unet_paper.experiments.plan import load_fold
from unet_paper.experiments.record import FORMAT, circumstances, data_hash, record_path, run_name
from unet_paper.experiments.rivals import Rival, tile_for
from unet_paper.experiments.runner import Place
from unet_paper.experiments.study_runs import packed
from unet_paper.files import write_json
from unet_paper.metrics.em import em_scores
from unet_paper.predict import cell_maps, standardised
from unet_paper.training import History
from unet_paper.training.checkpoint import previous
from unet_paper.training.config import TrainConfig
from unet_paper.training.tiles import prepare_tiles

FARTHEST = 20  # px from the nearest border between cell and membrane; farther pixels count here
CURVE_POINTS = 100
# Looks at the sections 12-17 without improvement that end a run, and looks in the whole cap. Five were planned; they
# ended the first run early, since at a constant rate a look differs from the next by more than a few minutes' gain.
PATIENCE, LOOKS = 10, 40
LOOK_THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))  # thresholds of a look
CHOOSING = range(12, 18)  # sections on which a run of the second kind ends


def run_rival(
    rival: Rival,
    fold: int,
    seed: int,
    place: Place,
    *,
    label: str = "",
    seconds: float,
    rate: float | None = None,
    patience: int = 0,
    report: Callable[[History], None] | None = None,
) -> dict:
    """Train and score one run, and write its record; an interrupted one goes on with the network it was at.

    But for the cascade, which begins again: its classifiers keep no checkpoint.

    Parameters
    ----------
    rival : Rival
        What to run.
    fold, seed : int
        Which sections are held out, and the seed of weights and draws.
    place : Place
        Where.
    label : str
        What the record is called; empty: as the rival.
    seconds : float
        Processor time in s for all of its training.
    rate : float, optional
        The learning rate, where one is to be chosen.
    patience : int
        Above 0: learn from all but the sections 12-17, and end when their pixel error has not fallen for so many looks;
        `seconds` is a cap then.
    report : callable, optional
        Called with the history of the network under training now and then.

    Returns
    -------
    dict
        The record, as it was written.
    """
    torch.set_num_threads(1)
    learn, held_out = load_fold("em", fold, root=place.root)
    learn, chosen_on = without_block(learn) if patience else (learn, None)
    name, config = label or rival.name, rival.config(seed, rate)
    stem = run_name(name, fold, seed)
    budget = Budget(seconds, patience=patience, look_every=seconds / LOOKS).part(1 / len(rival.networks))
    maps, courses = [], []
    checkpoints = [place.folder / f"{stem}-{n}-of-{seconds:g}-s.checkpoint" for n in range(len(rival.networks))]
    for number, settings in enumerate(rival.networks):
        own = replace(config, seed=seed + 100 * number)  # members of a committee see different windows
        net = rival.build(settings, own.seed)
        files = {"checkpoint": checkpoints[number], "report": report}
        courses.append(trained(rival.kind, net, learn, own, budget, chosen_on=chosen_on, **files))
        cell = cell_probability(rival.kind, net, held_out.images)
        maps.append(calibration_of(net, learn)(cell) if rival.kind == "windows" else cell)
    probability = np.mean(maps, axis=0)
    rule = "until the sections 12-17 stop improving, at most so long" if patience else "equal time"
    record = {
        **{"format": FORMAT, "experiment": name, "title": rival.title, "task": "em", "fold": fold, "seed": seed},
        **circumstances(torch.device("cpu")),
        "budget": {"seconds": seconds, "clock": "processor time of one thread", "rule": rule, "patience": patience},
        "trained_on": {"frames": list(learn.frames), "sha256": data_hash(learn), "source": learn.source},
        "tested_on": {"frames": list(held_out.frames), "sha256": data_hash(held_out), "source": held_out.source},
        "kind": rival.kind,
        "networks": [dict(settings) for settings in rival.networks],
        "config": asdict(config),
        "parameters": rival.parameters,
        "operations": rival.operations,
        "courses": courses,
        "scores": {"none": scores_of(held_out.labels, probability)},
        "error_by_distance": error_by_distance(held_out.labels, probability),
        "map": packed(probability[0]),
    }
    write_json(record_path(place.folder, name, fold, seed), record)
    for leftover in checkpoints:
        leftover.unlink(missing_ok=True)
        previous(leftover).unlink(missing_ok=True)
    return record


def trained(
    kind: str,
    net: nn.Module,
    learn: Dataset,
    config: TrainConfig,
    budget: Budget,
    *,
    chosen_on: Dataset | None = None,
    checkpoint: Path | None = None,
    report: Callable[[History], None] | None = None,
) -> dict:
    """Train one network; returns its course as plain numbers, with the processor seconds that it took.

    With patience, `chosen_on` is looked at now and then, and the weights of its smallest pixel error stay.
    """
    images = np.stack([standardised(image) for image in learn.images])
    if kind == "cascade":
        started = time.process_time()
        steps = fit_cascade(net, images, learn.labels > 0, config, budget)
        return {"steps": steps, "trained_seconds": round(time.process_time() - started, 1)}
    net.to(memory_format=torch.channels_last)
    if kind == "windows":
        windows = BalancedWindows.of(learn, images, window=net.window, batch_size=config.batch_size, seed=config.seed)
        draw = windows.batch
    else:
        draw = tiles_of(net, learn, config)
    ticks = []

    def timed(step: int):
        ticks.append(time.process_time())
        return draw(step)

    def look(net: nn.Module) -> tuple[float, float]:
        cell, truth = cell_probability(kind, net, chosen_on.images), chosen_on.labels > 0
        errors = [float(((cell > level) != truth).mean()) for level in LOOK_THRESHOLDS]
        return min(errors), LOOK_THRESHOLDS[int(np.argmin(errors))]

    looks = look if chosen_on is not None else None
    history = fit(net, timed, config, budget, look=looks, checkpoint=checkpoint, on_report=report)
    return _course(history, ticks)


def _course(history: History, ticks: list[float]) -> dict:
    """Return the steps, seconds and looks of a training, and its loss as a curve of at most `CURVE_POINTS`."""
    parts = np.array_split(np.array(history.loss), min(CURVE_POINTS, len(history.loss)))
    course = {"steps": len(history.loss), "loss": [round(float(part.mean()), 4) for part in parts]}
    if len(ticks) > 1:  # a median far above the fastest tenth: a slow host, and a run to be repeated
        tenth, median = np.percentile(np.diff(ticks), (10, 50))
        course["step_seconds"] = {"fastest tenth": float(f"{tenth:.3g}"), "median": float(f"{median:.3g}")}
    course["looks"] = [[round(look.seconds, 1), round(look.pixel_error, 5)] for look in history.validation]
    return course | {"trained_seconds": round(history.seconds, 1)}


def without_block(learn: Dataset) -> tuple[Dataset, Dataset]:
    """Return training sections without the block 12-17, and that block."""
    chosen = [n for n, frame in enumerate(learn.frames) if frame in CHOOSING]
    return learn.subset([n for n in range(len(learn)) if n not in chosen]), learn.subset(chosen)


def tiles_of(net: nn.Module, learn: Dataset, config: TrainConfig) -> Callable:
    """Return what draws the tile of a step: augmented as in section 3.1, every annotated pixel with weight 1."""
    weights = np.ones(learn.labels.shape, dtype=np.float32)
    tiles = prepare_tiles(learn, config, weights=weights, border=net.border, device=torch.device("cpu"))

    def draw(step: int):
        images, classes, _ = tiles.batch(step, range(config.batch_size))
        return images.contiguous(memory_format=torch.channels_last), classes

    return draw


def cell_probability(kind: str, net: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the probability of cell of whole sections, (N, H, W) -> (N, H, W) float32; each seen once, no average."""
    if kind == "cascade":
        return np.stack([net.probability(standardised(image)) for image in images])
    net = DenseWindows(net) if kind == "windows" else net
    return cell_maps(net, images, standardise=True, tile=tile_for(net), precision="bfloat16")


def calibration_of(net: nn.Module, learn: Dataset) -> Calibration:
    """Fit the authors' polynomial on the first and last section of the training; its time is not part of the budget.

    The net has learned from both, and may be surer there than on new sections.
    """
    ends = learn.subset([0, len(learn) - 1])
    return Calibration.fit(cell_probability("windows", net, ends.images), ends.labels > 0)


def scores_of(labels: np.ndarray, probability: np.ndarray) -> dict:
    """Return the challenge's measures of the sections, each at its best threshold, their curves, and each section's."""
    scores = em_scores(labels, probability)
    each = [em_scores(truth, cell) for truth, cell in zip(labels, probability, strict=True)]
    return {
        **{name: float(f"{getattr(scores, name):.6g}") for name in EM_MEASURES},
        "threshold": scores.best_threshold,
        "curves": rounded_curves(scores),
        "sections": {name: [float(f"{getattr(one, name):.6g}") for one in each] for name in EM_MEASURES},
    }


def error_by_distance(labels: np.ndarray, probability: np.ndarray) -> dict[str, list]:
    """Return how often pixels are wrong at each distance from where cell and membrane meet.

    Parameters
    ----------
    labels, probability : numpy.ndarray
        (N, H, W): above 0 is cell; probability of cell, thresholded at 0.5.

    Returns
    -------
    dict
        ``"distance"`` in px, 1 .. 20, the last for all beyond; ``"error"`` and ``"pixels"`` at each, for membrane and
        cell pixels together.
    """
    cell = labels > 0
    each = [distance_transform_edt(part) + distance_transform_edt(~part) for part in cell]
    distance = np.clip(np.floor(np.stack(each)).astype(int), 1, FARTHEST)
    wrong = (probability > 0.5) != cell
    pixels = np.bincount(distance.ravel(), minlength=FARTHEST + 1)[1:]
    errors = np.bincount(distance.ravel(), wrong.ravel(), FARTHEST + 1)[1:]
    share = [round(float(value), 5) for value in errors / np.maximum(pixels, 1)]
    return {"distance": list(range(1, FARTHEST + 1)), "error": share, "pixels": pixels.tolist()}
