"""The comparison with other methods: how each looks at a pixel, their maps side by side, errors against distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import MaxNLocator

from unet_paper.figures.style import COLOURS, TEXT_WIDTH, coloured, panels, show_image

Curve = tuple[Sequence[float], Sequence[float]]  # where, and what
NO_CURVE: Curve = ((), ())
_LEVELS = 5  # of a contracting path


def plot_methods() -> mpl.figure.Figure:
    """Draw each method as boxes, as high as their maps are fine: what is computed, and what reaches the result."""
    figure, axes = panels(6, 3, width=TEXT_WIDTH, row_height=2.2)
    drawings = {
        "Sliding window": _draw_windows,
        "Fully convolutional, 8s": _draw_fcn,
        "Hypercolumns": _draw_columns,
        "Cascade": _draw_cascade,
        "U-Net": _draw_unet,
        "Padded U-Net": lambda axes: _draw_unet(axes, padded=True),
    }
    for axes_of, (title, draw) in zip(axes, drawings.items(), strict=True):
        draw(axes_of)
        axes_of.set(title=title, xlim=(-0.5, 10.5), ylim=(-3, 3))
        axes_of.axis("off")
    return figure


def _box(axes, x: float, height: float, colour: str, *, y: float = 0, width: float = 0.5) -> tuple[float, float]:
    axes.add_patch(Rectangle((x, y - height / 2), width, height, color=COLOURS[colour]))
    return x, y


def _arrow(axes, start: tuple[float, float], end: tuple[float, float], colour: str, *, bend: float = 0.0) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 8, "color": COLOURS[colour], "linewidth": 1.1}
    axes.add_patch(FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={bend}", **style))


def _path(axes, levels: int = _LEVELS, *, step: float = 1.0) -> list[tuple[float, float]]:
    """Draw a contracting path; returns the right edge of each level."""
    return [(_box(axes, step * level, 4.4 / 2**level, "image")[0] + 0.5, 0.0) for level in range(levels)]


def _draw_windows(axes) -> None:
    for n in range(3):
        axes.add_patch(Rectangle((0.3 * n, -2 + 0.3 * n), 3, 3, fill=False, edgecolor=COLOURS["label"], linewidth=1.2))
    for level, height in enumerate((2.2, 1.2, 0.6)):
        _box(axes, 4.4 + level, height, "image")
    _box(axes, 7.6, 1.6, "quiet", width=0.3)  # fully connected
    _arrow(axes, (3.7, 0), (4.3, 0), "ink")
    _arrow(axes, (8.0, 0), (9.2, 0), "ink")
    _box(axes, 9.4, 0.3, "result", width=0.3)
    axes.text(9.55, -0.7, "1 pixel", ha="center", fontsize=9)


def _draw_fcn(axes) -> None:
    ends = _path(axes)
    for number, level in enumerate((4, 3, 2)):
        x = 5.6 + 1.2 * number
        _box(axes, x, 4.4 / 2**level, "label", width=0.2)
        _arrow(axes, ends[level], (x, 0), "quiet", bend=-0.5 if number else 0)
    _arrow(axes, (8.3, 0), (9.3, 0), "ink")
    _box(axes, 9.4, 4.4, "result", width=0.2)


def _draw_columns(axes) -> None:
    for level, end in enumerate(_path(axes)):
        _box(axes, 6.3 + 0.35 * level, 4.4, "light", width=0.25)
        _arrow(axes, (end[0] - 0.25, 2.2 / 2**level), (6.3 + 0.35 * level, 2.3), "quiet", bend=-0.3)
    _arrow(axes, (8.1, 0), (9.3, 0), "ink")
    _box(axes, 9.4, 4.4, "result", width=0.2)


def _draw_cascade(axes) -> None:
    for level in range(4):
        height, x = 3.2 / 2**level, 1.3 * level
        _box(axes, x, height, "image", y=0)
        if level:
            _arrow(axes, (x - 0.8, 0), (x, 0), "quiet")
            _arrow(axes, (10 - 1.3 * level, 0), (10.5 - 1.3 * level, 0), "quiet")
        _box(axes, 9.4 - 1.3 * level, height, "result" if level == 0 else "light", y=0)
        _arrow(axes, (x + 0.25, height / 2), (9.6 - 1.3 * level, height / 2), "quiet", bend=-0.3)


def _draw_unet(axes, *, padded: bool = False) -> None:
    for level in range(_LEVELS):
        shrink = 1 if padded else 1 - 0.05 * (2 * _LEVELS - level)
        down, up = 4.4 / 2**level, 4.4 / 2**level * shrink
        _box(axes, level, down, "image")
        if level < _LEVELS - 1:
            _box(axes, 9 - level, up, "result" if level == 0 else "image", width=0.5)
            _arrow(axes, (level + 0.5, up / 2.2), (9 - level, up / 2.2), "light", bend=-0.08)


def plot_maps(
    maps: Mapping[str, np.ndarray], *, section: np.ndarray | None = None, labels: np.ndarray | None = None
) -> mpl.figure.Figure:
    """Draw the same piece of a section as each method sees it.

    Parameters
    ----------
    maps : mapping of str to numpy.ndarray
        (H, W) probability of cell by title.
    section, labels : numpy.ndarray, optional
        The piece itself, (H, W) in [0, 1], and its annotation; None where the data is not on the machine.
    """
    shown = {"section": section, "annotation": None if labels is None else labels > 0}
    every = {title: content for title, content in shown.items() if content is not None} | dict(maps)
    columns = 2 if len(every) in (2, 4) else 3
    figure, axes = panels(max(len(every), 1), columns, width=TEXT_WIDTH, row_height=7.5 / columns)
    for panel, (title, content) in zip(axes, every.items(), strict=False):
        show_image(panel, content, vmin=0, vmax=1)
        panel.set_title(brief(title), fontsize=9.5)
    if not every:
        axes[0].text(0.5, 0.5, "no run recorded", ha="center")
        axes[0].axis("off")
    return figure


def brief(title: str) -> str:
    """Return a rival's title without the rival that a U-Net is as large as."""
    return title.split(", as large")[0]


