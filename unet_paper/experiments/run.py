"""Run one fold of an experiment: train, measure the held-out images, write the record and the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from unet_paper.datasets import Dataset
from unet_paper.experiments.measures import measure
from unet_paper.experiments.plan import Experiment, load_fold
from unet_paper.experiments.record import FORMAT, circumstances, data_hash, record_path, run_name
from unet_paper.files import sha256_of, write_json
from unet_paper.model import UNet
from unet_paper.networks.card import EARLIER_LOOKS
from unet_paper.networks.library import save_network
from unet_paper.training import History, train

CURVE_POINTS = 200  # a record holds the loss as this many means over equal stretches of steps


def run_fold(
    experiment: Experiment,
    fold: int,
    *,
    results: Path,
    networks: Path,
    device: torch.device,
    root: Path | None = None,
    progress: bool = True,
    seed: int = 0,
    on_report: Callable[[History], None] | None = None,
) -> dict:
    """Train on one fold, measure what it holds out, and write both down.

    An interrupted run continues from its checkpoint in `networks`. Held-out images are looked at on the way, for the
    curve in the record; no step is picked by them, and the measures are taken once, at the end. Whether they had a
    part in choosing the settings, a run cannot know: the record repeats what `EARLIER_LOOKS` says of it.

    Parameters
    ----------
    experiment : Experiment
        What to run.
    fold : int
        One of `experiment.folds`.
    results, networks : pathlib.Path
        Existing folders for the record, and for checkpoint and network.
    device : torch.device
        Where to train and to predict.
    root : pathlib.Path, optional
        Where the data lies.
    progress : bool
        Show bars.
    seed : int
        Of weights, tiles and dropout: `experiment.config.seed`, or another one to see how much luck there is.
    on_report : callable, optional
        As in `unet_paper.train`.

    Returns
    -------
    dict
        The record, as it was written.
    """
    learn, held_out = load_fold(experiment.task, fold, annotation=experiment.annotation, root=root)
    config, name = replace(experiment.config, seed=seed), run_name(experiment.name, fold, seed)
    net = UNet(base_channels=experiment.base_channels)
    net.reset_parameters(torch.Generator().manual_seed(seed))
    history = train(
        net,
        learn.rescaled(experiment.scale),
        config,
        validation=held_out.rescaled(experiment.scale),
        checkpoint=networks / f"{name}.checkpoint",
        resume=True,
        progress=progress,
        device=device,
        on_report=on_report,
    )
    net.half().float()  # as `save_network` rounds it: the scores are those of the file
    scores, prediction = measure(experiment, net, learn, held_out, progress=progress)
    record = {
        "format": FORMAT,
        "experiment": experiment.name,
        "task": experiment.task,
        "fold": fold,
        **circumstances(device),
        "trained_on": described(learn),
        "tested_on": described(held_out),
        "scale": experiment.scale,
        "base_channels": experiment.base_channels,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "seed": seed,
        "config": asdict(config),
        "looked_at": EARLIER_LOOKS.get(experiment.name),
        "history": summary(history),
        "seconds": {"training": history.seconds, **prediction},
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        "scored": None if experiment.task == "em" else list(experiment.scored),
        "scores": scores,
    }
    record["network"] = save_with_card(networks / f"{name}.safetensors", net, record)
    write_json(record_path(results, experiment.name, fold, seed), record)
    return record


def described(dataset: Dataset) -> dict:
    """Return what a record says about its data."""
    return {
        "data": dataset.name,
        "frames": list(dataset.frames),
        "source": dataset.source,
        "sha256": data_hash(dataset),
    }


def summary(history: History) -> dict:
    """Return the course of a run: mean loss over `CURVE_POINTS` stretches, every validation, seconds."""
    stretches = np.array_split(np.array(history.loss), min(CURVE_POINTS, len(history.loss)))
    ends = np.cumsum([len(stretch) for stretch in stretches])
    return {
        "step": ends.tolist(),
        "loss": [float(stretch.mean()) for stretch in stretches],
        "validation": [entry._asdict() for entry in history.validation],
        "seconds": history.seconds,
    }


def save_with_card(path: Path, net: UNet, record: dict) -> dict:
    """Write the network with a card that says all its user must know; returns its name and checksum."""
    save_network(path, net, card=card(record))
    return {"file": path.name, "sha256": sha256_of(path)}


def card(record: dict) -> dict:
    """Return the model card of a record's network, as plain data."""
    is_em = record["task"] == "em"
    return {
        "name": record["experiment"],
        "task": record["task"],
        "scale": record["scale"],
        "data": f"{record['trained_on']['data']}, frames {', '.join(map(str, record['trained_on']['frames']))}",
        "held_out": f"{record['tested_on']['data']}, frames {', '.join(map(str, record['tested_on']['frames']))}",
        "licence": (
            "trained on images that are free for generating or testing non-commercial segmentation software"
            if is_em
            else "trained on images of the Cell Tracking Challenge, free for research use; non-commercial"
        ),
        "command": "python -m unet_paper reproduce {experiment} --fold {fold} --seed {seed}".format(**record),
        "full_size_command": f"python -m unet_paper reproduce {record['task']}-full --device cuda",
        "seed": record["config"]["seed"],
        "steps": record["config"]["steps"],
        "device": record["device"],
        "date": record["date"],
        "looked_at": record["looked_at"],
        "scores": record["scores"],
    }
