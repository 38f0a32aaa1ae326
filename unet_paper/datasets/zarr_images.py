"""Zarr and OME-Zarr, the form of images that are larger than memory, by the axes that they name.

zarr reads the chunks. ome-zarr-models, which the community around the format keeps, checks the metadata of the two
versions in use (0.4 in Zarr 2, 0.5 in Zarr 3); the reference package ome-zarr is built on it and would add file systems
for the network that nothing here needs. A plain Zarr array is read too, where its axes are known.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import lazy_loader
import numpy as np

from unet_paper.messages import install

zarr = lazy_loader.load("zarr", error_on_import=False)
ome_zarr_models = lazy_loader.load("ome_zarr_models", error_on_import=False)

MARKS = ("zarr.json", ".zgroup", ".zarray")  # a folder with one of them is a Zarr
MISSING = f"Zarr needs the packages zarr and ome-zarr-models: {install('images')}"
UNITS = {"micrometer": 1.0, "nanometer": 1e-3, "angstrom": 1e-4, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6}


class ZarrImages:
    """The images of an open Zarr at their full resolution, by its axes; attributes as in `TiffImages`.

    Attributes
    ----------
    array : zarr.Array
        All pixels, read by slices.
    pixel_size : tuple of float or None
        Height and width of a pixel in µm.
    """

    def __init__(self, array, axes: str, pixel_size: tuple[float, float] | None) -> None:
        self.array, self.axes, self.shape = array, axes, tuple(array.shape)
        self.dtype, self.pixel_size = np.dtype(array.dtype), pixel_size
        if not {"Y", "X"} <= set(axes) or len(axes) != len(self.shape):
            raise ValueError(f"its axes are {axes or 'not named'}, without rows (y) and columns (x)")
        if 0 in self.shape:
            raise ValueError(f"it holds no pixel, shape {self.shape}")
        self.size = tuple(self.shape[axes.index(axis)] for axis in "YX")
        self.channels = prod(n for axis, n in zip(axes, self.shape, strict=True) if axis in "CS")
        self.frames = prod(self.shape) // (self.channels * prod(self.size))

    def plane(self, frame: int) -> np.ndarray:
        """Return image number `frame` as (channels, H, W)."""
        return window_of(self.array, self.axes, frame, (0, self.size[0]), (0, self.size[1]))


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr: an array, or a group such as OME-Zarr's."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


@contextmanager
def open_zarr(path: Path) -> Iterator[ZarrImages]:
    """Open a Zarr array, or the largest level of an OME-Zarr; whatever goes wrong while it is open names the folder.

    Raises
    ------
    ValueError
        If it is no Zarr, its metadata is not that of OME-Zarr 0.4 or 0.5, it names no rows and columns or levels that
        are not there, a chunk is damaged, or the packages for it are missing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about codecs and keys that have not found a place in Zarr's specification
            node = zarr.open(path, mode="r")
            yield _array(node) if hasattr(node, "shape") else _image(node)
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: {MISSING}") from error
    except Exception as error:  # the codecs below zarr raise classes of their own, without a common parent
        reason = (str(error).strip() or type(error).__name__).splitlines()
        raise ValueError(f"{path} cannot be read as Zarr ({'; '.join(reason[:3])})") from error


