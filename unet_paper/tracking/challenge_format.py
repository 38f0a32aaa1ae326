"""The form in which the Cell Tracking Challenge takes results: one mask per frame, and a table of tracks.

`01_RES/mask000.tif`, `mask001.tif`, ... hold the number of a track in each of its pixels (16 bit), and every line of
`01_RES/res_track.txt` is one track: its number, first frame, last frame, parent (0 for none). The reference in
`01_GT/TRA` has the same form under other names.

References
----------
Maska et al., Nature Methods 20:1010, 2023, doi:10.1038/s41592-023-01879-y.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from unet_paper.arrays import check_labels
from unet_paper.atomic import replacing_folder
from unet_paper.datasets.image_sequence import numbered_files, read_stack, refuse_gaps
from unet_paper.datasets.zarr_images import is_zarr
from unet_paper.messages import short
from unet_paper.tracking.linking import Tracks, check_tracks

LARGEST = np.iinfo(np.uint16).max
NAMES = {"res_track.txt": "mask", "man_track.txt": "man_track"}  # table -> how the names of its masks begin
OURS = r"(mask|probability)\d+\.tif|res_track\.txt|cells\.csv"  # what a result folder may hold


def write_tracks(folder: str | os.PathLike, tracks: Tracks, *, force: bool = False) -> Path:
    """Write a challenge result: the whole folder appears, or nothing.

    Parameters
    ----------
    folder : path
        The folder to make, by custom the name of the sequence and `_RES`, such as `01_RES`.
    tracks : Tracks
        What to write.
    force : bool
        Replace a result that is there.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        If the tracks contradict themselves, or a number does not fit 16 bit.
    FileExistsError
        If the folder is not empty; with `force`, if it holds anything but a result.
    """
    with new_folder(folder, force=force) as unfinished:
        write_tracks_into(unfinished, tracks)
    return Path(folder)


def write_tracks_into(folder: Path, tracks: Tracks) -> None:
    """Write masks and table into an empty folder, such as `new_folder` gives; errors as `write_tracks`."""
    check_tracks(tracks)
    for time, labels in enumerate(tracks.labels):
        write_mask(folder / mask_name(time, len(tracks.labels) - 1), labels)
    np.savetxt(folder / "res_track.txt", tracks.table, fmt="%d")


def read_tracks(folder: str | os.PathLike) -> Tracks:
    """Return a challenge result (`01_RES`), or a reference of the same form (`01_GT/TRA`).

    Parameters
    ----------
    folder : path
        Holds `res_track.txt` and `maskNNN.tif`, or `man_track.txt` and `man_trackNNN.tif`, from 0 on.

    Returns
    -------
    Tracks
        Numbers as in the files.

    Raises
    ------
    FileNotFoundError
        If the folder, its table or masks are missing; the message lists which.
    ValueError
        If a file is damaged, or masks and table contradict each other.
    """
    folder = Path(folder)
    found = [name for name in NAMES if (folder / name).is_file()]
    if not found:
        raise FileNotFoundError(
            f"{folder} holds neither {' nor '.join(NAMES)}; name a folder such as 01_RES or 01_GT/TRA"
        )
    table = _read_table(folder / found[0])
    files = numbered_files(folder, prefix=NAMES[found[0]])
    refuse_gaps(files, first=0)
    masks = check_labels(read_stack(files), name=f"the masks of {folder}", ranks=(3,))
    tracks = Tracks(masks, table)
    try:
        check_tracks(tracks)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    return tracks


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Write one label image (H, W) as a compressed 16 bit TIFF.

    Raises
    ------
    ValueError
        If a label is negative or above 65535.
    """
    low, high = labels.min(), labels.max()
    if low < 0 or high > LARGEST:
        wrong = low if low < 0 else high
        raise ValueError(
            f"{path.name} would hold the label {wrong}; 16 bit hold 0 to {LARGEST}: cut the sequence into parts"
        )
    tifffile.imwrite(path, labels.astype(np.uint16), photometric="minisblack", compression="lzw")


def mask_name(number: int, last: int) -> str:
    """Return `mask007.tif`; four digits where the sequence's `last` number needs them: names sort like numbers."""
    return f"mask{number:0{max(3, len(str(last)))}d}.tif"


def result_folder(frames: Path, output: Path) -> Path:
    """Return where the result of an image sequence goes: `01` and `cells.tif` give `01_RES` and `cells_RES`."""
    frames = frames.resolve()
    whole = frames.is_dir() and not is_zarr(frames)
    return output / f"{frames.name if whole else frames.stem}_RES"


@contextmanager
def new_folder(folder: str | os.PathLike, *, force: bool = False) -> Iterator[Path]:
    """Give a folder to write into, which takes its place under `folder` if all goes well, and vanishes if not.

    Raises
    ------
    FileExistsError
        As `refuse_overwriting`; if another run writes the same folder; or if something came into it meanwhile: that is
        left alone, and the message says where the result is.
    """
    folder = Path(folder).resolve()
    with replacing_folder(folder, check=lambda: refuse_overwriting(folder, force=force)) as unfinished:
        yield unfinished


def refuse_overwriting(folder: Path, *, force: bool) -> None:
    """Refuse to write where something stands: anything without `force`, with it whatever is no result.

    Raises
    ------
    FileExistsError
        Naming what is there.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; name a folder for the result")
    there = sorted(folder.iterdir()) if folder.exists() else []
    if there and not force:
        raise FileExistsError(f"{folder} is not empty ({there[0].name}, ...); name another folder, or say --force")
    foreign = [path.name for path in there if not path.is_file() or not re.fullmatch(OURS, path.name)]
    if foreign:
        raise FileExistsError(f"{folder} holds {foreign[0]}, which is no result; name another folder")


def _read_table(path: Path) -> np.ndarray:
    rows = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        fields = line.split() if re.fullmatch(r"\s*[0-9]{1,10}(\s+[0-9]{1,10}){3}\s*", line) else []
        if not fields or max(map(int, fields)) > np.iinfo(np.int32).max:
            fix = "needs four whole numbers that int32 can hold: label, begin, end, parent"
            raise ValueError(f"{path}, line {number}: {short(ascii(line))}; {fix}")
        rows.append([int(field) for field in fields])
    return np.array(rows, dtype=np.int32).reshape(-1, 4)
