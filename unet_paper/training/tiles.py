"""From a data set to training tiles: targets and weights once per image, tiles on demand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from unet_paper.arrays import IGNORE, check_array, check_both_classes, check_images, check_labels, check_same_shape
from unet_paper.augmentation import Augmentation, elastic_std_of
from unet_paper.cells import connected_cells
from unet_paper.datasets.dataset import Dataset
from unet_paper.training.config import TrainConfig, tile_at
from unet_paper.weight_maps import separate_touching, weight_map

Batch = tuple[Tensor, Tensor, Tensor]  # (B, 1, tile, tile), (B, out, out), (B, out, out)


@dataclass(frozen=True)
class TrainingTiles:
    """A data set, ready to be cut into tiles on the device where the network is.

    Attributes
    ----------
    images : Tensor
        (N, 1, H, W) float32.
    targets : Tensor
        (N, H, W) int64: class of each pixel, `IGNORE` where nobody annotated.
    weights : Tensor
        (N, H, W) float32, Eq. 2.
    border : int
        Pixels that the network's output lacks on every side of the tile.
    mean, deviation : numpy.ndarray
        (N,) what is removed from the grey values of each image; 0 and 1 where they stay in [0, 1].
    config : TrainConfig
        Tile size, augmentation, seed.
    """

    images: Tensor
    targets: Tensor
    weights: Tensor
    border: int
    mean: np.ndarray
    deviation: np.ndarray
    config: TrainConfig

    def batch(self, step: int, numbers: range) -> Batch:
        """Return the tiles `numbers` of step `step`: images with their context, targets and weights of the output."""
        side = tile_at(self.config, step)
        drawn = [self._tile(side, generator_for(self.config.seed, step, number)) for number in numbers]
        return tuple(torch.cat(part) for part in zip(*drawn, strict=True))

    def _tile(self, side: int, generator: torch.Generator) -> Batch:
        """Return one tile of `side` px as a batch of one."""
        n = int(torch.randint(len(self.images), (), generator=generator))
        whole = (maps[n : n + 1] for maps in (self.images, self.targets, self.weights))
        augmentation = augmentation_of(self.config, side)
        image, *maps = augmentation.sample(*whole, tile=side, border=self.border, generator=generator)
        image = (image - float(self.mean[n])) / float(self.deviation[n])
        turns = int(torch.randint(4, (), generator=generator)) if self.config.quarter_turns else 0
        return tuple(torch.rot90(part, turns, dims=(-2, -1)) for part in (image, *maps))


def prepare_tiles(
    dataset: Dataset, config: TrainConfig, *, weights: np.ndarray | None, border: int, device: torch.device
) -> TrainingTiles:
    """Check a data set, compute targets and loss weights once per image, and move everything to the device.

    Parameters
    ----------
    dataset : Dataset
        Images and labels.
    config : TrainConfig
        Weights of Eq. 2, input range, tiles.
    weights : numpy.ndarray or None
        (N, H, W) loss weights, >= 0, to take instead of Eq. 2.
    border : int
        `UNet.border` in px.
    device : torch.device
        Where the tiles are cut and deformed.

    Raises
    ------
    ValueError
        If the data set has no labels, none but one class, or shapes that differ.
    """
    images, labels = check_pair(dataset)
    check_both_classes(labels, name=f"data set {dataset.name!r}")
    mean, deviation = input_scales(images, config)
    objects = separated_objects(labels)
    targets = np.stack([np.where(section > 0, 1, section) for section in objects])  # class 1: cell
    weights = np.stack([_eq2(section, config) for section in objects]) if weights is None else weights
    weights = _check_weights(weights, labels)
    return TrainingTiles(
        images=torch.from_numpy(images)[:, None].to(device),
        targets=torch.from_numpy(targets.astype(np.int64)).to(device),
        weights=torch.from_numpy(weights).to(device),
        border=border,
        mean=mean,
        deviation=deviation,
        config=config,
    )


def check_pair(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, H, W) float32 and labels (N, H, W) int32 of a data set, or refuse what cannot be trained on.

    Raises
    ------
    ValueError
        If there are no labels, shapes differ, or no pixel is annotated.
    """
    if dataset.labels is None:
        raise ValueError(f"data set {dataset.name!r} has no labels; training and validation need annotated images")
    images = check_images(dataset.images, name="images")
    labels = check_labels(dataset.labels, ranks=(3,))
    check_same_shape(labels, images.shape, name="labels", other="images")
    if (labels == IGNORE).all():
        raise ValueError(f"data set {dataset.name!r} has only unannotated pixels ({IGNORE}); there is nothing to learn")
    return images, labels


