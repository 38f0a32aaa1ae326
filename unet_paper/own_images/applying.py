"""A network on a folder of images: masks named after them, and what other programs and people want beside.

One image after the other, so memory does not grow with their number; every file is whole or absent, and a run that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn
from tqdm import tqdm

from unet_paper.datasets.image_files import ImageFile, check_selection, describe, grey_frames, middle_frames
from unet_paper.networks.image_settings import ImageSettings, area_diameter
from unet_paper.own_images.folder import ResultFolder
from unet_paper.own_images.grey_values import choose_normalisation, compare_statistics, range_of, scaled_min_size
from unet_paper.own_images.outlines import as_csv, as_geojson, as_png, as_rois, overlay, table_rows
from unet_paper.own_images.pairs import pictures_in
from unet_paper.own_images.segmenting import Method, Network, Segmented, Summary, opened

NOTE = "segment.json"
LOOKED_AT = 8  # images whose grey values are checked before work starts
OFF = 2.0  # times larger or smaller than expected: worth a word


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What is written beside the masks, each where it is asked for.

    Attributes
    ----------
    probability : bool
        `NAME_probability.tif`, float32.
    overlay : bool
        `NAME_overlay.png`: the image with every cell outlined.
    table : bool
        `cells.csv`: area, centre, mean grey of every cell of all images.
    geojson : bool
        `NAME.geojson`, outlines for QuPath.
    rois : bool
        `NAME_rois.zip`, outlines for ImageJ and Fiji (package roifile).
    """

    probability: bool = False
    overlay: bool = False
    table: bool = True
    geojson: bool = False
    rois: bool = False


class Job(NamedTuple):
    """One image of a file, by its number, and the name of its result."""

    file: ImageFile
    frame: int
    name: str


def segment_files(
    images,
    output: str | Path,
    net: Network,
    *,
    method: Method | None = None,
    outputs: Outputs | None = None,
    channel: int | None = None,
    frame: int | None = None,
    force: bool = False,
    progress: bool = True,
    say=print,
) -> Summary:
    """Write one mask per image, named after it: `a.tif` gives `a_mask.tif`, image 7 of a stack `a_t007_mask.tif`.

    Parameters
    ----------
    images : path or sequence of path
        Folders, files or patterns, as in `unet_paper.datasets.image_files.list_images`; sizes may differ.
    output : path
        The folder to make, or one of an interrupted run with the same settings: finished images are kept.
    net
        As in `unet_paper.segment`.
    method : Method, optional
        How cells are found.
    outputs : Outputs, optional
        What to write beside the masks.
    channel, frame : int, optional
        Which channel, and which image of each file alone; both from 0.
    force : bool
        Begin anew in the folder of a run with other settings.
    progress : bool
        Show a bar.
    say : callable
        Gets what is assumed, as text, before work starts.

    Returns
    -------
    Summary
        Folder, images, cells.

    Raises
    ------
    ValueError, OSError
        What is wrong with images, network, settings or output; nothing is written before all files were looked at.
    """
    method, outputs = method or Method(), outputs or Outputs()
    files = [describe(path) for path in pictures_in(images)]
    _refuse_doubles(files)
    for file in files:
        check_selection(file, channel=channel, frame=frame)
    net, known = opened(net, scale=method.scale)
    jobs = list(_jobs(files, frame))
    for line in check_inputs(files, known, method, channel=channel):
        say(line)
    if outputs.rois:
        as_rois(np.zeros((1, 1), dtype=int))  # the package is missing: better said now
    folder = ResultFolder(output, note=NOTE)
    how = {
        "images": [str(file.path.name) for file in files],
        "method": asdict(method),
        "outputs": asdict(outputs),
        "network": _network_note(net),
        "channel": channel,
        "frame": frame,
    }
    with folder.held():
        continues = folder.check(how, force=force)
        done = [continues and folder.has(f"{_rows(job)}") for job in jobs]
        if any(done):
            say(f"{sum(done)} of {len(jobs)} images are done already")
        for job, pixels in _unfinished(jobs, done, channel, progress=progress):
            found = _found(job, pixels, net, known, method)
            folder.begin(how, force=force)  # not before there is something to keep
            _write_one(folder, job, pixels, found, outputs)
        rows = [folder.read_json(_rows(job)) for job in jobs]
        if outputs.table:
            folder.put_text("cells.csv", as_csv([tuple(row) for image in rows for row in image]))
        areas = [row[2] for image in rows for row in image]
        if (word := _size_word(areas, known, method)) is not None:
            say(word)
    return Summary(folder.path, len(jobs), len(areas))


