"""What several records say together: means over folds, single sections, and how sure a mean is.

References
----------
Efron, Tibshirani (1993), An Introduction to the Bootstrap, doi:10.1007/978-1-4899-4541-9 (percentile intervals).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from unet_paper.experiments.measures import best_threshold
from unet_paper.experiments.plan import CELL_FOLDS
from unet_paper.experiments.record import each_fold, over_folds

CHOICE_FOLD = 2  # sections 12-17: settings are chosen on them, so no mean includes them
# What networks of cells are tested on, as folds of `unet_paper.experiments.plan.CELL_FOLDS`. The other sequence is the
# hard protocol; what lies within one sequence chooses settings for the network that learns from the whole of it.
OTHER_SEQUENCE, TIME_BLOCKS = (0, 1), (2, 3)
RESAMPLES = 9999
# What Table 1 may show, and of a task Table 2; the most like the paper first.
EM_RUNS = ("em-full", "em-wide", "em-best", "em-small", "em-narrow")
CELL_RUNS = ("full", "wide", "best", "half", "small", "narrow")
ONCE = ("none", "seg")  # how the paper reads cells off a map: seen once, threshold 0.5


def em_experiment(records: Mapping[str, Sequence[dict]]) -> str:
    """Return the name of the EM experiment with most folds that count, whatever it scored; of equals, the first.

    Parameters
    ----------
    records : mapping
        Experiment -> its records, as `unet_paper.experiments.evidence.recorded` reads them.
    """
    return max(EM_RUNS, key=lambda name: len({run["fold"] for run in counted_folds(records.get(name, []))}))


def cell_experiment(records: Mapping[str, Sequence[dict]], task: str) -> str:
    """Return the name of the experiment that was tested in most directions, whatever it scored; of equals, the first.

    Parameters
    ----------
    records : mapping
        As in `em_experiment`.
    task : {"u373", "dic-hela"}
        The images.
    """
    names = [f"{task}-{kind}" for kind in CELL_RUNS]
    return max(names, key=lambda name: len({run["fold"] for run in in_folds(records.get(name, []), OTHER_SEQUENCE)}))


def counted_folds(records: Sequence[dict]) -> list[dict]:
    """Return the EM records that a mean may include: all but those of the block on which settings are chosen."""
    return [record for record in records if record["fold"] != CHOICE_FOLD]


def in_folds(records: Sequence[dict], folds: Sequence[int]) -> list[dict]:
    """Return the records whose fold is one of `folds`, such as `OTHER_SEQUENCE`: no mean may mix protocols."""
    return [record for record in records if record["fold"] in folds]


def em_mean(records: Sequence[dict], measure: str, *, average: str, at: str = "best") -> float:
    """Return the mean of one EM measure over the folds that count.

    Parameters
    ----------
    records : sequence of dict
        Of one experiment, one per fold; see `unet_paper.experiments.read_records`.
    measure : str
        Of `unet_paper.experiments.measures.EM_MEASURES`.
    average : str
        How predictions are averaged, of `unet_paper.experiments.measures.AVERAGES`.
    at : {"best", "settled"}
        The best threshold of each fold, as the challenge takes it; or the one that its training sections settle.

    Raises
    ------
    ValueError
        If no fold counts.
    """
    counted = counted_folds(records)
    if not counted:
        raise ValueError("no record of a fold that counts; run the experiment (python -m unet_paper reproduce)")

    def value(run: dict) -> float:
        score = run["scores"][average]
        return (score if at == "best" else score["settled"])[measure]

    return float(each_fold(counted, value).mean())


def section_values(record: dict, measure: str, *, average: str) -> dict[int, float]:
    """Return one measure of every held-out section of a fold, at the threshold that is best for all of them.

    Parameters
    ----------
    record : dict
        Of one fold.
    measure, average : str
        As in `em_mean`.

    Returns
    -------
    dict of int to float
        Number of the section in the stack -> value.
    """
    score = record["scores"][average]
    at = round(10 * score["threshold"][measure])  # curves have a point every tenth
    values = [section[measure][at] for section in score["sections"]]
    return dict(zip(record["tested_on"]["frames"], values, strict=True))


def way_of_scoring(records: Sequence[dict]) -> tuple[str, str]:
    """Return how runs of cells are averaged and by which measure they are scored, as settled before they were run.

    Parameters
    ----------
    records : sequence of dict
        Of one experiment. What `unet_paper.experiments.Experiment.scored` was stands in them as ``"scored"``; those
        without it, from before there was a choice, are read as the paper reads a map.

    Raises
    ------
    ValueError
        If they are scored in different ways.
    """
    ways = {tuple(record.get("scored", ONCE)) for record in records}
    if len(ways) > 1:
        raise ValueError(f"records are scored in different ways: {', '.join(map(' / '.join, sorted(ways)))}")
    return ways.pop() if ways else ONCE


def cell_overlap(records: Sequence[dict]) -> float:
    """Return SEG of runs of one experiment in their `way_of_scoring`, a mean over all annotated cells.

    Parameters
    ----------
    records : sequence of dict
        As in `way_of_scoring`, at least one.

    Raises
    ------
    ValueError
        If there is no record, or they are scored in different ways.
    """
    average, measure = way_of_scoring(records)
    return over_folds(list(records), measure, average=average)


def overlap_of_each_cell(records: Sequence[dict], *, average: str) -> np.ndarray:
    """Return the intersection over union of every annotated cell with its match, at the settled threshold.

    Parameters
    ----------
    records : sequence of dict
        Of runs of cells that keep ``"jaccard"`` (see `unet_paper.experiments.measures.cell_measures`).
    average : str
        As in `em_mean`.

    Returns
    -------
    numpy.ndarray
        (cells,) float in [0, 1], 0 for a cell without a match; the mean is ``"seg_settled"``.
    """
    return np.array([cell for run in records for frame in run["scores"][average]["jaccard"] for cell in frame])


def overlaps_by_frame(record: dict, sequence: int, *, average: str) -> dict[int, list[float]]:
    """Return what `overlap_of_each_cell` does, frame by frame, of one sequence that a run was tested on.

    Parameters
    ----------
    record : dict
        Of a run of cells; where it was tested on both sequences, its frames of 01 come first, each in order of time.
    sequence : {1, 2}
        Whose frames.
    average : str
        As in `em_mean`.

    Returns
    -------
    dict of int to list of float
        Number of the frame -> intersection over union of each of its annotated cells.

    Raises
    ------
    ValueError
        If the run was not tested on this sequence.
    """
    tested = [number for number, *_ in CELL_FOLDS[record["fold"]][1]]
    if sequence not in tested:
        raise ValueError(f"fold {record['fold']} is not tested on sequence {sequence:02}")
    frames, met = record["tested_on"]["frames"], record["scores"][average]["jaccard"]
    pairs = list(zip(frames, met, strict=True))
    if len(tested) > 1:
        second = next(n for n in range(1, len(frames)) if frames[n] < frames[n - 1])  # where time goes back
        pairs = pairs[:second] if sequence == 1 else pairs[second:]
    return dict(pairs)


def settled_alike(record: dict, *, average: str) -> tuple[float, float]:
    """Return the threshold that the training frames settle on maps averaged like the held-out ones, and SEG there.

    The experiments' own threshold comes from maps that are not averaged, whatever it is applied to.

    Parameters
    ----------
    record : dict
        Of a run of cells that keeps ``"seg_learned"`` (see `unet_paper.experiments.measures.measure`).
    average : str
        As in `em_mean`.

    Returns
    -------
    threshold, seg : float
        Of `unet_paper.experiments.measures.CELL_THRESHOLDS`; SEG of the held-out frames at it.
    """
    curves = record["scores"][average]["curves"]
    threshold = best_threshold(curves["seg_learned"])
    return threshold, curves["seg"][curves["threshold"].index(threshold)]


def warping_without_rings(record: dict, *, average: str) -> float:
    """Return the warping error of a fold without the merger pixels that lie on rings around organelles.

    On a ring, the annotators outlined an organelle like a cell (see `unet_paper.datasets.closed_rings`); a network that
    leaves it white is charged with a merger although no two cells leak into each other.

    Parameters
    ----------
    record : dict
        Of one fold, with ``"mistakes"`` in its scores (written since `unet_paper.experiments.measures` counts them).
    average : str
        As in `em_mean`.
    """
    score = record["scores"][average]
    merge, split, on_rings = (sum(s[name] for s in score["mistakes"]) for name in ("merge", "split", "merge_on_rings"))
    return score["warping_error"] * (1 - on_rings / (merge + split)) if merge + split else 0.0


def interval(values: Sequence[float], *, groups: Sequence[int] | None = None, seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap interval (95 %, percentiles) of a mean over sections or cells.

    It tells what another draw of sections or cells would change; not what another seed of the training would.

    Parameters
    ----------
    values : sequence of float
        One per section or cell, at least 2.
    groups : sequence of int, optional
        What each value belongs to, such as the one cell that was annotated in many frames: groups are drawn, whole.
        By default every value is drawn by itself.
    seed : int
        Of the draws.

    Raises
    ------
    ValueError
        If there are fewer than 2 values, or groups.
    """
    rng = np.random.default_rng(seed)
    _, members = np.unique(range(len(values)) if groups is None else groups, return_inverse=True)
    sums, counts = np.bincount(members, values), np.bincount(members)

    def mean(sums, counts, axis=-1):
        return sums.sum(axis=axis) / counts.sum(axis=axis)

    drawn = stats.bootstrap((sums, counts), mean, paired=True, n_resamples=RESAMPLES, method="percentile", rng=rng)
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)
