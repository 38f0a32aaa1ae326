"""Images larger than memory, block by block: the map of a block equals that part of the map of the whole image.

Two things make it so. A block consists of whole tiles of the whole image's grid, and each tile sees the same window as
there (Fig. 2): the network computes the same numbers. And whatever belongs to the whole image is looked up in one pass
before: its grey values, and the place of each pixel when it is resized. Rotations by a quarter turn and mirroring map
the grid onto pixels, so they are cut too; a rotation by 360/7 degrees mixes pixels of far tiles and is refused, and so
is what needs the whole image for every pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn

from unet_paper.arrays import FULL_RANGE, check_image
from unet_paper.cells import instances
from unet_paper.datasets.image_files import ImageFile
from unet_paper.datasets.windows import Window, has_windows, open_windows
from unet_paper.networks.image_settings import ImageSettings
from unet_paper.options import check_border, check_device
from unet_paper.overlap_tile import Evaluate, check_request, evaluating, mirror_indices, tile_grid
from unet_paper.own_images.grey_values import (
    GreyMap,
    Range,
    choose_normalisation,
    grey_map,
    range_of,
    refuse_outside,
    scaled_min_size,
    sparse,
)
from unet_paper.own_images.segmenting import Method
from unet_paper.resizing import Part, needed_part, resized_part, scaled_size

AUTOMATIC = 1 << 25  # px: a whole image of this size takes about 2 GB, a larger one is cut without being asked
SIDE = 2048  # px of a block as the network sees it
LOOKED_AT_ONCE = 1 << 24  # px

Size = tuple[int, int]
View = tuple[int, bool]  # quarter turns, and whether the image is mirrored before


class Look(NamedTuple):
    """What one pass over an image tells: the range of its grey values, and its pixels thinned out (`sparse`)."""

    used: Range
    sample: np.ndarray


@dataclass(frozen=True, kw_only=True)
class BlockWork:
    """All that a block of one image needs to know of the whole; plain data, so that it can travel to other machines.

    Attributes
    ----------
    file, channel, frame
        Which image, as in `unet_paper.datasets.windows.open_windows`.
    grey : GreyMap
        From the file's grey values to [0, 1].
    size, scaled : tuple of int
        (H, W) in px of the image, and as the network sees it.
    clip : bool
        Cut off what resizing leaves beyond [0, 1].
    views : tuple
        (quarter turns, mirrored) of each version that is averaged over.
    tile : int
        Largest input tile in px.
    device, precision, threshold, border
        As in `Method`.
    min_size : int
        Components of so many px of the image are dropped.
    """

    file: ImageFile
    channel: int | None
    frame: int
    grey: GreyMap
    size: Size
    scaled: Size
    clip: bool
    views: tuple[View, ...]
    tile: int
    device: str | None
    precision: str
    threshold: float
    min_size: int
    border: int

    def probability(self, net: nn.Module, part: Part) -> np.ndarray:
        """Return the map of class 1 in a part of the image as the network sees it, (rows, columns) float32."""
        tiles = [tile for view in self.views for tile in self._tiles(net, view, part)]
        seen = _union([tile.source for tile in tiles])
        with open_windows(self.file, channel=self.channel, frame=self.frame) as window:
            image = torch.from_numpy(np.ascontiguousarray(self.read(window, seen))[None])  # (1, h, w)
        with evaluating(net, device=self.device, precision=self.precision) as evaluate:
            total = 0.0
            for view in self.views:
                mine = [tile for tile in tiles if tile.view == view]
                total = total + self._of_view(net, evaluate, image, seen, view, mine, part)
        return (total / len(self.views)).float().numpy()

    def read(self, window: Window, part: Part) -> np.ndarray:
        """Return a part of the image as the network sees it: in [0, 1], resized."""
        if self.size == self.scaled:
            return self.grey.of(window(*part))
        need = needed_part(part, self.size, self.scaled)
        corner = (need[0][0], need[1][0])
        image = resized_part(self.grey.of(window(*need)), corner, self.size, self.scaled, part)
        return image.clip(0, 1) if self.clip else image

    def _tiles(self, net: nn.Module, view: View, part: Part) -> Iterator[_Tile]:
        """Give the tiles of a view's grid that touch a part of the image."""
        size = turned_size(self.scaled, view)
        grids = [tile_grid(net, n, tile=self.tile) for n in size]
        spans = [
            [start for start in grid.starts if start < stop and start + grid.step > first]
            for grid, (first, stop) in zip(grids, turned_part(part, self.scaled, view), strict=True)
        ]
        for top in spans[0]:
            for left in spans[1]:
                index = tuple(
                    mirror_indices(start - net.border, start - net.border + grid.size, n)
                    for start, grid, n in zip((top, left), grids, size, strict=True)
                )
                rows, columns = ((int(i.min()), int(i.max()) + 1) for i in index)
                steps = (min(grids[0].step, size[0] - top), min(grids[1].step, size[1] - left))
                yield _Tile(view, (top, left), steps, index, turned_back((rows, columns), self.scaled, view))

    def _of_view(
        self,
        net: nn.Module,
        evaluate: Evaluate,
        image: Tensor,
        seen: Part,
        view: View,
        tiles: Sequence[_Tile],
        part: Part,
    ) -> Tensor:
        """Return what one view says about class 1 in a part, upright, (rows, columns) float64."""
        turned, (at_row, at_column) = turned_image(image, view), _corner(turned_part(seen, self.scaled, view))
        (top, bottom), (left, right) = turned_part(part, self.scaled, view)
        scores = np.empty((net.num_classes, bottom - top, right - left), dtype=np.float32)
        for tile in tiles:
            rows, columns = tile.index
            window = turned[:, torch.from_numpy(rows - at_row)[:, None], torch.from_numpy(columns - at_column)]
            result = evaluate(window)[:, : tile.steps[0], : tile.steps[1]].numpy()
            row, column = tile.corner[0] - top, tile.corner[1] - left  # in the part; may begin before it
            here = result[:, max(0, -row) : bottom - top - row, max(0, -column) : right - left - column]
            scores[:, max(0, row) :, max(0, column) :][:, : here.shape[1], : here.shape[2]] = here
        cell = torch.from_numpy(softmax(scores, axis=0))[1:2]
        return turned_image_back(cell, view)[0].double()


