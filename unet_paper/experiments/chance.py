"""How much of a difference between runs is chance: seed by seed, as a mean with its interval, and over many intervals.

References
----------
Student (1908), "The probable error of a mean", Biometrika 6, 1-25, doi:10.2307/2331554.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unet_paper.experiments.effects import CONFIDENCE, MEASURE, effects, mean_error, rows_of, t_interval
from unet_paper.experiments.studies import PLAIN_BLOCK
from unet_paper.experiments.study_rows import Rows


def errors_of_seeds(rows: Sequence[Mapping], measure: str = MEASURE, test: str = "block") -> dict[int, float]:
    """Return the mean error of each run, at its own best threshold, by seed.

    Parameters
    ----------
    rows : sequence of mapping
        Of one change and one fold.
    measure, test : str
        As in `unet_paper.experiments.effects.image_errors`.
    """
    return {row["seed"]: mean_error(row, measure, test) for row in rows}


def paired(one: Mapping[int, float], other: Mapping[int, float]) -> np.ndarray:
    """Return the values of both sides for the seeds that both have: (2, seeds) float64."""
    seeds = sorted(one.keys() & other.keys())
    return np.array([[side[seed] for seed in seeds] for side in (one, other)])


def told_mean(values: Sequence[float], digits: int = 4) -> str:
    """Return a mean as text with the ends of Student's 95 % interval; that it is not known of fewer than two values."""
    if len(values) < 2:
        return "not run yet"
    mean, (low, high) = np.mean(values), t_interval(values)
    return f"{mean:+z.{digits}f} ({low:+z.{digits}f} to {high:+z.{digits}f})"


def together(studies: Mapping[str, Rows], measure: str = MEASURE) -> float:
    """Return how far the seeds of a change and of what it is compared with go up and down together, on 6-11.

    Parameters
    ----------
    studies : mapping of str to Rows
        From `read_studies`.
    measure : str
        As in `unet_paper.experiments.effects.effects`.

    Returns
    -------
    float
        The correlation over seeds, in [-1, 1], as a mean over all changes with three seeds or more; nan without any.
        A side whose seeds are all alike, as where none of its runs learned anything, has none and is left out.
    """
    sides = [
        paired(*(errors_of_seeds(rows_of(studies, name, PLAIN_BLOCK), measure) for name in (each.change, each.against)))
        for each in effects(studies, measure)
    ]
    found = [np.corrcoef(both)[0, 1] for both in sides if both.shape[1] > 2 and both.std(axis=1).all()]
    return float(np.mean(found)) if found else float("nan")


def left_out(studies: Mapping[str, Rows], measure: str, test: str = "block") -> dict[str, float]:
    """Count the intervals of an error on 6-11, those that leave 0 out, and how many would by chance alone.

    Parameters
    ----------
    studies, measure, test
        As in `unet_paper.experiments.effects.effects`.
    """
    certain = [effect for effect in effects(studies, measure, test=test) if effect.seeds > 1]
    found = sum(effect.excludes_zero for effect in certain)
    return {"intervals": len(certain), "leave 0 out": found, "by chance": round((1 - CONFIDENCE) * len(certain), 1)}
