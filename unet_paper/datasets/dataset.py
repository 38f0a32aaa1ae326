"""The form in which every data set reaches the rest of the book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unet_paper.arrays import resize_image, resize_labels, scaled_size


@dataclass(frozen=True)
class Dataset:
    """Images with their annotation.

    Attributes
    ----------
    name : str
        Short name, for example ``"isbi2012"``.
    images : numpy.ndarray
        (N, H, W) float32 in [0, 1].
    labels : numpy.ndarray or None
        (N, H, W) int32: 0 background or membrane, 1..n objects (1 = foreground where objects are not told apart),
        -1 (`unet_paper.IGNORE`) unannotated. None where nobody published an annotation.
    frames : tuple of int
        The number of each image in its own series (section or time point), length N.
    source : str
        One sentence for the reader: which data this is, and whether it is real or synthetic.
    is_real : bool
        True for the challenge's images, False for generated ones.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None
    frames: tuple[int, ...]
    source: str
    is_real: bool

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Sequence[int] | range | slice) -> Dataset:
        """Return the images at `indices` as a data set of their own, in that order."""
        chosen = np.arange(len(self))[indices] if isinstance(indices, slice) else np.asarray(list(indices), dtype=int)
        return replace(
            self,
            images=self.images[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            frames=tuple(self.frames[i] for i in chosen),
        )

    def rescaled(self, scale: float) -> Dataset:
        """Return the data set with every side `scale` times as long; labels take the nearest pixel's value."""
        if scale == 1:
            return self
        size = scaled_size(self.images.shape[1:], scale)
        return replace(
            self,
            images=resize_image(self.images, size),
            labels=None if self.labels is None else resize_labels(self.labels, size),
            source=f"{self.source} Resized by {scale:g}.",
        )
