"""Speed of the EM challenge's measures, and of the warping against the same loop in plain Python.

Run `python -m benchmarks.metrics`; it prints JSON. The ratio compares two timings of the same run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from benchmarks.weightmap import best_time
from unet_paper.cells import connected_cells
from unet_paper.datasets import em_sections
from unet_paper.metrics import (
    THRESHOLDS,
    em_scores,
    information_scores,
    pixel_agreement,
    rand_agreement,
    thin_borders,
    warp,
)

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


def smooth_map(labels: np.ndarray) -> np.ndarray:
    """Return a good map of probabilities: the cells (H, W), blurred by a Gaussian of 2 px."""
    return ndimage.gaussian_filter((labels > 0).astype(np.float32), 2)


def grey_map(image: np.ndarray) -> np.ndarray:
    """Return a bad map of probabilities: the grey values of the image (H, W), a little smoothed and stretched."""
    grey = ndimage.gaussian_filter(image, 1)
    low, high = np.quantile(grey, [0.02, 0.7])
    return np.clip((grey - low) / (high - low), 0, 1).astype(np.float32)


def warp_by_definition(labels: np.ndarray, probability: np.ndarray, threshold: float) -> tuple[np.ndarray, int]:
    """Warp as the rule reads, pixel by pixel in Python: the warped labels (H, W) bool, and how many pixels remain."""
    warped, target = np.pad(labels > 0, 1), np.pad(probability > np.float64(threshold), 1)
    confidence = np.pad(np.abs(probability.astype(np.float64) - threshold).astype(np.float32), 1)
    before = None
    while True:
        differing = [(x, y) for x, y in zip(*np.nonzero((warped != target).T), strict=True)]  # column by column
        if len(differing) in (0, before):
            return warped[1:-1, 1:-1], len(differing)
        before = len(differing)
        for x, y in sorted(differing, key=lambda pixel: -confidence[pixel[1], pixel[0]]):  # the sort is stable
            warped[y, x] ^= is_simple(warped[y - 1 : y + 2, x - 1 : x + 2])


def is_simple(patch: np.ndarray) -> bool:
    """Whether the centre of a 3x3 patch touches one piece of cell (4-connected) and one of membrane (8-connected)."""
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    cells = [place for place in ring if patch[place]]
    membrane = [place for place in ring if not patch[place]]
    touching = [piece for piece in pieces(cells, reach=1) if any((j + i) % 2 for j, i in piece)]  # not corners alone
    return len(touching) == 1 and len(pieces(membrane, reach=2)) == 1


def pieces(places: list[tuple[int, int]], *, reach: int) -> list[set]:
    """Group places whose squared distance is at most `reach` (1: 4-connected, 2: 8-connected)."""
    groups: list[set] = []
    for j, i in places:
        near = [group for group in groups if any((j - b) ** 2 + (i - a) ** 2 <= reach for b, a in group)]
        groups = [group for group in groups if group not in near] + [{(j, i)}.union(*near)]
    return groups


def time_map(labels: np.ndarray, probability: np.ndarray, *, repeats: int = 3) -> dict[str, float]:
    """Time each measure alone over all thresholds, and `em_scores`, which shares what they share, in s."""
    reference = connected_cells(labels > 0)
    masks = [probability > threshold for threshold in THRESHOLDS]
    found = [connected_cells(mask) for mask in masks]
    thinned = [thin_borders(mask) for mask in masks]
    tasks: dict[str, Callable[[], object]] = {
        "pixel_s": lambda: [pixel_agreement(labels, mask) for mask in masks],
        "rand_s": lambda: [rand_agreement(reference, cells) for cells in found],
        "thinning_s": lambda: [thin_borders(mask) for mask in masks],
        "v_rand_s": lambda: [rand_agreement(reference, cells) for cells in thinned],
        "v_info_s": lambda: [information_scores(reference, cells) for cells in thinned],
        "warping_s": lambda: [warp(labels, probability, threshold) for threshold in THRESHOLDS[:10]],
        "all_s": lambda: em_scores(labels, probability),
    }
    return {name: best_time(task, repeats=repeats) for name, task in tasks.items()}


def compare_warping(labels: np.ndarray, probability: np.ndarray, *, threshold: float = 0.5) -> dict:
    """Time the warping of one crop, compiled and in plain Python, and say whether they agree."""
    labels, probability = labels[:CROP, :CROP], probability[:CROP, :CROP]
    ours = best_time(lambda: warp(labels, probability, threshold), repeats=5)
    plain = best_time(lambda: warp_by_definition(labels, probability, threshold), repeats=1)
    same = np.array_equal(
        warp(labels, probability, threshold).warped, warp_by_definition(labels, probability, threshold)[0]
    )
    return {"side_px": CROP, "ours_s": ours, "plain_s": plain, "ratio": plain / ours, "equal": same}


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


def measure() -> dict:
    """Time one section of 512x512 px.

    Returns
    -------
    dict
        ``source``: which section; ``smooth`` and ``grey``: seconds of each measure over all thresholds for a good and
        a bad map; ``warping``: compiled against plain Python on a crop; ``fresh``: compile seconds and memory in MB.
    """
    sections = em_sections()
    labels, image = sections.labels[0], sections.images[0]
    smooth, grey = smooth_map(labels), grey_map(image)
    em_scores(labels, smooth)  # compile before the clock starts
    return {
        "source": sections.source,
        "smooth": time_map(labels, smooth),
        "grey": time_map(labels, grey),
        "warping": compare_warping(labels, grey),
        "fresh": measure_fresh(),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
