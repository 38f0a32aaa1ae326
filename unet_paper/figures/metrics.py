"""Small pictures of what the challenges' measures see, and curves of their values."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Patch, Rectangle

from unet_paper.figures.style import COLOURS, TEXT_WIDTH, WIDTH, coloured, panels, show_image
from unet_paper.metrics.warping import ERRORS, Warp

CELL, MEMBRANE = "#ffffff", "#4a5563"
ERROR_COLOURS = {  # type of warping error -> colour
    "merge": COLOURS["error"],
    "split": COLOURS["label"],
    "hole_addition": COLOURS["light"],
    "hole_deletion": COLOURS["light"],
    "object_addition": COLOURS["other"],
    "object_deletion": COLOURS["other"],
}


def _draw_mask(axes: mpl.axes.Axes, mask: np.ndarray, *, title: str = "") -> None:
    """Draw a small picture so that its pixels can be counted: cell white, membrane dark.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    mask : numpy.ndarray
        (H, W) bool, True = cell.
    title : str
        Set above the picture.
    """
    show_image(axes, mask, title=title, cmap=ListedColormap([MEMBRANE, CELL]), vmin=0, vmax=1)
    _draw_grid(axes, mask.shape)


def _draw_cells(axes: mpl.axes.Axes, cells: np.ndarray, *, title: str = "", zero: str = MEMBRANE) -> None:
    """Draw numbered cells (H, W) each in a colour of its own, and 0 in the colour `zero`."""
    tints = [COLOURS[name] for name in ("light", "label", "result", "other", "image", "error")]
    table = np.array([to_rgb(zero)] + [_pale(tints[k % len(tints)]) for k in range(int(cells.max()))])
    show_image(axes, table[cells], title=title)
    _draw_grid(axes, cells.shape)


def plot_pictures(pictures: dict[str, tuple[np.ndarray, str]], *, columns: int = 4) -> mpl.figure.Figure:
    """Draw small results with their scores underneath.

    Parameters
    ----------
    pictures : dict
        Title -> (mask (H, W) bool, text underneath).
    columns : int
        Pictures per row.
    """
    figure, all_axes = panels(len(pictures), columns, width=TEXT_WIDTH, row_height=2.15)
    for axes, (title, (mask, text)) in zip(all_axes, pictures.items(), strict=True):
        _draw_mask(axes, mask, title=title)
        axes.set_xlabel(text, loc="left", fontsize=10.5)
    return figure


def plot_simple_pixels(patches: dict[str, np.ndarray]) -> mpl.figure.Figure:
    """Draw 3x3 neighbourhoods with their centre marked; title -> (3, 3) bool."""
    figure, grid = plt.subplots(1, len(patches), figsize=(TEXT_WIDTH, 1.7), squeeze=False)
    for axes, (title, patch) in zip(grid.flat, patches.items(), strict=True):
        _draw_mask(axes, patch, title=title)
        axes.add_patch(Rectangle((0.5, 0.5), 1, 1, fill=False, edgecolor=COLOURS["image"], linewidth=2.5))
    return figure


def plot_warping(labels: np.ndarray, target: np.ndarray, stages: Sequence[np.ndarray], warp: Warp) -> mpl.figure.Figure:
    """Draw a warping pass by pass.

    Parameters
    ----------
    labels, target : numpy.ndarray
        (H, W) bool, the labels and the result that they are bent onto.
    stages : sequence of numpy.ndarray
        (H, W) bool, the labels after each pass; the first pass first.
    warp : unet_paper.metrics.Warp
        The whole warping: pixels that moved are numbered in their order, pixels that stay different are coloured.
    """
    shown = [("labels", labels), ("result", target), *((f"after pass {k + 1}", m) for k, m in enumerate(stages))]
    figure, all_axes = panels(len(shown), 2, width=TEXT_WIDTH, row_height=2.35)
    for axes, (title, mask) in zip(all_axes, shown, strict=True):
        _draw_mask(axes, mask, title=title)
    for number, mask in enumerate(stages):
        _number_flips(all_axes[2 + number], warp.flips, number, mask)
    _mark_errors(all_axes[-1], warp)
    return figure


def plot_thinning(stages: dict[str, np.ndarray]) -> mpl.figure.Figure:
    """Draw border thinning: title -> (H, W) numbered cells, 0 membrane or line."""
    figure, grid = plt.subplots(1, len(stages), figsize=(TEXT_WIDTH, 2.0), squeeze=False)
    for axes, (title, cells) in zip(grid.flat, stages.items(), strict=True):
        _draw_cells(axes, cells, title=title)
    return figure


def plot_disagreement(series: dict[str, tuple[np.ndarray, np.ndarray]], *, names: tuple[str, str]) -> mpl.figure.Figure:
    """Draw one measure over another; name of the damage -> (values of the first, values of the second), (n,) each."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    for (title, (x, y), colour), marker in zip(coloured(series), "osD^v", strict=False):
        axes.plot(x, y, marker=marker, color=colour, label=title)
    axes.set(xlabel=names[0], ylabel=names[1], xlim=(0, None), ylim=(0, None))
    axes.legend()
    return figure


