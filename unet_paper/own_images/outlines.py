"""Cells for other programs and for the eye: outlines, overlays, GeoJSON for QuPath, ROIs for ImageJ, a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import imagecodecs
import lazy_loader
import numpy as np
from scipy import ndimage
from skimage.measure import find_contours

from unet_paper.messages import install

roifile = lazy_loader.load("roifile", error_on_import=False)

COLOURS = np.array(  # of Okabe and Ito: people with any colour vision can tell them apart
    [(86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167)], dtype=np.uint8
)
TABLE_HEAD = ("image", "cell", "area_px", "area_um2", "row", "column", "mean_grey", "track")


class Outline(NamedTuple):
    """The outer edge of one cell: its number, and (P, 2) points as (column, row) in px; pixels are unit squares."""

    cell: int
    points: np.ndarray


def outlines(cells: np.ndarray) -> Iterator[Outline]:
    """Give the outline of every cell of a label image (H, W); of a cell in several parts, that of the largest."""
    for number, place in enumerate(ndimage.find_objects(np.maximum(cells, 0)), start=1):
        if place is None:
            continue
        yield outline_of(number, cells[place] == number, (place[0].start, place[1].start))


def outline_of(number: int, inside: np.ndarray, corner: tuple[int, int]) -> Outline:
    """Return the outline of one cell from where it is in its bounding box (h, w) bool, which begins at `corner`."""
    filled = ndimage.binary_fill_holes(np.pad(inside, 1))  # the edge of a hole can be longer than the outer one
    longest = max(find_contours(filled.astype(np.float32), 0.5), key=len)
    return Outline(number, (longest - 1 + np.array(corner) + 0.5)[:, ::-1])  # the centre of pixel 0 lies at 0.5


def overlay(image: np.ndarray, cells: np.ndarray, *, reference: np.ndarray | None = None) -> np.ndarray:
    """Return a picture of an image with its cells outlined, (H, W, 3) uint8.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) grey values of any type; shown from their 1st to their 99.8th percentile.
    cells : numpy.ndarray
        (H, W) int, 0 background. Every cell gets a colour, its edge is opaque and its inside is tinted.
    reference : numpy.ndarray, optional
        (H, W) int; its edges are white.
    """
    low, high = np.percentile(image, (1, 99.8))
    unit = ((image.astype(np.float32) - low) / max(high - low, 1e-9)).clip(0, 1)
    picture = np.repeat((255 * unit).astype(np.uint8)[..., None], 3, axis=2)
    inside = cells > 0
    colours = COLOURS[cells[inside] % len(COLOURS)]
    picture[inside] = (0.75 * picture[inside] + 0.25 * colours).astype(np.uint8)
    edge = _edges(cells)
    picture[edge] = COLOURS[cells[edge] % len(COLOURS)]
    if reference is not None:
        picture[_edges(np.maximum(reference, 0))] = 255
    return picture


def as_png(picture: np.ndarray) -> bytes:
    """Return a picture (H, W, 3) uint8 as a PNG file."""
    return imagecodecs.png_encode(np.ascontiguousarray(picture))


def geojson_lines(found: Iterable[Outline]) -> Iterator[str]:
    """Give the lines of a GeoJSON file that QuPath opens: one detection per cell, positions in px.

    Parameters
    ----------
    found : iterable of Outline
        Cells, one at a time: memory holds no more.
    """
    yield '{"type": "FeatureCollection", "features": ['
    comma = ""
    for cell, points in found:
        ring = [[round(float(x), 2), round(float(y), 2)] for x, y in points]
        if ring[0] != ring[-1]:
            ring.append(ring[0])
        feature = {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"objectType": "detection", "name": str(cell)},
        }
        yield comma + json.dumps(feature)
        comma = ","
    yield "]}"


def as_rois(cells: np.ndarray) -> list[tuple[str, bytes]]:
    """Return the outlines as ImageJ's ROIs: (name, content) of each file of a `RoiSet.zip`."""
    return rois_of(outlines(cells))


def rois_of(found: Iterable[Outline]) -> list[tuple[str, bytes]]:
    """Return outlines as ImageJ's ROIs, as `as_rois` does.

    Raises
    ------
    ValueError
        If the package roifile is not installed.
    """
    try:
        make = roifile.ImagejRoi.frompoints
    except ModuleNotFoundError as error:
        raise ValueError(f"ROIs need the package roifile: {install('images')}") from error
    rois = []
    for cell, points in found:
        roi = make(points.astype(np.float32), name=f"{cell:04d}")
        roi.roitype = roifile.ROI_TYPE.POLYGON
        rois.append((f"{cell:04d}.roi", roi.tobytes()))
    return rois


def table_rows(
    name: str,
    cells: np.ndarray,
    image: np.ndarray | None,
    *,
    pixel_size: tuple[float, float] | None = None,
    tracked=False,
) -> list[tuple]:
    """Return a row of `TABLE_HEAD` for every cell: area, centre of mass (row, column in px), mean grey of the image.

    Parameters
    ----------
    name : str
        Of the image.
    cells : numpy.ndarray
        (H, W) int.
    image : numpy.ndarray or None
        (H, W) grey values as in the file; None where there are only masks.
    pixel_size : tuple of float, optional
        Height and width of a pixel in µm, for the area in µm².
    tracked : bool
        The numbers are those of tracks.
    """
    numbers = np.unique(cells[cells > 0])
    areas = ndimage.sum_labels(np.ones(cells.shape), cells, numbers)
    centres = ndimage.center_of_mass(np.ones(cells.shape), cells, numbers)
    greys = [""] * len(numbers)
    if image is not None:
        greys = [f"{grey:.6g}" for grey in ndimage.mean(image.astype(np.float64), cells, numbers)]
    unit = None if pixel_size is None else pixel_size[0] * pixel_size[1]
    return [
        (
            name,
            int(cell),
            int(area),
            "" if unit is None else f"{area * unit:.4g}",
            f"{row:.2f}",
            f"{column:.2f}",
            grey,
            int(cell) if tracked else "",
        )
        for cell, area, (row, column), grey in zip(numbers, areas, centres, greys, strict=True)
    ]


def as_csv(rows: Iterable[tuple], *, head: bool = True) -> str:
    """Return rows of the table as comma-separated values; commas in names become underscores."""
    lines = [csv_line(TABLE_HEAD)] if head else []
    return "".join(f"{line}\n" for line in [*lines, *map(csv_line, rows)])


def csv_line(row: tuple) -> str:
    """Return one row of the table without the end of the line."""
    return ",".join(str(value).replace(",", "_") for value in row)


def _edges(cells: np.ndarray) -> np.ndarray:
    """Return where a cell's pixel has a neighbour of another number; the image's edge is none."""
    edge = np.zeros(cells.shape, dtype=bool)
    for axis in (0, 1):
        differs = np.diff(cells, axis=axis) != 0
        pads = [(0, 0), (0, 0)]
        for side in ((0, 1), (1, 0)):
            pads[axis] = side
            edge |= np.pad(differs, pads)
    return edge & (cells > 0)
