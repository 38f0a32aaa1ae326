"""A trained network run by another engine: ONNX Runtime or OpenVINO, in 8-bit whole numbers where that is asked for.

What `on_engine` returns stands wherever a `UNet` stands (`predict_scores`, `predict_probability`, `segment`), so tiles,
rotations and cells are those of the book, whoever multiplies.

Static quantisation: activations and weights become whole numbers of 8 bits, whose ranges are measured once, on a few
calibration images. PyTorch in float32 remains the reference.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from unet_paper.datasets.cell_tracking import load_cell_tracking
from unet_paper.datasets.isbi2012 import load_isbi2012
from unet_paper.model import UNet, autocast
from unet_paper.networks.engine_network import EngineNetwork, Run, compiled, session_of
from unet_paper.networks.export import Portable, as_onnx, as_openvino, quiet, traced
from unet_paper.networks.extras import MissingPackageError, needed
from unet_paper.options import check_choice
from unet_paper.overlap_tile import as_network_input, mirror_crop
from unet_paper.resizing import resize_image, scaled_size

ENGINES = ("torch", "onnxruntime", "openvino")
PRECISIONS = {  # what each engine computes in, on a CPU
    "torch": ("float32", "bfloat16"),
    "onnxruntime": ("float32", "int8"),
    "openvino": ("float32", "bfloat16", "int8"),
}
AGREES = 0.995  # share of pixels that get the class of PyTorch in float32: below it, an engine is not taken
CALIBRATED_ON = 12  # tiles
_CALIBRATION_OUTPUT = 132  # px; 316 px go in at the paper's depth


def on_engine(
    net: UNet, engine: str, *, precision: str = "float32", calibration: Sequence[np.ndarray] | None = None
) -> nn.Module:
    """Return a network that an engine runs on the CPU, on as many threads as PyTorch.

    Parameters
    ----------
    net : UNet
        The network; not changed.
    engine : {"torch", "onnxruntime", "openvino", "auto"}
        ``"auto"`` is `fastest` on the calibration images.
    precision : {"float32", "bfloat16", "int8"}
        Of the convolutions: ONNX Runtime knows no bfloat16 on CPUs, PyTorch no int8 here. ``"auto"`` ignores it.
    calibration : sequence of array_like, optional
        Images (H, W) or (C, H, W) in [0, 1] as the network sees them (at its scale), for int8 and ``"auto"``; a handful
        is enough.

    Returns
    -------
    Module
        `EngineNetwork`, or for PyTorch one that computes in the precision asked for.

    Raises
    ------
    ValueError
        If the engine does not know the precision, int8 has no calibration images, or a package is missing.
    """
    check_engine(engine, precision)
    if engine == "auto":
        return fastest(net, calibration)
    if precision == "int8" and not calibration:
        raise ValueError(
            "int8 needs calibration images: a handful like those the network was trained on, in [0, 1] at its scale "
            "(--calibration FOLDER)"
        )
    return _made(Workshop(net, calibration), engine, precision)


def every_way(
    net: UNet, calibration: Sequence[np.ndarray], *, tiles: int = CALIBRATED_ON
) -> Iterator[EngineNetwork | str]:
    """Give the network on every engine in every precision, PyTorch in float32 first; where one is missing, why.

    Parameters
    ----------
    net, calibration
        As in `on_engine`.
    tiles : int
        How many tiles of those images are looked at.
    """
    workshop = Workshop(net, calibration, count=tiles)
    for engine in ENGINES:
        for precision in PRECISIONS[engine]:
            try:
                yield _made(workshop, engine, precision)
            except MissingPackageError as error:
                yield f"{engine} {precision}: {error}"


def check_engine(engine: str, precision: str) -> None:
    """Refuse an engine that there is not, or a precision that it does not know.

    Raises
    ------
    ValueError
        Naming the engines that know the precision.
    """
    check_choice(engine, (*ENGINES, "auto"), name="engine")
    if engine == "auto" or precision in PRECISIONS[engine]:
        return
    others = " and ".join(name for name, known in PRECISIONS.items() if precision in known)
    hint = f"; {precision} runs on {others} (--engine)" if others else ""
    raise ValueError(f"{engine} computes in {' or '.join(PRECISIONS[engine])}, not {precision!r}{hint}")


def fastest(net: UNet, calibration: Sequence[np.ndarray] | None, *, say: Callable[[str], None] = print) -> nn.Module:
    """Return the fastest of all engines and precisions that agrees with PyTorch in float32, on one tile of each image.

    Parameters
    ----------
    net : UNet
        The network.
    calibration : sequence of array_like
        As in `on_engine`.
    say : callable
        Gets one line for each way: seconds, and the share of pixels with the same class.

    Raises
    ------
    ValueError
        If there are no images to compare on.
    """
    if not calibration:
        raise ValueError("engine 'auto' compares engines on images: pass calibration images (--calibration FOLDER)")
    tiles = calibration_tiles(net, calibration)
    ways = every_way(net, calibration)
    best = next(ways)
    expected = [classes(best, tile) for tile in tiles]
    best_time = seconds(best, tiles[0])
    say(f"{best.name}: {best_time:.2f} s a tile; the reference")
    for other in ways:
        if isinstance(other, str):
            say(other)
            continue
        same = float(np.mean([(classes(other, t) == e).mean() for t, e in zip(tiles, expected, strict=True)]))
        taken = seconds(other, tiles[0])
        say(f"{other.name}: {taken:.2f} s a tile; {100 * same:.2f} % of the pixels agree")
        if same >= AGREES and taken < best_time:
            best, best_time = other, taken
    say(f"taken: {best.name}")
    return best


def classes(net: nn.Module, tile: np.ndarray) -> np.ndarray:
    """(B, C, H, W) -> (B, h, w): the more probable class of every pixel."""
    with torch.inference_mode():
        return net(torch.from_numpy(tile)).argmax(dim=1).numpy()


def seconds(net: nn.Module, tile: np.ndarray, *, rounds: int = 3) -> float:
    """Return the shortest of a few times that a network takes for a tile, s; once before, the clock stands still."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        classes(net, tile)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def calibration_tiles(net: UNet, images: Sequence[np.ndarray], *, count: int = CALIBRATED_ON) -> list[np.ndarray]:
    """Cut tiles (1, C, H, W) float32 of a legal size out of images, by turns, at places spread over each.

    Raises
    ------
    ValueError
        If an image is not in [0, 1], or has other channels than the network.
    """
    images = [as_network_input(image) for image in images]
    if wrong := [image.shape for image in images if image.shape[0] != net.in_channels]:
        raise ValueError(f"a calibration image has {wrong[0][0]} channels; this network takes {net.in_channels}")
    side, places = net.legal_size_for(_CALIBRATION_OUTPUT), np.random.default_rng(0)
    tiles = []
    for number in range(count):
        image = images[number % len(images)]
        top, left = (int(places.integers(max(1, n - side + 1))) for n in image.shape[1:])
        tiles.append(mirror_crop(image, top, left, (side, side))[None])
    return tiles


