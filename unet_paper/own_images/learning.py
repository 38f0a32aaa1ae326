"""From a folder of images and masks to a network: plan, train, judge on held-out images, write everything down."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch

from unet_paper.datasets.dataset import Dataset
from unet_paper.model import UNet
from unet_paper.networks.image_settings import ImageSettings
from unet_paper.networks.library import read_network, save_network, write_card
from unet_paper.options import check_scalar
from unet_paper.own_images.applying import Outputs, segment_files
from unet_paper.own_images.folder import ResultFolder
from unet_paper.own_images.outlines import as_png, overlay
from unet_paper.own_images.pairs import Annotation, Example, find_pairs, read_examples
from unet_paper.own_images.plan import Plan, in_words, make_plan, split, training_set, with_steps
from unet_paper.own_images.report import report_page
from unet_paper.own_images.scoring import CellScores, as_csv, as_table, score_cells
from unet_paper.own_images.segmenting import Method
from unet_paper.training.config import TrainConfig
from unet_paper.training.history import History
from unet_paper.training.loop import train

NOTE = "train.json"
NETWORK = "network.safetensors"
TIMED_STEPS = 6


@dataclass(frozen=True)
class Trained:
    """What `train_on_folder` made.

    Attributes
    ----------
    net : UNet
        In evaluation mode, with what it expects of images.
    plan : Plan
        What was decided.
    history : History or None
        The course of the training; None for a plan alone.
    scores : list of CellScores
        Of the held-out images, the last of all together.
    folder : pathlib.Path or None
        Where everything lies; None for a plan alone.
    """

    net: UNet
    plan: Plan
    history: History | None
    scores: list[CellScores]
    folder: Path | None


def train_on_folder(
    images,
    masks,
    output: str | Path | None,
    *,
    start: str | Path | None = None,
    scale: float | None = None,
    normalise: str | None = None,
    channel: int | None = None,
    unannotated: int | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str | None = None,
    masks_of_all: bool = True,
    progress: bool = True,
    say=print,
) -> Trained:
    """Train a network on own images: plan, training, scores on held-out images, masks, card and report.

    Parameters
    ----------
    images, masks : path or sequence of path
        Folders, files or patterns, paired by name (`unet_paper.own_images.pairs.find_pairs`); may be the same folder.
    output : path or None
        The folder to make, or that of an interrupted run with the same settings, which goes on. None: only the plan.
    start : str or path, optional
        A network to start from, as in `unet_paper.load_network`; its licence note passes on to the new card.
    scale : float, optional
        Factor by which images are resized for the network; by default it follows from the size of the cells.
    normalise : {"percentile", "range", "none"}, optional
        How grey values come into [0, 1]; by default by percentiles.
    channel : int, optional
        Which channel of the images, from 0.
    unannotated : int, optional
        Value of pixels in the masks that nobody annotated; see `unet_paper.own_images.pairs.read_examples`.
    minutes : float, optional
        Time for training, above 0; the number of steps follows from it and from the speed of this machine, 200 at
        least. By default six minutes, and at most 1,500 steps, or 500 from a network to start from.
    steps : int, optional
        Number of steps, whatever time they take.
    seed : int
        Of weights, tiles and deformations.
    device : str, optional
        By default a GPU (CUDA, Apple's) where there is one, else the CPU.
    masks_of_all : bool
        Write the masks of all images, annotated or not, with the new network.
    progress : bool
        Show bars.
    say : callable
        Gets the plan and the scores as text.

    Returns
    -------
    Trained
        Network, plan, course and scores.

    Raises
    ------
    ValueError, OSError
        What is wrong with images, masks, settings or the folder; the message says what to do.
    """
    if minutes is not None and not 0 < check_scalar(minutes, float, name="minutes") < np.inf:
        raise ValueError(f"minutes is {minutes}; needs a finite number above 0")
    found = find_pairs(images, masks)
    examples, annotation = read_examples(found.pairs, channel=channel, unannotated=unannotated)
    if found.without_mask:
        say(
            f"{len(found.without_mask)} images have no mask and are not trained on: {', '.join(found.without_mask[:8])}"
        )
    device = device or best_device()
    net, plan, licence = _planned(examples, start, scale=scale, normalise=normalise, seed=seed)
    folder = None if output is None else ResultFolder(output, note=NOTE)
    asked = {"data": fingerprint(examples), "start": None if start is None else str(start), "minutes": minutes}
    asked |= {"steps": steps, "seed": seed, "scale": scale, "normalise": normalise, "channel": channel}
    with nullcontext() if folder is None else folder.held():
        if folder is not None and folder.begin(asked, force=None) and folder.has("plan.json"):
            plan = _earlier(plan, folder.read_json("plan.json"))
            say(f"{folder.path} holds a run with these settings: going on with it")
        else:
            learn_set = training_set(split(examples)[0], plan.images, name="own images")
            speed, precision = measure_step(net, learn_set, plan.config, device=device)
            plan = with_steps(plan, seconds_per_step=speed, precision=precision, minutes=minutes, steps=steps)
        words = in_words(plan, examples, annotation)
        say(f"Plan\n{words}")
        if folder is None:
            return Trained(net, plan, None, [], None)
        folder.put_json("plan.json", plan.as_dict())
        history = _learned(net, plan, examples, folder, device=device, progress=progress)
        scores, pictures = judge(net, split(examples)[1], folder, device=device)
        card = card_of(plan, scores, annotation, history, licence)
        page = report_page(plan=words, history=history, scores=scores, pictures=pictures, licence=licence)
        _write_results(folder, net, card, scores, page)
        say(f"Held-out images\n{as_table(scores)}")
        if masks_of_all:
            _segment_all(images, net, folder, device=device, channel=channel, progress=progress, say=say)
        say(f"{folder.path / NETWORK}; report.html beside it shows how it went")
        return Trained(net, plan, history, scores, folder.path)


def _write_results(folder: ResultFolder, net: UNet, card: dict, scores: Sequence, page: str) -> None:
    """Write the network with its card, the scores of the held-out images and the report."""
    path = folder.path / NETWORK
    save_network(path, net, card=card)
    write_card(path)
    folder.put_text("scores.csv", as_csv(scores))
    folder.put_text("report.html", page)


def best_device() -> str:
    """Return the fastest device that PyTorch finds here: ``"cuda"``, ``"mps"`` (Apple) or ``"cpu"``."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def measure_step(net: UNet, dataset: Dataset, config: TrainConfig, *, device: str) -> tuple[float, str]:
    """Return the seconds of one training step on this machine, and the faster precision; `net` is not changed."""
    both = np.minimum((dataset.labels > 0).sum(axis=(1, 2)), (dataset.labels == 0).sum(axis=(1, 2)))
    few = dataset.subset(np.argsort(-both, kind="stable")[:2])  # those with most cells and background: it needs both
    seconds = {}
    for precision in ("float32", "bfloat16"):
        twin = UNet(**net.settings)
        timed = replace(config, steps=TIMED_STEPS, warmup_steps=0, precision=precision, checkpoint_every=0)
        seconds[precision] = train(twin, few, timed, progress=False, device=device).seconds / TIMED_STEPS
    precision = min(seconds, key=seconds.get)
    return seconds[precision], precision


def judge(
    net: UNet, held_out: Sequence[Example], folder: ResultFolder, *, device: str
) -> tuple[list[CellScores], list[tuple[str, bytes]]]:
    """Score the held-out images and draw them: cells in colour, the annotation's edges in white."""
    found = [
        Method(device=device).segment_one(example.pixels, net, net.images, full=example.full).cells
        for example in held_out
    ]
    scores = score_cells([e.labels for e in held_out], found, names=[e.name for e in held_out])
    pictures = []
    for example, cells in zip(held_out, found, strict=True):
        picture = as_png(overlay(example.pixels, cells, reference=example.labels))
        folder.put_bytes(f"held_out/{example.name}.png", picture)
        folder.put_image(f"held_out/{example.name}_mask.tif", cells)
        pictures.append((example.name, picture))
    return scores, pictures


def card_of(plan: Plan, scores: Sequence[CellScores], annotation: Annotation, history: History, licence: str) -> dict:
    """Return the card of a network that was trained on own images."""
    total = scores[-1]._asdict()
    return {
        "name": "own images",
        "task": f"cells of your own images (class 1) and background (class 0); masks: {annotation.words}",
        "scale": plan.images.scale,
        "images": plan.images.as_dict(),
        "data": f"your own images: {', '.join(plan.learn)}",
        "held_out": f"your own images: {', '.join(plan.held_out)}",
        "licence": licence,
        "command": "unet-paper train IMAGES MASKS OUTPUT" + (f" --from {plan.start}" if plan.start else ""),
        "seed": plan.config.seed,
        "steps": plan.config.steps,
        "device": history.device,
        "date": date.today().isoformat(),
        "scores": {"held out": {name: total[name] for name in ("seg", "det", "f1", "cells", "found", "merged")}},
    }


def fingerprint(examples: Sequence[Example]) -> str:
    """Return what tells whether images and masks are still the same: a sha256 over all of them."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{example.name} {example.pixels.dtype} {example.pixels.shape}".encode())
        digest.update(np.ascontiguousarray(example.pixels))
        digest.update(np.ascontiguousarray(example.labels))
    return digest.hexdigest()


def _earlier(plan: Plan, stored: dict) -> Plan:
    """Return the plan with the steps and the precision that an interrupted run had."""
    return replace(plan, config=TrainConfig(**stored["config"]), seconds_per_step=stored["seconds_per_step"])


def _learned(
    net: UNet, plan: Plan, examples: Sequence[Example], folder: ResultFolder, *, device: str, progress: bool
) -> History:
    """Train, or go on; the network is left as its file will hold it, so that scores are those of the file."""
    learn, held_out = (training_set(part, plan.images, name="own images") for part in split(examples))
    history = train(
        net,
        learn,
        plan.config,
        validation=held_out,
        checkpoint=folder.path / "training.checkpoint",
        resume=True,
        progress=progress,
        device=device,
    )
    net.to("cpu").half().float().eval()
    net.images = plan.images
    return history


def _segment_all(
    images, net: UNet, folder: ResultFolder, *, device: str, channel: int | None, progress: bool, say
) -> None:
    written = segment_files(
        images,
        folder.path / "masks",
        net,
        method=Method(device=device),
        outputs=Outputs(overlay=True),
        channel=channel,
        force=True,  # the folder is this run's own; images may have come since it was made
        progress=progress,
        say=lambda _: None,
    )
    say(f"{written.images} masks, {written.cells} cells: {written.folder}")


def _planned(
    examples: Sequence[Example], start: str | Path | None, *, scale: float | None, normalise: str | None, seed: int
) -> tuple[UNet, Plan, str]:
    """Return the network to train, the plan, and the note on the licence that its card will bear."""
    if start is None:
        plan = make_plan(examples, scale=scale, normalise=normalise, seed=seed)
        net = UNet(base_channels=plan.base_channels)
        net.reset_parameters(torch.Generator().manual_seed(seed))
        return net, plan, "trained on your own images alone; their terms are yours to state"
    trained = read_network(start)
    known = getattr(trained.net, "images", None) or ImageSettings()
    begin = (str(start), known, trained.net.base_channels)
    plan = make_plan(examples, scale=scale, normalise=normalise, start=begin, seed=seed)
    note = (trained.card or {}).get("licence", "whose terms are not known")
    return trained.net, plan, f"started from the network {start} ({note}), then trained on your own images"
