"""`python -m unet_paper segment FRAMES OUTPUT`: the cells of your own images, one mask per image."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path

import unet_paper as up
from unet_paper.messages import plain

FRAMES_HELP = "folder of numbered TIFF or PNG images (t000.tif, t001.tif, ...), or one TIFF stack or OME-Zarr"
IMAGES_HELP = "folder, file or pattern of images: TIFF of any kind, OME-Zarr, PNG, JPEG; any names, sizes may differ"
NETWORK_HELP = (
    "trained network: em, em-wide, u373, dic-hela, a .safetensors file that this program wrote, or a .caffemodel"
)


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "segment",
        help="find the cells in your own images",
        description="Finds the cells of every image with a trained network and writes one mask per image, named after "
        "it: a.tif gives a_mask.tif, 0 is background, 1, 2, 3, ... are the cells; and cells.csv, the size and place of "
        "each. Says first what it assumes. An interrupted run goes on when the same command is given again.",
    )
    parser.add_argument("images", metavar="IMAGES", help=IMAGES_HELP)
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the folder to make")
    parser.add_argument("--network", required=True, metavar="NAME", help=NETWORK_HELP)
    parser.add_argument("--overlay", action="store_true", help="also draw the cells over each image, as PNG")
    parser.add_argument("--geojson", action="store_true", help="also write outlines as GeoJSON, for QuPath")
    parser.add_argument("--rois", action="store_true", help="also write outlines as ROIs, for ImageJ and Fiji")
    parser.add_argument("--probability", action="store_true", help="also write the map of each image as float32 TIFF")
    parser.add_argument("--frame", type=int, metavar="N", help="only image N of each file, from 0")
    parser.add_argument(
        "--block",
        type=int,
        metavar="PX",
        help="cut images longer than PX into blocks of this side, with the same result; 0: none (default: TIFF and "
        "Zarr of more than 32 megapixels, blocks of 2048)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="share the blocks among the machines of a dask cluster, e.g. tcp://10.0.0.1:8786; all must see IMAGES",
    )
    add_options(parser)
    parser.add_argument(
        "--engine",
        default="torch",
        metavar="NAME",
        help="torch (default), onnxruntime, openvino, or auto: the fastest of all that agrees with torch in float32",
    )
    parser.add_argument(
        "--calibration",
        metavar="IMAGES",
        help="a handful of images for --precision int8 and --engine auto (default: a published network's own)",
    )
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
        "--min-size",
        type=int,
        metavar="PX",
        help="drop cells of this many px or fewer (default: what the network says)",
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
        "--pixel-size",
        type=pixel_size,
        metavar="UM",
        help="size of a pixel in micrometres, or height,width; scales to the network's pixels (default: from the file)",
    )
    parser.add_argument("--diameter", type=float, metavar="PX", help="of your cells; scales to the network's cells")
    parser.add_argument(
        "--normalise",
        metavar="HOW",
        help="grey values by percentile, range or none, which is the type's range (default: what the network says)",
    )
    parser.add_argument(
        "--rotations", type=int, default=1, metavar="N", help="average over N rotated versions (default: 1; paper: 7)"
    )
    parser.add_argument("--flips", action="store_true", help="average over mirrored versions too")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default: %(default)s)')
    parser.add_argument(
        "--precision",
        default="float32",
        help="float32, or bfloat16, about twice as fast where the hardware has it (default: %(default)s); segment on "
        "another engine than torch also int8",
    )
    parser.add_argument("--channel", type=int, metavar="N", help="which channel of the images, from 0")
    parser.add_argument("--grey", action="store_true", help="colour images by their brightness (the default for them)")
    parser.add_argument("--force", action="store_true", help="replace the result of an earlier run")


def run(options: Namespace) -> int:
    """Write the masks and say what was found."""
    refuse_both(options)
    start = time.monotonic()
    outputs = {
        field.name: getattr(options, field.name) for field in fields(up.own_images.Outputs) if field.name in options
    }
    machines = nullcontext() if options.scheduler is None else up.own_images.machines.connected(options.scheduler)
    with machines as client:
        written = up.own_images.segment_files(
            options.images,
            options.output,
            options.network,
            method=method_of(options),
            outputs=up.own_images.Outputs(**outputs),
            channel=options.channel,
            frame=options.frame,
            force=options.force,
            block=options.block,
            client=client,
            engine=options.engine,
            calibration=options.calibration,
        )
    counts = f"{written.images} images, {written.cells} cells, {time.monotonic() - start:.1f} s"
    print(plain(f"{counts}: {written.folder}"))
    advise(written.cells, options)
    return 0


def refuse_both(options: Namespace) -> None:
    """Refuse --grey together with --channel."""
    if options.grey and options.channel is not None:
        raise ValueError("--grey and --channel exclude each other; choose one")


def pixel_size(text: str) -> float | tuple[float, float]:
    """Return one number, or two that stand with a comma between them."""
    sides = [float(part) for part in text.split(",")]
    if len(sides) > 2:
        raise ArgumentTypeError(f"{text} has {len(sides)} numbers; height and width of a pixel are two")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def stopped(options: Namespace) -> str:
    """Say what is there after Ctrl-C."""
    return f"finished images are kept in {options.output}; the same command goes on with the others"


def method_of(options: Namespace):
    """Return the `Method` that the options of `add_options` describe."""
    names = [field.name for field in fields(up.own_images.Method) if field.name in options]
    return up.own_images.Method(**{name: getattr(options, name) for name in names})


def advise(cells: int, options: Namespace) -> None:
    """Say what to try where nothing was found."""
    if cells == 0:
        size = "enough px" if options.min_size is None else f"more than {options.min_size} px"
        print(
            f"No cell has {size} above {options.threshold:g}: try a smaller --min-size or --threshold, --normalise "
            "percentile, or --diameter; or look at the maps that segment --probability writes."
        )
