"""The figures of the chapter on training: energy, first weights, momentum, tiles, learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from unet_paper.figures.style import COLOURS, WIDTH, coloured, show_image


def plot_energy(margin: np.ndarray, energy: np.ndarray, marks: Mapping[str, tuple[float, float]]) -> mpl.figure.Figure:
    """Draw the energy of one pixel against the margin by which its true class wins.

    Parameters
    ----------
    margin : numpy.ndarray
        (n,) score of the true class minus score of the other one, no unit.
    energy : numpy.ndarray
        (n,) -log p of the true class.
    marks : mapping
        Text -> (margin, energy) of points to point at.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    axes.plot(margin, energy, color=COLOURS["image"])
    for text, point in marks.items():
        axes.plot(*point, "o", color=COLOURS["error"])
        axes.annotate(text, point, xytext=(10, 8), textcoords="offset points")
    axes.set(xlabel="score of the true class − score of the other", ylabel=r"energy of the pixel, $-\log p$", ylim=0)
    return figure


def plot_signals(views: Mapping[str, Mapping[str, np.ndarray]], bottom: int) -> mpl.figure.Figure:
    """Draw how large the numbers are behind every convolution of fresh networks, one panel per way to look at them.

    Parameters
    ----------
    views : mapping
        Title -> rule of initialisation -> (3, n) standard deviation behind each of n convolutions: low, middle, high.
    bottom : int
        Number (from 1) of the last convolution of the contracting path.
    """
    figure, grid = plt.subplots(len(views), 1, figsize=(WIDTH, 2.7 * len(views)), sharex=True, squeeze=False)
    panels = grid[:, 0]
    for axes, (title, rules) in zip(panels, views.items(), strict=True):
        _curves(axes, {_as_math(rule): band[1] for rule, band in rules.items()}, start=1, marker="o", markersize=3)
        for (low, _, high), line in zip(rules.values(), list(axes.lines), strict=True):
            axes.fill_between(line.get_xdata(), low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        axes.axvline(bottom + 0.5, color=COLOURS["quiet"], linewidth=1)
        axes.axhline(1, color=COLOURS["quiet"], linewidth=1, linestyle=":")
        axes.set(title=title, yscale="log", ylabel="standard deviation")
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=3, loc="outside upper right")
    panels[-1].set(xlabel="convolution (left of the line: contracting path)", xticks=[1, 5, 10, 15, 20, 23])
    return figure


def plot_momentum(weights: Mapping[str, np.ndarray]) -> mpl.figure.Figure:
    """Draw how much each past gradient counts in the present step.

    Parameters
    ----------
    weights : mapping
        Text -> (n,) share of the gradient 0, 1, 2, ... steps ago.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    for text, values, colour in coloured(weights):
        axes.plot(values, label=text, color=colour)
        axes.fill_between(np.arange(len(values)), values, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="steps ago", ylabel="share in the present step", ylim=0, xlim=(0, None))
    axes.legend()
    return figure


def plot_running_averages(gradients: np.ndarray, signal: np.ndarray, averages: Mapping[str, np.ndarray]):
    """Draw noisy gradients, what they mean, and running averages of them.

    Parameters
    ----------
    gradients, signal : numpy.ndarray
        (T,) the gradient of each step, and its mean.
    averages : mapping
        Text -> (T,) running average.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    axes.plot(gradients, ".", color=COLOURS["quiet"], markersize=2, label="gradients")
    axes.plot(signal, "--", color=COLOURS["label"], label="what they mean")
    _curves(axes, averages, start=0)
    axes.set(xlabel="step", ylabel="gradient")
    axes.legend(ncols=2)
    return figure


def plot_tile_sizes(sizes: Sequence[int], work: Sequence[float], output: Sequence[float], chosen: int):
    """Draw what an output pixel costs, and how many there are, for tiles of several sizes.

    Parameters
    ----------
    sizes : sequence of int
        Sides of the input tile in px.
    work : sequence of float
        Million multiplications per output pixel.
    output : sequence of float
        Share of the tile's pixels that get an output, in [0, 1].
    chosen : int
        The paper's side in px.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 3.0))
    panels[0].plot(sizes, work, color=COLOURS["image"])
    panels[0].set(yscale="log", ylabel="million multiplications\nper output pixel")
    panels[1].plot(sizes, output, color=COLOURS["result"])
    panels[1].set(ylim=(0, 1), ylabel="share of the tile's pixels\nthat get an output")
    for axes in panels:
        axes.axvline(chosen, color=COLOURS["quiet"], linestyle="--", linewidth=1)
        axes.set(xlabel="side of the tile (px)", xticks=[200, chosen, 1000])
    return figure


def plot_rates(rates: Mapping[str, np.ndarray]) -> mpl.figure.Figure:
    """Draw the learning rate over a run, one panel per configuration.

    Parameters
    ----------
    rates : mapping
        Name -> (steps,) learning rate.
    """
    figure, grid = plt.subplots(1, len(rates), figsize=(WIDTH, 2.6), sharey=True, squeeze=False)
    panels = grid[0]
    for axes, (name, rate, colour) in zip(panels, coloured(rates), strict=True):
        axes.plot(np.arange(1, 1 + len(rate)), rate, color=colour)
        axes.set(title=name, xlabel="step", ylim=0)
    panels[0].set(ylabel="learning rate")
    return figure


def plot_learning(losses: Mapping[str, np.ndarray], constant: float, window: int) -> mpl.figure.Figure:
    """Draw the loss of several runs, and the loss of a map that is grey everywhere.

    Parameters
    ----------
    losses : mapping
        Text -> (steps,) loss, already averaged over `window` steps.
    constant : float
        Lowest loss of a constant map.
    window : int
        For the label of the axis.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 4.0))
    _curves(axes, losses, start=window)
    axes.axhline(constant, color=COLOURS["quiet"], linestyle="--", label="best map without structure")
    axes.set(xlabel="step", ylabel=f"loss, mean of {window} steps")
    figure.legend(ncols=2, loc="outside upper left")  # not within the axes: curves come and go everywhere
    return figure


def plot_maps(image: np.ndarray, maps: Mapping[str, np.ndarray]) -> mpl.figure.Figure:
    """Draw an image and probability maps of it, all maps from black (0) to white (1).

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) in [0, 1].
    maps : mapping
        Title -> (H, W) probability in [0, 1]; three of them.
    """
    figure, panels = plt.subplots(2, 2, figsize=(WIDTH, 6.2))
    show_image(panels[0, 0], image, title="image", vmin=0, vmax=1)
    for axes, (title, values) in zip(panels.flat[1:], maps.items(), strict=True):
        show_image(axes, values, title=title, vmin=0, vmax=1)
    return figure


def _curves(axes: mpl.axes.Axes, curves: Mapping[str, Sequence[float]], *, start: int, **style) -> None:
    """Draw curves over whole numbers from `start`, in the book's order of colours."""
    for text, values, colour in coloured(curves):
        axes.plot(np.arange(start, start + len(values)), values, label=text, color=colour, **style)


def _as_math(rule: str) -> str:
    return rule.replace("sqrt(", r"$\sqrt{").replace(")", "}$") if rule.startswith("sqrt") else rule
