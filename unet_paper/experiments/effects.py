"""From the rows of the studies to effects with intervals.

An effect is the error with a change minus the error without it, on the same images: above 0, the change does harm.

References
----------
Efron, Tibshirani (1993), An Introduction to the Bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from unet_paper.experiments.studies import CHANGES, LARGEST, RINGED_BLOCK, SEEDS, Planned
from unet_paper.experiments.study_rows import Rows

DRAWS = 4_000
CONFIDENCE = 0.95
# The best warping error over thresholds is small for a useless map too: where nearly no pixel is called cell, hardly
# one can be merged or split. V_Rand cannot be won that way.
MEASURE = "v_rand_error"


class Effect(NamedTuple):
    """What one change did to one measure on one fold.

    `error` and `without` are the mean errors with the change and of what it is compared with; `difference` is the
    former minus the latter, and 95 % of the bootstrap's differences lie between `low` and `high`. `seeds` and
    `seeds_without` count the runs of both; with one run, the interval knows of sections only, not of luck in training.
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
    seeds_without: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0, and more than one run stands behind both errors."""
        return min(self.seeds, self.seeds_without) > 1 and (self.low > 0 or self.high < 0)

    @property
    def is_harm(self) -> bool:
        """Whether the change does harm beyond doubt, as far as such an interval can say."""
        return self.excludes_zero and self.difference > 0

    @property
    def is_gain(self) -> bool:
        """Whether the change helps beyond doubt, as far as such an interval can say."""
        return self.excludes_zero and self.difference < 0

    def __str__(self) -> str:
        """Say the difference with its interval, and how many runs stand behind it if it is few."""
        few = min(self.seeds, self.seeds_without)
        runs = "" if few >= len(SEEDS) else f", {few} run{'s' * (few > 1)}"
        return f"{self.difference:+.4f} ({self.low:+.4f} to {self.high:+.4f}{runs})"


def image_errors(row: Mapping, measure: str, test: str = "block") -> dict[int, float]:
    """Return the error of each image at the threshold at which the mean over images is smallest, by its frame number.

    Parameters
    ----------
    row : mapping
        Of a run that did not diverge.
    measure : str
        ``"warping_error"``, ``"rand_error"``, ``"pixel_error"`` or ``"v_rand_error"`` of EM, ``"seg_error"`` of cells.
    test : str
        Which test set or average.
    """
    curves = np.array(row["scores"][test]["sections"][measure])  # (images, thresholds)
    weights = row["scores"][test].get("weights")  # SEG is a mean over cells, not over frames
    at = int(np.argmin(np.average(curves, axis=0, weights=weights)))
    frames = row["tested_on"][test if test in row["tested_on"] else "block"]["frames"]
    return dict(zip(frames, curves[:, at].tolist(), strict=True))


def effect_of(
    change: str, changed: Sequence[Mapping], unchanged: Sequence[Mapping], measure: str, *, against: str, fold: int
) -> Effect | None:
    """Return the effect of a change on the images that both were tested on; None without a finished run of either.

    Runs are drawn anew among the seeds, images among themselves, the same ones on both sides.
    """
    sides = [[image_errors(row, measure) for row in rows if row["scores"]] for rows in (changed, unchanged)]
    if not all(sides):
        return None
    common = sorted(set.intersection(*(set(run) for side in sides for run in side)))
    with_it, without = (
        np.array([[run[frame] for frame in common] for run in side]) for side in sides
    )  # (seeds, images) each
    low, high = _interval(with_it, without)
    means = float(with_it.mean()), float(without.mean())
    return Effect(change, against, fold, measure, *means, means[0] - means[1], low, high, len(with_it), len(without))


def effects(
    studies: Mapping[str, Rows], measure: str = MEASURE, *, fold: int = 1, names: Sequence[str] | None = None
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
    """
    found = []
    for change in CHANGES.values() if names is None else map(CHANGES.get, names):
        changed = rows_of(studies, change.name, fold)
        unchanged = rows_of(studies, change.against, fold)
        if change.name == change.against or not _has(measure, [*changed, *unchanged]):
            continue
        effect = effect_of(change.name, changed, unchanged, measure, against=change.against, fold=fold)
        found += [effect] if effect else []
    return sorted(found, key=lambda effect: -effect.difference)