def check_inputs(
    files: Sequence[ImageFile], known: ImageSettings | None, method: Method, *, channel: int | None = None
) -> list[str]:
    """Return what is assumed about images and network, one line each, and warnings where something does not fit.

    Parameters
    ----------
    files : sequence of ImageFile
        The images.
    known : ImageSettings or None
        What the network expects.
    method : Method
        How cells will be found.
    channel : int, optional
        Which channel.

    Raises
    ------
    ValueError
        If an image cannot be used: several channels and none chosen, NaN, floats that nothing brings to [0, 1].
    """
    settings = known or ImageSettings()
    looked = [(f, next(grey_frames(f, channel=channel, frame=n))) for f, n in middle_frames(files, LOOKED_AT)]
    ranges = [range_of(pixels, full=file.full) for file, pixels in looked]
    told = known is not None or method.normalise is not None
    how = {choose_normalisation(method.normalise, settings, used) for used in ranges} if told else set()
    lines = [
        f"images: {sum(file.frames for file in files)} in {len(files)} files, the first is {files[0].kind}",
        f"grey values: {ranges[0]}; normalised by: {', '.join(sorted(how)) or 'their type'}",
        *_scale_lines(files, known, method),
    ]
    small = next((used for used in ranges if used.is_small), None)
    if small is not None and how <= {"none"}:
        lines.append(f"warning: only {small} grey values are used; if little is found, try --normalise percentile")
    samples = [method.prepared(pixels, known, full=file.full) for file, pixels in looked] if known else []
    warning = compare_statistics(samples, settings) if known else None
    return lines if warning is None else [*lines, f"warning: {warning}"]


def _scale_lines(files: Sequence[ImageFile], known: ImageSettings | None, method: Method) -> list[str]:
    scales, reason = replace(method, pixel_size=method.pixel_size or files[0].pixel_size).scales(known)
    size = scaled_min_size(known or ImageSettings(), scales) if method.min_size is None else method.min_size
    factor = f"{scales[0]:.3g}" if scales[0] == scales[1] else f"{scales[0]:.3g} (rows), {scales[1]:.3g} (columns)"
    lines = [f"scale: {factor} ({reason}); cells have more than {size} px"]
    if method.scale is None and method.pixel_size is None and len({file.pixel_size for file in files}) > 1:
        lines.append("pixel sizes differ: each file is resized by its own")
    return lines


def _jobs(files: Sequence[ImageFile], frame: int | None) -> Iterator[Job]:
    for file in files:
        stem = file.path.name.rsplit(".", 1)[0].removesuffix(".ome")
        for number in range(file.frames) if frame is None else (frame,):
            digits = max(3, len(str(file.frames - 1)))
            yield Job(file, number, stem if file.frames == 1 else f"{stem}_t{number:0{digits}d}")


def _unfinished(
    jobs: Sequence[Job], done: Sequence[bool], channel: int | None, *, progress: bool
) -> Iterator[tuple[Job, np.ndarray]]:
    """Give the images that are still to do, reading each file once from its first to its last."""
    opened_file, frames = None, iter(())
    at = 0
    bar = tqdm(jobs, desc="segmenting", unit="image", disable=not progress)
    for job, is_done in zip(bar, done, strict=True):
        if is_done:
            continue
        if job.file is not opened_file or job.file.frames == 1 or at > job.frame:
            opened_file, at = job.file, 0
            frames = grey_frames(job.file, channel=channel)
        pixels = next(frames)
        while at < job.frame:
            pixels, at = next(frames), at + 1
        at += 1
        yield job, pixels


def _found(job: Job, pixels: np.ndarray, net: nn.Module, known: ImageSettings | None, method: Method) -> Segmented:
    size = job.file.pixel_size
    method = method if method.pixel_size is not None or size is None else replace(method, pixel_size=size)
    try:
        return method.segment_one(pixels, net, known, full=job.file.full)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{job.file.path}: {error}") from error


def _write_one(folder: ResultFolder, job: Job, pixels: np.ndarray, found: Segmented, outputs: Outputs) -> None:
    size = job.file.pixel_size
    if outputs.probability:
        folder.put_image(f"{job.name}_probability.tif", found.probability, pixel_size=size)
    if outputs.overlay:
        folder.put_bytes(f"{job.name}_overlay.png", as_png(overlay(pixels, found.cells)))
    if outputs.geojson:
        folder.put_text(f"{job.name}.geojson", as_geojson(found.cells))
    if outputs.rois:
        folder.put_zip(f"{job.name}_rois.zip", as_rois(found.cells))
    folder.put_image(f"{job.name}_mask.tif", found.cells, pixel_size=size)
    rows = table_rows(job.name, found.cells, pixels, pixel_size=size)
    folder.put_json(_rows(job), [list(row) for row in rows])  # the last: an image with it is done


def _rows(job: Job) -> str:
    return f"finished/{job.name}.json"


def _refuse_doubles(files: Sequence[ImageFile]) -> None:
    stems = {}
    for file in files:
        stem = file.path.name.rsplit(".", 1)[0].removesuffix(".ome")
        if stem in stems:
            raise ValueError(f"{stems[stem]} and {file.path} would both give {stem}_mask.tif; rename one")
        stems[stem] = file.path


def _network_note(net: nn.Module) -> str:
    total = sum(float(parameter.detach().double().abs().sum()) for parameter in net.parameters())
    return f"{sum(p.numel() for p in net.parameters())} weights, sum of sizes {total:.9g}"


def _size_word(areas: Sequence[int], known: ImageSettings | None, method: Method) -> str | None:
    """Return a warning if the cells found are of another size than the network's, at the scale that was used."""
    if known is None or known.diameter is None or not areas or method.diameter is not None:
        return None
    scales, _ = method.scales(known)
    expected = known.diameter * known.scale / float(np.sqrt(scales[0] * scales[1]))
    found = area_diameter(float(np.median(areas)))
    if 1 / OFF <= found / expected <= OFF:
        return None
    return (
        f"warning: the cells found are {found:.0f} px across (median), the network's were {expected:.0f} px at this "
        "scale; measure one cell and give it as --diameter"
    )
