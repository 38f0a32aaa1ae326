"""Fig. 1 drawn from a traced network, and the figures around it. Every number on the page comes from the rows given.

The U is drawn with straight lines only: the contracting path runs down on the left, the bottom level lies across,
the expansive path runs up on the right, and each skip connection is a horizontal arrow. A bar is a stack of feature
maps seen from the side: its length stands for their side in px, its thickness for their number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle

from unet_paper.analysis import tracing
from unet_paper.analysis.tracing import Layer
from unet_paper.figures.style import COLOURS, show_image

WIDTH = 5.9  # inches: readable at full size and scaled to a phone
LEFT, MIDDLE, RIGHT = 1.78, 2.95, 4.12  # where the bars of either path are centred
LONGEST, THICKEST = 1.66, 0.30  # inches, of the largest map and the largest stack
PITCH = 0.50  # inches from bar to bar
FONT = 11.5
ARROWS = {
    tracing.CONVOLUTION: ("image", "3×3 convolution, ReLU"),
    tracing.POOLING: ("error", "2×2 max-pooling"),
    tracing.UP_CONVOLUTION: ("result", "2×2 up-convolution"),
    tracing.CONCATENATION: ("quiet", "crop and copy"),
    tracing.SCORE: ("other", "1×1 convolution"),
}


def plot_architecture(layers: Sequence[Layer]) -> mpl.figure.Figure:
    """Draw the U of Fig. 1 for any network, with the sizes and channels that it has.

    Parameters
    ----------
    layers : sequence of Layer
        From `unet_paper.analysis.tracing.trace`.

    Returns
    -------
    matplotlib.figure.Figure
        Each bar is labelled "channels × side²", side in px.

    References
    ----------
    Ronneberger, Fischer, Brox (2015), Fig. 1.
    """
    drawing = _Drawing(layers)
    drawing.draw_bars()
    drawing.draw_arrows()
    drawing.draw_ends()
    drawing.draw_legend()
    return drawing.figure


def plot_totals(sums: dict[str, np.ndarray], sizes: Sequence[int]) -> mpl.figure.Figure:
    """Draw where the network's parameters, work and memory sit, level by level.

    Parameters
    ----------
    sums : dict
        Title of each panel -> (2, levels), contracting and expansive path, in the unit that the title names.
    sizes : sequence of int
        Side in px of the first map of each level, for the axis.
    """
    figure, grid = plt.subplots(1, len(sums), figsize=(WIDTH, 2.9), sharey=True, squeeze=False)
    panels = grid[0]
    levels = np.arange(len(sizes))
    for axes, (title, (contracting, expansive)) in zip(panels, sums.items(), strict=True):
        axes.barh(levels, contracting, color=COLOURS["image"], label="contracting path")
        axes.barh(levels, expansive, left=contracting, color=COLOURS["label"], label="expansive path")
        axes.set_xlabel(title)
        axes.margins(x=0.08)
    panels[0].set(yticks=levels, yticklabels=[f"{size} px" for size in sizes], ylabel="level, by its first map")
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def plot_growth(layers: Sequence[Layer]) -> mpl.figure.Figure:
    """Draw how the window that one neuron sees grows from layer to layer.

    Parameters
    ----------
    layers : sequence of Layer
        From `unet_paper.analysis.tracing.trace`.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    smallest, largest = np.transpose([layer.receptive_fields for layer in layers])
    steps = np.arange(len(layers))
    axes.fill_between(steps, smallest, largest, step="mid", color=COLOURS["light"], alpha=0.6)
    axes.step(steps, largest, where="mid", color=COLOURS["image"])
    first_up = next(i for i, layer in enumerate(layers) if layer.kind == tracing.UP_CONVOLUTION)
    axes.axvline(first_up - 0.5, color=COLOURS["quiet"], lw=1, ls=":")
    axes.text(first_up - 0.8, 8, "contracting", ha="right", color=COLOURS["quiet"])
    axes.text(first_up - 0.2, 8, "expansive", ha="left", color=COLOURS["quiet"])
    axes.set(xlabel="layers, in the order of the forward pass", ylabel="side of the window seen (px)", ylim=0)
    return figure


