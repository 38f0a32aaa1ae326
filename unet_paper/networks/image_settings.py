"""The images that a network was trained on: what it expects of others, carried with its weights.

A network knows one size of cells and one range of grey values. Both stand on its card; for the published networks,
whose cards say only the scale, they stand here.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields

NORMALISATIONS = ("percentile", "range", "none")
PERCENTILES = (1.0, 99.8)  # of an image's grey values: dust and dead pixels do not count (as in StarDist)


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """What a network expects of images.

    Attributes
    ----------
    scale : float
        Factor by which images of its own kind are resized before the network sees them, > 0.
    normalise : {"percentile", "range", "none"}
        How their grey values come into [0, 1]: by the 1st and 99.8th percentile of each image, by its smallest and
        largest value, or by the range of the file's type.
    black, white : float
        Where those percentiles lie in its training images, as the network saw them, in [0, 1].
    mean, deviation : float, optional
        Of the grey values as the network saw them, in [0, 1].
    pixel_size : float, optional
        Side of a pixel of its training images at their own size, in µm.
    diameter : float, optional
        Median diameter of its training cells in px at their own size: of the circle of the same area.
    min_size : int
        Components of this many px or fewer, at the training images' own size, are no cells, >= 0.
    standardise : bool
        As in `unet_paper.predict_probability`.
    """

    scale: float = 1.0
    normalise: str = "none"
    black: float = 0.0
    white: float = 1.0
    mean: float | None = None
    deviation: float | None = None
    pixel_size: float | None = None
    diameter: float | None = None
    min_size: int = 500
    standardise: bool = False

    def as_dict(self) -> dict:
        """Return the settings as a card holds them."""
        return asdict(self)


# Grey values and cells of the training images of sequence 01 (fold 0) and sections 0-23; pixel sizes as the challenges
# state them. `tests/networks/test_image_settings.py` measures them again where the data is.
PUBLISHED = {
    "em": ImageSettings(black=0.114, white=0.910, mean=0.495, deviation=0.173, pixel_size=0.004, min_size=0),
    "u373": ImageSettings(
        scale=0.5, black=0.243, white=0.620, mean=0.326, deviation=0.035, pixel_size=0.65, diameter=68.9
    ),
    "dic-hela": ImageSettings(
        scale=0.5, black=0.349, white=0.651, mean=0.465, deviation=0.041, pixel_size=0.19, diameter=111.6
    ),
}


def settings_of(card: dict | None) -> ImageSettings | None:
    """Return what a card says about images; for the book's tasks, which say less, what is known about their data.

    Parameters
    ----------
    card : dict or None
        As in `unet_paper.save_network`; its entry ``"images"`` holds the settings.

    Returns
    -------
    ImageSettings or None
        None for a network without a card.
    """
    if card is None:
        return None
    known = {field.name for field in fields(ImageSettings)}
    stated = {name: value for name, value in card.get("images", {}).items() if name in known}
    base = PUBLISHED.get(card.get("task"), ImageSettings())
    return ImageSettings(**{**base.as_dict(), **stated, "scale": card["scale"]})


def area_diameter(area: float) -> float:
    """Return the diameter in px of the circle of an area in px."""
    return 2 * math.sqrt(area / math.pi)
