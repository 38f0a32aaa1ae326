"""U-Net (Ronneberger, Fischer, Brox 2015), section by section: what the chapters of the book show, this package holds.

Every name is imported when it is first used, so that `import unet_paper as up` costs next to nothing; `__init__.pyi`
lists the names, here and in each folder.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
