"""A network, a data set and a configuration so small that a training run takes a second."""

from __future__ import annotations

import numpy as np
import torch

from unet_paper.datasets import Dataset
from unet_paper.model import UNet
from unet_paper.training import TrainConfig

CONFIG = TrainConfig(
    name="tiny",
    optimiser="sgd",
    learning_rate=0.01,
    momentum=0.9,
    warmup_steps=2,
    steps=20,
    tile=32,
    quarter_turns=True,
    flips=True,
    elastic_std=2.0,
    checkpoint_every=4,
    validate_every=5,
)


def tiny_net(*, seed: int = 0, dropout: float = 0.5) -> UNet:
    """Return a U-Net with 2 base channels, one pooling and a border of 8 px."""
    net = UNet(base_channels=2, depth=1, dropout=dropout)
    net.reset_parameters(torch.Generator().manual_seed(seed))
    return net


def bright_squares(count: int = 3, side: int = 40) -> Dataset:
    """Return images of bright squares on dark ground, with the squares as labels."""
    generator = np.random.default_rng(0)
    labels = np.zeros((count, side, side), dtype=np.int32)
    for section in labels:
        top, left = generator.integers(2, side // 2, size=2)
        section[top : top + 10, left : left + 10] = 1
        section[top + 12 : top + 18, left : left + 6] = 1
    noise = generator.normal(scale=0.05, size=labels.shape)
    images = np.clip(0.2 + 0.5 * labels + noise, 0, 1).astype(np.float32)
    return Dataset("squares", images, labels, tuple(range(count)), "Generated squares.", is_real=False)


def same_numbers(one, other) -> bool:
    """Tell whether two modules or tensor dictionaries hold exactly the same numbers under the same names."""
    one, other = (item.state_dict() if hasattr(item, "state_dict") else item for item in (one, other))
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
