"""U-Net (Ronneberger, Fischer, Brox 2015), section by section: the module behind the book's chapters."""

import importlib

from unet_paper.caffe import load_caffemodel
from unet_paper.checks import IGNORE
from unet_paper.datasets import (
    Dataset,
    cell_frames,
    em_sections,
    load_cell_tracking,
    load_isbi2012,
    synthetic_cells,
    synthetic_em,
)
from unet_paper.instances import instances
from unet_paper.loss import weighted_cross_entropy
from unet_paper.model import UNet
from unet_paper.networks import load_network, network_card, save_network
from unet_paper.predict import predict_probability
from unet_paper.tiling import predict_scores
from unet_paper.train import PAPER, SHORT_RUN, History, TrainConfig, train

__version__ = "0.1.0"
__all__ = [
    "IGNORE",
    "PAPER",
    "SHORT_RUN",
    "Dataset",
    "History",
    "TrainConfig",
    "UNet",
    "cell_frames",
    "em_sections",
    "instances",
    "link",
    "load_caffemodel",
    "load_cell_tracking",
    "load_isbi2012",
    "load_network",
    "network_card",
    "predict_probability",
    "predict_scores",
    "save_network",
    "separate_touching",
    "synthetic_cells",
    "synthetic_em",
    "train",
    "weight_map",
    "weighted_cross_entropy",
]


# Imported on first use: the weight map brings numba's compiler, linking brings scikit-image's measures.
_LATER = {"link": "tracking", "separate_touching": "weightmap", "weight_map": "weightmap"}


def __getattr__(name: str):
    if name in _LATER:
        return getattr(importlib.import_module(f"unet_paper.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
