"""Images and labels for every chapter: real where they lie on this machine, generated where they do not."""

from unet_paper.datasets.cell_tracking import cell_frames, load_cell_tracking, mark_unannotated
from unet_paper.datasets.dataset import Dataset
from unet_paper.datasets.isbi2012 import em_sections, load_isbi2012
from unet_paper.datasets.synthetic_frames import synthetic_cells
from unet_paper.datasets.synthetic_sections import synthetic_em

__all__ = [
    "Dataset",
    "cell_frames",
    "em_sections",
    "load_cell_tracking",
    "load_isbi2012",
    "mark_unannotated",
    "synthetic_cells",
    "synthetic_em",
]
