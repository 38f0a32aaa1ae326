"""Do the runs of a study: train, score, add one row to the study's file."""

from __future__ import annotations

import base64
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unet_paper.analysis.initialisation import signals
from unet_paper.analysis.operations import step_flop
from unet_paper.cells import instances
from unet_paper.datasets import Dataset
from unet_paper.datasets.folders import repository
from unet_paper.experiments.effects import SYMMETRIES, second_block_missing
from unet_paper.experiments.plan import Experiment
from unet_paper.experiments.recipe import BASE, Recipe
from unet_paper.experiments.record import circumstances, data_hash, run_name
from unet_paper.experiments.runner import Place
from unet_paper.experiments.studies import CHANGES, STUDIES
from unet_paper.experiments.study_rows import (
    VERSIONS,
    Rows,
    add_rows,
    read_study,
    rows_path,
    tuned_rates,
)
from unet_paper.metrics.cells import match_cells, merged_cells, seg
from unet_paper.metrics.em import EMScores, em_scores
from unet_paper.model import UNet
from unet_paper.overlap_tile import mirror_crop
from unet_paper.predict import cell_maps, standardised
from unet_paper.training import History, train
from unet_paper.training.loop import DivergedError

# How maps are averaged beside "block", which is the image alone: those of the base in every way.
STUDY_AVERAGES = {
    "2 rotations": {"rotations": 2},
    "4 rotations": {"rotations": 4},
    "7 rotations": {"rotations": 7},
    SYMMETRIES: {"rotations": 4, "flips": True},
}
EM_ERRORS = ("warping_error", "rand_error", "pixel_error", "v_rand_error")
# Without a border weight SEG still rises at 0.9: the gaps are there, with probabilities far above one half.
SEG_THRESHOLDS = (*(round(0.1 * step, 1) for step in range(1, 10)), 0.95, 0.98, 0.99, 0.995, 0.999)
CROP = 160  # px of the first held-out image whose map a row keeps, with 16 grey levels
GREY_LEVELS = 16


@dataclass(frozen=True)
class StudyJob:
    """One run of a study, as the runner takes it."""

    study: str
    change: str
    fold: int
    seed: int
    rates: Mapping[str, float] | None = None
    seconds: float | None = None  # it ends by its steps

    @property
    def name(self) -> str:
        """What its files are called."""
        change = self.change.replace(", ", "-").replace(" ", "_").replace("/", "|")
        return run_name(f"{self.study}-{change}", self.fold, self.seed)

    @property
    def recipe(self) -> Recipe:
        """What is run."""
        return CHANGES[self.change].recipe(self.rates)

    @property
    def plan(self) -> Experiment:
        """The same as an experiment: what the runner needs to tell its cost."""
        recipe = self.recipe
        return Experiment(
            self.name, recipe.task, recipe.config, recipe.base_channels, scale=recipe.scale, folds=(self.fold,)
        )

    def make_network(self) -> UNet:
        """Return the network before its first step."""
        return self.recipe.make_network(self.seed)

    def run(self, place: Place, report: Callable[[History], None]) -> None:
        """Train, score and add the row; then the checkpoint is no longer needed. Nothing if the row came meanwhile."""
        found = _found(self.study, place.folder, rates=self.rates)
        if any(row["seed"] == self.seed for row in found.of(self.change, self.fold)):
            return
        row = run_row(self, place, report=report)
        add_rows(rows_path(self.study, place.folder), [row])
        for checkpoint in place.folder.glob(f"{self.name}.checkpoint*"):
            checkpoint.unlink()


def study_jobs(
    names: Sequence[str], folder: Path, *, folds: Sequence[int] | None = None, seeds: Sequence[int] | None = None
) -> list[StudyJob]:
    """Return the runs of studies that have no row yet, neither in `folder` nor in `data/results`; important ones first.

    Runs whose learning rate has not been chosen yet are left out; they come when the rows of `study-rates` are there.

    Parameters
    ----------
    names : sequence of str
        Of `STUDIES`.
    folder : pathlib.Path
        Where runs are made.
    folds, seeds : sequence of int, optional
        Only these; by default all of the plan.
    """
    rates = tuned_rates(_found("study-rates", folder))
    found = {name: _found(name, folder, rates=rates) for name in STUDIES}
    runs = [run for name in names for run in found[name].missing]
    if "study-largest" in names:
        runs += second_block_missing(found)
    runs = [run for run in runs if (folds is None or run.fold in folds) and (seeds is None or run.seed in seeds)]
    possible = [run for run in runs if CHANGES[run.change].recipe(rates) is not None]
    return [StudyJob(*run, rates) for run in sorted(possible, key=lambda run: CHANGES[run.change].first)]


