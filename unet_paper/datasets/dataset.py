"""The form in which every data set reaches the rest of the book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unet_paper.arrays import check_images, check_labels, check_same_shape
from unet_paper.messages import short
from unet_paper.resizing import resize_image, resize_labels, scaled_size


@dataclass(frozen=True)
class Dataset:
    """Images with their annotation, checked and brought to one form when it is made.

    Attributes
    ----------
    name : str
        Short name, for example ``"isbi2012"``.
    images : numpy.ndarray
        (N, H, W) float32 in [0, 1]. uint8 and uint16 may be given: they are divided by 255 and 65535.
    labels : numpy.ndarray or None
        (N, H, W) int32: 0 background or membrane, 1..n objects (1 = foreground where objects are not told apart),
        -1 (`unet_paper.IGNORE`) unannotated. None where nobody published an annotation.
    frames : tuple of int
        The number of each image in its own series (section or time point), length N.
    source : str
        One sentence for the reader: which data this is, and whether it is real or synthetic.
    is_real : bool
        True for the challenge's images, False for generated ones.

    Raises
    ------
    TypeError, ValueError
        If images, labels and frames do not belong together, or hold what they must not; the message says what to do.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None
    frames: tuple[int, ...]
    source: str
    is_real: bool

    def __post_init__(self):
        images = check_images(self.images, name="images")
        labels = None if self.labels is None else check_labels(self.labels, ranks=(3,))
        if labels is not None:
            check_same_shape(labels, images.shape, name="labels", other="images")
        if len(self.frames) != len(images):
            raise ValueError(f"frames has {len(self.frames)} numbers for {len(images)} images; give each image its own")
        object.__setattr__(self, "images", images)  # the data set is frozen for its users
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Sequence[int] | Sequence[bool] | range | slice) -> Dataset:
        """Return some images as a data set of their own.

        Parameters
        ----------
        indices : sequence of int, sequence of bool, range or slice
            Numbers of images, in the wanted order, negative ones from the end; or one boolean per image.

        Raises
        ------
        TypeError, ValueError
            If they are neither, name no image, or one that there is not.
        """
        chosen = self._numbers(indices)
        return replace(
            self,
            images=self.images[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            frames=tuple(self.frames[i] for i in chosen),
        )

    def _numbers(self, indices) -> np.ndarray:
        everything = np.arange(len(self))
        wanted = everything[indices] if isinstance(indices, slice) else np.asarray(indices)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "biu"):
            raise TypeError(
                f"indices are {short(repr(indices))}; pass whole numbers, a slice, or one boolean per image"
            )
        if wanted.size == 0 or (wanted.dtype.kind == "b" and not wanted.any()):
            raise ValueError("indices name no image; a data set needs at least one")
        if wanted.dtype.kind == "b" and len(wanted) != len(self):
            raise ValueError(f"indices are {len(wanted)} booleans for {len(self)} images; give each image its own")
        if wanted.dtype.kind != "b" and (wanted.min() < -len(self) or wanted.max() >= len(self)):
            wrong = wanted.max() if wanted.max() >= len(self) else wanted.min()
            raise ValueError(f"indices hold {wrong}; {self.name!r} has {len(self)} images, 0 to {len(self) - 1}")
        return everything[wanted]

    def rescaled(self, scale: float) -> Dataset:
        """Return the data set with every side `scale` times as long; labels take the nearest pixel's value."""
        size = scaled_size(self.images.shape[1:], scale)
        if scale == 1:
            return self
        return replace(
            self,
            images=resize_image(self.images, size).clip(0, 1),  # rounding may leave the range
            labels=None if self.labels is None else resize_labels(self.labels, size),
            source=f"{self.source} Resized by {scale:g}.",
        )


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Return the images of several data sets as one, in this order; all need annotation and one size.

    Parameters
    ----------
    parts : sequence of Dataset
        At least one. Frame numbers stay: two parts may each have a frame 0.

    Raises
    ------
    ValueError
        If there is none, one has no annotation, or sizes differ.
    """
    if not parts or any(part.labels is None for part in parts):
        raise ValueError("joined needs at least one data set, and labels in each")
    if len(sizes := {part.images.shape[1:] for part in parts}) > 1:
        raise ValueError(f"images of {sorted(sizes)} px cannot be one data set; resize them first")
    return Dataset(
        name=" and ".join(part.name for part in parts),
        images=np.concatenate([part.images for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        frames=tuple(frame for part in parts for frame in part.frames),
        source=" ".join(part.source for part in parts),
        is_real=all(part.is_real for part in parts),
    )
