"""Figures that a reader moves in the page, without a kernel: what Python computed, and the script that shows it.

`show` writes a hidden block of HTML: the data as JSON, the palette as CSS variables, and the names of two scripts in
``book/_static/interactive``. There `common.js` puts the block in place of the still picture of the figure named; where
no script runs (plain Jupyter, paper, JavaScript switched off), the still picture stays. The other functions say what
the script of the same name needs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

import lazy_loader
import matplotlib as mpl
import numpy as np

from unet_paper.figures.style import COLOURS

IPython = lazy_loader.load("IPython")

MOST_BYTES = 150_000  # of data in one figure
SCRIPTS = "../_static/interactive"  # as seen from a page of the book
KINDS = ("uint8", "uint16", "float32")  # of arrays, that common.js can read


def show(script: str, data: Mapping, *, figure: str) -> None:
    """Display an interactive figure, in the place of a still one on the same page.

    Parameters
    ----------
    script : str
        Name of the script, for example ``"weight_gap"``.
    data : mapping
        What it needs, from the function of this module with that name.
    figure : str
        Label of the still figure, for example ``"fig-play-gap"``; unique on its page.

    Raises
    ------
    ValueError
        If the data hold more than 150 kB, or a number that is not finite, which no page could read.
    """
    forms = {"text/html": block(script, data, figure=figure), "text/plain": f"<interactive figure: {script}>"}
    IPython.display.display(forms, raw=True, metadata={"interactive": script})


def block(script: str, data: Mapping, *, figure: str) -> str:
    """Return the HTML of an interactive figure; parameters and errors as in `show`."""
    text = json.dumps(data, default=_plain, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    if len(text) > MOST_BYTES:
        raise ValueError(
            f"{script} would carry {len(text):,} bytes into the page; at most {MOST_BYTES:,}: crop its images"
        )
    palette = ";".join(f"--{name}:{colour}" for name, colour in COLOURS.items())
    return (
        f'<div class="interactive" data-script="{script}" data-figure="{figure}" style="{palette}" hidden>'
        f'<script type="application/json">{text}</script></div>'
        f'<script defer src="{SCRIPTS}/common.js"></script><script defer src="{SCRIPTS}/{script}.js"></script>'
    )


def weight_gap(image, labels, distances, balance, *, w0: float, sigma: float, probe: tuple[int, int]) -> dict:
    """Return the data of Eq. 2 on a real gap.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) float in [0, 1], a crop.
    labels : numpy.ndarray
        (H, W) int: 0 background, 1..n cells, -1 ignored.
    distances : tuple of numpy.ndarray
        d1 and d2 of the whole image, cropped; (H, W) px.
    balance : numpy.ndarray
        (H, W) class weights w_c of the whole image, cropped.
    w0, sigma : float
        Where the sliders begin; sigma in px.
    probe : tuple of int
        Row and column of the pixel that is looked at first.
    """
    d1, d2 = (np.rint(100 * np.minimum(distance, 600)).astype(np.uint16) for distance in distances)  # 1/100 px
    kind = np.where(labels < 0, 2, labels > 0).astype(np.uint8)
    classes = [float(balance[kind == one].max(initial=0)) for one in (0, 1)]  # one value for each class
    inferno = np.rint(255 * mpl.colormaps["inferno"](np.arange(256))[:, :3]).astype(np.uint8)
    paper = {"w0": w0, "sigma": sigma}
    maps = {"image": grey(image), "kind": kind, "d1": d1, "d2": d2}
    return maps | {"balance": classes, "palette": inferno, "paper": paper, "probe": list(probe)}


def thresholds(image, probability, levels, curves: Mapping[str, Sequence[float]], errors: Sequence[np.ndarray]) -> dict:
    """Return the data of one map at every threshold.

    Parameters
    ----------
    image, probability : numpy.ndarray
        (H, W) float in [0, 1].
    levels : sequence of float
        T thresholds.
    curves : mapping
        Warping, Rand and pixel error, in this order: name -> the error at each threshold, the first one shorter.
    errors : sequence of numpy.ndarray
        For each threshold a bool array (2, H, W): where pixels merge cells, and where they split one.
    """
    marks = [[np.flatnonzero(mask).tolist() for mask in both] for both in errors]
    mergers, splits = zip(*marks, strict=True)
    maps = {"image": grey(image), "probability": grey(probability), "thresholds": [float(level) for level in levels]}
    lists = {name: [float(error) for error in curve] for name, curve in curves.items()}
    return maps | {"curves": lists, "marks": {"mergers": mergers, "splits": splits}}


def receptive_field(image, output: int, skips: Sequence[int], *, pixel: tuple[int, int]) -> dict:
    """Return the data of what an output pixel sees.

    Parameters
    ----------
    image : numpy.ndarray
        (n, n) float in [0, 1], of a legal size.
    output : int
        Side of the score map in px.
    skips : sequence of int
        For each level from the top, how many positions the crop takes off each side of the copied map.
    pixel : tuple of int
        Row and column of the output pixel to begin with.
    """
    return {"image": grey(image), "output": output, "skips": list(skips), "pixel": list(pixel)}


def tile_cost(flop: Mapping[int, float], kept: Mapping[int, int], *, endless: float, border: int, stride: int) -> dict:
    """Return the data of tile size against border, work and memory.

    Parameters
    ----------
    flop, kept : mapping
        Input side of a tile in px -> its floating point operations, and the bytes that training keeps of it.
    endless : float
        Operations per output pixel of a tile so large that its border does not count.
    border, stride : int
        Of the network, in px.
    """
    work, memory = {n: float(x) for n, x in flop.items()}, {n: int(x) for n, x in kept.items()}
    network = {"endless": float(endless), "border": border, "stride": stride}
    return network | {"flop": work, "kept": memory, "tile": 572, "side": 512}


def elastic(image, side: int, basis, samples, *, limit: int = 60) -> dict:
    """Return the data of the elastic grid.

    Parameters
    ----------
    image : numpy.ndarray
        (n, n) float in [0, 1], smaller than it is.
    side : int
        True side of the image in px, to which displacements refer.
    basis : numpy.ndarray
        (n, points): how much each control point of a line counts at each pixel of it.
    samples : numpy.ndarray
        (S, 2, points, points) px: draws of all vectors, down and right.
    limit : int
        Longest component that a reader can draw, px.
    """
    draws = np.asarray(samples, dtype=float).round(2).reshape(len(samples), -1).tolist()
    return {"image": grey(image), "side": side, "basis": np.float32(basis), "samples": draws, "limit": limit}


def momentum(gradients, signal, *, start: float) -> dict:
    """Return the data of the running average: (T,) noisy gradients, what they mean, and the momentum to begin with."""
    lists = {"gradients": np.float32(gradients), "signal": np.float32(signal)}
    return lists | {"start": start}


def rotations(image, labels, views, degrees: Sequence[float]) -> dict:
    """Return the data of the average over rotations.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) float in [0, 1].
    labels : numpy.ndarray
        (H, W) int: 0 membrane, above 0 cell.
    views : numpy.ndarray
        (V, H, W) float in [0, 1]: the probability of cell from each rotated version, upright again.
    degrees : sequence of float
        V angles.
    """
    label = (np.asarray(labels) > 0).astype(np.uint8)
    return {"image": grey(image), "label": label, "views": grey(views), "degrees": [float(angle) for angle in degrees]}


def grey(image) -> np.ndarray:
    """Return values in [0, 1] as 8-bit numbers, as the pages carry them."""
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _plain(value: object) -> object:
    """Write what JSON does not know: arrays as base64 of their numbers (little-endian), numpy's numbers as numbers."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray) or value.dtype.name not in KINDS:
        raise TypeError(f"{type(value).__name__} {getattr(value, 'dtype', '')} cannot travel in a page; use {KINDS}")
    numbers = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).tobytes()
    return {"dtype": value.dtype.name, "shape": value.shape, "base64": base64.b64encode(numbers).decode()}