def publish_rows(
    name: str,
    folder: Path,
    results: Path | None = None,
    *,
    folds: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    say: Callable[[str], None] = print,
) -> Path | None:
    """Add the usable rows of a study that were made in `folder` to those in `data/results`; None if there is none.

    Parameters
    ----------
    name : str
        Of `STUDIES`.
    folder : pathlib.Path
        Where runs were made.
    results : pathlib.Path, optional
        Where rows go, by default `data/results`.
    folds, seeds : sequence of int, optional
        Only these.
    say : callable
        Gets one line for each row that is left out, which and why: it would take the place of a good one.

    Raises
    ------
    FileNotFoundError
        If the package is installed without the repository that holds `data/results`.
    """
    if results is None and repository() is None:
        raise FileNotFoundError("rows are published into a clone of the repository; run the command in one")
    rates = tuned_rates(_found("study-rates", folder, results=results))
    made, target = read_study(name, folder, rates=rates), rows_path(name, results)
    for line in made.refused:
        say(line)
    rows = [row for row in made.usable if folds is None or row["fold"] in folds]
    rows = [row for row in rows if seeds is None or row["seed"] in seeds]
    if not rows:
        return None
    add_rows(target, rows)
    return target


def run_row(job: StudyJob, place: Place, *, report: Callable[[History], None] | None = None) -> dict:
    """Train and score one run; returns its row."""
    recipe, device = job.recipe, torch.device(place.device)
    learn, tests = recipe.load(job.fold, job.seed, root=place.root)
    net = job.make_network()
    row = {
        **{"change": job.change, "fold": job.fold, "seed": job.seed},
        **{"version": VERSIONS[recipe.task], "base": BASE.fingerprint, "recipe": recipe.fingerprint},
        **_circumstances(device),
        "settings": {**CHANGES[job.change].settings, "learning_rate": recipe.config.learning_rate},
        "trained_on": {"frames": list(learn.frames), "sha256": data_hash(learn)},
        "tested_on": {name: {"frames": list(test.frames), "sha256": data_hash(test)} for name, test in tests.items()},
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "step_flop": step_flop(net, recipe.config.tile, batch_size=recipe.config.batch_size),
        "signals": {"start": per_map_signals(net, learn, recipe)},
    }
    averages = STUDY_AVERAGES if job.change == "base" else {SYMMETRIES: STUDY_AVERAGES[SYMMETRIES]}
    try:
        history = train_recipe(net, learn.rescaled(recipe.scale), job, place, report=report)
    except DivergedError as error:  # what is left of the network answers nothing, so a map of nothing is scored
        blank = {name: _measure(recipe)(test, np.zeros_like(test.images)) for name, test in tests.items()}
        return {**row, "diverged": str(error), "scores": blank | dict.fromkeys(averages, blank["block"])}
    row["signals"]["end"] = per_map_signals(net, learn, recipe)
    started = time.perf_counter()
    scores, maps = score(net, recipe, tests, averages=averages)
    row |= {"loss": round(float(np.mean(history.loss[-100:])), 5), "scores": scores}
    row["seconds"] = {"training": round(history.seconds), "scoring": round(time.perf_counter() - started)}
    return row | ({"map": packed(maps[0])} if job.seed == 0 else {})


def train_recipe(net: UNet, learn: Dataset, job: StudyJob, place: Place, *, report=None) -> History:
    """Train a network as its recipe says, from the checkpoint of an interrupted run if there is one."""
    config = job.recipe.changed({"seed": job.seed}).config
    how = {"resume": True, "progress": False, "device": place.device, "on_report": report}
    return train(net, learn, config, checkpoint=place.folder / f"{job.name}.checkpoint", **how)


def score(
    net: UNet, recipe: Recipe, tests: Mapping[str, Dataset], *, averages: Mapping[str, Mapping] | None = None
) -> tuple[dict, np.ndarray]:
    """Return the scores on every test set, and of every average on the block; and the block's maps (N, H, W)."""
    measure = _measure(recipe)
    tile = net.legal_size_for(512)  # one section in one piece, for the padded network too
    how = {"scale": recipe.scale, "standardise": True, "precision": recipe.config.precision, "tile": tile}
    maps = {name: cell_maps(net, test.images, **how) for name, test in tests.items()}
    scores = {name: measure(tests[name], of) for name, of in maps.items()}
    for name, average in (averages or {}).items():
        scores[name] = measure(tests["block"], cell_maps(net, tests["block"].images, **how, **average))
    return scores, maps["block"]


def _measure(recipe: Recipe) -> Callable[[Dataset, np.ndarray], dict]:
    return em_row if recipe.task == "em" else cell_row


