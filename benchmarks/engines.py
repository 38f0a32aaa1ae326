"""Engines and precisions side by side, in one run: `python -m benchmarks.engines --output data/results/engines.json`.

Time is that of the paper's network (64 channels, random weights, which do not change it) on a whole image of 512 x 512
px. Whether the engines agree is asked of the trained networks of the book, on images that they were not trained on.
Needs the extra `engines`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import unet_paper as up
from benchmarks.network import seeded_network
from benchmarks.record import described_machine, load
from unet_paper.files import write_json
from unet_paper.networks.engines import ENGINES, PRECISIONS, classes, on_engine, training_images

WAYS = [(engine, precision) for engine in ENGINES for precision in PRECISIONS[engine]]
REFERENCE, OTHER = "torch float32", "torch bfloat16"  # what classes are compared with; what times are
IMAGE = 512  # px
GOAL_RATIO, GOAL_SAME = 0.45, 0.995
CALIBRATION = 8  # images


def measure(*, rounds: int = 5, base_channels: int = 64, images: int = 4) -> dict:
    """Return the record: machine, times of every way, and how each agrees on each published network.

    Parameters
    ----------
    rounds : int
        How many turns each way gets.
    base_channels : int
        Of the network that is timed.
    images : int
        Held-out images of each published network.
    """
    record = {"format": "unet_paper engines 1", "machine": described_machine(), "image": IMAGE}
    record["threads"] = torch.get_num_threads()
    record["base_channels"] = base_channels
    record["times"] = times_of(base_channels, rounds=rounds)
    record["agreement"] = [agreement(name, images) for name in up.networks.library.NAMES]
    record["machine"]["load_after"] = load()
    return record


def times_of(base_channels: int, *, rounds: int) -> list[dict]:
    """Return, for every way, the median time of a whole image, s, on the clock and of the processor alone.

    On a machine that does other work too, the processor's own time is the one to compare.
    """
    net = seeded_network(base_channels).eval()
    tile = np.random.default_rng(0).random((1, 1, *2 * (net.legal_size_for(IMAGE),)), dtype=np.float32)
    ready = {f"{e} {p}": on_engine(net, e, precision=p, calibration=[tile[0]]) for e, p in WAYS}
    clock, processor = turns({name: lambda n=n: classes(n, tile) for name, n in ready.items()}, rounds=rounds)
    return [
        {
            "way": name,
            "seconds": clock[name],
            "processor_seconds": processor[name],
            "of_torch_bfloat16": processor[name] / processor[OTHER],
        }
        for name in ready
    ]


def turns(tasks: dict[str, Callable[[], object]], *, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Let tasks take turns; return the median of each on the clock and in processor time, s."""
    for task in tasks.values():
        task()
    clock: dict[str, list[float]] = {name: [] for name in tasks}
    processor: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start, worked = time.perf_counter(), time.process_time()
            task()
            clock[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - worked)
    return tuple({name: statistics.median(values) for name, values in each.items()} for each in (clock, processor))


def agreement(name: str, images: int) -> dict:
    """Return how often every way gives the class of PyTorch in float32, and what that does to the task's measure.

    int8 is calibrated on training images of the network.
    """
    net, card = up.load_network(name), up.network_card(name)
    calibration = training_images(card)[:CALIBRATION]
    held_out = held_out_images(card, images)
    reference = maps(net, held_out)
    rows = []
    for engine, precision in WAYS:
        found = maps(on_engine(net, engine, precision=precision, calibration=calibration), held_out)
        same = float(np.mean([(a > 0.5) == (b > 0.5) for a, b in zip(found, reference, strict=True)]))
        rows.append({"way": f"{engine} {precision}", "same_class": same, **scores(card, held_out, found)})
        print(name, rows[-1], file=sys.stderr)
    measure = "rand_error" if card["task"] == "em" else "seg"
    return {"network": name, "images": list(held_out.frames), "source": held_out.name, "measure": measure, "rows": rows}


def held_out_images(card: dict, count: int) -> up.Dataset:
    """Return the first images that the network's card calls held out."""
    name, _, frames = card["held_out"].partition(", frames ")
    numbers = [int(number) for number in frames.split(", ")][:count]
    if name == "isbi2012-train":
        return up.load_isbi2012("train").subset(numbers)
    return up.load_cell_tracking(*name.split("/"), frames=numbers)


def maps(net: nn.Module, data: up.Dataset) -> np.ndarray:
    """Return the probability of cell in every image, (N, H, W)."""
    return up.cell_maps(net, data.images, scale=net.images.scale)


def scores(card: dict, data: up.Dataset, found: np.ndarray) -> dict:
    """Return SEG, or for membranes the Rand error of the connected cells, at the threshold 0.5."""
    if card["task"] == "em":
        errors = []
        for labels, probability in zip(data.labels, found, strict=True):
            cells = [up.instances(part.astype(np.float32), min_size=0) for part in (labels > 0, probability)]
            errors.append(1 - up.metrics.rand_agreement(*cells).f_score)
        return {"rand_error": float(np.mean(errors))}
    cells = [up.instances(probability) for probability in found]
    return {"seg": float(up.metrics.seg(data.labels, np.stack(cells)))}


def table(record: dict) -> str:
    """Return the record as a table to read in a terminal."""
    machine = record["machine"]
    lines = [f"{machine['cpu']}, threads: {record['threads']}, load {machine['load_before']}, {machine['date']}"]
    lines += [f"{record['base_channels']} channels, {IMAGE} x {IMAGE} px", ""]
    for row in record["times"]:
        lines.append(
            f"{row['way']:22} {row['processor_seconds']:6.2f} s of the processor, "
            f"{row['seconds']:6.2f} s on the clock, {row['of_torch_bfloat16']:.2f} of {OTHER}"
        )
    for entry in record["agreement"]:
        lines += ["", f"{entry['network']}: {entry['source']}, images {entry['images']}"]
        for row in entry["rows"]:
            lines.append(f"{row['way']:22} {row['same_class']:9.3%} same class, {row[entry['measure']]:.4f}")
        lines[-len(entry["rows"]) - 1] += f"; {entry['measure']}"
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write the record; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engines", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (default: %(default)s)")
    parser.add_argument("--base-channels", type=int, default=64, help="of the network that is timed")
    parser.add_argument("--images", type=int, default=4, help="held-out images of each network (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record, as JSON")
    options = parser.parse_args(arguments)
    record = measure(rounds=options.rounds, base_channels=options.base_channels, images=options.images)
    print(table(record))
    if options.output:
        write_json(options.output, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
