"""Small sequences and reference folders for the tests of tracking, and the challenge's measures by py-ctcmetrics."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import tifffile

from unet_paper.tracking.challenge_format import write_tracks
from unet_paper.tracking.linking import Tracks, link


def sequence(*rows: str) -> np.ndarray:
    """Return one frame of one row per string: "11.2" is cell 1 (2 px), a pixel of background, cell 2."""
    return np.array([[[0 if pixel == "." else int(pixel) for pixel in row]] for row in rows], dtype=np.int32)


def random_tracks(generator: np.random.Generator, *, frames: int = 4) -> Tracks:
    """Return linked blocks that come, stay, divide and go."""
    blocks = generator.integers(0, 5, (frames, 3, 4))
    stay = generator.random((frames, 3, 4)) < 0.7
    for time in range(1, frames):
        blocks[time] = np.where(stay[time], blocks[time - 1], blocks[time])
    cells = np.kron(blocks, np.ones((1, 3, 3), dtype=int))
    # A frame of background around it: py-ctcmetrics takes the smallest number of a mask for the background.
    return link(np.pad(cells, ((0, 0), (1, 1), (1, 1))), divisions=True)


def disturbed(tracks: Tracks, generator: np.random.Generator) -> Tracks:
    """Return the tracks of a program that merges, misses and invents cells, and links what is left."""
    labels = tracks.labels.copy()
    for frame in labels:
        for number in np.unique(frame[frame > 0]):
            chance = generator.random()
            frame[frame == number] = 0 if chance < 0.1 else generator.integers(1, 9) if chance < 0.3 else number
        frame[0, 0] = 99 if generator.random() < 0.3 else 0
    return link(labels, divisions=bool(generator.integers(2)))


def write_reference(folder: Path, tracks: Tracks, *, segmentation: np.ndarray | None = None) -> Path:
    """Write `folder/TRA` as the organisers do, and `folder/SEG` from label images (T, H, W) where given."""
    write_tracks(folder / "TRA", tracks)
    (folder / "TRA/res_track.txt").rename(folder / "TRA/man_track.txt")
    for path in (folder / "TRA").glob("mask*.tif"):
        path.rename(path.with_name(path.name.replace("mask", "man_track")))
    for number, labels in enumerate([] if segmentation is None else segmentation):
        (folder / "SEG").mkdir(exist_ok=True)
        tifffile.imwrite(folder / f"SEG/man_seg{number:03d}.tif", labels.astype(np.uint16))
    return folder


def challenge_measures(result: Path, reference: Path, *names: str) -> dict:
    """Return what py-ctcmetrics computes from two folders, silently and in this process."""
    from ctc_metrics.scripts.evaluate import evaluate_sequence

    with contextlib.redirect_stdout(io.StringIO()):
        return evaluate_sequence(str(result), str(reference), metrics=list(names), threads=1)


def challenge_finds_it_valid(result: Path) -> bool:
    """Return what the checker of py-ctcmetrics says about a result folder."""
    from ctc_metrics.scripts.validate import validate_sequence

    with contextlib.redirect_stdout(io.StringIO()):
        return validate_sequence(str(result), threads=1)["Valid"] == 1
