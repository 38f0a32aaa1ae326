"""From a finished run to the book: its record to `data/results`, a network that is published to `data/models`."""

from __future__ import annotations

import shutil
from pathlib import Path

from unet_paper.atomic import replacing
from unet_paper.datasets.folders import repository
from unet_paper.experiments.plan import Experiment
from unet_paper.experiments.record import record_path, results_folder
from unet_paper.networks.library import write_card


def place_of_records() -> Path:
    """Return `data/results` of the repository.

    Raises
    ------
    FileNotFoundError
        If the package is installed without it.
    """
    if repository() is None:
        raise FileNotFoundError("records are published into a clone of the repository; run the command in one")
    return results_folder()


def publish(experiment: Experiment, fold: int, *, seed: int = 0, runs: Path, results: Path | None = None) -> list[Path]:
    """Copy what `run_fold` left in `runs` to where the chapters read it; the network of the first fold with its card.

    Parameters
    ----------
    experiment : Experiment
        Its `published` says under which name the network of its first fold is published, if it is.
    fold : int
        Which fold; it must have been run.
    seed : int
        Of the run; only the network of seed 0 is published.
    runs : pathlib.Path
        Where it was run.
    results : pathlib.Path, optional
        Where records go, by default `data/results`; networks go to `models` beside it.

    Returns
    -------
    list of pathlib.Path
        What was written.

    Raises
    ------
    FileNotFoundError
        If the fold was not run, or the package is installed without the repository that holds `data/results`.
    """
    results = place_of_records() if results is None else results
    source = record_path(runs, experiment.name, fold, seed)
    if not source.is_file():
        raise FileNotFoundError(f"{source} does not exist; run the fold before you publish it")
    results.mkdir(parents=True, exist_ok=True)
    written = []
    if experiment.published and (fold, seed) == (experiment.folds[0], 0):
        network = results.parent / "models" / f"{experiment.published}.safetensors"
        network.parent.mkdir(exist_ok=True)
        written += [_copied(source.with_suffix(".safetensors"), network), write_card(network)]
    return [_copied(source, results / source.name), *written]  # last: a record stands for a network that is there


def _copied(source: Path, target: Path) -> Path:
    with replacing(target) as unfinished:
        shutil.copyfile(source, unfinished)
    return target
