"""The figures of the chapter on GPU training: stages of a step, memory, work per pixel, runs against wall time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from unet_paper.figures.style import COLOURS, ORDER, WIDTH, coloured

STAGE_COLOURS = {"tile": "label", "forward": "light", "loss": "error", "backward": "image", "optimiser": "other"}


def plot_stages(stages: Mapping[str, Mapping[str, float]], floors: Mapping[str, float]) -> mpl.figure.Figure:
    """Draw how the time of training steps is shared between their stages, one bar per step.

    Parameters
    ----------
    stages : mapping
        Text -> stage -> seconds.
    floors : mapping
        Text -> seconds that the operations need at least.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 1.5 + 0.62 * len(stages)))
    end = max([100, *(101 * floors[text] / sum(seconds.values()) for text, seconds in stages.items())])
    for row, (text, seconds) in enumerate(stages.items()):
        whole = sum(seconds.values())
        _stacked_bar(axes, row, {stage: 100 * value / whole for stage, value in seconds.items()})
        axes.plot([100 * floors[text] / whole] * 2, [row - 0.4, row + 0.4], color=COLOURS["ink"], label="floor")
        axes.text(end + 1, row, _duration(whole), va="center")
    axes.set(xlim=(0, end), xlabel="share of the step (%)", yticks=range(len(stages)), yticklabels=stages)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # each name once
    figure.legend(handles.values(), handles, ncols=3, loc="outside upper center")
    return figure


def plot_memory(
    sizes: Sequence[int],
    counted: Mapping[str, Sequence[float]],
    measured: Mapping[str, tuple[Sequence[int], Sequence[float]]],
    *,
    limit: float,
    chosen: int,
) -> mpl.figure.Figure:
    """Draw the memory of a training step against the side of its tile.

    Parameters
    ----------
    sizes : sequence of int
        Sides in px.
    counted : mapping
        Precision -> GB at each of `sizes`.
    measured : mapping
        Precision -> (sides in px, GB), drawn as points.
    limit : float
        Memory of the paper's GPU in GB.
    chosen : int
        The paper's side in px.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    for precision, gigabytes, colour in coloured(counted):
        axes.plot(sizes, gigabytes, color=colour, label=f"{precision}, counted")
        if precision in measured:
            axes.plot(*measured[precision], "o", color=colour, label=f"{precision}, measured peak")
    axes.axhline(limit, color=COLOURS["ink"], linewidth=1)
    axes.text(sizes[0], limit, f"{limit:g} GB", va="bottom")
    axes.axvline(chosen, color=COLOURS["quiet"], linestyle="--", linewidth=1)
    axes.set(xlabel="side of the tile (px)", ylabel="memory (GB)", xticks=[200, chosen, 1000, 1500])
    axes.set_ylim(0, 1.3 * limit)
    figure.legend(ncols=2, loc="outside upper center")
    return figure


def plot_pixel_cost(
    sizes: Sequence[int],
    counted: Sequence[float],
    points: Mapping[str, tuple[Sequence[int], Sequence[float]]],
    *,
    chosen: int,
) -> mpl.figure.Figure:
    """Draw what one output pixel costs in tiles of several sizes, relative to the paper's tile.

    Parameters
    ----------
    sizes : sequence of int
        Sides of the tile in px.
    counted : sequence of float
        Operations per output pixel.
    points : mapping
        Text -> (sides in px, seconds per output pixel), all relative to the paper's tile.
    chosen : int
        The paper's side in px.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    axes.plot(sizes, counted, color=COLOURS["quiet"], label="operations, counted")
    for text, (sides, cost), colour in coloured(points):
        axes.plot(sides, cost, "o-", color=colour, label=f"seconds, {text}")
    axes.axhline(1, color=COLOURS["quiet"], linewidth=1, linestyle=":")
    axes.set(yscale="log", xlabel="side of the tile (px)", ylabel=f"cost of an output pixel\n({chosen} px: 1)")
    axes.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    axes.set_yticks([], minor=True)
    axes.set_xticks(next(iter(points.values()))[0])
    axes.legend()
    return figure


def plot_precision(losses: Mapping[str, np.ndarray], window: int) -> mpl.figure.Figure:
    """Draw the loss of the same run in several precisions.

    Parameters
    ----------
    losses : mapping
        Precision -> loss per step, averaged over `window` steps.
    window : int
        For the label of the axis.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    for (precision, loss, colour), style in zip(coloured(losses), ("-", "--", ":", "-.", "-"), strict=False):
        axes.plot(np.arange(window, window + len(loss)), loss, style, color=colour, label=precision)
    axes.set(xlabel="step", ylabel=f"loss, mean of {window} steps")
    axes.legend()
    return figure


def plot_wall_time(
    runs: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, hours: float, goal: float
) -> mpl.figure.Figure:
    """Draw the held-out error of training runs against the time since they began, on a logarithmic scale.

    Parameters
    ----------
    runs : mapping
        Text -> (hours since the beginning, share of held-out pixels that are wrong); 25 at most.
    hours : float
        How long the paper trained, in h.
    goal : float
        The paper's pixel error, for orientation: another measure, on other sections.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.6))
    for number, (text, (elapsed, error)) in enumerate(runs.items()):
        marker, colour = "osD^v"[number // len(ORDER)], COLOURS[ORDER[number % len(ORDER)]]
        axes.plot(elapsed, error, f"{marker}-", markersize=4, color=colour, label=text)
    axes.axvline(hours, color=COLOURS["ink"], linewidth=1)
    axes.text(hours, 0.98, f"the paper: {hours:g} h ", ha="right", va="top", transform=axes.get_xaxis_transform())
    axes.axhline(goal, color=COLOURS["quiet"], linewidth=1, linestyle=":")
    axes.text(1 / 3600, goal, f"Table 1: {goal:g}", va="bottom", color=COLOURS["quiet"])
    ticks = {1 / 3600: "1 s", 10 / 3600: "10 s", 1 / 60: "1 min", 1 / 6: "10 min", 1: "1 h", hours: f"{hours:g} h"}
    axes.set(xscale="log", xlim=(0.8 / 3600, 16), ylim=0)
    axes.set(xlabel="time since the beginning", ylabel="wrong pixels, held out")
    axes.set_xticks(list(ticks), list(ticks.values()), minor=False)
    axes.set_xticks([], minor=True)
    figure.legend(loc="outside upper center", ncols=1)
    return figure


def _stacked_bar(axes: mpl.axes.Axes, row: int, shares: Mapping[str, float]) -> None:
    """Draw one bar; parts of 8 % or more carry their share."""
    left = 0.0
    for stage, share in shares.items():
        axes.barh(row, share, left=left, height=0.6, color=COLOURS[STAGE_COLOURS[stage]], label=stage)
        if share >= 8:
            axes.text(left + share / 2, row, f"{share:.0f}", ha="center", va="center", color="white")
        left += share


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
