"""Records of experiments: one JSON file per fold in `data/results`, written by the program, never by hand."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import scipy
import torch

from unet_paper import __version__
from unet_paper.datasets.dataset import Dataset
from unet_paper.datasets.folders import published, repository
from unet_paper.options import check_choice

FORMAT = "unet_paper record 1"
COUNTS = ("merged", "merged_watershed", "merged_settled", "reference_cells")  # scores that are summed over folds
UNITS = ("amx_bf16", "avx512_bf16")  # matrices of 16-bit numbers at once; vectors of them


def results_folder() -> Path:
    """Return where the recorded results of the book lie."""
    return published() / "results"


def run_name(name: str, fold: int | str, seed: int | str = 0) -> str:
    """Return what the files of one run are called, without their ending; seed 0 goes without saying."""
    return f"{name}-fold{fold}" if seed == 0 else f"{name}-fold{fold}-seed{seed}"


def record_path(folder: Path, name: str, fold: int, seed: int = 0) -> Path:
    """Return where the record of one run lies."""
    return folder / f"{run_name(name, fold, seed)}.json"


def read_records(name: str, folder: str | os.PathLike | None = None, *, seed: int | None = 0) -> list[dict]:
    """Return the records of an experiment, one per run, by ascending fold and seed; empty if there is none.

    Parameters
    ----------
    name : str
        As in `EXPERIMENTS`.
    folder : path, optional
        Where to look instead of `data/results`.
    seed : int, optional
        Of the runs; every fold has seed 0, some have others beside it. None: all of them, by fold and seed.

    Returns
    -------
    list of dict
        What `unet_paper.experiments.run.run_fold` wrote; lengths in px, times in s.

    Raises
    ------
    ValueError
        If a file is no record.
    """
    folder = results_folder() if folder is None else Path(folder)
    runs = (run_name(name, "?", each) for each in ((0, "[0-9]*") if seed is None else (seed,)))
    records = [_read(path) for run in runs for path in folder.glob(f"{run}.json")]
    return sorted(records, key=lambda record: (record["fold"], record.get("seed", 0)))  # the first have seed 0


def _read(path: Path) -> dict:
    record = json.loads(path.read_text())
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path} has format {found!r}, not {FORMAT!r}; run the experiment again")
    return record


def read_benchmark(name: str, folder: str | os.PathLike | None = None) -> dict | None:
    """Return a record of the benchmarks, ``"benchmarks"`` or ``"gpu_benchmark"``; None if nobody has made it yet.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    folder : path, optional
        Where to look instead of `data/results`.
    """
    path = (results_folder() if folder is None else Path(folder)) / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def each_fold(records: Sequence[dict], value: Callable[[dict], float]) -> np.ndarray:
    """Return a value of every fold, by ascending fold; a fold that was run with several seeds gives their mean.

    Parameters
    ----------
    records : sequence of dict
        Of one experiment.
    value : callable
        Takes a record.

    Returns
    -------
    ndarray
        (folds,) float.
    """
    folds = sorted({record["fold"] for record in records})
    return np.array([np.mean([value(record) for record in records if record["fold"] == fold]) for fold in folds])


def over_folds(records: list[dict], measure: str, *, average: str = "none") -> float | int:
    """Return one measure of an experiment over all its folds; each counts once, whatever the number of its seeds.

    Parameters
    ----------
    records : list of dict
        From `read_records`, at least one.
    measure : str
        Of the records' scores. ``"seg..."`` is a mean over all annotated cells; one of `COUNTS` is summed (to the
        nearest whole number, where a fold has several seeds).
    average : str
        Which way to average predictions: ``"none"``, ``"7 rotations"``, ``"4 flips"`` or ``"8 symmetries"``.

    Raises
    ------
    ValueError
        If there is no record, or folds of this measure are neither averaged nor summed.
    """
    if not records:
        raise ValueError("there is no record; run the experiment first (python -m unet_paper reproduce)")
    if not measure.startswith("seg"):
        check_choice(measure, COUNTS, name="measure")

    def of(name: str) -> np.ndarray:
        return each_fold(records, lambda record: record["scores"][average][name])

    values, cells = of(measure), of("reference_cells")
    return float(np.average(values, weights=cells)) if measure.startswith("seg") else round(values.sum())


def circumstances(device: torch.device) -> dict:
    """Return when, on what, from which commit and with which versions something is computed; no name of the machine."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "device": device_name(device),
        "matrix_units": matrix_units(),
        "threads": torch.get_num_threads(),
        "versions": {
            "unet_paper": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }


def commit() -> str | None:
    """Return the commit of this repository, with "+" behind it if files were changed since; None outside of git."""
    if repository() is None:
        return None
    git = ["git", "-C", str(repository())]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "unet_paper"]).returncode
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + "+" * bool(changed)


def matrix_units() -> str | None:
    """Return what multiplies 16-bit numbers in the processor and decides its speed, from `UNITS`; None without."""
    cpuinfo = Path("/proc/cpuinfo")
    found = cpuinfo.read_text() if cpuinfo.is_file() else ""
    return next((unit for unit in UNITS if unit in found), None)


def processor_of(record: Mapping) -> str:
    """Return on what kind of processor something was computed, as text: its instruction set and its `UNITS`.

    Parameters
    ----------
    record : mapping
        With ``"device"`` and, if it knows them, ``"matrix_units"``, as from `circumstances`.
    """
    return f"{record['device']}, {record.get('matrix_units') or 'no units for 16-bit numbers known'}"


@cache
def this_processor() -> str:
    """Return the kind of processor of this machine, as `processor_of` has it."""
    return processor_of({"device": device_name(torch.device("cpu")), "matrix_units": matrix_units()})


def data_hash(dataset: Dataset) -> str:
    """Return the SHA-256 of images and labels, so that another run can show that it saw the same numbers."""
    digest = hashlib.sha256(np.ascontiguousarray(dataset.images))
    digest.update(np.ascontiguousarray(dataset.labels))
    return digest.hexdigest()


def device_name(device: torch.device) -> str:
    """Return what a reader should know about the device: the GPU's name, or the CPU's instruction set."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.backends.cpu.get_cpu_capability()})"
