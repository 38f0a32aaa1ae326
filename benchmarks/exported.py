"""Exported networks against PyTorch on random sizes: `python -m benchmarks.exported --output RECORD.json`.

Every form of every published network gets the same images, generated ones of its own kind: whole, in one piece of a
legal size, and tile by tile. A bioimage.io package is asked through bioimageio.core. Needs the extras `export` and
`engines`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

import unet_paper as up
from benchmarks.record import described_machine
from unet_paper.files import write_json
from unet_paper.networks.export import ENDINGS, export_network

FORMS = ("onnx", "torch-export", "openvino")
LARGEST = 284  # px of input
PACKAGE_IMAGE = 324  # px: with the halo on both sides it is legal, so bioimageio.core takes it whole, too
TILE = 252  # px: an image of the sizes here takes up to four tiles


def measure(name: str, *, sizes: int = 50) -> dict:
    """Return, for each form of a published network, the largest difference to PyTorch over all sizes; and its package.

    Parameters
    ----------
    name : str
        Of the network.
    sizes : int
        How many images of random sizes.
    """
    net = up.load_network(name)
    with tempfile.TemporaryDirectory() as folder:
        others = {form: up.networks.load_exported(written(name, form, folder)) for form in FORMS}
        forms = differences(net, others, sizes=sizes)
        return {"machine": described_machine(), "sizes": sizes, "forms": forms, "package": package(name, net, folder)}


def written(name: str, form: str, folder: str) -> Path:
    """Export a network into a folder."""
    return export_network(name, Path(folder) / f"{name}{ENDINGS[form]}", format=form)


def differences(net: up.UNet, others: dict[str, nn.Module], *, sizes: int) -> dict[str, dict]:
    """Return the largest differences of scores and probabilities for each form, whole images and tile by tile.

    `scores` are raw, up to about 100 in size; `relative` is their difference over the largest score of the image.
    """
    worst = {form: dict.fromkeys(("scores", "relative", "probability", "tiled_probability"), 0.0) for form in others}
    for image in images(net, sizes):
        inner = image[net.border : -net.border, net.border : -net.border]  # of any size: tiles know no legal ones
        expected, tiled = answers(net, image, inner)
        for form, other in others.items():
            found, found_tiled = answers(other, image, inner)
            apart = float((found - expected).abs().max())
            row = {
                "scores": apart,
                "relative": apart / float(expected.abs().max()),
                "probability": float((found.softmax(1) - expected.softmax(1)).abs().max()),
                "tiled_probability": float(np.abs(found_tiled - tiled).max()),
            }
            worst[form] = {key: max(value, row[key]) for key, value in worst[form].items()}
    return worst


def answers(net: nn.Module, image: np.ndarray, inner: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """Return the scores of an image of a legal size, whole, and the probabilities of its inner part, tile by tile."""
    with torch.inference_mode():
        scores = net(torch.from_numpy(image)[None, None])
    return scores, up.predict_probability(net, inner, tile=TILE, progress=False)


def images(net: up.UNet, count: int) -> list[np.ndarray]:
    """Return images of random legal sizes, generated in the kind of the network's own."""
    generator = np.random.default_rng(0)
    steps = (LARGEST - net.legal_size_for(1)) // net.stride
    made = []
    for _ in range(count):
        size = tuple(int(net.legal_size_for(1) + net.stride * k) for k in generator.integers(0, steps + 1, 2))
        made.append(generated(net, size, generator))
    return made


def generated(net: up.UNet, size: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Return a generated section for the network of the EM task, a frame of cells for the others."""
    make = up.synthetic_em if net.card["task"] == "em" else up.synthetic_cells
    return make(1, size, generator=generator).images[0]


def package(name: str, net: up.UNet, folder: str) -> dict:
    """Return the outcome of `bioimageio test`, and how whole and block-wise prediction by bioimageio.core compare."""
    from bioimageio import core  # an optional package

    path = written(name, "bioimageio", folder)
    summary = core.test_model(path)
    model = core.load_model_description(path)
    pipeline = core.create_prediction_pipeline(model)
    image = generated(net, (PACKAGE_IMAGE, PACKAGE_IMAGE), np.random.default_rng(0))
    whole, blocks = (_predicted(pipeline, image, blockwise=blockwise) for blockwise in (False, True))
    mine = up.predict_probability(net, image, progress=False)
    same = (whole[1] > 0.5) == (blocks[1] > 0.5)
    return {
        "test": summary.status,
        "whole_to_pytorch": float(np.abs(whole - mine).max()),
        "blocks_to_whole": float(np.abs(blocks - whole).max()),
        "same_class": float(same.mean()),
    }


def _predicted(pipeline, image: np.ndarray, *, blockwise: bool) -> np.ndarray:
    """Return bioimageio.core's probabilities of an image, (K, H, W)."""
    from bioimageio.core import Sample, Tensor

    grey = (255 * image)[None, None].astype(np.float32)
    sample = Sample(members={"image": Tensor(grey, dims=("batch", "channel", "y", "x"))}, stat={}, id=None)
    if blockwise:
        found = pipeline.predict_sample_with_blocking(sample, ns=6)  # 284 px
    else:
        found = pipeline.predict_sample_without_blocking(sample)
    return np.asarray(found.members["probability"].data)[0]


def main(arguments: list[str] | None = None) -> int:
    """Compare, print, write the record; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exported", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", help="default: those of the book")
    parser.add_argument("--sizes", type=int, default=50, help="random sizes (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the record, as JSON; other networks in it stay"
    )
    options = parser.parse_args(arguments)
    record = {"format": "unet_paper exported 1", "networks": {}}
    if options.output and options.output.exists():
        record = json.loads(options.output.read_text())
    for name in options.networks or up.networks.library.NAMES:
        record["networks"][name] = measure(name, sizes=options.sizes)
        print(name, json.dumps(record["networks"][name], indent=1))
        if options.output:
            write_json(options.output, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
