"""The hyperparameters of a training run, and the named sets of them that the book uses.

References
----------
Ronneberger, Fischer, Brox (2015), sections 3 and 3.1, doi:10.1007/978-3-319-24574-4_28.
Kingma, Ba (2015), Adam, arXiv:1412.6980.
Polyak, Juditsky (1992), averages of iterates, doi:10.1137/0330046.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from unet_paper.model import PRECISIONS
from unet_paper.options import TYPES, check_choice, check_scalar

OPTIMISERS = ("sgd", "adam")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a training run computes. Change single values with `dataclasses.replace`.

    Attributes
    ----------
    name : str
        What tables and checkpoints call this configuration.
    optimiser : {"sgd", "adam"}
        Stochastic gradient descent with momentum as in the paper, or Adam.
    learning_rate : float
        Step size after the warm-up, > 0.
    momentum : float
        Share of the former step that a new one keeps, in [0, 1); the first-moment rate of Adam. Paper: 0.99.
    warmup_steps : int
        Steps over which the learning rate grows linearly from `learning_rate / warmup_steps`; 0 for none.
    schedule : {"constant", "cosine"}
        What follows the warm-up: the same rate to the end, or half a cosine down to 0.
    steps : int
        Updates of the weights.
    tile : int
        Side of the square input tile in px; must be legal for the network. Paper: 572.
    late_tile, late_steps : int
        The last `late_steps` steps take tiles of `late_tile` px: small tiles give a short run many steps, large ones
        at the end show it whole cells. Departure: the paper keeps one tile; 0 and 0 for that.
    batch_size : int
        Tiles per step, shared evenly between processes. Paper: 1.
    precision : {"float32", "bfloat16"}
        ``"bfloat16"`` runs the convolutions in autocast; weights, loss and optimiser stay float32.
    channels_last : bool
        Keep the channels of a pixel side by side in memory: same numbers up to rounding, faster convolutions.
    rotation : float
        Largest rotation in degrees, drawn uniformly from both directions; 180 for any angle, 0 for none.
    quarter_turns : bool
        Rotate each tile by a random multiple of 90 degrees, which moves pixels exactly.
    flips : bool
        Mirror each axis with probability 1/2.
    elastic_std : float
        Standard deviation in px of the displacements on the 3x3 grid. Paper: 10; 0 for no deformation.
    elastic_strain : float
        The same strength as a strain, which does not depend on the tile: standard deviation of the local change of
        area (see `unet_paper.augmentation.elastic_std_of`); the paper's 10 px on 572 are 0.065. Takes the place of
        `elastic_std`, which must then be 0; 0 for not used.
    scaling : float
        Largest relative change of size, in [0, 1): 0.25 shows a tile at 0.8 to 1.25 times its size. Paper: none.
    grey_value : float
        Strength of random gamma, contrast and brightness, in [0, 1); 0 for none. See `unet_paper.augmentation`.
    w0, sigma : float
        Height (no unit) and width (px) of the separation border's weight, Eq. 2. Paper: 10 and 5.
    balance : bool
        Weigh the classes by w_c of Eq. 2.
    standardise : bool
        Train on images of mean 0 and variance 1. The trained network still takes images in [0, 1]: mean and
        deviation are absorbed into its first convolution. For training from fresh weights.
    standardise_each : bool
        The same with every image's own mean and variance. Nothing can absorb them: who uses the network must
        standardise each image too (`unet_paper.predict_probability(..., standardise=True)`).
    average : float
        Decay per step of a running average of the weights, in [0, 1), which the run returns and validates instead of
        the last weights; 0 for none. Departure: the paper takes the last.
    fused : bool
        Update all weights in one pass over memory: the same formula, other rounding, less time on a CPU.
    seed : int
        Decides every tile, deformation and dropped activation; >= 0. The network brings its own initial weights.
    validate_every, checkpoint_every : int
        Steps between two measurements on the validation images, and between two checkpoints; 0: at the end only.

    Raises
    ------
    TypeError
        If a value is of another type; NumPy's scalars become Python's, so that checkpoints can hold them.
    ValueError
        If a value is out of its range; the message names it and what is allowed.
    """

    name: str = "paper"
    # The optimiser of section 3.
    optimiser: str = "sgd"
    learning_rate: float = 1e-3  # the paper gives none
    momentum: float = 0.99
    warmup_steps: int = 100  # the paper gives none; about the memory of momentum 0.99
    schedule: str = "constant"
    steps: int = 20_000  # the paper says 10 hours
    tile: int = 572
    late_tile: int = 0
    late_steps: int = 0
    batch_size: int = 1
    precision: str = "float32"
    channels_last: bool = True
    # The augmentation of section 3.1.
    rotation: float = 180.0
    quarter_turns: bool = False
    flips: bool = False
    elastic_std: float = 10.0
    elastic_strain: float = 0.0
    scaling: float = 0.0
    grey_value: float = 0.1  # the paper names grey value variations without a size
    # The weights of Eq. 2.
    w0: float = 10.0
    sigma: float = 5.0
    balance: bool = True
    standardise: bool = False
    standardise_each: bool = False
    average: float = 0.0
    fused: bool = False
    seed: int = 0
    validate_every: int = 0
    checkpoint_every: int = 500

    def __post_init__(self):
        for field in fields(self):
            value = check_scalar(getattr(self, field.name), TYPES[field.type], name=field.name)
            object.__setattr__(self, field.name, value)
        _check_choices(self)
        _check_numbers(self)

    def continues(self, earlier: TrainConfig) -> list[str]:
        """Return the names of settings that differ from `earlier` and so forbid to continue its run.

        How often to validate and to write may change; so may the number of steps, unless the schedule or late tiles
        depend on it.
        """
        free = {"name", "validate_every", "checkpoint_every"}
        if self.schedule == "constant" and self.late_steps == 0:
            free.add("steps")
        names = [field.name for field in fields(self) if field.name not in free]
        return [name for name in names if getattr(self, name) != getattr(earlier, name)]