def plot_scores(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> mpl.figure.Figure:
    """Draw three errors of every method, one dot for each run; U-Nets in another colour.

    Parameters
    ----------
    scores : mapping
        Title -> measure (``"warping_error"``, ``"rand_error"``, ``"pixel_error"``) -> one value per run.
    """
    figure, axes = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 0.9 + 0.32 * max(len(scores), 2)), sharey=True)
    for panel, measure in zip(axes, ("warping_error", "rand_error", "pixel_error"), strict=True):
        for row, (title, values) in enumerate(scores.items()):
            colour = COLOURS["result" if title.startswith("U-Net") else "image"]
            panel.plot(values[measure], [row] * len(values[measure]), "o", color=colour, markersize=5, alpha=0.6)
        largest = max((value for values in scores.values() for value in values[measure]), default=1)
        panel.set(title=measure.replace("_", " ").capitalize(), xlim=(0, 1.1 * largest))
        panel.xaxis.set_major_locator(MaxNLocator(2))
        panel.grid(axis="y", color=COLOURS["quiet"], alpha=0.3)
    axes[1].set_xlabel("error (0 is best)")
    axes[0].set_yticks(range(len(scores)), scores, fontsize=9)
    axes[0].set_ylim(max(len(scores), 1) - 0.5, -0.5)
    return figure


def plot_distance(groups: Mapping[str, Mapping[str, Mapping[str, Curve]]], *, beside: str) -> mpl.figure.Figure:
    """Draw the share of wrong pixels against the distance from the nearest border between cell and membrane.

    Parameters
    ----------
    groups : mapping
        Title of a row -> title of a method -> title of a column -> distances in px, the last standing for all beyond,
        and the share of wrong pixels at each. A method may lack a column.
    beside : str
        Title of the method that is drawn in every row, dotted, if it is there.
    """
    columns = list(dict.fromkeys(column for found in groups.values() for each in found.values() for column in each))
    common = next((found[beside] for found in groups.values() if beside in found), {})
    shape = {"figsize": (TEXT_WIDTH, 2.5 * len(groups)), "sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(len(groups), max(len(columns), 1), **shape)
    for row, (group, found) in zip(axes, groups.items(), strict=True):
        for panel, column in zip(row, columns, strict=False):
            panel.plot(*common.get(column, NO_CURVE), color=COLOURS["ink"], linestyle=":", label=brief(beside))
            for title, each, colour in coloured({title: each for title, each in found.items() if title != beside}):
                panel.plot(*each.get(column, NO_CURVE), color=colour, linewidth=1.4, label=brief(title))
            panel.set_title(f"{group}, {column}")
        row[0].set_ylabel("wrong pixels")
        if columns:
            row[-1].legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    axes[0, 0].set(yscale="log", xticks=(1, 5, 10, 15, 20))
    axes[0, 0].set_yticks([0.003, 0.01, 0.03, 0.1, 0.3], ["0.003", "0.01", "0.03", "0.1", "0.3"])
    axes[0, 0].set_yticks([], minor=True)
    figure.supxlabel("distance to the nearest border (px)", fontsize=11)
    return figure


def plot_gains(groups: Mapping[str, Mapping[str, Curve]]) -> mpl.figure.Figure:
    """Draw how many pixels of the sections 12-17 are wrong while methods are trained; a dot where it is the fewest.

    Parameters
    ----------
    groups : mapping
        Title of a panel -> title of a method -> minutes of training, and the share of wrong pixels seen after each, in
        [0, 1].
    """
    shape = {"figsize": (TEXT_WIDTH, 2.3 * len(groups)), "sharex": True, "sharey": True, "squeeze": False}
    figure, grid = plt.subplots(len(groups), 1, **shape)
    for panel, (title, curves) in zip(grid.flat, groups.items(), strict=True):
        for name, (minutes, error), colour in coloured(curves):
            best = int(np.argmin(error))
            panel.plot(minutes, error, color=colour, linewidth=1.2, label=brief(name))
            panel.plot(minutes[best], error[best], "o", color=colour, markersize=6)
        panel.set(title=title, ylabel="wrong pixels")
        if curves:
            panel.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    grid[-1, 0].set(xlabel="processor time of the training (min)", xlim=(0, None))
    return figure


def plot_cost(costs: Mapping[str, tuple[float, float]]) -> mpl.figure.Figure:
    """Draw operations and parameters of every method, both on logarithmic axes.

    Parameters
    ----------
    costs : mapping of str to pair
        Title -> parameters, and floating point operations to segment one section.
    """
    figure, axes = plt.subplots(figsize=(TEXT_WIDTH, 3.8))
    beside = {"textcoords": "offset points", "fontsize": 9}
    for number, (title, (parameters, operations)) in enumerate(costs.items()):
        colour = COLOURS["result" if title.startswith("U-Net") else "image"]
        axes.plot(parameters, operations / 1e9, "o", color=colour)
        axes.annotate(title, (parameters, operations / 1e9), xytext=(5, (3, -11)[number % 2]), **beside)
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="operations for one section (GFLOP)")
    axes.margins(x=0.25)
    return figure
