"""Exported networks against PyTorch on random sizes: `python -m benchmarks.exported --output RECORD.json`.

Every form of every published network gets the same images, generated ones of its own kind: whole, in one piece of a
legal size, and tile by tile. A bioimage.io package is asked through bioimageio.core. Needs the extras `export` and
`engines`.
"""

from __future__ import annotations

import argparse
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
LARGEST = 332  # px of input: enough for every remainder that a size can have
PACKAGE_IMAGE = 324  # px: with the halo on both sides it is legal, so bioimageio.core takes it whole, too
TILE = 220  # px: an image of the sizes here takes up to 25 tiles


def measure(*, sizes: int = 50, networks: tuple[str, ...] = up.networks.library.NAMES) -> dict:
    """Return the record: for each network and form, the largest difference to PyTorch over all sizes."""
    record = {"format": "unet_paper exported 1", "machine": described_machine(), "sizes": sizes, "networks": []}
    with tempfile.TemporaryDirectory() as folder:
        for name in networks:
            net = up.load_network(name)
            rows = [
                differences(net, up.networks.load_exported(written(name, form, folder)), form, sizes=sizes)
                for form in FORMS
            ]
            record["networks"].append({"network": name, "forms": rows, "package": package(name, net, folder)})
            print(record["networks"][-1], file=sys.stderr)
    return record


def written(name: str, form: str, folder: str) -> Path:
    """Export a network into a folder."""
    return export_network(name, Path(folder) / f"{name}{ENDINGS[form]}", format=form)


def differences(net: up.UNet, other: nn.Module, form: str, *, sizes: int) -> dict:
    """Return the largest differences of scores and probabilities, whole images and tile by tile.

    `scores` are raw, up to about 100 in size; `relative` is their difference over the largest score of the image.
    """
    worst = {"scores": 0.0, "relative": 0.0, "probability": 0.0, "tiled_probability": 0.0}
    largest = 0.0
    for image in images(net, sizes):
        window = torch.from_numpy(image)[None, None]
        with torch.inference_mode():
            expected, found = net(window), other(window)
        largest = max(largest, float(expected.abs().max()))
        inner = image[net.border : -net.border, net.border : -net.border]  # any size: tiles do not know legal ones
        tiled = [up.predict_probability(each, inner, tile=TILE, progress=False) for each in (net, other)]
        row = {
            "scores": float((found - expected).abs().max()),
            "relative": float((found - expected).abs().max() / expected.abs().max()),
            "probability": float((found.softmax(1) - expected.softmax(1)).abs().max()),
            "tiled_probability": float(np.abs(tiled[1] - tiled[0]).max()),
        }
        worst = {key: max(value, row[key]) for key, value in worst.items()}
    return {"form": form, "largest_score": largest, **worst}


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
    whole, blocks = (_predicted(pipeline, model, image, blockwise=blockwise) for blockwise in (False, True))
    mine = up.predict_probability(net, image, progress=False)
    same = (whole[1] > 0.5) == (blocks[1] > 0.5)
    return {
        "test": summary.status,
        "whole_to_pytorch": float(np.abs(whole - mine).max()),
        "blocks_to_whole": float(np.abs(blocks - whole).max()),
        "same_class": float(same.mean()),
    }


def _predicted(pipeline, model, image: np.ndarray, *, blockwise: bool) -> np.ndarray:
    """Return bioimageio.core's probabilities of an image, (K, H, W)."""
    from bioimageio.core.digest_spec import create_sample_for_model

    grey = (255 * image)[None, None].astype(np.float32)
    sample = create_sample_for_model(model, inputs={model.inputs[0].id: grey})
    predict = pipeline.predict_sample_with_blocking if blockwise else pipeline.predict_sample_without_blocking
    found = predict(sample, ns=1) if blockwise else predict(sample)
    return np.asarray(found.members["probability"].data.data)[0]


def main(arguments: list[str] | None = None) -> int:
    """Compare, print, write the record; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exported", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", help="default: em u373 dic-hela")
    parser.add_argument("--sizes", type=int, default=50, help="random sizes (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record, as JSON")
    options = parser.parse_args(arguments)
    record = measure(sizes=options.sizes, networks=tuple(options.networks) or up.networks.library.NAMES)
    if options.output:
        write_json(options.output, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
