"""All benchmarks one after the other, as a table; `--output data/results/benchmarks.json` records them for the book.

Both ways of every comparison take turns in one run, and medians count: ratios are meaningful on a busy machine, too,
milliseconds are not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import augmentation, metrics, network, weightmap
from benchmarks.record import described_machine, load, table
from unet_paper.files import write_json

PARTS: dict[str, Callable[..., dict]] = {
    "weightmap": weightmap.measure,
    "augmentation": augmentation.measure,
    "network": network.measure,
    "metrics": metrics.measure,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for, print the table, write the record; return the exit status."""
    options = parsed(arguments)
    settings = {"augmentation": {"install": options.elasticdeform}, "network": {"network": options.network}}
    record = {"format": "unet_paper benchmarks 1", "quick": options.quick, "machine": described_machine()}
    record["rooms"] = {name: measured(name, options.quick, settings.get(name, {})) for name in options.parts}
    record["machine"]["load_after"] = load()
    print(table(record))
    if options.output:
        write_json(options.output, record)
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that all works, no meaningful numbers")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record, as JSON")
    parser.add_argument("--network", metavar="PATH", help="trained network for the agreement of both precisions")
    parser.add_argument("--elasticdeform", action="store_true", help="install elasticdeform into a temporary folder")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    if options.output and not options.output.parent.is_dir():
        parser.error(f"there is no folder {options.output.parent}; create it first")
    options.parts = options.parts or list(PARTS)
    return options


def measured(name: str, quick: bool, settings: dict) -> dict:
    """Run the benchmark of one part, say so, and return what it found."""
    print(f"measuring: {name}", file=sys.stderr)
    fewer = {"rounds": 1} if quick else {}
    return PARTS[name](quick=quick, **fewer, **settings)


if __name__ == "__main__":
    sys.exit(main())
