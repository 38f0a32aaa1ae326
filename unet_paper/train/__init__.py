"""Training (section 3): a data set and a configuration in, a trained network and its history out."""

from unet_paper.train.checkpoint import CheckpointError, read_checkpoint
from unet_paper.train.config import (
    CONFIGURATIONS,
    PAPER,
    SHORT_RUN,
    TrainConfig,
    configuration_table,
    learning_rate_at,
)
from unet_paper.train.history import History, Validation
from unet_paper.train.loop import DivergedError, train

__all__ = [
    "CONFIGURATIONS",
    "PAPER",
    "SHORT_RUN",
    "CheckpointError",
    "DivergedError",
    "History",
    "TrainConfig",
    "Validation",
    "configuration_table",
    "learning_rate_at",
    "read_checkpoint",
    "train",
]
