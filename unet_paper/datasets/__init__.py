"""Images and labels for every chapter: real where they lie on this machine, generated where they do not."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
