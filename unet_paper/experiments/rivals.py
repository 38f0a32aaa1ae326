"""What the U-Net is compared with: each method trained for the same time on the same sections, one record per run.

Every method gets the same budget of processor time on one thread, the same sections and the same scores; all but the
cascade, which keeps its authors' squared error, the energy of Eq. 1 with weight 1. Nothing of the comparison decides a
setting: augmentation and weights are those that the study on the sections 12-17 left for the long runs, and on these
sections the rate of each kind of method was chosen, in short runs of their own; not of each network (see `RATED`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from unet_paper.analysis.operations import count_operations
from unet_paper.baselines.cascade import BATCH, Cascade
from unet_paper.baselines.fcn import FCN
from unet_paper.baselines.hypercolumns import HypercolumnNet
from unet_paper.baselines.padded import PaddedUNet
from unet_paper.baselines.sliding_window import DenseWindows, SlidingWindowNet
from unet_paper.experiments.plan import WEIGHTS
from unet_paper.model import UNet
from unet_paper.options import check_choice
from unet_paper.overlap_tile import tile_grid
from unet_paper.training.config import TrainConfig

# Processor time of one thread for each run, in s, by what the run is for. "equal": the comparison, six hours
# of one core in all. "patient": at most so long, ending when the sections 12-17 stop improving. "rates": to choose.
SECONDS = {"equal": 300.0, "patient": 1800.0, "rates": 100.0}
FOLD_SEEDS = {1: (0, 1, 2), 4: (0,)}  # fold -> seeds of all: 6-11 are annotated plainly, 24-29 with rings
SIDE = 512  # px, of a section
RATE = 3e-3  # peak rate of Adam of all but two U-Nets; see `Rival.rate`
# One recipe for all: no border term and no w_c, as the study on 12-17 chose. Time ends a run, long before `steps`.
RECIPE = replace(WEIGHTS, name="rival", w0=0.0, balance=False, standardise=False, standardise_each=True, steps=10**6)
# What a kind does otherwise. Windows are turned and mirrored, all eight ways alike; the cascade draws pixels from
# sections as they are.
UNCHANGED = {"rotation": 0.0, "elastic_std": 0.0, "elastic_strain": 0.0, "grey_value": 0.0}
DIFFERENT: Mapping[str, Mapping[str, object]] = {
    "windows": UNCHANGED | {"quarter_turns": True, "flips": True},
    "cascade": UNCHANGED | {"quarter_turns": False, "flips": False, "precision": "float32", "batch_size": BATCH},
}
KINDS: Mapping[str, Callable[..., nn.Module]] = {
    "unet": UNet,
    "padded": PaddedUNet,
    "fcn": FCN,
    "hypercolumns": HypercolumnNet,
    "windows": SlidingWindowNet,
    "cascade": Cascade,
}


@dataclass(frozen=True)
class Rival:
    """One method with its size.

    Attributes
    ----------
    name : str
        Of its records; begins with ``"rival-"``.
    title : str
        What figures and tables call it.
    kind : str
        Of `KINDS`.
    settings : mapping
        What its network is built with.
    tile : int
        Side of the training tiles in px; of a sliding window, the window; of the cascade, the section.
    batch_size : int
        Windows in a step; 1 tile for the others. The cascade's, in pixels, stands in `DIFFERENT`.
    members : tuple of mapping
        Settings of several networks that share the time and whose maps are averaged; empty for one network.
    rate : float
        Peak rate of Adam: of `rates` the one with the smallest pixel error on the sections 12-17, of this rival if its
        rates were tried, else of one of its kind; without those of `LEAPT`.
    rates : tuple of float
        Those that are tried. An outermost one was added whenever the outermost had been the best.
    """

    name: str
    title: str
    kind: str
    settings: Mapping[str, object] = field(default_factory=dict)
    tile: int = 316
    batch_size: int = 1
    members: tuple[Mapping[str, object], ...] = ()
    rate: float = RATE
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2)

    def __post_init__(self):
        check_choice(self.kind, tuple(KINDS), name="kind")

    @property
    def networks(self) -> tuple[Mapping[str, object], ...]:
        """The settings of each of its networks."""
        return self.members or (self.settings,)

    def build(self, settings: Mapping[str, object], seed: int) -> nn.Module:
        """Return one of its networks before its first step."""
        net = KINDS[self.kind](**settings)
        if hasattr(net, "reset_parameters"):
            net.reset_parameters(torch.Generator().manual_seed(seed))
        return net

    def config(self, seed: int, rate: float | None = None) -> TrainConfig:
        """Return how it is trained; `rate` only where one is to be chosen."""
        rate = self.rate if rate is None else rate
        settings = {"tile": self.tile, "batch_size": self.batch_size, **DIFFERENT.get(self.kind, {})}
        return replace(RECIPE, seed=seed, learning_rate=rate, **settings)

    @property
    def parameters(self) -> int:
        """Numbers that are learnt, of all its networks together."""
        with torch.device("meta"):
            nets = [KINDS[self.kind](**settings) for settings in self.networks]
        return sum(weight.numel() for net in nets for weight in net.parameters())

    @property
    def operations(self) -> int:
        """Floating point operations to segment one section of 512 x 512 px, densely where the method slides."""
        return sum(operations_of(self.kind, settings) for settings in self.networks)


def operations_of(kind: str, settings: Mapping[str, object]) -> int:
    """Count the operations of one network on a section; a U-Net's with the context of its tiles."""
    with torch.device("meta"):
        net = KINDS[kind](**settings)
    if kind == "cascade":
        return net.operations(SIDE, SIDE)
    net = DenseWindows(net) if kind == "windows" else net
    grid = tile_grid(net, SIDE, tile=tile_for(net))
    return len(grid.starts) ** 2 * count_operations(net.eval(), 1, 1, grid.size, grid.size)


