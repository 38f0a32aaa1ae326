"""A look at an image and its cells."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from unet_paper.figures.style import show_image
from unet_paper.own_images.outlines import overlay


def show(
    image: np.ndarray,
    cells: np.ndarray | None = None,
    *,
    reference: np.ndarray | None = None,
    title: str = "",
    axes: mpl.axes.Axes | None = None,
) -> mpl.axes.Axes:
    """Draw an image with its cells outlined, for notebooks.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) grey values of any type.
    cells : numpy.ndarray, optional
        (H, W) int: 0 background, 1..n cells; each gets a colour.
    reference : numpy.ndarray, optional
        (H, W) int; its edges are white.
    title : str
        Above the image; by default how many cells there are.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.
    """
    image = np.asarray(image)
    if image.ndim != 2:
        raise ValueError(f"image has shape {image.shape}; pass one grey image (H, W)")
    cells = np.zeros(image.shape, dtype=int) if cells is None else np.asarray(cells)
    if cells.shape != image.shape:
        raise ValueError(f"cells have shape {cells.shape}, image has {image.shape}; both must be the same")
    axes = plt.subplots(figsize=(5, 5 * image.shape[0] / image.shape[1]))[1] if axes is None else axes
    count = len(np.unique(cells[cells > 0]))
    show_image(axes, overlay(image, cells, reference=reference), title=title or f"{count} cells")
    return axes
