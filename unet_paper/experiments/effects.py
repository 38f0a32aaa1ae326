"""From the rows of the studies to effects with intervals.

An effect is the error with a change minus the error without it, of the same seed and on the same images: above 0, the
change does harm. Runs of one seed share what the change leaves alike of first weights, tiles and sections, so they
make a pair.

References
----------
Student (1908), "The probable error of a mean", Biometrika 6, 1-25, doi:10.2307/2331554 (paired differences).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from unet_paper.experiments.studies import CHANGES, LARGEST, PLAIN_BLOCK, RINGED_BLOCK, SEEDS, Planned
from unet_paper.experiments.study_rows import Rows
from unet_paper.options import check_choice

CONFIDENCE = 0.95
SYMMETRIES = "8 symmetries"  # maps averaged over these, whose V_Rand differs less between most seeds
EMPTY = {"v_rand": 0.1, "seg": 0.05}  # a map of one value has a V_Rand of 0.06 on the sections 6-11, and a SEG near 0
# The best warping error over thresholds is small for a useless map too: where nearly no pixel is called cell, hardly
# one can be merged or split. V_Rand cannot be won that way.
MEASURE = "v_rand_error"


class Effect(NamedTuple):
    """What one change did to one measure on one fold.

    `error` and `without` are the mean errors with the change and of what it is compared with; `difference` is the
    former minus the latter. `low` and `high` are the ends of its 95 % interval: over `seeds` pairs of runs, on these
    very images; with a single pair, over images, and then it knows nothing of luck in training. `collapsed` counts the
    runs with the change that learned nothing.
    """

    change: str
    against: str
    fold: int
    measure: str
    error: float
    without: float
    difference: float
    low: float
    high: float
    seeds: int
    collapsed: int = 0

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0, and more than one pair of runs stands behind it."""
        return self.seeds > 1 and (self.low > 0 or self.high < 0)

    @property
    def least(self) -> float:
        """How far the interval stays away from 0: the size that luck leaves; below 0 if it holds 0."""
        return max(self.low, -self.high)

    @property
    def is_harm(self) -> bool:
        """Whether the change does harm, as far as such an interval can say."""
        return self.excludes_zero and self.difference > 0

    @property
    def is_gain(self) -> bool:
        """Whether the change helps, as far as such an interval can say."""
        return self.excludes_zero and self.difference < 0

    def __str__(self) -> str:
        """Say the difference with its interval, how many runs stand behind it if it is few, and which failed."""
        runs = "" if self.seeds >= len(SEEDS) else f", {self.seeds} run{'s' * (self.seeds > 1)}"
        failed = f"; {self.collapsed} of {self.seeds} learned nothing" if self.collapsed else ""
        return f"{self.difference:+z.4f} ({self.low:+z.4f} to {self.high:+z.4f}{runs}{failed})"


def is_collapsed(row: Mapping, test: str = "block") -> bool:
    """Tell whether a run learned nothing: at the best threshold its V_Rand, or SEG, is that of a map of one value.

    Parameters
    ----------
    row : mapping
        Of a run; also the record of a rival, whose scores are called ``"none"``.
    test : str
        Which of its scores.
    """
    score = row["scores"][test]
    return any(score[measure] < level for measure, level in EMPTY.items() if measure in score)


def image_errors(
    row: Mapping, measure: str, test: str = "block", *, frames: Collection[int] | None = None
) -> dict[int, float]:
    """Return the error of each image at the threshold at which the mean over images is smallest, by its frame number.

    Parameters
    ----------
    row : mapping
        Of a run.
    measure : str
        ``"warping_error"``, ``"rand_error"``, ``"pixel_error"`` or ``"v_rand_error"`` of EM, ``"seg_error"`` of cells.
    test : str
        Which test set or average.
    frames : collection of int, optional
        Only these images, for the threshold too; by default all.
    """
    shares = image_shares(row, test)
    kept = [frames is None or frame in frames for frame in shares]
    curves = np.array(row["scores"][test]["sections"][measure])[kept]  # (images, thresholds)
    shares = {frame: share for frame, share in shares.items() if frames is None or frame in frames}
    at = int(np.argmin(np.average(curves, axis=0, weights=list(shares.values()))))
    return dict(zip(shares, curves[:, at].tolist(), strict=True))


