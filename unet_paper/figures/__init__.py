"""Drawing: every figure of the book, from arrays that other modules computed. Nothing is computed here."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
