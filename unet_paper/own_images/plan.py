"""A plan in words before any training: what the images hold, which settings follow, how long it will take.

As nnU-Net does it: everything follows from the data, by rules that stand here, and the plan says what was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from unet_paper.arrays import IGNORE
from unet_paper.datasets.dataset import Dataset
from unet_paper.networks.image_settings import ImageSettings, area_diameter
from unet_paper.overlap_tile import mirror_crop
from unet_paper.own_images.grey_values import normalised, range_of
from unet_paper.own_images.pairs import Annotation, Example
from unet_paper.resizing import resize_image, resize_labels, scaled_size
from unet_paper.training.config import SHORT_RUN, TrainConfig

# Departure: what minutes on two cores allow. Settled on early frames of sequence 01 of U373, judged on two of them that
# were held out: small tiles, Adam, averaged weights, and classes as frequent as they are (no w_c).
RECIPE = replace(
    SHORT_RUN,
    name="own images",
    warmup_steps=50,
    rotation=180.0,
    quarter_turns=False,
    elastic_strain=0.065,  # the paper's 10 px on its tile of 572
    grey_value=0.1,
    scaling=0.1,
    balance=False,
    standardise=True,
    fused=True,
    average=0.99,
    sigma=2.5,
    checkpoint_every=100,
)
FROM_PUBLISHED = {"learning_rate": 3e-4, "standardise": False}
CHANNELS = 16
SEEN_DIAMETER = 35.0  # px of a cell as the network sees it: a few of them fit into its output, details are left
SCALES = (0.2, 2.0)
STEPS = (200, 1_500)  # a third of the latter at most from a trained network
MINUTES = 6.0  # of training; reading, judging and masks of all images need some more
HELD_OUT = 5  # one image in so many
NETWORK_SIDE = 132  # px of the network's output for the tile of the recipe: no window need be smaller


@dataclass(frozen=True)
class Plan:
    """All that decides a training run on own images.

    Attributes
    ----------
    images : ImageSettings
        Scale, grey values, sizes of cells.
    config : TrainConfig
        How the network is trained, at that scale.
    base_channels : int
        Channels of its first level.
    learn, held_out : tuple of str
        Names of the images of each part; of a single image, both halves bear its name.
    seconds_per_step : float
        Measured on this machine, s; 0 where nobody measured.
    start : str or None
        The network that training starts from; None for fresh weights.
    """

    images: ImageSettings
    config: TrainConfig
    base_channels: int
    learn: tuple[str, ...]
    held_out: tuple[str, ...]
    seconds_per_step: float = 0.0
    start: str | None = None

    def as_dict(self) -> dict:
        """Return the plan as plain data."""
        return asdict(self)


def split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the images to learn from and those held out: the last fifth that holds cells, at least one.

    Neighbours of an image sequence look alike, so the held-out images stand together at its end. A single image is
    halved across its longer side.

    Raises
    ------
    ValueError
        If cells are left on one side only.
    """
    with_cells = [n for n, example in enumerate(examples) if (example.labels > 0).any()]
    if len(with_cells) < 2:
        return _halves(examples[with_cells[0]], [e for n, e in enumerate(examples) if n != with_cells[0]])
    held = with_cells[-max(1, round(len(examples) / HELD_OUT)) :]
    held = held if len(held) < len(with_cells) else held[1:]
    return [e for n, e in enumerate(examples) if n not in held], [examples[n] for n in held]


