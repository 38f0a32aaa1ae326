"""The compiler for loops that must visit pixels in an order, where numpy cannot help."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numba
from numba.core.caching import FunctionCache


class _Cache(FunctionCache):
    """numba's folder of machine code, of which nothing is needed: what cannot be read or written is compiled again."""

    def load_overload(self, sig, target_context):
        """Return the machine code for the types `sig`, or None if there is none that can be used."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # an emptied or damaged file: whatever unpickling comes across
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig, data):
        """Keep machine code, where the disk takes it."""
        with suppress(OSError):
            super().save_overload(sig, data)


def compiled(function: Callable) -> Callable:
    """Compile `function` with numba; keep the machine code on disk where a folder can be written, else in memory.

    The compiled code releases the interpreter's lock, so a caller may score sections in threads.
    """
    dispatcher = numba.njit(nogil=True)(function)
    if _has_home() or os.access(Path(inspect.getfile(function)).parent, os.W_OK):
        with suppress(RuntimeError):  # numba found no folder for its files
            dispatcher._cache = _Cache(function)  # what `cache=True` does, with a cache that forgives
    return dispatcher


def _has_home() -> bool:
    """Tell whether the user has a folder; without one, numba would make one called ~ where the user stands."""
    return os.path.isabs(os.path.expanduser(os.environ.get("XDG_CACHE_HOME", "~")))
