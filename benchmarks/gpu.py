"""Everything about training at full size that a GPU can measure, as one record: `make gpu` begins with it.

`python -m benchmarks.gpu` writes `data/results/gpu_benchmark.json` on a CUDA GPU, `data/results/cpu_benchmark.json`
with `--device cpu` (minutes). `--quick` rehearses every part on a narrow network and a small tile, in seconds, and
writes only where `--output` says. The record is written anew after every part, and a part that fails leaves its
error in it and lets the others go on.

Half an hour on a rented GPU is best spent in this order; the minutes are guesses until somebody has measured them.

1. `python -m pytest tests/training/test_step.py` (half a minute): the tests that need a GPU. They say whether a
   recorded step computes what an ordinary one does, and whether the loop ever waits.
2. `python -m benchmarks.gpu --quick --output /tmp/quick.json` (1 minute): does every part run there? Look for "error".
3. `python -m benchmarks.gpu --output runs/gpu_benchmark.json` (3 minutes): the record. There,
   `step.bfloat16.stage_seconds` and `kernels` say what takes longest. Where `step.bfloat16.host_seconds` comes near
   `step_seconds`, the host is what holds up the step; `loop.waits` must be 0.
4. `python -m unet_paper reproduce em-full-adam --device cuda` (4 minutes), then `em-full --fold 4` (10 minutes): the
   runs of the EM chapter; then `u373-full` and `dic-hela-full` as time allows. Each fold writes its record when it is
   done, and an interrupted one goes on from its checkpoint.

`make gpu` does 3 and 4 without looking in between. `python -m unet_paper reproduce NAME --publish` copies records and
networks that belong to the book from `runs` to `data`; the benchmark's record is copied by hand.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from unet_paper.analysis.memory import clear_peak, kept_bytes, peak_bytes, training_bytes
from unet_paper.analysis.timing import (
    compare_precisions,
    measure_plain_step,
    measure_step,
    prepared_step,
    step_seconds,
    synchronise,
    tf32,
)
from unet_paper.datasets import Dataset, em_sections
from unet_paper.experiments.record import circumstances, results_folder
from unet_paper.files import write_json
from unet_paper.model import UNet
from unet_paper.predict import predict_probability
from unet_paper.training import PAPER, SHORT_RUN, TrainConfig, train
from unet_paper.training.step import ReplayedStep, gpu_settings
from unet_paper.training.tiles import prepare_tiles

SEED = 0


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes
    ----------
    base_channels, tile : int
        Of the network, and its input in px.
    tiles : tuple of int
        Sides in px at which memory is measured.
    repeats : int
        Steps that are timed.
    training_steps : int
        Steps of the run whose network is compared in different precisions.
    sections : int
        EM sections that are used, at least 2.
    """

    base_channels: int = 64
    tile: int = 572
    tiles: tuple[int, ...] = (188, 252, 316, 380, 444, 508, 572, 636, 700, 828, 956, 1084)
    repeats: int = 50
    training_steps: int = 300
    sections: int = 8


QUICK = Size(base_channels=4, tile=252, tiles=(188, 252), repeats=2, training_steps=4, sections=2)
CPU = Size(repeats=2, tiles=(188, 252, 316, 380, 444, 508, 572, 636, 700), training_steps=20)


def measure(device: torch.device, size: Size, *, note: Callable[[dict], None] = lambda record: None) -> dict:
    """Measure every part and return the record.

    Parameters
    ----------
    device : torch.device
        Where.
    size : Size
        How much.
    note : callable
        Gets the record after every part, as far as it is.
    """
    sections = em_sections().subset(range(size.sections))
    record = {
        "what": "training step, memory, precision and prediction of the paper's network",
        **circumstances(device),
        "seed": SEED,
        "data": sections.source,
        "size": asdict(size),
    }
    for name, part in PARTS.items():
        started = time.perf_counter()
        record[name] = attempt(part, device, size, sections)
        print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
        note(record)
    return record


