"""Speed of the EM challenge's measures, and of the warping against plain Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from scipy import ndimage

from benchmarks.comparison import Comparison, medians
from tests.warping_by_definition import warp_by_definition
from unet_paper.datasets import em_sections, synthetic_em
from unet_paper.metrics import em_scores, warp

CROP = 96  # px; plain Python takes too long for a section
FRESH = """
import json, time
import numpy as np
from unet_paper.metrics import em_scores

def peak_mb():  # Linux; `resource` would report the parent's peak where that is larger
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024

rng = np.random.default_rng(0)
labels = rng.random((512, 512)) > 0.2
before, start = peak_mb(), time.perf_counter()
em_scores(labels[:16, :16], labels[:16, :16].astype(float))
seconds, warm = time.perf_counter() - start, peak_mb()
em_scores(labels, rng.random((512, 512)))
print(json.dumps({"first_call_s": seconds, "compiler_mb": warm - before, "section_mb": peak_mb() - warm}))
"""


def measure(*, quick: bool = False, rounds: int = 5) -> dict:
    """Time all measures over all thresholds of one section, and the warping alone on a crop.

    Parameters
    ----------
    quick : bool
        A small part of a generated section.
    rounds : int
        How often each way is timed.

    Returns
    -------
    dict
        ``source``: which section; ``comparisons``: rows of `Comparison`; ``fresh``: what a first call costs, compile
        seconds and memory in MB (absent if quick, or where the system does not tell).
    """
    sections = synthetic_em(count=1) if quick else em_sections()
    side, crop = (64, 16) if quick else (sections.labels.shape[1], CROP)
    labels, image = sections.labels[0, :side, :side], sections.images[0, :side, :side]
    goal = None if quick else 600
    maps = {"a good map": smooth_map(labels), "a bad map": grey_map(image)}
    rows = [time_scores(labels, maps[kind], kind=kind, rounds=rounds, goal_ms=goal) for kind in maps]
    rows.append(compare_warping(labels[:crop, :crop], maps["a bad map"][:crop, :crop], rounds=rounds))
    measured = {"source": sections.source, "comparisons": [row.as_row() for row in rows]}
    return measured if quick or not os.path.exists("/proc/self/status") else measured | {"fresh": measure_fresh()}


def time_scores(labels: np.ndarray, probability: np.ndarray, *, kind: str, rounds: int, goal_ms) -> Comparison:
    """Time the five measures of the EM challenge over all thresholds."""
    times = medians({"ours": lambda: em_scores(labels, probability)}, rounds=rounds)
    return Comparison(
        what=f"all EM measures and thresholds, {kind}",
        other="the challenge's Java program",
        how=f"{labels.shape[0]} × {labels.shape[1]} px, one core",
        ours_ms=times["ours"],
        goal_ms=goal_ms,
    )


def compare_warping(labels: np.ndarray, probability: np.ndarray, *, rounds: int, threshold: float = 0.5) -> Comparison:
    """Time the warping of one crop, compiled and in plain Python, and count the pixels that differ."""
    tasks = {
        "ours": lambda: warp(labels, probability, threshold).warped,
        "plain": lambda: warp_by_definition(labels, probability, threshold)[0],
    }
    times = medians(tasks, rounds=rounds)
    return Comparison(
        what="warping of labels",
        other="plain Python",
        how=f"{labels.shape[0]} × {labels.shape[1]} px, one threshold, one core",
        ours_ms=times["ours"],
        other_ms=times["plain"],
        apart=float((tasks["ours"]() != tasks["plain"]()).mean()),
        goal_apart=0,
        apart_in="share of pixels that differ",
    )


def smooth_map(labels: np.ndarray) -> np.ndarray:
    """Return a good map of probabilities: the cells (H, W), blurred by a Gaussian of 2 px."""
    return ndimage.gaussian_filter((labels > 0).astype(np.float32), 2)


def grey_map(image: np.ndarray) -> np.ndarray:
    """Return a bad map of probabilities: the grey values of the image (H, W), a little smoothed and stretched."""
    grey = ndimage.gaussian_filter(image, 1)
    low, high = np.quantile(grey, [0.02, 0.7])
    return np.clip((grey - low) / (high - low), 0, 1).astype(np.float32)


def measure_fresh() -> dict[str, float]:
    """Run in a new process with an empty cache: seconds to compile, and growth of the peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        done = [
            subprocess.run([sys.executable, "-c", FRESH], env=environment, check=True, capture_output=True, text=True)
            for _ in range(2)
        ]
    first, second = (json.loads(run.stdout) for run in done)
    return {
        "compile_s": first["first_call_s"],
        "load_from_cache_s": second["first_call_s"],
        "compiler_mb": first["compiler_mb"],
        "section_mb": second["section_mb"],
    }
