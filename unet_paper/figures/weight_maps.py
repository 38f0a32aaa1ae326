"""Fig. 3 redrawn, and the figures that take Eq. 2 apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from unet_paper.figures.style import COLOURS, OUTSIDE, TEXT_WIDTH, WIDTH, paint_cells, show_image

WEIGHT_COLOURS = "inferno"


def plot_figure_3(image: np.ndarray, labels: np.ndarray, separated: np.ndarray, weights: np.ndarray):
    """Draw the four panels of Fig. 3: image, cells, foreground after separation, weights.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) in [0, 1].
    labels, separated : numpy.ndarray
        (H, W) int: cells before and after touching ones were separated.
    weights : numpy.ndarray
        (H, W) from Eq. 2.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Ronneberger, Fischer, Brox (2015), Fig. 3.
    """
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 6.5))
    show_image(axes[0, 0], image, title="a  image", vmin=0, vmax=1)
    show_image(axes[0, 1], image, title="b  annotated cells", vmin=0, vmax=1)
    paint_cells(axes[0, 1], labels, alpha=0.6)
    show_image(axes[1, 0], separated > 0, title="c  foreground, separated", cmap="gray")
    drawn = show_image(axes[1, 1], weights, title="d  weight $w$", cmap=WEIGHT_COLOURS, norm=PowerNorm(0.5, vmin=0))
    bar = figure.colorbar(
        drawn, ax=axes[1, 1], location="bottom", fraction=0.046, label="weight of a pixel in the loss"
    )
    bar.set_ticks([0, 1, 2, 4, 6, 8, 10])
    return figure


def plot_separation(labels: np.ndarray, separated: np.ndarray, origin: tuple[int, int]) -> mpl.figure.Figure:
    """Draw a small part of the annotation before and after separation, pixel by pixel.

    Parameters
    ----------
    labels, separated : numpy.ndarray
        (h, w) int: the part before and after.
    origin : tuple of int
        Row and column of its top left pixel in the whole image, in px.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharey=True)
    titles = ("as annotated", "with a border of background")
    for one, title, cells in zip(axes, titles, (labels, separated), strict=True):
        _show_cells(one, cells, title=title, extent=_extent(labels.shape, origin))
        one.set(xlabel="column (px)")
    axes[0].set(ylabel="row (px)")
    return figure


def plot_two_distances(
    labels: np.ndarray, probe: tuple[int, int], ends: Mapping[str, tuple[int, int, float]], origin: tuple[int, int]
) -> mpl.figure.Figure:
    """Draw one background pixel and the ways to its two nearest cells.

    Parameters
    ----------
    labels : numpy.ndarray
        (h, w) int: a part of the annotation.
    probe : tuple of int
        Row and column of the pixel in the whole image, in px.
    ends : mapping
        Name of a distance -> row and column of the cell's nearest pixel, and the distance in px.
    origin : tuple of int
        Row and column of the part's top left pixel in the whole image, in px.
    """
    figure, axes = plt.subplots(figsize=(4.6, 4.2))
    _show_cells(axes, labels, extent=_extent(labels.shape, origin))
    for name, (row, column, distance) in ends.items():
        axes.plot([probe[1], column], [probe[0], row], color="white", marker="o", markersize=4, linewidth=1.6)
        beyond = (column + (column - probe[1]) * 4 / distance, row + (row - probe[0]) * 4 / distance)
        axes.text(*beyond, f"{name} = {distance:.1f} px", **_on_dark())
    axes.plot(probe[1], probe[0], color=COLOURS["label"], marker="s", markersize=7)
    axes.set(xlabel="column (px)", ylabel="row (px)")
    return figure


