"""`python -m unet_paper track FRAMES OUTPUT`: the cells of a film, followed from frame to frame."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

import numpy as np

from unet_paper.cli.segment import FRAMES_HELP, NETWORK_HELP, add_options, advise, segment_frames


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "track",
        help="find the cells in your own film and follow them",
        description="Finds the cells of every frame with a trained network (or takes your own masks), links them by "
        "overlap, and writes the Cell Tracking Challenge's layout: frames in DIC/01 and the output DIC give "
        "DIC/01_RES with mask000.tif, mask001.tif, ..., in which a cell keeps its number, and res_track.txt: number, "
        "first frame, last frame (counted from 0), parent. All or nothing: a failed run leaves no folder behind.",
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
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Write the tracks and say what was found."""
    from unet_paper.tracking.challenge_format import refuse_overwriting, write_tracks  # here: torch takes a second
    from unet_paper.tracking.linking import link, within_field

    start = time.monotonic()
    folder = result_folder(options.frames, options.output)
    refuse_overwriting(folder, force=options.force)
    tracks = link(find_cells(options), divisions=options.divisions)
    # As in the release, cells outside of the field of interest help to link, and are left out afterwards.
    tracks = within_field(tracks, options.border)
    write_tracks(folder, tracks, force=options.force)
    cells = sum(len(np.unique(frame[frame > 0])) for frame in tracks.labels)
    seconds = time.monotonic() - start
    print(f"{len(tracks.labels)} frames, {cells} cells, {len(tracks)} tracks, {seconds:.1f} s: {folder}")
    if not options.masks:
        advise(cells, options)
    return 0


def result_folder(frames: Path, output: Path) -> Path:
    """Return where the result of a film goes: `01` and `film.tif` give `01_RES` and `film_RES`."""
    frames = frames.resolve()
    return output / f"{frames.name if frames.is_dir() else frames.stem}_RES"


def find_cells(options: Namespace) -> list[np.ndarray]:
    """Return the cells (H, W) int32 of every frame: those of the masks, or what the network finds."""
    from unet_paper.datasets.image_sequence import load_film, load_masks

    if options.masks:
        return list(load_masks(options.frames))
    images = load_film(options.frames).images
    return [cells for _, cells in segment_frames(images, options, border=0)]
