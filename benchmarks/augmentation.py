"""Speed of the augmentation: `unet_paper.augmentation` against scipy's `map_coordinates` and PyPI's `elasticdeform`.

The comparisons run on one core: neither scipy nor elasticdeform uses more. `elasticdeform` needs numpy 1, so it runs in
an interpreter of its own: name one that has it in the environment variable UNET_PAPER_ELASTICDEFORM_PYTHON, or let
`python -m benchmarks --elasticdeform` install it into a temporary folder (needs the network).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from benchmarks.comparison import Comparison, medians
from unet_paper.augmentation import Augmentation

SIDE = 512  # px
INTERPRETER = "UNET_PAPER_ELASTICDEFORM_PYTHON"
# Deforms a pair of image and labels whenever it is sent a line.
ELASTICDEFORM = """
import sys
import elasticdeform, numpy

side = int(sys.argv[1])
image = numpy.random.default_rng(0).random((side, side), dtype=numpy.float32)
labels = numpy.random.default_rng(0).integers(0, 100, (side, side), dtype=numpy.int32)
print("ready", flush=True)
for _ in sys.stdin:
    elasticdeform.deform_random_grid([image, labels], sigma=10, points=3, order=[3, 0], mode="mirror")
    print("done", flush=True)
"""


def measure(*, quick: bool = False, rounds: int = 9, install: bool = False) -> dict:
    """Time the deformation of one triple of image, labels and weights.

    Parameters
    ----------
    quick : bool
        A small triple.
    rounds : int
        How often each way is timed.
    install : bool
        Install `elasticdeform` for the time of the run. Without, and without UNET_PAPER_ELASTICDEFORM_PYTHON, its
        comparison has no time for it.

    Returns
    -------
    dict
        ``comparisons``: rows of `Comparison`.
    """
    side, at_least = (96, 0.0) if quick else (SIDE, 0.1)
    generator = torch.Generator().manual_seed(0)
    triple = random_triple(side, generator)
    only_elastic, everything = Augmentation(shift=0, rotation=0, grey_value=0), Augmentation()
    tasks = {"ours": lambda: only_elastic(*triple, generator=generator), "scipy": scipy_task(triple)}
    with threads(1), elasticdeform_interpreter(install) as interpreter, elasticdeform_task(interpreter, side) as task:
        one_core = medians(tasks | ({"elasticdeform": task} if task else {}), rounds=rounds, at_least=at_least)
    all_cores = medians({"ours": lambda: everything(*triple, generator=generator)}, rounds=rounds, at_least=at_least)
    rows = comparisons(one_core, all_cores["ours"], size=f"{side} × {side} px", with_goals=not quick)
    return {"comparisons": [row.as_row() for row in rows]}


def comparisons(one_core: dict[str, float], all_cores_ms: float, *, size: str, with_goals: bool) -> list[Comparison]:
    """Put the measured times, in ms, into rows."""
    same = {"what": "elastic deformation, image, labels, weights", "ours_ms": one_core["ours"]}
    than_scipy, than_package, at_most = (1, 8, 12) if with_goals else (None, None, None)
    return [
        Comparison(
            **same,
            other="scipy's map_coordinates",
            other_ms=one_core["scipy"],
            how=f"{size}, one core",
            goal_ratio=than_scipy,
        ),
        Comparison(
            **same,
            other="elasticdeform, without weights",
            other_ms=one_core.get("elasticdeform"),
            how=f"{size}, one core",
            goal_ratio=than_package,
        ),
        Comparison(
            what="all of the augmentation, image, labels, weights",
            other="",
            ours_ms=all_cores_ms,
            how=f"{size}, threads: {torch.get_num_threads()}",
            goal_ms=at_most,
        ),
    ]


def random_triple(side: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return an image, labels and weights of random numbers: (1, 1, H, W), (1, H, W), (1, H, W)."""
    image = torch.rand(1, 1, side, side, generator=generator)
    labels = torch.randint(0, 100, (1, side, side), generator=generator, dtype=torch.int32)
    return image, labels, torch.rand(1, side, side, generator=generator)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def scipy_task(triple: tuple[Tensor, Tensor, Tensor]) -> Callable[[], list[np.ndarray]]:
    """Return a function that deforms the same triple with scipy."""
    rng, maps = np.random.default_rng(0), [part.squeeze().numpy() for part in triple]
    return lambda: deform_with_scipy(*maps, rng)


def deform_with_scipy(image: np.ndarray, labels: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> list:
    """Elastically deform one triple of (H, W) arrays with cubic splines, as many notebooks do."""
    pixels = np.indices(image.shape, dtype=float)  # (2, H, W)
    control = [pixels[axis] * 2 / (side - 1) for axis, side in enumerate(image.shape)]  # in steps of the 3x3 grid
    vectors = rng.normal(0, 10, (2, 3, 3))
    positions = [pixels[k] + ndimage.map_coordinates(vectors[k], control, order=3, mode="nearest") for k in range(2)]
    maps = ((image, 3), (labels, 0), (weights, 0))
    return [ndimage.map_coordinates(one, positions, order=order, mode="mirror") for one, order in maps]


@contextmanager
def elasticdeform_task(interpreter: str | None, side: int) -> Iterator[Callable[[], None] | None]:
    """Give a function that lets `elasticdeform` deform one pair in its own interpreter; None without one."""
    if not interpreter:
        yield None
        return
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([interpreter, "-c", ELASTICDEFORM, str(side)], **pipes) as process:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{interpreter} cannot run elasticdeform; see its message above, or unset {INTERPRETER}")

        def deform() -> None:
            print(file=process.stdin, flush=True)
            process.stdout.readline()

        yield deform
        process.stdin.close()


@contextmanager
def elasticdeform_interpreter(install: bool) -> Iterator[str | None]:
    """Give a Python that has `elasticdeform` and numpy 1: in a temporary environment, or the one that is named."""
    if not install:
        yield os.environ.get(INTERPRETER)
        return
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", "numpy<2", "scipy<1.14", "elasticdeform"], check=True)
        yield python
