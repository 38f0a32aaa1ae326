"""Fig. 4 redrawn, and what leads to it: targets, the way from a map to cells, merged cells, tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator

from unet_paper.arrays import IGNORE
from unet_paper.figures.style import (
    CELL_COLOURS,
    COLOURS,
    OUTSIDE,
    TEXT_WIDTH,
    WIDTH,
    coloured,
    on_dark,
    paint_cells,
    panels,
    show_image,
    stretch,
)

PAINT = 0.55  # opacity of cells over an image


def plot_targets(image: np.ndarray, labels: np.ndarray, separated: np.ndarray, weights: np.ndarray):
    """Draw what a partly annotated frame teaches: image, annotation, classes, weights.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) in [0, 1].
    labels, separated : numpy.ndarray
        (H, W) int, -1 ignored: the cells as annotated, and after touching ones were separated.
    weights : numpy.ndarray
        (H, W) of Eq. 2.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 6.7))
    _show_frame(axes[0, 0], image, title="a  image")
    _show_frame(axes[0, 1], image, title="b  annotated cells")
    paint_cells(axes[0, 1], labels, alpha=PAINT)
    show_image(axes[1, 0], separated > 0, title="c  cell, background, ignored", cmap="gray")
    for panel in (axes[0, 1], axes[1, 0]):
        _paint_mask(panel, labels == IGNORE, "quiet")
    drawn = show_image(axes[1, 1], weights, title="d  weight $w$", cmap="inferno", norm=PowerNorm(0.5, vmin=0))
    bar = figure.colorbar(drawn, ax=axes[1, 1], location="bottom", fraction=0.046, label="weight in the loss")
    bar.set_ticks([0, 1, 4, 10])
    return figure


def plot_steps(image: np.ndarray, probability: np.ndarray, dropped: np.ndarray, cells: np.ndarray):
    """Draw the way from a probability map to cells.

    Parameters
    ----------
    image, probability : numpy.ndarray
        (H, W) in [0, 1].
    dropped : numpy.ndarray
        (H, W) bool: above the threshold, but in too small a component.
    cells : numpy.ndarray
        (H, W) int: what is left, by number.
    """
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 6.5))
    _show_frame(axes[0, 0], image, title="a  image")
    show_image(axes[0, 1], probability, title="b  probability of cell", vmin=0, vmax=1)
    show_image(axes[1, 0], (cells > 0) | dropped, title="c  above the threshold", cmap="gray")
    _paint_mask(axes[1, 0], dropped, "error")
    if dropped.any():
        mark = Patch(color=COLOURS["error"], label="too small")
        axes[1, 0].legend(handles=[mark], loc="lower right", **on_dark())
    _show_frame(axes[1, 1], image, title="d  cells")
    paint_cells(axes[1, 1], cells, alpha=PAINT)
    return figure


def plot_cells(rows: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> mpl.figure.Figure:
    """Draw Fig. 4: each frame alone, and with the network's cells in colours and the annotation as outlines.

    Parameters
    ----------
    rows : mapping
        Title -> image (H, W) in [0, 1], result (H, W) int, reference (H, W) int.

    References
    ----------
    Ronneberger, Fischer, Brox (2015), Fig. 4.
    """
    height = sum(WIDTH / 2 * image.shape[0] / image.shape[1] + 0.3 for image, _, _ in rows.values())
    figure, axes = plt.subplots(len(rows), 2, figsize=(WIDTH, height), squeeze=False)
    for row, (title, (image, cells, reference)) in zip(axes, rows.items(), strict=True):
        _show_frame(row[0], image, title=title)
        _show_frame(row[1], image, title="result, annotation in white")
        paint_cells(row[1], cells, alpha=PAINT)
        outline_cells(row[1], reference)
    return figure


def plot_worst(cells: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, int]], *, margin: int = 60):
    """Draw single annotated cells and their surroundings, with what the network took for cells there.

    Parameters
    ----------
    cells : mapping
        Title -> image (H, W) in [0, 1], result (H, W) int, reference (H, W) int, label of the cell in the reference.
    margin : int
        Px around the middle of the cell that are drawn, in each direction.
    """
    figure, axes = panels(len(cells), 4, width=TEXT_WIDTH, row_height=2.4)
    for panel, (title, (image, result, reference, label)) in zip(axes, cells.items(), strict=True):
        row, column = (int(middle) for middle in np.mean(np.nonzero(reference == label), axis=1))
        crop = np.s_[max(row - margin, 0) : row + margin, max(column - margin, 0) : column + margin]
        _show_frame(panel, image[crop], title=title)
        paint_cells(panel, result[crop], alpha=0.35)
        outline_cells(panel, reference[crop])
    return figure


