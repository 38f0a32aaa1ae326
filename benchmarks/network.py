"""Speed of the network: float32 as people write it against bfloat16 autocast with channels last, on this machine.

Run `python -m benchmarks.network`; it prints JSON. Every ratio compares two timings of the same run, taken in turns, so
that whatever else the machine does disturbs both alike; the shortest timing of each counts.

How often both give the same class is measured on a network that was trained for a moment on generated sections: an
untrained one sits on the fence at every pixel, and rounding decides there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unet_paper.datasets import Dataset, synthetic_em
from unet_paper.loss import weighted_cross_entropy
from unet_paper.model import UNet
from unet_paper.tiling import evaluating, mirror_crop
from unet_paper.train import SHORT_RUN, train

TILE = 572  # px, the paper's input
MARGIN = 30  # px of mirror image around a section of 512 px
# Enough to tell membrane from cell; a well trained network has fewer pixels on the fence than this one.
MOMENT = replace(
    SHORT_RUN, name="a moment", steps=90, tile=316, learning_rate=3e-4, w0=0.0, balance=False, standardise=True
)


def measure() -> dict:
    """Return seconds, ratios and agreement; takes about a minute and a half on two cores."""
    sections = synthetic_em(count=5)
    net = trained_network(sections.subset(range(4)))
    image = mirror_crop(sections.images[-1:], -MARGIN, -MARGIN, (TILE, TILE))  # (1, 572, 572), a section it never saw
    first = net.border - MARGIN  # of the output, in the section
    labels = sections.labels[-1, first : first + net.output_size(TILE), first : first + net.output_size(TILE)]
    return {
        "tile_px": TILE,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "forward_64_channels": measure_forward(net, image, labels, repeats=4),
        "training_step_64_channels": measure_training_step(64, image, repeats=3),
        "training_step_16_channels": measure_training_step(16, image, repeats=5),
    }


def trained_network(sections: Dataset) -> UNet:
    """Return the full network, trained for a moment."""
    net = UNet()
    net.reset_parameters(torch.Generator().manual_seed(0))
    train(net, sections, MOMENT, progress=False)
    return net


def measure_forward(net: UNet, image: np.ndarray, labels: np.ndarray, *, repeats: int) -> dict:
    """Time one forward pass in both ways, compare the classes they give, and say how good the network is."""
    plain = UNet()
    plain.load_state_dict(net.state_dict())
    plain.eval()
    batch = torch.from_numpy(image)[None]  # (1, 1, 572, 572)

    def forward_plain() -> np.ndarray:
        with torch.no_grad():
            return plain(batch)[0].numpy()

    def forward_ours() -> np.ndarray:
        with evaluating(net, precision="bfloat16") as evaluate:
            return evaluate(image)

    times = in_turns(forward_plain, forward_ours, repeats)
    expected, classes = forward_plain().argmax(axis=0), forward_ours().argmax(axis=0)
    error = float((expected != labels).mean())
    return times | {"same_class": float((expected == classes).mean()), "pixel_error_of_the_network": error}


def measure_training_step(base_channels: int, image: np.ndarray, *, repeats: int) -> dict:
    """Time one step (forward, backward, SGD with momentum 0.99) in both ways."""
    plain, ours = (UNet(base_channels=base_channels) for _ in range(2))
    ours.to(memory_format=torch.channels_last)
    batch = torch.from_numpy(image)[None]
    return in_turns(training_step(plain, batch, "float32"), training_step(ours, batch, "bfloat16"), repeats)


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


def in_turns(plain: Callable[[], object], ours: Callable[[], object], repeats: int) -> dict[str, float]:
    """Return the shortest time in s of each, and how many times faster ours is."""
    times = np.array([[seconds(plain), seconds(ours)] for _ in range(repeats)])
    plain_s, ours_s = times.min(axis=0).tolist()
    return {"float32_contiguous_s": plain_s, "bfloat16_channels_last_s": ours_s, "ratio": plain_s / ours_s}


def seconds(function: Callable[[], object]) -> float:
    """Return the wall time of one call in s."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
