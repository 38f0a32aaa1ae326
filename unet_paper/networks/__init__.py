"""Trained networks as files: the library of this project, cards, and networks of the authors (Caffe)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
