"""Figures of the first chapter: what windows show, what they cost, and which ideas met in the U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from unet_paper.figures.style import COLOURS, WIDTH, panels, show_image

# Year, name with the paper's reference number, what it does, what the U-Net has of it.
ANCESTORS = [
    (
        "2012",
        "Sliding window [1]",
        "a network judges each pixel\nfrom the window around it",
        "the task, and many\nexamples per image",
    ),
    (
        "2013",
        "Cascaded hierarchies [11]",
        "classifiers at several resolutions,\neach fed by the others",
        "coarse and fine\ntogether",
    ),
    (
        "2014",
        "Hypercolumns [4]",
        "a pixel is described by\nseveral layers at once",
        "early layers tell where,\nlate ones what",
    ),
    (
        "2014",
        "Fully convolutional net [9]",
        "one pass for the whole image,\ncoarse scores enlarged",
        "one pass, and\nlearned upsampling",
    ),
]
U_NET = "many channels on the way up, valid convolutions and\nmirrored tiles, deformed images, weighted gaps"


def plot_windows(windows: Sequence[np.ndarray]) -> mpl.figure.Figure:
    """Draw windows of growing size around the same pixel, each enlarged to the same size.

    Parameters
    ----------
    windows : sequence of numpy.ndarray
        (n, n) each, in [0, 1]; their central pixel is ringed.
    """
    figure, grid = panels(len(windows), -(-len(windows) // 2), width=5.4, row_height=2.9)
    for axes, window in zip(grid, windows, strict=True):
        side = window.shape[0]
        show_image(axes, window, title=f"{side} px", vmin=0, vmax=1)
        centre = side // 2
        axes.plot(centre, centre, "o", ms=13, mfc="none", mec=COLOURS["label"], mew=2)
    return figure


def plot_operations(operations: dict[str, float]) -> mpl.figure.Figure:
    """Draw the work of several methods for the same image, on a logarithmic axis.

    Parameters
    ----------
    operations : dict
        Name -> floating point operations.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 2.3))
    names, values = list(operations), np.array(list(operations.values())) / 1e9
    places = np.arange(len(names))
    axes.barh(places, values, height=0.55, color=[COLOURS[name] for name in ("error", "label", "image")])
    for place, value in zip(places, values, strict=True):
        axes.text(value * 1.15, place, f"{value:,.0f}", va="center")
    axes.set(xscale="log", xlabel="operations for one section (billions)", yticks=places, yticklabels=names)
    axes.set_xlim(10, values.max() * 8)
    axes.invert_yaxis()
    return figure


def plot_ancestors() -> mpl.figure.Figure:
    """Draw the methods that the paper builds on, by year, and what the U-Net has of each."""
    figure = plt.figure(figsize=(WIDTH, 5.4), layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 5.9), ylim=(0, 5.4))
    axes.axis("off")
    rows = [4.9 - 1.05 * i for i in range(len(ANCESTORS))]
    for y, (year, name, does, gives) in zip(rows, ANCESTORS, strict=True):
        axes.text(0.08, y, year, va="center", fontsize=11.5, weight="bold", color=COLOURS["quiet"])
        _box(axes, (0.62, y - 0.41), (2.62, 0.82), name, does, COLOURS["image"])
        axes.text(
            5.32, y + 0.07, gives, ha="right", va="bottom", fontsize=10.5, color=COLOURS["result"], linespacing=1.1
        )
        axes.plot([3.3, 5.5], [y, y], color=COLOURS["result"], lw=2)
    arrow = FancyArrowPatch(
        (5.5, rows[0]), (5.5, 0.86), arrowstyle="-|>,head_length=6,head_width=4", shrinkA=0, shrinkB=0
    )
    arrow.set(color=COLOURS["result"], lw=2)
    axes.add_patch(arrow)
    axes.text(0.08, 0.45, "2015", va="center", fontsize=11.5, weight="bold", color=COLOURS["quiet"])
    _box(axes, (0.62, 0.04), (5.18, 0.82), "U-Net", U_NET, COLOURS["result"])
    return figure


def _box(axes: mpl.axes.Axes, corner: tuple, size: tuple, name: str, text: str, colour: str) -> None:
    look = {"boxstyle": "round,pad=0,rounding_size=0.08", "fc": "white", "ec": colour, "lw": 1.8}
    axes.add_patch(FancyBboxPatch(corner, *size, **look))
    x, top = corner[0] + 0.1, corner[1] + size[1]
    axes.text(x, top - 0.08, name, va="top", fontsize=11.5, weight="bold")
    axes.text(x, top - 0.31, text, va="top", fontsize=10)
