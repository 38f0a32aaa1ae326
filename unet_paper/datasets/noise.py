"""What the synthetic pictures share: smooth random fields, and the check of what was asked for."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline
from scipy.sparse import csr_array


def smooth_noise(shape: tuple[int, ...], spacing: float | tuple[float, ...], *, generator: np.random.Generator):
    """Return a smooth Gaussian random field of mean 0 and variance 1 at every point.

    Independent normal numbers sit on a grid of knots; cubic B-splines carry them to every pixel.

    Parameters
    ----------
    shape : tuple of int
        Shape of the field, any number of dimensions.
    spacing : float or tuple of float
        Distance between knots (px), for all axes or for each.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        float32, shape `shape`.
    """
    spacings = np.broadcast_to(spacing, len(shape))
    bases = [_spline_basis(length, step) for length, step in zip(shape, spacings, strict=True)]
    field = generator.standard_normal([basis.shape[1] for basis in bases], dtype=np.float32)
    for basis in bases:  # each turn replaces the first axis by a full one and puts it last
        field = (basis @ field.reshape(len(field), -1)).reshape(-1, *field.shape[1:])
        field = np.ascontiguousarray(np.moveaxis(field, 0, -1))
    return field


def _spline_basis(length: int, spacing: float) -> csr_array:
    """Return the weight of every knot at every pixel, (length, knots); rows of unit norm keep the variance at 1."""
    knots = np.arange(-3, np.ceil((length - 1) / spacing) + 5)
    weights = BSpline.design_matrix(np.arange(length) / spacing, knots, k=3)
    norms = np.sqrt(weights.multiply(weights).sum(axis=1))
    return csr_array(weights.multiply(1 / norms[:, None]), dtype=np.float32)


def check_request(count: int, size: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width (px) of the pictures, or refuse a request that cannot be met.

    Raises
    ------
    ValueError
        If `count` is less than 1, or a side less than 32 px.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if count < 1:
        raise ValueError(f"count is {count}; generate at least 1 picture")
    if min(height, width) < 32:
        raise ValueError(f"size is {size}; synthetic pictures need at least 32 px a side")
    return height, width