def plot_mergers(image: np.ndarray, reference: np.ndarray, results: Mapping[str, tuple[np.ndarray, Sequence[int]]]):
    """Draw a frame with its annotation, then each network's cells; those that cover several annotated ones stand out.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) in [0, 1].
    reference : numpy.ndarray
        (H, W) int: the annotated cells, drawn as outlines.
    results : mapping
        Title -> result (H, W) int, and the numbers of the merged cells in it.
    """
    figure, axes = panels(1 + len(results), 2, row_height=3.2)
    _show_frame(axes[0], image, title="annotation")
    for panel, (title, (cells, merged)) in zip(axes[1:], results.items(), strict=True):
        _show_frame(panel, image, title=title)
        _paint_mask(panel, (cells > 0) & ~np.isin(cells, merged), "result", alpha=PAINT)
        _paint_mask(panel, np.isin(cells, merged), "error", alpha=PAINT)
    for panel in axes:
        outline_cells(panel, reference)
    return figure


def plot_thresholds(thresholds: np.ndarray, seg: np.ndarray, merged: np.ndarray, *, default: float = 0.5):
    """Draw SEG and the number of merged cells against the threshold.

    Parameters
    ----------
    thresholds : numpy.ndarray
        (n,) in [0, 1].
    seg, merged : numpy.ndarray
        (n,) each.
    default : float
        The threshold that is used, marked.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.7))
    for panel, values, colour, label in zip(
        axes, (seg, merged), ("result", "error"), ("SEG", "merged cells"), strict=True
    ):
        panel.plot(thresholds, values, "o-", color=COLOURS[colour], markersize=4)
        panel.axvline(default, color=COLOURS["quiet"], linestyle="--", linewidth=1.2)
        panel.set(xlabel="threshold", ylabel=label, xlim=(0, 1), ylim=(0, None))
    axes[0].set_ylim(0, 1)
    axes[1].yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def plot_overlaps(overlaps: Mapping[str, Mapping[str, Sequence[float]]]) -> mpl.figure.Figure:
    """Draw how well every cell is met, from the worst to the best; the mean of a line (beside its name) is its SEG.

    Parameters
    ----------
    overlaps : mapping
        Title of a panel -> name of a line, five at most -> intersection over union of every annotated cell with its
        match, in [0, 1]; 0 if it has none.
    """
    figure, axes = plt.subplots(1, len(overlaps), figsize=(TEXT_WIDTH, 3.4), sharey=True, squeeze=False)
    for panel, (title, lines) in zip(axes[0], overlaps.items(), strict=True):
        for (name, values, colour), style in zip(coloured(lines), ("-", "--", ":", "-.", "-"), strict=False):
            share = (np.arange(len(values)) + 0.5) / len(values)
            label = f"{name}: {np.mean(values):.2f}"
            panel.step(share, np.sort(values), where="mid", color=colour, linestyle=style, label=label)
        panel.set(title=title, xlabel="share of the cells", xlim=(0, 1), ylim=(0, 1))
        panel.legend(loc="lower right")
    axes[0, 0].set_ylabel("intersection over union")
    return figure


def plot_settled(curves: Mapping[str, Mapping[str, Mapping]]) -> mpl.figure.Figure:
    """Draw SEG over thresholds, of frames that a network learned from and of others, with the threshold it was read at.

    Parameters
    ----------
    curves : mapping
        Title of a panel -> name of a network, five at most -> ``"threshold"``, ``"learned"`` and ``"others"`` (n,)
        each, and ``"bet"``, ``"alike"``: points (threshold, SEG of the other frames).
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(TEXT_WIDTH, 3.6), sharey=True, squeeze=False)
    for panel, (title, networks) in zip(axes[0], curves.items(), strict=True):
        for name, of, colour in coloured(networks):
            how = {"color": colour, "linewidth": 1.4}
            panel.plot(of["threshold"], of["learned"], linestyle="--", **how)
            panel.plot(of["threshold"], of["others"], label=name, **how)
            panel.plot(*of["bet"], "o", color=colour, markersize=10)
            panel.plot(*of["alike"], "D", color=colour, markersize=6, markerfacecolor="white")
        panel.set(title=title, xlabel="threshold", ylim=(0.3, 1))
        panel.legend(loc="lower right")
    axes[0, 0].set_ylabel("SEG")
    return figure


