"""The records of the comparison as rows of one table, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from unet_paper.baselines.cascade import BATCH
from unet_paper.experiments.effects import is_collapsed
from unet_paper.experiments.record import processor_of, read_records
from unet_paper.experiments.rival_jobs import misfit, planned
from unet_paper.experiments.rivals import EQUAL_SIZE, FOLD_SEEDS, KINDS, RATE, RATED, RIVALS, seeds_of
from unet_paper.experiments.summary import interval

UNEVEN = 1.3  # median processor time of a step over that of the fastest tenth: above it, the host was slow at times
NEAR, FAR = 3, 10  # px from a border between cell and membrane: up to here close to it, from here on far from it


@dataclass(frozen=True)
class RivalRows:
    """What of the comparison has been run.

    Attributes
    ----------
    usable : dict
        Record by (rival, fold, seed).
    missing : dict
        By (rival, fold, seed): why there is no row, ``"not run"`` or what does not fit.
    seconds : float or None
        The budget that all usable rows share; None without any.
    processor : str or None
        The kind of processor that they share, as `unet_paper.experiments.record.processor_of` has it: on another one,
        the same time is worth more steps to one method and fewer to another. None without any.
    """

    usable: Mapping[tuple[str, int, int], dict]
    missing: Mapping[tuple[str, int, int], str]
    seconds: float | None
    processor: str | None = None

    def first(self, fold: int = 1) -> dict[str, dict]:
        """Return the records of seed 0 on a fold, by rival, in the order of `RIVALS`."""
        return {name: self.usable[name, fold, 0] for name in RIVALS if (name, fold, 0) in self.usable}

    def seeing(self, fold: int = 1) -> list[dict]:
        """Return the records of seed 0 on a fold, without runs that learned nothing, in the order of `RIVALS`."""
        return [record for name, record in self.first(fold).items() if (name, fold, 0) not in self.blind]

    def of(self, name: str, fold: int) -> list[dict]:
        """Return the records of all seeds of a rival on a fold."""
        return [record for (rival, there, _), record in self.usable.items() if (rival, there) == (name, fold)]

    @property
    def blind(self) -> list[tuple[str, int, int]]:
        """The runs that learned nothing: which (rival, fold, seed) have a map that finds no cells."""
        return [run for run, record in self.usable.items() if is_collapsed(record, "none")]

    def as_first_planned(self) -> RivalRows:
        """Return the rows without the seeds of `MORE_SEEDS`, which were added when the others were there."""
        usable, missing = (
            {run: found for run, found in rows.items() if run[2] in FOLD_SEEDS[run[1]]}
            for rows in (self.usable, self.missing)
        )
        return replace(self, usable=usable, missing=missing)

    @property
    def lacking(self) -> list[str]:
        """One line for each fold, seed and reason: which runs are missing."""
        groups: dict[tuple, list[str]] = {}
        for (name, fold, seed), why in self.missing.items():
            groups.setdefault((fold, seed, why), []).append(name.removeprefix("rival-"))
        return [f"fold {fold}, seed {seed}, {why}: {', '.join(names)}" for (fold, seed, why), names in groups.items()]


def read_rivals(folder: Path | None = None) -> RivalRows:
    """Read every planned run of the comparison; whatever does not fit the others is missing, with the reason.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where the records lie, by default `data/results`.
    """
    runs = [(job.rival, job.fold, job.seed) for job in planned(list(RIVALS), "equal")]
    found, missing = {}, {}
    for name, fold, seed in runs:
        records = [record for record in read_records(name, folder, seed=seed) if record["fold"] == fold]
        why = misfit(records[0], RIVALS[name]) if records else "not run"
        if why:
            missing[name, fold, seed] = why
        else:
            found[name, fold, seed] = records[0]
    shared = Counter((record["budget"]["seconds"], processor_of(record)) for record in found.values())
    seconds, processor = max(shared, key=lambda kind: (shared[kind], kind), default=(None, None))
    for run, record in found.items():
        if record["budget"]["seconds"] != seconds:
            missing[run] = f"trained for {record['budget']['seconds']:g} s, the others for {seconds:g} s"
        elif processor_of(record) != processor:
            missing[run] = f"trained on {processor_of(record)}, the others on {processor}"
    usable = {run: record for run, record in found.items() if run not in missing}
    return RivalRows(usable, {run: missing[run] for run in runs if run in missing}, seconds, processor)


def read_rates(folder: Path | None = None) -> dict[str, dict[float, float]]:
    """Return the pixel error on the sections 12-17 with each learning rate that was tried, for those in `RATED`.

    One of `RATED` whose rates have no record is not in it.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where the records lie, by default `data/results`.
    """
    found: dict[str, dict[float, float]] = {}
    for job in planned(RATED, "rates"):
        for record in job.records(folder) if job.tile is None else ():
            found.setdefault(job.rival, {})[job.rate] = record["scores"]["none"]["pixel_error"]
    return found


def read_tiles(folder: Path | None = None) -> dict[int, dict]:
    """Return the record of the U-Net of 16 channels for each side of its tiles that was tried on the sections 12-17.

    All of them with the rate `RATE`.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where the records lie, by default `data/results`.
    """
    jobs = [job for job in planned(["rival-unet-16"], "rates") if job.rate == RATE]
    found = {job.method.tile: job.records(folder) for job in jobs}
    return {tile: records[0] for tile, records in sorted(found.items()) if records}


def difference_interval(
    first: Sequence[float], second: Sequence[float], *, seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean of first - second over the same sections, and its 95 % interval over sections drawn again.

    Parameters
    ----------
    first, second : sequence of float
        One value per section.
    seed : int
        Of the draws.
    """
    difference = np.asarray(first) - np.asarray(second)
    return float(difference.mean()), *interval(difference, seed=seed)


