"""The picture that opens the book: an image, its cells, and what counts in training."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from unet_paper.figures.style import TEXT_WIDTH, paint_cells, show_image


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
