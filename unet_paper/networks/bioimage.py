"""A network as a package of bioimage.io: weights, description, documentation and a test, for Fiji, ilastik and QuPath.

A package describes how tiles are cut: the halo is what a reader of the package adds around a tile and cuts off again.
So the network in it gives a map as large as its input, in which a frame of `border` px (92) holds nothing.

References
----------
bioimage.io model description 0.5: https://bioimage.io/docs.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unet_paper.atomic import replacing
from unet_paper.datasets.synthetic_frames import synthetic_cells
from unet_paper.datasets.synthetic_sections import synthetic_em
from unet_paper.files import sha256_of
from unet_paper.model import UNet
from unet_paper.networks.card import card_text
from unet_paper.networks.extras import needed
from unet_paper.networks.image_settings import PERCENTILES
from unet_paper.networks.library import TrainedNetwork

TEST_SIZE = (236, 252)  # px, two legal sides at depth 4; others take the next ones
PAPER = "10.1007/978-3-319-24574-4_28"
AsOnnx = Callable[..., None]


class Framed(nn.Module):
    """Probabilities in a frame of zeros, `border` px wide: (B, C, H, W) -> (B, K, H, W)."""

    def __init__(self, portable: nn.Module, border: int):
        super().__init__()
        self.portable, self.border = portable, border

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities where the whole context was seen, 0 elsewhere."""
        return F.pad(self.portable(image).softmax(dim=1), (self.border,) * 4)


def write_package(path: Path, trained: TrainedNetwork, about: Mapping, *, portable: nn.Module, as_onnx: AsOnnx) -> None:
    """Write a package, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The `.zip` file.
    trained : TrainedNetwork
        With a card.
    about : mapping
        From `unet_paper.networks.export.facts`; stands in the package under ``config: unet_paper``.
    portable : Module
        The network, in the form that can be exported.
    as_onnx : callable
        `unet_paper.networks.export.as_onnx`.

    Raises
    ------
    ValueError
        If the network has no card, or the package bioimageio.core is not installed.
    """
    if trained.card is None:
        raise ValueError(f"{trained.name} has no card; a package says what its network is: save_network(..., card=...)")
    spec = needed("bioimageio.spec", extra="export", what="a bioimage.io package")
    net = trained.net
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        as_onnx(Framed(portable, net.border), folder / "network.onnx", dict(about), sizes=net)
        _write_texts(folder, trained)
        _write_test(folder, net, about)
        model = _described(folder, trained, about)
        with replacing(path) as unfinished:
            spec.save_bioimageio_package(model, output_path=folder / "package.zip")
            unfinished.write_bytes((folder / "package.zip").read_bytes())


def preprocessing(images: Mapping | None) -> list[dict]:
    """Return how grey values come into what the network knows, as steps of a package.

    Parameters
    ----------
    images : mapping or None
        `ImageSettings` as a dictionary; None for networks that take [0, 1].
    """
    images = images or {"normalise": "none", "standardise": False}
    black, white = images.get("black", 0.0), images.get("white", 1.0)
    if images["normalise"] == "none":
        steps = [_step("scale_linear", gain=1 / 255, offset=0.0)]
    elif images["normalise"] == "range":
        steps = [_step("scale_range", axes=["y", "x"], min_percentile=0.0, max_percentile=100.0)]
    else:
        low, high = PERCENTILES
        steps = [_step("scale_range", axes=["y", "x"], min_percentile=low, max_percentile=high)]
        steps.append(_step("scale_linear", gain=white - black, offset=black))
    steps.append(_step("clip", min=0.0, max=1.0))
    if images["standardise"]:
        steps.append(_step("zero_mean_unit_variance", axes=["y", "x"]))
    return steps


def _step(name: str, **settings) -> dict:
    return {"id": name, "kwargs": settings}


def _described(folder: Path, trained: TrainedNetwork, about: Mapping):
    """Return the description of the package, checked by bioimage.io's own library."""
    v0_5 = needed("bioimageio.spec.model.v0_5", extra="export", what="a bioimage.io package")
    net, card, images = trained.net, trained.card, about["images"]
    space = {"type": "space", **_pixel(images)}
    size = {"min": net.legal_size_for(1), "step": net.stride}  # 188, 204, ...: 16k+60
    sides = [{**space, "id": side, "size": size, "concatenable": True} for side in "yx"]
    inner = [
        {**space, "id": side, "halo": net.border, "size": {"tensor_id": "image", "axis_id": side}} for side in "yx"
    ]
    eight_bits = not images or images["normalise"] == "none"
    grey = {"type": "float32", "range": [0.0, 255.0] if eight_bits else [None, None]}
    channels = [f"channel{n}" for n in range(net.in_channels)]
    classes = ["other", "cell"] if net.num_classes == 2 else [f"class{n}" for n in range(net.num_classes)]
    return v0_5.ModelDescr.model_validate(
        {
            "format_version": v0_5.ModelDescr.implemented_format_version,
            "type": "model",
            "name": _name(card),
            "description": f"U-Net of the 2015 paper. Licence note: {card['licence']}"[:1020],
            "authors": [{"name": "The unet-paper authors"}],
            "cite": [{"text": "Ronneberger, Fischer, Brox (2015), U-Net", "doi": PAPER}],
            "documentation": {"source": str(folder / "README.md")},
            "tags": ["unet", "2d", "segmentation", "onnx", "cells"],
            "inputs": [
                {
                    "id": "image",
                    "description": "grey values of 8 bits, 0 to 255" if eight_bits else "grey values of any range",
                    "axes": [{"type": "batch"}, {"type": "channel", "channel_names": channels}, *sides],
                    "data": grey,
                    "test_tensor": {"source": str(folder / "test_input.npy")},
                    "pad": {"mode": "reflect"},
                    "preprocessing": preprocessing(images),
                }
            ],
            "outputs": [
                {
                    "id": "probability",
                    "description": "of each class; the halo holds nothing",
                    "axes": [{"type": "batch"}, {"type": "channel", "channel_names": classes}, *inner],
                    "data": {"type": "float32", "range": [0.0, 1.0]},
                    "test_tensor": {"source": str(folder / "test_output.npy")},
                }
            ],
            "weights": {"onnx": {"source": str(folder / "network.onnx"), "opset_version": 18}},
            "config": {"unet_paper": dict(about)},
        }
    )


