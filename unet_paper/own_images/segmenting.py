"""Your own images: the cells of every image, and of an image sequence their tracks, with a trained network.

What the commands `segment` and `track` do with one image after the other. The steps are those of section 4:
probability, threshold, connected components, a minimum size; tracks are linked by overlap as in the authors' release.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn
from tqdm import tqdm

from unet_paper.arrays import check_array
from unet_paper.cells import instances
from unet_paper.networks.image_settings import ImageSettings, settings_of
from unet_paper.networks.library import TrainedNetwork, read_network
from unet_paper.options import check_border, check_device
from unet_paper.overlap_tile import as_network_input
from unet_paper.own_images.grey_values import (
    axis_scales,
    choose_normalisation,
    normalised,
    range_of,
    scaled_min_size,
)
from unet_paper.predict import predict_probability
from unet_paper.resizing import resize_image, scaled_size
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
    min_size : int, optional
        Components of this many px or fewer are dropped, >= 0. Default: what the network's card says, at the scale that
        is used; the authors' 500 without a card.
    border : int
        Cells that lie wholly within this many px of the image's edge are dropped, >= 0.
    scale : float, optional
        Factor by which images are resized for the network; by default what its card says, 1 for a network without one.
    pixel_size : float or tuple of float, optional
        Side of a pixel in µm, or its height and width; images are resized to the pixels that the network knows.
    diameter : float, optional
        Of the cells in px; images are resized to the cells that the network knows.
    normalise : {"percentile", "range", "none"}, optional
        How grey values come into [0, 1] (`unet_paper.own_images.grey_values.normalised`); by default as the network's
        card says. Without a card: 8 and 16 bit by their type, floats must be there already.
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
    min_size: int | None = None
    border: int = 0
    scale: float | None = None
    rotations: int = 1
    flips: bool = False
    tile: int = 572
    device: str | None = None
    precision: str = "float32"
    pixel_size: float | tuple[float, float] | None = None
    diameter: float | None = None
    normalise: str | None = None

    def segment_each(self, images: Sequence, net: Network, *, progress: bool = True) -> Iterator[Segmented]:
        """Give the cells and the map of one image after the other; parameters as in `segment`."""
        net, known = opened(net, scale=self.scale)
        for image in tqdm(images, desc="segmenting", unit="image", disable=not progress):
            yield self.segment_one(image, net, known)

    def segment_one(
        self, image, net: nn.Module, known: ImageSettings | None, *, full: float | None = None
    ) -> Segmented:
        """Return the cells and the map of one image.

        Parameters
        ----------
        image : array_like
            (H, W) or (C, H, W).
        net : UNet
            The network.
        known : ImageSettings or None
            What it expects of images; None where nobody said.
        full : float, optional
            Largest grey value that the file's bits can hold.
        """
        check_device(self.device)
        scales, _ = self.scales(known)
        image = self.prepared(image, known, full=full)
        probability = _probability(
            net,
            image,
            scales,
            rotations=self.rotations,
            flips=self.flips,
            standardise=known is not None and known.standardise,
            tile=self.tile,
            device=self.device,
            precision=self.precision,
        )
        check_border(self.border, probability.shape)
        size = scaled_min_size(known or ImageSettings(), scales if known else (1, 1))
        size = size if self.min_size is None else self.min_size
        return Segmented(
            instances(probability, threshold=self.threshold, min_size=size, border=self.border), probability
        )

    def scales(self, known: ImageSettings | None) -> tuple[tuple[float, float], str]:
        """Return the factors by which rows and columns are resized, and the reason in words."""
        size = self.pixel_size
        pair = (float(size), float(size)) if isinstance(size, int | float) else size
        return axis_scales(known or ImageSettings(), scale=self.scale, pixel_size=pair, diameter=self.diameter)

    def prepared(self, image, known: ImageSettings | None, *, full: float | None = None):
        """Return an image in [0, 1] as the network knows it; of a network without a card, as it is."""
        if known is None and self.normalise is None:
            return image
        known, pixels = known or ImageSettings(), check_array(image, name="image", ranks=(2, 3))
        if pixels.ndim == 3 and len(pixels) > 1:
            raise ValueError(f"image has {len(pixels)} channels, shape {pixels.shape}; pass one grey image (H, W)")
        pixels = pixels.reshape(pixels.shape[-2:])
        how = choose_normalisation(self.normalise, known, range_of(pixels, full=full))
        return normalised(pixels, how, full=full, black=known.black, white=known.white)


def segment(
    images: Sequence,
    net: Network,
    *,
    threshold: float = 0.5,
    min_size: int | None = None,
    border: int = 0,
    scale: float | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    diameter: float | None = None,
    normalise: str | None = None,
    rotations: int = 1,
    flips: bool = False,
    tile: int = 572,
    device: str | None = None,
    precision: str = "float32",
    progress: bool = True,
) -> list[np.ndarray] | np.ndarray:
    """Return the cells of every image.

    What the network's card says about its training images (scale, grey values, smallest cell) is followed wherever
    nothing else is asked for, so that a published network needs no further argument.

    Parameters
    ----------
    images : sequence of array_like, or array_like
        N images (H, W), any size and type; an array (N, H, W) is one too. Or a single image (H, W).
    net : UNet, TrainedNetwork, str or path
        The network, or what `unet_paper.load_network` takes.
    threshold, min_size, border, scale, pixel_size, diameter, normalise, rotations, flips, tile, device, precision
        As in `Method`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of numpy.ndarray, or numpy.ndarray
        N label images (H, W) int32: 0 background, 1..n cells; of a single image, its own.

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
        pixel_size=pixel_size,
        diameter=diameter,
        normalise=normalise,
        rotations=rotations,
        flips=flips,
        tile=tile,
        device=device,
        precision=precision,
    )
    if isinstance(images, np.ndarray) and images.ndim == 2:
        return next(method.segment_each([images], net, progress=False)).cells
    return [found.cells for found in method.segment_each(images, net, progress=progress)]


