"""The Cell Tracking Challenge: image sequences of living cells with partly annotated frames (section 4, Table 2).

A sequence such as `DIC-C2DH-HeLa/01` comes in four folders: the images `01`, masks drawn by people in `01_GT/SEG`
(gold: few frames, not always every cell), one marker in every cell of every frame in `01_GT/TRA`, and masks agreed
upon by earlier competitors' programs in `01_ST/SEG` (silver: every frame).

References
----------
Maska et al., Bioinformatics 30:1609, 2014, doi:10.1093/bioinformatics/btu080.
Ulman et al., Nature Methods 14:1141, 2017, doi:10.1038/nmeth.4473.
Maska et al., Nature Methods 20:1010, 2023, doi:10.1038/s41592-023-01879-y.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from unet_paper.arrays import IGNORE, check_labels, unit_range
from unet_paper.datasets.dataset import Dataset
from unet_paper.datasets.folders import find_folder
from unet_paper.datasets.synthetic_frames import synthetic_cells
from unet_paper.datasets.tiff import read_tiff
from unet_paper.options import check_choice

FETCH_NAMES = {"DIC-C2DH-HeLa": "dic-hela", "PhC-C2DH-U373": "phc-u373"}
MASKS = {"gold": ("_GT/SEG", "man_seg"), "silver": ("_ST/SEG", "man_seg"), "markers": ("_GT/TRA", "man_track")}

# What `cell_frames` generates where the sequence is absent: number of gold frames, (H, W) px, style.
_STAND_IN = {
    ("DIC-C2DH-HeLa", "01"): (9, (512, 512), "dic"),
    ("DIC-C2DH-HeLa", "02"): (9, (512, 512), "dic"),
    ("PhC-C2DH-U373", "01"): (15, (520, 696), "phase"),
    ("PhC-C2DH-U373", "02"): (19, (520, 696), "phase"),
}


def load_cell_tracking(
    name: str,
    sequence: int | str,
    *,
    annotation: Literal["gold", "silver", "markers"] | None = "gold",
    frames: Sequence[int] | None = None,
    root: str | os.PathLike | None = None,
) -> Dataset:
    """Return frames of one image sequence, with one kind of annotation.

    Parameters
    ----------
    name : str
        The challenge's name of the data set: ``"DIC-C2DH-HeLa"`` or ``"PhC-C2DH-U373"``.
    sequence : int or str
        1 or 2 (``"01"`` or ``"02"``).
    annotation : {"gold", "silver", "markers", None}
        Masks by people, masks by programs, one marker per cell, or images only.
    frames : sequence of int, optional
        Frame numbers to load. Default: the frames that have a gold mask for "gold", every frame otherwise.
    root : path, optional
        Folder that holds `ctc/NAME` or `NAME`; without it ``$UNET_PAPER_DATA`` is searched, then `data/`.

    Returns
    -------
    Dataset
        `images` (N, H, W) float32 in [0, 1]; `labels` (N, H, W) int32: 0 background, one number per cell.
        Gold labels are partial: a cell that has a marker but no gold mask is set to `IGNORE` (-1), over its silver mask
        where it has one and its marker, so that nothing learns from it that cells are background.

    Raises
    ------
    FileNotFoundError
        If a folder or frame is missing; the message lists which.
    ValueError
        If a file is damaged, frames differ in size, or an argument is unknown.

    References
    ----------
    Ronneberger et al. 2015, section 4; doi:10.1038/nmeth.4473, doi:10.1038/s41592-023-01879-y.
    """
    found = _Sequence(name, sequence, root=root)
    if annotation is None:
        return found.dataset(found.choose(frames, default=found.images), labels=None, kind="images only")
    check_choice(annotation, MASKS, name="annotation")
    masks = found.list_masks(annotation)
    numbers = found.choose(frames, default=masks if annotation == "gold" else found.images, masks=masks)
    labels = found.read_masks(annotation, numbers)
    if annotation == "gold":
        labels = found.ignore_unannotated(labels, numbers)
    return found.dataset(numbers, labels=labels, kind=f"{annotation} annotation")


def cell_frames(name: str, sequence: int | str, *, root: str | os.PathLike | None = None) -> Dataset:
    """Return annotated frames: the sequence's gold frames where it lies on this machine, else generated ones.

    Parameters
    ----------
    name, sequence, root
        As in `load_cell_tracking`; `name` and `sequence` must be one of the paper's two data sets.

    Returns
    -------
    Dataset
        `images` (N, H, W) float32 in [0, 1]; `labels` (N, H, W) int32: 0 background, 1..n cells, -1 unannotated.
        `source` says in one sentence which it is. Damaged data are an error, never silently replaced.
    """
    number = _two_digits(sequence)
    if (name, number) not in _STAND_IN:
        known = ", ".join(f"{known}/{digits}" for known, digits in _STAND_IN)
        raise ValueError(f"no cell frames called {name}/{number}; the paper's are {known}")
    try:
        find_folder(_folder_choices(name), root=root, fix=_fix(name))
    except FileNotFoundError:
        count, size, style = _STAND_IN[name, number]
        stand_in = synthetic_cells(count, size, style=style, generator=np.random.default_rng(int(number)))
        return replace(stand_in, source=f"{stand_in.source} For the real ones, {_fix(name)}")
    return load_cell_tracking(name, number, root=root)


def mark_unannotated(gold: np.ndarray, markers: np.ndarray, silver: np.ndarray | None = None) -> np.ndarray:
    """Return gold labels in which every cell without a gold mask is `IGNORE`.

    The marker says that a cell exists, the silver mask where it lies. Annotated pixels are never changed.

    Parameters
    ----------
    gold, markers : numpy.ndarray
        (H, W) int32, 0 background, 1..n.
    silver : numpy.ndarray, optional
        (H, W) int32; without it only the marker's own pixels are ignored.

    Returns
    -------
    numpy.ndarray
        (H, W) int32.
    """
    annotated = np.unique(markers[gold > 0])
    unseen = (markers > 0) & ~np.isin(markers, annotated)
    if silver is not None:
        unseen |= (silver > 0) & np.isin(silver, np.unique(silver[unseen]))
    return np.where(unseen & (gold == 0), IGNORE, gold).astype(np.int32)


def forgotten_cells(name: str, sequence: int | str, *, root: str | os.PathLike | None = None) -> int:
    """Count the cells of the silver masks that no gold mask touches: what the annotators left out.

    Parameters
    ----------
    name, sequence, root
        As in `load_cell_tracking`; only frames that have a gold mask are looked at.

    Returns
    -------
    int
        Cells, summed over frames; 0 where the gold masks are complete.
    """
    gold = load_cell_tracking(name, sequence, root=root)
    silver = load_cell_tracking(name, sequence, annotation="silver", frames=gold.frames, root=root)
    pairs = zip(gold.labels, silver.labels, strict=True)
    return sum(len(np.setdiff1d(s[s > 0], s[g > 0])) for g, s in pairs)


class _Sequence:
    """One sequence on disk: which frames and masks exist, and how to read them."""

    def __init__(self, name: str, sequence: int | str, *, root: str | os.PathLike | None):
        self.name, self.sequence, self.fix = name, _two_digits(sequence), _fix(name)
        self.folder = find_folder(_folder_choices(name), root=root, fix=self.fix)
        self.images = self._list(self.sequence, "t")

    def _list(self, folder: str, prefix: str) -> dict[int, Path]:
        if not (self.folder / folder).is_dir():
            raise FileNotFoundError(f"{self.folder} lacks the folder {folder}; {self.fix}")
        found = {}
        for path in sorted((self.folder / folder).glob(f"{prefix}*.tif")):
            if match := re.fullmatch(rf"{prefix}(\d+)", path.stem):
                found[int(match[1])] = path
        if not found:
            raise FileNotFoundError(f"{self.folder / folder} holds no {prefix}NNN.tif; {self.fix}")
        return found

    def list_masks(self, annotation: str) -> dict[int, Path]:
        folder, prefix = MASKS[annotation]
        return self._list(self.sequence + folder, prefix)

    def choose(self, frames: Sequence[int] | None, *, default: dict, masks: dict | None = None) -> tuple[int, ...]:
        """Return the frame numbers to read, after checking that each has an image (and a mask)."""
        numbers = tuple(default) if frames is None else tuple(int(number) for number in frames)
        if not numbers:
            raise ValueError("frames is empty; name at least one frame, or None for the default")
        for kind, files in (("images", self.images), ("masks", masks)):
            missing = [] if files is None else [number for number in numbers if number not in files]
            if missing:
                raise FileNotFoundError(f"{self.folder}, sequence {self.sequence}: no {kind} of frames {missing}")
        return numbers

    def read_masks(self, annotation: str, numbers: Sequence[int]) -> np.ndarray:
        files = self.list_masks(annotation)
        return check_labels(self._read([files[number] for number in numbers]), name=f"{annotation} masks", ranks=(3,))

    def ignore_unannotated(self, gold: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
        """Apply `mark_unannotated` frame by frame, as far as markers and silver masks were published."""
        if not (self.folder / f"{self.sequence}_GT/TRA").is_dir():
            return gold
        markers = self.read_masks("markers", numbers)
        has_silver = (self.folder / f"{self.sequence}_ST/SEG").is_dir()
        silver = self.read_masks("silver", numbers) if has_silver else [None] * len(numbers)
        return np.stack([mark_unannotated(*frame) for frame in zip(gold, markers, silver, strict=True)])

    def dataset(self, numbers: tuple[int, ...], *, labels: np.ndarray | None, kind: str) -> Dataset:
        images = self._read([self.images[number] for number in numbers])
        if labels is not None and labels.shape != images.shape:
            raise ValueError(f"{self.folder}: masks {labels.shape[1:]}, images {images.shape[1:]} px; {self.fix}")
        return Dataset(
            name=f"{self.name}/{self.sequence}",
            images=unit_range(images, name=f"{self.folder / self.sequence}"),
            labels=labels,
            frames=numbers,
            source=f"Real data: {len(numbers)} frames of {self.name}, sequence {self.sequence}, "
            f"Cell Tracking Challenge ({kind}).",
            is_real=True,
        )

    def _read(self, paths: list[Path]) -> np.ndarray:
        pixels = [read_tiff(path, rank=2, fix=self.fix) for path in paths]
        for path, frame in zip(paths, pixels, strict=True):
            if (frame.shape, frame.dtype) != (pixels[0].shape, pixels[0].dtype):
                here, there = (f"{image.shape} px {image.dtype}" for image in (frame, pixels[0]))
                raise ValueError(f"{path} is {here}, {paths[0].name} is {there}; {self.fix}")
        return np.stack(pixels)


def _two_digits(sequence: int | str) -> str:
    if not re.fullmatch(r"\d{1,2}", str(sequence)):
        raise ValueError(f'sequence is {sequence!r}; sequences are numbered 1, 2 (or "01", "02")')
    return f"{int(sequence):02d}"


def _folder_choices(name: str) -> tuple[str, str]:
    return f"ctc/{name}", name


def _fix(name: str) -> str:
    known = FETCH_NAMES.get(name)
    if known is None:
        return f"the data sets that can be fetched are {', '.join(FETCH_NAMES)}"
    return f"run: python -m unet_paper fetch {known}"
