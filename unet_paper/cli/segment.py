"""`python -m unet_paper segment FRAMES OUTPUT`: the cells of your own images, one mask per image."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from dataclasses import fields
from pathlib import Path

import unet_paper as up
from unet_paper.messages import plain

FRAMES_HELP = "folder of numbered TIFF or PNG images (t000.tif, t001.tif, ...), or one TIFF stack; grey, 8 or 16 bit"
NETWORK_HELP = "trained network: em, u373, dic-hela, or a .safetensors file that this program wrote"


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "segment",
        help="find the cells in your own images",
        description="Finds the cells of every image with a trained network and writes one mask per image: mask000.tif, "
        "16 bit, 0 is background, 1, 2, 3, ... are the cells. All or nothing: a failed run leaves no folder behind.",
    )
    parser.add_argument("frames", type=Path, metavar="FRAMES", help=FRAMES_HELP)
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the folder to make")
    parser.add_argument("--network", required=True, metavar="NAME", help=NETWORK_HELP)
    parser.add_argument("--probability", action="store_true", help="also write the map of each image as float32 TIFF")
    add_options(parser)
    parser.set_defaults(run=run, stopped=stopped)


def add_options(parser: ArgumentParser) -> None:
    """Add what `segment` and `track` have in common."""
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="P",
        help="a pixel is cell above this probability (default: %(default)s)",
    )
    parser.add_argument(
        "--min-size", type=int, default=500, metavar="PX", help="drop cells of this many px or fewer (default: 500)"
    )
    parser.add_argument(
        "--border",
        type=int,
        default=0,
        metavar="PX",
        help="drop cells that lie wholly within this many px of the edge (default: 0; the challenge uses 50)",
    )
    parser.add_argument(
        "--scale",
        type=float,
        metavar="FACTOR",
        help="resize images by this factor for the network (default: what it was trained with)",
    )
    parser.add_argument(
        "--rotations", type=int, default=1, metavar="N", help="average over N rotated versions (default: 1; paper: 7)"
    )
    parser.add_argument("--flips", action="store_true", help="average over mirrored versions too")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default: %(default)s)')
    parser.add_argument(
        "--precision",
        default="float32",
        help="float32 or bfloat16, about twice as fast where the hardware has it (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="replace the result of an earlier run")


def run(options: Namespace) -> int:
    """Write the masks and say what was found."""
    start = time.monotonic()
    written = up.own_images.segment_files(
        options.frames,
        options.output,
        options.network,
        method=method_of(options),
        probability=options.probability,
        force=options.force,
    )
    counts = f"{written.images} frames, {written.cells} cells, {time.monotonic() - start:.1f} s"
    print(plain(f"{counts}: {written.folder}"))
    advise(written.cells, options)
    return 0


def stopped(options: Namespace) -> str:
    """Say what is there after Ctrl-C."""
    return f"nothing half done was kept, {options.output} is whole, as before; the same command begins anew"


def method_of(options: Namespace):
    """Return the `Method` that the options of `add_options` describe."""
    names = [field.name for field in fields(up.own_images.Method) if field.name in options]
    return up.own_images.Method(**{name: getattr(options, name) for name in names})


def advise(cells: int, options: Namespace) -> None:
    """Say what to try where nothing was found."""
    if cells == 0:
        print(
            f"No cell has more than {options.min_size} px above {options.threshold:g}: try a smaller --min-size or "
            "--threshold, or look at the maps that segment --probability writes."
        )
