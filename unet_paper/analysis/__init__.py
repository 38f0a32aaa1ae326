"""Instruments that no training needs: what the network is made of, and what a step costs in time and memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