class _Tile(NamedTuple):
    """A tile of a view: output corner and sides, the view's rows and columns that it sees, and that part upright."""

    view: View
    corner: tuple[int, int]
    steps: tuple[int, int]
    index: tuple[np.ndarray, np.ndarray]
    source: Part


def is_cut(file: ImageFile, block: int | None) -> bool:
    """Tell whether an image is segmented block by block: asked for, or too large for memory as a whole."""
    if block is None:
        return has_windows(file) and prod(file.size) > AUTOMATIC
    return has_windows(file) and 0 < block < max(file.size)


def refuse_inexact(method: Method, known: ImageSettings | None) -> None:
    """Refuse what cannot be computed block by block with the same result as of the whole image.

    Raises
    ------
    ValueError
        Naming it, and what to choose.
    """
    whole = "or --block 0, if memory holds about 50 bytes for each pixel"
    if method.rotations not in (1, 2, 4):
        raise ValueError(
            f"rotations is {method.rotations}: only 1, 2 or 4 can be computed block by block, because other angles mix "
            f"pixels of all blocks; choose one of them, {whole}"
        )
    if known is not None and known.standardise:
        raise ValueError(
            "this network wants every image with mean 0 and variance 1, which depends on each pixel of the whole; it "
            f"cannot be used block by block: take smaller images, {whole}"
        )


