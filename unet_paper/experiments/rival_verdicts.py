"""What the comparison says about claims C4 and C11, by rules that were written before the runs.

Which runs count was changed afterwards: see `unet_paper.experiments.rivals.MORE_SEEDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unet_paper.experiments.findings import NOT, OPEN, PARTLY, REPRODUCED, Finding
from unet_paper.experiments.plan import block_name
from unet_paper.experiments.record import run_name
from unet_paper.experiments.rival_rows import RivalRows, mean_of
from unet_paper.experiments.rivals import DECIDING, EQUAL_SIZE, FOLD_SEEDS, RIVALS, seeds_of

ERRORS = ("warping_error", "rand_error")


def verdicts(rows: RivalRows) -> dict[str, Finding]:
    """Return what the comparison says about C4 and C11; with runs missing, which ones.

    C11: the U-Net as large as the sliding window N4 must have the smaller warping and Rand error, as a mean over the
    seeds, on both folds. C4: so must the U-Nets as large as hypercolumns and the fully convolutional network.
    """
    first = rows.as_first_planned()
    return {claim: _against_plan(_beats(rows, rivals), _beats(first, rivals)) for claim, rivals in DECIDING.items()}


def _against_plan(found: Finding, first: Finding) -> Finding:
    """Say so where the runs of the first plan, before `rivals.MORE_SEEDS`, alone give another verdict."""
    if OPEN in (found.verdict, first.verdict) or found.verdict == first.verdict:
        return found
    return replace(found, ours=f"{found.ours}; by the first plan: {first.verdict}")


def _beats(rows: RivalRows, rivals: Sequence[str]) -> Finding:
    pairs = [(EQUAL_SIZE[name], name, fold) for name in rivals for fold in FOLD_SEEDS]
    wanted = [(name, fold, seed) for *both, fold in pairs for name in both for seed in seeds_of(name, fold)]
    missing = tuple(dict.fromkeys(run_name(*run) for run in wanted if run in rows.missing))
    if missing:
        return Finding(OPEN, reason="The planned runs of equal time are not complete.", missing=missing)
    better = {rival: smaller_errors(rows, rival) for rival in rivals}
    results = [each for pair in better.values() for each in pair]
    verdict = REPRODUCED if all(results) else PARTLY if any(results) else NOT
    told = "; ".join(
        f"{_rand_errors(rows, rival)} (better in {sum(pair)} of {len(pair)})" for rival, pair in better.items()
    )
    runs = len({run for run in wanted if run in rows.usable})
    blocks = " and ".join(map(block_name, FOLD_SEEDS))
    condition = f"After {rows.seconds:g} s of one thread each, on the sections {blocks}"
    reason = f"{condition}, the U-Net is better in {sum(results)} of {len(results)} pairs."
    return Finding(verdict, told, runs=runs, reason=reason)


def smaller_errors(rows: RivalRows, rival: str, folds: Sequence[int] = tuple(FOLD_SEEDS)) -> list[bool]:
    """Tell for each fold and each of `ERRORS` whether the U-Net of equal size has the smaller mean.

    Parameters
    ----------
    rows : RivalRows
        With runs of both on these folds.
    rival : str
        Of `unet_paper.experiments.rivals.EQUAL_SIZE`.
    folds : sequence of int
        Which.
    """
    means = (
        [mean_of(rows.of(name, fold), measure) for name in (EQUAL_SIZE[rival], rival)]
        for fold in folds
        for measure in ERRORS
    )
    return [ours < theirs for ours, theirs in means]


def _rand_errors(rows: RivalRows, rival: str) -> str:
    ours, theirs = (
        " and ".join(f"{mean_of(rows.of(name, fold), 'rand_error'):.3f}" for fold in FOLD_SEEDS)
        for name in (EQUAL_SIZE[rival], rival)
    )
    return f"Rand error {ours} against {theirs} of {RIVALS[rival].title.split(',')[0]}"
