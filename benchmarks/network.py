"""Speed of the network: float32 as people write it against bfloat16 autocast with channels last, on this machine.

Times are those of the paper's network with random weights, which do not change them. How often both ways give the same
class is asked of a trained network: an untrained one sits on the fence at every pixel, and rounding decides there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.comparison import Comparison, medians
from unet_paper.datasets import Dataset, em_sections, synthetic_em
from unet_paper.loss import weighted_cross_entropy
from unet_paper.model import UNet
from unet_paper.networks.library import load_network
from unet_paper.overlap_tile import evaluating, predict_scores

TILE = 572  # px, the paper's input
SIDE = 512  # px, of the image that took the paper's network less than a second
NETWORK = "em"  # the trained network of the repository
HELD_OUT = range(27, 30)  # sections that it never saw
OTHER = "float32, contiguous"


def measure(*, quick: bool = False, rounds: int = 5, network: str | os.PathLike | None = None) -> dict:
    """Time the forward pass and the training step, and ask a trained network how far rounding changes its answer.

    Parameters
    ----------
    quick : bool
        A small tile, a narrow network, and no trained one unless `network` names it.
    rounds : int
        How often each way is timed.
    network : str or path, optional
        A trained network, by name or file, as `unet_paper.load_network` takes it. Default: "em", where it is present.

    Returns
    -------
    dict
        ``cpu_capability``; ``agreement``: which network was asked on which images, or why none was, the share of
        pixels with another class and its pixel error; ``comparisons``: rows of `Comparison`.
    """
    tile, wide, narrow = (188, 8, 4) if quick else (TILE, 64, 16)
    agreement = measure_agreement(network, quick=quick)
    rows = [
        compare_forward(wide, tile, rounds=rounds, apart=agreement["other_class"], with_goals=not quick),
        compare_whole_image(wide, 32 if quick else SIDE, rounds=rounds),
        compare_training_step(wide, tile, rounds=rounds),
        compare_training_step(narrow, tile, rounds=rounds),
        compare_crops(narrow, tile, rounds=rounds),
    ]
    capability = torch.backends.cpu.get_cpu_capability()
    return {"cpu_capability": capability, "agreement": agreement, "comparisons": [row.as_row() for row in rows]}


def compare_forward(base_channels: int, tile: int, *, rounds: int, apart: float | None, with_goals: bool) -> Comparison:
    """Time one forward pass in both ways."""
    plain, ours = seeded_network(base_channels).eval(), seeded_network(base_channels)
    image = seeded_image(tile)

    def forward_plain() -> np.ndarray:
        with torch.no_grad():
            return plain(image)[0].numpy()

    def forward_ours() -> np.ndarray:
        with evaluating(ours, precision="bfloat16") as evaluate:
            return evaluate(image[0]).numpy()

    times = medians({"ours": forward_ours, "other": forward_plain}, rounds=rounds)
    return Comparison(
        what=f"forward pass, {base_channels} channels",
        other=OTHER,
        how=described(tile),
        ours_ms=times["ours"],
        other_ms=times["other"],
        goal_ratio=2.5 if with_goals else None,
        apart=apart,
        goal_apart=0.001 if with_goals else None,
        apart_in="share of pixels with another class, trained network",
    )


def compare_whole_image(base_channels: int, side: int, *, rounds: int) -> Comparison:
    """Time the segmentation of an image, mirrored beyond its edges and in a single tile, in both ways."""
    net, image = seeded_network(base_channels).eval(), seeded_image(side)[0].numpy()
    tile = net.legal_size_for(side)

    def whole(precision: str) -> np.ndarray:
        return predict_scores(net, image, tile=tile, precision=precision, progress=False)

    times = medians({"ours": lambda: whole("bfloat16"), "other": lambda: whole("float32")}, rounds=rounds)
    return Comparison(
        what=f"image of {side} × {side} px, {base_channels} channels",
        other="float32",
        how=f"one tile of {described(tile)}",
        ours_ms=times["ours"],
        other_ms=times["other"],
    )


def compare_training_step(base_channels: int, tile: int, *, rounds: int) -> Comparison:
    """Time one step (forward, backward, SGD with momentum 0.99) in both ways."""
    plain, ours = seeded_network(base_channels), seeded_network(base_channels)
    ours.to(memory_format=torch.channels_last)
    image = seeded_image(tile)
    tasks = {"ours": training_step(ours, image, "bfloat16"), "other": training_step(plain, image, "float32")}
    times = medians(tasks, rounds=rounds)
    return Comparison(
        what=f"training step, {base_channels} channels",
        other=OTHER,
        how=described(tile),
        ours_ms=times["ours"],
        other_ms=times["other"],
    )


class SlicedCrop(nn.Module):
    """`unet_paper.model.CropAndConcatenate` as most people write it: with a slice."""

    def forward(self, upsampled: Tensor, skip: Tensor) -> Tensor:
        """(B, C1, h, w) and (B, C2, H, W) -> (B, C1 + C2, h, w)."""
        (height, width), sides = upsampled.shape[-2:], skip.shape[-2:]
        top, left = (sides[0] - height) // 2, (sides[1] - width) // 2
        return torch.cat([upsampled, skip[..., top : top + height, left : left + width]], dim=1)


def compare_crops(base_channels: int, tile: int, *, rounds: int) -> Comparison:
    """Time one training step in bfloat16 with channels last: crops by negative padding, and crops by slices."""
    ours, sliced = (seeded_network(base_channels).to(memory_format=torch.channels_last) for _ in range(2))
    sliced.concatenate = SlicedCrop()
    image = seeded_image(tile)
    tasks = {name: training_step(net, image, "bfloat16") for name, net in {"ours": ours, "other": sliced}.items()}
    times = medians(tasks, rounds=rounds)
    return Comparison(
        what=f"crops in a training step, {base_channels} channels",
        other="crops by slices",
        how=described(tile),
        ours_ms=times["ours"],
        other_ms=times["other"],
    )


def training_step(net: UNet, image: Tensor, precision: str) -> Callable[[], None]:
    """Return a function that does one training step of `net` on `image` (1, 1, H, W), with made-up labels."""
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.99)
    side = net.output_size(image.shape[-1])
    target = (image[:, 0, net.border : net.border + side, net.border : net.border + side] > 0.5).long()
    weight = torch.ones_like(target, dtype=torch.float32)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            scores = net(image)
        optimiser.zero_grad()
        weighted_cross_entropy(scores, target, weight).backward()
        optimiser.step()

    return step


def seeded_network(base_channels: int) -> UNet:
    """Return a network with the initial weights of section 3."""
    net = UNet(base_channels=base_channels)
    net.reset_parameters(torch.Generator().manual_seed(0))
    return net


def seeded_image(side: int) -> Tensor:
    """Return random grey values (1, 1, side, side)."""
    return torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))


def described(tile: int) -> str:
    """Return under which circumstances a time was taken."""
    return f"{tile} × {tile} px, threads: {torch.get_num_threads()}"


def measure_agreement(network: str | os.PathLike | None, *, quick: bool = False) -> dict:
    """Return the share of pixels to which bfloat16 gives another class than float32, on held-out EM sections."""
    if quick and network is None:
        return no_agreement("a quick run asks one only if --network PATH names it")
    try:
        net = load_network(network or NETWORK)
    except FileNotFoundError:
        if network is not None:
            raise
        return no_agreement(f"data/models/{NETWORK}.safetensors is missing; name a trained network with --network PATH")
    sections = synthetic_em(count=1) if quick else em_sections().subset(HELD_OUT)
    plain, ours = (classes(net, sections, precision=precision) for precision in ("float32", "bfloat16"))
    return {
        "network": Path(network or NETWORK).stem,
        "base_channels": net.base_channels,
        "source": sections.source,
        "sections": list(sections.frames),
        "other_class": float((plain != ours).mean()),
        "pixel_error": float((plain != (sections.labels > 0)).mean()),
        "why_not": None,
    }


def no_agreement(why_not: str) -> dict:
    """Return an agreement that was not measured, and why."""
    return {"network": None, "other_class": None, "pixel_error": None, "why_not": why_not}


def classes(net: UNet, sections: Dataset, *, precision: str) -> np.ndarray:
    """Return the more probable class of every pixel: (N, H, W)."""
    scores = [predict_scores(net, image, precision=precision, progress=False) for image in sections.images]
    return np.stack(scores).argmax(axis=1)
