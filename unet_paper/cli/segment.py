"""`python -m unet_paper segment FRAMES OUTPUT`: the cells of your own images, one mask per frame."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

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
    parser.set_defaults(run=run)


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
        choices=("float32", "bfloat16"),
        default="float32",
        help="bfloat16 is about twice as fast where the hardware has it (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="replace the result of an earlier run")


def run(options: Namespace) -> int:
    """Write the masks and say what was found."""
    from unet_paper.datasets.image_sequence import load_film
    from unet_paper.tracking.challenge_format import mask_name, new_folder, write_mask  # here: torch takes a second

    start, cells = time.monotonic(), 0
    with new_folder(options.output, force=options.force) as folder:
        film = load_film(options.frames, complete=False)
        found = segment_frames(film.images, options, border=options.border)
        for number, (probability, labels) in zip(film.frames, found, strict=True):
            name = mask_name(number, film.frames[-1])
            write_mask(folder / name, labels)
            if options.probability:
                write_map(folder / name.replace("mask", "probability"), probability)
            cells += int(labels.max())
    print(f"{len(film)} frames, {cells} cells, {time.monotonic() - start:.1f} s: {options.output}")
    advise(cells, options)
    return 0


def segment_frames(images: np.ndarray, options: Namespace, *, border: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give, for every image of (T, H, W), the probability of cell (H, W) float32 and the cells (H, W) int32."""
    from tqdm import tqdm

    from unet_paper.cells import instances
    from unet_paper.networks.library import load_network, network_card
    from unet_paper.predict import predict_probability
    from unet_paper.tracking.linking import check_border

    check_border(options.border, images.shape[1:])
    check_device(options.device)
    net = load_network(options.network)
    how = {name: getattr(options, name) for name in ("rotations", "flips", "device", "precision")}
    how["scale"] = network_card(options.network)["scale"] if options.scale is None else options.scale
    for image in tqdm(images, desc="segmenting", unit="frame"):
        probability = predict_probability(net, image, progress=False, **how)[1]
        cells = instances(probability, threshold=options.threshold, min_size=options.min_size, border=border)
        yield probability, cells


def advise(cells: int, options: Namespace) -> None:
    """Say what to try where nothing was found."""
    if cells == 0:
        print(
            f"No cell has more than {options.min_size} px above {options.threshold:g}: try a smaller --min-size or "
            "--threshold, or look at the maps that segment --probability writes."
        )


def check_device(name: str) -> None:
    """Refuse a device that PyTorch does not know or this machine does not have."""
    import torch

    try:
        known = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f'device is "{name}"; choose cpu or cuda') from error
    if known.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device is "{name}", but PyTorch finds no GPU here; say --device cpu')


def write_map(path: Path, probability: np.ndarray) -> None:
    """Write a probability map (H, W) as float32 TIFF, losslessly compressed."""
    import tifffile

    tifffile.imwrite(path, probability, photometric="minisblack", compression="zlib")
