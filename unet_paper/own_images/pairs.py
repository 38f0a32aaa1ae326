"""Images and their masks, found by name; and what a mask says: cells, background, not annotated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from unet_paper.arrays import IGNORE, check_labels
from unet_paper.cells import connected_cells
from unet_paper.datasets.image_files import (
    ImageFile,
    bare_name,
    describe,
    grey_frames,
    is_beside_mask,
    label_frames,
    list_images,
)

# What people and programs put behind (or before) the name of an image: Cellpose, Fiji, nnU-Net, StarDist, the
# Cell Tracking Challenge.
MASK_WORDS = r"(cp[-_ ]?masks?|masks?|seg(mentation)?|labels?|labelimage|gt|annotations?|man_seg|man_track)"
IGNORED_WORDS = r"(ignored?|unannotated|scribbles?)"
IMAGE_WORDS = r"(img|image)"
LISTED = 8  # names in a message
MANY_PATCHES = 3.0  # patches per value and image: a cell has one, a class has many
FEW_VALUES = 12


class Pair(NamedTuple):
    """An image, its mask, and where someone painted one, the region that is not annotated."""

    image: ImageFile
    mask: ImageFile
    ignored: ImageFile | None


class Pairs(NamedTuple):
    """All pairs, and the names of images that have no mask."""

    pairs: list[Pair]
    without_mask: list[str]


@dataclass(frozen=True)
class Example:
    """One annotated image.

    Attributes
    ----------
    name : str
        Of the file, and the number of the image in it where there are several.
    pixels : numpy.ndarray
        (H, W) grey values as in the file.
    labels : numpy.ndarray
        (H, W) int32: 0 background, 1..n cells, -1 not annotated.
    full : float or None
        Largest value of the file's type.
    pixel_size : tuple of float or None
        Height and width of a pixel in µm.
    """

    name: str
    pixels: np.ndarray
    labels: np.ndarray
    full: float | None
    pixel_size: tuple[float, float] | None


class Annotation(NamedTuple):
    """How the numbers of masks were read, in words, and the value that means "not annotated" (None: no such value)."""

    words: str
    unannotated: int | None
    is_binary: bool


def find_pairs(images, masks, *, images_are_masks: bool = False) -> Pairs:
    """Return the images and masks that belong together by their names.

    `a.tif` belongs to `a.tif`, `a_mask.png`, `a_cp_masks.tif`, `mask_a.tif`, ... in another folder or the same; where
    no name fits, the last numbers decide (`t007.tif` and `man_seg007.tif`). A file `a_ignore.*` beside the mask or the
    image holds a painted region that is not annotated. What `segment` writes beside masks is passed over.

    Parameters
    ----------
    images, masks : path or sequence of path
        Folders, files or patterns; may be the same folder.
    images_are_masks : bool
        The first are masks too, such as those of a result that is scored.

    Raises
    ------
    FileNotFoundError
        If a path holds no image, or no pair is found.
    ValueError
        If a mask has no image, or two masks one image; the message lists them.
    """
    pictures = _masks_in(images) if images_are_masks else pictures_in(images)
    same = {path.resolve() for path in pictures}
    others = [path for path in _masks_in(masks) if path.resolve() not in same]
    beside = [] if images_are_masks else [path for path in list_images(images) if path.resolve() not in same]
    ignored = {_key(path): path for path in (*beside, *others) if _role(path, IGNORED_WORDS)}
    chosen = [path for path in others if not _role(path, IGNORED_WORDS)]
    by_key = _unique(pictures, _key)
    lonely = [path for path in chosen if _key(path) not in by_key]
    key = _key
    if len(lonely) == len(chosen):  # no name fits: numbers
        numbers = [_number(path) for path in pictures]
        if len(set(numbers)) == len(numbers):  # else they tell nothing
            key, by_key = _number, dict(zip(numbers, pictures, strict=True))
            lonely = [path for path in chosen if key(path) not in by_key]
    if not chosen or len(lonely) == len(chosen):
        raise FileNotFoundError(
            f"no mask in {masks} belongs to an image in {images} ({_names(pictures)} and {_names(chosen)}); call the "
            "mask of a.tif a.tif or a_mask.tif"
        )
    if lonely:
        raise ValueError(f"{len(lonely)} masks have no image: {_names(lonely)}; add the images or remove the masks")
    mask_of = _unique(chosen, key)
    pairs = [
        Pair(describe(path), describe(mask_of[name]), describe(ignored[_key(path)]) if _key(path) in ignored else None)
        for name, path in by_key.items()
        if name in mask_of
    ]
    for pair in pairs:
        _check_pair(pair)
    return Pairs(pairs, [path.name for name, path in by_key.items() if name not in mask_of])


def _masks_in(masks) -> list[Path]:
    return [path for path in list_images(masks) if not is_beside_mask(path)]


def pictures_in(images) -> list[Path]:
    """Return the images of folders, files or patterns without the masks that lie among them.

    A name like `a_mask.tif` counts as a mask only where `a` is there too; so with `a_overlay.png` and other files that
    `segment` writes beside masks.
    """
    paths = list_images(images)
    keys = {_key(path) for path in paths if not _role(path, MASK_WORDS) and not _role(path, IGNORED_WORDS)}
    masks = {path for path in paths if _role(path, MASK_WORDS) or _role(path, IGNORED_WORDS)}
    paths = [path for path in paths if path not in masks or _key(path) not in keys]
    return [path for path in paths if not is_beside_mask(path) or _key(_masked(path)) not in keys]


def _masked(path: Path) -> Path:
    """Return the name of the image beside whose mask a file lies: `a` of `a_overlay.png`."""
    return path.with_name(path.name.rpartition("_")[0] + path.suffix)


def read_examples(
    pairs: Sequence[Pair], *, channel: int | None = None, unannotated: int | None = None
) -> tuple[list[Example], Annotation]:
    """Return every annotated image of the pairs, and how the masks were understood.

    Parameters
    ----------
    pairs : sequence of Pair
        From `find_pairs`.
    channel : int, optional
        As in `unet_paper.datasets.image_files.grey_frames`.
    unannotated : int, optional
        Value of pixels that nobody annotated; by default -1, and the largest value of the type where it stands alone.

    Raises
    ------
    ValueError
        If a mask holds classes instead of cells, no cell at all, or no whole numbers.
    """
    raw = [list(label_frames(pair.mask)) for pair in pairs]
    meaning = understand([frame for frames in raw for frame in frames], unannotated=unannotated)
    examples = []
    for pair, frames in zip(pairs, raw, strict=True):
        painted = [None] * len(frames) if pair.ignored is None else list(label_frames(pair.ignored))
        images = list(grey_frames(pair.image, channel=channel))
        for number, (pixels, mask, region) in enumerate(zip(images, frames, painted, strict=True)):
            labels = cells_of(mask, meaning, name=pair.mask.path.name)
            if region is not None:
                labels[region != 0] = IGNORE
            name = pair.image.path.stem + (f"_t{number:03d}" if len(images) > 1 else "")
            examples.append(Example(name, pixels, labels, pair.image.full, pair.image.pixel_size))
    if not any((example.labels > 0).any() for example in examples):
        raise ValueError(f"all {len(examples)} masks are empty; paint cells with 1, 2, 3, ... or with 255")
    return [example for example in examples if (example.labels != IGNORE).any()], meaning


def understand(masks: Sequence[np.ndarray], *, unannotated: int | None = None) -> Annotation:
    """Return what the numbers of all masks together mean: cells by number, or cell and background only.

    Raises
    ------
    ValueError
        If there are a few values of many patches each: classes, of which this program knows one.
    """
    values = np.unique(np.concatenate([np.unique(mask) for mask in masks]))
    cells = values[values > 0]
    if unannotated is None:
        largest = max(np.iinfo(mask.dtype).max if mask.dtype.kind in "iu" else -1 for mask in masks)
        alone = len(cells) > 1 and cells[-1] == largest and cells[-2] != largest - 1
        unannotated = int(largest) if alone else IGNORE if (values == IGNORE).any() else None
    cells = cells[cells != unannotated] if unannotated is not None else cells
    rest = "" if unannotated is None else f"; {unannotated} means not annotated"
    if len(cells) == 1:
        return Annotation(
            f"one value, {cells[0]}, for all cells: each connected patch is a cell{rest}", unannotated, True
        )
    _refuse_classes(masks, cells)
    return Annotation(f"every cell has a number of its own{rest}", unannotated, False)


def cells_of(mask: np.ndarray, meaning: Annotation, *, name: str) -> np.ndarray:
    """Return a mask as (H, W) int32: 0 background, 1..n cells, -1 not annotated."""
    ignored = mask == meaning.unannotated if meaning.unannotated is not None else np.zeros(mask.shape, dtype=bool)
    labels = check_labels(np.where(ignored, 0, mask), name=name)
    labels = connected_cells(labels) if meaning.is_binary else labels
    return np.where(ignored, IGNORE, labels).astype(np.int32)


def _refuse_classes(masks: Sequence[np.ndarray], values: np.ndarray) -> None:
    if not 2 <= len(values) <= FEW_VALUES:
        return
    patches = [
        [ndimage.label(mask == value)[1] for mask in masks[:LISTED] if (mask == value).any()] for value in values
    ]
    patches = [np.mean(counts) for counts in patches if counts]
    if len(patches) > 1 and min(patches) > MANY_PATCHES:
        raise ValueError(
            f"the masks hold {len(values)} values ({', '.join(map(str, values))}) of {min(patches):.0f} and more "
            "patches each: classes, not cells. This program finds one kind of cell: give each cell a number of its "
            "own, or keep one class as 255"
        )


def _check_pair(pair: Pair) -> None:
    for other in (pair.mask, pair.ignored):
        if other is None:
            continue
        if (other.size, other.frames) != (pair.image.size, pair.image.frames):
            raise ValueError(f"{other.path} is {other.kind}, its image {pair.image.path.name} is {pair.image.kind}")


def _role(path: Path, words: str) -> bool:
    return re.search(rf"[-_. ]{words}\d*$|^{words}[-_. ]", bare_name(path), re.IGNORECASE) is not None


def image_name(path: Path) -> str:
    """Return the name of the image that an image, a mask or a painted region belongs to."""
    stem = bare_name(path)
    for words in (IGNORED_WORDS, MASK_WORDS, IMAGE_WORDS):
        stem = re.sub(rf"[-_. ]{words}$|^{words}[-_. ]", "", stem, flags=re.IGNORECASE)
    return stem


def _key(path: Path) -> str:
    return image_name(path).lower()


def _number(path: Path) -> int | str:
    name = bare_name(path)
    digits = re.findall(r"\d+", name)
    return int(digits[-1]) if digits else name


def _unique(paths: Sequence[Path], key) -> dict:
    found = {}
    for path in paths:
        if key(path) in found:
            raise ValueError(f"{found[key(path)].name} and {path.name} have one name; keep one of them")
        found[key(path)] = path
    return found


def _names(paths: Sequence[Path]) -> str:
    rest = f" and {len(paths) - LISTED} more" if len(paths) > LISTED else ""
    return ", ".join(path.name for path in paths[:LISTED]) + rest if paths else "nothing"