def attempt(part: Callable, *arguments) -> dict:
    """Return what `part` measures, or why it could not."""
    try:
        return part(*arguments)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def measure_steps(device: torch.device, size: Size, sections: Dataset) -> dict:
    """Time the training step in every precision that the device has."""
    steps = {}
    for name, precision, may_round in PRECISIONS if device.type == "cuda" else PRECISIONS[:2]:
        config = configuration(size, precision=precision)
        with tf32(may_round):
            steps[name] = measure_step(network(size), sections, config, device=device, repeats=size.repeats)
    return steps


def measure_plain(device: torch.device, size: Size, sections: Dataset) -> dict:
    """Time the loop that people write, as PyTorch comes and in strict float32, and ours once more beside it."""
    config, repeats = configuration(size), max(2, size.repeats // 5)
    plain = {}
    for name, may_round in PLAIN if device.type == "cuda" else PLAIN[:1]:
        with tf32(may_round):
            plain[name] = measure_plain_step(network(size), sections, config, device=device, repeats=repeats)
    ours = measure_step(network(size), sections, config, device=device, repeats=repeats)["step_seconds"]
    ratios = {name: times["step_seconds"] / ours for name, times in plain.items()}
    networks = {name: times["network_seconds"] / ours for name, times in plain.items()}
    return {"plain": plain, "ours_step_seconds": ours, "ratio": ratios, "ratio_of_network_alone": networks}


def measure_prediction(device: torch.device, size: Size, sections: Dataset) -> dict:
    """Time the segmentation of one section in one tile: the network once, and the paper's 7 rotations."""
    image, net = sections.images[0], network(size).to(device)
    whole = net.legal_size_for(image.shape[0])  # one tile for the section
    rotated = net.legal_size_for(int(np.ceil(2**0.5 * max(image.shape))))  # one tile for a rotated one
    ways = {"once": (1, whole), "7 rotations": (7, rotated)}
    return {
        f"{name}, {precision}": fastest(net, image, device, rotations=rotations, tile=tile, precision=precision)
        for name, (rotations, tile) in ways.items()
        for precision in ("bfloat16", "float32")
    }


def fastest(net: UNet, image: np.ndarray, device: torch.device, **how) -> dict:
    """Return shortest and median time in s of a few predictions, after one that does not count."""
    predict_probability(net, image, progress=False, **how)
    times = []
    for _ in range(5 if device.type == "cuda" else 1):
        synchronise(device)
        started = time.perf_counter()
        predict_probability(net, image, progress=False, **how)
        times.append(time.perf_counter() - started)
    return {"shortest_seconds": min(times), "median_seconds": float(np.median(times)), **how}


def measure_memory(device: torch.device, size: Size, sections: Dataset) -> list[dict]:
    """Count what a step keeps for every size of tile; on a GPU also measure the peak."""
    rows = []
    for tile in size.tiles:
        for precision in ("bfloat16", "float32"):
            config = configuration(size, tile=tile, precision=precision)
            row = {"tile_px": tile, "precision": precision, "peak_memory_bytes": None}
            row["kept_bytes"] = kept_bytes(network(size), tile, precision=precision)
            row["training_bytes"] = training_bytes(network(size), tile, precision=precision)
            if device.type == "cuda":
                row |= attempt(measure_peak, device, size, sections, config)
            rows.append(row)
    return rows


def measure_peak(device: torch.device, size: Size, sections: Dataset, config: TrainConfig) -> dict:
    """Return the peak of memory and the time of a few steps on a GPU."""
    torch.cuda.empty_cache()
    with gpu_settings(device):
        step, tiles = prepared_step(network(size), sections, config, device)
        clear_peak(device)
        step_seconds(step, tiles, 2)
        peak = peak_bytes(device)
        seconds, _ = step_seconds(ReplayedStep(step), tiles, 10)
    return {"peak_memory_bytes": peak, "step_seconds": seconds}


def measure_precision(device: torch.device, size: Size, sections: Dataset) -> dict:
    """Train for a moment, then compare the classes, scores and losses of a held-out section between precisions."""
    net = network(size).to(device)
    config = replace(SHORT_RUN, name="a moment", steps=size.training_steps, tile=size.tile, standardise=True)
    history = train(net, sections.subset(range(len(sections) - 1)), config, progress=False)
    tiles = prepare_tiles(
        sections.subset([len(sections) - 1]), configuration(size), weights=None, border=net.border, device=device
    )
    batch = tiles.batch(0, range(1))
    return {"steps": size.training_steps, "seconds": history.seconds, "loss": history.loss[-1]} | compare_precisions(
        net, batch
    )


def measure_loop(device: torch.device, size: Size, sections: Dataset) -> dict:
    """Train as a reader would, with everything that a start costs, and count the waits of some ordinary steps."""
    config = replace(configuration(size), steps=10 * size.repeats)
    history = train(network(size), sections, config, progress=False, device=device)
    return {"steps": config.steps, "seconds": history.seconds, "waits": count_waits(device, size, sections)}


def count_waits(device: torch.device, size: Size, sections: Dataset) -> int | None:
    """Return how often five steps make the host wait for a GPU, as PyTorch notices; None on a CPU."""
    if device.type != "cuda":
        return None
    with gpu_settings(device), warnings.catch_warnings(record=True) as caught:
        step, tiles = prepared_step(network(size), sections, configuration(size), device)
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        for number in range(5):
            step(tiles.batch(number, range(1)))
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def measure_kernels(device: torch.device, size: Size, sections: Dataset) -> list[dict]:
    """Return the operations of three steps that take longest: name, calls and seconds per step."""
    with gpu_settings(device):
        step, tiles = prepared_step(network(size), sections, configuration(size), device)
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
        with profile(activities=activities) as profiler:
            for number in range(3):
                step(tiles.batch(number, range(1)))
            synchronise(device)
    attribute = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    rows = sorted(profiler.key_averages(), key=lambda row: -getattr(row, attribute))[:20]
    return [
        {"name": row.key[:120], "calls": row.count / 3, "seconds": getattr(row, attribute) / 3e6}  # from microseconds
        for row in rows
    ]


PLAIN = (("as PyTorch comes", True), ("strict float32", False))  # name, whether convolutions may use TF32
PRECISIONS = (("bfloat16", "bfloat16", True), ("float32", "float32", False), ("TF32", "float32", True))
PARTS = {
    "step": measure_steps,
    "plain": measure_plain,
    "prediction": measure_prediction,
    "loop": measure_loop,
    "kernels": measure_kernels,
    "precision": measure_precision,
    "memory": measure_memory,
}


def network(size: Size) -> UNet:
    """Return a fresh network with the record's seed."""
    net = UNet(base_channels=size.base_channels)
    net.reset_parameters(torch.Generator().manual_seed(SEED))
    return net


def configuration(size: Size, **changes) -> TrainConfig:
    """Return the paper's recipe in bfloat16, or with `changes`."""
    return replace(PAPER, **{"tile": size.tile, "precision": "bfloat16", "seed": SEED, **changes})


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="where to write the record (default: data/results)")
    parser.add_argument("--device", default="cuda", help="cuda (default) or cpu")
    parser.add_argument("--quick", action="store_true", help="a narrow network and a small tile, to rehearse")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("this machine has no CUDA GPU that PyTorch can use; --device cpu measures on the processor")
    if options.quick and options.output is None:
        parser.error("a rehearsal belongs to no results; say with --output where to write it")
    output = options.output or results_folder() / f"{device.type.replace('cuda', 'gpu')}_benchmark.json"
    size = QUICK if options.quick else {"cuda": Size(), "cpu": CPU}[device.type]
    measure(device, size, note=lambda record: write_json(output, record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
