"""Reading TIFF files by the axes that they name, with one clear error for whatever can be wrong with them.

tifffile reads TIFF, BigTIFF, OME-TIFF and ImageJ's hyperstacks, and is a dependency of the book anyway; bioio would
add readers of vendors' formats, some thirty packages, and no check that is missing here. What tifffile forgives (a
chain of pages that ends early or runs in a circle, a stack whose pages were cut) is refused before it sees the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
import tifffile

PAGE_AXES = ("YX", "YXS", "SYX")  # what one page of a file can hold
FORMATS = {42: ("H", "I", 12), 43: ("Q", "Q", 20)}  # number in the head -> number of tags, offset, bytes of a tag
LARGEST_RATIO = 3_000  # bytes of pixels per byte of file: more than LZW or deflate can reach
ALWAYS_FINE = 1 << 26  # bytes of pixels that no limit refuses


class TiffImages:
    """The images of an open TIFF file, one plane at a time, by the axes that the file names.

    Attributes
    ----------
    frames : int
        Number of images: the product of all axes (time, depth, sequence) beside channel, row and column.
    channels : int
        Number of channels or, in a colour image, of colours (an alpha channel counts).
    size : tuple of int
        (H, W) in px.
    axes : str
        As tifffile writes them, e.g. ``"TCYX"``; shown in messages.
    shape : tuple of int
        Length of each of the axes.
    is_colour : bool
        The channels are the colours of one picture, not separate recordings.
    """

    def __init__(self, tiff: tifffile.TiffFile) -> None:
        self.tiff = tiff
        series = _alike(list(tiff.series))
        self.page = series[0].keyframe
        self.dtype = np.dtype(series[0].dtype)
        self.axes, self.shape = series[0].axes, tuple(series[0].shape)
        if len(series) > 1:  # pages that were appended one by one
            self.axes, self.shape = "I" + self.axes, (len(series), *self.shape)
        self._series = series
        if not {"Y", "X"} <= set(self.axes):
            raise ValueError(f"its axes are {self.axes}, without rows (Y) and columns (X)")
        self.size = tuple(self.shape[self.axes.index(axis)] for axis in "YX")
        self.channels = prod(n for axis, n in zip(self.axes, self.shape, strict=True) if axis in "CS")
        self.frames = prod(self.shape) // (self.channels * prod(self.size))
        self.is_colour = self.page.photometric.name in ("RGB", "YCBCR") and self.channels in (3, 4)

    @property
    def is_inverted(self) -> bool:
        """The file says that 0 is white."""
        return self.page.photometric.name == "MINISWHITE"

    @property
    def palette(self) -> np.ndarray | None:
        """(colours, 3) uint16 of an image of colour numbers; ImageJ's are for display only and do not count."""
        if self.page.photometric.name != "PALETTE" or self.tiff.is_imagej or self.page.colormap is None:
            return None
        return self.page.colormap.T

    def planes(self) -> Iterator[np.ndarray]:
        """Give one image after the other, (channels, H, W), dtype of the file; memory holds one of them."""
        for frame in range(self.frames):
            yield self.plane(frame)

    def plane(self, frame: int) -> np.ndarray:
        """Return image number `frame` as (channels, H, W)."""
        if not self._by_page():
            return self._pixels[frame]
        inner = self.page.axes
        outer, lengths = self.axes[: -len(inner)], self.shape[: -len(inner)]
        frames = [n for axis, n in zip(outer, lengths, strict=True) if axis != "C"]
        at = iter(np.unravel_index(frame, frames) if frames else ())
        place = tuple(slice(None) if axis == "C" else next(at) for axis in outer)
        pages = np.arange(prod(lengths)).reshape(lengths)[place]
        return np.concatenate([_channels_first(self._read(n), inner) for n in np.ravel(pages)])

    def series_of(self, frame: int) -> tuple[tifffile.TiffPageSeries, int]:
        """Return the series that holds image number `frame`, and the number of the image in it."""
        return (self._series[frame], 0) if len(self._series) > 1 else (self._series[0], frame)

    def _by_page(self) -> bool:
        """Each page is one plane: they can be read one by one."""
        inner = self.page.axes
        count = sum(len(series.pages) for series in self._series)
        outer = self.shape[: -len(inner)] if self.axes.endswith(inner) else (0,)
        return inner in PAGE_AXES and self.axes.endswith(inner) and count == prod(outer)

    def _read(self, number: int) -> np.ndarray:
        if len(self._series) > 1:
            return self._series[number].asarray()
        page = self._series[0].pages[number]
        if page is None:
            raise ValueError(f"page {number} is named by the file's description, but is not there")
        return page.asarray()

    @cached_property
    def _pixels(self) -> np.ndarray:
        """All of them, (frames, channels, H, W); uncompressed pages that follow each other are mapped, not read."""
        if len(self._series) == 1 and self._series[0].dataoffset is not None:
            pixels = self._series[0].asarray(out="memmap")
        else:
            pixels = np.concatenate([series.asarray()[None] for series in self._series]).reshape(self.shape)
        channels = [n for n, axis in enumerate(self.axes) if axis in "CS"]
        plane = [self.axes.index(axis) for axis in "YX"]
        order = [n for n in range(pixels.ndim) if n not in channels + plane] + channels + plane
        return pixels.transpose(order).reshape(self.frames, self.channels, *self.size)


