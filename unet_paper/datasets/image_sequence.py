"""Image sequences: a folder of numbered frames, or one TIFF stack; refused if frames are missing or differ in size."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from imagecodecs import png_decode

from unet_paper.arrays import check_labels, unit_range, warn_of_small_range
from unet_paper.datasets.dataset import Dataset
from unet_paper.datasets.image_files import ImageFile, describe, is_beside_mask, label_frames
from unet_paper.datasets.tiff import read_tiff
from unet_paper.datasets.zarr_images import is_zarr
from unet_paper.messages import as_ranges, left_out

ENDINGS = (".tif", ".tiff", ".png")
FIX = "convert it to a grey image, 8 or 16 bit, TIFF or PNG"


def load_image_sequence(path: str | os.PathLike, *, complete: bool = True) -> Dataset:
    """Return the frames of an image sequence.

    Parameters
    ----------
    path : path
        A folder of TIFF or PNG files, one frame each, in the order of the last number in their names (`t000.tif`,
        `t001.tif`, ...); or one file, of which a TIFF may be a stack. Other files of a folder are passed over.
    complete : bool
        Refuse a folder in which numbers between the first and the last are missing.

    Returns
    -------
    Dataset
        `images` (T, H, W) float32 in [0, 1], `labels` None, `frames` the numbers in the names (from 0 in a stack).

    Raises
    ------
    FileNotFoundError
        If there is no such path, the folder holds no image, or frames are missing; the message lists which.
    ValueError
        If a file is no image, not grey, without a number or with that of another; or if frames differ in size.

    Warns
    -----
    UserWarning
        If a frame uses less than a quarter of its type's range.
    """
    numbers, pixels = _read_frames(Path(path), complete=complete)
    warn_of_small_range(pixels, name=str(path))
    return Dataset(
        name=Path(path).stem,
        images=unit_range(pixels, name=str(path)),
        labels=None,
        frames=numbers,
        source=f"Your own data: {len(numbers)} frames of {path}.",
        is_real=True,
    )


def describe_sequence(path: str | os.PathLike) -> list[tuple[ImageFile, int]]:
    """Return the frames of a sequence in their order, each as the file that holds it and its number there.

    Parameters
    ----------
    path : path
        A folder of numbered images as in `load_image_sequence`, or one file (also a Zarr) that holds all frames; any
        kind that `unet_paper.datasets.image_files` reads.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such path, numbers are missing or there twice, or frames differ in size or type.
    """
    path = Path(path)
    if path.is_file() or is_zarr(path):
        file = describe(path)
        return [(file, frame) for frame in range(file.frames)]
    files = numbered_files(path)
    refuse_gaps(files, first=min(files))
    described = [describe(file) for file in files.values()]
    for file in described:
        if file.frames > 1:
            raise ValueError(f"{file.path} holds {file.frames} images; in a folder of frames every file is one")
        if (file.size, file.dtype) != (described[0].size, described[0].dtype):
            first = described[0]
            raise ValueError(f"{file.path} is {file.kind}, {first.path.name} is {first.kind}; all frames must be alike")
    return [(file, 0) for file in described]


def load_masks(path: str | os.PathLike) -> np.ndarray:
    """Return the label images of a sequence, as they are numbered in the files.

    Parameters
    ----------
    path : path
        As in `load_image_sequence`, or a Zarr; no number may be missing.

    Returns
    -------
    numpy.ndarray
        (T, H, W) int32: 0 background, -1 unannotated. Cells need neither consecutive numbers nor the same number in
        every frame.

    Raises
    ------
    FileNotFoundError, ValueError
        As in `load_image_sequence`, or if pixels are no whole numbers (1.5, NaN), below -1, or too large for int32.
    """
    path = Path(path)
    if is_zarr(path):
        pixels = np.stack(list(label_frames(describe(path))))
    else:
        _, pixels = _read_frames(path, complete=True, are_masks=True)
    return check_labels(pixels, name=str(path), ranks=(3,))


def numbered_files(folder: Path, *, prefix: str = "", are_masks: bool = False) -> dict[int, Path]:
    """Return the images of a folder by the last number in their names, ascending; those that begin with `prefix`.

    Of masks, what `segment` writes beside them is passed over.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no such image in it.
    ValueError
        If a name has no number, or two have the same.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} does not exist; name a folder of frames or a TIFF stack")
    paths = [path for path in sorted(folder.glob(f"{prefix}*")) if _is_image(path)]
    paths = [path for path in paths if not (are_masks and is_beside_mask(path))]
    if not paths:
        folders = sorted(path.name for path in folder.iterdir() if path.is_dir())
        hint = f"; its folders are {', '.join(folders)}" if folders else ""
        raise FileNotFoundError(f"{folder} holds no {prefix}*.tif, .tiff or .png{hint}")
    files: dict[int, Path] = {}
    for path in paths:
        number = _number(path)
        if number in files:
            raise ValueError(f"{files[number]} and {path.name} are both number {number}; keep one sequence per folder")
        files[number] = path
    return dict(sorted(files.items()))


def refuse_gaps(files: dict[int, Path], *, first: int) -> None:
    """Refuse numbered files in which a number from `first` to the largest is missing; the message lists the first."""
    missing = left_out(sorted(files), first=first, last=max(files))
    if missing:
        folder = next(iter(files.values())).parent
        raise FileNotFoundError(
            f"{folder} lacks the frames {as_ranges(missing)}; cells cannot be followed across a gap"
        )


def read_stack(files: dict[int, Path]) -> np.ndarray:
    """Return numbered images as one array (T, H, W), dtype of the files.

    Raises
    ------
    ValueError
        If a file is no grey image, or one differs from the first in size or dtype.
    """
    frames = [_read_image(path) for path in files.values()]
    first = next(iter(files.values())).name
    for path, frame in zip(files.values(), frames, strict=True):
        if (frame.shape, frame.dtype) != (frames[0].shape, frames[0].dtype):
            here, there = (f"{image.shape} px {image.dtype}" for image in (frame, frames[0]))
            raise ValueError(f"{path} is {here}, {first} is {there}; all frames must be alike")
    return np.stack(frames)


def _read_frames(path: Path, *, complete: bool, are_masks: bool = False) -> tuple[tuple[int, ...], np.ndarray]:
    if path.is_file():
        pixels = read_tiff(path, rank=3, fix=FIX) if path.suffix.lower() != ".png" else _read_image(path)[None]
        return tuple(range(len(pixels))), pixels
    files = numbered_files(path, are_masks=are_masks)
    if complete:
        refuse_gaps(files, first=min(files))
    return tuple(files), read_stack(files)


def _read_image(path: Path) -> np.ndarray:
    if path.suffix.lower() != ".png":
        return read_tiff(path, rank=2, fix=FIX)
    try:
        pixels = png_decode(path.read_bytes())
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as PNG ({error}); {FIX}") from error
    if pixels.ndim != 2:
        raise ValueError(f"{path} holds an array of shape {pixels.shape}; needs one grey image (H, W); {FIX}")
    return pixels


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", path.stem)
    if not digits:
        raise ValueError(f"{path} has no number in its name; frames are ordered by it, e.g. t000{path.suffix}")
    return int(digits[-1])
