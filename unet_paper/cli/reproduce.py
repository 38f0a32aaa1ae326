"""`python -m unet_paper reproduce NAME ...`: run the paper's experiments again and record what comes out."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "reproduce",
        help="train and measure as the book's records say",
        description="Trains an experiment on each of its folds, measures the held-out images, and writes a record and "
        "a network per fold. Without a name it lists what there is. An interrupted run continues where it was.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help='experiments to run; "gpu" for all that need one')
    parser.add_argument("--fold", type=int, action="append", help="only this fold (may be given more than once)")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda" (default: %(default)s)')
    parser.add_argument("--data", type=Path, metavar="DIR", help="data folder (default: $UNET_PAPER_DATA, else data/)")
    parser.add_argument("--output", type=Path, default=Path("runs"), metavar="DIR", help="default: %(default)s")
    publish = "copy finished records and networks to where the book reads them"
    parser.add_argument("--publish", action="store_true", help=publish)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Run what was named, or list what there is."""
    from unet_paper.experiments.plan import EXPERIMENTS, GPU  # here: torch takes a second to load

    if not options.names:
        print(format_list(EXPERIMENTS.values()))
        return 0
    names = [name for given in options.names for name in (GPU if given == "gpu" else (given,))]
    if unknown := [name for name in names if name not in EXPERIMENTS]:
        raise ValueError(f"no experiment called {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}")
    options.output.mkdir(parents=True, exist_ok=True)
    for name in names:
        act = publish_experiment if options.publish else run_experiment
        act(EXPERIMENTS[name], options)
    return 0


def run_experiment(experiment, options: Namespace) -> None:
    """Run the folds of one experiment and print one line for each."""
    import torch

    from unet_paper.experiments.run import run_fold

    for fold in experiment.folds if options.fold is None else options.fold:
        record = run_fold(
            experiment,
            fold,
            results=options.output,
            networks=options.output,
            device=torch.device(options.device),
            root=options.data,
        )
        print(f"{experiment.name}, fold {fold}: {record['seconds']['training']:.0f} s, {record['network']['file']}")


def publish_experiment(experiment, options: Namespace) -> None:
    """Copy the folds of one experiment into the book's data and print what was written."""
    from unet_paper.experiments.publish import publish

    for fold in experiment.folds if options.fold is None else options.fold:
        for path in publish(experiment, fold, runs=options.output):
            print(path)


def format_list(experiments) -> str:
    """Return one line per experiment: name, channels, steps, scale, folds."""
    lines = [f"{'name':22}{'channels':>9}{'steps':>8}{'scale':>7}  folds"]
    for experiment in experiments:
        folds = " ".join(map(str, experiment.folds))
        steps = experiment.config.steps
        lines.append(f"{experiment.name:22}{experiment.base_channels:9}{steps:8}{experiment.scale:7g}  {folds}")
    return "\n".join(lines)
