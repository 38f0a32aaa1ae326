from . import padded as padded
from . import sliding_window as sliding_window
from .padded import PaddedUNet as PaddedUNet
from .padded import padded_twin as padded_twin
from .sliding_window import SlidingWindowNet as SlidingWindowNet
from .sliding_window import shared_share as shared_share
from .sliding_window import windows_around as windows_around
