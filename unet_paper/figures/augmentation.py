"""Figures of section 3.1: the coarse grid, the field between its points, and what they do to an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from unet_paper.figures.style import COLOURS, WIDTH, panels, show_image


def plot_grid(image: np.ndarray, vectors: np.ndarray, field: np.ndarray, *, exaggerate: float = 4):
    """Draw the displacement vectors on the coarse grid, and the mesh that they bend.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) in [0, 1].
    vectors : numpy.ndarray
        (2, n, n) px: down, right.
    field : numpy.ndarray
        (2, H, W) px: down, right.
    exaggerate : float
        How many times longer than true the displacements are drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3))
    rows, columns = _control_points(vectors.shape[1:], image.shape)
    show_image(axes[0], image, title="vectors on the grid", vmin=0, vmax=1)
    show_image(axes[1], np.ones_like(image), title="the mesh they bend", vmin=0, vmax=1)
    arrow = {"arrowstyle": "-|>", "color": COLOURS["error"], "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
    bent_rows, bent_columns = rows + exaggerate * vectors[0], columns + exaggerate * vectors[1]
    starts, ends = np.stack([columns, rows], axis=2), np.stack([bent_columns, bent_rows], axis=2)  # (n, n, 2) as x, y
    for start, end in zip(starts.reshape(-1, 2), ends.reshape(-1, 2), strict=True):
        axes[0].annotate("", end, start, arrowprops=arrow)
    axes[0].plot(columns, rows, "o", color=COLOURS["error"], markersize=4)
    _draw_mesh(axes[1], exaggerate * field)
    axes[1].plot(bent_columns, bent_rows, "o", color=COLOURS["error"], markersize=5, zorder=3)
    margin = exaggerate * 1.1 * np.abs(vectors).max()
    for one in axes:
        one.set(xlim=(-margin, image.shape[1] + margin), ylim=(image.shape[0] + margin, -margin))
    return figure


def plot_field(field: np.ndarray, *, points: int = 3) -> mpl.figure.Figure:
    """Draw both components of a displacement field.

    Parameters
    ----------
    field : numpy.ndarray
        (2, H, W) px: down, right.
    points : int
        Control points per side, drawn as dots.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    rows, columns = _control_points((points, points), field.shape[1:])
    largest = float(np.abs(field).max())
    for one, title, component in zip(axes, ("down", "to the right"), field, strict=True):
        drawn = show_image(one, component, title=title, cmap="PuOr", vmin=-largest, vmax=largest)
        one.plot(columns, rows, "o", color=COLOURS["ink"], markersize=4, clip_on=False)
    figure.colorbar(drawn, ax=axes, location="bottom", fraction=0.05, aspect=40, label="displacement (px)")
    return figure


def plot_profile(displacement: np.ndarray, control: np.ndarray) -> mpl.figure.Figure:
    """Draw the displacement along one line of control points.

    Parameters
    ----------
    displacement : numpy.ndarray
        (n,) px, at every pixel of the line.
    control : numpy.ndarray
        (m,) px, the vectors' component at the control points.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 2.6))
    axes.axhline(0, color=COLOURS["quiet"], linewidth=1)
    axes.plot(displacement, color=COLOURS["image"], label="every pixel")
    places = np.linspace(0, len(displacement) - 1, len(control))
    axes.plot(places, control, "o", color=COLOURS["label"], markersize=8, label="sampled vectors", clip_on=False)
    axes.set(xlabel="column (px)", ylabel="displacement (px)")
    axes.legend()
    return figure


def plot_spread(spread: np.ndarray, *, points: int = 3) -> mpl.figure.Figure:
    """Draw the standard deviation of the displacement over many samples.

    Parameters
    ----------
    spread : numpy.ndarray
        (H, W) px.
    points : int
        Control points per side, drawn as dots.
    """
    figure, axes = plt.subplots(figsize=(4.4, 3.6))
    drawn = show_image(axes, spread, cmap="viridis", vmin=0)
    rows, columns = _control_points((points, points), spread.shape)
    axes.plot(columns, rows, "o", color=COLOURS["label"], markersize=6, clip_on=False)
    figure.colorbar(drawn, ax=axes, fraction=0.046, label="standard deviation (px)")
    return figure


def plot_panels(
    images: Mapping[str, np.ndarray], *, outlines: Sequence[np.ndarray] = (), columns: int = 2
) -> mpl.figure.Figure:
    """Draw images side by side, with the outlines of their labels where given.

    Parameters
    ----------
    images : mapping
        Title -> (H, W) in [0, 1].
    outlines : sequence of numpy.ndarray
        One (H, W) label image for each; the borders of what is positive are drawn.
    columns : int
        Panels per row.
    """
    figure, axes = panels(len(images), columns, row_height=WIDTH / columns + 0.25)
    for one, (title, image) in zip(axes, images.items(), strict=True):
        show_image(one, image, title=title, vmin=0, vmax=1)
    for one, labels in zip(axes, outlines, strict=False):
        one.contour(labels > 0, levels=[0.5], colors=COLOURS["label"], linewidths=0.7)
    return figure


def plot_tile(tile: np.ndarray, labels: np.ndarray, border: int) -> mpl.figure.Figure:
    """Draw an input tile, and in its centre the labels of the network's output.

    Parameters
    ----------
    tile : numpy.ndarray
        (n, n) in [0, 1].
    labels : numpy.ndarray
        (n - 2 border, n - 2 border) int.
    border : int
        px on every side without output.
    """
    figure, axes = plt.subplots(figsize=(4.4, 4.4))
    side = tile.shape[0]
    show_image(axes, tile, vmin=0, vmax=1)
    extent = (border - 0.5, side - border - 0.5, side - border - 0.5, border - 0.5)
    axes.contour(labels > 0, levels=[0.5], colors=COLOURS["label"], linewidths=0.7, extent=extent, origin="upper")
    inner = side - 2 * border
    axes.add_patch(Rectangle((border, border), inner, inner, fill=False, edgecolor=COLOURS["light"], linewidth=1.6))
    return figure


def plot_area_change(changes: Mapping[str, np.ndarray]) -> mpl.figure.Figure:
    """Draw how strongly deformations of different strength enlarge and shrink small pieces of the image.

    Parameters
    ----------
    changes : mapping
        Name -> (n,) area in the source over area in the result, of many pixels and samples.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    bins = np.linspace(0, 2, 121)
    for name, change in changes.items():
        axes.hist(change, bins=bins, density=True, histtype="step", linewidth=1.8, label=name)
    axes.axvline(0, color=COLOURS["error"], linestyle=":")
    axes.set(xlabel="area in the source for one pixel of the result (px²)", ylabel="density", xlim=(-0.02, 2))
    axes.legend()
    return figure


def _control_points(points: tuple[int, int], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns, in px, of a grid of control points that spans an image."""
    lines = [np.linspace(0, side - 1, number) for number, side in zip(points, shape, strict=True)]
    return np.meshgrid(*lines, indexing="ij")


def _draw_mesh(axes: mpl.axes.Axes, field: np.ndarray, lines: int = 17) -> None:
    height, width = field.shape[1:]
    rows, columns = np.indices((height, width)) + field
    for k in np.linspace(0, height - 1, lines).astype(int):
        axes.plot(columns[k], rows[k], color=COLOURS["image"], linewidth=0.8)
    for k in np.linspace(0, width - 1, lines).astype(int):
        axes.plot(columns[:, k], rows[:, k], color=COLOURS["image"], linewidth=0.8)
