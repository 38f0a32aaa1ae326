"""What a training run leaves behind besides the network: its course, as plain numbers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from unet_paper.training.config import TrainConfig


class Validation(NamedTuple):
    """One look at images that the training never sees.

    `step` updates were done, `seconds` had passed; thresholded at `threshold`, the best of the ten 0.0, 0.1, ... 0.9,
    the share `pixel_error` of annotated pixels differed from the annotation.
    """

    step: int
    seconds: float
    pixel_error: float
    threshold: float


@dataclass
class History:
    """The course of a training run.

    Attributes
    ----------
    config : TrainConfig
        What was run.
    device : str
        Where, for example ``"cpu"``.
    loss : list of float
        Energy of Eq. 1 per step, averaged over the tiles of the step.
    rate : list of float
        Learning rate per step.
    validation : list of Validation
        Measurements on held-out images, in order of steps.
    seconds : float
        Wall time in s, summed over interruptions.
    """

    config: TrainConfig
    device: str
    loss: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    validation: list[Validation] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> str:
        """Return the history as JSON text; floats survive the round trip exactly."""
        content = asdict(self)
        content["validation"] = [entry._asdict() for entry in self.validation]
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> History:
        """Return the history that `to_json` wrote as `text`."""
        content = json.loads(text)
        content["config"] = TrainConfig(**content["config"])
        content["validation"] = [Validation(**entry) for entry in content["validation"]]
        return cls(**content)
