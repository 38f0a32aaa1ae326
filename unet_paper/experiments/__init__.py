"""The paper's experiments (section 4) as runs that anyone can repeat: a plan, a run, a record in `data/results`."""

from unet_paper.experiments.plan import EXPERIMENTS, Experiment
from unet_paper.experiments.record import read_records, results_folder

__all__ = ["EXPERIMENTS", "Experiment", "read_records", "results_folder"]
