"""What the U-Net is compared with: the methods before it (section 1), and the padded network that came after."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
