"""Several runs side by side: what they will cost on this machine, one process each, one bar each, all resumable.

Narrow networks gain little from a second thread, and threads that share busy cores wait for each other, so every run
computes with one thread in a process of its own.
"""

from __future__ import annotations

import math
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context
from pathlib import Path

import torch
from tqdm import tqdm

from unet_paper.analysis.timing import prepared_step, step_seconds
from unet_paper.atomic import alone
from unet_paper.experiments.plan import EXPERIMENTS, FOLDS, Experiment, load_fold
from unet_paper.experiments.record import run_name
from unet_paper.experiments.run import run_fold
from unet_paper.files import write_text
from unet_paper.model import UNet
from unet_paper.training.checkpoint import CheckpointError, newest_checkpoint
from unet_paper.training.history import History

TIMED_STEPS = 3
# One thread a run. And memory that a tensor leaves is kept for the next one instead of given back to the system: on a
# virtual machine, new pages are dear. Both are read when a process starts; another C library than glibc ignores them.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}


@dataclass(frozen=True)
class Job:
    """One run: an experiment of `EXPERIMENTS`, the fold that it holds out, and its seed.

    Whatever has its `name`, `plan`, `seconds`, `make_network` and `run` can be run too. `seconds` is the processor time
    of a run that ends by the clock, which then needs no `make_network`; None for one that ends by its steps.
    """

    experiment: str
    fold: int
    seed: int
    seconds: float | None = None

    @property
    def name(self) -> str:
        """What its files are called."""
        return run_name(self.experiment, self.fold, self.seed)

    @property
    def plan(self) -> Experiment:
        """The experiment itself."""
        return EXPERIMENTS[self.experiment]

    def make_network(self) -> UNet:
        """Return a network of the run's shape, to see what its steps cost."""
        return UNet(base_channels=self.plan.base_channels)

    def run(self, place: Place, report: Callable[[History], None]) -> None:
        """Train, score and write the record."""
        run_fold(
            self.plan,
            self.fold,
            seed=self.seed,
            results=place.folder,
            networks=place.folder,
            device=torch.device(place.device),
            root=place.root,
            progress=False,
            on_report=report,
        )


@dataclass(frozen=True)
class Place:
    """Where runs compute and write: a folder for records, networks and checkpoints, a device, the data's folder."""

    folder: Path
    device: str = "cpu"
    root: Path | None = None


def jobs_of(
    names: Sequence[str], *, folds: Sequence[int] | None = None, seeds: Sequence[int] | None = None
) -> list[Job]:
    """Return the runs of experiments, every fold and every seed that the plan names.

    Parameters
    ----------
    names : sequence of str
        Of `EXPERIMENTS`.
    folds : sequence of int, optional
        Only these, each once; by default all of the plan.
    seeds : sequence of int, optional
        These, each once, instead of those that the plan names for a fold.

    Raises
    ------
    ValueError
        If a name is unknown, a task has no such fold, or a seed is below 0.
    """
    if unknown := [name for name in names if name not in EXPERIMENTS]:
        raise ValueError(f"no experiment called {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}")
    plans = [EXPERIMENTS[name] for name in names]
    folds, seeds = (None if given is None else tuple(dict.fromkeys(given)) for given in (folds, seeds))
    for plan, fold in ((plan, fold) for plan in plans for fold in folds or ()):
        if fold not in range(len(FOLDS[plan.task])):
            raise ValueError(
                f"{plan.name} has no fold {fold}; {plan.task} has the folds 0 .. {len(FOLDS[plan.task]) - 1}"
            )
    if seeds and min(seeds) < 0:
        raise ValueError(f"seed is {min(seeds)}; needs at least 0")
    return [
        Job(plan.name, fold, seed)
        for plan in plans
        for fold in (plan.folds if folds is None else folds)
        for seed in (plan.seeds_of(fold) if seeds is None else seeds)
    ]


def steps_done(job: Job, folder: Path) -> int:
    """Return how many steps of a run its newest usable checkpoint in `folder` holds; 0 if there is none."""
    try:
        found = newest_checkpoint(folder / f"{job.name}.checkpoint")
    except CheckpointError:  # none is usable: the run itself says so, and the others go on
        return 0
    return 0 if found is None else len(found.history.loss)


def estimated_seconds(jobs: Sequence[Job], place: Place) -> list[float]:
    """Return how long the training steps left of each run take here, alone on a core; measured on a few steps.

    Predicting and scoring the held-out images comes on top: minutes, not hours.
    """
    seconds: dict[tuple, float] = {}
    costs = []
    for job in jobs:
        if job.seconds is not None:
            costs.append(job.seconds)
            continue
        config, done = job.plan.config, steps_done(job, place.folder)
        late = min(config.late_steps, config.steps - done)
        cost, net = 0.0, job.make_network()
        for steps, tile in ((config.steps - done - late, config.tile), (late, config.late_tile)):
            kind = (type(net), job.plan.base_channels, tile, config.precision, config.batch_size)
            if steps > 0 and kind not in seconds:
                seconds[kind] = _seconds_of_step(net, job.plan, tile, place)
            cost += steps * seconds.get(kind, 0.0)
        costs.append(cost)
    return costs


