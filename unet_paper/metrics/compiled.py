"""The compiler for loops that must visit pixels in an order, where numpy cannot help."""

from __future__ import annotations

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """Compile `function` with numba; keep the machine code on disk where a folder can be written, else in memory.

    The compiled code releases the interpreter's lock, so two thresholds can run on two cores.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for its files: installed read-only, and no home to fall back on
        return numba.njit(nogil=True)(function)


@compiled
def neighbour(y, x, step):
    """Return the coordinates of a 4-neighbour: left, up, right, down for steps 0 to 3."""
    if step == 0:
        return y, x - 1
    if step == 1:
        return y - 1, x
    if step == 2:
        return y, x + 1
    return y + 1, x


@compiled
def inside(image, y, x):
    """Whether a pixel lies inside an image (H, W)."""
    return 0 <= y < image.shape[0] and 0 <= x < image.shape[1]
