"""TRA, the Cell Tracking Challenge's measure of whole image sequences: what it costs to mend a result's tracks by hand.

A sequence of tracked cells is a graph: a vertex per cell and frame, a link to the same cell one frame later, and a link
from a mother's last frame to each daughter's first. TRA counts the operations that turn the result's graph into the
reference's, weighs them, and compares with drawing the whole reference by hand.

References
----------
Matula et al., PLoS ONE 10:e0144959, 2015, doi:10.1371/journal.pone.0144959.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from unet_paper.arrays import check_same_shape
from unet_paper.metrics.cells import EXTRA_COST, MISS_COST, SPLIT_COST, match_cells
from unet_paper.tracking.linking import Tracks, check_tracks

# The challenge's weights of the operations on links; those on cells stand with DET.
REDUNDANT_LINK_COST, MISSING_LINK_COST, WRONG_LINK_COST = 1, 1.5, 1

Cell = tuple[int, int]  # frame, label
Links = dict[tuple[Cell, Cell], Literal["track", "parent"]]


@dataclass(frozen=True)
class TrackingErrors:
    """The operations that mend a result, and the size of the reference.

    Attributes
    ----------
    splits : int
        Cuts of result cells that cover several reference cells (NS).
    missed, extra : int
        Reference cells that nothing covers (FN), result cells that cover none (FP).
    redundant_links, missing_links : int
        Links between found cells that the reference lacks (ED), links of the reference that the result lacks (EA).
    wrong_links : int
        Links of the wrong kind: within a track instead of mother to daughter, or the reverse (EC).
    cells, links : int
        Vertices and links of the reference.
    """

    splits: int
    missed: int
    extra: int
    redundant_links: int
    missing_links: int
    wrong_links: int
    cells: int
    links: int

    @property
    def det(self) -> float:
        """1 minus the cost of mending the cells, relative to drawing them all; in [0, 1]."""
        return _spared(self._cost_of_cells, MISS_COST * self.cells)

    @property
    def tra(self) -> float:
        """1 minus the cost of mending cells and links, relative to drawing them all; in [0, 1]."""
        by_hand = MISS_COST * self.cells + MISSING_LINK_COST * self.links
        return _spared(self._cost_of_cells + self._cost_of_links, by_hand)

    @property
    def _cost_of_cells(self) -> float:
        return SPLIT_COST * self.splits + MISS_COST * self.missed + EXTRA_COST * self.extra

    @property
    def _cost_of_links(self) -> float:
        redundant, missing = REDUNDANT_LINK_COST * self.redundant_links, MISSING_LINK_COST * self.missing_links
        return redundant + missing + WRONG_LINK_COST * self.wrong_links


def tra(reference: Tracks, result: Tracks) -> float:
    """Return TRA: 1 minus the cost of mending the result's cells and links, relative to drawing them all by hand.

    Parameters
    ----------
    reference : Tracks
        The challenge's markers, or any complete annotation. A result cell matches a marker when it covers more than
        half of it, so the shape of cells does not count.
    result : Tracks
        Same frames and size.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ, either is inconsistent, or the reference has no cell.

    References
    ----------
    Matula et al. 2015, doi:10.1371/journal.pone.0144959.
    """
    return tracking_errors(reference, result).tra


def tracking_errors(reference: Tracks, result: Tracks) -> TrackingErrors:
    """Count what TRA and DET weigh; parameters and errors as in `tra`."""
    check_same_shape(result.labels, reference.labels.shape, name="result", other="reference")
    for tracks in (reference, result):
        check_tracks(tracks)
    if len(reference) == 0:
        raise ValueError("the reference has no cell in any frame (all labels are 0); TRA needs at least one")
    frames = [match_cells(*pair) for pair in zip(reference.labels, result.labels, strict=True)]
    covered = [np.unique(frame.result, return_counts=True) for frame in frames]
    partner = _partners(frames, covered)
    wanted, found = links(reference), links(result)
    # Only links between cells that are found, each by one cell alone, are judged; the others vanish with their cells.
    found = {(partner[a], partner[b]): kind for (a, b), kind in found.items() if a in partner and b in partner}
    shared = wanted.keys() & found.keys()
    return TrackingErrors(
        splits=sum(int((counts - 1).sum()) for _, counts in covered),
        missed=sum(len(frame.missed) for frame in frames),
        extra=sum(len(frame.extra) for frame in frames),
        redundant_links=len(found) - len(shared),
        missing_links=len(wanted) - len(shared),
        wrong_links=sum(wanted[pair] != found[pair] for pair in shared),
        cells=sum(len(frame.reference) + len(frame.missed) for frame in frames),
        links=len(wanted),
    )


def links(tracks: Tracks) -> Links:
    """Return the links of an image sequence, from an earlier to a later cell, each with its kind."""
    found: Links = {}
    ends = dict(tracks.table[:, [0, 2]].tolist())
    for number, begin, end, parent in tracks.table.tolist():
        found |= {((time, number), (time + 1, number)): "track" for time in range(begin, end)}
        if parent:
            found[(ends[parent], parent), (begin, number)] = "parent"
    return found


def _partners(frames: list, covered: list) -> dict[Cell, Cell]:
    """Return the reference cell of every result cell that covers exactly one."""
    partner = {}
    for time, (frame, (names, counts)) in enumerate(zip(frames, covered, strict=True)):
        alone = np.isin(frame.result, names[counts == 1])
        pairs = zip(frame.result[alone].tolist(), frame.reference[alone].tolist(), strict=True)
        partner |= {(time, cell): (time, own) for cell, own in pairs}
    return partner


def _spared(cost: float, by_hand: float) -> float:
    return float(1 - min(cost, by_hand) / by_hand)
