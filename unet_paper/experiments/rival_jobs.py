"""Which runs of the comparison are still to be made: at equal time, with patience, and to choose learning rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from unet_paper.experiments.plan import Experiment
from unet_paper.experiments.record import processor_of, read_records, run_name, this_processor
from unet_paper.experiments.rival_runs import PATIENCE, run_rival
from unet_paper.experiments.rivals import (
    FOLD_SEEDS,
    LARGER_TILES,
    RATE,
    RATED,
    RECIPE,
    RIVALS,
    SECONDS,
    Rival,
    seeds_of,
)
from unet_paper.experiments.runner import Place
from unet_paper.experiments.summary import CHOICE_FOLD
from unet_paper.options import check_choice
from unet_paper.training import History


@dataclass(frozen=True)
class RivalJob:
    """One run of a rival, as the runner takes it.

    Attributes
    ----------
    rival : str
        Of `RIVALS`.
    fold, seed : int
        Which sections are held out, and the seed of weights and draws.
    way : {"equal", "patient", "rates"}
        How it ends and what for: see `unet_paper.experiments.rivals.SECONDS`.
    seconds : float
        The budget, or the cap.
    rate : float or None
        The learning rate, where one is to be chosen; None: the rival's own.
    tile : int or None
        Side of the tiles in px, where another is tried; None: the rival's own.
    """

    rival: str
    fold: int
    seed: int
    way: str = "equal"
    seconds: float = SECONDS["equal"]
    rate: float | None = None
    tile: int | None = None

    def __post_init__(self):
        check_choice(self.way, tuple(SECONDS), name="way")

    @property
    def label(self) -> str:
        """The rival, and what is particular about the run."""
        particular = {"equal": "", "patient": "-patient", "rates": f"-rate-{self.rate}"}
        tile = "" if self.tile is None else f"-tile-{self.tile}"
        return f"{self.rival}{tile}{particular[self.way]}"

    @property
    def method(self) -> Rival:
        """The rival, with the tile of this run."""
        rival = RIVALS[self.rival]
        return rival if self.tile is None else replace(rival, tile=self.tile)

    @property
    def patience(self) -> int:
        """Looks at the sections 12-17 without a gain that end it; 0: time does."""
        return PATIENCE if self.way == "patient" else 0

    @property
    def name(self) -> str:
        """What its files are called."""
        return run_name(self.label, self.fold, self.seed)

    @property
    def plan(self) -> Experiment:
        """The same as an experiment, for whoever publishes its record."""
        return Experiment(self.label, "em", RECIPE, folds=(self.fold,))

    def run(self, place: Place, report: Callable[[History], None]) -> None:
        """Train, score and write the record."""
        how = {"label": self.label, "seconds": self.seconds, "rate": self.rate, "patience": self.patience}
        run_rival(self.method, self.fold, self.seed, place, report=report, **how)

    def is_recorded(self, folder: Path | None) -> bool:
        """Tell whether the run, of this budget and recipe, has a record in a folder; None stands for `data/results`.

        Of equal time, one of another kind of processor does not count: there the same time is another race.
        """
        record, why = self.read(folder)
        return not why and (self.way != "equal" or processor_of(record) == this_processor())

    def read(self, folder: Path | None) -> tuple[dict | None, str]:
        """Return its record in a folder, and why that is not what is planned now; None stands for `data/results`.

        The reason is empty if the record is what is planned, of whatever processor, and ``"not run"`` without any.
        """
        found = self._all_records(folder)
        if not found:
            return None, "not run"
        return found[0], misfit(found[0], self.method, self.rate) or self._misfit_of_budget(found[0])

    def records(self, folder: Path | None) -> list[dict]:
        """Return its records in a folder, of this recipe and of any budget; None stands for `data/results`."""
        return [one for one in self._all_records(folder) if not misfit(one, self.method, self.rate)]

    def _all_records(self, folder: Path | None) -> list[dict]:
        return [one for one in read_records(self.label, folder, seed=self.seed) if one["fold"] == self.fold]

    def _misfit_of_budget(self, record: Mapping) -> str:
        seconds, patience = record["budget"]["seconds"], record["budget"].get("patience", 0)
        if seconds != self.seconds:
            return f"trained for {seconds:g} s, not for {self.seconds:g} s"
        if patience != self.patience:
            return f"ended after {patience} looks without a gain, not after {self.patience}"
        return ""


def misfit(record: Mapping, rival: Rival, rate: float | None = None) -> str:
    """Return why a record is not of the method and recipe that its name says now; empty if it is.

    Parameters
    ----------
    record : mapping
        As `unet_paper.experiments.rival_runs.run_rival` writes it.
    rival : Rival
        Whose it should be.
    rate : float, optional
        The learning rate, where one is to be chosen.
    """
    wanted = asdict(rival.config(record["seed"], rate))
    changed = [name for name, value in wanted.items() if record["config"].get(name) != value]
    if changed:
        return f"of another recipe ({', '.join(changed)})"
    if record["networks"] != [dict(settings) for settings in rival.networks]:
        return "of another network"
    return ""


def planned(names: Sequence[str], way: str, *, seconds: float | None = None) -> list[RivalJob]:
    """Return every run that is planned for some rivals: seed 0 of all comes first, so that a table soon has its rows.

    Parameters
    ----------
    names : sequence of str
        Of `RIVALS`.
    way : {"equal", "patient", "rates"}
        At equal time, every fold of `FOLD_SEEDS` with the seeds of `seeds_of`; with patience, seed 0 on fold 1 of all
        networks (the cascade's classifiers end one by one); rates, on the sections 12-17: each of `Rival.rates` of
        those in `RATED`, and after them the tiles of `LARGER_TILES`.
    seconds : float, optional
        The budget of each run, by default that of the way.
    """
    seconds = SECONDS[way] if seconds is None else seconds
    if way == "patient":
        return [RivalJob(name, 1, 0, way, seconds) for name in names if RIVALS[name].kind != "cascade"]
    if way == "rates":
        rated = [name for name in names if name in RATED]
        jobs = [RivalJob(name, CHOICE_FOLD, 0, way, seconds, rate) for name in rated for rate in RIVALS[name].rates]
        larger = [(name, tile) for name in names for tile in LARGER_TILES.get(name, ())]
        return jobs + [RivalJob(name, CHOICE_FOLD, 0, way, seconds, RATE, tile) for name, tile in larger]
    runs = [(name, fold, seed) for name in names for fold in FOLD_SEEDS for seed in seeds_of(name, fold)]
    jobs = [RivalJob(*run, way, seconds) for run in runs]
    return sorted(jobs, key=lambda job: (job.seed, job.fold))


def rival_jobs(
    names: Sequence[str],
    folder: Path | None,
    *,
    way: str = "equal",
    folds: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    seconds: float | None = None,
) -> list[RivalJob]:
    """Return the planned runs that have no record yet that counts here, neither in `folder` nor in `data/results`.

    Parameters
    ----------
    names, way, seconds
        As for `planned`.
    folder : pathlib.Path or None
        Where runs are made.
    folds, seeds : sequence of int, optional
        Only these.

    Raises
    ------
    ValueError
        If a run of another budget would replace the record of a planned one in `folder`.
    """
    jobs = _only(planned(names, way, seconds=seconds), folds, seeds)
    if seconds not in (None, SECONDS[way]) and folder is not None:
        kept = [job.name for job in _only(planned(names, way), folds, seeds) if job.read(folder)[1] == ""]
        if kept:
            told = f"{SECONDS[way]:g} s as planned: {', '.join(kept)}"
            raise ValueError(f"{folder} holds runs of {told}; write those of {seconds:g} s elsewhere (--output DIR)")
    return [job for job in jobs if not any(job.is_recorded(where) for where in (folder, None))]


def finished(
    names: Sequence[str],
    folder: Path,
    *,
    folds: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    say: Callable[[str], None] = print,
) -> list[RivalJob]:
    """Return the runs of rivals, of every way, whose records lie in `folder` and are of today's recipe and budget.

    Parameters
    ----------
    names : sequence of str
        Of `RIVALS`.
    folder : pathlib.Path
        Where runs were made.
    folds, seeds : sequence of int, optional
        Only these.
    say : callable
        Gets one line for each record that is left out: which, and why.
    """
    jobs = [job for way in SECONDS for job in _only(planned(names, way), folds, seeds)]
    reasons = {job: why for job in jobs for record, why in [job.read(folder)] if record is not None}
    for job, why in reasons.items():
        if why:
            say(f"{job.name}: {why}")
    return [job for job, why in reasons.items() if not why]


def _only(jobs: Sequence[RivalJob], folds: Sequence[int] | None, seeds: Sequence[int] | None) -> list[RivalJob]:
    jobs = [job for job in jobs if folds is None or job.fold in folds]
    return [job for job in jobs if seeds is None or job.seed in seeds]
