"""One look for all figures: a palette that colour-blind readers can tell apart, readable on a phone.

The colours are those of Okabe and Ito, "Color Universal Design" (2008), named by what they mean in this book.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.colors import ListedColormap

COLOURS = {
    "ink": "#1f2933",  # text, axes
    "image": "#0072b2",  # blue: data, feature maps, our curve
    "label": "#e69f00",  # orange: annotation, reference
    "result": "#009e73",  # green: what a network says
    "error": "#d55e00",  # vermilion: mistakes
    "other": "#cc79a7",  # purple: a second comparison
    "light": "#56b4e9",  # sky blue: copied features, context
    "quiet": "#8d99a6",  # grey: helpers, grid, thresholds
}

WIDTH = 6.0  # inches, of most figures; two panels side by side stay readable on a phone
TEXT_WIDTH = 7.0  # inches, of the text column
ORDER = ("image", "error", "result", "other", "label")  # colours of curves, as they come

T = TypeVar("T")


def coloured(curves: Mapping[str, T]) -> list[tuple[str, T, str]]:
    """Return the name, content and colour of each curve, in the order of the book.

    Raises
    ------
    ValueError
        If there are more curves than colours that can be told apart: none shall be missing without a word.
    """
    if len(curves) > len(ORDER):
        raise ValueError(f"{len(curves)} curves, but {len(ORDER)} colours that can be told apart: {', '.join(curves)}")
    return [(name, curve, COLOURS[colour]) for (name, curve), colour in zip(curves.items(), ORDER, strict=False)]


CELL_COLOURS = (  # neighbours in a label image mostly differ: six bright colours, then the same six, darker
    *(COLOURS[name] for name in ("image", "label", "result", "other", "light", "error")),
    *("#00456b", "#8f6300", "#00634a", "#7d4464", "#2b7299", "#853b00"),
)
OUTSIDE = "#14181d"  # background of label images, darker than every cell


def use_book_style() -> None:
    """Set matplotlib's defaults for the whole book. Call once at the top of a chapter."""
    order = ["image", "error", "result", "label", "other", "light", "quiet"]
    mpl.rcParams.update(
        {
            "figure.dpi": 112,  # sharp in the text column; beside the U-Net in the page, the pages stay below 30 MB
            "figure.figsize": (TEXT_WIDTH, 3.6),  # inches
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 11,  # a phone shows 7 in on 360 px: smaller text could not be read there
            "axes.titlesize": 11.5,
            "axes.titleweight": "normal",
            "axes.titlelocation": "left",
            "axes.edgecolor": COLOURS["ink"],
            "axes.labelcolor": COLOURS["ink"],
            "text.color": COLOURS["ink"],
            "xtick.color": COLOURS["ink"],
            "ytick.color": COLOURS["ink"],
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "axes.prop_cycle": cycler(color=[COLOURS[name] for name in order]),
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
        }
    )


def show_image(axes: mpl.axes.Axes, image: np.ndarray, *, title: str = "", **imshow) -> mpl.image.AxesImage:
    """Draw an image without ticks; keyword arguments go to `Axes.imshow`.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    image : numpy.ndarray
        (H, W) any numeric type, or (H, W, 3) RGB in [0, 1].
    title : str
        Set above the image, left aligned.
    """
    drawn = axes.imshow(image, **imshow)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return drawn


def paint_cells(axes: mpl.axes.Axes, cells: np.ndarray, **imshow) -> None:
    """Lay a colour over every cell; background and ignored pixels stay transparent.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw, usually over an image.
    cells : numpy.ndarray
        (H, W) int: 0 background, 1..n cells, -1 ignored.
    """
    colours = np.ma.masked_where(cells <= 0, cells % len(CELL_COLOURS))
    axes.imshow(colours, cmap=ListedColormap(CELL_COLOURS), vmin=0, vmax=len(CELL_COLOURS) - 1, **imshow)


def stretch(image: np.ndarray) -> dict[str, float]:
    """Return limits for `show_image` that stretch the contrast of a light microscope, which uses few grey values."""
    low, high = np.percentile(image, (0.2, 99.8))
    return {"vmin": low, "vmax": high}


def panels(count: int, columns: int, *, width: float = WIDTH, row_height: float) -> tuple[mpl.figure.Figure, list]:
    """Return a figure with `count` panels in rows of `columns`; places that are left over stay empty.

    Parameters
    ----------
    count, columns : int
        How many panels, and how many of them in a row.
    width, row_height : float
        In inches, of the figure and of each row.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : list of matplotlib.axes.Axes
        `count` of them, row by row.
    """
    rows = -(-count // columns)  # rounded up
    figure, axes = plt.subplots(rows, columns, figsize=(width, row_height * rows), squeeze=False)
    for panel in axes.flat[count:]:
        panel.set_visible(False)
    return figure, list(axes.flat[:count])


def on_dark() -> dict:
    """Return the look of a legend that lies on a dark image."""
    return {"frameon": True, "facecolor": OUTSIDE, "edgecolor": "none", "labelcolor": "white", "framealpha": 0.85}
