"""A trained network as a file for other programs: ONNX, PyTorch's own export, OpenVINO, and a bioimage.io package.

Every form takes any legal input size, 16k+60 px a side at the paper's depth, and carries the facts that its user needs:
border (halo) and sizes, scale, grey values and pixel size of the training images, and the card with its licence note.

References
----------
ONNX: https://onnx.ai; OpenVINO: https://docs.openvino.ai; bioimage.io: https://bioimage.io/docs.
"""

from __future__ import annotations

import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from unet_paper.atomic import replacing
from unet_paper.model import UNet
from unet_paper.networks.bioimage import write_package
from unet_paper.networks.extras import needed
from unet_paper.networks.image_settings import ImageSettings
from unet_paper.networks.library import TrainedNetwork, read_network
from unet_paper.options import check_choice

FORMAT = "unet_paper export 1"
ENDINGS = {"onnx": ".onnx", "torch-export": ".pt2", "openvino": ".xml", "bioimageio": ".zip"}
OPSET = 18  # of ONNX: what PyTorch's exporter writes, and the oldest that needs no conversion
KEY = "unet_paper"  # under which the facts stand in every form


def export_network(
    network: TrainedNetwork | str | os.PathLike,
    output: str | os.PathLike | None = None,
    *,
    format: str,
    force: bool = False,
) -> Path:
    """Write a network for another program.

    Parameters
    ----------
    network : TrainedNetwork, str or path
        What `unet_paper.load_network` takes, or what `unet_paper.read_network` returns.
    output : path, optional
        The file to write; by default the network's name with the ending of the format, in the working directory.
        OpenVINO writes a second file beside it, with the ending `.bin`.
    format : {"onnx", "torch-export", "openvino", "bioimageio"}
        The first three are the network alone, (B, C, H, W) float32 in [0, 1] to scores (B, K, H - 184, W - 184). The
        package takes grey values as they come and gives probabilities as large as its input, whose outer 92 px on
        every side (the halo) hold nothing.
    force : bool
        Replace a file that is there.

    Returns
    -------
    pathlib.Path
        What was written, whole or not at all.

    Raises
    ------
    ValueError
        If there is no such format, the network's file is damaged, has no card (bioimageio), or a package is missing.
    FileExistsError, FileNotFoundError
        If the output exists, or there is no such network or folder.
    """
    check_choice(format, tuple(ENDINGS), name="format")
    trained = network if isinstance(network, TrainedNetwork) else read_network(network)
    path = Path(output) if output is not None else Path(Path(trained.name).stem + ENDINGS[format])
    written = [path, path.with_suffix(".bin")] if format == "openvino" else [path]
    _check_place(written, ending=ENDINGS[format], force=force)
    if format == "bioimageio":
        write_package(path, trained, facts(trained), portable=Portable(trained.net), as_onnx=as_onnx)
    elif format == "openvino":
        _write_openvino(path, trained)
    else:
        write = {"onnx": as_onnx, "torch-export": _save_program}[format]
        with replacing(path) as unfinished:
            write(Portable(trained.net), unfinished, facts(trained))
    return path


def facts(trained: TrainedNetwork) -> dict:
    """Return what a user of an exported network must know, as plain JSON.

    Returns
    -------
    dict
        ``network``: settings of `UNet`; ``border``: px that the output lacks on every side; ``sizes``: legal input
        sides, smallest, step and in words; ``input``, ``output``: axes and values; ``images``: what
        `ImageSettings` says of the training images, or None; ``card``: or None.
    """
    net: UNet = trained.net
    images: ImageSettings | None = getattr(net, "images", None)
    smallest = net.legal_size_for(1)
    return {
        "format": FORMAT,
        "network": net.settings,
        "border": net.border,
        "sizes": {
            "smallest": smallest,
            "step": net.stride,
            "in_words": f"{net.stride}k+{net.input_margin}, at least {smallest}",
        },
        "input": {"axes": "bcyx", "type": "float32", "values": "grey, in [0, 1]"},
        "output": {"axes": "bcyx", "values": "scores; softmax over c gives probabilities, class 1 is cell"},
        "images": None if images is None else asdict(images),
        "card": trained.card,
    }


class Portable(nn.Module):
    """The network with its crops as numbers: for legal sizes they do not depend on the size, so no form computes them.

    (B, C, H, W) -> (B, K, H - 2 border, W - 2 border), the same numbers as `UNet`; dropout is off.
    """

    def __init__(self, net: UNet):
        super().__init__()
        self.net = net
        self.crops = _crops(net)  # 4, 16, 40, 88 px at depth 4, from the deepest level up

    def forward(self, image: Tensor) -> Tensor:
        """Return raw class scores."""
        net, x, skips = self.net, image, []
        for level, convolve in enumerate(net.down):
            x = convolve(x)
            if level < net.depth:
                skips.append(x)
                x = net.pool(x)
        for upsample, convolve, crop in zip(net.upsample, net.up, self.crops, strict=True):
            x = convolve(torch.cat([upsample(x), skips.pop()[..., crop:-crop, crop:-crop]], dim=1))
        return net.score(x)


