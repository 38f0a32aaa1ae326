"""Train one rival within its budget, segment the held-out sections, write the record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
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
from unet_paper.experiments.plan import Experiment, load_fold
from unet_paper.experiments.record import FORMAT, circumstances, data_hash, read_records, record_path, run_name
from unet_paper.experiments.rivals import RECIPE, RIVALS, SECONDS, SEEDS, Rival, tile_for
from unet_paper.experiments.runner import Place
from unet_paper.experiments.study_runs import packed
from unet_paper.files import write_json
from unet_paper.metrics.em import em_scores
from unet_paper.predict import cell_maps, standardised
from unet_paper.training import History
from unet_paper.training.tiles import prepare_tiles

FARTHEST = 20  # px from the nearest border between cell and membrane; farther pixels count here
CURVE_POINTS = 100
PATIENCE, LOOKS = 5, 40  # looks at the sections 12-17 without improvement that end a run; looks in the whole cap
LEVELS = tuple(round(0.1 * step, 1) for step in range(1, 10))  # thresholds of a look
CHOOSING = range(12, 18)  # sections on which a run of the second kind ends
CALIBRATION_SIDE = 256  # px of a training section on which a sliding window is calibrated


@dataclass(frozen=True)
class RivalJob:
    """One run of a rival, as the runner takes it."""

    rival: str
    fold: int
    seed: int
    seconds: float = SECONDS
    patient: bool = False

    @property
    def label(self) -> str:
        """The rival, and by which rule it ends."""
        return f"{self.rival}-patient" if self.patient else self.rival

    @property
    def name(self) -> str:
        """What its files are called."""
        return run_name(self.label, self.fold, self.seed)

    @property
    def plan(self) -> Experiment:
        """The same as an experiment, for whoever publishes its record."""
        return Experiment(self.label, "em", RECIPE, folds=RIVALS[self.rival].folds)

    def run(self, place: Place, report: Callable[[History], None]) -> None:
        """Train, score and write the record."""
        how = {"seconds": self.seconds, "patient": self.patient, "report": report}
        run_rival(RIVALS[self.rival], self.fold, self.seed, place, **how)


def rival_jobs(
    names: Sequence[str],
    folder: Path | None,
    *,
    folds: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    seconds: float | None = None,
    patient: bool = False,
) -> list[RivalJob]:
    """Return the runs of rivals that have no record of that budget yet, neither in `folder` nor in `data/results`.

    Seed 0 of every rival comes before the others, so that a table has all its rows as soon as possible.

    Parameters
    ----------
    names : sequence of str
        Of `RIVALS`.
    folder : pathlib.Path or None
        Where runs are made.
    folds, seeds : sequence of int, optional
        Only these; by default `SEEDS`.
    seconds : float, optional
        The budget of each run, by default `SECONDS`.
    patient : bool
        End each run when the sections 12-17 stop improving, with `seconds` as a cap: seed 0 on fold 1 of all networks.
    """
    seeds = (0,) if patient and seeds is None else seeds
    folds = (1,) if patient and folds is None else folds
    jobs = [
        RivalJob(name, fold, seed, SECONDS if seconds is None else seconds, patient)
        for name in names
        if not (patient and RIVALS[name].kind == "cascade")  # its classifiers end one by one
        for fold, planned in SEEDS.items()
        for seed in (planned if seeds is None else seeds)
        if fold in RIVALS[name].folds and (folds is None or fold in folds)
    ]
    jobs = [job for job in jobs if not any(_recorded(job, where) for where in (folder, None))]
    return sorted(jobs, key=lambda job: (job.seed, job.fold))


def _recorded(job: RivalJob, folder: Path | None) -> bool:
    made = read_records(job.label, folder, seed=job.seed)
    return any((record["fold"], record["budget"]["seconds"]) == (job.fold, job.seconds) for record in made)


def finished(names: Sequence[str], folder: Path) -> list[RivalJob]:
    """Return the runs of rivals whose records lie in `folder`."""
    planned = [
        RivalJob(name, fold, seed, patient=patient)
        for name in names
        for fold, seeds in SEEDS.items()
        for seed in seeds
        for patient in (False, True)
    ]
    return [job for job in planned if record_path(folder, job.label, job.fold, job.seed).is_file()]


def run_rival(
    rival: Rival,
    fold: int,
    seed: int,
    place: Place,
    *,
    seconds: float,
    patient: bool = False,
    report: Callable[[History], None] | None = None,
) -> dict:
    """Train and score one run, and write its record; an interrupted one goes on with the network it was at.

    Parameters
    ----------
    rival : Rival
        What to run.
    fold, seed : int
        Which sections are held out, and the seed of weights and draws.
    place : Place
        Where.
    seconds : float
        Processor time in s for all of its training.
    patient : bool
        Learn from all but the sections 12-17 and end when their pixel error stops improving; `seconds` is a cap then.
    report : callable, optional
        Called with the history of the network under training now and then.

    Returns
    -------
    dict
        The record, as it was written.
    """
    torch.set_num_threads(1)
    learn, held_out = load_fold("em", fold, root=place.root)
    learn, chosen_on = without_block(learn) if patient else (learn, None)
    name = f"{rival.name}-patient" if patient else rival.name
    config = replace(RECIPE, seed=seed, tile=rival.tile, batch_size=rival.batch_size)
    share = 1 / len(rival.networks)
    maps, courses, clocks = [], [], []
    for number, settings in enumerate(rival.networks):
        net = rival.build(settings, seed + 100 * number)
        checkpoint = place.folder / f"{run_name(name, fold, seed)}-{number}.checkpoint"
        budget = Budget(seconds, patience=PATIENCE * patient, look_every=seconds / LOOKS).part(share)
        files = {"checkpoint": checkpoint, "report": report}
        course, learnt = trained(rival.kind, net, learn, config, budget, chosen_on=chosen_on, **files)
        started, cpu = time.perf_counter(), time.process_time()
        maps.append(cell_probability(rival.kind, net, held_out.images))
        clocks.append((time.perf_counter() - started, time.process_time() - cpu))
        if rival.kind == "windows":
            maps[-1] = calibration_of(net, learn)(maps[-1])
        courses.append(course | {"trained_seconds": learnt})
    probability = np.mean(maps, axis=0)
    wall, cpu = (sum(part) / len(held_out) for part in zip(*clocks, strict=True))
    rule = "until the sections 12-17 stop improving, at most so long" if patient else "equal time"
    record = {
        **{"format": FORMAT, "experiment": name, "title": rival.title, "task": "em", "fold": fold, "seed": seed},
        **circumstances(torch.device("cpu")),
        "budget": {"seconds": seconds, "clock": "processor time of one thread", "rule": rule},
        "trained_on": {"frames": list(learn.frames), "sha256": data_hash(learn), "source": learn.source},
        "tested_on": {"frames": list(held_out.frames), "sha256": data_hash(held_out), "source": held_out.source},
        "kind": rival.kind,
        "networks": [dict(settings) for settings in rival.networks],
        "config": asdict(config),
        "parameters": rival.parameters,
        "operations": rival.operations,
        "seconds": {"one section, elapsed": round(wall, 2), "one section, processor": round(cpu, 2)},
        "courses": courses,
        "scores": {"none": scores_of(held_out.labels, probability)},
        "error_by_distance": error_by_distance(held_out.labels, probability),
        "map": packed(probability[0]),
    }
    write_json(record_path(place.folder, name, fold, seed), record)
    for leftover in place.folder.glob(f"{run_name(name, fold, seed)}-*.checkpoint*"):
        leftover.unlink()
    return record


def trained(
    kind: str,
    net: nn.Module,
    learn: Dataset,
    config,
    budget: Budget,
    *,
    chosen_on: Dataset | None = None,
    checkpoint: Path | None = None,
    report: Callable[[History], None] | None = None,
) -> tuple[dict, float]:
    """Train one network; returns its course as plain numbers, and the processor seconds it took.

    With patience, `chosen_on` is looked at now and then, and the weights of its smallest pixel error stay.
    """
    images = np.stack([standardised(image) for image in learn.images])
    if kind == "cascade":
        started = time.process_time()
        steps = fit_cascade(net, images, learn.labels > 0, replace(config, learning_rate=0.01), budget)
        return {"steps": steps}, round(time.process_time() - started, 1)
    if kind == "windows":
        windows = BalancedWindows.of(learn, images, window=net.window, batch_size=config.batch_size, seed=config.seed)
        draw = windows.batch
    else:
        draw = tiles_of(net, learn, config)
        net.to(memory_format=torch.channels_last)

    def look(net: nn.Module) -> tuple[float, float]:
        cell, truth = cell_probability(kind, net, chosen_on.images), chosen_on.labels > 0
        errors = [float(((cell > level) != truth).mean()) for level in LEVELS]
        return min(errors), LEVELS[int(np.argmin(errors))]

    looks = look if chosen_on is not None else None
    history = fit(net, draw, config, budget, look=looks, checkpoint=checkpoint, on_report=report)
    parts = np.array_split(np.array(history.loss), min(CURVE_POINTS, len(history.loss)))
    course = {"steps": len(history.loss), "loss": [round(float(part.mean()), 4) for part in parts]}
    course["looks"] = [[round(look.seconds, 1), round(look.pixel_error, 5)] for look in history.validation]
    return course, round(history.seconds, 1)


def without_block(learn: Dataset) -> tuple[Dataset, Dataset]:
    """Return training sections without the block 12-17, and that block."""
    chosen = [n for n, frame in enumerate(learn.frames) if frame in CHOOSING]
    return learn.subset([n for n in range(len(learn)) if n not in chosen]), learn.subset(chosen)


def tiles_of(net: nn.Module, learn: Dataset, config) -> Callable:
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
    """Fit the authors' polynomial on the middle of two training sections; its time is not part of the budget."""
    starts = [max(side - CALIBRATION_SIDE, 0) // 2 for side in learn.images.shape[1:]]
    part = np.s_[[0, -1], *(slice(start, start + CALIBRATION_SIDE) for start in starts)]
    return Calibration.fit(cell_probability("windows", net, learn.images[part]), learn.labels[part] > 0)


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
