"""The challenges' own measures: EM (pixel, Rand, warping error, V_Rand, V_Info) and cell tracking (SEG, DET, TRA).

Cells are bright and above 0, membrane or background is 0. Names load on first use, so that importing this package
costs nothing; the compiler behind the warping error takes a third of a second to load.
"""

from importlib import import_module

_HOME = {
    "Agreement": "agreement",
    "EMScores": "em",
    "Information": "information",
    "THRESHOLDS": "em",
    "TrackingErrors": "tracking",
    "Warp": "warping",
    "det": "cell_tracking",
    "em_scores": "em",
    "information_scores": "information",
    "match_cells": "cell_tracking",
    "merged_cells": "cell_tracking",
    "pixel_agreement": "pixel",
    "rand_agreement": "rand",
    "seg": "cell_tracking",
    "thin_borders": "thinning",
    "tra": "tracking",
    "tracking_errors": "tracking",
    "warp": "warping",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
