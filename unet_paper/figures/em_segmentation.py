"""The live run of the EM chapter: its course, its maps, its mistakes, its scores over thresholds."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from unet_paper.figures.style import COLOURS, TEXT_WIDTH, coloured, paint_cells, show_image
from unet_paper.metrics.warping import MERGE, SPLIT
from unet_paper.training import History


def plot_course(history: History, *, threshold_error: float, held_out: str = "held-out sections") -> mpl.figure.Figure:
    """Draw the loss of every step and the error on held-out images.

    Parameters
    ----------
    history : History
        Of a run with validation.
    threshold_error : float
        Fraction of differing pixels of a plain grey threshold, drawn as the line to beat.
    held_out : str
        What the title calls these images.
    """
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(TEXT_WIDTH, 4.4), sharex=True)
    upper.plot(np.arange(1, len(history.loss) + 1), history.loss, color=COLOURS["quiet"], linewidth=0.8)
    highest = 1.5 * np.percentile(history.loss, 99)  # a few tiles may lie above: one peak would flatten all others
    upper.set(ylabel="loss, Eq. 1", ylim=(0, highest), title="What the optimiser sees")
    steps = [entry.step for entry in history.validation]
    lower.plot(steps, [entry.pixel_error for entry in history.validation], "o-", color=COLOURS["result"])
    lower.axhline(threshold_error, color=COLOURS["label"], linestyle="--")
    lower.annotate("best grey threshold", (steps[-1], threshold_error), ha="right", va="bottom")
    lower.set(xlabel="training step", ylabel="differing pixels\n(fraction)", title=f"What counts: {held_out}")
    return figure


def plot_maps(image: np.ndarray, probability: np.ndarray, errors: np.ndarray) -> mpl.figure.Figure:
    """Draw a section, its probability map, and its splits and mergers.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) float in [0, 1].
    probability : numpy.ndarray
        (H, W) float in [0, 1], class cell.
    errors : numpy.ndarray
        (H, W) codes of `unet_paper.metrics.warping.ERRORS`.
    """
    figure, axes = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 2.9))
    show_image(axes[0], image, title="Section", vmin=0, vmax=1)
    show_image(axes[1], probability, title="Probability of cell", vmin=0, vmax=1)
    show_image(axes[2], _with_errors(image, errors), title="Mergers and splits")
    marks = [Patch(color=COLOURS[colour], label=name) for colour, name in (("error", "merger"), ("label", "split"))]
    axes[2].legend(handles=marks, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2)
    return figure


def plot_thresholds(curves: dict[str, np.ndarray], thresholds: np.ndarray) -> mpl.figure.Figure:
    """Draw the three errors of Table 1 against the threshold.

    Parameters
    ----------
    curves : dict of str to numpy.ndarray
        Of `EMScores`: ``"warping_error"``, ``"rand_error"``, ``"pixel_error"``, each over its first thresholds.
    thresholds : numpy.ndarray
        (11,) in [0, 1].
    """
    figure, axes = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 2.5))
    for panel, name, colour in zip(axes, ("warping", "rand", "pixel"), ("error", "image", "result"), strict=True):
        curve = curves[f"{name}_error"]
        panel.plot(thresholds[: len(curve)], curve, "o-", color=COLOURS[colour], markersize=4)
        panel.set(xlabel="threshold", title=f"{name.capitalize()} error", ylim=(0, None))
    return figure


def plot_losses(courses: dict[str, dict[str, tuple[list[int], list[float]]]]) -> mpl.figure.Figure:
    """Draw the loss of recorded runs, one panel for each block that they held out.

    Parameters
    ----------
    courses : dict of str to dict
        Title of a panel -> name of a run -> steps, and the loss averaged up to each.
    """
    figure, axes = plt.subplots(1, len(courses), figsize=(TEXT_WIDTH, 2.8), sharey=True, squeeze=False)
    for panel, (title, runs) in zip(axes[0], courses.items(), strict=True):
        for name, (steps, loss), colour in coloured(runs):
            panel.plot(steps, loss, color=colour, linewidth=1, label=name)
        panel.set(xlabel="training step", title=title, yscale="log")
    axes[0, 0].set(ylabel="loss, Eq. 1")
    axes[0, 0].set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
    axes[0, 0].set_yticks([], minor=True)
    axes[0, -1].legend()
    return figure


def plot_thickness(
    rand_errors: dict[str, list[float]], reaches: list[int], thinned: dict[str, float], v_rand: dict[str, float]
) -> mpl.figure.Figure:
    """Draw the Rand error against how far cells have grown into the membrane around them, and 1 - V_Rand beside it.

    Parameters
    ----------
    rand_errors : dict of str to list of float
        Name of a result -> Rand error at each reach; up to five.
    reaches : list of int
        px by which cells have grown.
    thinned : dict of str to float
        The same names -> Rand error once all cells have met, drawn as a dashed line.
    v_rand : dict of str to float
        The same names -> V_Rand at the same threshold; 1 - V_Rand is an open mark at the right.
    """
    figure, axes = plt.subplots(figsize=(6.5, 4.0))
    beside = reaches[-1] + 1.5
    for (name, errors, colour), marker in zip(coloured(rand_errors), "os^Dv", strict=False):
        look = {"color": colour, "marker": marker}
        axes.plot(reaches, errors, markersize=4, label=name, **look)
        axes.axhline(thinned[name], color=colour, linestyle="--", linewidth=1)
        axes.plot(beside, 1 - v_rand[name], markersize=7, fillstyle="none", linestyle="none", **look)
    axes.plot([], [], color=COLOURS["quiet"], linestyle="--", linewidth=1, label="once all cells have met")
    axes.set(xlabel="growth of every cell (px)", ylabel="Rand error", ylim=(0, None))
    axes.set_xticks([*reaches, beside], [*map(str, reaches), r"$1 - V_\mathrm{Rand}$"])
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def plot_sections(
    warping: dict[int, float],
    rand: dict[int, float],
    *,
    rings: dict[int, int],
    paper: tuple[float, float],
    beside: dict[str, tuple[dict[int, float], dict[int, float]]],
) -> mpl.figure.Figure:
    """Draw two errors of every held-out section, and where annotators outlined organelles.

    Parameters
    ----------
    warping, rand : dict of int to float
        Section -> error.
    rings : dict of int to int
        Section -> outlined organelles, at least for the same sections.
    paper : tuple of float
        The paper's warping and Rand error, drawn as dashed lines.
    beside : dict of str to tuple of dict
        Name of another network -> warping and Rand error of those of these sections that it has; crosses.
    """
    figure, axes = plt.subplots(2, 1, figsize=(TEXT_WIDTH, 4.6), sharex=True)
    for n, panel in enumerate(axes):
        name, errors, line = ("Warping", "Rand")[n], (warping, rand)[n], paper[n]
        ringed = [section for section in errors if rings[section]]
        plain = [section for section in errors if not rings[section]]
        panel.plot(plain, [errors[n] for n in plain], "o", color=COLOURS["image"], label="no organelle outlined")
        panel.plot(ringed, [errors[n] for n in ringed], "D", color=COLOURS["error"], label="organelles outlined")
        for other, found in beside.items():
            panel.plot(found[n].keys(), found[n].values(), "x", color=COLOURS["ink"], label=other)
        panel.axhline(line, color=COLOURS["quiet"], linestyle="--", label="the paper, secret test")
        for block in range(0, 31, 6):
            panel.axvline(block - 0.5, color=COLOURS["quiet"], linewidth=0.5)
        panel.set(ylabel=f"{name} error", ylim=(0, None))
    axes[0].legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1), fontsize=9)
    axes[1].set(xlabel="section of the stack (lines: blocks held out together)", xlim=(-0.5, 29.5))
    return figure


def plot_largest_mergers(mergers: dict[str, tuple[np.ndarray, ...]]) -> mpl.figure.Figure:
    """Draw the surroundings of mergers, a row each: the section, the annotated cells in it, the map that joins them.

    Parameters
    ----------
    mergers : dict of str to tuple of numpy.ndarray
        Title of a row -> the section, (H, W) float in [0, 1]; its annotated cells, (H, W) int by number, 0 membrane;
        its map, (H, W) float in [0, 1]; and the object of the result that joins several cells, (H, W) bool.
    """
    figure, axes = plt.subplots(len(mergers), 3, figsize=(TEXT_WIDTH, 2.5 * len(mergers)), squeeze=False)
    for row, (title, merger) in zip(axes, mergers.items(), strict=True):
        _draw_merger(row, title, *merger)
    axes[0, 1].set_title("Annotated cells, joined")
    axes[0, 2].set_title("Probability of cell")
    return figure


def _draw_merger(axes, title: str, image: np.ndarray, labels: np.ndarray, probability: np.ndarray, merged: np.ndarray):
    """Draw one row of `plot_largest_mergers`: a square around the object."""
    window = _square_around(merged)
    inside = np.where(merged, labels, 0)[window]
    _, numbers = np.unique(inside, return_inverse=True)  # neighbours in number get different colours
    show_image(axes[0], image[window], title=title, vmin=0, vmax=1)
    show_image(axes[1], image[window], vmin=0, vmax=1)
    paint_cells(axes[1], numbers.reshape(inside.shape), alpha=0.55)
    show_image(axes[2], probability[window], vmin=0, vmax=1)
    axes[2].contour(merged[window], levels=[0.5], colors=COLOURS["error"], linewidths=1.2)


def _square_around(merged: np.ndarray) -> tuple[slice, slice]:
    """(H, W) bool -> rows and columns of a square that leaves 12 px around an object, as far as the image has them."""
    ends = [np.flatnonzero(merged.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    side = min(max(last - first for first, last in ends) + 25, *merged.shape)
    starts = [
        int(np.clip((first + last + 1 - side) // 2, 0, size - side))
        for (first, last), size in zip(ends, merged.shape, strict=True)
    ]
    return tuple(slice(start, start + side) for start in starts)


def _with_errors(image: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """(H, W), (H, W) -> (H, W, 3): the image pale, mistakes thickened by one pixel so that they show."""
    picture = np.repeat(0.5 + 0.5 * image[..., None], 3, axis=2)
    for code, colour in ((SPLIT, "label"), (MERGE, "error")):
        for y, x in np.argwhere(errors == code):
            picture[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = to_rgb(COLOURS[colour])
    return picture
