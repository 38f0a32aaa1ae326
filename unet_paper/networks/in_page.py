"""The narrow networks as scripts of a page, where the book runs them without a server: weights, card and an example.

A page that is opened as a file may load scripts and nothing else, so the numbers travel in scripts as base64. What
reads them is `book/_static/unet_in_page`; `book/build.py` writes them beside it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import torch

from unet_paper.datasets.folders import published
from unet_paper.datasets.synthetic_frames import synthetic_cells
from unet_paper.datasets.synthetic_sections import synthetic_em
from unet_paper.model import UNet
from unet_paper.networks.image_settings import settings_of
from unet_paper.networks.library import TrainedNetwork, read_network

OFFERED = ("u373", "dic-hela", "em")
MOST_CHANNELS = 16  # of the first level: 5 MB as text, and seconds for a frame
TITLES = {
    "u373": "u373: glioblastoma cells, phase contrast",
    "dic-hela": "dic-hela: HeLa cells, differential interference contrast",
    "em": "em: cells between membranes, electron microscopy",
}
FINDS = {
    "u373": "single glioblastoma cells in phase contrast, about 69 px across",
    "dic-hela": "crowded HeLa cells in differential interference contrast, about 112 px across",
    "em": "cells between membranes in serial-section electron microscopy, at 4 nm per px",
}
BINARIES = "vendor/tfjs-backend-wasm-simd.wasm"


def page_scripts(folder: Path, *, models: Path | None = None) -> Iterator[tuple[str, str]]:
    """Give name and text of every script that the page loads beside its own code.

    Parameters
    ----------
    folder : pathlib.Path
        ``book/_static/unet_in_page``, where the WebAssembly lies.
    models : pathlib.Path, optional
        Folder of the trained networks; by default those published here.

    Yields
    ------
    tuple of str
        ``("networks.js", ...)``, the list that comes with the page; ``("wasm.js", ...)`` and ``("network-NAME.js",
        ...)``, which come when a reader asks for them.

    Raises
    ------
    FileNotFoundError
        If the WebAssembly is not there.
    ValueError
        If a network cannot run in the page (`weights_in_order`).
    """
    models = published() / "models" if models is None else models
    files = {name: models / f"{name}.safetensors" for name in OFFERED}
    listed = []
    for name, trained in ((name, read_network(path)) for name, path in files.items() if path.is_file()):
        script = network_script(name, trained)
        listed.append(entry(name, trained, size=len(script)))
        yield f"network-{name}.js", script
    yield "networks.js", f"(window.UNetInPage = window.UNetInPage || {{}}).networks = {json.dumps(listed, indent=1)};\n"
    yield "wasm.js", _receive("wasm", _base64((folder / BINARIES).read_bytes()))


def network_script(name: str, trained: TrainedNetwork) -> str:
    """Return the script that hands one network to the page: its weights, what it expects, a generated image."""
    layers = weights_in_order(trained.net)
    flat = np.concatenate([part.ravel() for layer in layers for part in layer])
    data = {
        "settings": settings_of(trained.card).as_dict(),
        "shapes": [{"weight": weight.shape, "bias": bias.shape} for weight, bias in layers],
        "weights": _base64(flat.astype("<f2").tobytes()),
        "example": _base64(imagecodecs.png_encode(example_image(trained.card["task"]))),
    }
    return _receive(name, data)


def weights_in_order(net: UNet) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weight and bias of every layer in the order in which Fig. 1 is walked.

    Returns
    -------
    list of tuple of numpy.ndarray
        23 pairs: weight (h, w, in, out) float16, of an up-convolution (h, w, out, in), and bias (out,).

    Raises
    ------
    ValueError
        If it is not the paper's network for grey images and two classes with at most 16 channels in the first level.
    """
    settings = (net.variant, net.in_channels, net.num_classes, net.depth)
    if settings != ("paper", 1, 2, 4) or net.base_channels > MOST_CHANNELS:
        raise ValueError(
            f"the network has {net.base_channels} channels in the first level and (variant, channels, classes, depth) "
            f"{settings}; the page runs ('paper', 1, 2, 4) with at most {MOST_CHANNELS}"
        )
    walked = [step[at] for step in net.down for at in (0, 2)]
    for upsample, convolve in zip(net.upsample, net.up, strict=True):
        walked += [upsample[0], convolve[0], convolve[2]]
    # The same order of axes serves both: PyTorch keeps (out, in, h, w), of an up-convolution (in, out, h, w).
    return [(_half(layer.weight).transpose(2, 3, 1, 0), _half(layer.bias)) for layer in (*walked, net.score)]


def example_image(task: str) -> np.ndarray:
    """Return a generated image (H, W) uint8 of the kind that a network of this task was made for."""
    if task == "em":
        image = synthetic_em(1, 512).images[0]
    elif task == "u373":
        image = synthetic_cells(1, (520, 696), style="phase").images[0]
    else:
        image = synthetic_cells(1, 512, style="dic").images[0]
    return (255 * image).round().astype(np.uint8)


def entry(name: str, trained: TrainedNetwork, *, size: int) -> dict:
    """Return what the page's list says of a network: name, title, what it finds, its score, its terms, its size."""
    card, task = trained.card, trained.card["task"]
    return {
        "name": name,
        "title": TITLES[task],
        "finds": FINDS[task],
        "score": _score(card["scores"].get("none", {})),
        "licence": card["licence"],
        "megabytes": round(size / 1e6, 1),
    }


def _score(scores: dict) -> str:
    """Say in a sentence how good a network was on images of its kind that it had not seen; empty without a score."""
    if "seg" in scores:
        return f"On held-out images of that very kind its SEG was {scores['seg']:.2f}."
    if "v_rand" in scores:
        return f"On held-out sections of that very stack its V_Rand was {scores['v_rand']:.2f}."
    return ""


def _half(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float16)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _receive(name: str, data: dict | str) -> str:
    return f"UNetInPage.receive({json.dumps(name)}, {json.dumps(data)});\n"
