"""The compiler for loops that must visit pixels in an order, where numpy cannot help."""

from __future__ import annotations

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """Compile `function` with numba; keep the machine code on disk where a folder can be written, else in memory.

    The compiled code releases the interpreter's lock, so a caller may score sections in threads.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for its files: installed read-only, and no home to fall back on
        return numba.njit(nogil=True)(function)