def against_equals(rows: RivalRows, measures: Sequence[str]) -> dict[tuple[str, str], dict[str, str]]:
    """Return how much each rival differs from the U-Net of its size, section by section, as text for a table.

    Each section's value is first averaged over the seeds that both have; then sections are drawn again.

    Parameters
    ----------
    rows : RivalRows
        What was run; a pair without a seed that both have on a fold has no line.
    measures : sequence of str
        Of `unet_paper.experiments.measures.EM_MEASURES`.

    Returns
    -------
    dict
        (title of the rival, such as ``"fold 1"``) -> ``"seeds"``, how many, and measure -> rival - U-Net,
        ``"mean (low to high)"``, as `difference_interval` has them.
    """
    table = {}
    for (name, unet), fold in ((pair, fold) for pair in EQUAL_SIZE.items() for fold in FOLD_SEEDS):
        seeds = seeds_of(name, fold)
        shared = [seed for seed in seeds if all((which, fold, seed) in rows.usable for which in (name, unet))]
        if shared:
            theirs, ours = ([rows.usable[which, fold, seed] for seed in shared] for which in (name, unet))
            found = {m: difference_interval(by_section(theirs, m), by_section(ours, m)) for m in measures}
            text = {measure: _told(*values) for measure, values in found.items()}
            table[RIVALS[name].title, f"fold {fold}"] = {"seeds": str(len(shared))} | text
    return table


def by_section(records: Sequence[Mapping], measure: str) -> np.ndarray:
    """Return a measure of each held-out section, (sections,), as a mean over records of the same fold."""
    return np.mean([record["scores"]["none"]["sections"][measure] for record in records], axis=0)


def _told(mean: float, low: float, high: float) -> str:
    return f"{mean:+z.5f} ({low:+z.5f} to {high:+z.5f})"


def near_and_far(records: Sequence[Mapping]) -> np.ndarray:
    """Return the share of wrong pixels close to a border between cell and membrane, and far from any.

    Parameters
    ----------
    records : sequence of mapping
        N runs.

    Returns
    -------
    numpy.ndarray
        (N, 2) float in [0, 1]: of all pixels at most `NEAR` px from a border, and of those at `FAR` px or more.
    """
    shares = []
    for found in (record["error_by_distance"] for record in records):
        distance, error, pixels = (np.array(found[name]) for name in ("distance", "error", "pixels"))
        parts = distance <= NEAR, distance >= FAR
        shares.append([np.average(error[part], weights=pixels[part]) for part in parts])
    return np.array(shares).reshape(-1, 2)


