from . import segmenting as segmenting
from .segmenting import Method as Method
from .segmenting import Segmented as Segmented
from .segmenting import Summary as Summary
from .segmenting import segment as segment
from .segmenting import segment_files as segment_files
from .segmenting import track as track
from .segmenting import track_files as track_files