def image_shares(row: Mapping, test: str = "block") -> dict[int, float]:
    """Return the weight of each image in a mean, by its frame number: 1, or its cells, since SEG is a mean over cells.

    Parameters
    ----------
    row, test
        As in `image_errors`.
    """
    frames = row["tested_on"][test if test in row["tested_on"] else "block"]["frames"]
    return dict(zip(frames, row["scores"][test].get("weights") or [1.0] * len(frames), strict=True))


def effect_of(
    change: str,
    changed: Sequence[Mapping],
    unchanged: Sequence[Mapping],
    measure: str,
    *,
    against: str,
    fold: int,
    test: str = "block",
) -> Effect | None:
    """Return the effect of a change over the seeds and images that both sides have; None without any."""
    seeds = sorted({row["seed"] for row in changed} & {row["seed"] for row in unchanged})
    if not seeds:
        return None
    paired = [row for row in (*changed, *unchanged) if row["seed"] in seeds]
    frames = sorted(set.intersection(*(set(image_shares(row, test)) for row in paired)))
    sides = [
        {row["seed"]: image_errors(row, measure, test, frames=frames) for row in rows if row["seed"] in seeds}
        for rows in (changed, unchanged)
    ]
    shares = np.array([image_shares(changed[0], test)[frame] for frame in frames])
    with_it, without = (
        np.array([[side[seed][frame] for frame in frames] for seed in seeds]) * shares / shares.mean() for side in sides
    )
    differences = with_it - without  # (seeds, images)
    low, high = t_interval(differences.mean(axis=1) if len(seeds) > 1 else differences[0])
    means = float(with_it.mean()), float(without.mean()), float(differences.mean())
    collapsed = sum(is_collapsed(row) for row in changed if row["seed"] in seeds)
    return Effect(change, against, fold, measure, *means, low, high, len(seeds), collapsed)


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of Student's 95 % interval for a mean; of a single value nothing is known."""
    if len(values) < 2:
        return -np.inf, np.inf
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return float(np.mean(values) - reach), float(np.mean(values) + reach)


def effects(
    studies: Mapping[str, Rows],
    measure: str = MEASURE,
    *,
    fold: int = 1,
    names: Sequence[str] | None = None,
    test: str = "block",
    against: str | None = None,
) -> list[Effect]:
    """Return the effect of every change that has rows on a fold, the largest harm first.

    Parameters
    ----------
    studies : mapping of str to Rows
        From `read_studies`.
    measure : str
        As in `image_errors`; changes of other data, which have no such measure, are left out.
    fold : int
        Of the runs.
    names : sequence of str, optional
        Only these changes; by default all that are not compared with themselves.
    test : str
        Which test set or average, such as `SYMMETRIES`; rows without it are left out.
    against : str, optional
        The change that all are compared with, such as ``"base again"``; by default each with its own.

    Raises
    ------
    ValueError
        If there is no change of a name in `names`, or `against`.
    """
    for name in names or ():
        check_choice(name, tuple(CHANGES), name="change")
    if against is not None:
        check_choice(against, tuple(CHANGES), name="against")
    found = []
    for change in CHANGES.values() if names is None else map(CHANGES.get, names):
        other = against or change.against
        changed, unchanged = (
            [row for row in rows_of(studies, name, fold) if _has(measure, row, test)] for name in (change.name, other)
        )
        if change.name != other:
            effect = effect_of(change.name, changed, unchanged, measure, against=other, fold=fold, test=test)
            found += [effect] if effect else []
    return sorted(found, key=lambda effect: -effect.difference)


def rows_of(studies: Mapping[str, Rows], change: str, fold: int) -> list[dict]:
    """Return the usable rows of a change on a fold, whichever study they lie in."""
    return [row for rows in studies.values() for row in rows.of(change, fold)]


def told(studies: Mapping[str, Rows], change: str, measure: str = MEASURE, **which: int | str) -> str:
    """Return an effect with its interval as text; that the amount is unknown where no row says more.

    Parameters
    ----------
    studies, measure
        As for `effects`.
    change : str
        Its name.
    **which
        The `fold`, `test` and `against` of `effects`.
    """
    found = effects(studies, measure, names=[change], **which)
    return str(found[0]) if found else "an unknown amount (not run yet)"


