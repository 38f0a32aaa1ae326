"""`python -m unet_paper fetch NAME`: download one data set."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import unet_paper as up
from unet_paper.messages import plain

NAMES = ("isbi2012", "dic-hela", "phc-u373")  # those of datasets/registry.json


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser("fetch", help="download one data set")
    parser.add_argument("name", choices=NAMES, help="one of %(choices)s", metavar="NAME")
    parser.add_argument("--to", type=Path, metavar="DIR", help="data folder (default: $UNET_PAPER_DATA, else data/)")
    parser.add_argument(
        "--mirror", action="append", default=[], metavar="URL", help="zip archive to try first: https://... or a file"
    )
    parser.add_argument("--minutes", type=float, default=120, help="give up after this time (default: %(default)s)")
    parser.set_defaults(run=run, stopped=stopped)


def run(options: Namespace) -> int:
    """Download, verify, and say where the data lie and what they may be used for."""
    fetching = up.datasets.fetching
    entry = fetching.read_registry()[options.name]
    print(entry["title"])
    print(f"Licence: {entry['licence']}")
    folder = fetching.fetch(options.name, to=options.to, mirrors=tuple(options.mirror), time_limit=60 * options.minutes)
    print(plain(folder))
    print(fetching.verified(folder, entry))
    return 0


def stopped(options: Namespace) -> str:
    """Say what is there after Ctrl-C."""
    return f"nothing of {options.name} was kept; the same command begins anew"
