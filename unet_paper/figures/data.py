"""What the three data sets look like, and what their annotation covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from unet_paper.figures.style import COLOURS, OUTSIDE, WIDTH, on_dark, paint_cells, panels, show_image, stretch

SECTION_NM = 50  # thickness of an EM section


def plot_section(image: np.ndarray, labels: np.ndarray) -> mpl.figure.Figure:
    """Draw one EM section beside its annotation.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) in [0, 1].
    labels : numpy.ndarray
        (H, W) int, 1 = cell, 0 = membrane.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3))
    show_image(axes[0], image, title="a  section", vmin=0, vmax=1)
    show_image(axes[1], labels, title="b  cell (white), membrane (black)")
    return figure


def plot_grey_values(cell: np.ndarray, membrane: np.ndarray, threshold: float) -> mpl.figure.Figure:
    """Draw how often each grey value occurs in cells and in membranes.

    Parameters
    ----------
    cell, membrane : numpy.ndarray
        (n,) and (m,) grey values in [0, 1].
    threshold : float
        The grey value that separates them best.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    bins = np.arange(0, 257, 4) / 256
    total = len(cell) + len(membrane)
    for values, colour, name in ((cell, "image", "cell"), (membrane, "error", "membrane")):
        share = np.full(len(values), 100 / total)  # percent of all pixels
        axes.hist(values, bins, weights=share, color=COLOURS[colour], alpha=0.55, label=name)
    axes.axvline(threshold, color=COLOURS["ink"], linestyle="--", linewidth=1.2, label=f"threshold {threshold:.2f}")
    axes.set(xlabel="grey value (0 black, 1 white)", ylabel="pixels (% of all)", xlim=(0, 1))
    axes.legend()
    return figure


def plot_neighbours(images: Sequence[np.ndarray], titles: Sequence[str]) -> mpl.figure.Figure:
    """Draw the same place in several sections, each (h, w) in [0, 1], two in a row."""
    figure, grid = panels(len(images), 2, row_height=3.2)
    for panel, image, title in zip(grid, images, titles, strict=True):
        show_image(panel, image, title=title, vmin=0, vmax=1)
    return figure


def plot_likeness(distances: Sequence[int], curves: Mapping[str, Sequence[float]]) -> mpl.figure.Figure:
    """Draw how alike two sections are over the distance between them.

    Parameters
    ----------
    distances : sequence of int
        Distances, in sections.
    curves : mapping
        Name -> correlation coefficient at each distance; of the images, and of their annotation.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    for (name, values), colour in zip(curves.items(), ("image", "label"), strict=True):
        axes.plot(distances, values, "o-", markersize=4, color=COLOURS[colour], label=name)
    axes.axhline(0, color=COLOURS["quiet"], linewidth=1)
    axes.set(xlabel="distance (sections)", ylabel="correlation", xlim=(0, max(distances) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    above = axes.secondary_xaxis("top", functions=(_to_micrometres, _to_sections))
    above.set_xlabel("distance (µm)")
    axes.legend()
    return figure


def plot_frames(frames: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> mpl.figure.Figure:
    """Draw frames of living cells, each beside its annotation.

    Parameters
    ----------
    frames : mapping
        Title -> image (H, W) in [0, 1] and labels (H, W) int.
    """
    figure, axes = plt.subplots(len(frames), 2, figsize=(WIDTH, 2.9 * len(frames)), squeeze=False)
    for row, (title, (image, labels)) in zip(axes, frames.items(), strict=True):
        show_image(row[0], image, title=title, **stretch(image))
        _show_labels(row[1], labels, title="annotated cells")
    return figure


def plot_partial(image: np.ndarray, gold: np.ndarray, markers: np.ndarray, labels: np.ndarray) -> mpl.figure.Figure:
    """Draw a partly annotated frame: image, gold masks, markers, and labels with the rest ignored.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) in [0, 1].
    gold, markers, labels : numpy.ndarray
        (H, W) int; in `labels`, -1 is ignored.
    """
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 6.5))
    show_image(axes[0, 0], image, title="a  image", **stretch(image))
    _show_labels(axes[0, 1], gold, title="b  gold masks")
    _show_labels(axes[1, 0], markers, title="c  markers")
    _show_labels(axes[1, 1], labels, title="d  what we train on")
    ignored = np.ma.masked_where(labels >= 0, labels)
    axes[1, 1].imshow(ignored, cmap=ListedColormap([COLOURS["quiet"]]))
    axes[1, 1].legend(handles=[Patch(color=COLOURS["quiet"], label="ignored")], loc="lower right", **on_dark())
    return figure


def plot_annotated(frames: Sequence[int], annotated: Sequence[int], existing: Sequence[int]) -> mpl.figure.Figure:
    """Draw for every gold frame how many cells there are, and how many of them have a mask."""
    figure, axes = plt.subplots(figsize=(WIDTH, 2.8))
    places = np.arange(len(frames))
    axes.bar(places, existing, width=0.8, color=COLOURS["quiet"], alpha=0.45, label="with a marker")
    axes.bar(places, annotated, width=0.55, color=COLOURS["label"], label="with a gold mask")
    axes.set_xticks(places, [str(frame) for frame in frames])
    axes.set(xlabel="frame of the sequence", ylabel="cells", ylim=(0, 1.3 * max(existing)))
    axes.legend(ncols=2, loc="upper left")
    return figure


def plot_beside(rows: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> mpl.figure.Figure:
    """Draw the data of this machine on the left, generated pictures on the right.

    Parameters
    ----------
    rows : mapping
        Title -> two images, each (H, W) in [0, 1].
    """
    figure, axes = plt.subplots(len(rows), 2, figsize=(WIDTH, 3.2 * len(rows)), squeeze=False)
    for row, (title, images) in zip(axes, rows.items(), strict=True):
        for panel, image, origin in zip(row, images, ("this page", "generated"), strict=True):
            show_image(panel, image, title=f"{title}, {origin}", **stretch(images[0]))
    return figure


def _show_labels(axes: mpl.axes.Axes, labels: np.ndarray, *, title: str) -> None:
    show_image(axes, np.zeros_like(labels), title=title, cmap=ListedColormap([OUTSIDE]))
    paint_cells(axes, labels)


def _to_micrometres(sections: np.ndarray) -> np.ndarray:
    return np.asarray(sections) * SECTION_NM / 1000


def _to_sections(micrometres: np.ndarray) -> np.ndarray:
    return np.asarray(micrometres) * 1000 / SECTION_NM
