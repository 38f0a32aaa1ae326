"""Trained networks as files: half-precision numbers, the settings of the network, and a card that says what it is.

The networks of the book lie in `data/models`, one per task of section 4 of the paper and a wider one for EM. Each is a
safetensors file, so that nothing in it can run, and has its card beside it as text.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from unet_paper.datasets.folders import data_roots, published
from unet_paper.files import TensorFileError, read_metadata, read_tensors, sha256_of, write_tensors, write_text
from unet_paper.messages import short
from unet_paper.model import UNet
from unet_paper.networks.caffe import load_caffemodel
from unet_paper.networks.card import card_text, check_card
from unet_paper.networks.image_settings import ImageSettings, settings_of
from unet_paper.options import check_scalar
from unet_paper.training.checkpoint import FORMAT as CHECKPOINT_FORMAT
from unet_paper.training.checkpoint import read_checkpoint

FORMAT = "unet_paper network 1"
# The networks of the book, and the experiments whose first fold made them
NAMES = {"em": "em-small", "em-wide": "em-wide", "u373": "u373-small", "dic-hela": "dic-hela-small"}


def save_network(path: str | os.PathLike, net: UNet, *, card: dict) -> None:
    """Write a trained network to one file, whole or not at all.

    Parameters
    ----------
    path : path
        Where to write, usually with the ending ``.safetensors``; a file that is there is replaced.
    net : UNet
        The network; its weights are rounded to float16, 11 significant bits, half the size of float32.
    card : dict
        What its user must know, as plain JSON: at least ``"name"``, ``"task"``, ``"scale"`` (the factor by which
        images are resized before the network sees them), ``"data"``, ``"licence"``, ``"command"`` and ``"scores"``.

    Raises
    ------
    ValueError
        If a weight is NaN or too large for float16, or the card lacks an entry or is not plain JSON.
    FileNotFoundError
        If the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"folder {path.parent} does not exist; create it first")
    metadata = {"format": FORMAT, "network": json.dumps(net.settings), "card": check_card(card)}
    write_tensors(path, _as_float16(net), metadata)


class TrainedNetwork(NamedTuple):
    """A trained network and its card.

    Attributes
    ----------
    net : UNet
        On the CPU, float32, in evaluation mode.
    card : dict or None
        What `save_network` was given; None for checkpoints and the authors' files, which have none.
    name : str
        Where it was read from.
    """

    net: UNet
    card: dict | None
    name: str

    @property
    def scale(self) -> float:
        """Factor by which images are resized before the network sees them; a network without a card has none."""
        return _stated(self)["scale"]


def load_network(name_or_path: str | os.PathLike) -> UNet:
    """Return a trained network, ready to predict: float32, in evaluation mode, on the CPU.

    Parameters
    ----------
    name_or_path : str or path
        ``"em"``, ``"em-wide"``, ``"u373"`` or ``"dic-hela"``, the networks of the book (`data/models`); or a file: one
        that `save_network` wrote, a checkpoint of `unet_paper.training`, or a `.caffemodel` of the authors.

    Returns
    -------
    UNet
        It takes grey values in [0, 1]. Class 1 is cell. Its attribute `images` says what its card states about the
        images that it was trained on (`unet_paper.networks.image_settings.ImageSettings`), of a checkpoint only whether
        each is standardised: `unet_paper.segment` goes by it, `unet_paper.predict_probability` does what it is told.

    Raises
    ------
    FileNotFoundError
        If there is no such network; the message lists those there are.
    ValueError
        If the file is damaged, of another kind, or a checkpoint that cannot predict yet.
    """
    return read_network(name_or_path).net


def network_card(name_or_path: str | os.PathLike) -> dict:
    """Return the card that `save_network` was given.

    Parameters
    ----------
    name_or_path : str or path
        As for `load_network`; only networks that `save_network` wrote have a card.

    Raises
    ------
    FileNotFoundError
        If there is no such network.
    ValueError
        If the file is damaged or has no card.
    """
    return _stated(read_network(name_or_path))


