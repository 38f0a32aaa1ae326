"""`python -m unet_paper export NETWORK --format FORMAT`: a trained network as a file for another program."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import unet_paper as up
from unet_paper.cli.segment import NETWORK_HELP
from unet_paper.messages import plain


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "export",
        help="write a network for other programs",
        description="Writes a trained network as onnx (ONNX Runtime and many others), torch-export (PyTorch without "
        "this package), openvino (Intel's engine; two files) or bioimageio (a package for Fiji, ilastik and QuPath). "
        "Scale, grey values, pixel size and licence note of the network travel with it.",
    )
    parser.add_argument("network", metavar="NETWORK", help=NETWORK_HELP)
    parser.add_argument("--format", required=True, metavar="FORMAT", help="onnx, torch-export, openvino or bioimageio")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: the network's name, in the working folder"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.set_defaults(run=run, stopped=stopped)


def run(options: Namespace) -> int:
    """Write the file and say what must be known to use it."""
    trained = up.read_network(options.network)
    path = up.networks.export_network(trained, options.output, format=options.format, force=options.force)
    about = up.networks.export.facts(trained)
    print(plain(f"{path}: {path.stat().st_size / 1e6:.1f} MB"))
    print(f"sides of its input: {about['sizes']['in_words']} px; halo: {about['border']} px on every side")
    if about["images"] is not None:
        print(f"images: resized by {about['images']['scale']:g}, grey values by {about['images']['normalise']}")
    if about["card"] is not None:
        print(plain(f"licence note: {about['card']['licence']}"))
    return 0


def stopped(options: Namespace) -> str:
    """Say what is there after Ctrl-C."""
    return "nothing was written; the same command begins anew"