def plot_maps(maps: Mapping[str, np.ndarray]) -> mpl.figure.Figure:
    """Draw maps of probability, two in a row, all from black = 0 to white = 1.

    Parameters
    ----------
    maps : mapping
        Title -> (H, W) in [0, 1].
    """
    figure, axes = panels(len(maps), 2, row_height=3.2)
    for panel, (title, probability) in zip(axes, maps.items(), strict=True):
        drawn = show_image(panel, probability, title=title, vmin=0, vmax=1)
        panel.spines[:].set_visible(True)
    figure.colorbar(drawn, ax=axes, location="bottom", fraction=0.04, aspect=40, label="probability of cell")
    return figure


def plot_tracked(frames: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> mpl.figure.Figure:
    """Draw frames of an image sequence, two in a row; a track has the same colour in all of them.

    Parameters
    ----------
    frames : mapping
        Title -> image (H, W) in [0, 1] and tracks (H, W) int.
    """
    figure, axes = panels(len(frames), 2, row_height=3.2)
    for panel, (title, (image, tracks)) in zip(axes, frames.items(), strict=True):
        _show_frame(panel, image, title=title)
        paint_cells(panel, tracks, alpha=PAINT)
        for number in np.unique(tracks[tracks > 0]):
            y, x = np.argwhere(tracks == number).mean(axis=0)
            panel.text(x, y, str(number), color="white", ha="center", va="center", fontsize=8, path_effects=_halo())
    return figure


def plot_lifelines(tables: Mapping[str, np.ndarray]) -> mpl.figure.Figure:
    """Draw when each track begins and ends, one panel per set of tracks.

    Parameters
    ----------
    tables : mapping
        Title -> (N, 4) int in the challenge's order: number, first frame, last frame, parent (0 for none).
    """
    most = max(len(table) for table in tables.values())
    height = float(np.clip(0.9 + 0.13 * most, 2.5, 5.0))
    figure, axes = plt.subplots(1, len(tables), figsize=(WIDTH, height), sharex=True, squeeze=False)
    for panel, (title, table) in zip(axes[0], tables.items(), strict=True):
        for row, (number, begin, end, _) in enumerate(table):
            colour = CELL_COLOURS[number % len(CELL_COLOURS)]
            panel.plot([begin - 0.4, end + 0.4], [row, row], color=colour, linewidth=min(3, 180 / most))
        panel.set(title=f"{title}: {len(table)} tracks", xlabel="frame of the sequence", ylim=(most, -1), yticks=[])
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def outline_cells(axes: mpl.axes.Axes, cells: np.ndarray) -> None:
    """Draw a white line around every cell, readable on any ground.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw, over an image of the same size.
    cells : numpy.ndarray
        (H, W) int: 0 background, 1..n cells, -1 ignored.
    """
    for number in np.unique(cells[cells > 0]):
        lines = axes.contour(cells == number, levels=[0.5], colors="white", linewidths=1.1)
        lines.set_path_effects(_halo())


def _show_frame(axes: mpl.axes.Axes, image: np.ndarray, *, title: str) -> None:
    """Show an image of a light microscope, stretched: it uses little of the grey values."""
    show_image(axes, image, title=title, **stretch(image))


def _paint_mask(axes: mpl.axes.Axes, mask: np.ndarray, colour: str, *, alpha: float = 1.0) -> None:
    axes.imshow(np.ma.masked_where(~mask, mask), cmap=ListedColormap([COLOURS[colour]]), alpha=alpha)


def _halo() -> list:
    return [Stroke(linewidth=2.4, foreground=OUTSIDE), Normal()]