def plot_influence(share: np.ndarray, side: int) -> mpl.figure.Figure:
    """Draw how much each input pixel moves one output pixel, with the window that theory gives.

    Parameters
    ----------
    share : numpy.ndarray
        (H, W) influence relative to the strongest pixel, in [0, 1].
    side : int
        Side in px of the window outside of which the influence is exactly 0.
    """
    figure, axes = plt.subplots(figsize=(4.4, 3.7))
    drawn = show_image(axes, np.log10(np.maximum(share, 1e-6)), cmap="cividis", vmin=-6, vmax=0)
    seen = np.argwhere(share > 0)
    top, left = seen.min(axis=0)
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec=COLOURS["label"], lw=1.8))
    bar = figure.colorbar(drawn, ax=axes, ticks=[-6, -4, -2, 0], shrink=0.85)
    bar.ax.set_yticklabels(["≤ 10⁻⁶", "10⁻⁴", "10⁻²", "1"])
    bar.set_label("influence, relative")
    return figure


def plot_window(image: np.ndarray, windows: np.ndarray, *, pixel: tuple[int, int]) -> mpl.figure.Figure:
    """Draw what one output pixel sees of an image.

    Parameters
    ----------
    image : numpy.ndarray
        (n, n) in [0, 1], the network's input.
    windows : numpy.ndarray
        (2, m) first and last column that each output column depends on (`Layer.windows` of the last layer).
    pixel : tuple of int
        Row and column of the output pixel, in px.
    """
    figure, axes = plt.subplots(figsize=(4.4, 4.2))
    show_image(axes, image, vmin=0, vmax=1)
    output = windows.shape[1]
    border = (len(image) - output) / 2
    top, left = (windows[0, at] for at in pixel)
    height, width = (windows[1, at] - windows[0, at] + 1 for at in pixel)
    frames = {"label": (left, top, width, height), "error": (border + pixel[1] - 1, border + pixel[0] - 1, 3, 3)}
    for colour, (x, y, *sides) in frames.items():
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), *sides, fill=False, ec=COLOURS[colour], lw=1.8))
    corner = (border - 0.5, border - 0.5)
    axes.add_patch(Rectangle(corner, output, output, fill=False, ec="white", ls="--", lw=1.2))
    return figure


