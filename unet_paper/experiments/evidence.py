"""Evidence for the scoreboard: what is counted, what is measured in seconds on this machine, what records say."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from unet_paper.analysis.initialisation import RULES, Signal, draw_weights, signals
from unet_paper.analysis.memory import training_bytes
from unet_paper.analysis.operations import count_operations, forward_flop
from unet_paper.analysis.timing import fastest_seconds
from unet_paper.analysis.tracing import convolutions, trace
from unet_paper.baselines.padded import relative_difference
from unet_paper.baselines.sliding_window import SlidingWindowNet, windows_around
from unet_paper.datasets import Dataset, em_sections
from unet_paper.experiments import rival_verdicts, rivals, study_verdicts
from unet_paper.experiments.claims import AWAITED, NEAR_ONE
from unet_paper.experiments.findings import RECORDED, Evidence, Finding
from unet_paper.experiments.plan import EXPERIMENTS
from unet_paper.experiments.record import read_benchmark, read_records
from unet_paper.experiments.rival_rows import read_rivals
from unet_paper.experiments.study_rows import read_studies
from unet_paper.model import UNet
from unet_paper.overlap_tile import evaluating, mirror_crop, predict_scores, tile_grid
from unet_paper.training.config import PAPER

SIDE = 512  # px, of the image that costs are counted for
SECTION = 28  # what is measured live looks at this one
DRAWS = 3  # of random weights
STUDY_DATA = "EM sections 6-11, held out; cells as named"
COMPARED_DATA = "EM sections 6-11 and 24-29, held out; the same time for all"


def gather(folder: str | os.PathLike | None = None, *, timed: bool = True) -> Evidence:
    """Count, measure and read everything that the scoreboard rests on; seconds, no training.

    Parameters
    ----------
    folder : path, optional
        Where records lie, instead of `data/results`.
    timed : bool
        Also measure seconds; no verdict depends on them.
    """
    folder = None if folder is None else Path(folder)
    sections = em_sections()
    live = measure_live(sections) | ({"seconds_ratio": seconds_ratio(sections.images[SECTION])} if timed else {})
    marks = {name: read_benchmark(name, folder) for name in ("benchmarks", "gpu_benchmark")}
    marks = {name: mark for name, mark in marks.items() if mark}
    return Evidence(count(), live, recorded(folder), marks, studied(folder))


def count() -> dict:
    """Return what follows from the paper's network and from formulas, the same on every machine.

    Returns
    -------
    dict
        ``convolutions``, ``parameters``; ``sides`` in px from the input to the scores; ``operations`` (FLOP) for one
        section of 512 px, window by window, all windows at once, and by the U-Net; ``momentum``; ``training_bytes`` of
        a step.
    """
    with torch.device("meta"):  # shapes are enough to count
        net, n = UNet(), PAPER.tile
    layers = trace(net, n)
    return {
        "convolutions": len(convolutions(layers)),
        "parameters": sum(layer.parameters for layer in layers),
        "sides": [side for side, _ in groupby(layer.width for layer in layers)],
        "operations": _operations(net),
        "momentum": PAPER.momentum,
        "training_bytes": training_bytes(net, n),
    }


def measure_live(sections: Dataset) -> dict:
    """Measure what random weights can show: tiled against untiled scores, and the signals of fresh networks.

    Parameters
    ----------
    sections : Dataset
        At least 29 EM sections, real or generated; two of them are looked at.

    Returns
    -------
    dict
        ``source``; ``tiled`` and ``off_grid``, differences of scores in their standard deviations: the largest of tiles
        on the grid of the poolings, the mean of a tile 4 px off it; ``signals``, see `fresh_signals`.
    """
    images = sections.images[[0, SECTION]]
    return {"source": "generated sections" if not sections.is_real else "EM sections"} | {
        **tiled_scores(images[1]),
        "signals": fresh_signals(images[:, :220, :220]),
    }


def tiled_scores(image: np.ndarray) -> dict[str, float]:
    """Return ``tiled`` and ``off_grid`` of `measure_live` for an image (H, W) of at least 300 px."""
    net = UNet(base_channels=4).eval()
    net.reset_parameters(torch.Generator().manual_seed(0))
    image = image[:300, :300]
    whole = predict_scores(net, image, tile=net.legal_size_for(304), progress=False)  # (2, 300, 300), one tile
    tiled = predict_scores(net, image, tile=252, progress=False)
    top = 96 + net.output_size(PAPER.tile) % net.stride  # where a second tile starts after a step of 388 px: 4 px off
    window = mirror_crop(image[None], top - net.border, top - net.border, (252, 252))
    with evaluating(net) as evaluate:
        shifted = evaluate(torch.from_numpy(window)).numpy()
    kept = slice(top, top + net.output_size(252))
    return {
        "tiled": float(relative_difference(tiled, whole).max()),
        "off_grid": float(relative_difference(shifted, whole[:, kept, kept]).mean()),
    }


def fresh_signals(images: np.ndarray) -> dict:
    """Return how large the outputs of the convolutions of fresh networks are.

    Parameters
    ----------
    images : numpy.ndarray
        (2, 220, 220) float32 in [0, 1].

    Returns
    -------
    dict
        ``draws``; ``layers``: standard deviation of all maps of each of the 23 layers together by the paper's rule,
        geometric mean over the draws; ``other_rules``: the same by name of other rules; ``maps_down``, ``maps_up``:
        the share of single maps near 1 on the contracting and on the expansive path.
    """
    net, batch = UNet(base_channels=16).eval(), torch.from_numpy(images)[:, None]
    found: dict[str, list[list[Signal]]] = {rule: [] for rule in RULES}
    for rule, draws in found.items():
        for seed in range(DRAWS):
            draw_weights(net, rule, generator=torch.Generator().manual_seed(seed))
            draws.append(signals(net, batch))
    bottom = 2 * (net.depth + 1)
    paper, *others = RULES
    return {
        "draws": DRAWS,
        "layers": _layers(found[paper]),
        "other_rules": {rule: _layers(found[rule]) for rule in others},
        "maps_down": _near_one(found[paper], slice(0, bottom)),
        "maps_up": _near_one(found[paper], slice(bottom, None)),
    }


def seconds_ratio(image: np.ndarray, *, windows: int = 96) -> float:
    """Return how many times longer the window network takes for a section than the U-Net, from a sample of each."""
    net, unet = SlidingWindowNet().eval(), UNet().eval()
    cut = tile_grid(unet, SIDE, tile=PAPER.tile)
    places = np.random.default_rng(0).integers(0, image.shape[0], (2, windows))
    sample = torch.from_numpy(windows_around(image, *places))[:, None]  # (N, 1, 95, 95)
    tile = torch.from_numpy(mirror_crop(image, -unet.border, -unet.border, (cut.size, cut.size)))[None, None]
    with torch.inference_mode():
        each = fastest_seconds(lambda: net(sample), 2) / windows
        tiles = fastest_seconds(lambda: unet(tile), 1) * len(cut.starts) ** 2
    return each * SIDE**2 / tiles


def recorded(folder: Path | None = None) -> dict[str, list[dict]]:
    """Return the records of every experiment, all folds and seeds; experiments without any are left out."""
    found = {name: read_records(name, folder, seed=None) for name in EXPERIMENTS}
    return {name: records for name, records in found.items() if records}


def studied(folder: Path | None = None) -> dict[str, Finding]:
    """Return what ablations say of the claims C6 to C9, and the comparison with other methods of C4 and C11."""
    found = study_verdicts.verdicts(read_studies(folder)) | rival_verdicts.verdicts(read_rivals(folder))
    data = dict.fromkeys(found, STUDY_DATA) | dict.fromkeys(rivals.DECIDING, COMPARED_DATA)
    return {
        name: replace(said, kinds=(RECORDED,), data=data[name], missing=_lacking(name, said))
        for name, said in found.items()
    }


def _lacking(name: str, said: Finding) -> tuple[str, ...]:
    """Name the files that lack runs, and of how many settings; the chapters on them list each."""
    return tuple(f"runs of {len(said.missing)} settings in {file}" for file in AWAITED[name] if said.missing)


def _operations(net: UNet) -> dict[str, int]:
    with torch.device("meta"):
        windows = SlidingWindowNet()
    cut, wide = tile_grid(net, SIDE, tile=PAPER.tile), SIDE + windows.window - 1
    return {
        "windows": SIDE**2 * count_operations(windows, 1, 1, windows.window, windows.window),
        "dense": count_operations(windows.dense, 1, 1, wide, wide),
        "unet": len(cut.starts) ** 2 * forward_flop(net, cut.size),
    }


def _layers(draws: list[list[Signal]]) -> list[float]:
    logs = [[math.log(signal.deviation) for signal in layers] for layers in draws]
    return np.exp(np.mean(logs, axis=0)).tolist()


def _near_one(draws: list[list[Signal]], part: slice) -> float:
    maps = np.concatenate([signal.per_map for layers in draws for signal in layers[part]])
    low, high = NEAR_ONE
    return float(np.mean((maps > low) & (maps < high)))
