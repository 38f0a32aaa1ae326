"""The ISBI 2012 challenge: sections of a fruit fly larva's nerve cord under the electron microscope (section 4).

References
----------
Cardona et al., PLoS Biology 8(10): e1000502, 2010, doi:10.1371/journal.pbio.1000502 (the images).
Arganda-Carreras et al., Frontiers in Neuroanatomy 9:142, 2015, doi:10.3389/fnana.2015.00142 (the challenge).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from unet_paper.arrays import unit_range
from unet_paper.datasets.dataset import Dataset
from unet_paper.datasets.folders import find_folder
from unet_paper.datasets.synthetic_sections import synthetic_em
from unet_paper.datasets.tiff import read_tiff

FIX = "run: python -m unet_paper fetch isbi2012"
SECTIONS = 30
SIZE = 512  # px


def load_isbi2012(split: Literal["train", "test"] = "train", *, root: str | os.PathLike | None = None) -> Dataset:
    """Return the challenge's training or test sections.

    Parameters
    ----------
    split : {"train", "test"}
        30 sections with labels, or 30 without: the organisers keep the test labels to themselves.
    root : path, optional
        Folder that holds `isbi2012/`; without it ``$UNET_PAPER_DATA`` is searched, then what `own_root` names.

    Returns
    -------
    Dataset
        `images` (30, 512, 512) float32 in [0, 1]; `labels` (30, 512, 512) int32, 1 = cell, 0 = membrane, or None.
        One pixel is 4 nm x 4 nm, one section 50 nm thick; frame i is section i.

    Raises
    ------
    FileNotFoundError
        If the folder or one of its files is missing.
    ValueError
        If a file is damaged or holds something else; if `split` is neither "train" nor "test".

    References
    ----------
    Ronneberger et al. 2015, section 4; doi:10.1371/journal.pbio.1000502, doi:10.3389/fnana.2015.00142.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split is {split!r}; choose "train" (with labels) or "test" (without)')
    folder = find_folder(("isbi2012",), root=root, fix=FIX)
    _refuse_incomplete(folder, split=split)
    images = _read_volume(folder / f"{split}-volume.tif")
    return Dataset(
        name=f"isbi2012-{split}",
        images=unit_range(images, name=f"{split}-volume.tif"),
        labels=_read_labels(folder / "train-labels.tif", shape=images.shape) if split == "train" else None,
        frames=tuple(range(len(images))),
        source=f"Real data: the {len(images)} {split} sections of the ISBI 2012 challenge (electron microscopy).",
        is_real=True,
    )


def em_sections(*, root: str | os.PathLike | None = None) -> Dataset:
    """Return 30 labelled EM sections: the challenge's where they lie on this machine, else generated ones.

    Parameters
    ----------
    root : path, optional
        As in `load_isbi2012`.

    Returns
    -------
    Dataset
        `images` (30, 512, 512) float32 in [0, 1]; `labels` (30, 512, 512) int32, 1 = cell, 0 = membrane.
        `source` says in one sentence which it is. Damaged data are an error, never silently replaced.
    """
    try:
        find_folder(("isbi2012",), root=root, fix=FIX)
    except FileNotFoundError:
        stand_in = synthetic_em(SECTIONS, SIZE)
        return replace(stand_in, source=f"{stand_in.source} For the real ones, {FIX}")
    return load_isbi2012("train", root=root)


def _refuse_incomplete(folder: Path, *, split: str) -> None:
    wanted = ["train-volume.tif", "train-labels.tif"] if split == "train" else ["test-volume.tif"]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}; {FIX}")


def _read_volume(path: Path) -> np.ndarray:
    volume = read_tiff(path, rank=3, fix=FIX)
    if volume.shape != (SECTIONS, SIZE, SIZE):
        raise ValueError(f"{path} has shape {volume.shape}; the challenge has {(SECTIONS, SIZE, SIZE)}; {FIX}")
    return volume


def _read_labels(path: Path, *, shape: tuple[int, ...]) -> np.ndarray:
    """Return 1 = cell, 0 = membrane, int32; masks of 0 and 255 as well as of 0 and 1 are understood."""
    mask = _read_volume(path)
    values = np.unique(mask)
    if not np.isin(values, (0, mask.max())).all():
        raise ValueError(f"{path} holds {len(values)} grey values; a mask has two, 0 (membrane) and 255 (cell); {FIX}")
    return (mask > 0).astype(np.int32)
