"""Fig. 2 drawn from real windows, and the figures that show seams, or their absence."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from unet_paper.figures.style import COLOURS, TEXT_WIDTH, WIDTH, show_image

Square = tuple[int, int, int]  # top, left, side in px of the image
FLOOR = 1e-7  # differences below this are drawn alike: float32 resolves no more


def plot_tiling(extended: np.ndarray, border: int, panels: dict[str, tuple[Square, Sequence[Square]]]):
    """Draw input windows over output tiles on an image that continues as its mirror image.

    Parameters
    ----------
    extended : numpy.ndarray
        (H + 2 border, W + 2 border) the image with its mirrored surroundings.
    border : int
        Width of these surroundings, px.
    panels : dict
        Title -> (input window, output tiles); the window belongs to the first tile.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, grid = plt.subplots(1, len(panels), figsize=(TEXT_WIDTH, 3.9), squeeze=False)
    for axes, (title, (window, tiles)) in zip(grid.flat, panels.items(), strict=True):
        _mirrored_image(axes, extended, border, title)
        for tile in tiles[1:]:
            _square(axes, tile, "label", filled=False)
        _square(axes, window, "image", filled=True)
        _square(axes, tiles[0], "label", filled=True)
        _name(axes, window, f"in: {window[2]} px", below=True)
        _name(axes, tiles[0], f"out: {tiles[0][2]} px", below=False)
    return figure


def plot_corner(corners: dict[str, np.ndarray], border: int) -> mpl.figure.Figure:
    """Draw what a network finds beyond the top left corner of an image.

    Parameters
    ----------
    corners : dict
        Title -> (n, n) the corner with `border` px of surroundings above and to the left.
    border : int
        Width of the surroundings, px.
    """
    figure, grid = plt.subplots(1, len(corners), figsize=(TEXT_WIDTH, 3.7), squeeze=False)
    for axes, (title, corner) in zip(grid.flat, corners.items(), strict=True):
        show_image(axes, corner, title=title, vmin=0, vmax=1)
        side = corner.shape[0]
        axes.plot([border, border, side], [side, border, border], color=COLOURS["label"], lw=2)
        axes.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
    return figure


def plot_seams(scores: dict[str, np.ndarray], differences: dict[str, np.ndarray], step: int) -> mpl.figure.Figure:
    """Draw score maps made of tiles, and below each how far it is from the map made in one piece.

    Parameters
    ----------
    scores : dict
        Title -> (h, w) scores of one class around the point where four tiles meet.
    differences : dict
        The same titles -> (H, W) difference in standard deviations, whole image.
    step : int
        Side of the tiles, px; marked along the edges of the difference maps.
    """
    figure, grid = plt.subplots(2, len(scores), figsize=(TEXT_WIDTH, 5.4), squeeze=False)
    for (above, below), title in zip(grid.T, scores, strict=True):
        low, high = np.percentile(scores[title], [1, 99])  # networks differ in the range of their scores
        show_image(above, scores[title], title=title, vmin=low, vmax=high)
        drawn = show_image(below, np.maximum(differences[title], FLOOR), norm=LogNorm(FLOOR, 10), cmap="inferno")
        _mark_steps(below, differences[title].shape[0], step)
    grid[0, 0].set_ylabel("scores, enlarged")
    grid[1, 0].set_ylabel("difference from one piece")
    bar = figure.colorbar(drawn, ax=grid[1, :], location="bottom", shrink=0.8, extend="min")
    bar.set_label("difference (standard deviations of the scores)")
    return figure