def training_images(card: dict | None) -> list[np.ndarray]:
    """Return training images of a published network, in [0, 1] at its scale, where the data lies on this machine.

    Parameters
    ----------
    card : dict or None
        Of the network: its ``"data"`` names data set, sequence and frames.

    Raises
    ------
    ValueError
        If the card names no data that this book can load.
    FileNotFoundError
        If they are not on this machine.
    """
    name, _, frames = (card or {}).get("data", "").partition(", frames ")
    if not frames:
        raise ValueError("int8 needs calibration images, and the network's card names none: --calibration FOLDER")
    numbers = [int(number) for number in frames.split(", ")]
    if name == "isbi2012-train":
        images = load_isbi2012("train").subset(numbers).images
    else:
        sequence = name.split("/")
        images = load_cell_tracking(sequence[0], sequence[1], frames=numbers).images
    size = scaled_size(images.shape[1:], card["scale"])
    return list(images if card["scale"] == 1 else resize_image(images, size).clip(0, 1))


class Workshop:
    """A network and the forms that engines need, each made once, when it is first asked for."""

    def __init__(self, net: UNet, calibration: Sequence[np.ndarray] | None, *, count: int = CALIBRATED_ON):
        self.net, self.calibration, self.count = net.eval(), calibration, count

    @cached_property
    def tiles(self) -> list[np.ndarray]:
        """Calibration tiles."""
        return calibration_tiles(self.net, self.calibration, count=self.count)

    @cached_property
    def program(self) -> ExportedProgram:
        """The network as PyTorch exports it."""
        return traced(Portable(self.net), self.net)

    @cached_property
    def onnx(self) -> bytes:
        """The content of an ONNX file."""
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "network.onnx"
            as_onnx(Portable(self.net), path, {}, program=self.program)
            return path.read_bytes()

    @cached_property
    def openvino(self):
        """The OpenVINO model."""
        needed("openvino", extra="engines", what="the engine openvino")  # before the program is traced
        return as_openvino(self.net, program=self.program)


def _made(workshop: Workshop, engine: str, precision: str) -> EngineNetwork:
    net = workshop.net
    run = {"torch": _torch, "onnxruntime": _onnxruntime, "openvino": _openvino}[engine](workshop, precision)
    sizes = UNet(net.in_channels, net.num_classes, base_channels=1, depth=net.depth).eval()
    return EngineNetwork(sizes, run, name=f"{engine} {precision}", images=getattr(net, "images", None))


def _torch(workshop: Workshop, precision: str) -> Run:
    net = workshop.net.to(memory_format=torch.channels_last)

    def run(values: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(values).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), autocast(batch.device, precision):
            return net(batch).float().numpy()

    return run


def _onnxruntime(workshop: Workshop, precision: str) -> Run:
    needed("onnxruntime", extra="engines", what="the engine onnxruntime")
    return session_of(_quantised(workshop) if precision == "int8" else workshop.onnx)


def _quantised(workshop: Workshop) -> bytes:
    """Return the ONNX file with weights and activations in 8 bits, their ranges measured on the calibration tiles."""
    quantization = needed("onnxruntime.quantization", extra="engines", what="int8 on onnxruntime")

    class Tiles(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = iter(workshop.tiles)

        def get_next(self) -> dict | None:
            tile = next(self.left, None)
            return None if tile is None else {"image": tile}

    with tempfile.TemporaryDirectory() as place, quiet():
        before, after = Path(place) / "network.onnx", Path(place) / "int8.onnx"
        before.write_bytes(workshop.onnx)
        quantization.quantize_static(
            str(before),
            str(after),
            Tiles(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return after.read_bytes()


def _openvino(workshop: Workshop, precision: str) -> Run:
    model = workshop.openvino
    if precision == "int8":
        nncf = needed("nncf", extra="engines", what="int8 on openvino")
        tiles = workshop.tiles
        with quiet():
            how = {"subset_size": len(tiles), "preset": nncf.QuantizationPreset.MIXED}
            model = nncf.quantize(model, nncf.Dataset(tiles), **how)
    return compiled(model, precision)