def plot_curves(
    thresholds: np.ndarray, curves: dict[str, np.ndarray], *, larger_is_better: Collection[str] = ()
) -> mpl.figure.Figure:
    """Draw each measure over the threshold, its best value marked.

    Parameters
    ----------
    thresholds : numpy.ndarray
        (11,) in [0, 1].
    curves : dict
        Title -> (n,) values at the first n thresholds.
    larger_is_better : collection of str
        Titles of scores, of which the largest value is marked; of errors it is the smallest.
    """
    columns = -(-len(curves) // 2)
    figure, grid = panels(len(curves), columns, width=TEXT_WIDTH, row_height=2.0)
    for axes, (name, curve) in zip(grid, curves.items(), strict=True):
        at = thresholds[: len(curve)]
        axes.plot(at, curve, marker="o", markersize=3.5, color=COLOURS["image"])
        best = int(np.argmax(curve) if name in larger_is_better else np.argmin(curve))
        circle = {"marker": "o", "markersize": 9, "fillstyle": "none", "color": COLOURS["error"], "clip_on": False}
        axes.plot(at[best], curve[best], **circle)
        axes.set(title=name, xlim=(-0.05, 1.05), ylim=(0, None))
    for axes in grid[-columns:]:
        axes.set_xlabel("threshold")
    return figure


def plot_matches(reference: np.ndarray, results: dict[str, np.ndarray]) -> mpl.figure.Figure:
    """Draw numbered results (H, W) with the outline of the reference cells; title -> result."""
    figure, grid = plt.subplots(1, len(results), figsize=(TEXT_WIDTH, 1.9), squeeze=False)
    for axes, (title, result) in zip(grid.flat, results.items(), strict=True):
        _draw_cells(axes, result, title=title, zero=CELL)
        _outline(axes, reference)
    return figure


def _draw_grid(axes: mpl.axes.Axes, shape: tuple[int, int]) -> None:
    lines = {"color": COLOURS["quiet"], "linewidth": 0.5, "clip_on": False}
    axes.hlines(np.arange(shape[0] + 1) - 0.5, -0.5, shape[1] - 0.5, **lines)
    axes.vlines(np.arange(shape[1] + 1) - 0.5, -0.5, shape[0] - 0.5, **lines)


def _number_flips(axes: mpl.axes.Axes, flips: np.ndarray, number: int, mask: np.ndarray) -> None:
    """Write their place in the order on the pixels that moved in one pass."""
    for order, (at, y, x) in enumerate(flips, start=1):
        if at == number:
            colour = COLOURS["image"] if mask[y, x] else "white"
            axes.text(x, y, str(order), ha="center", va="center", fontsize=10, color=colour)


def _mark_errors(axes: mpl.axes.Axes, warp: Warp) -> None:
    """Colour the pixels that still differ by their type, with a legend."""
    found = [name for name, pixels in warp.counts.items() if pixels]
    for name in found:
        for y, x in np.argwhere(warp.errors == ERRORS.index(name)):
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, color=ERROR_COLOURS[name]))
    keys = [Patch(color=ERROR_COLOURS[name], label=name.replace("_", " ")) for name in found]
    axes.legend(handles=keys, loc="upper left", bbox_to_anchor=(0, -0.02), ncols=len(keys), fontsize=10.5)


def _outline(axes: mpl.axes.Axes, cells: np.ndarray) -> None:
    for cell in np.unique(cells[cells > 0]):
        rows, columns = np.nonzero(cells == cell)
        corner = (columns.min() - 0.5, rows.min() - 0.5)
        width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=COLOURS["ink"], linewidth=2))


def _pale(colour: str) -> tuple[float, ...]:
    return tuple(0.45 + 0.55 * channel for channel in to_rgb(colour))
