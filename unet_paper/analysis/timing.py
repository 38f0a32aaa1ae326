"""Where the time of a training step goes: seconds per stage, and the least that its operations need.

Everything here measures the parts that `unet_paper.training` is made of, on whatever device the network is.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from unet_paper.analysis.memory import clear_peak, kept_bytes, peak_bytes
from unet_paper.analysis.operations import step_flop
from unet_paper.datasets.dataset import Dataset
from unet_paper.loss import weighted_cross_entropy
from unet_paper.model import PRECISIONS, UNet
from unet_paper.training.config import TrainConfig
from unet_paper.training.step import WARM_UP, ReplayedStep, Step, gpu_settings, make_optimiser, mean_energy
from unet_paper.training.tiles import Batch, TrainingTiles, mixed_seed, prepare_tiles

STAGES = ("tile", "forward", "loss", "backward", "optimiser")
HEAD_START = 100_000_000  # clock cycles that a GPU idles while the host starts a step: far more than it needs


def measure_step(
    net: UNet, dataset: Dataset, config: TrainConfig, *, device: str | torch.device = "cpu", repeats: int = 10
) -> dict:
    """Measure one training step: as a whole, stage by stage, and against the least that its operations need.

    Parameters
    ----------
    net : UNet
        A copy of it is trained; it stays as and where it is.
    dataset : Dataset
        Images (N, H, W) with labels.
    config : TrainConfig
        Tile, precision, optimiser, augmentation.
    device : str or torch.device
        Where to measure.
    repeats : int
        Steps that are timed in each way, at least 1.

    Returns
    -------
    dict
        Plain numbers, ready for a record. Times in s: ``step_seconds`` as the loop runs it (mean), ``host_seconds``
        the part of it during which the host was busy, ``ordinary_step_seconds`` without a CUDA graph,
        ``stage_seconds`` (median) for each of `STAGES`, ``floor_seconds``. ``flop`` of a step, ``matrix_rate`` in
        FLOP/s. ``peak_memory_bytes`` of all tensors, ``reserved_memory_bytes`` of the whole process with its CUDA
        graph: None on a CPU, where PyTorch does not count. ``kept_bytes`` is counted alike on every device.
    """
    device = torch.device(device)
    with gpu_settings(device), torch.random.fork_rng([device] if device.type == "cuda" else []):
        step, tiles = prepared_step(net, dataset, config, device)
        clear_peak(device)
        ordinary, host = step_seconds(step, tiles, repeats)
        peak = peak_bytes(device)
        stages = [timed_stages(step, tiles, number) for number in range(repeats)]
        whole = ordinary
        if device.type == "cuda":
            whole, host = step_seconds(ReplayedStep(step), tiles, repeats)
        reserved = torch.cuda.memory_reserved(device) if device.type == "cuda" else None
    flop, rate = step_flop(net, config.tile, batch_size=config.batch_size), matrix_rate(device, config.precision)
    return {
        "tile_px": config.tile,
        "base_channels": net.base_channels,
        "batch_size": config.batch_size,
        "precision": config.precision,
        "channels_last": config.channels_last,
        "optimiser": config.optimiser,
        "repeats": repeats,
        "step_seconds": whole,
        "host_seconds": host,
        "ordinary_step_seconds": ordinary,
        "stage_seconds": dict(zip(STAGES, np.median(stages, axis=0).tolist(), strict=True)),
        "flop": flop,
        "matrix_rate": rate,
        "floor_seconds": flop / rate,
        "peak_memory_bytes": peak,
        "reserved_memory_bytes": reserved,
        "kept_bytes": kept_bytes(net, config.tile, precision=config.precision),
    }


def measure_plain_step(
    net: UNet, dataset: Dataset, config: TrainConfig, *, device: str | torch.device = "cpu", repeats: int = 3
) -> dict:
    """Measure the loop that people write first, to have something to compare with.

    float32, memory order as it comes, tiles drawn on the CPU in the same process, and a look at the loss in every
    step. Same network, tile, augmentation and kind of optimiser. TF32 is used or not as PyTorch is set.

    Parameters
    ----------
    net, dataset, config, device, repeats
        As in `measure_step`; precision and memory order of `config` do not count.

    Returns
    -------
    dict
        Mean times in s: ``step_seconds`` in all, and ``network_seconds``, with a tile that lies ready on the device.
    """
    device = torch.device(device)
    twin = copy.deepcopy(net).to(device, memory_format=torch.contiguous_format).train()
    tiles = prepare_tiles(dataset, config, weights=None, border=net.border, device=torch.device("cpu"))
    optimiser = torch.optim.SGD(twin.parameters(), lr=config.learning_rate, momentum=config.momentum)
    if config.optimiser == "adam":
        optimiser = torch.optim.Adam(twin.parameters(), lr=config.learning_rate)

    def update(batch: Batch) -> float:
        image, target, weight = (part.to(device) for part in batch)
        loss = weighted_cross_entropy(twin(image), target, weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    ready = tuple(part.to(device) for part in tiles.batch(0, range(config.batch_size)))
    whole, _ = _mean_seconds(lambda number: update(tiles.batch(number, range(config.batch_size))), repeats, device)
    network, _ = _mean_seconds(lambda _: update(ready), repeats, device)
    return {"step_seconds": whole, "network_seconds": network, "repeats": repeats}


def fastest_seconds(work: Callable[[], object], repeats: int) -> float:
    """Call `work` `repeats` times and return the seconds of the fastest call: what the machine can do undisturbed."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def matrix_rate(device: torch.device | str, precision: str, *, side: int | None = None) -> float:
    """Measure how fast a device multiplies large square matrices: the best of five, in FLOP/s.

    Parameters
    ----------
    device : torch.device or str
        Where.
    precision : {"float32", "bfloat16"}
        Of the factors; on a GPU, float32 is multiplied in TF32 where PyTorch may do so for convolutions.
    side : int, optional
        Rows and columns; by default 8192 on a GPU and 1536 on a CPU.

    Returns
    -------
    float
        FLOP/s, > 0.
    """
    device = torch.device(device)
    side = side or (8192 if device.type == "cuda" else 1536)
    generator = torch.Generator(device).manual_seed(0)  # random numbers: with equal ones, a GPU would run cooler
    factor = torch.randn(side, side, device=device, generator=generator).to(PRECISIONS[precision])
    with _matrices_like_convolutions():
        times = [_mean_seconds(lambda _: factor @ factor, 1, device)[0] for _ in range(5)]
    return 2 * side**3 / min(times)


