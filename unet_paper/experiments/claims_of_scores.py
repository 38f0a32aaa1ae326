"""Verdicts on the scores of Tables 1 and 2, and on one recipe for all tasks: C10, C12, C13 and C17."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unet_paper.experiments import stated
from unet_paper.experiments.findings import NOT, OPEN, PARTLY, RECORDED, REPRODUCED, Evidence, Finding, learned
from unet_paper.experiments.record import each_fold
from unet_paper.experiments.summary import (
    CELL_RUNS,
    EM_RUNS,
    ONCE,
    OTHER_SEQUENCE,
    TIME_BLOCKS,
    cell_experiment,
    cell_overlap,
    counted_folds,
    em_experiment,
    em_mean,
    in_folds,
    way_of_scoring,
)

# The rules. Each is used by one verdict, whose docstring says how.
TIMES = 1.1  # C10: an error up to so many times the paper's is reached
SHORT_OF = 0.01  # C12, C13: a mean overlap so far below the paper's is reached

DIGITS = {"warping_error": 6, "rand_error": 4, "pixel_error": 4}
TITLES = {"u373": "PhC-U373", "dic-hela": "DIC-HeLa"}
THREE_TASKS = ", ".join(("EM", *TITLES.values()))


def microscopy(evidence: Evidence) -> Finding:
    """C10: reproduced if all three errors are at most `TIMES` the paper's, partly if one of them is.

    As in the paper's challenge, each at its best threshold on the sections that are tested on.
    """
    name = em_experiment(evidence.records)
    records = counted_folds(evidence.runs(name))
    if not records:
        return Finding(OPEN, missing=("em-small-fold*.json",), reason="No run has been recorded.")
    values = {measure: _rotated(records, measure) for measure in stated.TABLE_1}
    times = {measure: values[measure].mean() / paper for measure, paper in stated.TABLE_1.items()}
    reached = [measure for measure, factor in times.items() if factor <= TIMES]
    verdict = REPRODUCED if len(reached) == len(times) else PARTLY if reached else NOT
    factors = ", ".join(f"{measure.replace('_', ' ')} {factor:.1f}" for measure, factor in times.items())
    reason = (
        f"Reached: {' and '.join(reached).replace('_', ' ') or 'no error'}. In units of the paper's values: "
        f"{factors.replace('rand', 'Rand')}. {_blocks(values)}{shortfall(records)}{_thickness(records)}"
    )
    folds = sorted({run["fold"] for run in records})
    data = f"held-out training sections, {_folds(folds)}; 7 rotations; {name}"
    absent = {0, 1, 3, 4} - set(folds)
    missing = tuple(f"{name}-fold{fold}.json" for fold in sorted(absent))
    return learned(Finding(verdict, _errors(records), (RECORDED,), data, len(records), reason, missing))


def u373(evidence: Evidence) -> Finding:
    """C12: reproduced if SEG is at most `SHORT_OF` below the paper's, partly if above the second best of 2015."""
    return _overlap(evidence, "u373")


def dic_hela(evidence: Evidence) -> Finding:
    """C13: as C12."""
    return _overlap(evidence, "dic-hela")


def three_tasks(evidence: Evidence) -> Finding:
    """C17: reproduced if one recipe beats the second best on each task, with enough runs of each; else partly.

    Partly, too, if one architecture does the tasks by several recipes.
    """
    runs = {"EM": [run for name in (*EM_RUNS, "em-faithful") for run in counted_folds(evidence.runs(name))]}
    for task in stated.TABLE_2:
        found = [run for kind in (*CELL_RUNS, "faithful") for run in evidence.runs(f"{task}-{kind}")]
        runs[task] = in_folds(found, OTHER_SEQUENCE)
    absent = [task for task, found in runs.items() if not found]
    if absent:
        return Finding(OPEN, missing=tuple(f"a run of {task}" for task in absent), reason="A task has no run.")
    common = set.intersection(*({_recipe(run) for run in found} for found in runs.values()))
    if common:
        # Several are no one set of settings: the one with most runs, of the task where it has fewest, whatever it says
        counts = {one: min(sum(_recipe(run) == one for run in found) for found in runs.values()) for one in common}
        chosen = max(sorted(counts, key=str), key=counts.get)
        return _one_recipe({task: [run for run in found if _recipe(run) == chosen] for task, found in runs.items()})
    widths = {task: sorted({run["base_channels"] for run in found}) for task, found in runs.items()}
    ours = "; ".join(f"{TITLES.get(task, task)}: {' and '.join(map(str, w))} channels" for task, w in widths.items())
    reason = (
        "One architecture, from the same class, does all three. But width, size of the images and settings differ from "
        "task to task; one set of settings for all has not been run."
    )
    missing = tuple(f"{task}-faithful-fold*.json" for task in ("em", *stated.TABLE_2))
    return Finding(PARTLY, ours, (RECORDED,), THREE_TASKS, sum(map(len, runs.values())), reason, missing)


def shortfall(records: Sequence[dict], *, short: bool = False) -> str:
    """Say how the runs fall short of the paper's: width, size of the images, hours, device."""
    first = records[0]
    hours = np.mean([run["seconds"]["training"] / 3600 for run in records])
    size = "" if first["scale"] == 1 else f" on images at {first['scale']:g} times their size"
    what = f"{first['base_channels']} channels{size}, {hours:.1f} h on {first['device']}"
    return what if short else f"Ours: {what}; the paper: 64 channels, {stated.HOURS:g} h on a GPU."