def _pixel(images: Mapping | None) -> dict:
    """Return the side of a pixel as the network sees it, in eighths of a nanometre.

    A package computes sizes of the output with it, and rounds down: a factor such as 1.3 would lose a pixel.
    """
    if not images or not images["pixel_size"]:
        return {"scale": 1.0}
    nanometres = 1000 * images["pixel_size"] / images["scale"]
    return {"scale": max(1, round(8 * nanometres)) / 8, "unit": "nanometer"}


def _name(card: Mapping) -> str:
    return re.sub(r"[^\w+ ().-]", " ", f"U-Net {card['name']}", flags=re.ASCII)[:120]


def _write_texts(folder: Path, trained: TrainedNetwork) -> None:
    net, images = trained.net, getattr(trained.net, "images", None)
    file = Path(trained.name)
    text = card_text(trained.card, net, file=file.name, sha256=sha256_of(file) if file.is_file() else "not from a file")
    scale = images.scale if images else 1.0
    (folder / "README.md").write_text(f"{text}\n{USE.format(**_numbers(net, scale))}", encoding="utf-8")


def _numbers(net: UNet, scale: float) -> dict:
    smallest = net.legal_size_for(1)
    sizes = f"{net.stride}k+{net.input_margin}"
    return {"border": net.border, "stride": net.stride, "sizes": sizes, "smallest": smallest, "scale": f"{scale:g}"}


def _write_test(folder: Path, net: UNet, about: Mapping) -> None:
    """Write a generated image, and what PyTorch makes of it: the package's own test."""
    shape = tuple(net.legal_size_for(side - 2 * net.border) for side in TEST_SIZE)
    made = synthetic_em(1, shape) if (about["card"] or {}).get("task") == "em" else synthetic_cells(1, shape)
    grey = np.repeat(np.round(255 * made.images[0])[None, None], net.in_channels, axis=1).astype(np.float32)
    np.save(folder / "test_input.npy", grey)
    unit = prepared(grey, about["images"])
    with torch.inference_mode():
        inner = net(torch.from_numpy(unit)).softmax(dim=1)
    np.save(folder / "test_output.npy", F.pad(inner, (net.border,) * 4).numpy())


def prepared(grey: np.ndarray, images: Mapping | None) -> np.ndarray:
    """Return grey values (B, C, H, W) after the steps of `preprocessing`, float32."""
    x = grey.astype(np.float64)
    for step in preprocessing(images):
        how = step["kwargs"]
        if step["id"] == "scale_linear":
            x = x * how["gain"] + how["offset"]
        elif step["id"] == "scale_range":
            low, high = (
                np.percentile(x, how[name], axis=(2, 3), keepdims=True) for name in ("min_percentile", "max_percentile")
            )
            x = (x - low) / (high - low + 1e-6)
        elif step["id"] == "clip":
            x = x.clip(how["min"], how["max"])
        else:
            x = (x - x.mean(axis=(2, 3), keepdims=True)) / (x.std(axis=(2, 3), keepdims=True) + 1e-6)
    return x.astype(np.float32)


USE = """\
## Use in other programs

The network takes images whose sides are {sizes} px, at least {smallest}, and returns probabilities of the same size.
The outer {border} px on every side (the halo) hold nothing: there the network has not seen its whole context. Programs
that read this package add the halo around an image by mirroring it, and cut it off again.

Resize images by {scale} first, so that pixels are as large as the description of the axes says; resize the result back.

Pooling looks at a fixed grid of {stride} px. Programs that start tiles elsewhere get slightly other numbers at the same
pixel; `unet_paper` starts them on the grid, so that its result does not depend on the tiles.

## Validation

The scores above are those on held-out images. For your own, draw the cells of a few images that the network has never
seen and compare: `unet-paper score MASKS REFERENCE` gives SEG, DET and F1.
"""
