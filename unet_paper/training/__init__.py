"""Training (section 3): a data set and a configuration in, a trained network and its history out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