def make_plan(
    examples: Sequence[Example],
    *,
    scale: float | None = None,
    normalise: str | None = None,
    start: tuple[str, ImageSettings, int] | None = None,
    seed: int = 0,
) -> Plan:
    """Return the plan that follows from annotated images; steps and precision are those of the recipe still.

    Parameters
    ----------
    examples : sequence of Example
        From `unet_paper.own_images.pairs.read_examples`.
    scale : float, optional
        Instead of the one that follows from the size of the cells.
    normalise : str, optional
        Instead of ``"percentile"``.
    start : tuple, optional
        Name, settings and channels of a network to start from.
    seed : int
        Of weights, tiles and deformations.
    """
    learn, held_out = split(examples)
    areas = cell_areas(learn)
    diameter = area_diameter(float(np.median(areas)))
    name, known, channels = start or (None, ImageSettings(), CHANNELS)
    if scale is None:
        wanted = SEEN_DIAMETER if known.diameter is None else known.scale * known.diameter
        scale = _rounded(wanted / diameter)
    sizes = {example.pixel_size for example in examples}
    pixel_size = sizes.pop() if len(sizes) == 1 else None
    images = ImageSettings(
        scale=scale,
        normalise=normalise or "percentile",
        black=known.black,
        white=known.white,
        pixel_size=float(pixel_size[0]) if pixel_size and np.isclose(*pixel_size) else None,  # square pixels alone
        diameter=round(diameter, 1),
        min_size=int(np.percentile(cell_areas(learn, whole=True), 5) / 2),
    )
    samples = [unit_image(example, images) for example in learn]
    images = replace(
        images,
        mean=round(float(np.mean([s.mean() for s in samples])), 4),
        deviation=round(float(np.mean([s.std() for s in samples])), 4),
    )
    config = replace(RECIPE, seed=seed, **(FROM_PUBLISHED if start else {}))
    return Plan(images, config, channels, tuple(e.name for e in learn), tuple(e.name for e in held_out), start=name)