def beside_block(rows: Sequence[Mapping], measure: str = MEASURE) -> list[tuple[float, float]]:
    """Return for each run of "block and random" the mean error on the block, and on the images drawn at random."""
    return [tuple(mean_error(row, measure, test) for test in ("block", "random")) for row in rows]


def mistake_curves(rows: Sequence[Mapping], opposite: str) -> np.ndarray:
    """Return mergers and the opposite mistake at every threshold, means over runs: (2, thresholds).

    Parameters
    ----------
    rows : sequence of mapping
        At least one, of one change and one fold.
    opposite : str
        ``"split"`` of EM (px), ``"missed"`` of cells; mergers are px and cuts.
    """
    counts = [[row["scores"]["block"]["counts"][kind] for kind in ("merge", opposite)] for row in rows]
    return np.mean(counts, axis=0)


def mergers_at(rows: Sequence[Mapping], missed: float) -> dict[int, float]:
    """Return the cuts that are missing between cells where so many cells are missed, by seed.

    Parameters
    ----------
    rows : sequence of mapping
        Of cells, of one change and one fold.
    missed : float
        How many; between two thresholds, in proportion.
    """
    counts = {row["seed"]: row["scores"]["block"]["counts"] for row in rows}
    return {seed: float(np.interp(missed, count["missed"], count["merge"])) for seed, count in counts.items()}


def second_block(studies: Mapping[str, Rows]) -> list[Planned]:
    """Return the runs on the sections 24-29: the changes of the `largest` effects, and what they are compared with.

    Empty until every run of fold 1 (the sections 6-11, and DIC-HeLa from 02 to 01) has its row: before that, nobody
    knows which effects are the largest.
    """
    if any(run.fold == PLAIN_BLOCK for rows in studies.values() for run in rows.missing):
        return []
    names = dict.fromkeys(name for effect in largest(studies) for name in (effect.against, effect.change))
    return [Planned("study-largest", name, RINGED_BLOCK, seed) for name in names for seed in SEEDS]


def largest(studies: Mapping[str, Rows]) -> list[Effect]:
    """Return the five largest effects on the sections 6-11, as far as rows are there.

    The largest are those whose interval stays farthest away from 0: the largest means belong to the noisiest changes.
    Changes with a run that learned nothing are left out: on another block it would learn nothing again. So are
    optimisers, whose rates belong to them, and the base again, which changes nothing.

    Parameters
    ----------
    studies : mapping of str to Rows
        From `read_studies`.
    """
    repeatable = {change.name for change in CHANGES.values() if change.settings and not change.tuned}
    able = [effect for effect in effects(studies) if effect.change in repeatable and not effect.collapsed]
    return sorted(able, key=lambda effect: -effect.least)[:LARGEST]


def second_block_missing(studies: Mapping[str, Rows]) -> list[Planned]:
    """Return the runs of `second_block` that have no row yet.

    Parameters
    ----------
    studies : mapping of str to Rows
        Of all studies, from `read_studies`.
    """
    there = {(row["change"], row["fold"], row["seed"]) for row in studies["study-largest"].usable}
    return [run for run in second_block(studies) if run[1:] not in there]


def averaged(rows: Sequence[Mapping], measure: str = MEASURE) -> dict[str, list[float]]:
    """Return the mean error of each run of the base for each way to average its maps, one value per seed."""
    ways = ["block", *(name for name in rows[0]["scores"] if name not in ("block", "random"))] if rows else []
    return {way: [mean_error(row, measure, way) for row in rows] for way in ways}


def mean_error(row: Mapping, measure: str, test: str = "block") -> float:
    """Return the mean error of a run over its images, as `image_errors` has them, weighted as in `image_shares`."""
    errors = image_errors(row, measure, test)
    return float(np.average(list(errors.values()), weights=list(image_shares(row, test).values())))


def _has(measure: str, row: Mapping, test: str) -> bool:
    return measure in row["scores"].get(test, {}).get("sections", {})
