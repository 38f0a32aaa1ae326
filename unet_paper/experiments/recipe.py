"""All that decides what one short run computes, but its fold and its seed: what the studies change one thing of.

References
----------
Ronneberger, Fischer, Brox (2015), sections 2 and 3, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import torch

from unet_paper.analysis.initialisation import RULES, draw_weights
from unet_paper.baselines.padded import PaddedUNet
from unet_paper.baselines.skipless import SkiplessUNet
from unet_paper.datasets import Dataset
from unet_paper.experiments.plan import TASKS, load_fold
from unet_paper.model import UNet
from unet_paper.options import check_choice
from unet_paper.training.config import SHORT_RUN, TrainConfig

NETWORKS = {"U-Net": UNet, "padded": PaddedUNet, "no skips": SkiplessUNet}
SPLITS = ("block", "interleaved", "block and random")
RANDOM = {"em": 6, "u373": 3, "dic-hela": 3}  # images that "block and random" holds out beside the block
STEPS = 3_000


@dataclass(frozen=True)
class Recipe:
    """One way to train a small network, and what it is tested on.

    Attributes
    ----------
    config : TrainConfig
        Optimiser, tiles, augmentation, loss weights. Its seed is that of the run.
    task : {"em", "u373", "dic-hela"}
        The data.
    scale : float
        Size of the images as the network sees them, relative to their own.
    base_channels, dropout
        As in `UNet`.
    network : {"U-Net", "padded", "no skips"}
        Which shape.
    rule : {"sqrt(2/N)", "sqrt(1/N)", "PyTorch"}
        How the first weights are drawn.
    images : int
        Annotated images to learn from, drawn by the seed of the run; 0 for all.
    split : {"block", "interleaved", "block and random"}
        What is held out: the fold's block (for cells: the other sequence); its second and fourth image, while its
        first, third and fifth are learned from beside the rest, and any further one is in neither (of a block of 6
        sections the last: 27 are learned from where "block" learns from 24); or the block, and beside it some images
        drawn by the seed from the rest.
    """

    config: TrainConfig
    task: str = "em"
    scale: float = 1.0
    base_channels: int = 8
    dropout: float = 0.5
    network: str = "U-Net"
    rule: str = "sqrt(2/N)"
    images: int = 0
    split: str = "block"

    def __post_init__(self):
        choices = {"task": TASKS, "network": tuple(NETWORKS), "rule": RULES, "split": SPLITS}
        for name, allowed in choices.items():
            check_choice(getattr(self, name), allowed, name=name)

    @property
    def fingerprint(self) -> str:
        """What tells this recipe from every other one: 12 hexadecimal digits of the sha256 of all its settings."""
        settings = asdict(self)
        for free in ("name", "seed", "validate_every", "checkpoint_every"):  # they decide nothing about the result
            del settings["config"][free]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

    def changed(self, settings: Mapping[str, object]) -> Recipe:
        """Return the recipe with some settings changed, of its own or of its `config`, by name.

        Raises
        ------
        ValueError
            If there is no such setting, or a value is none.
        """
        own = {field.name for field in fields(Recipe)} - {"config"}
        inner = {field.name for field in fields(TrainConfig)}
        if unknown := sorted(set(settings) - own - inner):
            raise ValueError(f"no setting called {', '.join(unknown)}; there are {', '.join(sorted(own | inner))}")
        config = replace(self.config, **{name: value for name, value in settings.items() if name in inner})
        return replace(self, config=config, **{name: value for name, value in settings.items() if name in own})

    def make_network(self, seed: int = 0) -> UNet:
        """Return the network before its first step."""
        net = NETWORKS[self.network](base_channels=self.base_channels, dropout=self.dropout)
        draw_weights(net, self.rule, generator=torch.Generator().manual_seed(seed))
        return net

    def load(self, fold: int, seed: int, *, root=None) -> tuple[Dataset, dict[str, Dataset]]:
        """Return what is learned from, and what is tested on by name: ``"block"``, and ``"random"`` where there is.

        Parameters
        ----------
        fold, seed : int
            Of the run; the seed draws images, the same ones for every recipe that draws as many.
        root : path, optional
            Where the data lies.
        """
        learn, block = load_fold(self.task, fold, root=root)
        tests = {"block": block}
        if self.split == "interleaved":
            tests, learn = {"block": block.subset([1, 3])}, in_series_order(learn, block.subset([0, 2, 4]))
        if self.split == "block and random":
            drawn = _drawn(len(learn), RANDOM[self.task], seed)
            tests["random"] = learn.subset(drawn)
            learn = learn.subset(np.setdiff1d(np.arange(len(learn)), drawn))
        if self.images:
            learn = learn.subset(_drawn(len(learn), self.images, seed))
        return learn, tests


def in_series_order(one: Dataset, other: Dataset) -> Dataset:
    """Return two parts of one series as one data set, in the order of the series."""
    frames = np.array(one.frames + other.frames)
    order = np.argsort(frames)
    images, labels = (np.concatenate([getattr(one, part), getattr(other, part)]) for part in ("images", "labels"))
    return replace(one, images=images[order], labels=labels[order], frames=tuple(int(n) for n in frames[order]))


def _drawn(count: int, wanted: int, seed: int) -> np.ndarray:
    """Return `wanted` of the numbers 0 .. count - 1, ascending; fewer images are the first of what more would be."""
    return np.sort(np.random.default_rng([14, seed]).permutation(count)[:wanted])


# Departure: what one thread trains in three minutes. An eighth of the paper's channels, Adam, a tile of 316 px,
# bfloat16, no border weights and no w_c (chosen on the sections 12-17), and flips, which the paper does not name. 5 px
# of elastic deformation strain this tile about as much as 10 px strain the paper's.
BASE = Recipe(
    replace(
        SHORT_RUN,
        name="base of the studies",
        steps=STEPS,
        warmup_steps=100,
        rotation=180.0,
        quarter_turns=False,
        elastic_std=5.0,
        grey_value=0.1,
        w0=0.0,
        balance=False,
        standardise_each=True,  # each image by itself: with zero padding, the network cannot absorb the scale
        fused=True,
        checkpoint_every=500,
    )
)
