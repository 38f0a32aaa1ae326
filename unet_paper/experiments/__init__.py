"""The paper's experiments (section 4) as runs that anyone can repeat: a plan, a run, a record in `data/results`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
