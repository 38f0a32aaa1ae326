"""The chapter on what matters: effects with intervals, maps side by side, curves over thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from unet_paper.experiments.effects import Effect
from unet_paper.figures.style import COLOURS, TEXT_WIDTH, WIDTH, coloured, panels, show_image

_EMPTY = "no run recorded yet"


def plot_effects(effects: Mapping[str, Sequence[Effect]]) -> mpl.figure.Figure:
    """Draw every effect with its interval, one panel for each measure.

    Parameters
    ----------
    effects : mapping of str to sequence of Effect
        What an error is called -> effects; all panels have the order of the first. A hollow mark stands for a single
        pair of runs.
    """
    order = [effect.change for effect in next(iter(effects.values()))]
    size = (TEXT_WIDTH, 1.3 + 0.27 * max(len(order), 2))
    figure, axes = plt.subplots(1, len(effects), figsize=size, sharey=True, squeeze=False)
    for panel, (measure, of) in zip(axes[0], effects.items(), strict=True):
        panel.set_xscale("symlog", linthresh=_linear(of))  # one change that breaks everything must not hide the others
        panel.axvline(0, color=COLOURS["quiet"], linewidth=1)
        for effect in of:
            place = len(order) - 1 - order.index(effect.change)
            colour = COLOURS["error" if effect.is_harm else "result" if effect.is_gain else "image"]
            panel.plot([effect.low, effect.high], [place, place], color=colour)
            fill = "white" if effect.seeds == 1 else colour
            panel.plot(effect.difference, place, "o", color=colour, markerfacecolor=fill)
        panel.set(xlabel=f"change of {measure}\n(above 0: does harm)", ylim=(-0.7, max(len(order), 1) - 0.3))
        panel.set_xticks(_linear(of) * np.array([-1, 0, 1, 10]), minor=False)
        panel.xaxis.set_major_formatter("{x:g}")
        _say_if_empty(panel, of)
    axes[0, 0].set_yticks(range(len(order)), order[::-1])
    return figure


def _linear(effects: Sequence[Effect]) -> float:
    """Return the power of ten up to which an axis of effects is linear: half of the intervals lie within."""
    reach = [max(abs(effect.low), abs(effect.high)) for effect in effects]
    return 10 ** np.ceil(np.log10(max(np.median(reach), 1e-4))) if effects else 1.0


def plot_few_sections(errors: Mapping[str, Mapping[int, Sequence[float]]], *, measure: str) -> mpl.figure.Figure:
    """Draw the error of several ways to augment against the number of sections that were learned from.

    Parameters
    ----------
    errors : mapping of str to mapping
        Name -> number of sections -> one mean error for each seed.
    measure : str
        What the error is called.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.6))
    drawn = coloured({name: of for name, of in errors.items() if of})
    for place, (name, of, colour) in enumerate(drawn):
        for number, values in of.items():
            axes.plot([number * 1.03**place] * len(values), values, "o", color=colour, markersize=3, alpha=0.6)
        numbers = sorted(of)
        means = [float(np.mean(of[number])) for number in numbers]
        axes.plot([number * 1.03**place for number in numbers], means, "o-", color=colour, label=name)
    axes.set(xscale="log", xlabel="annotated sections to learn from", ylabel=measure, xlim=(0.8, 32))
    axes.set_xticks([1, 5, 24], ["1", "5", "24"])
    axes.set_xticks([], minor=True)
    if drawn:
        axes.legend(fontsize=9)
    _say_if_empty(axes, drawn)
    return figure


def plot_maps(maps: Mapping[str, np.ndarray], *, columns: int = 4) -> mpl.figure.Figure:
    """Draw a grid of probability maps of one and the same piece of a section.

    Parameters
    ----------
    maps : mapping of str to numpy.ndarray
        Name of a change -> (h, w) float in [0, 1].
    columns : int
        In a row.
    """
    figure, axes = panels(max(len(maps), 1), columns, width=TEXT_WIDTH, row_height=2.0)
    for panel, (name, cell) in zip(axes, maps.items(), strict=False):
        show_image(panel, cell, vmin=0, vmax=1)
        panel.set_title(name.replace(", ", ",\n"), fontsize=9)
    if not maps:
        axes[0].axis("off")
    _say_if_empty(axes[0], maps)
    return figure


