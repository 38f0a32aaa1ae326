"""`python -m unet_paper score MASKS REFERENCE`: SEG, DET and F1 of masks, image by image and in all."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import unet_paper as up
from unet_paper.cli.evaluate import check_report


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "score",
        help="score masks of cells against a reference",
        description="SEG (mean overlap), DET (cells found) and F1 (at an overlap above 0.5) of every image and of all "
        "together. Pixels that the reference leaves out (-1, or 65535 beside other numbers) do not count.",
    )
    parser.add_argument("masks", metavar="MASKS", help="folder of masks, such as segment wrote")
    parser.add_argument("reference", metavar="REFERENCE", help="folder of reference masks, named like their images")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the table as comma-separated values")
    parser.add_argument("--unannotated", type=int, metavar="VALUE", help="value of pixels that nobody annotated")
    parser.set_defaults(run=run, stopped=stopped)


def run(options: Namespace) -> int:
    """Print the table, and write the CSV file where one was asked for."""
    if options.csv is not None:
        check_report(options.csv, "--csv")
    scores = up.own_images.score_files(options.masks, options.reference, unannotated=options.unannotated)
    print(up.own_images.scoring.as_table(scores))
    if options.csv is not None:
        up.files.write_text(options.csv, up.own_images.scoring.as_csv(scores))
    return 0


def stopped(options: Namespace) -> str:
    """Say what is there after Ctrl-C."""
    written = "nothing was" if options.csv is None else f"{options.csv} was not"
    return f"{written} written; the same command begins anew"
