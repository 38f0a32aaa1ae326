"""A network on a folder of images: masks named after them, and what other programs and people want beside.

One image after the other, and a large image block by block, so memory grows neither with their number nor with their
size; every file is whole or absent, and a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn
from tqdm import tqdm

from unet_paper.datasets.image_files import ImageFile, check_selection, describe, grey_frames
from unet_paper.files import content_of
from unet_paper.networks.image_settings import ImageSettings, area_diameter
from unet_paper.options import check_scalar
from unet_paper.own_images.blocks import BlockWork, is_cut, work_on
from unet_paper.own_images.engine_choice import with_engine
from unet_paper.own_images.folder import ResultFolder
from unet_paper.own_images.inputs import Looks, check_inputs, name_of, named, refuse_doubles, with_pixel_size
from unet_paper.own_images.large import large_outlines, large_rows, segment_large
from unet_paper.own_images.outlines import (
    TABLE_HEAD,
    as_png,
    as_rois,
    csv_line,
    geojson_lines,
    outlines,
    overlay,
    rois_of,
    table_rows,
)
from unet_paper.own_images.pairs import pictures_in
from unet_paper.own_images.segmenting import Method, Network, Segmented, Summary, opened

NOTE = "segment.json"
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
    block: int | None = None,
    client=None,
    engine: str = "torch",
    calibration=None,
    progress: bool = True,
    say=print,
) -> Summary:
    """Write one mask per image, named after it: `a.tif` gives `a_mask.tif`, image 7 of a stack `a_t007_mask.tif`.

    Images of more than 32 megapixels in TIFF or Zarr are read, segmented and written block by block, with the same
    result: their masks are TIFFs in tiles, of a Zarr OME-Zarrs (`a_mask.zarr`).

    Parameters
    ----------
    images : path or sequence of path
        Folders, files or patterns, as in `unet_paper.datasets.image_files.list_images`; sizes may differ.
    output : path
        The folder to make, or one of an interrupted run with the same settings: finished images are kept. Images are
        the same if their names and their content are (`unet_paper.files.content_of`), wherever they lie now.
    net
        As in `unet_paper.segment`.
    method : Method, optional
        How cells are found.
    outputs : Outputs, optional
        What to write beside the masks.
    channel, frame : int, optional
        Which channel, and which image of each file alone; both from 0.
    force : bool
        Begin anew in the folder of a run with other settings or images.
    block : int, optional
        Cut images that are longer than this into blocks of so many px as the network sees them; 0: cut none. By default
        only large ones are cut, into blocks of 2048.
    client : distributed.Client, optional
        Of a dask cluster, whose machines compute the blocks; all must see the images under the same path.
    engine : {"torch", "onnxruntime", "openvino", "auto"}
        Who computes, on the CPU, in the precision of `method`; ``"auto"`` tries all and takes the fastest that agrees
        with PyTorch in float32 (extra ``engines``). With another engine than PyTorch, `method` may ask for ``"int8"``.
    calibration : path or sequence of path, optional
        Images for int8 and ``"auto"``; by default a published network's training images, where they are present.
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
    refuse_doubles(files)
    for file in files:
        check_selection(file, channel=channel, frame=frame)
    net, known = opened(net, scale=method.scale)
    jobs = list(_jobs(files, frame))
    if block is not None and check_scalar(block, int, name="block") < 0:
        raise ValueError(f"block is {block} px; needs 0 (cut nothing) or more")
    cut = [is_cut(file, block) for file in files]
    looks = Looks(channel)
    for line in check_inputs(files, known, method, channel=channel, looks=looks, cut=cut):
        say(line)
    if outputs.rois:
        as_rois(np.zeros((1, 1), dtype=int))  # the package is missing: better said now
    folder = ResultFolder(output, note=NOTE)
    how = {
        "images": [file.path.name for file in files],
        "content of the images": [content_of(file.path) for file in files],  # not where they lie: they may move
        "method": asdict(method),
        "outputs": asdict(outputs),
        "network": _network_note(net),
        "channel": channel,
        "frame": frame,
        **({} if engine == "torch" else {"engine": engine}),
    }
    if client is not None and engine != "torch":
        raise ValueError(
            f"engine {engine!r} runs on this machine alone; leave out the engine or the cluster (--scheduler)"
        )
    if client is not None and not any(cut):
        say(
            "no image is so large that it is cut into blocks, so this machine computes alone; --block cuts smaller ones"
        )
    net, method = with_engine(net, known, method, engine=engine, calibration=calibration, channel=channel, say=say)
    with folder.held():
        continues = folder.check(how, force=force)
        done = [continues and folder.has(_rows(job)) for job in jobs]
        if not continues:
            folder.remove("unfinished")
        if any(done):
            say(f"{sum(done)} of {len(jobs)} images are done already")
        is_large = {file.path for file, is_one in zip(files, cut, strict=True) if is_one}
        for job, pixels in _unfinished(jobs, done, channel, is_large, progress=progress):
            if pixels is None:
                work = _work(job, looks, net, known, method)
                _begin(folder, how, force=force)
                _write_large(folder, job, looks, work, net, outputs, block, client, progress)
                continue
            found = _found(job, pixels, net, known, method)
            _begin(folder, how, force=force)  # not before there is something to keep
            _write_one(folder, job, pixels, found, outputs)
        folder.remove("unfinished")
        areas = [array("q", map(_area, folder.lines(_rows(job)))) for job in jobs]
        if outputs.table:
            lines = (line for job in jobs for line in folder.lines(_rows(job)))
            folder.put_lines("cells.csv", chain([csv_line(TABLE_HEAD)], lines))
        if (word := _size_word(jobs, areas, known, method)) is not None:
            say(word)
    return Summary(folder.path, len(jobs), sum(map(len, areas)))


