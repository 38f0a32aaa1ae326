"""Windows of images that are larger than memory: TIFF in tiles, strips or one piece, Zarr and OME-Zarr.

Each window is read from the file for itself, so that memory holds no more than it and the pieces of the file below it.
Uncompressed TIFFs in one piece are mapped and let go again; of all others zarr reads the pieces that are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import lazy_loader
import numpy as np

from unet_paper.datasets.image_files import FIX, ImageFile, check_selection, grey_of, shown
from unet_paper.datasets.tiff import TiffImages, open_tiff
from unet_paper.datasets.zarr_images import is_zarr, open_zarr, window_of
from unet_paper.messages import install

zarr = lazy_loader.load("zarr", error_on_import=False)

LARGEST_PIECE = 1 << 29  # bytes that are read at once: half a gigabyte
Window = Callable[[tuple[int, int], tuple[int, int]], np.ndarray]


def has_windows(file: ImageFile) -> bool:
    """Tell whether parts of a file can be read alone: TIFF and Zarr, not PNG and JPEG."""
    return is_zarr(file.path) or file.path.suffix.lower() in (".tif", ".tiff")


@contextmanager
def open_windows(file: ImageFile, *, channel: int | None = None, frame: int = 0) -> Iterator[Window]:
    """Open an image for reading by windows.

    Parameters
    ----------
    file : ImageFile
        From `unet_paper.datasets.image_files.describe`.
    channel, frame : int
        As in `unet_paper.datasets.image_files.grey_frames`.

    Yields
    ------
    callable
        From (first row, row behind the last) and the same of columns to grey values (rows, columns), those that
        `grey_frames` gives.

    Raises
    ------
    ValueError
        If the file cannot be read, is compressed in pieces that are too large, or the package zarr is missing.
    """
    check_selection(file, channel=channel, frame=frame)
    if is_zarr(file.path):
        with open_zarr(file.path) as images:
            _refuse_large_pieces(images.array)
            yield lambda rows, columns: grey_of(
                window_of(images.array, images.axes, frame, rows, columns, channel=channel),
                file,
                None if channel is None else 0,
            )
    else:
        with open_tiff(file.path, fix=FIX) as tiff:
            array, axes, at = _array_of(tiff, file.path, frame)

            def window(rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
                one = None if tiff.palette is not None else channel
                pixels = shown(tiff, window_of(array, axes, at, rows, columns, channel=one))
                return grey_of(pixels, file, channel if one is None else 0)

            yield window


def _array_of(tiff: TiffImages, path: Path, frame: int):
    """Return what holds image number `frame`, its axes, and the number of the image in there."""
    series, at = tiff.series_of(frame)
    if series.dataoffset is not None:
        return _Mapped(path, tiff.tiff.byteorder, series), series.axes, at
    try:
        array = zarr.open(series.aszarr(level=0), mode="r")
    except ModuleNotFoundError as error:
        raise ValueError(f"large compressed TIFFs need the package zarr: {install('images')}") from error
    _refuse_large_pieces(array)
    return array, series.axes, at


class _Mapped:
    """Pixels that lie in a file one behind the other; mapped for each window alone, so that memory lets go of them."""

    def __init__(self, path: Path, byteorder: str, series) -> None:
        self.path, self.offset, self.shape = path, series.dataoffset, tuple(series.shape)
        self.dtype = np.dtype(series.dtype).newbyteorder(byteorder)

    def __getitem__(self, index: tuple) -> np.ndarray:
        pixels = np.memmap(self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=self.shape)
        return np.array(pixels[index], dtype=self.dtype.newbyteorder("="))


def _refuse_large_pieces(array) -> None:
    piece = prod(array.chunks) * np.dtype(array.dtype).itemsize
    if piece > LARGEST_PIECE:
        sides = " x ".join(map(str, array.chunks))
        raise ValueError(
            f"its pieces of {sides} take {piece / 2**30:.1f} GB each; save it in tiles of 512 x 512 px, uncompressed, "
            "or as OME-Zarr"
        )