def read_network(name_or_path: str | os.PathLike) -> TrainedNetwork:
    """Return network and card together, from one reading of the file; parameters and errors as `load_network`."""
    path = find_network(name_or_path)
    if path.suffix == ".caffemodel":
        return TrainedNetwork(load_caffemodel(path), None, str(path))
    if read_metadata(path).get("format") == CHECKPOINT_FORMAT:
        return TrainedNetwork(_from_checkpoint(path), None, str(path))
    tensors, metadata = read_tensors(path, format=FORMAT, what="a network that save_network wrote")
    net, card = _build(path, tensors, metadata).eval(), _stated_json(path, metadata, "card")
    net.images, net.card = settings_of(card), card
    return TrainedNetwork(net, card, str(path))


def write_card(path: str | os.PathLike) -> Path:
    """Write the card of a network as text beside it, and return where: `NAME.md` for `NAME.safetensors`.

    Raises
    ------
    FileNotFoundError, ValueError
        As `network_card`.
    """
    path = Path(path)
    trained = read_network(path)
    text = card_text(_stated(trained), trained.net, file=path.name, sha256=sha256_of(path))
    target = path.with_suffix(".md")
    write_text(target, text)
    return target


def find_network(name_or_path: str | os.PathLike) -> Path:
    """Return the file of a network: by name below each data root and among those published, else as a path.

    Raises
    ------
    FileNotFoundError
        If there is none; the message lists the networks that are there, and says what to run.
    """
    path = Path(name_or_path).expanduser()
    folders = list(dict.fromkeys(root / "models" for root in (*data_roots(), published())))
    named = [folder / f"{path}.safetensors" for folder in folders] if path.name == str(path) else []
    for candidate in (*named, path):
        if candidate.is_file():
            return candidate
    present = sorted(file.stem for folder in folders for file in folder.glob("*.safetensors"))
    experiment = NAMES.get(str(path), "NAME")
    raise FileNotFoundError(
        f"no network and no file called {str(path)!r}; networks here: {', '.join(present) or 'none'}. "
        f"`python -m unet_paper reproduce {experiment}` trains one: pass the path of the .safetensors file it writes"
    )


def _stated(trained: TrainedNetwork) -> dict:
    if trained.card is None:
        raise ValueError(
            f"{trained.name} has no card, so the scale of its images is not known; state it yourself "
            "(scale=..., on the command line --scale)"
        )
    return trained.card


def _as_float16(net: UNet) -> dict[str, Tensor]:
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in net.state_dict().items()}
    for name, value in net.state_dict().items():
        if not tensors[name].isfinite().all():
            raise ValueError(
                f"{name} holds {value.abs().max().item():g}; a file holds float16, at most 65504 in size and never "
                "NaN. Train again with a smaller learning rate"
            )
    return tensors


def _from_checkpoint(path: Path) -> UNet:
    tensors, metadata = read_checkpoint(path)
    config = _stated_json(path, metadata, "history", "config")
    if config.get("standardise"):
        raise TensorFileError(
            f"{path} is from a run with standardise=True that takes standardised images, not [0, 1], until it ends; "
            "finish the run (resume=True) and save_network what it returns"
        )
    prefix = "net."
    weights = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    net = _build(path, weights, metadata).eval()
    if config.get("standardise_each"):
        net.images = ImageSettings(standardise=True)
    return net


def _stated_json(path: Path, metadata: dict[str, str], *names: str) -> dict:
    """Return an object of JSON in the metadata of a file, or one inside of it."""
    try:
        content = json.loads(metadata[names[0]])
        for name in names[1:]:
            content = content[name]
        return dict(content)
    except (KeyError, TypeError, ValueError) as error:
        raise TensorFileError(f"{path} states no {' '.join(names)} that can be read; it is damaged") from error


def _build(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> UNet:
    try:
        with torch.device("meta"):  # settings are a claim: no memory before the weights are seen to fit, and no draw
            net = UNet(**_claimed(metadata["network"], weights=len(tensors)))
        net.load_state_dict({name: value.float() for name, value in tensors.items()}, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = short(str(error), limit=300)
        raise TensorFileError(f"{path} holds weights that do not fit its own settings ({reason})") from error
    return net


def _claimed(text: str, *, weights: int) -> dict:
    """Return the settings that a file states, unless it holds too few weights for so deep a network."""
    settings = json.loads(text)
    if check_scalar(settings["depth"], int, name="depth") > weights:
        raise ValueError(f"depth is {settings['depth']}, but there are only {weights} weights")
    return settings