def tile_for(net: nn.Module) -> int:
    """Return the tile of a prediction: all of a section at once, so that padded networks show no seam."""
    return net.legal_size_for(SIDE)


def _unet(width: int, like: str, *, depth: int = 4, rate: float = RATE) -> Rival:
    name, levels = (f"rival-unet-{width}", "") if depth == 4 else (f"rival-unet-{width}-{depth}", f", depth {depth}")
    settings = {"base_channels": width, "depth": depth}
    return Rival(name, f"U-Net, {width} channels{levels}{like}", "unet", settings, rate=rate)


WINDOWS = {"kind": "windows", "batch_size": 64}
RIVALS = {
    rival.name: rival
    for rival in (  # the most important first
        _unet(16, "", rate=1e-3),
        Rival("rival-n4", "sliding window N4, 95 px", settings={"window": 95}, tile=95, **WINDOWS),
        _unet(5, ", as large as N4"),
        Rival("rival-fcn-8s", "fully convolutional, 8s", "fcn", {"base_channels": 16, "head": "8s"}, tile=256),
        Rival("rival-hypercolumns", "hypercolumns", "hypercolumns", {"base_channels": 16}, tile=256),
        Rival("rival-cascade", "cascade", "cascade", {"levels": 4}, tile=SIDE, rates=(1e-3, 3e-3, 1e-2, 3e-2)),
        Rival("rival-padded", "padded, batch norm", "padded", {"base_channels": 16, "batch_norm": True}, tile=256),
        Rival("rival-n3", "sliding window N3, 65 px", settings={"window": 65}, tile=65, **WINDOWS),
        Rival("rival-w31", "window of 31 px", settings={"window": 31}, tile=31, **WINDOWS),
        Rival("rival-committee", "N4 and N3, averaged", members=({"window": 95}, {"window": 65}), tile=95, **WINDOWS),
        Rival("rival-fcn-32s", "fully convolutional, 32s", "fcn", {"base_channels": 16, "head": "32s"}, tile=256),
        Rival("rival-fcn-16s", "fully convolutional, 16s", "fcn", {"base_channels": 16, "head": "16s"}, tile=256),
        _unet(12, ", as large as hypercolumns", rate=1e-3),
        _unet(5, ", as large as the cascade", depth=3),
        _unet(4, ", as large as N3"),
    )
}
# Whose rates are tried: one of each kind, U-Nets of three widths.
RATED = (
    *("rival-unet-16", "rival-unet-5", "rival-unet-12", "rival-n4", "rival-fcn-8s", "rival-hypercolumns"),
    *("rival-cascade", "rival-padded"),
)
# In a run of the whole budget, the loss leapt to more than it had been and stayed there: the next lower rate is taken.
LEAPT = {"rival-unet-16": RATE}
# A U-Net is told more pixels in the same time by larger tiles: sides in px, tried beside its own; all of them with
# `RATE`, not with the rate that this U-Net has now.
LARGER_TILES = {"rival-unet-16": (444, 572)}
# Each rival and the U-Net that has about as many parameters, within 25 %.
EQUAL_SIZE = {
    "rival-n4": "rival-unet-5",
    "rival-n3": "rival-unet-4",
    "rival-fcn-8s": "rival-unet-16",
    "rival-fcn-16s": "rival-unet-16",
    "rival-fcn-32s": "rival-unet-16",
    "rival-padded": "rival-unet-16",
    "rival-hypercolumns": "rival-unet-12",
    "rival-cascade": "rival-unet-5-3",
}
# The rivals, each beside its U-Net, that a claim's verdict rests on.
DECIDING = {"C4": ("rival-n4", "rival-hypercolumns", "rival-fcn-8s"), "C11": ("rival-n4",)}
# One run each was planned on 24-29. By these, N4 had the smaller Rand error there, and C11 hung on one run each. So all
# methods that a verdict rests on got two more.
MORE_SEEDS = {4: (1, 2)}


def seeds_of(name: str, fold: int) -> tuple[int, ...]:
    """Return the seeds with which a rival is trained for the same time as all, with the sections of a fold held out."""
    deciding = {which for names in DECIDING.values() for rival in names for which in (rival, EQUAL_SIZE[rival])}
    return FOLD_SEEDS[fold] + (MORE_SEEDS.get(fold, ()) if name in deciding else ())
