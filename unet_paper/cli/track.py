"""`python -m unet_paper track FRAMES OUTPUT`: the cells of an image sequence, followed from frame to frame."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

import unet_paper as up
from unet_paper.cli.segment import FRAMES_HELP, NETWORK_HELP, add_options, advise, method_of, refuse_both
from unet_paper.messages import plain


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "track",
        help="find the cells in your own image sequence and follow them",
        description="Finds the cells of every frame with a trained network (or takes your own masks), links them by "
        "overlap, and writes the Cell Tracking Challenge's layout: frames in DIC/01 and the output DIC give "
        "DIC/01_RES with mask000.tif, mask001.tif, ..., in which a cell keeps its number, and res_track.txt: number, "
        "first frame, last frame (counted from 0), parent; and cells.csv, the size and place of each. All "
        "or nothing: a failed run leaves no folder behind.",
    )
    parser.add_argument("frames", type=Path, metavar="FRAMES", help=FRAMES_HELP)
    parser.add_argument(
        "output", type=Path, metavar="OUTPUT", help="where to put the result, a folder named after FRAMES: 01_RES"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--network", metavar="NAME", help=NETWORK_HELP)
    source.add_argument(
        "--masks",
        action="store_true",
        help="FRAMES are masks already, 0 for background and a number for each cell: only link them",
    )
    parser.add_argument(
        "--divisions", action="store_true", help="record divisions too: both daughters begin tracks of their own"
    )
    add_options(parser)
    parser.set_defaults(run=run, stopped=stopped)


def run(options: Namespace) -> int:
    """Write the tracks and say what was found."""
    refuse_both(options)
    start = time.monotonic()
    written = up.own_images.track_files(
        options.frames,
        options.output,
        options.network,
        method=method_of(options),
        divisions=options.divisions,
        channel=options.channel,
        force=options.force,
    )
    counts = f"{written.images} frames, {written.cells} cells, {written.tracks} tracks"
    print(plain(f"{counts}, {time.monotonic() - start:.1f} s: {written.folder}"))
    if not options.masks:
        advise(written.cells, options)
    return 0


def stopped(options: Namespace) -> str:
    """Say what is there after Ctrl-C."""
    return f"nothing half done was kept, {options.output} is whole, as before; the same command begins anew"