def compare_precisions(net: UNet, tiles: Batch) -> dict[str, dict[str, float]]:
    """Compare scores and loss in lower precision with those in float32, on the same tiles.

    Parameters
    ----------
    net : UNet
        Used in evaluation mode, where it is.
    tiles : tuple of Tensor
        Images (B, 1, H, W), targets and weights (B, h, w), on the network's device.

    Returns
    -------
    dict
        ``"bfloat16"``, and on a GPU ``"TF32"`` -> ``same_class``: share of pixels whose most probable class is the
        same; ``score_difference``: root mean square of the difference of the scores over that of the scores;
        ``loss_difference``: relative difference of Eq. 1.
    """
    step = Step(copy.deepcopy(net).eval(), None, "float32")
    with torch.inference_mode():
        with tf32(False):
            exact = step.forward(tiles[0])
        others = {"bfloat16": Step(step.model, None, "bfloat16").forward(tiles[0]).float()}
        if exact.is_cuda:
            with tf32(True):
                others["TF32"] = step.forward(tiles[0])
        return {name: _differences(exact, scores, tiles) for name, scores in others.items()}


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid a GPU to round the factors of float32 convolutions to 10 bits, for a while."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def prepared_step(net: UNet, dataset: Dataset, config: TrainConfig, device: torch.device) -> tuple[Step, TrainingTiles]:
    """Return the step on a copy of `net`, and the tiles; the optimiser has its state, cuDNN its choices."""
    order = torch.channels_last if config.channels_last else torch.contiguous_format
    twin = copy.deepcopy(net).to(device, memory_format=order).train()
    step = Step(twin, make_optimiser(twin, config), config.precision)
    tiles = prepare_tiles(dataset, config, weights=None, border=net.border, device=device)
    step(tiles.batch(0, range(config.batch_size)))
    return step, tiles


def step_seconds(update: Callable[[Batch], Tensor], tiles: TrainingTiles, repeats: int) -> tuple[float, float]:
    """Return the mean seconds of a step with its tiles, and the part of them during which the host was busy."""
    config, device = tiles.config, tiles.images.device

    def one(number: int) -> None:
        torch.manual_seed(mixed_seed(config.seed, number, 0, 1))  # as the loop does, for dropout
        update(tiles.batch(number, range(config.batch_size)))

    return _mean_seconds(one, repeats, device)


def timed_stages(step: Step, tiles: TrainingTiles, number: int) -> list[float]:
    """Do step `number` of a run and return the seconds of each of `STAGES`.

    A GPU first gets something else to do, so that the host is ahead and no stage contains a wait for it.
    """
    device = tiles.images.device
    if device.type == "cuda":
        torch.cuda._sleep(HEAD_START)  # PyTorch's own tests use it; there is no public name
    marks = [_mark(device)]
    image, target, weight = tiles.batch(number, range(tiles.config.batch_size))
    marks.append(_mark(device))
    scores = step.forward(image)
    marks.append(_mark(device))
    loss = mean_energy(scores, target, weight)
    marks.append(_mark(device))
    step.backward(loss)
    marks.append(_mark(device))
    step.optimiser.step()
    marks.append(_mark(device))
    synchronise(device)
    return [_between(*pair) for pair in pairwise(marks)]


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _mean_seconds(work: Callable[[int], object], repeats: int, device: torch.device) -> tuple[float, float]:
    """Call `work(0)`, `work(1)`, ... and return the seconds of each, and those until the host was done with it."""
    ahead = WARM_UP + 1 if device.type == "cuda" else 1  # a recorded step is recorded by then
    for number in range(ahead):
        work(number)
    synchronise(device)
    started = time.perf_counter()
    for number in range(ahead, ahead + repeats):
        work(number)
    host = time.perf_counter() - started
    synchronise(device)
    return (time.perf_counter() - started) / repeats, host / repeats


def _mark(device: torch.device) -> torch.cuda.Event | float:
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _between(first: torch.cuda.Event | float, second: torch.cuda.Event | float) -> float:
    return second - first if isinstance(first, float) else first.elapsed_time(second) / 1000  # ms


def _differences(exact: Tensor, other: Tensor, tiles: Batch) -> dict[str, float]:
    energies = [mean_energy(scores, *tiles[1:]).item() for scores in (exact, other)]
    return {
        "same_class": (exact.argmax(dim=1) == other.argmax(dim=1)).float().mean().item(),
        "score_difference": ((exact - other).square().mean() / exact.square().mean()).sqrt().item(),
        "loss_difference": abs(energies[1] - energies[0]) / energies[0],
    }


@contextmanager
def _matrices_like_convolutions() -> Iterator[None]:
    """Let matrices be multiplied in TF32 where convolutions may; PyTorch sets the two apart."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
