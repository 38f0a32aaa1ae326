"""The challenges' own measures: EM (pixel, Rand, warping error, V_Rand, V_Info) and cell tracking (SEG, DET, TRA).

Cells are bright and above 0, membrane or background is 0.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
