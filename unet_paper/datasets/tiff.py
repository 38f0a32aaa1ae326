"""Reading the challenges' TIFF files, with one clear error for whatever can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile


def read_tiff(path: Path, *, rank: int, fix: str) -> np.ndarray:
    """Return the pixels of one TIFF file as they are stored.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    rank : {2, 3}
        2 for one image (H, W), 3 for a stack of sections (N, H, W).
    fix : str
        What the reader should do if the file is broken; ends every message.

    Returns
    -------
    numpy.ndarray
        (H, W) or (N, H, W), dtype of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no TIFF, ends too early, cannot be decoded, or holds pixels of another rank.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {fix}")
    pixels = _decode(path, fix=fix)
    if rank == 3 and pixels.ndim == 2:
        pixels = pixels[None]  # a stack of one section, (1, H, W)
    if pixels.ndim != rank:
        wanted = "one grey image (H, W)" if rank == 2 else "a stack of grey images (N, H, W)"
        raise ValueError(f"{path} holds an array of shape {pixels.shape}; needs {wanted}; {fix}")
    return pixels


def _decode(path: Path, *, fix: str) -> np.ndarray:
    try:
        with tifffile.TiffFile(path) as tiff:
            _refuse_truncated(tiff, size=path.stat().st_size)
            return tiff.asarray()
    except Exception as error:  # the codecs below tifffile raise classes of their own, without a common parent
        reason = str(error).strip() or type(error).__name__
        raise ValueError(f"{path} cannot be read as TIFF ({reason}); {fix}") from error


def _refuse_truncated(tiff: tifffile.TiffFile, *, size: int) -> None:
    """Compare the file's length with what its pages announce; some readers fill the gap with zeros."""
    for page in tiff.pages:
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if ends and max(ends) > size:
            raise ValueError(f"truncated: {size} bytes, its pages announce {max(ends)}")