def _crops(net: UNet) -> list[int]:
    """Return how many px each skip loses on every side, the deepest first: what lies between it and its use."""
    lost, crops = 4, []  # px of both sides together: two convolutions on the lowest level
    for _ in range(net.depth):
        lost *= 2  # upsampled: the same part of the image has twice as many px
        crops.append(lost // 2)
        lost += 8  # two convolutions down and two up, on the level between this skip and the next
    return crops


def traced(net: nn.Module, sizes: UNet) -> ExportedProgram:
    """Return a network as a graph in which batch, height and width stay open.

    Parameters
    ----------
    net : Module
        (B, C, H, W) -> (B, K, h, w).
    sizes : UNet
        Says which sizes are legal.
    """
    example = torch.rand(2, sizes.in_channels, *(sizes.legal_size_for(n) for n in (20, 40)))
    with quiet():
        return torch.export.export(net.eval(), (example,), dynamic_shapes=_open_sizes(sizes))


def _open_sizes(net: UNet) -> dict:
    """Return batch, height and width as PyTorch writes what may vary: any number, 16k+60 and 16l+60."""
    least = (net.legal_size_for(1) - net.input_margin) // net.stride
    rows, columns = (net.stride * Dim(name, min=least) + net.input_margin for name in ("k", "l"))
    return {"image": {0: Dim("batch", min=1), 2: rows, 3: columns}}


def as_onnx(
    net: nn.Module, path: Path, about: dict, *, sizes: UNet | None = None, program: ExportedProgram | None = None
) -> None:
    """Write a network as one ONNX file, with the facts under the key ``unet_paper`` of its metadata.

    Parameters
    ----------
    net : Module
        `Portable`, or one that holds it.
    path : pathlib.Path
        Where to write.
    about : dict
        From `facts`.
    sizes : UNet, optional
        As in `traced`; by default the network inside `net`.
    program : ExportedProgram, optional
        From `traced`, where it is there already.

    Raises
    ------
    ValueError
        If the packages onnx and onnxscript are not installed.
    """
    for package in ("onnx", "onnxscript"):
        needed(package, extra="export", what="ONNX")
    sizes = sizes or net.net
    program = program or traced(net, sizes)
    names = {"input_names": ["image"], "output_names": ["scores"], "dynamic_shapes": _open_sizes(sizes)}
    with quiet():
        made = torch.onnx.export(program, (), dynamo=True, opset_version=OPSET, verbose=False, **names)
    made.model.metadata_props[KEY] = json.dumps(about)
    made.save(str(path))


def as_openvino(net: UNet, *, program: ExportedProgram | None = None):
    """Return a network as an OpenVINO model; `program` is from `traced`, where it is there already.

    Raises
    ------
    ValueError
        If the package openvino is not installed.
    """
    openvino = needed("openvino", extra="engines", what="OpenVINO")
    with quiet():
        return openvino.convert_model(program or traced(Portable(net), net))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what exporters and quantisers say about their own parts, for a while."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _save_program(net: Portable, path: Path, about: dict) -> None:
    with open(path, "wb") as file:  # a name without the ending .pt2 would make PyTorch warn
        torch.export.save(traced(net, net.net), file, extra_files={f"{KEY}.json": json.dumps(about)})


def _write_openvino(path: Path, trained: TrainedNetwork) -> None:
    """Write `path` and the weights beside it, the weights first: no reader finds a graph without them."""
    model = as_openvino(trained.net)
    model.set_rt_info(json.dumps(facts(trained)), [KEY])
    openvino = needed("openvino", extra="engines", what="OpenVINO")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "network.xml"
        openvino.save_model(model, made, compress_to_fp16=False)
        for ending in (".bin", ".xml"):
            with replacing(path.with_suffix(ending)) as unfinished:
                unfinished.write_bytes(made.with_suffix(ending).read_bytes())


def _check_place(paths: list[Path], *, ending: str, force: bool) -> None:
    path = paths[0]
    if path.suffix != ending:
        raise ValueError(f"{path} does not end in {ending}; name it {path.with_suffix(ending).name}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"folder {path.parent} does not exist; create it first")
    if present := [place for place in paths if place.exists() and not force]:
        raise FileExistsError(f"{present[0]} exists; name another file, or replace it with force=True (--force)")
