"""How the sliding window was trained: on windows, as many around membrane as around cell, rotated and mirrored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unet_paper.arrays import check_both_classes, check_same_shape
from unet_paper.baselines.sliding_window import windows_around
from unet_paper.datasets.dataset import Dataset
from unet_paper.training.tiles import mixed_seed


@dataclass(frozen=True)
class BalancedWindows:
    """Windows around pixels of annotated images; each batch holds both classes alike.

    Attributes
    ----------
    images : numpy.ndarray
        (N, H, W) float32, as the network sees them.
    pixels : tuple of numpy.ndarray
        Flat indices into `images` of all membrane pixels, and of all cell pixels.
    window : int
        Side of the windows in px, odd.
    batch_size : int
        Windows of a batch, even.
    seed : int
        Decides every draw.
    """

    images: np.ndarray
    pixels: tuple[np.ndarray, np.ndarray]
    window: int
    batch_size: int
    seed: int

    @classmethod
    def of(cls, dataset: Dataset, images: np.ndarray, *, window: int, batch_size: int, seed: int) -> BalancedWindows:
        """Return the windows of a data set with labels; `images` (N, H, W) are its images as the network sees them.

        Raises
        ------
        ValueError
            If the shapes differ, a batch cannot hold both classes alike, or there is no pixel of one of them.
        """
        check_same_shape(images, dataset.labels.shape, name="images", other="labels")
        if batch_size < 2 or batch_size % 2:
            raise ValueError(f"batch_size is {batch_size}; needs an even number, half of it for each class")
        check_both_classes(dataset.labels, name=f"data set {dataset.name!r}")
        flat = dataset.labels.ravel()
        return cls(images, (np.flatnonzero(flat == 0), np.flatnonzero(flat > 0)), window, batch_size, seed)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the windows of step `step`, (B, 1, w, w) float32, and the class of each, (B,) int64.

        The first half lies around membrane, the second around cells. Each is turned by a multiple of 90 degrees and
        mirrored or not, all eight ways alike: that moves pixels and changes none.
        """
        draw = np.random.default_rng(mixed_seed(self.seed, step, 2))
        half = self.batch_size // 2
        chosen = np.concatenate([draw.choice(pixels, half) for pixels in self.pixels])
        section, row, column = np.unravel_index(chosen, self.images.shape)
        windows = np.stack(
            [
                windows_around(self.images[n], [y], [x], side=self.window)[0]
                for n, y, x in zip(section, row, column, strict=True)
            ]
        )
        windows = one_symmetry_each(windows, draw.integers(0, 8, self.batch_size))
        return torch.from_numpy(windows)[:, None], torch.arange(2).repeat_interleave(half)


def one_symmetry_each(windows: np.ndarray, symmetries: np.ndarray) -> np.ndarray:
    """Turn each window by a quarter turn times symmetry % 4, and mirror it if symmetry is 4 or more.

    Parameters
    ----------
    windows : numpy.ndarray
        (B, w, w).
    symmetries : numpy.ndarray
        (B,) int in 0 .. 7.
    """
    turned = np.empty_like(windows)
    for symmetry in range(8):
        mine = symmetries == symmetry
        part = np.rot90(windows[mine], symmetry % 4, axes=(1, 2))
        turned[mine] = part[:, :, ::-1] if symmetry >= 4 else part
    return turned
