"""What one section costs with every method of the comparison: `python -m benchmarks.rivals --output FILE`.

The book reads `data/results/rival_seconds.json`. First weights do, for they do not change the time. One thread, and the
methods take turns, so that all of them meet the same machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.engines import turns
from benchmarks.record import described_machine, load
from unet_paper.datasets import synthetic_em
from unet_paper.experiments import RIVALS, rivals
from unet_paper.experiments.rival_runs import cell_probability
from unet_paper.files import write_json


def measure(*, rounds: int = 5) -> dict:
    """Return the median seconds of one section for every method, on the clock and of the processor.

    Parameters
    ----------
    rounds : int
        How many turns each method gets.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        machine, image = described_machine(), synthetic_em(1, rivals.SIDE).images
        clock, processor = turns({name: _task(rival, image) for name, rival in RIVALS.items()}, rounds=rounds)
    finally:
        torch.set_num_threads(threads)
    machine["load_after"] = load()
    seconds = {name: {"clock": clock[name], "processor": processor[name]} for name in RIVALS}
    return {"format": "unet_paper rival seconds 1", "machine": machine, "side": rivals.SIDE, "seconds": seconds}


def _task(rival: rivals.Rival, image: np.ndarray) -> Callable[[], object]:
    """Return what segments one section, (1, H, W) float32, with all networks of a method."""
    nets = [rival.build(settings, 0).eval().to(memory_format=torch.channels_last) for settings in rival.networks]
    return lambda: [cell_probability(rival.kind, net, image) for net in nets]


def table(record: dict) -> str:
    """Return the record as a table to read in a terminal, the quickest method first."""
    machine = record["machine"]
    order = sorted(record["seconds"].items(), key=lambda item: item[1]["processor"])
    lines = [f"{machine['cpu']}, load {machine['load_before']} to {machine['load_after']}, {machine['date']}"]
    for name, seconds in order:
        lines.append(f"{RIVALS[name].title:40}{seconds['processor']:8.3f} s of the processor, {seconds['clock']:.3f} s")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write the record; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals", description=__doc__.split("\n\n")[1])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each method (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record, as JSON")
    options = parser.parse_args(arguments)
    record = measure(rounds=options.rounds)
    print(table(record))
    if options.output:
        write_json(options.output, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