@contextmanager
def open_tiff(path: Path, *, fix: str) -> Iterator[TiffImages]:
    """Open a TIFF file after checking its structure; whatever goes wrong while it is open names the file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    fix : str
        What the reader should do if the file is broken; ends every message.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no TIFF, is cut or forged, cannot be decoded, or holds series of different sizes.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {fix}")
    try:
        refuse_broken_chain(path)
        with tifffile.TiffFile(path) as tiff:
            _refuse_truncated(tiff, size=path.stat().st_size)
            yield TiffImages(tiff)
    except Exception as error:  # the codecs below tifffile raise classes of their own, without a common parent
        reason = str(error).strip() or type(error).__name__
        raise ValueError(f"{path} cannot be read as TIFF ({reason}); {fix}") from error


def read_tiff(path: Path, *, rank: int, fix: str) -> np.ndarray:
    """Return the pixels of one grey TIFF file as they are stored.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    rank : {2, 3}
        2 for one image (H, W), 3 for a stack of sections (N, H, W).
    fix : str
        What the reader should do if the file is broken; ends every message.

    Returns
    -------
    numpy.ndarray
        (H, W) or (N, H, W), dtype of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no TIFF, ends too early, cannot be decoded, is in colour, or holds pixels of another rank.
    """
    with open_tiff(path, fix=fix) as images:
        shape = images.shape
        grey = images.channels == 1 and images.palette is None and not images.is_inverted
        fits = grey and images.frames >= 1 and (rank == 3 or images.frames == 1)
        pixels = np.stack([plane[0] for plane in images.planes()]) if fits else None
    if pixels is None:
        wanted = "one grey image (H, W)" if rank == 2 else "a stack of grey images (N, H, W)"
        kind = images.page.photometric.name.lower()
        raise ValueError(f"{path} holds an array of shape {shape}; needs {wanted}, this is {kind} {images.axes}; {fix}")
    return pixels if rank == 3 else pixels[0]


def refuse_broken_chain(path: Path) -> None:
    """Follow the chain of pages from the head of a file to its end.

    Raises
    ------
    ValueError
        If the file is no TIFF, or the chain leaves the file or comes back to a page.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else None
        if version not in FORMATS:
            raise ValueError("no TIFF file")
        count_type, offset_type, tag_bytes = FORMATS[version]
        width = struct.calcsize(offset_type)
        at, seen = width, set()
        while offset := _number(file, at, order + offset_type, size, len(seen)):
            if offset in seen:
                raise ValueError(f"its chain of pages runs in a circle after {len(seen)} pages")
            seen.add(offset)
            tags = _number(file, offset, order + count_type, size, len(seen) - 1)
            at = offset + struct.calcsize(count_type) + tags * tag_bytes


def _number(file, at: int, form: str, size: int, pages: int) -> int:
    width = struct.calcsize(form)
    if at + width > size:
        raise ValueError(f"truncated: its chain of pages ends early, after {pages}")
    file.seek(at)
    return struct.unpack(form, file.read(width))[0]


def _refuse_truncated(tiff: tifffile.TiffFile, *, size: int) -> None:
    """Compare the file's length with what its pages announce; some readers fill the gap with zeros."""
    announced = 0
    for page in tiff.pages:
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if ends and max(ends) > size:
            raise ValueError(f"truncated: {size} bytes, its pages announce {max(ends)}")
        announced += page.nbytes
    if announced > max(ALWAYS_FINE, LARGEST_RATIO * size):
        raise ValueError(f"{announced} bytes of pixels announced in a file of {size} bytes")
    described = (tiff.imagej_metadata or {}).get("images", 1) if tiff.is_imagej else 1
    held = sum(series.nbytes for series in tiff.series) // max(tiff.pages.first.nbytes, 1)
    if described > held:
        raise ValueError(f"truncated: ImageJ's description announces {described} images, the file holds {held}")


def _alike(series: list[tifffile.TiffPageSeries]) -> list[tifffile.TiffPageSeries]:
    """Return the series of a file, which must be one, or single pages of one size that follow each other."""
    kinds = {(s.shape, str(s.dtype), s.axes) for s in series}
    if not series or 0 in series[0].shape:
        raise ValueError("it holds no image")
    if len(kinds) > 1 or (len(series) > 1 and any(len(s.pages) > 1 for s in series)):
        sizes = ", ".join(" x ".join(map(str, s.shape)) for s in series[:4])
        raise ValueError(f"it holds {len(series)} series of images ({sizes}{', ...' if len(series) > 4 else ''})")
    return series


def _channels_first(pixels: np.ndarray, axes: str) -> np.ndarray:
    if axes == "YXS":
        return np.moveaxis(pixels, -1, 0)
    return pixels if axes == "SYX" else pixels[None]
