"""Checkpoints: a training run on disk, whole or not at all.

The one before is kept beside it, with `.previous` behind its name, for the case that the newest is damaged.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unet_paper.files import TensorFileError, read_tensors, write_tensors
from unet_paper.messages import short
from unet_paper.training.history import History

FORMAT = "unet_paper checkpoint 1"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why and what to do."""


def previous(path: Path) -> Path:
    """Return where the checkpoint before the one at `path` is kept."""
    return path.with_name(path.name + ".previous")


def check_target(path: Path, *, resume: bool) -> None:
    """Refuse a place where no checkpoint can be written, before any time is spent on training.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    FileExistsError
        If a checkpoint is there already and the run is not to resume from it.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"folder {path.parent} does not exist; create it before training")
    if path.exists() and not resume:
        raise FileExistsError(f"{path} exists; pass resume=True to continue from it, or choose another path")


def save_checkpoint(
    path: Path,
    net: nn.Module,
    optimiser: Optimizer,
    history: History,
    *,
    average: nn.Module | None = None,
    data: dict[str, str] | None = None,
) -> None:
    """Write network, optimiser and history to `path`, keeping the checkpoint that was there as `previous(path)`.

    Random generators need no place in the file: every tile and every dropped activation follows from the seed and the
    number of the step. `data` is the fingerprint of what is trained on.
    """
    metadata = {"format": FORMAT, "history": history.to_json(), "network": json.dumps(net.settings)}
    if data is not None:
        metadata["data"] = json.dumps(data)
    write_tensors(path, _as_tensors(net, optimiser, average), metadata, keep=previous(path))


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds, before any of it is put into a network.

    Attributes
    ----------
    path : pathlib.Path
        Where it was read.
    tensors : dict of str to Tensor
        As `read_checkpoint` names them.
    history : History
        The course of the run so far.
    network : dict
        `UNet.settings` of the network.
    data : dict of str to str
        The fingerprint of images, labels and weights; empty in a file from before there were any.
    """

    path: Path
    tensors: dict[str, Tensor]
    history: History
    network: dict
    data: dict[str, str]

    def check_network(self, net: nn.Module) -> None:
        """Refuse a network of other settings than the one that was saved.

        Raises
        ------
        CheckpointError
            Naming what differs.
        """
        names = sorted(self.network.keys() | net.settings.keys())
        pairs = [(name, self.network.get(name), net.settings.get(name)) for name in names]
        if differ := ", ".join(f"{name} {there} there, {here} here" for name, there, here in pairs if there != here):
            raise CheckpointError(
                f"{self.path} belongs to another network ({short(differ, limit=300)}); build that one"
            )

    def put_into(self, net: nn.Module, optimiser: Optimizer, *, average: nn.Module | None = None) -> None:
        """Give network, optimiser and average the numbers of the file: all of them, or none.

        Raises
        ------
        CheckpointError
            If they do not fit; nothing is changed then.
        """
        self.check_network(net)
        parameters = optimiser.param_groups[0]["params"]
        states = [_named(self.tensors, f"optimiser.{index}.") for index in range(len(parameters))]
        pairs = [
            (parameter, value) for parameter, state in zip(parameters, states, strict=True) for value in state.values()
        ]
        fits = all(value.ndim == 0 or value.shape == parameter.shape for parameter, value in pairs)
        if not (fits and self._fits(net, "net.") and (average is None or self._fits(average, "average."))):
            raise CheckpointError(f"{self.path} holds numbers that do not fit its own settings; start anew without it")
        net.load_state_dict(_named(self.tensors, "net."))
        for parameter, state in zip(parameters, states, strict=True):
            optimiser.state[parameter] = {name: _like(parameter, value) for name, value in state.items()}
        if average is not None:
            average.load_state_dict(_named(self.tensors, "average."))

    def _fits(self, module: nn.Module, prefix: str) -> bool:
        """Tell whether the numbers under `prefix` are those of a module, by name and shape."""
        there = {name: value.shape for name, value in _named(self.tensors, prefix).items()}
        return there == {name: value.shape for name, value in module.state_dict().items()}


def newest_checkpoint(path: Path) -> Checkpoint | None:
    """Return the newest usable checkpoint, or None if there is none yet.

    Parameters
    ----------
    path : pathlib.Path
        Where `save_checkpoint` wrote; where that file is damaged, the previous one is used, with a warning.

    Raises
    ------
    CheckpointError
        If there are checkpoints but none is usable.
    """
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            return _opened(candidate)
        except CheckpointError as error:
            warnings.warn(f"{error}; trying the checkpoint before it", stacklevel=2)
    if path.exists() or previous(path).exists():
        raise CheckpointError(f"no usable checkpoint at {path}; delete it and {previous(path).name} to start anew")
    return None


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of one checkpoint file.

    Tensors of the network are named ``net.*``, those of the optimiser ``optimiser.<parameter>.<name>``, those of a
    running average ``average.*``.

    Raises
    ------
    CheckpointError
        If the file is truncated, altered, or not a checkpoint of this module.
    """
    try:
        return read_tensors(path, format=FORMAT, what="a training checkpoint")
    except TensorFileError as error:
        raise CheckpointError(str(error)) from error


def _as_tensors(net: nn.Module, optimiser: Optimizer, average: nn.Module | None) -> dict[str, Tensor]:
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items() if value is not None}
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _opened(path: Path) -> Checkpoint:
    tensors, metadata = read_checkpoint(path)
    try:
        history = History.from_json(metadata["history"])
        network, data = dict(json.loads(metadata["network"])), dict(json.loads(metadata.get("data", "{}")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged, or from another version ({short(str(error))})") from error
    return Checkpoint(path, tensors, history, network, data)


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """Return `value` on the device and in the memory order of `parameter`; a scalar (Adam's count) has none."""
    if value.ndim == 0:
        return value.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
