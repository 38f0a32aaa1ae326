"""The pictures that open the book: what networks find, and an image, its cells and what counts in training."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from unet_paper.figures.style import OUTSIDE, TEXT_WIDTH, paint_cells, show_image, stretch


def plot_task(image: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> Figure:
    """Draw an image, its annotated cells and its loss weights side by side.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) float32 in [0, 1].
    cells : numpy.ndarray
        (H, W) int: 0 membrane, 1..n cells; each is drawn in one colour, neighbours mostly in different ones.
    weights : numpy.ndarray
        (H, W) float32, the weight of each pixel in the loss (Eq. 2).
    """
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(TEXT_WIDTH, 2.3)
    )  # no titles: a phone shows 110 px each
    show_image(left, image)
    show_image(middle, image)
    paint_cells(middle, cells, alpha=0.55)
    show_image(right, weights, cmap="inferno")
    return figure


def plot_card(image: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> Figure:
    """Draw what stands beside a shared link to the book: 12 by 6.3 in, the title above the pictures of `plot_task`.

    Parameters
    ----------
    image, cells, weights : numpy.ndarray
        (H, W) each, as for `plot_task`; generated ones, which may be handed on.
    """
    figure = plt.figure(figsize=(12, 6.3), facecolor=OUTSIDE, layout="none")
    figure.text(0.045, 0.82, "The U-Net paper, executed", fontsize=40, weight="bold", color="white")
    figure.text(0.045, 0.725, "read it, run it, change it, with its claims examined", fontsize=21, color="white")
    panels = [figure.add_axes((left, 0.06, 0.285, 0.285 * 12 / 6.3)) for left in (0.045, 0.3575, 0.67)]
    show_image(panels[0], image)
    show_image(panels[1], image)
    paint_cells(panels[1], cells, alpha=0.55)
    show_image(panels[2], weights, cmap="inferno")
    return figure


def plot_strip(images: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> Figure:
    """Draw images above, and below the same with what was found in them.

    Parameters
    ----------
    images : mapping of str to numpy.ndarray
        (H, W) float32 in [0, 1], by any name.
    found : mapping of str to numpy.ndarray
        (H, W) int cells of each image, by the same names: 0 background, 1..n cells.
    """
    figure, axes = plt.subplots(2, len(images), figsize=(TEXT_WIDTH, 2 * TEXT_WIDTH / len(images)), squeeze=False)
    for name, (above, below) in zip(images, axes.T, strict=True):
        for panel in (above, below):
            show_image(panel, images[name], **stretch(images[name]))
        paint_cells(below, found[name], alpha=0.5)
    return figure
