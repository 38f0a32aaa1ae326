"""Downloading the challenges' data: several sources, verified by their pixels, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pooch
import tifffile
from tqdm import tqdm

from unet_paper.arrays import check_choice
from unet_paper.datasets.archive import MEGABYTE, unpack
from unet_paper.datasets.folders import data_roots
from unet_paper.datasets.tiff import read_tiff

TIMEOUT = 30  # s without a byte from the server
RETRIES = 2  # how often a broken download starts again before the next source is tried
Entry = dict[str, Any]  # one data set of registry.json


def read_registry() -> dict[str, Entry]:
    """Return what can be fetched, by name: addresses, licence, place, and the sha256 of the pixels."""
    return json.loads(files("unet_paper.datasets").joinpath("registry.json").read_text())


def fetch(
    name: str,
    *,
    to: str | os.PathLike | None = None,
    mirrors: tuple[str, ...] = (),
    registry: dict[str, Entry] | None = None,
    retries: int | None = None,
    progress: bool = True,
) -> Path:
    """Download one data set, verify its pixels, and put it where the loaders look.

    Everything happens in a temporary folder beside the target, which one rename then puts in place: there is never half
    a data set. A source that fails (no connection, truncated, other pixels) gives way to the next.

    Parameters
    ----------
    name : str
        ``"isbi2012"``, ``"dic-hela"`` or ``"phc-u373"``.
    to : path, optional
        Data folder; without it ``$UNET_PAPER_DATA``, else the repository's `data/`, or the user's cache folder.
    mirrors : tuple of str
        Addresses, or paths on this machine, of zip archives to try first. Verified like every other source.
    registry : dict, optional
        What to fetch from where, in the form of `registry.json`.
    retries : int, optional
        How often a broken download starts again from the beginning, before the next source is tried; `RETRIES` if None.
    progress : bool
        Show progress bars on standard error.

    Returns
    -------
    pathlib.Path
        The folder of the data set. If it was there already and its pixels are right, nothing is downloaded.

    Raises
    ------
    ValueError
        If the name is unknown, or the folder exists and holds other pixels.
    OSError
        If no source worked (the message says why for each) or the disk is too full.
    """
    registry = read_registry() if registry is None else registry
    retries = RETRIES if retries is None else retries
    check_choice(name, registry, name="name")
    entry, root = registry[name], Path(to) if to is not None else data_roots()[0]
    target = root / entry["folder"]
    if target.exists():
        return _confirm(target, entry)
    _refuse_full_disk(root, entry["limit_mb"])
    sources = [{"archive": address} for address in mirrors] + entry["sources"]
    reasons = []
    for source in sources:
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=root) as work:
            try:
                ready = _obtain(source, entry, Path(work), retries=retries, progress=progress)
            except (ValueError, OSError) as error:
                reasons.append(f"{_address(source)}: {error}")
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(ready, target)
                return target
    raise OSError(f"{name} could not be fetched; " + "; ".join(reasons))


def pixels_sha256(folder: Path, pattern: str) -> str:
    """Return the sha256 of the pixels of all files that match, in the order of their names, whatever their encoding.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of a data set.
    pattern : str
        One TIFF stack, ``"train-volume.tif"``, or many single images, ``"01/t*.tif"``.

    Raises
    ------
    ValueError
        If nothing matches or a file is damaged.
    """
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise ValueError(f"holds no {pattern}")
    digest = hashlib.sha256()
    for path in paths:
        pixels = read_tiff(path, rank=2 if "*" in pattern else 3, fix="download it again")
        digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def verify_pixels(folder: Path, expected: dict[str, str]) -> None:
    """Refuse a folder whose pixels are not the expected ones.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of a data set.
    expected : dict
        File pattern -> sha256 of the pixels, see `pixels_sha256`.

    Raises
    ------
    ValueError
        If files are missing or damaged, or a checksum differs.
    """
    for pattern, wanted in expected.items():
        found = pixels_sha256(folder, pattern)
        if found != wanted:
            raise ValueError(f"the pixels of {pattern} are not the published ones (sha256 {found}, expected {wanted})")


def _confirm(target: Path, entry: Entry) -> Path:
    try:
        verify_pixels(target, entry["sha256"])
    except ValueError as error:
        raise ValueError(f"{target} exists, but {error}; move it away and fetch again") from error
    return target


def _refuse_full_disk(root: Path, limit_mb: float) -> None:
    root.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(root).free / MEGABYTE
    if free_mb < 2 * limit_mb:  # the archive and what it holds
        raise OSError(f"{root} has {free_mb:.0f} MiB free, needs up to {2 * limit_mb:.0f}; choose another folder: --to")


def _obtain(source: dict, entry: Entry, work: Path, *, retries: int, progress: bool) -> Path:
    """Bring one source into the folder `work`; return a folder that holds just the data set, verified."""
    if "archive" in source:
        archive = _download(source["archive"], work, retries=retries, progress=progress)
        unpack(archive, work / "unpacked", limit_mb=entry["limit_mb"])
        found = _find_top(work / "unpacked", list(entry["sha256"]))
    else:
        found = _assemble(source, work, retries=retries, progress=progress)
    verify_pixels(found, entry["sha256"])
    ready = work / "ready"
    ready.mkdir()
    for name in entry["keep"]:
        if (found / name).exists():
            os.replace(found / name, ready / name)
    return ready


def _download(address: str, folder: Path, *, retries: int, progress: bool) -> Path:
    """Return the path of the file behind `address`, downloaded in full into `folder` (or found on this machine)."""
    if Path(address).is_file():
        return Path(address)
    name = address.rsplit("/", 1)[-1] or "download"
    pooch.get_logger().setLevel("WARNING")  # its progress bar is enough
    store = pooch.create(folder, base_url="", registry={name: None}, urls={name: address}, retry_if_failed=retries)
    return Path(store.fetch(name, downloader=pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT)))


def _find_top(folder: Path, patterns: list[str]) -> Path:
    """Return the folder inside an unpacked archive that holds all files looked for."""
    inner = sorted(path for path in folder.rglob("*") if path.is_dir())
    for candidate in [folder, *inner]:
        if all(any(candidate.glob(pattern)) for pattern in patterns):
            return candidate
    raise ValueError(f"the archive does not hold {', '.join(patterns)}")


def _assemble(source: dict, work: Path, *, retries: int, progress: bool) -> Path:
    """Build TIFF stacks from single images on the web, numbered from 0."""
    folder, count = work / "assembled", source["count"]
    folder.mkdir()
    with tqdm(total=count * len(source["images"]), unit="image", disable=not progress) as bar:
        for name, address in source["images"].items():
            images = []
            for number in range(count):
                place = work / Path(name).stem
                images.append(_decode(_download(address.format(number=number), place, retries=retries, progress=False)))
                bar.update()
            tifffile.imwrite(folder / name, np.stack(images), photometric="minisblack")
    return folder


def _decode(path: Path) -> np.ndarray:
    try:
        return imagecodecs.imread(path.read_bytes())
    except Exception as error:  # every codec raises a class of its own
        raise ValueError(f"{path.name} is no complete image ({error})") from error


def _address(source: dict) -> str:
    return source["archive"] if "archive" in source else next(iter(source["images"].values()))
