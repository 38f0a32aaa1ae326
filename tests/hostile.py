"""Calls of the public functions with values that nobody should pass: `python -m tests.hostile CALLS` counts them.

Every call starts from arguments that work; one or two of them are replaced by something out of `HOSTILE`. It may return
what its own check accepts, or refuse with a ValueError or TypeError that names a value. All else is a defect.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

import unet_paper as up
from tests.training.tiny import CONFIG, bright_squares, tiny_net
from unet_paper.tracking.linking import Tracks, check_tracks, within_field

NET, DATA = tiny_net().eval(), bright_squares(2)
IMAGE, LABELS = DATA.images[0], DATA.labels[0]
MAP = np.where(LABELS > 0, 0.9, 0.1).astype(np.float32)
TRACKS = up.link(DATA.labels)

HOSTILE = [
    *(None, True, 0, 1, 2, -1, 3.7, 2**40, 10**400, float("nan"), float("inf"), -float("inf"), "7", b"x", [], {}, (1,)),
    *(np.int64(2), np.float32(0.5), np.bool_(True), np.float64("nan"), np.array(3), np.array([]), np.zeros(3), 1j),
    *(np.zeros((0, 5)), np.zeros((4, 4)), np.ones((9, 7), bool), np.full((40, 40), np.nan), np.full((40, 40), np.inf)),
    *(255 * IMAGE, -IMAGE, IMAGE.astype(np.float16), (255 * IMAGE).astype(np.uint8), (9 * IMAGE).astype(np.uint16)),
    *(
        LABELS.astype(np.int8),
        255 * LABELS,
        LABELS.astype(np.int64) * 2**40,
        LABELS - 2,
        LABELS + 0.5,
        LABELS.astype(complex),
    ),
    *(
        IMAGE.astype(object),
        np.array([["a"]]),
        DATA.images,
        DATA.labels,
        DATA.images[:, :3],
        7 * DATA.labels,
        [[1], [1, 2]],
    ),
    *(
        [DATA.images[0], (255 * DATA.images[1]).astype(np.uint8)],
        [True, False],
        [5],
        np.zeros((2, 40, 40)),
        slice(5, 9),
    ),
    *(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4), torch.full((1, 4, 4), 7), torch.full((1, 4, 4), torch.nan)),
    *(np.array([[1, 0, 2**31 - 1, 0]]), np.array([[1, 0, 1, 1]]), np.array([[-3, 5, 1, 9]]), np.zeros((0, 4), int)),
]


class Target(NamedTuple):
    """A function, arguments that work, and what every result must fulfil."""

    call: Callable
    legal: dict
    holds: Callable


def _is_cells(result) -> bool:
    return result.dtype == np.int32 and result.min() >= -1


def _is_finite(result) -> bool:
    return bool(np.isfinite(np.asarray(result)).all())


def _is_map(result) -> bool:
    return _is_finite(result) and result.dtype == np.float32 and result.min() >= 0 and result.max() <= 1


def _is_data_set(result) -> bool:
    images, labels = result.images, result.labels
    fits = labels is None or (labels.shape == images.shape and _is_cells(labels))
    return len(images) == len(result.frames) and images.ndim == 3 and _is_map(images) and fits


def _is_consistent(tracks) -> bool:
    check_tracks(tracks)
    return True


def _squares(**changes) -> up.Dataset:
    legal = {"images": DATA.images, "labels": DATA.labels, "frames": (0, 1)}
    return up.Dataset("squares", source="", is_real=False, **{**legal, **changes})


def _loss(scores, target, weight, reduction) -> float:
    return up.weighted_cross_entropy(scores, target, weight, reduction=reduction).item()


def _checked(labels, table) -> Tracks:
    check_tracks(tracks := Tracks(np.asarray(labels), np.asarray(table)))
    return tracks


def _trained(dataset, weights, validation) -> list[float]:
    config = up.training.TrainConfig(name="one", steps=1, tile=32, elastic_std=0.0, warmup_steps=0)
    return up.train(tiny_net(), dataset, config, weights=weights, validation=validation, progress=False).loss


def _trained_on(images, labels, weights) -> list[float]:
    return _trained(_squares(images=images, labels=labels), weights, None)


PREDICTED = {"image": IMAGE, "tile": 60, "precision": "float32"}
VIEWS = {"rotations": 1, "flips": False, "scale": 1.0, "standardise": False}
FOUND = {"threshold": 0.5, "min_size": 3, "border": 0}
TARGETS = {
    "Dataset": Target(_squares, {"images": DATA.images, "labels": DATA.labels, "frames": (0, 1)}, _is_data_set),
    "Dataset.subset": Target(DATA.subset, {"indices": [0]}, _is_data_set),
    "Dataset.rescaled": Target(DATA.rescaled, {"scale": 0.5}, _is_data_set),
    "UNet": Target(
        lambda **settings: up.UNet(depth=1, **settings),
        {"in_channels": 1, "num_classes": 2, "base_channels": 2, "dropout": 0.5, "variant": "paper"},
        lambda net: type(net.base_channels) is int,
    ),
    "TrainConfig": Target(
        up.TrainConfig,
        {name: getattr(CONFIG, name) for name in CONFIG.__dataclass_fields__},
        lambda config: up.History.from_json(up.History(config, "cpu").to_json()).config == config,
    ),
    "train": Target(_trained_on, {"images": DATA.images, "labels": DATA.labels, "weights": None}, _is_finite),
    "predict_scores": Target(lambda **given: up.predict_scores(NET, progress=False, **given), PREDICTED, _is_finite),
    "predict_probability": Target(
        lambda **given: up.predict_probability(NET, progress=False, **given), {**PREDICTED, **VIEWS}, _is_map
    ),
    "segment": Target(
        lambda images, **given: up.segment(images, NET, tile=60, progress=False, **given),
        {"images": DATA.images, "rotations": 1, "flips": False, **FOUND},
        lambda found: all(map(_is_cells, found)),
    ),
    "track": Target(
        lambda images, **given: up.track(images, NET, tile=60, progress=False, **given),
        {"images": DATA.images, "divisions": False, **FOUND},
        _is_consistent,
    ),
    "link": Target(up.link, {"frames": DATA.labels, "divisions": False}, _is_consistent),
    "within_field": Target(lambda border: within_field(TRACKS, border), {"border": 3}, _is_consistent),
    "check_tracks": Target(_checked, {"labels": TRACKS.labels, "table": TRACKS.table}, _is_consistent),
    "instances": Target(up.instances, {"probability": MAP, **FOUND}, _is_cells),
    "watershed_instances": Target(up.watershed_instances, {"probability": MAP, "depth": 5.0, **FOUND}, _is_cells),
    "connected_cells": Target(up.connected_cells, {"labels": LABELS}, _is_cells),
    "weight_map": Target(
        up.weight_map,
        {"labels": LABELS, "w0": 10.0, "sigma": 5.0, "balance": True},
        lambda result: _is_finite(result) and result.min() >= 0,
    ),
    "separate_touching": Target(up.separate_touching, {"labels": LABELS}, _is_cells),
    "weighted_cross_entropy": Target(
        _loss,
        {
            "scores": torch.zeros(1, 2, 4, 4),
            "target": torch.ones(1, 4, 4).long(),
            "weight": torch.ones(1, 4, 4),
            "reduction": "mean",
        },
        _is_finite,
    ),
    "Augmentation": Target(
        up.augmentation.Augmentation,
        {"shift": 2, "rotation": 5.0, "flips": False, "grey_value": 0.1, "scaling": 0.0, "elastic_std": 1.0, "grid": 3},
        lambda augmentation: _is_finite([augmentation.shift, augmentation.rotation, augmentation.elastic_std]),
    ),
    "seg": Target(up.metrics.seg, {"reference": DATA.labels, "result": DATA.labels}, lambda value: 0 <= value <= 1),
    "em_scores": Target(
        up.metrics.em_scores,
        {"labels": LABELS, "probability": MAP},
        lambda scores: 0 <= scores.pixel_error <= 1,
    ),
}


def hostile_call(target: Target, generator: np.random.Generator) -> tuple[str, str]:
    """Make one call; return ``"returned"``, ``"refused"`` or ``"defect"``, and what happened."""
    changed = generator.choice(list(target.legal), size=min(len(target.legal), generator.integers(1, 3)), replace=False)
    values = {name: HOSTILE[generator.integers(len(HOSTILE))] for name in changed}
    shown = ", ".join(f"{name}={str(value)[:40]!r} ({type(value).__name__})" for name, value in values.items())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # NumPy's: a division by 0, an invalid cast
            warnings.simplefilter("ignore", UserWarning)
            result = target.call(**{**target.legal, **values})
    except (ValueError, TypeError) as error:
        text = str(error)
        return ("refused", text) if text.strip() and len(text) < 1000 else ("defect", f"{shown}: message {text[:60]!r}")
    except Exception as error:
        return "defect", f"{shown}: {type(error).__name__}: {str(error)[:80]}"
    return ("returned", shown) if target.holds(result) else ("defect", f"{shown}: wrong result")


def main(calls: int) -> None:
    """Print how many calls of each function returned, were refused, or went wrong."""
    for number, (name, target) in enumerate(TARGETS.items()):
        generator = np.random.default_rng(number)
        outcomes = [hostile_call(target, generator) for _ in range(calls)]
        print(name, dict(Counter(kind for kind, _ in outcomes)), flush=True)
        for what in sorted({what for kind, what in outcomes if kind == "defect"}):
            print("   ", what, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