def run_side_by_side(jobs: Sequence[Job], place: Place, *, workers: int) -> list[str]:
    """Run all jobs, at most `workers` at a time, each in a process of its own; interrupted ones go on where they were.

    Parameters
    ----------
    jobs : sequence of Job
        What to run, in this order.
    place : Place
        Where.
    workers : int
        How many runs at once, at least 1; one per core that is free.

    Returns
    -------
    list of str
        One line per run that failed: its name and why. The others have gone on.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; needs at least 1")
    waiting, running, failures = list(enumerate(jobs)), {}, {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                receiver, started = _start(*waiting.pop(0), place)
                running[receiver] = started
            for receiver in connection.wait(list(running)):
                _follow(receiver, running, failures)
    finally:  # also when the user interrupts: checkpoints hold what was done
        for process, _, bar in running.values():
            process.terminate()
            bar.close()
        for process, *_ in running.values():
            process.join()
    return list(failures.values())


def default_workers() -> int:
    """Return how many runs this process may place side by side: one per core."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _seconds_of_step(net: UNet, plan: Experiment, tile: int, place: Place) -> float:
    learn, _ = load_fold(plan.task, plan.folds[0], annotation=plan.annotation, root=place.root)
    config = replace(plan.config, tile=tile, late_tile=0, late_steps=0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        first = learn.subset(range(1)).rescaled(plan.scale)
        step, tiles = prepared_step(net, first, config, torch.device(place.device))
        return step_seconds(step, tiles, TIMED_STEPS)[0]
    finally:
        torch.set_num_threads(threads)


def _start(position: int, job: Job, place: Place) -> tuple:
    """Start one run; returns where it will be heard of, and its process, job and bar."""
    context = get_context("spawn")  # a fresh process: it reads `ENVIRONMENT`
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, place, sender), daemon=True)
    with _environment(ENVIRONMENT), _ctrl_c_held_back():
        process.start()
    sender.close()  # the other process holds it now: when that ends, the receiver knows
    total = job.plan.config.steps if job.seconds is None else None
    bar = tqdm(total=total, desc=job.name, unit="step", position=position)
    return receiver, (process, job, bar)


def _follow(receiver, running: dict, failures: dict[str, str]) -> None:
    """Take one message of a run; if it has failed, a line is put into `failures` under its name."""
    process, job, bar = running[receiver]
    try:
        done, loss, error = receiver.recv()
    except EOFError:
        process.join()
        bar.close()
        del running[receiver]
        if process.exitcode != 0 and job.name not in failures:  # it could not even say why, as where it was killed
            failures[job.name] = f"{job.name}: ended with status {process.exitcode}"
        return
    if error:
        failures[job.name] = f"{job.name}: {error}"
        return
    bar.update(done - bar.n)
    bar.set_postfix_str("scoring" if done == bar.total else f"loss {loss:.4f}")


def _work(job: Job, place: Place, sender) -> None:
    """Do one run in this process and tell the other one how far it is."""
    details = place.folder / f"{job.name}.error.txt"

    def report(history: History) -> None:
        sender.send((len(history.loss), history.loss[-1] if history.loss else math.nan, None))

    try:
        busy = f"another process is at this run in {place.folder}; wait for it"
        with alone(place.folder / f".{job.name}", busy=busy):
            job.run(place, report)
        details.unlink(missing_ok=True)  # of an earlier try
    except Exception as error:  # whatever it is, the other process must hear of it
        sender.send((0, math.nan, f"{_reason(error)} ({_details(details)})"))
        raise SystemExit(1) from None


def _reason(error: Exception) -> str:
    """Return what an error says; of those that were not foreseen, which say little, their kind too."""
    foreseen = isinstance(error, ValueError | TypeError | OSError | RuntimeError)
    return f"{error}" if foreseen and f"{error}" else f"{type(error).__name__}: {error}"


def _details(path: Path) -> str:
    """Write down where the error that is being handled came from; returns where that stands."""
    try:
        write_text(path, traceback.format_exc())
    except OSError as error:  # a full disk, perhaps the error itself
        return f"without details: {error}"
    return f"details in {path.name}"


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Hold Ctrl-C back for a while; processes that start meanwhile never hear of it: only this one ends, and ends them.

    A terminal sends it to all of them, and each would print where it was.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a while, for processes that start meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
