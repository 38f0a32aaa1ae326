"""Cells through time (section 4, Table 2): linking frames, and the files of the cell tracking challenge."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
