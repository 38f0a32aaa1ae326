"""Which cell is which from frame to frame: the linking by overlap of the authors' release (section 4).

The paper itself says nothing about tracking. The release of 2015, with which the authors entered the challenge, links
neighbouring frames by intersection over union alone: cells move less from frame to frame than they are wide.

References
----------
Ronneberger, Fischer, Brox 2015, section 4, doi:10.1007/978-3-319-24574-4_28, and its release.
Matula et al. 2015, doi:10.1371/journal.pone.0144959, for tracks as graphs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unet_paper.arrays import check_array, check_labels, overlaps
from unet_paper.messages import as_ranges, left_out, runs
from unet_paper.options import check_border, check_scalar


@dataclass(frozen=True)
class Tracks:
    """Cells that keep their number through an image sequence, and where each comes from.

    Attributes
    ----------
    labels : numpy.ndarray
        (T, H, W) int32: 0 background, one number per track, the same in every frame.
    table : numpy.ndarray
        (N, 4) int32, one row per track in the challenge's order L B E P: its number, its first and last frame
        (counted from 0, both inclusive), and its parent's number, 0 for none.
    """

    labels: np.ndarray
    table: np.ndarray

    def __len__(self) -> int:
        return len(self.table)


def link(frames: Sequence, *, divisions: bool = False) -> Tracks:
    """Give the cells of an image sequence numbers that last: one per track.

    Two neighbouring frames are linked in two steps. Each cell of the earlier frame is offered to the cell with which
    its intersection over union is largest; each cell of the later frame takes the best of its offers, and with it the
    track. There are no second choices: a cell without an offer begins a track, a track that nobody takes ends.

    Parameters
    ----------
    frames : sequence of array_like
        T label images (H, W), or one array (T, H, W): 0 background, any positive numbers for the cells, which need
        not be consecutive nor mean anything from frame to frame.
    divisions : bool
        Let a track end where a second cell, without an offer, lies by more than half on its last cell: both begin
        new tracks whose parent it is. Off, as in the release, which never links daughters.

    Returns
    -------
    Tracks
        The cells of every frame, unchanged but for their numbers, which are 1..n in order of appearance; within one
        frame in reading order. Numbers of the input do not influence them.

    Raises
    ------
    ValueError
        If there is no frame, frames differ in size, or a label is -1 or otherwise illegal.

    References
    ----------
    The authors' release of 2015, doi:10.1007/978-3-319-24574-4_28.
    """
    check_scalar(divisions, bool, name="divisions")
    frames = _check_frames(frames)
    labels = np.zeros((len(frames), *frames[0].shape), dtype=np.int32)  # (T, H, W)
    table: list[list[int]] = []
    before, tracks_before = np.zeros_like(frames[0]), np.zeros(1, dtype=np.int32)  # as if the sequence began empty
    for time, frame in enumerate(frames):
        cells = _in_reading_order(frame)
        predecessors, mothers = _offers(before, cells, divisions=divisions)
        tracks = _continue_or_begin(table, tracks_before[predecessors], parents=tracks_before[mothers], time=time)
        labels[time] = tracks[cells]
        before, tracks_before = cells, tracks
    return Tracks(labels, np.array(table, dtype=np.int32).reshape(-1, 4))


def within_field(tracks: Tracks, border: int) -> Tracks:
    """Leave out the cells that lie outside of the challenge's field of interest, as the release does after linking.

    A track that leaves the field and comes back continues under a new number, whose parent is the old one: that is how
    the challenge writes a gap.

    Parameters
    ----------
    tracks : Tracks
        Of the whole frame.
    border : int
        Cells wholly within this many px of the image's edge are dropped, frame by frame, >= 0. The challenge leaves
        out 50 on both data sets of Table 2.

    Returns
    -------
    Tracks
        Remaining tracks keep their numbers.

    Raises
    ------
    ValueError
        If `border` is negative or leaves nothing of the image.
    """
    height, width = tracks.labels.shape[1:]
    check_border(border, (height, width))
    inside = tracks.labels[:, border : height - border, border : width - border]
    kept = [np.where(np.isin(frame, field), frame, 0) for frame, field in zip(tracks.labels, inside, strict=True)]
    return _split_at_gaps(np.stack(kept), parents=dict(tracks.table[:, [0, 3]].tolist()))


def first_frames(tracks: Tracks, count: int) -> Tracks:
    """Return the first `count` frames of an image sequence; tracks that go on end with them, later ones are left out.

    Raises
    ------
    ValueError
        If there are fewer frames, or `count` is below 1.
    """
    if not 1 <= count <= len(tracks.labels):
        raise ValueError(f"count is {count}; these tracks have 1 to {len(tracks.labels)} frames")
    table = tracks.table[tracks.table[:, 1] < count].copy()
    table[:, 2] = np.minimum(table[:, 2], count - 1)
    return Tracks(tracks.labels[:count], table)


def check_tracks(tracks: Tracks) -> None:
    """Refuse tracks whose masks and table contradict each other; the challenge's own checker asks for the same.

    Raises
    ------
    TypeError, ValueError
        If labels or table are no arrays of whole numbers (T, H, W) and (N, 4).
    ValueError
        If a cell has no row, a row no cell in one of its frames, a number stands twice or is below 1, or a parent is
        unknown or does not end before its child begins. The message lists what is wrong.
    """
    _check_form(tracks)
    problems = [*_problems_of_table(tracks.table), *_problems_of_labels(tracks)]
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"inconsistent tracks: {'; '.join(problems[:5])}{more}")


def _check_form(tracks: Tracks) -> None:
    check_labels(tracks.labels, ranks=(3,))
    if np.shape(tracks.table) != (0, 4):  # tracks without any cell are legal
        table = check_array(tracks.table, name="table", ranks=(2,))
        if table.shape[1] != 4 or table.dtype.kind not in "ui":
            raise ValueError(
                f"table is {table.shape} {table.dtype}; needs whole numbers (N, 4): label begin end parent"
            )


def _check_frames(frames: Sequence) -> list[np.ndarray]:
    checked = [check_labels(frame, name=f"frame {time}") for time, frame in enumerate(frames)]
    if not checked:
        raise ValueError("there are no frames; pass at least one label image (H, W)")
    for time, frame in enumerate(checked):
        if frame.shape != checked[0].shape:
            raise ValueError(
                f"frame {time} has shape {frame.shape}, frame 0 has {checked[0].shape}; all must be the same"
            )
        if frame.min() < 0:
            raise ValueError(f"frame {time} holds -1 (unannotated); set it to 0, or link a complete annotation")
    return checked


def _in_reading_order(frame: np.ndarray) -> np.ndarray:
    """Return the cells numbered 1..n by their first pixel, row by row: the numbers given then influence nothing."""
    values, first, index = np.unique(frame, return_index=True, return_inverse=True)
    cells = np.flatnonzero(values > 0)
    number = np.zeros(len(values), dtype=np.int32)
    number[cells[np.argsort(first[cells])]] = np.arange(1, len(cells) + 1)
    return number[index].reshape(frame.shape)


def _offers(before: np.ndarray, cells: np.ndarray, *, divisions: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each cell 0..n, the earlier cell whose track it takes and the one that is its mother; 0 for none."""
    old, new, overlap, share = _pairs(before, cells)
    predecessors, mothers = np.zeros((2, cells.max() + 1), dtype=np.int64)
    offered = _best_of_each(old, overlap, new)  # each earlier cell chooses the later cell that it overlaps most
    taken = offered[_best_of_each(new[offered], overlap[offered], old[offered])]  # each later cell its best offer
    predecessors[new[taken]] = old[taken]
    if divisions:  # Departure: the release begins an unrelated track where a cell divides.
        # A second daughter: left without a track, and more than half of it lies on a cell whose track another took.
        second = (share > 0.5) & (predecessors[new] == 0) & np.isin(old, predecessors)
        mothers[new[second]] = old[second]
        # The first daughter took over its mother's track: give it back, so that the track ends and both begin anew.
        first = np.isin(predecessors, old[second])
        mothers[first], predecessors[first] = predecessors[first], 0
    return predecessors, mothers


