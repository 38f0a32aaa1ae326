"""Tracks of an own image sequence, as files: the challenge's layout, and a table of the cells with their tracks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from unet_paper.datasets.image_files import ImageFile, check_selection, grey_frames
from unet_paper.datasets.image_sequence import describe_sequence, load_masks
from unet_paper.options import check_border
from unet_paper.own_images.folder import ResultFolder
from unet_paper.own_images.inputs import check_inputs, name_of, named, with_pixel_size
from unet_paper.own_images.outlines import as_csv, table_rows
from unet_paper.own_images.segmenting import Method, Network, Summary, opened
from unet_paper.tracking.challenge_format import new_folder, result_folder, write_tracks_into
from unet_paper.tracking.linking import Tracks, link, within_field

Frames = list[tuple[ImageFile, int]]


def track_files(
    frames: Path,
    output: Path,
    net: Network | None,
    *,
    method: Method,
    divisions: bool = False,
    channel: int | None = None,
    force: bool = False,
    progress: bool = True,
    say=print,
) -> Summary:
    """Write the tracks of an image sequence in the challenge's form: the whole folder, or nothing.

    Beside masks and tracks stands `cells.csv`: area, centre and mean grey of every cell in every frame, and its track.

    Parameters
    ----------
    frames : pathlib.Path
        A folder of numbered frames, or a stack or Zarr; without a network, of masks.
    output : pathlib.Path
        Where the result goes, into a folder named after `frames`: `01` and `cells.tif` give `01_RES` and `cells_RES`.
    net
        As in `unet_paper.segment`; None: the frames are masks already, and are only linked.
    method : Method
        How cells are found, as in `unet_paper.own_images.segment_files`; of masks, only `border` counts.
    divisions : bool
        As in `unet_paper.link`.
    channel : int, optional
        Which channel.
    force : bool
        Replace the result of an earlier run.
    progress : bool
        Show a bar.
    say : callable
        Gets what is assumed, as text, before work starts.

    Raises
    ------
    ValueError, OSError
        As in `unet_paper.own_images.segment_files`.
    """
    folder = result_folder(frames, output)
    _refuse_own_input(frames, folder)
    with new_folder(folder, force=force) as unfinished:
        if net is None:
            cells, described = list(load_masks(frames)), None
        else:
            described = describe_sequence(frames)
            cells = _cells_of(described, net, method, channel, progress=progress, say=say)
        tracks = within_field(link(cells, divisions=divisions), method.border)
        write_tracks_into(unfinished, tracks)
        table = as_csv(_rows(tracks, described, channel))
        ResultFolder(unfinished, note="cells.csv").put_text("cells.csv", table)
    count = sum(len(np.unique(frame[frame > 0])) for frame in tracks.labels)
    return Summary(folder, len(tracks.labels), count, len(tracks))


def _refuse_own_input(frames: Path, folder: Path) -> None:
    """Refuse a result folder that holds the images themselves: replacing it would destroy them."""
    frames, folder = frames.resolve(), folder.resolve()
    if folder == frames or folder in frames.parents:
        raise FileExistsError(f"{folder} holds the images of {frames.name}; name another folder for the result")


def _cells_of(
    frames: Frames, net: Network, method: Method, channel: int | None, *, progress: bool, say
) -> list[np.ndarray]:
    """Return the cells (H, W) int32 of every frame; those at the edge stay, they help to link."""
    files = list(dict.fromkeys(file for file, _ in frames))
    for file in files:
        check_selection(file, channel=channel)
    check_border(method.border, files[0].size)
    net, known = opened(net, scale=method.scale)
    for line in check_inputs(files, known, method, channel=channel):
        say(line)
    method, found = replace(method, border=0), []
    bar = tqdm(_grey(frames, channel), total=len(frames), desc="segmenting", unit="image", disable=not progress)
    for (file, _), pixels in zip(frames, bar, strict=True):
        with named(file):
            found.append(with_pixel_size(method, file).segment_one(pixels, net, known, full=file.full).cells)
    return found


def _grey(frames: Frames, channel: int | None) -> Iterator[np.ndarray]:
    """Give the grey values of every frame, each file read once."""
    for file in dict.fromkeys(file for file, _ in frames):
        yield from grey_frames(file, channel=channel)


def _rows(tracks: Tracks, frames: Frames | None, channel: int | None) -> Iterator[tuple]:
    """Give the rows of the table; of masks, without grey values."""
    if frames is None:
        for time, cells in enumerate(tracks.labels):
            yield from table_rows(f"t{time:03d}", cells, None, tracked=True)
        return
    for cells, (file, number), pixels in zip(tracks.labels, frames, _grey(frames, channel), strict=True):
        yield from table_rows(name_of(file, number), cells, pixels, pixel_size=file.pixel_size, tracked=True)