def plot_distance_maps(labels: np.ndarray, d1: np.ndarray, d2: np.ndarray, *, largest: float = 60):
    """Draw d1 and d2 of every background pixel, up to `largest` px; cells stay grey.

    Parameters
    ----------
    labels : numpy.ndarray
        (H, W) int: cells.
    d1, d2 : numpy.ndarray
        (H, W) px.
    largest : float
        Where the colour scale ends, px.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    maps = {"$d_1$, to the nearest cell": d1, "$d_2$, to the second nearest": d2}
    for one, (title, distance) in zip(axes, maps.items(), strict=True):
        shown = np.ma.masked_where(labels != 0, distance)
        drawn = show_image(one, shown, title=title, cmap="viridis", vmin=0, vmax=largest)
        one.set_facecolor(COLOURS["quiet"])
    figure.colorbar(drawn, ax=axes, location="bottom", fraction=0.05, aspect=40, label="distance (px)", extend="max")
    return figure


def plot_gap_widths(widths: np.ndarray, terms: Mapping[float, np.ndarray], *, paper: float = 5.0):
    """Draw the border term in a straight gap over the gap's width.

    Parameters
    ----------
    widths : numpy.ndarray
        (n,) background pixels between the two cells.
    terms : mapping
        sigma in px -> (n,) border term.
    paper : float
        The paper's sigma, drawn thicker.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    for sigma, term in terms.items():
        axes.plot(widths, term, linewidth=3 if sigma == paper else 1.4, label=rf"$\sigma$ = {sigma:g} px")
    axes.axhline(1, color=COLOURS["quiet"], linestyle=":", linewidth=1.2)
    axes.annotate("mean of $w_c$", (widths[-1], 1), (0, 4), textcoords="offset points", ha="right", va="bottom")
    axes.set(xlabel="width of the gap (px of background)", ylabel="border term", ylim=(0, None))
    axes.legend()
    return figure


def plot_speed(ours: Mapping[int, float], definition: Mapping[int, float]) -> mpl.figure.Figure:
    """Draw the time for one weight map over the number of cells in the image.

    Parameters
    ----------
    ours, definition : mapping
        Number of cells -> seconds.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    axes.plot(list(definition), list(definition.values()), "o-", color=COLOURS["error"], label="one transform per cell")
    axes.plot(list(ours), list(ours.values()), "o-", color=COLOURS["image"], label="two nearest cells at once")
    axes.set(xscale="log", yscale="log", xlabel="cells in the image", ylabel="time for 512 × 512 px (s)")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.legend()
    return figure


def plot_section(image: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> mpl.figure.Figure:
    """Draw a section, its connected cells and its weights side by side.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) in [0, 1].
    cells : numpy.ndarray
        (H, W) int.
    weights : numpy.ndarray
        (H, W).
    """
    figure, axes = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 2.8))
    show_image(axes[0], image, title="section", vmin=0, vmax=1)
    _show_cells(axes[1], cells, title="cells")
    axes[1].set(xticks=[], yticks=[])
    drawn = show_image(axes[2], weights, title="weight $w$", cmap=WEIGHT_COLOURS, vmin=0)
    figure.colorbar(drawn, ax=axes[2], fraction=0.046)
    return figure


def plot_balance(pixels: Sequence[float], together: Sequence[float]) -> mpl.figure.Figure:
    """Draw how many pixels either class has, and what they weigh together after balancing.

    Parameters
    ----------
    pixels, together : sequence of float
        Share of membranes and of cells among the annotated pixels, and in their total weight.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 2.1))
    for y, parts in enumerate((together, pixels)):
        axes.barh([y, y], parts, left=[0, parts[0]], color=[COLOURS["quiet"], COLOURS["label"]], height=0.6)
        axes.text(parts[0] / 2, y, f"membrane\n{parts[0]:.0%}", ha="center", va="center")
        axes.text(parts[0] + parts[1] / 2, y, f"cells\n{parts[1]:.0%}", ha="center", va="center")
    axes.set(yticks=[1, 0], yticklabels=["pixels", "weight $w_c$"], xlim=(0, 1), xticks=[])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _show_cells(axes: mpl.axes.Axes, cells: np.ndarray, *, title: str = "", **imshow) -> None:
    axes.set_facecolor(OUTSIDE)
    paint_cells(axes, cells, **imshow)
    axes.set_title(title)


def _extent(shape: tuple[int, int], origin: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return where imshow must put a part of an image so that ticks show the whole image's pixels."""
    top, left = origin[0] - 0.5, origin[1] - 0.5
    return left, left + shape[1], top + shape[0], top


def _on_dark() -> dict:
    box = {"boxstyle": "round,pad=0.2", "facecolor": OUTSIDE, "edgecolor": "none", "alpha": 0.85}
    return {"color": "white", "ha": "center", "va": "center", "bbox": box}