def _continue_or_begin(table: list[list[int]], tracks: np.ndarray, *, parents: np.ndarray, time: int) -> np.ndarray:
    """Write into the table that `tracks` (n + 1,) go on; begin one for every cell that has none (0), and fill it in."""
    tracks = tracks.copy()
    for cell in range(1, len(tracks)):  # cell 0 is the background
        if tracks[cell]:
            table[tracks[cell] - 1][2] = time
        else:
            tracks[cell] = len(table) + 1
            table.append([len(table) + 1, time, time, int(parents[cell])])
    return tracks


def _pairs(before: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the P pairs of an earlier and a later cell that share pixels, each with two numbers in (0, 1].

    They are the intersection over union, and the part of the later cell that lies on the earlier one.
    """
    table = overlaps(before, cells)
    both = (table.reference > 0) & (table.result > 0)
    old, new, shared = table.reference[both], table.result[both], table.pixels[both]  # (P,) each
    size_before, size = np.bincount(before.ravel())[old], np.bincount(cells.ravel())[new]  # (P,) px
    return old, new, shared / (size_before + size - shared), shared / size


def _best_of_each(group: np.ndarray, overlap: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the index of the pair with the largest overlap in every group; a tie goes to the smaller `other`."""
    order = np.lexsort((other, -overlap, group))
    return order[np.unique(group[order], return_index=True)[1]]


def _split_at_gaps(labels: np.ndarray, *, parents: dict[int, int]) -> Tracks:
    """Make every run of frames of a track a track of its own, child of the run before; changes `labels`."""
    table, last_run, unused = [], {}, max(parents, default=0) + 1
    for number, frames in _frames_of(labels).items():
        runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
        table.append([number, runs[0][0], runs[0][-1], parents[number]])
        for run in runs[1:]:
            table.append([unused, run[0], run[-1], table[-1][0]])
            labels[run] = np.where(labels[run] == number, unused, labels[run])
            unused += 1
        last_run[number] = table[-1][0]
    for row in table:
        if row[0] in parents:  # a first run: its mother may have been left out, or split
            row[3] = last_run.get(row[3], 0)
    return Tracks(labels, np.array(sorted(table), dtype=np.int32).reshape(-1, 4))


def _frames_of(labels: np.ndarray) -> dict[int, np.ndarray]:
    """Return the frames in which each positive number occurs, both ascending."""
    shown = [(number, time) for time, frame in enumerate(labels) for number in np.unique(frame[frame > 0]).tolist()]
    frames_of: dict[int, list[int]] = {}
    for number, time in sorted(shown):
        frames_of.setdefault(number, []).append(time)
    return {number: np.array(frames) for number, frames in frames_of.items()}


def _problems_of_table(table: np.ndarray) -> Iterator[str]:
    numbers, counts = np.unique(table[:, 0], return_counts=True)
    if (counts > 1).any():
        yield f"the table names {as_ranges(runs(numbers[counts > 1]))} more than once"
    ends = dict(table[:, [0, 2]].tolist())
    for number, begin, end, parent in table.tolist():
        if number < 1:
            yield f"track {number}: numbers begin at 1"
        if begin < 0:
            yield f"track {number} begins in frame {begin}; frames are counted from 0"
        if end < begin:
            yield f"track {number} ends in frame {end}, before it begins in frame {begin}"
        if parent and parent not in ends:
            yield f"track {number} has the parent {parent}, which the table lacks"
        elif parent and ends[parent] >= begin:
            yield f"track {number} begins in frame {begin}, its parent {parent} ends in frame {ends[parent]}"


def _problems_of_labels(tracks: Tracks) -> Iterator[str]:
    """Compare the frames that show a cell with what the table says; an interval may be far longer than the film."""
    shown = _frames_of(tracks.labels)
    stated = {number: (begin, end) for number, begin, end, _ in tracks.table.tolist() if begin <= end}
    for number in sorted(shown.keys() - set(tracks.table[:, 0].tolist())):
        yield f"frames {as_ranges(runs(shown[number]))} show the cell {number}, which the table lacks"
    for number, (begin, end) in stated.items():
        frames = shown.get(number, np.zeros(0, dtype=int))
        inside = (begin <= frames) & (frames <= end)
        if missing := left_out(frames[inside], first=begin, last=end):
            yield f"track {number} has no cell in frames {as_ranges(missing)}, the table says {begin} to {end}"
        if extra := runs(frames[~inside]):
            yield f"track {number} has a cell in frames {as_ranges(extra)}, the table says {begin} to {end}"