def mean_and_range(values: Sequence[float], digits: int) -> str:
    """Return a mean as text, with the smallest and the largest value behind it where there are several."""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _one_recipe(runs: Mapping[str, Sequence[dict]]) -> Finding:
    """Judge runs of all tasks that were trained by the same recipe."""
    em = _rotated(runs["EM"], "warping_error").mean()
    overlap = {task: cell_overlap(runs[task]) for task in stated.TABLE_2}
    beaten = {"EM": em < stated.IDSIA["warping_error"]}
    beaten |= {TITLES[task]: seg > stated.SECOND_BEST[task] for task, seg in overlap.items()}
    ours = "; ".join([f"EM: warping {em:.6f}", *(f"{TITLES[task]}: SEG {seg:.4f}" for task, seg in overlap.items())])
    names = " and ".join(task for task, better in beaten.items() if better) or "no task"
    reason = (
        "One width and one set of settings for all three. Compared with the sliding window on EM and with the second "
        f"best on cells, better on {names}."
    )
    verdict = REPRODUCED if all(beaten.values()) else PARTLY
    counts = [len(found) for found in runs.values()]
    return learned(Finding(verdict, ours, (RECORDED,), THREE_TASKS, sum(counts), reason), runs=min(counts))


def _overlap(evidence: Evidence, task: str) -> Finding:
    """Judge the runs of `cell_experiment` that were tested on the other sequence."""
    name = cell_experiment(evidence.records, task)
    records = in_folds(evidence.runs(name), OTHER_SEQUENCE)
    if not records:
        return Finding(OPEN, missing=(f"{task}-best-fold0.json",), reason="No run has been recorded.")
    seg, paper = cell_overlap(records), stated.TABLE_2[task]
    beats = seg > stated.SECOND_BEST[task]
    verdict = REPRODUCED if seg >= paper - SHORT_OF else PARTLY if beats else NOT
    each = ", ".join(f"{seg:.4f}" for seg in each_fold(records, lambda run: cell_overlap([run])))
    side = "below" if seg < paper else "above"
    reason = (
        f"{abs(paper - seg):.2f} {side} the paper, {'above' if beats else 'below'} the second best of 2015. "
        f"{shortfall(records)}{_scored(records)} Trained on one of the two sequences and tested on the other, where "
        f"the paper learned from both and was tested on secret ones.{_other_networks(evidence, task, name)}"
        f"{_time_blocks(evidence, task)}"
    )
    data = f"both public sequences, each segmented by a network of the other one; {name}"
    return learned(
        Finding(verdict, f"{seg:.4f} (all cells; by direction: {each})", (RECORDED,), data, len(records), reason)
    )


def _scored(records: Sequence[dict]) -> str:
    """Say how maps became cells where that is not the paper's threshold on a map seen once."""
    average, measure = way_of_scoring(records)
    threshold = "the threshold that the training frames settle" if measure == "seg_settled" else "threshold 0.5"
    return "" if (average, measure) == ONCE else f" Averaged over {average}, {threshold}."


def _other_networks(evidence: Evidence, task: str, chosen: str) -> str:
    """Say what the other experiments reach that were run in both directions; they decide nothing."""
    names = (f"{task}-{kind}" for kind in CELL_RUNS if f"{task}-{kind}" != chosen)
    runs = {name: in_folds(evidence.runs(name), OTHER_SEQUENCE) for name in names}
    both = {name: found for name, found in runs.items() if {run["fold"] for run in found} == set(OTHER_SEQUENCE)}
    told = ", ".join(f"{name} {cell_overlap(found):.4f}" for name, found in both.items())
    return f" Other networks that were run in both directions: {told}." if told else ""


def _time_blocks(evidence: Evidence, task: str) -> str:
    """Say what networks reach that learned from both sequences: those of most halves, of equals the first."""
    recorded = {f"{task}-{kind}": in_folds(evidence.runs(f"{task}-{kind}"), TIME_BLOCKS) for kind in CELL_RUNS}
    name, runs = max(recorded.items(), key=lambda item: len({run["fold"] for run in item[1]}))
    if not runs:
        return ""
    part = "" if len({run["fold"] for run in runs}) > 1 else " (one half only)"
    seg = cell_overlap(runs)
    return f" Learning from half of the frames of both and tested on the other half{part}: {seg:.4f}, {name}."


def _rotated(records: Sequence[dict], measure: str) -> np.ndarray:
    """Return a measure of every EM fold, averaged over 7 rotations as in the paper."""
    return each_fold(records, lambda run: run["scores"]["7 rotations"][measure])


def _errors(records: Sequence[dict]) -> str:
    """Return the three errors of Table 1 at their best thresholds, and at those that training sections settle."""
    at_best, at_settled = (
        " / ".join(f"{em_mean(records, each, average='7 rotations', at=at):.{n}f}" for each, n in DIGITS.items())
        for at in ("best", "settled")
    )
    return f"{at_best}; at thresholds that training settles {at_settled}"


def _blocks(values: Mapping[str, np.ndarray]) -> str:
    """Say between which values the blocks lie, where there are several."""
    told = ", ".join(f"{min(values[each]):.{n}f} to {max(values[each]):.{n}f}" for each, n in DIGITS.items())
    return f"By block: {told}. " if len(next(iter(values.values()))) > 1 else ""


def _thickness(records: Sequence[dict]) -> str:
    v_rand = _rotated(records, "v_rand").mean()
    return f" The Rand error also counts thick membranes; V_Rand, which thins them, is {v_rand:.3f}."


def _recipe(run: Mapping) -> tuple:
    """Return what must be equal for two runs to be of one network by one recipe."""
    settings = {name: value for name, value in run["config"].items() if name not in ("name", "seed", "steps")}
    return run["base_channels"], run["scale"], tuple(sorted((name, str(value)) for name, value in settings.items()))


def _folds(folds: Sequence[int]) -> str:
    if len(folds) == 1:
        return f"fold {folds[0]}"
    return f"mean over folds {', '.join(map(str, folds[:-1]))} and {folds[-1]}"
