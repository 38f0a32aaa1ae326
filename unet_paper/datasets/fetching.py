"""Downloading the challenges' data: several sources, verified by their pixels, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from tqdm import tqdm

from unet_paper.atomic import remove_leftovers, work_folder
from unet_paper.datasets.archive import MEGABYTE, unpack
from unet_paper.datasets.download import Limits, download
from unet_paper.datasets.folders import data_roots
from unet_paper.datasets.tiff import read_tiff
from unet_paper.options import check_choice

TIME_LIMIT = 2 * 3600  # s for everything
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
    time_limit: float = TIME_LIMIT,
    progress: bool = True,
) -> Path:
    """Download one data set, verify its pixels, and put it where the loaders look.

    Everything happens in a temporary folder beside the target, which one rename then puts in place: there is never half
    a data set. A source that fails (no connection, truncated, too large, too slow, other pixels) gives way to the next.
    Only files whose checksum is known are kept; whatever else an archive holds is not.

    Parameters
    ----------
    name : str
        ``"isbi2012"``, ``"dic-hela"`` or ``"phc-u373"``.
    to : path, optional
        Data folder; without it ``$UNET_PAPER_DATA``, else the repository's `data/`, or the user's cache folder.
    mirrors : tuple of str
        Addresses (https), or paths on this machine, of zip archives to try first. Verified like every other source.
    registry : dict, optional
        What to fetch from where, in the form of `registry.json`.
    retries : int, optional
        How often a broken download starts again from the beginning, before the next source is tried; `RETRIES` if None.
    time_limit : float
        Seconds, > 0, after which it gives up. Each source has an equal share of the time that is left.
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
    FileExistsError
        If another process fetches the same.
    OSError
        If no source worked (the message says why for each) or the disk is too full.
    """
    registry = read_registry() if registry is None else registry
    retries = RETRIES if retries is None else retries
    check_choice(name, registry, name="name")
    entry, root = registry[name], Path(to) if to is not None else data_roots()[0]
    target = root / entry["folder"]
    remove_leftovers(root, ".fetching-*")
    if target.exists():
        return _confirm(target, entry)
    _refuse_full_disk(root, entry["limit_mb"])
    sources = [{"archive": address} for address in mirrors] + entry["sources"]
    reasons, ends = [], time.monotonic() + time_limit
    busy = f"another process is fetching {name} into {root}; wait for it"
    for left, source in zip(range(len(sources), 0, -1), sources, strict=True):
        share = max(0.0, ends - time.monotonic()) / left
        limits = Limits(
            size=int(entry["limit_mb"] * MEGABYTE),
            ends=time.monotonic() + share,
            hosts=tuple(entry.get("redirects", ())),
            retries=retries,
        )
        with work_folder(root / f".fetching-{name}", busy=busy) as work:
            try:
                ready = _obtain(source, entry, work, limits, progress=progress)
            except (ValueError, OSError) as error:
                reasons.append(f"{_address(source)}: {error}")
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(ready, target)  # refuses what has come there meanwhile
                return target
    raise OSError(f"{name} could not be fetched; " + "; ".join(reasons))


def verified(folder: Path, entry: Entry) -> str:
    """Return the sentence that says exactly which files of a fetched data set were compared with their checksums.

    Parameters
    ----------
    folder : pathlib.Path
        What `fetch` returned.
    entry : dict
        The data set in the registry.
    """
    known = {path for pattern in entry["sha256"] for path in matching(folder, pattern, entry)}
    others = {path for path in folder.rglob("*") if path.is_file()} - known
    counts = [f"{pattern} ({len(matching(folder, pattern, entry))})" for pattern in entry["sha256"]]
    unknown = f"{len(others)} other files there were not" if others else "there is no other file there"
    return f"Compared with the sha256 in the registry: {', '.join(counts)}; {unknown}."


def matching(folder: Path, pattern: str, entry: Entry) -> list[Path]:
    """Return the files of a data set that a checksum of the registry is for, by name.

    These are all that fit the pattern, or, where the registry names some under ``"only"``, just those.
    """
    names = entry.get("only", {}).get(pattern)
    return sorted(path for path in folder.glob(pattern) if names is None or path.name in names)


def pixels_sha256(paths: Sequence[Path]) -> str:
    """Return the sha256 of the pixels of TIFF files, one after the other, whatever their encoding; of text, its bytes.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        One TIFF stack or one text, or many single images.

    Raises
    ------
    ValueError
        If a file is damaged.
    """
    digest = hashlib.sha256()
    for path in paths:
        if path.suffix == ".txt":
            digest.update(path.read_bytes())
        else:
            rank = 3 if len(paths) == 1 else 2
            digest.update(np.ascontiguousarray(read_tiff(path, rank=rank, fix="download it again")))
    return digest.hexdigest()


def verify_pixels(folder: Path, entry: Entry) -> None:
    """Refuse a folder whose pixels are not those of the registry.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of a data set.
    entry : dict
        The data set in the registry; ``"sha256"`` holds file pattern -> checksum, see `pixels_sha256`.

    Raises
    ------
    ValueError
        If files are missing or damaged, or a checksum differs.
    """
    for pattern, wanted in entry["sha256"].items():
        paths = matching(folder, pattern, entry)
        if not paths:
            raise ValueError(f"holds no {pattern}")
        found = pixels_sha256(paths)
        if found != wanted:
            raise ValueError(f"the pixels of {pattern} are not the published ones (sha256 {found}, expected {wanted})")


def _confirm(target: Path, entry: Entry) -> Path:
    try:
        verify_pixels(target, entry)
    except ValueError as error:
        raise ValueError(f"{target} exists, but {error}; move it away and fetch again") from error
    return target


def _refuse_full_disk(root: Path, limit_mb: float) -> None:
    root.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(root).free / MEGABYTE
    if free_mb < 2 * limit_mb:  # the archive and what it holds
        raise OSError(f"{root} has {free_mb:.0f} MiB free, needs up to {2 * limit_mb:.0f}; choose another folder: --to")


def _obtain(source: dict, entry: Entry, work: Path, limits: Limits, *, progress: bool) -> Path:
    """Bring one source into the folder `work`; return a folder that holds just what was verified."""
    if "archive" in source:
        archive = _local_or_downloaded(source["archive"], work, limits, progress=progress)
        unpack(archive, work / "unpacked", limit_mb=entry["limit_mb"])
        found = _find_top(work / "unpacked", list(entry["sha256"]))
    else:
        found = _assemble(source, work, limits, progress=progress)
    verify_pixels(found, entry)
    ready = work / "ready"
    for path in [path for pattern in entry["sha256"] for path in matching(found, pattern, entry)]:
        place = ready / path.relative_to(found)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
    return ready


def _local_or_downloaded(address: str, folder: Path, limits: Limits, *, progress: bool) -> Path:
    """Return the path of the file behind `address`, on this machine or downloaded in full into `folder`."""
    return Path(address) if Path(address).is_file() else download(address, folder, limits, progress=progress)


def _find_top(folder: Path, patterns: list[str]) -> Path:
    """Return the folder inside an unpacked archive that holds all files looked for."""
    inner = sorted(path for path in folder.rglob("*") if path.is_dir())
    for candidate in [folder, *inner]:
        if all(any(candidate.glob(pattern)) for pattern in patterns):
            return candidate
    raise ValueError(f"the archive does not hold {', '.join(patterns)}")


def _assemble(source: dict, work: Path, limits: Limits, *, progress: bool) -> Path:
    """Build TIFF stacks from single images on the web, numbered from 0."""
    folder, count = work / "assembled", source["count"]
    folder.mkdir()
    with tqdm(total=count * len(source["images"]), unit="image", disable=not progress) as bar:
        for name, address in source["images"].items():
            images = []
            for number in range(count):
                place = work / Path(name).stem
                images.append(_decode(download(address.format(number=number), place, limits, progress=False)))
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
