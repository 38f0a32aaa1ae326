"""U-Net (Ronneberger, Fischer, Brox 2015), section by section: the module behind the book's chapters."""

from unet_paper.checks import IGNORE
from unet_paper.model import UNet

__version__ = "0.1.0"
__all__ = ["IGNORE", "UNet"]
