"""Checkpoints: a training run on disk, whole or not at all.

A checkpoint is a safetensors file: plain numbers, nothing in it can run. It is written to a temporary file first and
moved into place when complete; the one before is kept beside it, with `.previous` behind its name. A checksum over all
numbers tells a damaged file from a good one.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from unet_paper.train.history import History

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


def save_checkpoint(path: Path, net: nn.Module, optimiser: Optimizer, history: History) -> None:
    """Write network, optimiser and history to `path`, keeping the checkpoint that was there as `previous(path)`.

    Random generators need no place in the file: every tile and every dropped activation follows from the seed and the
    number of the step.
    """
    tensors = _as_tensors(net, optimiser)
    metadata = {"format": FORMAT, "history": history.to_json(), "network": json.dumps(_settings(net))}
    metadata["sha256"] = _checksum(tensors, metadata)
    unfinished = path.with_name(path.name + ".part")
    with open(unfinished, "wb") as file:
        file.write(save(tensors, metadata))
        file.flush()
        os.fsync(file.fileno())  # the numbers are on the disk before the name points to them
    if path.exists():
        os.replace(path, previous(path))
    os.replace(unfinished, path)


def restore_checkpoint(path: Path, net: nn.Module, optimiser: Optimizer) -> History | None:
    """Put the newest usable checkpoint into `net` and `optimiser`.

    Parameters
    ----------
    path : pathlib.Path
        Where `save_checkpoint` wrote; where that file is damaged, the previous one is used, with a warning.
    net, optimiser
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
        return History.from_json(metadata["history"])
    if path.exists() or previous(path).exists():
        raise CheckpointError(f"no usable checkpoint at {path}; delete it and {previous(path).name} to start anew")
    return None


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of one checkpoint file.

    Tensors of the network are named ``net.*``, those of the optimiser ``optimiser.<parameter>.<name>``.

    Raises
    ------
    CheckpointError
        If the file is truncated, altered, or not a checkpoint of this module.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({error})") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a training checkpoint: format {metadata.get('format')!r}, not {FORMAT!r}")
    if metadata.pop("sha256", None) != _checksum(tensors, metadata):
        raise CheckpointError(f"{path} is damaged (its checksum does not fit its content)")
    return tensors, metadata


def _settings(net: nn.Module) -> dict:
    """Return what `UNet(...)` needs to build the same network again."""
    names = ("in_channels", "num_classes", "base_channels", "depth", "variant")
    return {**{name: getattr(net, name) for name in names}, "dropout": net.dropout.p}


def _as_tensors(net: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items() if value is not None}
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _checksum(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _load_tensors(path: Path, tensors: dict, metadata: dict, net: nn.Module, optimiser: Optimizer) -> None:
    saved, wanted = json.loads(metadata["network"]), _settings(net)
    if saved != wanted:
        differ = [f"{name} {saved[name]} there, {wanted[name]} here" for name in saved if saved[name] != wanted[name]]
        raise CheckpointError(f"{path} belongs to another network ({', '.join(differ)}); build that one")
    net.load_state_dict(
        {name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")}
    )
    for index, parameter in enumerate(optimiser.param_groups[0]["params"]):
        prefix = f"optimiser.{index}."
        state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        optimiser.state[parameter] = {name: _like(parameter, value) for name, value in state.items()}


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """Return `value` on the device and in the memory order of `parameter`; a scalar (Adam's count) has none."""
    if value.ndim == 0:
        return value.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
