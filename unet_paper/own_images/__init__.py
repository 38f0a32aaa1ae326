"""A trained network on your own images: what the commands `segment` and `track` do."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
