"""From an image larger than memory to its mask and its table: blocks, bands, files.

First the maps: every finished block is a file, so an interrupted run loses at most the blocks that were being computed.
Then the cells are joined from band to band and written. The result is the one that the whole image gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn
from tqdm import tqdm

from unet_paper.datasets.image_files import describe
from unet_paper.datasets.windows import open_windows
from unet_paper.datasets.zarr_images import is_zarr
from unet_paper.own_images.blocks import SIDE, BlockWork, cuts, parts
from unet_paper.own_images.folder import LARGEST, TILE, ResultFolder
from unet_paper.own_images.grey_values import sparse
from unet_paper.own_images.joining import Joined, ReadBand, bands, join_cells, joined_bands
from unet_paper.own_images.machines import maps_of
from unet_paper.own_images.outlines import Outline, outline_of
from unet_paper.resizing import Part, needed_part, resized_part

BAND = 1 << 23  # px of a band


class LargeResult(NamedTuple):
    """The cells of a large image, measured; its mask thinned out by `sparse`, and where it was written."""

    joined: Joined
    thin: np.ndarray
    mask: Path


class Mosaic:
    """Blocks that lie in files, read by windows.

    Parameters
    ----------
    rows, columns : sequence of int
        Where the blocks are cut.
    load : callable
        From the number of the row and of the column of a block to its pixels.
    """

    def __init__(self, rows: Sequence[int], columns: Sequence[int], load: Callable[[int, int], np.ndarray]) -> None:
        self.rows, self.columns = rows, columns
        self.load = lru_cache(maxsize=len(columns) + 1)(load)

    def window(self, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
        """Return the pixels from first to last + 1 of rows and columns."""
        strips = []
        for i, (top, bottom) in enumerate(pairwise(self.rows)):
            if top < rows[1] and bottom > rows[0]:
                inside = slice(max(rows[0] - top, 0), rows[1] - top)
                strip = [
                    self.load(i, j)[inside, max(columns[0] - left, 0) : columns[1] - left]
                    for j, (left, right) in enumerate(pairwise(self.columns))
                    if left < columns[1] and right > columns[0]
                ]
                strips.append(np.concatenate(strip, axis=1))
        return np.concatenate(strips)

    def rows_of(self, band: tuple[int, int]) -> np.ndarray:
        """Return whole rows from first to last + 1."""
        return self.window(band, (0, self.columns[-1]))


def segment_large(
    folder: ResultFolder,
    name: str,
    work: BlockWork,
    net: nn.Module,
    *,
    probability: bool = False,
    block: int | None = None,
    client=None,
    progress: bool = True,
) -> LargeResult:
    """Write the mask of an image block by block, `NAME_mask.tif` in tiles or `NAME_mask.zarr` of a Zarr.

    Parameters
    ----------
    folder : ResultFolder
        Where to; finished blocks of an interrupted run lie in its `unfinished/NAME`.
    name : str
        Of the image.
    work : BlockWork
        From `unet_paper.own_images.blocks.work_on`.
    net : UNet
        The network.
    probability : bool
        Write the map too.
    block : int, optional
        Side of a block in px as the network sees the image.
    client : distributed.Client, optional
        Of a cluster that computes the blocks.
    progress : bool
        Show a bar.

    Returns
    -------
    LargeResult
        The cells.
    """
    place = f"unfinished/{name}"
    rows, columns = (cuts(net, n, tile=work.tile, block=block or SIDE) for n in work.scaled)
    plan = {"rows": rows, "columns": columns}  # blocks of another size do not fit together
    if folder.has(f"{place}/plan.json") and folder.read_json(f"{place}/plan.json") != plan:
        folder.remove(place)
    folder.put_json(f"{place}/plan.json", plan)
    plain = work.scaled == work.size and not probability
    maps = _maps(folder, place, work, net, rows, columns, work.threshold if plain else None, client, progress)
    cells = maps if plain else _at_own_size(folder, place, work, maps, keep=probability)

    height = max(TILE, BAND // work.size[1] // TILE * TILE)
    bar = tqdm(total=2 * len(bands(work.size[0], height)), desc="joining", unit="band", disable=not progress)

    def foreground(band: tuple[int, int]) -> np.ndarray:
        bar.update()
        return cells.rows_of(band)

    joined = _joined(foreground, work, height)
    if probability:
        chance = Mosaic(cells.rows, cells.columns, lambda i, j: folder.read_array(f"{place}/chance_{i}_{j}.npz"))
        _put(folder, f"{name}_probability", work, map(chance.rows_of, bands(work.size[0], TILE)), "float32")
    thin = []
    final = _thinned(joined_bands(foreground, work.size, joined, rows=height), work.size, thin)
    mask = _put(folder, f"{name}_mask", work, final, "uint16" if len(joined.measures) <= LARGEST else "uint32")
    bar.close()
    return LargeResult(joined, np.concatenate(thin), mask)


def large_outlines(found: LargeResult) -> Iterator[Outline]:
    """Give the outlines that `unet_paper.own_images.outlines.outlines` makes of a whole mask, from the written one."""
    with open_windows(describe(found.mask)) as window:
        for cell, (top, left, bottom, right) in enumerate(found.joined.places.tolist(), start=1):
            yield outline_of(cell, window((top, bottom), (left, right)) == cell, (top, left))


def large_rows(name: str, joined: Joined, *, pixel_size: tuple[float, float] | None) -> Iterator[tuple]:
    """Give the rows that `unet_paper.own_images.outlines.table_rows` makes of a whole image."""
    unit = None if pixel_size is None else pixel_size[0] * pixel_size[1]
    for cell, (area, _, rows, columns, grey) in enumerate(joined.measures, start=1):
        micrometres = "" if unit is None else f"{area * unit:.4g}"
        centre = f"{rows / area:.2f}", f"{columns / area:.2f}"
        yield name, cell, int(area), micrometres, *centre, f"{grey / area:.6g}", ""


def _maps(folder, place, work, net, rows, columns, threshold, client, progress) -> Mosaic:
    """Compute the blocks that are not there yet; the result reads them."""
    number = {part: divmod(n, len(columns) - 1) for n, part in enumerate(parts(rows, columns))}
    file = "{}/map_{}_{}.npz".format
    missing = [part for part, at in number.items() if not folder.has(file(place, *at))]
    bar = tqdm(total=len(number), initial=len(number) - len(missing), desc="blocks", unit="block", disable=not progress)
    with bar:
        for part, result in maps_of(work, net, missing, threshold=threshold, client=client):
            folder.put_array(file(place, *number[part]), result)
            bar.update()
    return Mosaic(rows, columns, lambda i, j: folder.read_array(file(place, i, j)))


def _at_own_size(folder, place, work: BlockWork, maps: Mosaic, *, keep: bool) -> Mosaic:
    """Bring the maps back to the size of the image, where it was resized, and write where they are cells."""
    rows, columns = (
        sorted({round(cut * own / scaled) for cut in cut_at})
        for cut_at, own, scaled in zip((maps.rows, maps.columns), work.size, work.scaled, strict=True)
    )
    for n, part in enumerate(parts(rows, columns)):
        i, j = divmod(n, len(columns) - 1)
        if not folder.has(f"{place}/cells_{i}_{j}.npz"):
            chance = _resized_back(maps, work, part)
            if keep:
                folder.put_array(f"{place}/chance_{i}_{j}.npz", chance)
            folder.put_array(f"{place}/cells_{i}_{j}.npz", chance > work.threshold)
    return Mosaic(rows, columns, lambda i, j: folder.read_array(f"{place}/cells_{i}_{j}.npz"))


def _resized_back(maps: Mosaic, work: BlockWork, part: Part) -> np.ndarray:
    if work.scaled == work.size:
        return maps.window(*part)
    need = needed_part(part, work.scaled, work.size)
    corner = need[0][0], need[1][0]
    return resized_part(maps.window(*need), corner, work.scaled, work.size, part).clip(0, 1)


def _joined(foreground: ReadBand, work: BlockWork, height: int) -> Joined:
    how = {"rows": height, "min_size": work.min_size, "border": work.border}
    with open_windows(work.file, channel=work.channel, frame=work.frame) as window:
        grey = lambda band: window(band, (0, work.size[1]))  # noqa: E731
        return join_cells(foreground, grey, work.size, **how)


def _put(folder: ResultFolder, name: str, work: BlockWork, rows: Iterable[np.ndarray], dtype: str) -> Path:
    zarr = is_zarr(work.file.path)
    file = f"{name}.zarr" if zarr else f"{name}.tif"
    put = folder.put_zarr if zarr else folder.put_large_image
    put(file, rows, size=work.size, dtype=dtype, pixel_size=work.file.pixel_size)
    return folder.path / file


def _thinned(final: Iterator[np.ndarray], size: tuple[int, int], thin: list) -> Iterator[np.ndarray]:
    """Pass bands on; what `sparse` keeps of them is put into `thin`."""
    top = 0
    for band in final:
        thin.append(sparse(band, size, corner=(top, 0)).copy())
        top += len(band)
        yield band