def window_of(
    array, axes: str, frame: int, rows: tuple[int, int], columns: tuple[int, int], *, channel: int | None = None
) -> np.ndarray:
    """Return a window of one image out of an array of many.

    Parameters
    ----------
    array : array_like
        Anything with a shape that slices can be taken of.
    axes : str
        One letter for each of its axes: Y, X, C or S (channels, colours); the product of all others counts images.
    frame : int
        Which image.
    rows, columns : tuple of int
        First pixel, and the one behind the last.
    channel : int, optional
        This channel alone is read.

    Returns
    -------
    numpy.ndarray
        (channels, rows, columns), dtype of the array.
    """
    outer = [n for axis, n in zip(axes, array.shape, strict=True) if axis not in "CSYX"]
    at = iter(np.unravel_index(frame, outer) if outer else ())
    index = {"Y": slice(*rows), "X": slice(*columns)}
    index |= {axis: slice(None) for axis in axes if axis in "CS"}
    if channel is not None and sum(axis in "CS" for axis in axes) == 1:
        index |= {axis: slice(channel, channel + 1) for axis in axes if axis in "CS"}
    window = np.asarray(array[tuple(index[axis] if axis in index else int(next(at)) for axis in axes)])
    left = [axis for axis in axes if axis in index]
    order = [left.index(axis) for axis in left if axis in "CS"] + [left.index("Y"), left.index("X")]
    window = window.transpose(order)
    window = window.reshape(-1, *window.shape[-2:])
    whole = channel is not None and sum(axis in "CS" for axis in axes) > 1
    return window[channel : channel + 1] if whole else window


def _array(array) -> ZarrImages:
    """Of a plain array: the axes are those that Zarr 3 or xarray name; two are rows and columns."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    axes = "".join(_letter(name) for name in names) or ("YX" if len(array.shape) == 2 else "")
    if not axes:
        raise ValueError(
            f"an array of shape {tuple(array.shape)} whose axes have no names; save it as OME-Zarr, or name them in "
            "dimension_names, e.g. c, y, x"
        )
    return ZarrImages(array, axes, None)


def _image(group) -> ZarrImages:
    """Of an OME-Zarr: the first, largest level."""
    ome = group.attrs.get("ome", {}) if group.metadata.zarr_format == 3 else dict(group.attrs)
    _refuse_collections(group, ome)
    version = ome_zarr_models.v05 if group.metadata.zarr_format == 3 else ome_zarr_models.v04
    scales = version.image.Image.from_zarr(group).ome_attributes.multiscales[0]
    levels = [group[level.path] for level in scales.datasets]
    sizes = [prod(level.shape) for level in levels]
    if max(sizes) != sizes[0]:
        raise ValueError(f"its levels are {_shapes(levels)}, but the first must be the largest")
    axes = "".join(_letter(axis.name) for axis in scales.axes)
    transforms = [*scales.datasets[0].coordinateTransformations, *(scales.coordinateTransformations or ())]
    return ZarrImages(levels[0], axes, _pixel_size(axes, scales.axes, transforms))


def _refuse_collections(group, ome: dict) -> None:
    if "plate" in ome or "well" in ome:
        raise ValueError("a plate of many images; name one of them, e.g. plate.zarr/A/1/0")
    if "multiscales" not in ome:
        inside = ", ".join(sorted(group.keys())[:8])
        raise ValueError(f"a group without OME-Zarr's multiscales; name an image inside: {inside or 'it is empty'}")
    for scale in ome["multiscales"]:
        if not scale.get("axes") or not all(isinstance(axis, dict) for axis in scale["axes"]):
            raise ValueError("its multiscales name no axes, as before OME-Zarr 0.4; convert it to 0.4 or 0.5")
        missing = [level["path"] for level in scale["datasets"] if level["path"] not in group]
        if missing:
            raise ValueError(f"it names the levels {', '.join(missing)}, which are not there")


def _pixel_size(axes: str, described, transforms) -> tuple[float, float] | None:
    """Return height and width in µm where the axes have a unit of length."""
    sides = []
    for at in (axes.index(axis) for axis in "YX" if axis in axes):
        unit = UNITS.get(str(described[at].unit).lower())
        factors = [transform.scale[at] for transform in transforms if transform.type == "scale"]
        if unit is None or not factors or isinstance(factors[0], str):
            return None
        sides.append(float(np.prod(factors)) * unit)
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _letter(name: str | None) -> str:
    """Return one letter for an axis; what is not known counts images."""
    return str(name).upper() if str(name).upper() in ("T", "C", "Z", "Y", "X") else "I"


def _shapes(levels) -> str:
    return ", ".join(" x ".join(map(str, level.shape)) for level in levels)
