"""`python -m unet_paper reproduce NAME ...`: run the paper's experiments again and record what comes out."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import unet_paper as up
from unet_paper.messages import LIMIT, plain

NAMES = (
    'experiments or studies to run; "gpu" for all experiments that need one, "studies" for every study, "rivals" for '
    "all that the U-Net is compared with"
)


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "reproduce",
        help="train and measure as the book's records say",
        description="Trains experiments on each of their folds, several side by side, measures the held-out images, "
        "and writes a record and a network per run. First it says what that will cost on this machine. Without a name "
        "it lists what there is. Interrupted runs continue where they were. Of a study, only runs are done whose "
        "row is missing.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=NAMES)
    parser.add_argument("--fold", type=int, action="append", help="only this fold (may be given more than once)")
    parser.add_argument("--seed", type=int, action="append", help="only this seed (default: all that are planned)")
    seconds = "of rivals, processor time of each training (default: 300; --patient 1800, --rates 100)"
    parser.add_argument("--seconds", type=float, help=seconds)
    way = parser.add_mutually_exclusive_group()
    patient = "of rivals, end a run when the sections 12-17 stop improving; --seconds is a cap then"
    way.add_argument("--patient", dest="way", action="store_const", const="patient", default="equal", help=patient)
    rates = "of rivals, try the learning rates of which one is chosen, on the sections 12-17"
    way.add_argument("--rates", dest="way", action="store_const", const="rates", default="equal", help=rates)
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default: %(default)s)')
    parser.add_argument("--data", type=Path, metavar="DIR", help="data folder (default: $UNET_PAPER_DATA, else data/)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: runs/ of the repository)")
    workers = "runs side by side, one thread each (default: one per core; one on a GPU)"
    parser.add_argument("--workers", type=int, metavar="N", help=workers)
    parser.add_argument("--cost", action="store_true", help="only say what the runs would cost here")
    publish = "copy finished records and networks to where the book reads them"
    parser.add_argument("--publish", action="store_true", help=publish)
    parser.set_defaults(run=run, stopped=stopped)


def run(options: Namespace) -> int:
    """Run what was named, or list what there is."""
    if not options.names:
        print(format_list(up.experiments.EXPERIMENTS.values()))
        print(format_studies(up.experiments.study_rows.read_studies()))
        print(f"\nrivals: {', '.join(up.experiments.RIVALS)}")
        return 0
    by_kind = sorted_names(options.names)
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers is {options.workers}; needs at least 1")
    check_planned(*by_kind, options)
    options.output = output_folder(options.output)
    if options.publish:
        return publish_all(*by_kind, options)
    up.options.check_device(options.device)
    up.atomic.check_writable(options.output)
    options.output.mkdir(parents=True, exist_ok=True)
    jobs = missing_jobs(*by_kind, options)
    if not jobs:
        print("nothing is missing")
        return 0
    runner = up.experiments.runner
    place = runner.Place(options.output, options.device, options.data)
    workers = options.workers or (runner.default_workers() if options.device == "cpu" else 1)
    print(format_cost(jobs, runner.estimated_seconds(jobs, place), workers), flush=True)
    if options.cost:
        return 0
    failures = runner.run_side_by_side(jobs, place, workers=workers)
    for line in failures:
        print(f"failed: {plain(line, limit=LIMIT)}")
    return 1 if failures else 0


def sorted_names(given: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return which experiments, studies and rivals are meant; the name of a group stands for all of it."""
    studies, rivals = list(up.experiments.STUDIES), list(up.experiments.RIVALS)
    groups = {"gpu": up.experiments.plan.GPU, "studies": studies, "rivals": rivals}
    names = list(dict.fromkeys(name for one in given for name in groups.get(one, (one,))))  # each once
    experiments = [name for name in names if name not in (*studies, *rivals)]
    up.experiments.runner.jobs_of(experiments)  # an unknown name ends here, whatever else was asked for
    return experiments, [name for name in names if name in studies], [name for name in names if name in rivals]


def check_planned(
    experiments: Sequence[str], studies: Sequence[str], rivals: Sequence[str], options: Namespace
) -> None:
    """Refuse a fold or seed with which no study or rival of those named is planned; experiments take any seed."""
    up.experiments.runner.jobs_of(experiments, folds=options.fold, seeds=options.seed)
    if experiments:
        return
    folds, seeds, runs = options.fold or (), options.seed or (), planned_runs(studies, rivals, options)
    if not runs:
        way = {"patient": " --patient", "rates": " --rates"}.get(options.way, "")
        raise ValueError(f"no run{way} is planned for {', '.join((*studies, *rivals))}")
    chosen = [run for run in runs if (not folds or run[0] in folds) and (not seeds or run[1] in seeds)]
    unmet = [f"--fold {fold}" for fold in folds if fold not in {run[0] for run in chosen}]
    unmet += [f"--seed {seed}" for seed in seeds if seed not in {run[1] for run in chosen}]
    if unmet:
        there = ", ".join(f"fold {fold} seed {seed}" for fold, seed in runs)
        raise ValueError(f"no run with {' '.join(unmet)} is planned for {', '.join((*studies, *rivals))}: {there}")