def em_row(test: Dataset, maps: np.ndarray) -> dict:
    """Return the challenge's measures of all sections, and curves over thresholds: of all, and of each section.

    The curves of a section are errors, so that less is better in each: `v_rand_error` is 1 - V_Rand.
    """
    whole = em_scores(test.labels, maps)
    each = [em_scores(labels, cell) for labels, cell in zip(test.labels, maps, strict=True)]
    names = ("warping_error", "rand_error", "pixel_error", "v_rand", "v_info")
    return {
        **{name: _digits(getattr(whole, name), 6) for name in names},
        "threshold": {name: round(whole.best_threshold[name], 1) for name in names},
        "counts": {kind: np.asarray(whole.warping_counts[kind]).astype(int).tolist() for kind in ("merge", "split")},
        "sections": {name: [_curve(_errors(scores, name)) for scores in each] for name in EM_ERRORS},
    }


def cell_row(test: Dataset, maps: np.ndarray) -> dict:
    """Return SEG at its best threshold, and at each one SEG, merged and missed cells: of all frames, and of each."""
    cells = {n: np.stack([instances(cell, threshold=t) for cell in maps]) for n, t in enumerate(SEG_THRESHOLDS)}
    whole = [seg(test.labels, found) for found in cells.values()]
    best = int(np.argmax(whole))
    each = [[1 - seg(labels, found[n]) for found in cells.values()] for n, labels in enumerate(test.labels)]
    missed = [
        sum(len(match_cells(*pair).missed) for pair in zip(test.labels, found, strict=True)) for found in cells.values()
    ]
    return {
        "seg": _digits(whole[best], 6),
        "threshold": {"seg": SEG_THRESHOLDS[best]},
        "counts": {"merge": [merged_cells(test.labels, found) for found in cells.values()], "missed": missed},
        "sections": {"seg_error": [_curve(curve) for curve in each]},
        "weights": [len(np.unique(labels[labels > 0])) for labels in test.labels],  # cells of each frame
    }


def per_map_signals(net: UNet, learn: Dataset, recipe: Recipe) -> list[list[float]]:
    """Return for each convolution the 10th, 50th and 90th percentile, over its maps, of their standard deviation.

    Four standardised images are sent through without dropout, cut to a tile that fits into half a frame.
    """
    side = net.legal_size_for(60)
    images = learn.subset(slice(0, 4)).rescaled(recipe.scale).images
    whole = [standardised(images[n % len(images)])[None] for n in range(4)]
    tiles = np.concatenate([mirror_crop(image, 0, 0, (side, side)) for image in whole])
    training = net.training
    found = signals(net.eval(), torch.from_numpy(tiles)[:, None].to(next(net.parameters()).device))
    net.train(training)
    return [[_digits(value, 3) for value in np.percentile(signal.per_map, (10, 50, 90))] for signal in found]


def packed(cell: np.ndarray) -> dict:
    """Return the middle of a map (H, W) as text: few grey levels, compressed; `unpacked` reads it."""
    top, left = ((side - CROP) // 2 if side > CROP else 0 for side in cell.shape)
    crop = cell[top : top + CROP, left : left + CROP]
    levels = np.round(crop * (GREY_LEVELS - 1)).astype(np.uint8)
    text = base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode()
    return {"top": top, "left": left, "shape": list(crop.shape), "levels": text}


def unpacked(content: Mapping) -> np.ndarray:
    """Return the map (h, w) float32 in [0, 1] that `packed` kept."""
    levels = np.frombuffer(zlib.decompress(base64.b64decode(content["levels"])), dtype=np.uint8)
    return levels.reshape(content["shape"]).astype(np.float32) / (GREY_LEVELS - 1)


def _found(name: str, folder: Path, *, rates: dict[str, float] | None = None, results: Path | None = None) -> Rows:
    """Return the rows of a study in `folder` and in `results` (`data/results`); missing is what neither has.

    `rates` are those that the rows of `study-rates` in both folders choose: either folder may lack some of these rows.
    """
    made, published = read_study(name, folder, rates=rates), read_study(name, results, rates=rates)
    missing = [run for run in published.missing if run in made.missing]
    return Rows(name, [*published.usable, *made.usable], missing, [*published.refused, *made.refused])


def _circumstances(device: torch.device) -> dict:
    known = circumstances(device)
    return {name: known[name] for name in ("date", "commit", "device", "matrix_units", "threads")} | {
        "torch": known["versions"]["torch"]
    }


def _errors(scores: EMScores, name: str) -> np.ndarray:
    return 1 - scores.curves["v_rand"] if name == "v_rand_error" else scores.curves[name]


def _curve(values: Sequence[float]) -> list[float]:
    return [_digits(value, 4) for value in np.nan_to_num(np.asarray(values, dtype=float), nan=1.0)]


def _digits(value: float, digits: int) -> float:
    return float(f"{float(value):.{digits}g}")
