"""`python -m tests.mutations [--output FILE]`: every mutation of the catalogue; status 1 if one goes unnoticed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from tests.mutations.catalogue import MUTATIONS
from tests.mutations.run import copy_project, outcomes
from unet_paper.experiments.record import circumstances
from unet_paper.files import write_json

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run all, print a line for each, write the record."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the outcome, as JSON")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        copy_project(ROOT, Path(folder))
        rows = outcomes(MUTATIONS, Path(folder))
    if options.output:
        record = {"format": "unet_paper mutations 1", "machine": circumstances(torch.device("cpu")), "mutations": rows}
        write_json(options.output, record)
    caught = sum(row["caught"] for row in rows)
    print(f"{caught} of {len(rows)} mutations caught")
    return int(caught < len(rows))


if __name__ == "__main__":
    sys.exit(main())
