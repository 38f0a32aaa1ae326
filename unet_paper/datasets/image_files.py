"""Images as microscopes, Fiji and browsers save them: TIFF, OME-Zarr, PNG, JPEG; grey values one image at a time.

A file is described without reading its pixels, so that a whole folder can be checked before work starts, and read one
image after the other, so that memory does not grow with their number.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from imagecodecs import jpeg8_decode, png_decode

from unet_paper.datasets.tiff import TiffImages, open_tiff
from unet_paper.datasets.zarr_images import is_zarr, open_zarr

ENDINGS = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
# What `segment` writes into the folder of its masks.
BESIDE_MASKS = ("_overlay.png", "_probability.tif", "_probability.zarr")
FIX = "save it as a grey TIFF or PNG, for example in Fiji"
LUMINANCE = (0.2125, 0.7154, 0.0721)  # how bright red, green and blue look (ITU-R BT.709, as in scikit-image)
MICROMETRES = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0}
MICROMETRES |= {"\\u00b5m": 1.0, "nm": 1e-3, "å": 1e-4, "inch": 25_400.0}
PLAUSIBLE = (1e-4, 1e3)  # µm per px; 72 dots per inch, which programs write for want of better, is 353: see below

Size = tuple[int, int]


@dataclass(frozen=True)
class ImageFile:
    """What a file holds, known without reading its pixels.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    frames : int
        How many images: time points, planes, sections.
    channels : int
        How many values a pixel has, an alpha channel not counted.
    is_colour : bool
        They are red, green and blue of one picture, not separate recordings.
    size : tuple of int
        (H, W) in px.
    dtype : str
        Type of the grey values, e.g. ``"uint16"``.
    full : float or None
        Largest value that the file's bits can hold; None for floats.
    pixel_size : tuple of float or None
        Height and width of a pixel in µm, where the file says so.
    """

    path: Path
    frames: int
    channels: int
    is_colour: bool
    size: Size
    dtype: str
    full: float | None
    pixel_size: tuple[float, float] | None = None

    @property
    def kind(self) -> str:
        """Size and type in words, for messages."""
        many = f"{self.frames} x " if self.frames > 1 else ""
        colours = "colour " if self.is_colour else f"{self.channels} channels " if self.channels > 1 else ""
        return f"{many}{self.size[0]} x {self.size[1]} px {colours}{self.dtype}"


def list_images(source: str | os.PathLike | Sequence) -> list[Path]:
    """Return image files in the order in which people count: t2 before t10.

    Parameters
    ----------
    source : path or sequence of path
        A folder, a file, or a pattern such as ``"day1/*_w1.tif"``; or several of them.

    Raises
    ------
    FileNotFoundError
        If there is no such path, or no image in it.
    ValueError
        If it is a file of another kind.
    """
    if not isinstance(source, str | os.PathLike):
        return [path for part in source for path in list_images(part)]
    path = Path(source).expanduser()
    if is_zarr(path):
        return [path]
    if path.is_dir():
        found = [file for file in path.iterdir() if is_image(file)]
        names = f"*{', *'.join(ENDINGS)} or Zarr"
    elif path.is_file():
        if path.suffix.lower() not in ENDINGS:
            raise ValueError(f"{path} is none of *{', *'.join(ENDINGS)} or Zarr; {FIX}")
        return [path]
    else:
        found = [Path(name) for name in glob.glob(str(path)) if is_image(Path(name))]
        names = "image of that name"
    if not found:
        folders = sorted(p.name for p in path.iterdir() if p.is_dir()) if path.is_dir() else []
        hint = f"; its folders are {', '.join(folders[:20])}" if folders else ""
        missing = f"{path} holds no {names}{hint}" if path.is_dir() else f"{path} does not exist, nor matches any image"
        raise FileNotFoundError(missing)
    return sorted(found, key=natural_order)


def is_image(path: Path) -> bool:
    """Tell whether a path is an image: a file by its ending, a folder as a Zarr; what is hidden is none."""
    if path.name.startswith("."):
        return False
    return (path.suffix.lower() in ENDINGS and path.is_file()) or is_zarr(path)


def is_beside_mask(path: Path) -> bool:
    """Tell whether `segment` wrote a file beside its masks: an overlay or a map, which is no mask."""
    return path.name.endswith(BESIDE_MASKS)


def bare_name(path: Path) -> str:
    """Return the name of an image without its ending: `a` of `a.tif`, `a.ome.tif` and `a.ome.zarr`."""
    return re.sub(r"(\.ome)?\.[a-z]+$", "", path.name, flags=re.IGNORECASE)


def natural_order(path: Path) -> list:
    """Return a key that sorts numbers in names by their value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def describe(path: Path) -> ImageFile:
    """Return what a file holds; its pixels are read only where the format has no head to say it (PNG, JPEG).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no image of these formats, cut, or in a form that has no rows and columns.
    """
    if is_zarr(path):
        with open_zarr(path) as images:
            kind = images.dtype.kind
            full = None if kind == "f" else 1.0 if kind == "b" else float(np.iinfo(images.dtype).max)
            return ImageFile(
                path, images.frames, images.channels, False, images.size, str(images.dtype), full, images.pixel_size
            )
    if path.suffix.lower() not in (".tif", ".tiff"):
        pixels = _read_picture(path)
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        full = np.iinfo(pixels.dtype).max
        return ImageFile(path, 1, channels, channels == 3, pixels.shape[:2], str(pixels.dtype), float(full))
    with open_tiff(path, fix=FIX) as tiff:
        colour = tiff.is_colour or tiff.palette is not None
        channels = 3 if colour else tiff.channels
        return ImageFile(
            path, tiff.frames, channels, colour, tiff.size, str(tiff.dtype), _full(tiff), pixel_size_of(tiff)
        )