def with_steps(
    plan: Plan, *, seconds_per_step: float, precision: str, minutes: float | None, steps: int | None
) -> Plan:
    """Return the plan with `steps`, or with as many as fit into `minutes`, 200 at least.

    Where neither is given: as many as fit into `MINUTES`, within 200 to 1,500, or to 500 from a trained network.
    """
    fits = int(60 * (MINUTES if minutes is None else minutes) / max(seconds_per_step, 1e-6)) // 50 * 50
    most = STEPS[1] if plan.start is None else STEPS[1] // 3
    fits = max(STEPS[0], min(fits, most) if minutes is None else fits)
    steps = fits if steps is None else steps
    warmup = min(plan.config.warmup_steps, steps // 4)
    config = replace(
        plan.config, steps=steps, warmup_steps=warmup, precision=precision, validate_every=max(1, steps // 6)
    )
    return replace(plan, config=config, seconds_per_step=seconds_per_step)


def in_words(plan: Plan, examples: Sequence[Example], annotation: Annotation) -> str:
    """Return the plan as text, one decision per line."""
    images, config = plan.images, plan.config
    counts = [len(np.unique(e.labels[e.labels > 0])) for e in examples]
    shares = [(e.labels == IGNORE).mean() for e in examples]
    touching = sum(touching_pairs(e.labels) for e in examples)
    partly = sum(share > 0 for share in shares)
    ranges = sorted({f"{range_of(e.pixels, full=e.full)}" for e in examples})
    sizes = sorted({f"{e.pixels.shape[0]} x {e.pixels.shape[1]}" for e in examples})
    minutes = plan.seconds_per_step * config.steps / 60
    rows = {
        "images": f"{len(examples)} annotated, {', '.join(sizes[:3])} px{', ...' if len(sizes) > 3 else ''}",
        "masks": annotation.words,
        "annotation": f"{sum(counts)} cells, {touching} pairs touch; {partly} images only partly annotated"
        + (f" ({np.mean(shares):.0%} of all pixels are not)" if partly else ""),
        "grey values": f"{', '.join(ranges[:3])}{', ...' if len(ranges) > 3 else ''}; brought to [0, 1] by "
        + {"percentile": "their 1st and 99.8th percentile", "range": "their range", "none": "the type's range"}[
            images.normalise
        ],
        "cells": f"{images.diameter:g} px across (median); smaller than {images.min_size} px in area is no cell",
        "scale": f"{images.scale:g}: the network sees cells of {images.diameter * images.scale:.0f} px",
        "pixel size": "unknown, or not square" if images.pixel_size is None else f"{images.pixel_size:.3g} µm",
        "held out": _held_out(plan),
        "network": f"{plan.base_channels} channels in the first level (the paper: 64), "
        + ("fresh weights" if plan.start is None else f"starting from {plan.start}"),
        "training": f"{config.steps} steps on tiles of {config.tile} px, {config.precision}",
        "time": f"{plan.seconds_per_step:.2f} s per step here: about {minutes:.0f} min" if minutes else "not measured",
    }
    return "\n".join(f"  {name:12} {text}" for name, text in rows.items())


def cell_areas(examples: Sequence[Example], *, whole: bool = False) -> np.ndarray:
    """Return the area in px of every annotated cell; with `whole` only of those that no edge cuts, if there are any."""
    areas = []
    for labels in (np.maximum(example.labels, 0) for example in examples):
        sizes = np.bincount(labels.ravel())
        cut = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        sizes[cut if whole else 0] = 0
        areas.append(sizes[1:])
    found = np.concatenate(areas)
    return found[found > 0] if (found > 0).any() else cell_areas(examples)


def touching_pairs(labels: np.ndarray) -> int:
    """Count the pairs of cells that have pixels side by side."""
    sides = [(labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])]
    pairs = np.concatenate([np.stack([a, b])[:, (a != b) & (a > 0) & (b > 0)] for a, b in sides], axis=1)
    return len(np.unique(np.sort(pairs, axis=0), axis=1).T)


def unit_image(example: Example, images: ImageSettings) -> np.ndarray:
    """Return an image in [0, 1] as the settings say, (H, W) float32."""
    how = images.normalise
    return normalised(example.pixels, how, full=example.full, black=images.black, white=images.white, name=example.name)


def training_set(examples: Sequence[Example], images: ImageSettings, *, name: str) -> Dataset:
    """Return images and labels at the network's scale as one data set.

    Images of different sizes are cut into overlapping windows of the smallest image's size; what is smaller than the
    network's output is continued as its own mirror image, not annotated there.
    """
    unit, labels = [], []
    for example in examples:
        size = scaled_size(example.labels.shape, images.scale)
        unit.append(resize_image(unit_image(example, images)[None], size)[0].clip(0, 1))
        labels.append(resize_labels(example.labels[None], size)[0])
    side = [max(NETWORK_SIDE, min(image.shape[axis] for image in unit)) for axis in (0, 1)]
    cut = [window for pair in zip(unit, labels, strict=True) for window in _windows(*pair, side)]
    cut = [(image, mask) for image, mask in cut if (mask != IGNORE).any()]
    return Dataset(
        name=name,
        images=np.stack([image for image, _ in cut]),
        labels=np.stack([mask for _, mask in cut]).astype(np.int32),
        frames=tuple(range(len(cut))),
        source=f"Your own data: {len(examples)} annotated images.",
        is_real=True,
    )


def _windows(image: np.ndarray, labels: np.ndarray, side: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    starts = [_starts(n, window) for n, window in zip(image.shape, side, strict=True)]
    found = []
    for top in starts[0]:
        for left in starts[1]:
            place = (top, left, (side[0], side[1]))
            rows, columns = np.arange(top, top + side[0]), np.arange(left, left + side[1])
            beyond = (rows >= labels.shape[0])[:, None] | (columns >= labels.shape[1])[None]
            found.append((mirror_crop(image, *place), np.where(beyond, IGNORE, mirror_crop(labels, *place))))
    return found


def _held_out(plan: Plan) -> str:
    if set(plan.held_out) & set(plan.learn):  # of the only image with cells
        return f"half of {plan.held_out[0]}"
    return f"{len(plan.held_out)} of {len(plan.held_out) + len(plan.learn)}: {', '.join(plan.held_out[:6])}"


def _starts(n: int, window: int) -> list[int]:
    if n <= window:
        return [0]
    count = -(-n // window)
    return [round(k * (n - window) / (count - 1)) for k in range(count)]


def _halves(example: Example, others: list[Example]) -> tuple[list[Example], list[Example]]:
    axis = int(np.argmax(example.labels.shape))
    half = example.labels.shape[axis] // 2
    parts = []
    for slot in (slice(None, half), slice(half, None)):
        place = (slot, slice(None)) if axis == 0 else (slice(None), slot)
        parts.append(replace(example, pixels=example.pixels[place], labels=example.labels[place]))
    for part, word in zip(parts, ("upper", "lower") if axis == 0 else ("left", "right"), strict=True):
        if not (part.labels > 0).any():
            raise ValueError(
                f"only {example.name} has cells, and its {word} half has none: half of it is held out; annotate more"
            )
    return [parts[0], *others], [parts[1]]


def _rounded(scale: float) -> float:
    low, high = SCALES
    scale = min(max(scale, low), high)
    return 1.0 if 0.8 <= scale <= 1.25 else round(20 * scale) / 20
