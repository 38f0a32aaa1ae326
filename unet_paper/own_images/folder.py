"""The folder of a result: one file after the other, each whole or not at all, so that an interrupted run can go on.

The only module of this folder that writes.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lazy_loader
import numpy as np
import tifffile

from unet_paper.atomic import alone, replacing, replacing_folder
from unet_paper.files import write_json, write_text

zarr = lazy_loader.load("zarr", error_on_import=False)

LARGEST = 2**16 - 1
TILE = 512  # px, of large images in the result
SMALLEST_LEVEL = 1024  # px: levels of a Zarr that are smaller help nobody


class ResultFolder:
    """A folder that remembers in one file how its content was made.

    Parameters
    ----------
    path : path
        The folder; made by `begin`.
    note : str
        Name of the file that says how the content was made.
    """

    def __init__(self, path, *, note: str) -> None:
        self.path = Path(path)
        self.note = self.path / note

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only run that writes here, for a while.

        Raises
        ------
        FileExistsError
            If another run is writing here.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with alone(self.path, busy=f"another run is writing {self.path}; wait for it, or name another folder"):
            yield

    def begin(self, how: dict, *, force: bool | None = False) -> bool:
        """Make the folder, or go on in it; returns whether an earlier run is continued.

        Parameters
        ----------
        how : dict
            Everything that decides the content, as plain data.
        force : bool
            Begin anew where a run with other settings stands. Files of the same names are replaced, nothing is removed.
            None: the command has no such option.

        Raises
        ------
        FileExistsError
            If the folder holds something else, or a run with other settings without `force`.
        """
        continues = self.check(how, force=force)
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.note, how)
        return continues

    def check(self, how: dict, *, force: bool | None = False) -> bool:
        """Tell what `begin` would, and refuse what it would, without touching anything."""
        how = json.loads(json.dumps(how))
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"{self.path} is a file; name a folder for the result")
        earlier = self.earlier()
        if earlier is None and self.path.exists() and any(self.path.iterdir()):
            first = sorted(path.name for path in self.path.iterdir())[0]
            raise FileExistsError(f"{self.path} holds {first}, which is no result of this command; name another folder")
        if earlier is not None and earlier != how and not force:
            differ = ", ".join(_changed(earlier, how))
            fix = "name another folder" if force is None else "name another folder, or say --force"
            raise FileExistsError(f"{self.path} is from a run with another {differ}; {fix}")
        return earlier == how

    def earlier(self) -> dict | None:
        """Return how the content was made; None where nothing was."""
        return json.loads(self.note.read_text(encoding="utf-8")) if self.note.is_file() else None

    def has(self, name: str) -> bool:
        """Tell whether a file is there."""
        return (self.path / name).is_file()

    def read_json(self, name: str) -> dict | list:
        """Return the content of a JSON file."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    def put_json(self, name: str, content: dict) -> None:
        """Write a JSON file."""
        write_json(self._place(name), content)

    def put_text(self, name: str, text: str) -> None:
        """Write a text file."""
        write_text(self._place(name), text)

    def put_lines(self, name: str, lines: Iterable[str]) -> None:
        """Write a text file line by line; memory holds one of them."""
        with replacing(self._place(name)) as unfinished, open(unfinished, "w", encoding="utf-8") as file:
            for line in lines:
                file.write(f"{line}\n")

    def lines(self, name: str) -> Iterator[str]:
        """Give the lines of a text file."""
        with open(self.path / name, encoding="utf-8") as file:
            for line in file:
                yield line.rstrip("\n")

    def put_array(self, name: str, array: np.ndarray) -> None:
        """Write an array; booleans take little room."""
        save = np.savez_compressed if array.dtype == bool else np.savez
        with replacing(self._place(name)) as unfinished, open(unfinished, "wb") as file:
            save(file, array=array)

    def read_array(self, name: str) -> np.ndarray:
        """Return what `put_array` wrote."""
        with np.load(self.path / name) as content:
            return content["array"]

    def remove(self, name: str) -> None:
        """Remove a folder that this class made, with all in it; nothing if there is none."""
        if (self.path / name).is_dir():
            shutil.rmtree(self.path / name)

    def put_bytes(self, name: str, content: bytes) -> None:
        """Write a file."""
        with replacing(self._place(name)) as unfinished:
            unfinished.write_bytes(content)

    def put_zip(self, name: str, files: Sequence[tuple[str, bytes]]) -> None:
        """Write an archive of (name, content); nothing for no files."""
        if not files:
            return
        with replacing(self._place(name)) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
            for inner, content in files:
                archive.writestr(inner, content)

    def put_image(self, name: str, pixels: np.ndarray, *, pixel_size: tuple[float, float] | None = None) -> None:
        """Write a label image (16 bit, 32 where it has more cells) or a map (float32) as TIFF, compressed without loss.

        Parameters
        ----------
        name : str
            Of the file.
        pixels : numpy.ndarray
            (H, W).
        pixel_size : tuple of float, optional
            Height and width of a pixel in µm; Fiji reads it.
        """
        if pixels.dtype.kind != "f":
            pixels = pixels.astype(np.uint16 if pixels.max() <= LARGEST else np.uint32)
        with replacing(self._place(name)) as unfinished:
            tifffile.imwrite(unfinished, pixels, **_tiff_options(pixel_size))

    def put_large_image(
        self,
        name: str,
        rows: Iterable[np.ndarray],
        *,
        size: tuple[int, int],
        dtype: str,
        pixel_size: tuple[float, float] | None = None,
    ) -> None:
        """Write an image of any size as BigTIFF in tiles, compressed without loss.

        Parameters
        ----------
        name : str
            Of the file.
        rows : iterable of numpy.ndarray
            (h, W) from top to bottom, all heights but the last multiples of `TILE`.
        size : tuple of int
            (H, W).
        dtype : str
            Of the file.
        pixel_size : tuple of float, optional
            As in `put_image`.
        """
        tiles = (tile for band in rows for tile in _tiles(band.astype(dtype)))
        options = _tiff_options(pixel_size) | {"tile": (TILE, TILE), "bigtiff": True}
        with replacing(self._place(name)) as unfinished:
            tifffile.imwrite(unfinished, tiles, shape=size, dtype=dtype, **options)

    def put_zarr(
        self,
        name: str,
        rows: Iterable[np.ndarray],
        *,
        size: tuple[int, int],
        dtype: str,
        pixel_size: tuple[float, float] | None = None,
    ) -> None:
        """Write an image of any size as OME-Zarr 0.5, with smaller levels for the eye; parameters as `put_large_image`.

        Labels are not averaged: a level holds every second pixel of the one before.
        """
        count = 1
        while max(size) / 2**count >= SMALLEST_LEVEL and count < 9:  # bands begin at multiples of 512 = 2^9
            count += 1
        with replacing_folder(self._place(name).resolve(), check=lambda: None) as unfinished:
            group = zarr.open_group(unfinished, mode="w", zarr_format=3)
            levels = [_level(group, n, size, dtype) for n in range(count)]
            group.attrs["ome"] = _multiscales(name, count, pixel_size)
            top = 0
            for band in rows:
                for n, level in enumerate(levels):
                    part = band[:: 2**n, :: 2**n]
                    level[top // 2**n : top // 2**n + len(part)] = part
                top += len(band)

    def _place(self, name: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _tiff_options(pixel_size: tuple[float, float] | None) -> dict:
    options = {"photometric": "minisblack", "compression": "zlib"}
    if pixel_size is not None:
        per_cm = tuple(1e4 / side for side in pixel_size[::-1])
        options |= {"resolution": per_cm, "resolutionunit": "CENTIMETER"}
    return options


def _tiles(band: np.ndarray) -> Iterator[np.ndarray]:
    for top in range(0, band.shape[0], TILE):
        for left in range(0, band.shape[1], TILE):
            tile = band[top : top + TILE, left : left + TILE]
            missing = [(0, TILE - side) for side in tile.shape]
            yield np.pad(tile, missing) if tile.shape != (TILE, TILE) else tile


def _level(group, number: int, size: tuple[int, int], dtype: str):
    shape = tuple(-(-side // 2**number) for side in size)
    chunks = tuple(min(TILE, side) for side in shape)
    return group.create_array(str(number), shape=shape, chunks=chunks, dtype=dtype, dimension_names=["y", "x"])


def _multiscales(name: str, count: int, pixel_size: tuple[float, float] | None) -> dict:
    """Return the metadata of OME-Zarr 0.5; ome-zarr-models checks it in the tests, as for any reader."""
    unit = {} if pixel_size is None else {"unit": "micrometer"}
    axes = [{"name": axis, "type": "space", **unit} for axis in "yx"]
    sides = pixel_size or (1.0, 1.0)
    levels = [
        {
            "path": str(n),
            "coordinateTransformations": [{"type": "scale", "scale": [float(side * 2**n) for side in sides]}],
        }
        for n in range(count)
    ]
    return {"version": "0.5", "multiscales": [{"name": name, "axes": axes, "datasets": levels}], "image-label": {}}


def _changed(earlier: dict, how: dict) -> list[str]:
    """Name the settings in which two runs differ; of the method and the outputs, the settings in them."""
    names = []
    for name in sorted({**earlier, **how}):
        before, now = earlier.get(name), how.get(name)
        if name in ("method", "outputs") and isinstance(before, dict) and isinstance(now, dict):
            names += [inner.replace("_", " ") for inner in _changed(before, now)]
        elif before != now:
            names.append(name)
    return names
