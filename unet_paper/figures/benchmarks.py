"""The figure of the benchmarks: how many times as fast, and where the goals lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from unet_paper.figures.style import COLOURS

FILL = {True: COLOURS["image"], False: COLOURS["error"], None: COLOURS["quiet"]}  # goal met, missed, none set


def plot_ratios(rows: Sequence[Mapping]) -> mpl.figure.Figure:
    """Draw how many times as long the other way takes, on a logarithmic axis, with the goals as black marks.

    Parameters
    ----------
    rows : sequence of mapping
        Each with ``what``, ``other``, ``ratio`` > 0 and ``goal_ratio``, which may be None.
    """
    figure, axes = plt.subplots(figsize=(5.4, 0.5 + 0.85 * len(rows)))
    for place, row in enumerate(rows):
        _draw_row(axes, place, row["ratio"], row["goal_ratio"])
        axes.annotate(f"{row['what']}\n", (1, place - 0.2), va="bottom", fontsize=11)
        against = f"against {row['other']}"
        axes.annotate(against, (1, place - 0.24), va="bottom", fontsize=11, alpha=0.7)
    ratios = [row["ratio"] for row in rows]
    axes.set(xscale="log", xlim=(min(1, *ratios), 4 * max(10, *ratios)), ylim=(len(rows) - 0.7, -0.85), yticks=[])
    axes.set_xlabel("times as fast", fontsize=12)
    axes.tick_params(axis="x", labelsize=12)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines["left"].set_visible(False)
    return figure


def _draw_row(axes: mpl.axes.Axes, place: int, ratio: float, goal: float | None) -> None:
    """Draw a bar from 1, "as fast", with its number, and the goal as a mark across it."""
    axes.barh(place, ratio - 1, left=1, height=0.3, color=FILL[None if goal is None else ratio >= goal])
    text = f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"
    axes.annotate(text, (max(ratio, goal or 1), place), (6, 0), textcoords="offset points", va="center", fontsize=12)
    if goal is not None:
        axes.plot([goal, goal], [place - 0.22, place + 0.22], color=COLOURS["ink"], linewidth=2.5)