def grey_frames(file: ImageFile, *, channel: int | None = None, frame: int | None = None) -> Iterator[np.ndarray]:
    """Give the images of a file as grey values, one after the other.

    Parameters
    ----------
    file : ImageFile
        From `describe`.
    channel : int, optional
        Which channel to take, from 0; by default the only one, or the luminance of a colour picture.
    frame : int, optional
        Give this image alone, from 0.

    Yields
    ------
    numpy.ndarray
        (H, W), values of the file; float32 where they were computed from colours. 0 is black, also where the file
        says that 0 is white.

    Raises
    ------
    ValueError
        If there is no such channel or frame, or several channels and none is chosen.
    """
    check_selection(file, channel=channel, frame=frame)
    with _opened(file.path) as (count, plane):
        for number in range(count) if frame is None else (frame,):
            yield grey_of(plane(number), file, channel)


def check_selection(file: ImageFile, *, channel: int | None = None, frame: int | None = None) -> None:
    """Refuse a channel or a frame that a file does not have, and several channels of which none is chosen.

    Raises
    ------
    ValueError
        Naming those there are.
    """
    for name, value, count in (("channel", channel, file.channels), ("frame", frame, file.frames)):
        if value is not None and not 0 <= value < count:
            raise ValueError(f"{name} is {value}; {file.path} has the {name}s 0 .. {count - 1}")
    if channel is None and file.channels > 1 and not file.is_colour:
        raise ValueError(
            f"{file.path} has {file.channels} channels; choose one of 0 .. {file.channels - 1} (--channel)"
        )


def label_frames(file: ImageFile) -> Iterator[np.ndarray]:
    """Give the label images of a file as they are numbered in it: no colours, no luminance, nothing inverted.

    Yields
    ------
    numpy.ndarray
        (H, W), dtype of the file.

    Raises
    ------
    ValueError
        If the file is a JPEG, which changes numbers, or has several channels.
    """
    if file.path.suffix.lower() in (".jpg", ".jpeg"):
        raise ValueError(f"{file.path} is a JPEG, which changes numbers; save masks as TIFF or PNG")
    with _opened(file.path, colours=False) as (count, plane):
        for number in range(count):
            pixels = plane(number)
            if len(pixels) > 1 and (pixels != pixels[:1]).any():
                raise ValueError(
                    f"{file.path} is in colour; a mask holds one number per pixel: 0 background, 1, 2, 3, ... cells"
                )
            yield pixels[0]


def pixel_size_of(tiff: TiffImages) -> tuple[float, float] | None:
    """Return height and width of a pixel in µm: from OME's description, ImageJ's unit, or the tags of TIFF."""
    file = tiff.tiff
    if file.is_ome:
        size = _ome_pixel_size(file.ome_metadata)
    else:
        unit = (file.imagej_metadata or {}).get("unit") if file.is_imagej else None
        size = _tagged_pixel_size(tiff.page, unit)
    if size is None or not all(PLAUSIBLE[0] <= side <= PLAUSIBLE[1] for side in size):
        return None
    return size