def plot_mistake_curves(
    curves: Mapping[str, Mapping[str, np.ndarray]], *, across: Mapping[str, str]
) -> mpl.figure.Figure:
    """Draw mergers against the opposite mistake, one point for each threshold.

    Parameters
    ----------
    curves : mapping of str to mapping
        Title of a panel -> name of a change -> (2, thresholds) mergers and the opposite mistake, means over seeds.
    across : mapping of str to str
        Title of a panel, in their order -> what the opposite mistake is called there. A panel without curves says so.
    """
    figure, axes = plt.subplots(1, len(across), figsize=(TEXT_WIDTH, 3.8), squeeze=False)
    for panel, (title, opposite) in zip(axes[0], across.items(), strict=True):
        of = curves.get(title, {})
        for name, points, colour in coloured(of):
            panel.plot(points[1], points[0], "o-", color=colour, markersize=3, label=name)
        panel.set(xlabel=opposite, ylabel="mergers", title=title)
        if of:
            panel.set_xscale("symlog", linthresh=10)  # counts from 0 to thousands
            panel.set_yscale("symlog", linthresh=10)
            panel.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.25))
        _say_if_empty(panel, of)
    return figure


def plot_averages(errors: Mapping[str, Sequence[float]], *, measure: str) -> mpl.figure.Figure:
    """Draw the error of each way to average, one dot for each network.

    Parameters
    ----------
    errors : mapping of str to sequence of float
        Way to average -> one error for each network, in the same order.
    measure : str
        What the error is called.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    networks = np.array(list(errors.values())).T if errors else np.zeros((0, 0))  # (networks, ways)
    for network in networks:
        axes.plot(network, "o-", color=COLOURS["quiet"], linewidth=1, markersize=4)
    if len(networks):
        axes.plot(networks.mean(axis=0), "o-", color=COLOURS["image"], label=f"mean of {len(networks)}")
        axes.legend()
    axes.set_xticks(range(len(errors)), ["image alone" if way == "block" else way for way in errors], fontsize=9)
    axes.set(ylabel=measure)
    _say_if_empty(axes, networks)
    return figure


def plot_signals(parts: Mapping[str, Mapping[str, np.ndarray]], bottom: int) -> mpl.figure.Figure:
    """Draw how large single maps are before and after training.

    Parameters
    ----------
    parts : mapping of str to mapping
        ``"before training"`` and the like -> rule -> (23, 3): 10th, 50th and 90th percentile over the maps of a layer.
    bottom : int
        How many convolutions the contracting path has.
    """
    figure, axes = plt.subplots(1, max(len(parts), 1), figsize=(TEXT_WIDTH, 3.0), sharey=True, squeeze=False)
    for panel, (part, rules) in zip(axes[0], parts.items(), strict=False):
        for rule, of, colour in coloured(rules):
            places = np.arange(1, len(of) + 1)
            panel.plot(places, of[:, 1], color=colour, label=rule)
            panel.fill_between(places, of[:, 0], of[:, 2], color=colour, alpha=0.2, linewidth=0)
        panel.axvline(bottom + 0.5, color=COLOURS["quiet"], linewidth=1, linestyle=":")
        panel.axhline(1, color=COLOURS["quiet"], linewidth=1)
        panel.set(yscale="log", xlabel="convolution", title=part)
        _say_if_empty(panel, rules)
    axes[0][0].set_ylabel("standard deviation\nof a map")
    if any(parts.values()):
        axes[0][0].legend(fontsize=9)
    return figure


def plot_tiles(images: Sequence[np.ndarray], names: Sequence[str]) -> mpl.figure.Figure:
    """Draw training tiles (h, w) in [0, 1] side by side."""
    figure, axes = panels(len(images), 4, width=TEXT_WIDTH, row_height=2.0)
    for panel, image, name in zip(axes, images, names, strict=True):
        show_image(panel, image, title=name, vmin=0, vmax=1)
    return figure


def _say_if_empty(axes: mpl.axes.Axes, drawn) -> None:
    if not len(drawn):
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, _EMPTY, transform=axes.transAxes, ha="center", va="center", color=COLOURS["ink"])