def _begin(folder: ResultFolder, how: dict, *, force: bool) -> None:
    """Make the folder, or go on in it; of a run with other settings, no image counts as done any more.

    That goes before the new note is written: an interruption in between leaves the earlier settings with images to do,
    the other order would leave the new settings with images of the earlier ones.
    """
    if not folder.check(how, force=force):
        folder.remove("finished")
    folder.begin(how, force=force)


def _jobs(files: Sequence[ImageFile], frame: int | None) -> Iterator[Job]:
    for file in files:
        for number in range(file.frames) if frame is None else (frame,):
            yield Job(file, number, name_of(file, number))


def _unfinished(
    jobs: Sequence[Job], done: Sequence[bool], channel: int | None, large: set[Path], *, progress: bool
) -> Iterator[tuple[Job, np.ndarray | None]]:
    """Give the images that are still to do, reading each file once from its first to its last; None for large ones."""
    opened_file, frames = None, iter(())
    at = 0
    bar = tqdm(jobs, desc="segmenting", unit="image", disable=not progress)
    for job, is_done in zip(bar, done, strict=True):
        if is_done:
            continue
        if job.file.path in large:
            yield job, None
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
    with named(job.file):
        return with_pixel_size(method, job.file).segment_one(pixels, net, known, full=job.file.full)


def _write_one(folder: ResultFolder, job: Job, pixels: np.ndarray, found: Segmented, outputs: Outputs) -> None:
    size = job.file.pixel_size
    if outputs.probability:
        folder.put_image(f"{job.name}_probability.tif", found.probability, pixel_size=size)
    if outputs.overlay:
        folder.put_bytes(f"{job.name}_overlay.png", as_png(overlay(pixels, found.cells)))
    if outputs.geojson:
        folder.put_lines(f"{job.name}.geojson", geojson_lines(outlines(found.cells)))
    if outputs.rois:
        folder.put_zip(f"{job.name}_rois.zip", as_rois(found.cells))
    folder.put_image(f"{job.name}_mask.tif", found.cells, pixel_size=size)
    rows = table_rows(job.name, found.cells, pixels, pixel_size=size)
    folder.put_lines(_rows(job), map(csv_line, rows))  # the last: an image with it is done


def _work(job: Job, looks: Looks, net: nn.Module, known: ImageSettings | None, method: Method) -> BlockWork:
    with named(job.file):
        method = with_pixel_size(method, job.file)
        look = looks.at(job.file, job.frame)
        return work_on(job.file, look, net, known, method, channel=looks.channel, frame=job.frame)


def _write_large(
    folder: ResultFolder,
    job: Job,
    looks: Looks,
    work: BlockWork,
    net: nn.Module,
    outputs: Outputs,
    block: int | None,
    client,
    progress: bool,
) -> None:
    """Write what `_write_one` writes; the picture shows the large image smaller."""
    wanted = {"probability": outputs.probability, "block": block, "client": client, "progress": progress}
    with named(job.file):
        found = segment_large(folder, job.name, work, net, **wanted)
        if outputs.overlay:
            look = looks.at(job.file, job.frame)
            folder.put_bytes(f"{job.name}_overlay.png", as_png(overlay(look.sample, found.thin)))
        if outputs.geojson:
            folder.put_lines(f"{job.name}.geojson", geojson_lines(large_outlines(found)))
        if outputs.rois:
            folder.put_zip(f"{job.name}_rois.zip", rois_of(large_outlines(found)))
    rows = large_rows(job.name, found.joined, pixel_size=job.file.pixel_size)
    folder.put_lines(_rows(job), map(csv_line, rows))
    folder.remove(f"unfinished/{job.name}")


def _rows(job: Job) -> str:
    return f"finished/{job.name}.csv"


def _area(line: str) -> int:
    return int(line.split(",")[TABLE_HEAD.index("area_px")])


def _network_note(net: nn.Module) -> str:
    total = sum(float(parameter.detach().double().abs().sum()) for parameter in net.parameters())
    return f"{sum(p.numel() for p in net.parameters())} weights, sum of sizes {total:.9g}"


def _size_word(jobs: Sequence[Job], areas: Sequence[array], known: ImageSettings | None, method: Method) -> str | None:
    """Return a warning if the cells found are of another size than the network's, each file at the scale it was seen.

    `areas` are those of the cells of each job, in px of its image.
    """
    if known is None or known.diameter is None or not any(areas) or method.diameter is not None:
        return None
    scales = [with_pixel_size(method, job.file).scales(known)[0] for job in jobs]
    seen = np.concatenate(
        [np.asarray(own) * rows * columns for own, (rows, columns) in zip(areas, scales, strict=True)]
    )
    larger = area_diameter(float(np.median(seen))) / (known.diameter * known.scale)
    if 1 / OFF <= larger <= OFF:
        return None
    found = area_diameter(float(np.median(np.concatenate(areas))))
    return (
        f"warning: the cells found are {found:.0f} px across (median), the network's were {found / larger:.0f} px at "
        "this scale; measure one cell and give it as --diameter"
    )