def plot_profiles(profiles: dict[str, np.ndarray], reach: int) -> mpl.figure.Figure:
    """Draw the mean difference against the distance from the nearest seam.

    Parameters
    ----------
    profiles : dict
        Name -> (D,) mean difference at 0, 1, ... px from a seam, in standard deviations.
    reach : int
        Distance in px from which on no zero can be seen; marked.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.1))
    for (name, profile), colour in zip(profiles.items(), ("error", "label", "result"), strict=True):
        axes.semilogy(np.maximum(profile, FLOOR), color=COLOURS[colour], label=name)
    axes.axvline(reach, color=COLOURS["quiet"], lw=1, ls=":")
    axes.text(reach + 2, 1, f"{reach} px", color=COLOURS["quiet"])
    axes.set(xlabel="distance from the nearest seam (px)", ylabel="mean difference\n(standard deviations)")
    axes.set_ylim(FLOOR / 2, 5)
    axes.legend(loc="upper right")
    return figure


def plot_phases(difference: np.ndarray, stride: int, marked: int) -> mpl.figure.Figure:
    """Draw how far the scores of a shifted window are from those of the whole image.

    Parameters
    ----------
    difference : numpy.ndarray
        (S,) mean difference for shifts of 0, 1, ... px, in standard deviations.
    stride : int
        Period of the pooling grid, px.
    marked : int
        A shift to point at, px.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    shifts = np.arange(len(difference))
    on_grid = shifts % stride == 0
    difference = np.maximum(difference, FLOOR)
    axes.semilogy(shifts, difference, color=COLOURS["quiet"], lw=1)
    axes.plot(shifts[~on_grid], difference[~on_grid], "o", ms=4, color=COLOURS["error"], label="off the pooling grid")
    axes.plot(shifts[on_grid], difference[on_grid], "o", ms=6, color=COLOURS["result"], label="on the pooling grid")
    axes.plot(marked, difference[marked], "o", ms=12, mfc="none", mec=COLOURS["ink"])
    axes.set(xlabel="shift of the tile (px)", ylabel="mean difference\n(standard deviations)")
    axes.set_xticks(np.arange(0, len(difference), 4))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def plot_cost(tiles: Sequence[int], redundancy: Sequence[float], megabytes: Sequence[float], *, chosen: int):
    """Draw what small tiles cost in work, and what large ones cost in memory.

    Parameters
    ----------
    tiles : sequence of int
        Input sides, px.
    redundancy : sequence of float
        Operations per output pixel, relative to an endless tile.
    megabytes : sequence of float
        What one tile keeps for the backward pass, MB.
    chosen : int
        The paper's side in px, marked.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.0))
    left.plot(tiles, redundancy, color=COLOURS["image"])
    left.axhline(1, color=COLOURS["quiet"], lw=1, ls=":")
    left.set(yscale="log", xlabel="input tile (px)", title="work per output pixel", ylabel="relative to no border")
    left.set_yticks([1, 2, 5, 10, 30], labels=["1", "2", "5", "10", "30"])
    left.minorticks_off()
    right.plot(tiles, megabytes, color=COLOURS["error"])
    right.set(xlabel="input tile (px)", title="kept for the backward pass", ylabel="MB (float32)", ylim=0)
    for axes in (left, right):
        axes.axvline(chosen, color=COLOURS["label"], lw=1.5, ls="--")
    right.text(chosen + 20, right.get_ylim()[1] * 0.93, "paper's tile", color=COLOURS["label"])
    return figure


def _mirrored_image(axes: mpl.axes.Axes, extended: np.ndarray, border: int, title: str) -> None:
    height, width = (n - 2 * border for n in extended.shape)
    extent = (-border - 0.5, width + border - 0.5, height + border - 0.5, -border - 0.5)
    show_image(axes, extended, title=title, extent=extent, vmin=0, vmax=1)
    veil = np.ones((*extended.shape, 4))
    veil[..., 3] = 0.5
    veil[border:-border, border:-border, 3] = 0
    axes.imshow(veil, extent=extent)
    axes.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, ec="white", lw=1.2))


def _square(axes: mpl.axes.Axes, square: Square, colour: str, *, filled: bool) -> None:
    top, left, side = square
    corner = (left - 0.5, top - 0.5)
    if filled:
        axes.add_patch(Rectangle(corner, side, side, fc=COLOURS[colour], alpha=0.28, lw=0))
    style = {"lw": 2.4} if filled else {"lw": 1.4, "ls": "--"}
    axes.add_patch(Rectangle(corner, side, side, fill=False, ec=COLOURS[colour], **style))


def _name(axes: mpl.axes.Axes, square: Square, text: str, *, below: bool) -> None:
    top, left, side = square
    place = (left + side / 2, top + side - 8 if below else top + 14)
    look = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": "none", "alpha": 0.9}
    align = "bottom" if below else "top"
    axes.text(*place, text, ha="center", va=align, fontsize=11, bbox=look)


def _mark_steps(axes: mpl.axes.Axes, n: int, step: int) -> None:
    cuts = np.arange(step, n, step) - 0.5
    axes.set_xticks(cuts, labels=[""] * len(cuts))
    axes.set_yticks(cuts, labels=[""] * len(cuts))