def _ome_pixel_size(description: str) -> tuple[float, float] | None:
    try:
        pixels = next(e for e in ElementTree.fromstring(description).iter() if e.tag.endswith("}Pixels"))
        sides = [
            float(pixels.attrib[f"PhysicalSize{axis}"]) * MICROMETRES[pixels.get(f"PhysicalSize{axis}Unit", "µm")]
            for axis in "YX"
        ]
    except (ElementTree.ParseError, StopIteration, KeyError, ValueError):
        return None
    return sides[0], sides[1]


def _tagged_pixel_size(page, unit: str | None) -> tuple[float, float] | None:
    """Tags count pixels per unit; without ImageJ's word for the unit only centimetres are believed."""
    tags = [page.tags.get(f"{axis}Resolution") for axis in "YX"]
    if unit is None and page.resolutionunit == 3:
        unit = "cm"
    factor = MICROMETRES.get(str(unit).lower())
    if factor is None or any(tag is None or 0 in tag.value for tag in tags):
        return None
    rows, columns = (factor * tag.value[1] / tag.value[0] for tag in tags)
    return rows, columns


def _full(tiff: TiffImages) -> float | None:
    if tiff.dtype.kind == "f":
        return None
    if tiff.palette is not None:
        return 65535.0
    bits = min(tiff.page.bitspersample, 8 * tiff.dtype.itemsize)
    return float(2**bits - 1)


@contextmanager
def _opened(path: Path, *, colours: bool = True) -> Iterator[tuple[int, Callable[[int], np.ndarray]]]:
    """Give the number of images in a file, and a function from a number to an image (channels, H, W)."""
    if path.suffix.lower() in (".tif", ".tiff"):
        with open_tiff(path, fix=FIX) as tiff:
            yield tiff.frames, lambda number: shown(tiff, tiff.plane(number)) if colours else tiff.plane(number)
    elif is_zarr(path):
        with open_zarr(path) as images:
            yield images.frames, images.plane
    else:
        pixels = _read_picture(path)
        yield 1, lambda _: pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def shown(tiff: TiffImages, plane: np.ndarray) -> np.ndarray:
    """Return pixels (channels, H, W) of a TIFF with colour numbers looked up and 0 as black."""
    if tiff.palette is not None:
        return np.moveaxis(tiff.palette[plane[0]], -1, 0)
    plane = plane.astype(np.uint8) if plane.dtype == bool else plane  # one bit per pixel: numbers to reckon with
    if tiff.is_inverted and plane.dtype.kind == "u":
        return np.asarray(_full(tiff)).astype(plane.dtype) - plane
    return plane


def grey_of(plane: np.ndarray, file: ImageFile, channel: int | None) -> np.ndarray:
    """Return the chosen channel of pixels (channels, H, W), or the luminance of a colour picture, as (H, W)."""
    if channel is not None:
        return plane[channel]
    if not file.is_colour:
        return plane[0]
    red, green, blue = plane[:3]
    if (red == green).all() and (green == blue).all():  # a grey picture that was saved in colour keeps its numbers
        return red
    return np.tensordot(np.array(LUMINANCE, dtype=np.float32), plane[:3].astype(np.float32), axes=1)


def _read_picture(path: Path) -> np.ndarray:
    """Return the pixels of a PNG or JPEG, (H, W) or (H, W, 3); transparency is left out."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    content = path.read_bytes()
    try:
        if kind == "JPEG" and b"\xff\xd9" not in content[-64:]:
            raise ValueError("truncated: it has no end")  # the decoder would fill the rest with grey
        pixels = png_decode(content) if kind == "PNG" else jpeg8_decode(content)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise ValueError(f"{path} cannot be read as {kind} ({error}); {FIX}") from error
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = pixels[..., : pixels.shape[2] - 1]
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def middle_frames(files: Iterable[ImageFile], count: int) -> list[tuple[ImageFile, int]]:
    """Return `count` images that are spread evenly over all images of the files, as (file, frame)."""
    every = [(file, frame) for file in files for frame in range(file.frames)]
    if len(every) <= count:
        return every
    return [every[math.floor((n + 0.5) * len(every) / count)] for n in range(count)]
