"""Exported networks, read back: what another program would run, here for every tile of the book's own prediction."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

from unet_paper.messages import reason
from unet_paper.model import UNet
from unet_paper.networks.engine_network import EngineNetwork, Run, compiled, session_of
from unet_paper.networks.export import FORMAT, KEY, quiet
from unet_paper.networks.extras import MissingPackageError, needed
from unet_paper.networks.image_settings import ImageSettings


def load_exported(path: str | os.PathLike) -> EngineNetwork:
    """Return a network that `export_network` wrote, run by the program that it was written for.

    Parameters
    ----------
    path : path
        An `.onnx`, `.pt2` or `.xml` file. A bioimage.io package is for programs that read such packages.

    Returns
    -------
    EngineNetwork
        Stands wherever a `UNet` stands; `images` and `card` are those of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it has another ending, is damaged, was not written here, or a package is missing.
    """
    path = Path(path)
    readers = {".onnx": _onnx, ".pt2": _program, ".xml": _openvino}
    if path.suffix not in readers:
        raise ValueError(f"{path} ends in {path.suffix!r}; an exported network ends in {', '.join(readers)}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        run, text = readers[path.suffix](path)
        about = json.loads(text)
        settings = about["network"] if about["format"] == FORMAT else None
        sizes = UNet(**{**settings, "base_channels": 1}).eval()
        images = ImageSettings(**about["images"]) if about["images"] else None
    except MissingPackageError:
        raise
    except Exception as error:  # three libraries, each with errors of its own for a file that is none
        raise ValueError(f"{path} is damaged, or no network that export_network wrote ({reason(error)})") from error
    net = EngineNetwork(sizes, run, name=path.name, images=images)
    net.card = about["card"]
    return net


def _onnx(path: Path) -> tuple[Run, str]:
    onnx = needed("onnx", extra="export", what="an ONNX file")
    entries = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    return session_of(path.read_bytes()), entries[KEY]


def _program(path: Path) -> tuple[Run, str]:
    files = {f"{KEY}.json": ""}
    with open(path, "rb") as file, quiet():
        program = torch.export.load(file, extra_files=files).module()

    def run(values):
        with torch.inference_mode():
            return program(torch.from_numpy(values)).numpy()

    return run, files[f"{KEY}.json"]


def _openvino(path: Path) -> tuple[Run, str]:
    openvino = needed("openvino", extra="engines", what="an OpenVINO file")
    with open(path, "rb") as file:
        if not file.read(100).lstrip().startswith(b"<?xml"):
            raise ValueError("it does not begin as XML does")  # OpenVINO would try other kinds, and print what they say
    model = openvino.Core().read_model(path)
    return compiled(model), str(model.get_rt_info([KEY]).astype(str))