class _Drawing:
    """Places one bar per map: `at` holds the centre of each, in inches."""

    def __init__(self, layers: Sequence[Layer]):
        self.depth = max(layer.level for layer in layers)
        self.dropped = {id(before) for before, after in _pairs(layers) if after.kind == tracing.DROPOUT}
        self.layers = [layer for layer in layers if layer.kind != tracing.DROPOUT]
        self.widest = max(layer.channels for layer in self.layers)
        self.largest = max(layer.width for layer in self.layers)
        self.maps = [layer for layer in self.layers if layer.kind != tracing.UP_CONVOLUTION]
        self.at = _places(self.maps, self.depth)
        self.figure, self.axes = _canvas(height=(3 * self.depth + 1) * PITCH + 1.9)

    def length(self, size: int) -> float:
        return LONGEST * math.sqrt(size / self.largest)

    def thickness(self, channels: int) -> float:
        return max(THICKEST * math.sqrt(channels / self.widest), 0.035)

    def draw_bars(self) -> None:
        for layer, (x, y) in zip(self.maps, self.at, strict=True):
            self._bar(x, y, layer.width, layer.channels, dropped=id(layer) in self.dropped)
            self._label(layer, x, y)
        for skip, (x, y), joined, (x_joined, y_joined) in self._skips():
            self._centre(x, y, joined.width, skip.channels)
            self._copied(x_joined, y_joined, joined, skip.channels)

    def draw_ends(self) -> None:
        for (x, y), text in ((self.at[0], "input image"), (self.at[-1], "score map")):
            self.axes.text(x, y + 0.09, text, ha="center", va="bottom", fontsize=FONT, color=COLOURS["quiet"])

    def draw_arrows(self) -> None:
        placed = list(zip(self.maps, self.at, strict=True))
        for (before, start), (after, end) in _pairs(placed):
            if after.kind == tracing.CONCATENATION:
                self._arrow(start, end, before, after, kind=tracing.UP_CONVOLUTION)
            else:
                self._arrow(start, end, before, after, kind=after.kind)
        for _, (x, y), joined, (x_joined, _) in self._skips():
            half = self.length(joined.width) / 2
            self._draw_arrow((x + half, y), (x_joined - half, y), tracing.CONCATENATION)

    def draw_legend(self) -> None:
        bottom = min(y for _, y in self.at) - 0.72
        for i, (kind, (_, text)) in enumerate(ARROWS.items()):
            x, y = (0.35, 3.15)[i % 2], bottom - 0.27 * (i // 2)
            self._draw_arrow((x, y), (x + 0.36, y), kind)
            self.axes.text(x + 0.46, y, text, va="center", fontsize=FONT)
        if self.dropped:
            y = bottom - 0.27 * 2
            self.axes.add_patch(Rectangle((3.15, y - 0.07), 0.36, 0.14, **_bar_look(dropped=True)))
            self.axes.text(3.61, y, "dropout acts here", va="center", fontsize=FONT)

    def _bar(self, x: float, y: float, size: int, channels: int, *, dropped: bool) -> None:
        length, thickness = self.length(size), self.thickness(channels)
        corner = (x - length / 2, y - thickness / 2)
        self.axes.add_patch(Rectangle(corner, length, thickness, **_bar_look(dropped=dropped)))

    def _centre(self, x: float, y: float, size: int, channels: int) -> None:
        """Mark the part of a skip's map that is copied: its centre."""
        length, thickness = self.length(size), self.thickness(channels) + 0.07
        corner = (x - length / 2, y - thickness / 2)
        self.axes.add_patch(Rectangle(corner, length, thickness, fill=False, ec=COLOURS["ink"], ls=(0, (2, 1.5))))

    def _copied(self, x: float, y: float, joined: Layer, channels: int) -> None:
        """Lay the copied channels on top of the upsampled ones."""
        length, total = self.length(joined.width), self.thickness(joined.channels)
        part = total * channels / joined.channels
        corner = (x - length / 2, y + total / 2 - part)
        self.axes.add_patch(Rectangle(corner, length, part, fc="white", ec=COLOURS["image"], lw=1.2))

    def _label(self, layer: Layer, x: float, y: float) -> None:
        text = f"{layer.channels} × {layer.width}²"
        if layer.level == self.depth:
            below = y - THICKEST / 2 - 0.07
            self.axes.text(x, below, text, ha="center", va="top", fontsize=FONT)
            return
        gap = self.length(layer.width) / 2 + 0.08
        side, align = (-1, "right") if x == LEFT else (1, "left")
        self.axes.text(x + side * gap, y, text, ha=align, va="center", fontsize=FONT)

    def _arrow(self, start: tuple, end: tuple, before: Layer, after: Layer, *, kind: str) -> None:
        (x0, y0), (x1, y1) = start, end
        if y0 == y1:
            x0, x1 = x0 + self.length(before.width) / 2, x1 - self.length(after.width) / 2
        else:
            up = 1 if y1 > y0 else -1
            y0, y1 = y0 + up * self.thickness(before.channels) / 2, y1 - up * self.thickness(after.channels) / 2
        self._draw_arrow((x0, y0), (x1, y1), kind)

    def _draw_arrow(self, start: tuple, end: tuple, kind: str) -> None:
        arrow = FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>,head_length=4.2,head_width=2.6",
            color=COLOURS[ARROWS[kind][0]],
            lw=2,
            shrinkA=1.5,
            shrinkB=1.5,
            mutation_scale=1,
        )
        self.axes.add_patch(arrow)

    def _skips(self) -> list[tuple]:
        """Pair each joined map with the map whose centre it takes: the last one of the same level before pooling."""
        placed = list(zip(self.maps, self.at, strict=True))
        sent = {before[0].level: before for before, after in _pairs(placed) if after[0].kind == tracing.POOLING}
        return [(*sent[layer.level], layer, place) for layer, place in placed if layer.kind == tracing.CONCATENATION]


def _bar_look(*, dropped: bool) -> dict:
    if dropped:
        return {"fc": COLOURS["image"], "ec": "white", "hatch": "....", "lw": 0}
    return {"fc": COLOURS["image"], "ec": COLOURS["image"], "lw": 1.2}


def _places(maps: Sequence[Layer], depth: int) -> list[tuple[float, float]]:
    """Go down the left side one pitch per map, across the bottom, and up the right side."""
    places, row = [], 0
    bottom = [layer for layer in maps if layer.level == depth]
    rising = False
    for layer in maps:
        if layer.level == depth:
            x = (LEFT, MIDDLE, RIGHT)[[id(other) for other in bottom].index(id(layer))]
            rising = True
        elif rising:
            x, row = RIGHT, row - 1
        else:
            x = LEFT
        places.append((x, -row * PITCH))
        row += 0 if rising else 1
    return places


def _canvas(*, height: float) -> tuple[mpl.figure.Figure, mpl.axes.Axes]:
    """Return an empty drawing area in inches; its top edge lies one pitch above row 0, for the score map."""
    figure = plt.figure(figsize=(WIDTH, height), layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(PITCH * 1.65 - height, PITCH * 1.65))
    axes.axis("off")
    return figure, axes


def _pairs(items: Sequence) -> list[tuple]:
    return list(itertools.pairwise(items))