def step_ratio(record: Mapping) -> float | None:
    """Return the median processor time of a step over that of the fastest tenth, of the network where it is largest.

    Above `UNEVEN`, a run to be repeated. None where steps were not timed: the cascade.
    """
    times = [course["step_seconds"] for course in record["courses"] if "step_seconds" in course]
    return max((each["median"] / each["fastest tenth"] for each in times), default=None)


def step_milliseconds(folder: Path | None = None) -> dict[str, dict[str, float]]:
    """Return how long a step takes on each kind of processor, as far as records know it.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where the records lie, by default `data/results`.

    Returns
    -------
    dict
        Title of each one of `RATED` -> kind of processor -> processor time of the fastest tenth of its steps in ms, as
        a median over the runs of equal time and those that tried rates.
    """
    found: dict[str, dict[str, list[float]]] = {}
    jobs = [job for job in planned(RATED, "rates") + planned(RATED, "equal") if job.tile is None]
    for record in (record for job in jobs for record in job.records(folder)):
        times = [
            1e3 * course["step_seconds"]["fastest tenth"] for course in record["courses"] if "step_seconds" in course
        ]
        if times:
            found.setdefault(record["title"], {}).setdefault(processor_of(record), []).extend(times)
    return {
        title: {processor: float(np.median(times)) for processor, times in each.items()}
        for title, each in found.items()
    }


def run_title(run: tuple[str, int, int]) -> str:
    """Return what a run, (rival, fold, seed), is called in a sentence."""
    name, fold, seed = run
    return f"{RIVALS[name].title} (fold {fold}, seed {seed})"


def mean_of(records: Sequence[Mapping], measure: str) -> float:
    """Return the mean of a measure over records."""
    return float(np.mean([record["scores"]["none"][measure] for record in records]))


def over_seeds(rows: RivalRows, measures: Sequence[str]) -> dict[tuple[str, str], dict[str, str]]:
    """Return the mean and the standard deviation over seeds of every rival on each fold, as text for a table.

    Parameters
    ----------
    rows : RivalRows
        What was run.
    measures : sequence of str
        Of `unet_paper.experiments.measures.EM_MEASURES`.

    Returns
    -------
    dict
        (title, such as ``"fold 1, 3 seeds"``) -> measure -> ``"mean ± deviation"``; of one seed its value alone.
    """
    table = {}
    for name, fold in ((name, fold) for name in RIVALS for fold in FOLD_SEEDS):
        if runs := rows.of(name, fold):
            seeds = "one seed" if len(runs) == 1 else f"{len(runs)} seeds"
            scores = [run["scores"]["none"] for run in runs]
            found = {measure: mean_and_deviation([each[measure] for each in scores]) for measure in measures}
            table[runs[0]["title"], f"fold {fold}, {seeds}"] = found
    return table


def mean_and_deviation(values: Sequence[float]) -> str:
    """Return the mean and the standard deviation of a number over runs, as text; of one run its value alone."""
    return f"{np.mean(values):.4g}" + (f" ± {np.std(values, ddof=1):.1g}" if len(values) > 1 else "")


def pixels_seen(record: Mapping) -> int:
    """Count the pixels whose class a run was told, as often as it was: what a method gets out of its time."""
    total = 0
    for settings, course in zip(record["networks"], record["courses"], strict=True):
        if record["kind"] == "cascade":
            total += BATCH * sum(course["steps"].values())
        elif record["kind"] == "windows":
            total += record["config"]["batch_size"] * course["steps"]
        else:
            with torch.device("meta"):
                net = KINDS[record["kind"]](**settings)
            total += net.output_size(record["config"]["tile"]) ** 2 * course["steps"]
    return total
