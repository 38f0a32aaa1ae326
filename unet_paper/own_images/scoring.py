"""How good masks are, image by image and in all: SEG, DET and F1 against a reference that may be partly annotated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from unet_paper.arrays import IGNORE, check_labels, check_same_shape
from unet_paper.datasets.image_files import label_frames
from unet_paper.metrics.cells import det, match_cells, merged_cells, seg
from unet_paper.own_images.pairs import Annotation, cells_of, find_pairs, image_name, understand

HEAD = ("image", "cells", "found", "SEG", "DET", "F1", "merged", "missed", "extra")


class CellScores(NamedTuple):
    """One image, or all: numbers of cells in the reference and found, and how well they agree.

    `seg`, `det` and `f1` (at an intersection over union above 0.5) lie in [0, 1], None where the reference has no
    cell; `merged` counts cuts that would part cells taken for one, `missed` and `extra` cells without a partner.
    """

    name: str
    cells: int
    found: int
    seg: float | None
    det: float | None
    f1: float | None
    merged: int
    missed: int
    extra: int


def score_cells(references: Sequence, results: Sequence, *, names: Sequence[str] | None = None) -> list[CellScores]:
    """Return the scores of each image, and of all together as the last entry.

    Parameters
    ----------
    references, results : sequence of array_like
        N label images (H, W): 0 background, 1..n cells; -1 in a reference where nobody annotated. Found cells that
        lie mostly there are neither right nor wrong, and do not count.
    names : sequence of str, optional
        Of the images.

    Returns
    -------
    list of CellScores
        N + 1 entries, the last named ``"all"``.

    Raises
    ------
    ValueError
        If an image and its reference differ in size, or there is none.
    """
    if not len(references):
        raise ValueError("there is no image to score")
    names = [str(n) for n in range(len(references))] if names is None else names
    pairs = [_comparable(*pair) for pair in zip(references, results, strict=True)]
    each = [_score(name, [pair]) for name, pair in zip(names, pairs, strict=True)]
    return [*each, _score("all", pairs)]


def score_files(masks, reference, *, unannotated: int | None = None) -> list[CellScores]:
    """Return the scores of a folder of masks against a folder of reference masks, paired by name.

    Parameters
    ----------
    masks, reference : path
        As in `unet_paper.own_images.pairs.find_pairs`. Where the masks hold one value beside 0, such as 255, each
        connected patch is a cell, on either side.
    unannotated : int, optional
        Value of the reference's pixels that nobody annotated; by default as `train_on_folder` finds it.
    """
    pairs = _paired(masks, reference)
    frames = [list(label_frames(truth)) for _, truth in pairs]
    meaning = understand([frame for file in frames for frame in file], unannotated=unannotated)
    drawn = [list(label_frames(found)) for found, _ in pairs]
    values = np.unique(np.concatenate([np.unique(mask[mask > 0]) for file in drawn for mask in file]))
    patches = Annotation("each patch is a cell", IGNORE, len(values) == 1)  # not `understand`, which refuses classes
    references, results, names = [], [], []
    for (found, truth), images, masks_there in zip(pairs, frames, drawn, strict=True):
        for number, (labels, cells) in enumerate(zip(images, masks_there, strict=True)):
            references.append(cells_of(labels, meaning, name=truth.path.name))
            results.append(cells_of(cells, patches, name=found.path.name))
            names.append(image_name(found.path) + (f"_t{number:03d}" if len(images) > 1 else ""))
    return score_cells(references, results, names=names)


def as_table(scores: Iterable[CellScores]) -> str:
    """Return the scores as text, one line per image."""
    rows = [HEAD, *(tuple(_text(value) for value in entry) for entry in scores)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEAD))]
    lines = []
    for row in rows:
        numbers = (value.rjust(width) for value, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *numbers]))
    return "\n".join(lines)


def as_csv(scores: Iterable[CellScores]) -> str:
    """Return the scores as comma-separated values with a head."""
    rows = [",".join(HEAD), *(",".join("" if v is None else str(v).replace(",", "_") for v in s) for s in scores)]
    return "\n".join(rows) + "\n"


def _score(name: str, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> CellScores:
    matches = [match_cells(*pair) for pair in pairs]
    cells = sum(len(m.reference) + len(m.missed) for m in matches)
    found = sum(len(np.unique(result[result > 0])) for _, result in pairs)
    right = sum(int((m.jaccard > 0.5).sum()) for m in matches)
    with_cells = [pair for pair in pairs if (pair[0] > 0).any()]
    totals = {"merged": sum(merged_cells(*pair) for pair in pairs)}
    totals["missed"] = sum(len(m.missed) for m in matches)
    totals["extra"] = sum(len(m.extra) for m in matches)
    if cells == 0:
        return CellScores(name, 0, found, None, None, None, **totals)
    weights = np.array([len(np.unique(truth[truth > 0])) for truth, _ in with_cells])
    mean_seg = float(np.average([seg(*pair) for pair in with_cells], weights=weights))
    mean_det = float(np.average([det(*pair) for pair in with_cells], weights=weights))
    return CellScores(name, cells, found, mean_seg, mean_det, 2 * right / (cells + found), **totals)


def _comparable(reference, result) -> tuple[np.ndarray, np.ndarray]:
    """Return both as int32, without the found cells that lie mostly where nobody annotated."""
    reference = check_labels(reference, name="reference")
    result = np.maximum(check_labels(result, name="result"), 0)
    check_same_shape(result, reference.shape, name="result", other="reference")
    sizes = np.bincount(result.ravel())
    unknown = np.bincount(result[reference == IGNORE], minlength=len(sizes))
    keep = 2 * unknown <= sizes
    return reference, np.where(keep[result], result, 0)


def _paired(masks, reference) -> list:
    pairs = find_pairs(masks, reference, images_are_masks=True)
    return [(pair.image, pair.mask) for pair in pairs.pairs]


def _text(value) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
