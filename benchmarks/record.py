"""What a record says about the machine, and the record as a table."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numba
import torch

from unet_paper.experiments.record import circumstances


def described_machine() -> dict:
    """Return when and on what is measured, with which versions and how busy the machine was; no name of it."""
    described = circumstances(torch.device("cpu"))
    described["versions"]["numba"] = numba.__version__
    return described | {"cpu": cpu_model(), "cores": os.cpu_count(), "load_before": load()}


def load() -> float | None:
    """Return how many processes wanted to run in the last minute, where the system tells; above `cores`, they wait."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def cpu_model() -> str:
    """Return what the processor calls itself."""
    information = Path("/proc/cpuinfo")  # Linux; elsewhere, Python knows
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def table(record: dict) -> str:
    """Return the comparisons of a record as a table to read in a terminal."""
    machine = record["machine"]
    lines = [f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_before']}, {machine['date']}"]
    for row in (row for part in record["rooms"].values() for row in part["comparisons"]):
        lines += ["", f"{row['what']} ({row['how']})", f"    {times(row)}"]
        lines += [f"    {row['apart_in']}: {row['apart']:.2g}"] if row["apart"] is not None else []
        lines += [f"    goal: {row['goal']}: {VERDICTS[row['met']]}"] if row["goal"] else []
    lines += [f"\nclasses of both precisions not compared: {why_not(record)}"] if why_not(record) else []
    return "\n".join(lines)


VERDICTS = {True: "met", False: "MISSED", None: "not measured in full"}


def times(row: dict) -> str:
    """Return both times of a comparison, and their ratio, in words."""
    ours = f"{row['ours_ms']:.3g} ms"
    if row["other_ms"] is None:
        return f"{ours}; not measured here: {row['other']}" if row["other"] else ours
    return f"{ours}, against {row['other_ms']:.3g} ms: {row['ratio']:.1f} times as fast as {row['other']}"


def why_not(record: dict) -> str | None:
    """Return why no trained network was asked, if none was."""
    return record["rooms"].get("network", {}).get("agreement", {}).get("why_not")
