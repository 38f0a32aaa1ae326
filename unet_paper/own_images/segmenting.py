"""Your own images: the cells of every image, and of an image sequence their tracks, with a trained network.

What the commands `segment` and `track` call. The steps are those of section 4: probability, threshold, connected
components, a minimum size; tracks are linked by overlap as in the authors' release.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from unet_paper.arrays import check_border
from unet_paper.cells import MIN_SIZE, instances
from unet_paper.datasets.image_sequence import load_image_sequence, load_masks
from unet_paper.networks.library import TrainedNetwork, read_network
from unet_paper.predict import predict_probability
from unet_paper.tracking.challenge_format import (
    mask_name,
    new_folder,
    refuse_overwriting,
    result_folder,
    write_map,
    write_mask,
    write_tracks,
)
from unet_paper.tracking.linking import Tracks, link, within_field

Network = nn.Module | TrainedNetwork | str | os.PathLike


class Segmented(NamedTuple):
    """One image: `cells` (H, W) int32, 0 background, 1..n cells; `probability` of cell (H, W) float32 in [0, 1]."""

    cells: np.ndarray
    probability: np.ndarray


class Summary(NamedTuple):
    """What was written: the folder, and how many images, cells and tracks (None where nothing was linked) it holds."""

    folder: Path
    images: int
    cells: int
    tracks: int | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """How cells are found: everything beside network and images that decides the result.

    Attributes
    ----------
    threshold : float
        Cell is where its probability is above it, in [0, 1].
    min_size : int
        Components of this many px or fewer are dropped, >= 0. Default: the authors' 500.
    border : int
        Cells that lie wholly within this many px of the image's edge are dropped, >= 0.
    scale : float, optional
        Factor by which images are resized for the network; by default what its card says, 1 for a network in memory.
    rotations, flips
        Averaging over rotated and mirrored versions, as in `unet_paper.predict_probability`.
    tile : int
        Largest input tile in px.
    device : str, optional
        Where to compute; by default where the network is.
    precision : {"float32", "bfloat16"}
        Of the convolutions.
    """

    threshold: float = 0.5
    min_size: int = MIN_SIZE
    border: int = 0
    scale: float | None = None
    rotations: int = 1
    flips: bool = False
    tile: int = 572
    device: str | None = None
    precision: str = "float32"

    def segment_each(self, images: Sequence, net: Network, *, progress: bool = True) -> Iterator[Segmented]:
        """Give the cells and the map of one image after the other; parameters as in `segment`."""
        _check_device(self.device)
        net, scale = _opened(net, self.scale)
        for image in tqdm(images, desc="segmenting", unit="image", disable=not progress):
            probability = predict_probability(
                net,
                image,
                rotations=self.rotations,
                flips=self.flips,
                scale=scale,
                tile=self.tile,
                device=self.device,
                precision=self.precision,
                progress=False,
            )[1]
            check_border(self.border, probability.shape)
            cells = instances(probability, threshold=self.threshold, min_size=self.min_size, border=self.border)
            yield Segmented(cells, probability)


def segment(
    images: Sequence,
    net: Network,
    *,
    threshold: float = 0.5,
    min_size: int = MIN_SIZE,
    border: int = 0,
    scale: float | None = None,
    rotations: int = 1,
    flips: bool = False,
    tile: int = 572,
    device: str | None = None,
    precision: str = "float32",
    progress: bool = True,
) -> list[np.ndarray]:
    """Return the cells of every image.

    Parameters
    ----------
    images : sequence of array_like
        N images (H, W) or (C, H, W), any size, uint8, uint16 or float in [0, 1]; an array (N, H, W) is one too.
    net : UNet, TrainedNetwork, str or path
        The network, or what `unet_paper.load_network` takes.
    threshold, min_size, border, scale, rotations, flips, tile, device, precision
        As in `Method`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of numpy.ndarray
        N label images (H, W) int32: 0 background, 1..n cells.

    Raises
    ------
    ValueError
        If a setting is out of its range, or a network's file does not say at which scale it sees images.
    FileNotFoundError
        If there is no such network.
    """
    method = Method(
        threshold=threshold,
        min_size=min_size,
        border=border,
        scale=scale,
        rotations=rotations,
        flips=flips,
        tile=tile,
        device=device,
        precision=precision,
    )
    return [found.cells for found in method.segment_each(images, net, progress=progress)]


def track(
    images: Sequence,
    net: Network,
    *,
    divisions: bool = False,
    threshold: float = 0.5,
    min_size: int = MIN_SIZE,
    border: int = 0,
    scale: float | None = None,
    rotations: int = 1,
    flips: bool = False,
    tile: int = 572,
    device: str | None = None,
    precision: str = "float32",
    progress: bool = True,
) -> Tracks:
    """Return the cells of an image sequence, each with one number from its first frame to its last.

    As in the release, cells outside of the field of interest (`border`) help to link, and are left out afterwards.

    Parameters
    ----------
    images : sequence of array_like
        T frames of one size, in their order.
    net
        As in `segment`.
    divisions : bool
        As in `unet_paper.link`.
    threshold, min_size, border, scale, rotations, flips, tile, device, precision, progress
        As in `segment`.

    Returns
    -------
    Tracks
        Labels (T, H, W) and the table of tracks.

    Raises
    ------
    ValueError, FileNotFoundError
        As in `segment`, or if frames differ in size.
    """
    cells = segment(
        images,
        net,
        threshold=threshold,
        min_size=min_size,
        scale=scale,
        rotations=rotations,
        flips=flips,
        tile=tile,
        device=device,
        precision=precision,
        progress=progress,
    )
    return within_field(link(cells, divisions=divisions), border)


def segment_files(
    frames: Path, output: Path, net: Network, *, method: Method, probability: bool = False, force: bool = False
) -> Summary:
    """Write one mask per image of a folder or stack: all of them, or nothing.

    Parameters
    ----------
    frames : pathlib.Path
        As in `unet_paper.datasets.image_sequence.load_image_sequence`; numbers may be missing.
    output : pathlib.Path
        The folder to make: `mask000.tif`, ..., 16 bit, and `probability000.tif`, ... if asked for.
    net
        As in `segment`.
    method : Method
        How cells are found.
    probability : bool
        Write the map of each image too, as float32 TIFF.
    force : bool
        Replace the result of an earlier run.

    Raises
    ------
    ValueError, OSError
        What is wrong with frames, network, settings or output; nothing is written then.
    """
    count = 0
    with new_folder(output, force=force) as folder:
        sequence = load_image_sequence(frames, complete=False)
        check_border(method.border, sequence.images.shape[1:])
        for number, found in zip(sequence.frames, method.segment_each(sequence.images, net), strict=True):
            name = mask_name(number, sequence.frames[-1])
            write_mask(folder / name, found.cells)
            if probability:
                write_map(folder / name.replace("mask", "probability"), found.probability)
            count += int(found.cells.max())
    return Summary(output, len(sequence), count)


def track_files(
    frames: Path,
    output: Path,
    net: Network | None,
    *,
    method: Method,
    divisions: bool = False,
    force: bool = False,
) -> Summary:
    """Write the tracks of an image sequence in the challenge's form: the whole folder, or nothing.

    Parameters
    ----------
    frames : pathlib.Path
        A folder of numbered frames or a stack; without a network, of masks.
    output : pathlib.Path
        Where the result goes, into a folder named after `frames`: `01` and `cells.tif` give `01_RES` and `cells_RES`.
    net
        As in `segment`; None: the frames are masks already, and are only linked.
    method : Method
        How cells are found; of masks, only `border` counts.
    divisions : bool
        As in `unet_paper.link`.
    force : bool
        Replace the result of an earlier run.

    Raises
    ------
    ValueError, OSError
        As in `segment_files`.
    """
    folder = result_folder(frames, output)
    refuse_overwriting(folder, force=force)
    tracks = within_field(link(_cells_of(frames, net, method), divisions=divisions), method.border)
    write_tracks(folder, tracks, force=force)
    count = sum(len(np.unique(frame[frame > 0])) for frame in tracks.labels)
    return Summary(folder, len(tracks.labels), count, len(tracks))


def _check_device(name: str | None) -> None:
    """Refuse a device that PyTorch does not know or this machine does not have.

    Raises
    ------
    ValueError
        Naming what to choose.
    """
    try:
        known = torch.device("cpu" if name is None else name)
    except RuntimeError as error:
        raise ValueError(f'device is "{name}"; choose cpu or cuda') from error
    if known.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device is "{name}", but PyTorch finds no GPU here; say --device cpu')


def _cells_of(frames: Path, net: Network | None, method: Method) -> list[np.ndarray]:
    """Return the cells (H, W) int32 of every frame; those at the edge stay, they help to link."""
    if net is None:
        return list(load_masks(frames))
    images = load_image_sequence(frames).images
    check_border(method.border, images.shape[1:])
    return [found.cells for found in replace(method, border=0).segment_each(images, net)]


def _opened(net: Network, scale: float | None) -> tuple[nn.Module, float]:
    """Return a network and the scale at which it sees images; its file is read once."""
    if isinstance(net, nn.Module):
        return net, 1.0 if scale is None else scale
    trained = net if isinstance(net, TrainedNetwork) else read_network(net)
    return trained.net, trained.scale if scale is None else scale