def planned_runs(studies: Sequence[str], rivals: Sequence[str], options: Namespace) -> list[tuple[int, int]]:
    """Return with which (fold, seed) studies and rivals are planned, each pair once."""
    plan, jobs = up.experiments.studies, up.experiments.rival_jobs
    runs = {(run.fold, run.seed) for name in studies for run in plan.planned(name)}
    if "study-largest" in studies:  # its changes follow from the rows of the others
        runs |= {(plan.RINGED_BLOCK, seed) for seed in plan.SEEDS}
    ways = up.experiments.rivals.SECONDS if options.publish else (options.way,)
    return sorted(runs | {(job.fold, job.seed) for way in ways for job in jobs.planned(rivals, way)})


def output_folder(given: Path | None) -> Path:
    """Return where to write: what was given, else `runs` of the repository."""
    repository = up.datasets.folders.repository()
    if given is None and repository is None:
        raise ValueError("the package is installed without its repository; say where to write: --output DIR")
    return given or repository / "runs"


def missing_jobs(experiments: Sequence[str], studies: Sequence[str], rivals: Sequence[str], options: Namespace) -> list:
    """Return the runs to do: all of the experiments, and of studies and rivals those without a row or record."""
    only = {"folds": options.fold, "seeds": options.seed}
    of_rivals = {"way": options.way, "seconds": options.seconds}
    return [
        *up.experiments.runner.jobs_of(experiments, **only),
        *up.experiments.study_runs.study_jobs(studies, options.output, **only),
        *up.experiments.rival_jobs.rival_jobs(rivals, options.output, **only, **of_rivals),
    ]


def stopped(options: Namespace) -> str:
    """Say what is there after Ctrl-C."""
    if options.output is None:
        return "nothing was begun"
    return (
        f"finished runs and the last checkpoint of the others are in {options.output}; the same command goes on there"
    )


def publish_all(experiments: Sequence[str], studies: Sequence[str], rivals: Sequence[str], options: Namespace) -> int:
    """Copy the records of finished runs and the rows of studies into the book's data and print what was written."""
    up.experiments.publish.place_of_records()  # before anything is looked for
    only = {"folds": options.fold, "seeds": options.seed}
    kept = only | {"say": lambda line: print(f"left out: {plain(line, limit=LIMIT)}")}
    written = [up.experiments.study_runs.publish_rows(name, options.output, **kept) for name in studies]
    jobs = up.experiments.runner.jobs_of(experiments, **only)
    unfinished = [job.name for job in jobs if not (options.output / f"{job.name}.json").is_file()]
    if unfinished:
        kept["say"](f"not run in {options.output}: {', '.join(unfinished)}")
    finished = [job for job in jobs if job.name not in unfinished]
    for job in [*finished, *up.experiments.rival_jobs.finished(rivals, options.output, **kept)]:
        written += up.experiments.publish.publish(job.plan, job.fold, seed=job.seed, runs=options.output)
    for path in filter(None, written):
        print(plain(path))
    return 0 if any(written) else 1


def format_cost(jobs: Sequence, seconds: Sequence[float], workers: int) -> str:
    """Return one line per run with the minutes of training left, and what all take side by side."""
    width = max(len(job.name) for job in jobs)
    lines = [
        f"{job.name:{width}}{cost / 60:8.1f} min of training left" for job, cost in zip(jobs, seconds, strict=True)
    ]
    total = max(sum(seconds) / workers, max(seconds))
    return "\n".join([*lines, f"all, {workers} at a time, on idle cores: about {total / 60:.0f} min, then the scores"])


def format_list(experiments: Sequence) -> str:
    """Return one line per experiment: name, channels, steps, scale, folds of the plan, and those the book has."""
    width = max(len(experiment.name) for experiment in experiments)
    lines = [f"{'name':{width}}{'channels':>9}{'steps':>8}{'scale':>7}  {'folds':10}  recorded"]
    for experiment in experiments:
        folds = " ".join(map(str, experiment.folds))
        recorded = " ".join(str(run["fold"]) for run in up.experiments.read_records(experiment.name))
        numbers = f"{experiment.base_channels:9}{experiment.config.steps:8}{experiment.scale:7g}"
        lines.append(f"{experiment.name:{width}}{numbers}  {folds:10}  {recorded or 'none'}")
    return "\n".join(lines)


def format_studies(studies: Mapping) -> str:
    """Return one line per study: how many of its runs have a row, and its question."""
    lines = ["", f"{'study':22}{'rows':>6}{'missing':>9}  question"]
    for name, rows in studies.items():
        question = up.experiments.STUDIES[name].question
        lines.append(f"{name:22}{len(rows.usable):6}{len(rows.missing):9}  {question}")
    return "\n".join(lines)
