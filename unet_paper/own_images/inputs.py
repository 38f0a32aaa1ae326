"""The images that a network is to see: what they are called, what is assumed about them, what does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import numpy as np

from unet_paper.datasets.image_files import ImageFile, bare_name, grey_frames, middle_frames
from unet_paper.networks.image_settings import ImageSettings
from unet_paper.own_images.blocks import Look, look_at, refuse_inexact
from unet_paper.own_images.grey_values import (
    Range,
    choose_normalisation,
    compare_statistics,
    range_of,
    scaled_min_size,
)
from unet_paper.own_images.segmenting import Method

LOOKED_AT = 8  # images whose grey values are checked before work starts


class Looks:
    """What was seen of large images: each is read once before work starts, and the last few are remembered."""

    def __init__(self, channel: int | None) -> None:
        self.channel = channel
        self.at = lru_cache(maxsize=LOOKED_AT)(self._at)

    def _at(self, file: ImageFile, frame: int) -> Look:
        return look_at(file, channel=self.channel, frame=frame)


def check_inputs(
    files: Sequence[ImageFile],
    known: ImageSettings | None,
    method: Method,
    *,
    channel: int | None = None,
    looks: Looks | None = None,
    cut: Sequence[bool] = (),
) -> list[str]:
    """Return what is assumed about images and network, one line each, and warnings where something does not fit.

    Parameters
    ----------
    files : sequence of ImageFile
        The images.
    known : ImageSettings or None
        What the network expects.
    method : Method
        How cells will be found.
    channel : int, optional
        Which channel.
    looks : Looks, optional
        Reads the images that are cut into blocks.
    cut : sequence of bool
        Which of the files are; without it none.

    Raises
    ------
    ValueError
        If an image cannot be used: several channels and none chosen, NaN, floats that nothing brings to [0, 1].
    """
    settings = known or ImageSettings()
    large = {file.path for file, is_large in zip(files, cut, strict=False) if is_large}
    if large:
        refuse_inexact(method, known)
    some = middle_frames(files, LOOKED_AT)
    looked = [_seen(file, n, channel, looks if file.path in large else None) for file, n in some]
    ranges = [used for _, _, used in looked]
    told = known is not None or method.normalise is not None
    how = {choose_normalisation(method.normalise, settings, used) for used in ranges} if told else set()
    lines = [
        f"images: {sum(file.frames for file in files)} in {len(files)} files, the first is {files[0].kind}",
        f"grey values: {ranges[0]}; normalised by: {', '.join(sorted(how)) or 'their type'}",
        *_scale_lines(files, known, method),
    ]
    if large:
        lines.append(f"{len(large)} of {len(files)} files are segmented block by block, with the same result")
    small = next((used for used in ranges if used.is_small), None)
    if small is not None and how <= {"none"}:
        lines.append(f"warning: only {small} grey values are used; if little is found, try --normalise percentile")
    samples = []
    for file, pixels, _ in looked if known else ():
        with named(file):
            samples.append(method.prepared(pixels, known, full=file.full))
    warning = compare_statistics(samples, settings) if known else None
    return lines if warning is None else [*lines, f"warning: {warning}"]


def _seen(file: ImageFile, frame: int, channel: int | None, looks: Looks | None) -> tuple[ImageFile, np.ndarray, Range]:
    """Return an image, or the thinned out pixels of a large one, and its range."""
    if looks is not None:
        look = looks.at(file, frame)
        return file, look.sample, look.used
    pixels = next(grey_frames(file, channel=channel, frame=frame))
    return file, pixels, range_of(pixels, full=file.full)


def _scale_lines(files: Sequence[ImageFile], known: ImageSettings | None, method: Method) -> list[str]:
    scales, reason = with_pixel_size(method, files[0]).scales(known)
    size = scaled_min_size(known or ImageSettings(), scales) if method.min_size is None else method.min_size
    factor = f"{scales[0]:.3g}" if scales[0] == scales[1] else f"{scales[0]:.3g} (rows), {scales[1]:.3g} (columns)"
    lines = [f"scale: {factor} ({reason}); cells have more than {size} px"]
    if method.scale is None and method.pixel_size is None and len({file.pixel_size for file in files}) > 1:
        lines.append("pixel sizes differ: each file is resized by its own")
    return lines


def name_of(file: ImageFile, number: int) -> str:
    """Return what the results of image `number` of a file are called: `a`, or `a_t007` of a stack."""
    digits = max(3, len(str(file.frames - 1)))
    name = bare_name(file.path)
    return name if file.frames == 1 else f"{name}_t{number:0{digits}d}"


def with_pixel_size(method: Method, file: ImageFile) -> Method:
    """Return the method with the pixel size that a file states, where none was asked for."""
    asked = method.pixel_size is not None or file.pixel_size is None
    return method if asked else replace(method, pixel_size=file.pixel_size)


@contextmanager
def named(file: ImageFile) -> Iterator[None]:
    """Put the file in front of what is wrong with its image."""
    try:
        yield
    except (ValueError, TypeError) as error:
        known = str(error).startswith(str(file.path))
        raise type(error)(str(error) if known else f"{file.path}: {error}") from error


def refuse_doubles(files: Sequence[ImageFile]) -> None:
    """Raise ValueError, naming both, if images of two files would give results of the same name."""
    names = {}
    for file in files:
        for name in (name_of(file, number) for number in range(file.frames)):
            if name in names:
                raise ValueError(f"{names[name]} and {file.path} would both give {name}_mask.tif; rename one")
            names[name] = file.path
