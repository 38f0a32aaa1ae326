"""Engines and precisions side by side, in one run: `python -m benchmarks.engines --output data/results/engines.json`.

Time is that of the paper's network (64 channels, random weights, which do not change it) on a whole image of 512 x 512
px. Whether the engines agree is asked of the trained networks of the book, on images that they were not trained on.
Needs the extra `engines`.
"""

from __future__ import annotations

import argparse
import json
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
from unet_paper.networks.engines import classes, every_way, training_images

OTHER = "torch bfloat16"  # what times are compared with
IMAGE = 512  # px
CALIBRATION = 8  # images


def measure(part: str, *, rounds: int = 5, base_channels: int = 64, images: int = 4) -> dict:
    """Return what one part of the record says, with the machine that it was measured on.

    Parameters
    ----------
    part : str
        ``"times"``, or the name of a published network, of which the agreement is measured.
    rounds : int
        How many turns each way gets.
    base_channels : int
        Of the network that is timed.
    images : int
        Held-out images of the published network.
    """
    about = {"machine": described_machine(), "threads": torch.get_num_threads()}
    if part == "times":
        about |= {"image": IMAGE, "base_channels": base_channels, "ways": times_of(base_channels, rounds=rounds)}
    else:
        about |= agreement(part, images)
    about["machine"]["load_after"] = load()
    return about


def times_of(base_channels: int, *, rounds: int) -> list[dict]:
    """Return, for every way, the median time of a whole image, s, on the clock and of the processor alone.

    On a machine that does other work too, the processor's own time is the one to compare.
    """
    net = seeded_network(base_channels).eval()
    tile = np.random.default_rng(0).random((1, 1, *2 * (net.legal_size_for(IMAGE),)), dtype=np.float32)
    ready = {way.name: way for way in every_way(net, [tile[0]], tiles=2)}
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
    for way in every_way(net, calibration):
        found = maps(way, held_out)
        same = float(np.mean([(a > 0.5) == (b > 0.5) for a, b in zip(found, reference, strict=True)]))
        rows.append({"way": way.name, "same_class": same, **scores(card, held_out, found)})
    measure = "rand_error" if card["task"] == "em" else "seg"
    return {"images": list(held_out.frames), "source": held_out.name, "measure": measure, "rows": rows}


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
    lines = []
    for name, part in record["parts"].items():
        machine = part["machine"]
        lines += ["", f"{machine['cpu']}, threads: {part['threads']}, load {machine['load_before']}, {machine['date']}"]
        if name == "times":
            lines += [
                f"{part['base_channels']} channels, {part['image']} x {part['image']} px",
                *map(_time, part["ways"]),
            ]
            continue
        lines.append(f"{name}: {part['source']}, images {part['images']}; {part['measure']}")
        for row in part["rows"]:
            lines.append(f"{row['way']:22} {row['same_class']:9.3%} same class, {row[part['measure']]:.4f}")
    return "\n".join(lines)


def _time(row: dict) -> str:
    processor, clock = (f"{row[name]:6.2f} s" for name in ("processor_seconds", "seconds"))
    return (
        f"{row['way']:22} {processor} of the processor, {clock} on the clock, {row['of_torch_bfloat16']:.2f} of {OTHER}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write the record or the parts of it that were asked for; return the exit status."""
    parts = ("times", *up.networks.library.NAMES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engines", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(parts)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (default: %(default)s)")
    parser.add_argument("--base-channels", type=int, default=64, help="of the network that is timed")
    parser.add_argument("--images", type=int, default=4, help="held-out images of each network (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record, as JSON; other parts in it stay")
    options = parser.parse_args(arguments)
    record = {"format": "unet_paper engines 1", "parts": {}}
    if options.output and options.output.exists():
        record = json.loads(options.output.read_text())
    how = {"rounds": options.rounds, "base_channels": options.base_channels, "images": options.images}
    for part in options.parts or parts:
        record["parts"][part] = measure(part, **how)
        if options.output:
            write_json(options.output, record)
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