def separated_objects(labels: np.ndarray) -> np.ndarray:
    """Return labels whose objects do not touch, so that Eq. 2 can tell them apart.

    Where the annotation says only cell or not (one positive value in all images, such as 1 or 255), every 4-connected
    patch of cell becomes an object of its own. Where it names the cells, a border of background is put between those
    that touch (Fig. 3c).

    Parameters
    ----------
    labels : numpy.ndarray
        (N, H, W) int32: 0, 1..n, `IGNORE`.

    Returns
    -------
    numpy.ndarray
        (N, H, W) int32, 0 background, 1..n objects, `IGNORE` where it was.
    """
    cells = labels[labels > 0]
    names_cells = cells.size > 0 and cells.min() < cells.max()
    return np.stack([separate_touching(image) if names_cells else connected_cells(image) for image in labels])


def fingerprint(dataset: Dataset, *, weights: np.ndarray | None) -> dict[str, str]:
    """Return what tells whether a run goes on with the data that it began with: a sha256 of each part.

    Parameters
    ----------
    dataset : Dataset
        Images and labels.
    weights : numpy.ndarray or None
        Loss weights that were given; those of Eq. 2 follow from labels and settings.

    Returns
    -------
    dict of str to str
        ``"images"``, ``"labels"`` and ``"weights"``, hexadecimal; of no weights, ``"Eq. 2"``.
    """
    images, labels = check_pair(dataset)
    parts = {"images": _sha256(images), "labels": _sha256(labels)}
    return {**parts, "weights": "Eq. 2" if weights is None else _sha256(_check_weights(weights, labels))}


def constant_energy(target: np.ndarray, weight: np.ndarray) -> float:
    """Return the lowest energy of Eq. 1 that one and the same probability at every pixel can reach.

    A network whose loss stays here has learned how frequent the classes are, and nothing else: its map is grey.

    Parameters
    ----------
    target : numpy.ndarray
        Any shape, classes 0 and 1, `IGNORE` where unannotated.
    weight : numpy.ndarray
        Same shape, >= 0.

    Returns
    -------
    float
        Mean over the annotated pixels; reached by p = (weight of class 1) / (weight of both).
    """
    cell, ground = (float(weight[target == number].sum(dtype=np.float64)) for number in (1, 0))
    energies = [total * np.log((cell + ground) / total) for total in (cell, ground) if total > 0]
    return float(sum(energies) / np.count_nonzero(target != IGNORE))


def _input_scale(images: np.ndarray, *, standardise: bool) -> tuple[float, float]:
    """Return mean and standard deviation to remove from the input; (0, 1) where it stays as it is."""
    if not standardise:
        return 0.0, 1.0
    deviation = float(images.std(dtype=np.float64))
    if deviation == 0:
        raise ValueError("all images have one and the same grey value; they cannot be standardised")
    return float(images.mean(dtype=np.float64)), deviation


def input_scales(images: np.ndarray, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation to remove from each image (N, H, W), as a configuration says: (N,), (N,)."""
    if config.standardise_each:
        scales = [_input_scale(image, standardise=True) for image in images]
    else:
        scales = [_input_scale(images, standardise=config.standardise)] * len(images)
    mean, deviation = np.array(scales, dtype=np.float64).reshape(-1, 2).T  # also of no image: (0,), (0,)
    return mean, deviation


@cache
def augmentation_of(config: TrainConfig, tile: int) -> Augmentation:
    """Return the augmentation of a configuration for tiles of `tile` px; quarter turns come on top."""
    strain = config.elastic_strain
    return Augmentation(
        rotation=config.rotation,
        flips=config.flips,
        grey_value=config.grey_value,
        scaling=config.scaling,
        elastic_std=elastic_std_of(strain, tile) if strain > 0 else config.elastic_std,
    )


def generator_for(seed: int, step: int, tile: int) -> torch.Generator:
    """Return the generator that draws everything about one tile.

    Because it follows from three numbers, a resumed run, a run on two processes and an uninterrupted run on one all
    see the same tiles; no generator has to be saved.
    """
    return torch.Generator().manual_seed(mixed_seed(seed, step, tile, 0))


def mixed_seed(*numbers: int) -> int:
    """Return a seed of 63 bits that depends on all `numbers`, so that neighbouring steps get unrelated streams."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _eq2(objects: np.ndarray, config: TrainConfig) -> np.ndarray:
    return weight_map(objects, w0=config.w0, sigma=config.sigma, balance=config.balance)


def _check_weights(weights, labels: np.ndarray) -> np.ndarray:
    """Return loss weights as float32, 0 on ignored pixels whatever stood there."""
    weights = np.asarray(weights)
    if weights.shape == labels.shape and weights.dtype.kind == "f":
        weights = np.where(labels == IGNORE, 0, weights)
    weights = check_array(weights, name="weights", ranks=(3,))
    check_same_shape(weights, labels.shape, name="weights", other="labels")
    if weights.min() < 0:
        raise ValueError(f"weights hold {weights.min()}; a loss weight is 0 (ignored) or more")
    return np.where(labels == IGNORE, 0, weights).astype(np.float32)


def _sha256(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