def track(
    images: Sequence,
    net: Network,
    *,
    divisions: bool = False,
    threshold: float = 0.5,
    min_size: int | None = None,
    border: int = 0,
    scale: float | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    diameter: float | None = None,
    normalise: str | None = None,
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
    threshold, min_size, border, scale, pixel_size, diameter, normalise, rotations, flips, tile, device, precision
        As in `Method`.
    progress : bool
        Show a progress bar.

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
        pixel_size=pixel_size,
        diameter=diameter,
        normalise=normalise,
        rotations=rotations,
        flips=flips,
        tile=tile,
        device=device,
        precision=precision,
        progress=progress,
    )
    return within_field(link(cells, divisions=divisions), border)


def opened(net: Network, *, scale: float | None = None) -> tuple[nn.Module, ImageSettings | None]:
    """Return a network and what it expects of images; its file is read once.

    Raises
    ------
    ValueError
        If a file does not say at which scale its network sees images, and no `scale` is given.
    """
    if isinstance(net, nn.Module):
        return net, getattr(net, "images", None)
    trained = net if isinstance(net, TrainedNetwork) else read_network(net)
    if trained.card is None and scale is None:
        return trained.net, ImageSettings(scale=trained.scale)  # refused there, by the name of the file
    return trained.net, settings_of(trained.card)


def _probability(
    net: nn.Module, image, scales: tuple[float, float], *, rotations, flips, standardise, tile, device, precision
):
    """Return the map of class 1, (H, W) float32, of an image whose rows and columns are resized by `scales`."""
    size = np.shape(image)[-2:]
    square = scales[0] == scales[1]
    if not square:
        target = (scaled_size(size, scales[0])[0], scaled_size(size, scales[1])[1])
        image = resize_image(as_network_input(image), target).clip(0, 1)
    probability = predict_probability(
        net,
        image,
        rotations=rotations,
        flips=flips,
        scale=scales[0] if square else 1.0,
        standardise=standardise,
        tile=tile,
        device=device,
        precision=precision,
        progress=False,
    )
    return probability[1] if square else resize_image(probability, size)[1].clip(0, 1)
