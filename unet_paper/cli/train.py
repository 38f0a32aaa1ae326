"""`python -m unet_paper train IMAGES MASKS OUTPUT`: a network from your own annotated images."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import unet_paper as up
from unet_paper.cli.segment import IMAGES_HELP, NETWORK_HELP


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a network on your own images",
        description="Pairs images and masks by name, says in words what it plans, trains, judges the network on images "
        "that it held out, and writes OUTPUT: network.safetensors with its card, report.html, scores.csv, and the "
        "masks of all images. An interrupted run goes on when the same command is given again.",
    )
    parser.add_argument("images", metavar="IMAGES", help=IMAGES_HELP)
    parser.add_argument(
        "masks",
        metavar="MASKS",
        help="folder of masks named like their images (a.tif or a_mask.tif for a.tif); may be IMAGES again. A number "
        "for each cell, or 255 for all; -1, or the type's largest number (255, 65535) beside others, is not annotated; "
        "so is what a_ignore.tif paints, which lies beside mask or image",
    )
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the folder to make")
    parser.add_argument("--dry-run", action="store_true", help="stop after the plan; nothing is written")
    parser.add_argument("--from", dest="start", metavar="NAME", help=f"start from a {NETWORK_HELP}")
    parser.add_argument(
        "--minutes",
        type=float,
        help="time for training, for 200 steps at least (default: 6, at most 1500 steps, or 500 with --from)",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="number of steps, whatever time they take")
    parser.add_argument(
        "--scale",
        type=float,
        metavar="FACTOR",
        help="default: so that cells are about 35 px across, or as large as --from knows them",
    )
    parser.add_argument("--normalise", metavar="HOW", help="percentile (default), range or none")
    parser.add_argument("--channel", type=int, metavar="N", help="which channel of the images, from 0")
    parser.add_argument("--unannotated", type=int, metavar="VALUE", help="value of mask pixels that nobody annotated")
    parser.add_argument("--seed", type=int, default=0, help="of weights and tiles (default: %(default)s)")
    parser.add_argument("--device", help="cpu, cuda or mps (default: a GPU where there is one)")
    parser.set_defaults(run=run, stopped=stopped)


def run(options: Namespace) -> int:
    """Train, or only plan."""
    up.train_on_folder(
        options.images,
        options.masks,
        None if options.dry_run else options.output,
        start=options.start,
        scale=options.scale,
        normalise=options.normalise,
        channel=options.channel,
        unannotated=options.unannotated,
        minutes=options.minutes,
        steps=options.steps,
        seed=options.seed,
        device=options.device,
    )
    return 0


def stopped(options: Namespace) -> str:
    """Say what is there after Ctrl-C."""
    return f"{options.output} holds the last checkpoint, if there was one; the same command goes on from there"