def rows_of(studies: Mapping[str, Rows], change: str, fold: int) -> list[dict]:
    """Return the usable rows of a change on a fold, whichever study they lie in."""
    return [row for rows in studies.values() for row in rows.of(change, fold)]


def told(studies: Mapping[str, Rows], change: str, measure: str = MEASURE, *, fold: int = 1) -> str:
    """Return an effect with its interval as text; that the amount is unknown where no row says more."""
    found = effects(studies, measure, fold=fold, names=[change])
    return str(found[0]) if found else "an unknown amount (not run yet)"


def beside_block(rows: Sequence[Mapping], measure: str = MEASURE) -> list[tuple[float, float]]:
    """Return for each run of "block and random" the mean error on the block, and on the images drawn at random."""
    finished = [row for row in rows if row["scores"]]
    tests = ("block", "random")
    return [
        tuple(float(np.mean(list(image_errors(row, measure, test).values()))) for test in tests) for row in finished
    ]


def mistakes(rows: Sequence[Mapping], opposite: str) -> np.ndarray:
    """Return mergers and the opposite mistake at every threshold, means over runs: (2, thresholds).

    Parameters
    ----------
    rows : sequence of mapping
        At least one, of one change and one fold.
    opposite : str
        ``"split"`` of EM (px), ``"missed"`` of cells; mergers are px and cuts.
    """
    counts = [[row["scores"]["block"]["counts"][kind] for kind in ("merge", opposite)] for row in rows if row["scores"]]
    return np.mean(counts, axis=0)


def second_block(studies: Mapping[str, Rows]) -> list[Planned]:
    """Return the runs on the sections 24-29: the changes of the five largest effects, and what they are compared with.

    Empty until every run on the sections 6-11 has its row: before that, nobody knows which effects are the largest.
    """
    if any(run.fold == 1 and CHANGES[run.change].recipe({}) for rows in studies.values() for run in rows.missing):
        return []
    largest = sorted(effects(studies), key=lambda effect: -abs(effect.difference))[:LARGEST]
    names = dict.fromkeys(name for effect in largest for name in (effect.against, effect.change))
    return [Planned("study-largest", name, RINGED_BLOCK, seed) for name in names for seed in SEEDS]


def averaged(rows: Sequence[Mapping], measure: str = MEASURE) -> dict[str, list[float]]:
    """Return the mean error of each run of the base for each way to average its maps, one value per seed."""
    ways = ["block", *(name for name in rows[0]["scores"] if name not in ("block", "random"))] if rows else []
    return {way: [_mean_error(row, measure, way) for row in rows] for way in ways}


def _mean_error(row: Mapping, measure: str, test: str) -> float:
    return float(np.mean(list(image_errors(row, measure, test).values())))


def _has(measure: str, rows: Sequence[Mapping]) -> bool:
    return all(measure in row["scores"]["block"]["sections"] for row in rows if row["scores"])


def _interval(with_it: np.ndarray, without: np.ndarray) -> tuple[float, float]:
    """(S, N), (S', N) errors -> the middle 95 % of the differences between resampled means."""
    generator = np.random.default_rng(0)
    images = generator.integers(with_it.shape[1], size=(DRAWS, with_it.shape[1]))  # the same for both
    means = [
        side[generator.integers(len(side), size=(DRAWS, len(side)))].mean(axis=1)[np.arange(DRAWS)[:, None], images]
        for side in (with_it, without)
    ]  # (draws, images) each
    differences = (means[0] - means[1]).mean(axis=1)
    low, high = np.quantile(differences, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
