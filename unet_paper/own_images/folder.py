"""The folder of a result: one file after the other, each whole or not at all, so that an interrupted run can go on.

The only module of this folder that writes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from unet_paper.atomic import alone, replacing
from unet_paper.files import write_json, write_text

LARGEST = 2**16 - 1


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
            differ = ", ".join(sorted(k for k in {**earlier, **how} if earlier.get(k) != how.get(k)))
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
        options = {"photometric": "minisblack", "compression": "zlib"}
        if pixel_size is not None:
            per_cm = tuple(1e4 / side for side in pixel_size[::-1])
            options |= {"resolution": per_cm, "resolutionunit": "CENTIMETER"}
        with replacing(self._place(name)) as unfinished:
            tifffile.imwrite(unfinished, pixels, **options)

    def _place(self, name: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