def learning_rate_at(config: TrainConfig, step: int) -> float:
    """Return the learning rate of step `step`, counted from 0.

    Parameters
    ----------
    config : TrainConfig
        Gives peak, warm-up and schedule.
    step : int
        0 .. config.steps - 1.

    Returns
    -------
    float
        Linear from `learning_rate / warmup_steps` up to `learning_rate`, then constant or half a cosine towards 0.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    progress = (step - config.warmup_steps) / (config.steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def tile_at(config: TrainConfig, step: int) -> int:
    """Return the side in px of the tiles of step `step`, counted from 0."""
    return config.late_tile if step >= config.steps - config.late_steps else config.tile


def at_scale(config: TrainConfig, scale: float) -> TrainConfig:
    """Return a configuration for images resized by `scale` whose border weights and deformation stay the same.

    Parameters
    ----------
    config : TrainConfig
        For images at their own size.
    scale : float
        Size of the images as the network sees them, relative to their own, > 0.

    Returns
    -------
    TrainConfig
        With `sigma` and `elastic_std`, both in px, multiplied by `scale`; the tile, which the network's legal sizes
        bind, and the strain, which has no unit, stay.
    """
    if not 0 < scale < math.inf:
        raise ValueError(f"scale is {scale}; needs a finite factor above 0")
    return replace(config, sigma=config.sigma * scale, elastic_std=config.elastic_std * scale)


def configuration_table(configs: Sequence[TrainConfig]) -> str:
    """Return one line of text per setting, with its value in each configuration.

    Parameters
    ----------
    configs : sequence of TrainConfig
        One column each, headed by its name.
    """
    rows = [[field.name, *(str(getattr(config, field.name)) for config in configs)] for field in fields(TrainConfig)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _check_choices(config: TrainConfig) -> None:
    choices = {"optimiser": OPTIMISERS, "precision": PRECISIONS, "schedule": SCHEDULES}
    for name, allowed in choices.items():
        check_choice(getattr(config, name), allowed, name=name)


def _check_numbers(config: TrainConfig) -> None:
    for name in ("steps", "tile", "batch_size"):
        _require(config, name, getattr(config, name) >= 1, "needs at least 1")
    for name in ("warmup_steps", "seed", "validate_every", "checkpoint_every", "late_tile", "late_steps"):
        _require(config, name, getattr(config, name) >= 0, "needs 0 or more")
    for name in ("rotation", "elastic_std", "elastic_strain", "w0"):
        _require(config, name, 0 <= getattr(config, name) < math.inf, "needs a finite number, 0 or more")
    for name in ("learning_rate", "sigma"):
        _require(config, name, 0 < getattr(config, name) < math.inf, "needs a finite number above 0")
    _require(config, "momentum", 0 <= config.momentum < 1, "needs a share in [0, 1); the paper takes 0.99")
    _require(config, "grey_value", 0 <= config.grey_value < 1, "needs a strength in [0, 1), typical is 0.1")
    _require(config, "scaling", 0 <= config.scaling < 1, "needs a share in [0, 1), typical is 0.25")
    _require(config, "average", 0 <= config.average < 1, "needs a decay in [0, 1), typical is 0.999")
    _check_together(config)


def _check_together(config: TrainConfig) -> None:
    """Refuse settings that contradict each other."""
    one_strength = config.elastic_std == 0 or config.elastic_strain == 0
    _require(config, "elastic_strain", one_strength, f"needs elastic_std 0, which is {config.elastic_std}; give one")
    late = config.late_steps <= config.steps and (config.late_steps == 0) == (config.late_tile == 0)
    steps = f"needs 0 .. {config.steps} steps together with late_tile, which is {config.late_tile}"
    _require(config, "late_steps", late, steps)
    one_scale = not (config.standardise and config.standardise_each)
    _require(config, "standardise_each", one_scale, "needs standardise off; choose one of both")


def _require(config: TrainConfig, name: str, holds: bool, fix: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {getattr(config, name)}; {fix}")


# The paper's recipe; where the paper is silent, the comments above say what we chose.
PAPER = TrainConfig()

# Departure: a result within minutes on two cores. Adam instead of SGD with momentum 0.99, a smaller tile, bfloat16,
# quarter turns and flips (no resampling) instead of elastic deformation. The weights of Eq. 2 stay.
SHORT_RUN = TrainConfig(
    name="short run",
    optimiser="adam",
    learning_rate=1e-3,
    momentum=0.9,
    warmup_steps=20,
    schedule="cosine",
    steps=600,
    tile=316,
    precision="bfloat16",
    rotation=0.0,
    quarter_turns=True,
    flips=True,
    elastic_std=0.0,
    grey_value=0.0,
)

CONFIGURATIONS = {config.name: config for config in (PAPER, SHORT_RUN)}
