"""Checkpoints: a training run on disk, whole or not at all.

The one before is kept beside it, with `.previous` behind its name, for the case that the newest is damaged.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from unet_paper.files import TensorFileError, read_tensors, write_tensors
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
    path: Path, net: nn.Module, optimiser: Optimizer, history: History, *, average: AveragedModel | None = None
) -> None:
    """Write network, optimiser and history to `path`, keeping the checkpoint that was there as `previous(path)`.

    Random generators need no place in the file: every tile and every dropped activation follows from the seed and the
    number of the step.
    """
    metadata = {"format": FORMAT, "history": history.to_json(), "network": json.dumps(net.settings)}
    write_tensors(path, _as_tensors(net, optimiser, average), metadata, keep=previous(path))


def restore_checkpoint(
    path: Path, net: nn.Module, optimiser: Optimizer, *, average: AveragedModel | None = None
) -> History | None:
    """Put the newest usable checkpoint into `net` and `optimiser`.

    Parameters
    ----------
    path : pathlib.Path
        Where `save_checkpoint` wrote; where that file is damaged, the previous one is used, with a warning.
    net, optimiser, average
        Of the same kind as those that were saved; changed in place.

    Returns
    -------
    History or None
        The course of the run so far, or None if there is no checkpoint yet.

    Raises
    ------
    CheckpointError
        If there are checkpoints but none is usable, or they belong to another network.
    """
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            tensors, metadata = read_checkpoint(candidate)
        except CheckpointError as error:
            warnings.warn(f"{error}; trying the checkpoint before it", stacklevel=2)
            continue
        _load_tensors(candidate, tensors, metadata, net, optimiser)
        if average is not None and "average.n_averaged" in tensors:  # a run with another `average` is refused later
            average.load_state_dict(_named(tensors, "average."))
        return History.from_json(metadata["history"])
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


def _as_tensors(net: nn.Module, optimiser: Optimizer, average: AveragedModel | None) -> dict[str, Tensor]:
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items() if value is not None}
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _load_tensors(path: Path, tensors: dict, metadata: dict, net: nn.Module, optimiser: Optimizer) -> None:
    saved, wanted = json.loads(metadata["network"]), net.settings
    if saved != wanted:
        differ = [f"{name} {saved[name]} there, {wanted[name]} here" for name in saved if saved[name] != wanted[name]]
        raise CheckpointError(f"{path} belongs to another network ({', '.join(differ)}); build that one")
    net.load_state_dict(_named(tensors, "net."))
    for index, parameter in enumerate(optimiser.param_groups[0]["params"]):
        state = _named(tensors, f"optimiser.{index}.")
        optimiser.state[parameter] = {name: _like(parameter, value) for name, value in state.items()}


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """Return `value` on the device and in the memory order of `parameter`; a scalar (Adam's count) has none."""
    if value.ndim == 0:
        return value.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
