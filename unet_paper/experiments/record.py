"""Records of experiments: one JSON file per fold in `data/results`, written by the program, never by hand."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy
import scipy
import torch

import unet_paper
from unet_paper.datasets.folders import repository

FORMAT = "unet_paper record 1"


def results_folder() -> Path:
    """Return where the recorded results of the book lie."""
    return repository() / "data" / "results"


def record_path(folder: Path, name: str, fold: int) -> Path:
    """Return where the record of one fold lies."""
    return folder / f"{name}-fold{fold}.json"


def read_records(name: str, folder: str | os.PathLike | None = None) -> list[dict]:
    """Return the records of an experiment, one per fold that was run, by ascending fold; empty if none was.

    Parameters
    ----------
    name : str
        As in `EXPERIMENTS`.
    folder : path, optional
        Where to look instead of `data/results`.

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
    records = []
    for path in sorted(folder.glob(f"{name}-fold?.json")):
        record = json.loads(path.read_text())
        if record.get("format") != FORMAT:
            raise ValueError(f"{path} has format {record.get('format')!r}, not {FORMAT!r}; run the experiment again")
        records.append(record)
    return records


def circumstances(device: torch.device) -> dict:
    """Return when, on what, and with which versions something is computed; no name of the machine."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "versions": {
            "unet_paper": unet_paper.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "scipy": scipy.__version__,
        },
    }


def device_name(device: torch.device) -> str:
    """Return what a reader should know about the device: the GPU's name, or the CPU's instruction set."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.backends.cpu.get_cpu_capability()})"