def look_at(file: ImageFile, *, channel: int | None = None, frame: int = 0) -> Look:
    """Read an image once from top to bottom.

    Raises
    ------
    ValueError
        If it cannot be read, or holds NaN or infinite values.
    """
    height, width = file.size
    rows_at_once = max(1, LOOKED_AT_ONCE // width)
    low, high, samples, bad = np.inf, -np.inf, [], 0
    with open_windows(file, channel=channel, frame=frame) as window:
        for top in range(0, height, rows_at_once):
            pixels = window((top, min(top + rows_at_once, height)), (0, width))
            bad += 0 if pixels.dtype.kind != "f" else int(pixels.size - np.isfinite(pixels).sum())
            used = range_of(pixels, full=file.full)
            low, high = min(low, used.low), max(high, used.high)
            samples.append(sparse(pixels, file.size, corner=(top, 0)).copy())
    if bad:
        raise ValueError(f"{file.path} holds {bad} NaN or infinite values; replace them, e.g. numpy.nan_to_num")
    return Look(Range(low, high, used.full), np.concatenate(samples))


def work_on(
    file: ImageFile,
    look: Look,
    net: nn.Module,
    known: ImageSettings | None,
    method: Method,
    *,
    channel: int | None,
    frame: int,
) -> BlockWork:
    """Return what the blocks of an image need to know, after checking that they can be exact.

    Raises
    ------
    ValueError, TypeError
        As `refuse_inexact`, or what `Method.segment_one` refuses.
    """
    refuse_inexact(method, known)
    instances(np.zeros((1, 1)), threshold=method.threshold, min_size=method.min_size or 0)  # their door
    check_border(method.border, file.size)
    check_device(method.device)
    check_request(net, np.empty((1, 1, 1)), tile=method.tile, precision=method.precision)
    (rows, columns), _ = method.scales(known)
    smallest = scaled_min_size(known or ImageSettings(), (rows, columns) if known else (1, 1))
    scaled = (scaled_size(file.size, rows)[0], scaled_size(file.size, columns)[1])
    turns = [4 * k // method.rotations for k in range(method.rotations)]
    return BlockWork(
        file=file,
        channel=channel,
        frame=frame,
        grey=_grey_map(file, look, known, method),
        size=file.size,
        scaled=scaled,
        clip=rows != columns,
        views=tuple((k, flip) for flip in (False, True)[: 1 + method.flips] for k in turns),
        tile=method.tile,
        device=method.device,
        precision=method.precision,
        threshold=method.threshold,
        min_size=smallest if method.min_size is None else method.min_size,
        border=method.border,
    )


def cuts(net: nn.Module, n: int, *, tile: int, block: int) -> list[int]:
    """Return where an axis of `n` px is cut: 0, multiples of a tile's step with at most `block` px between, and `n`."""
    step = tile_grid(net, n, tile=tile).step
    return [*range(0, n, max(1, block // step) * step), n]


def parts(rows: Sequence[int], columns: Sequence[int]) -> list[Part]:
    """Return the blocks between cuts, row by row."""
    spans = [list(pairwise(cut)) for cut in (rows, columns)]
    return [(row, column) for row in spans[0] for column in spans[1]]


def turned_size(size: Size, view: View) -> Size:
    """Return (H, W) of a view of an image of `size`."""
    return size if view[0] % 2 == 0 else size[::-1]


def turned_part(part: Part, size: Size, view: View) -> Part:
    """Return where a part of an image of `size` (H, W) lies in a view of it."""
    turns, flip = view
    (rows, columns), (_, width) = part, size
    if flip:
        columns = (width - columns[1], width - columns[0])
    for turn in range(turns):
        across = turned_size(size, (turn, flip))[1]
        rows, columns = (across - columns[1], across - columns[0]), rows
    return rows, columns


def turned_back(part: Part, size: Size, view: View) -> Part:
    """Undo `turned_part`: where a part of a view lies in the image of `size`."""
    turns, flip = view
    rows, columns = part
    for turn in reversed(range(turns)):
        across = turned_size(size, (turn, flip))[1]
        rows, columns = columns, (across - rows[1], across - rows[0])
    if flip:
        columns = (size[1] - columns[1], size[1] - columns[0])
    return rows, columns


def turned_image(image: Tensor, view: View) -> Tensor:
    """Return a view of an image (C, H, W): mirrored, then turned counter-clockwise."""
    return torch.rot90(image.flip(-1) if view[1] else image, view[0], dims=(1, 2))


def turned_image_back(image: Tensor, view: View) -> Tensor:
    """Undo `turned_image`."""
    upright = torch.rot90(image, -view[0], dims=(1, 2))
    return upright.flip(-1) if view[1] else upright


def _grey_map(file: ImageFile, look: Look, known: ImageSettings | None, method: Method) -> GreyMap:
    if known is None and method.normalise is None:  # by the file's type, through the same door as any image
        check_image(np.array([[look.used.low, look.used.high]], dtype=file.dtype), name="image")
        return GreyMap(None, None, full=FULL_RANGE.get(file.dtype, 1.0))
    known = known or ImageSettings()
    how = choose_normalisation(method.normalise, known, look.used)
    if how == "none":
        refuse_outside(look.used, name="image")
    return grey_map(how, look.used, look.sample, black=known.black, white=known.white)


def _union(found: Sequence[Part]) -> Part:
    rows, columns = zip(*found, strict=True)
    return (
        (min(first for first, _ in rows), max(last for _, last in rows)),
        (min(first for first, _ in columns), max(last for _, last in columns)),
    )


def _corner(part: Part) -> tuple[int, int]:
    return part[0][0], part[1][0]
