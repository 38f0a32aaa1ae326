"""Speed of the augmentation: `unet_paper.augment` against scipy's `map_coordinates` and PyPI's `elasticdeform`.

Run `python -m benchmarks.augmentation`; it prints JSON. Every ratio compares two timings of the same run, both on one
core: neither scipy nor elasticdeform uses more.

`elasticdeform` needs numpy 1, so it runs in an interpreter of its own: name one that has it in the environment variable
UNET_PAPER_ELASTICDEFORM_PYTHON, or pass `--elasticdeform` to install it into a temporary environment (needs network).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from unet_paper.augment import Augmentation

SIDE = 512  # px
SECONDS = 2.0  # how long each task is repeated
INTERPRETER = "UNET_PAPER_ELASTICDEFORM_PYTHON"

ELASTICDEFORM = f"""
import json, time
import elasticdeform, numpy

rng = numpy.random.default_rng(0)
image, weights = rng.random((2, {SIDE}, {SIDE}), dtype=numpy.float32)
labels = rng.integers(0, 100, ({SIDE}, {SIDE}), dtype=numpy.int32)

def best(maps, order):
    times = []
    while sum(times) < {SECONDS}:
        start = time.perf_counter()
        elasticdeform.deform_random_grid(maps, sigma=10, points=3, order=order, mode="mirror")
        times.append(time.perf_counter() - start)
    return min(times)

print(json.dumps({{"pair_s": best([image, labels], [3, 0]), "triple_s": best([image, labels, weights], [3, 0, 0])}}))
"""


def deform_with_scipy(image: np.ndarray, labels: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> list:
    """Elastically deform one triple of (H, W) arrays with cubic splines, as many notebooks do."""
    pixels = np.indices(image.shape, dtype=float)  # (2, H, W)
    control = [pixels[axis] * 2 / (side - 1) for axis, side in enumerate(image.shape)]  # in steps of the 3x3 grid
    vectors = rng.normal(0, 10, (2, 3, 3))
    positions = [pixels[k] + ndimage.map_coordinates(vectors[k], control, order=3, mode="nearest") for k in range(2)]
    maps = ((image, 3), (labels, 0), (weights, 0))
    return [ndimage.map_coordinates(one, positions, order=order, mode="mirror") for one, order in maps]


def best_time(function: Callable[[], object]) -> float:
    """Return the shortest timing in s: the one that other processes disturbed least."""
    times = []
    while sum(times) < SECONDS:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def measure_ours(*, threads: int) -> dict[str, float]:
    """Time one 512x512 triple: all components, elastic deformation alone, and one 572 px training tile."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return time_ours()
    finally:
        torch.set_num_threads(before)


def time_ours() -> dict[str, float]:
    """Time our tasks, in s, with the current number of threads."""
    generator = torch.Generator().manual_seed(0)
    triple = (
        torch.rand(1, 1, SIDE, SIDE, generator=generator),
        torch.randint(0, 100, (1, SIDE, SIDE), generator=generator, dtype=torch.int32),
        torch.rand(1, SIDE, SIDE, generator=generator),
    )
    everything, elastic = Augmentation(), Augmentation(shift=0, rotation=0, grey_value=0)
    bilinear = Augmentation(image_interpolation="bilinear")
    return {
        "everything_s": best_time(lambda: everything(*triple, generator=generator)),
        "everything_bilinear_s": best_time(lambda: bilinear(*triple, generator=generator)),
        "elastic_s": best_time(lambda: elastic(*triple, generator=generator)),
        "tile_572_s": best_time(lambda: everything.sample(*triple, tile=572, border=92, generator=generator)),
    }


def measure_scipy() -> float:
    """Time the elastic deformation of one 512x512 triple with scipy, in s."""
    rng = np.random.default_rng(0)
    image, weights = rng.random((2, SIDE, SIDE), dtype=np.float32)
    labels = rng.integers(0, 100, (SIDE, SIDE), dtype=np.int32)
    return best_time(lambda: deform_with_scipy(image, labels, weights, rng))


def measure_elasticdeform(interpreter: str | None) -> dict[str, float] | None:
    """Time `elasticdeform` in an interpreter that has it; None without one."""
    if not interpreter:
        return None
    answer = subprocess.run([interpreter, "-c", ELASTICDEFORM], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{interpreter} cannot run elasticdeform:\n{answer.stderr}")
    return json.loads(answer.stdout)


def install_elasticdeform(folder: str) -> str:
    """Create an environment with `elasticdeform` and numpy 1 in `folder`; return its interpreter."""
    venv.create(folder, with_pip=True)
    interpreter = str(Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    subprocess.run([interpreter, "-m", "pip", "install", "-q", "numpy<2", "scipy<1.14", "elasticdeform"], check=True)
    return interpreter


def measure(*, interpreter: str | None = os.environ.get(INTERPRETER)) -> dict:
    """Time all three on a 512x512 triple of image, labels and weights.

    Parameters
    ----------
    interpreter : str, optional
        A Python that has `elasticdeform`; without it, that comparison is absent.

    Returns
    -------
    dict
        ``ours``: seconds by task on one core; ``threads`` and ``ours_threaded``: the same with all threads;
        ``scipy_s``; ``scipy_ratio``: scipy over our elastic deformation; ``elasticdeform``: seconds for a pair and a
        triple, or None; ``elasticdeform_pair_ratio`` and ``elasticdeform_triple_ratio``: each over our elastic
        deformation of a triple.
    """
    threads = torch.get_num_threads()
    ours, threaded = measure_ours(threads=1), measure_ours(threads=threads)
    scipy_s, other = measure_scipy(), measure_elasticdeform(interpreter)
    result = {"ours": ours, "threads": threads, "ours_threaded": threaded, "scipy_s": scipy_s}
    result |= {"scipy_ratio": scipy_s / ours["elastic_s"], "elasticdeform": other}
    if other:
        result["elasticdeform_pair_ratio"] = other["pair_s"] / ours["elastic_s"]
        result["elasticdeform_triple_ratio"] = other["triple_s"] / ours["elastic_s"]
    return result


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elasticdeform", action="store_true", help="install elasticdeform into a temporary folder")
    if not parser.parse_args().elasticdeform:
        print(json.dumps(measure(), indent=2))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(interpreter=install_elasticdeform(folder)), indent=2))


if __name__ == "__main__":
    main()
