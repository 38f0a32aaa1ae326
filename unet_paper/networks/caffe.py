"""Read the network that the authors published: weights of Caffe, a binary `NetParameter` message.

Two forms of the file exist. Newer ones list their layers in field 100 (`layer`), older ones in field 2 (`layers`); the
order of a layer's own fields differs too. Shapes are written as `shape`, or in older files as four numbers.

References
----------
Jia et al. (2014), Caffe, doi:10.1145/2647868.2654889; the field numbers are those of its `caffe.proto`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unet_paper.model import UNet
from unet_paper.networks.protobuf import BYTES, FIXED32, FIXED64, VARINT, WireFormatError, read_varint, values

# (field of the layer in the file, then within a layer: field of the name, field of the weights)
FORMS = ((100, 1, 7), (2, 4, 6))  # LayerParameter, V1LayerParameter
HDF5 = b"\x89HDF\r\n\x1a\n"


class CaffeModelError(ValueError):
    """A file that is not the authors' network; the message says why."""


def load_caffemodel(path: str | os.PathLike) -> UNet:
    """Return the network of a `.caffemodel` of the authors' release, such as ``phseg_v5.caffemodel``.

    It expects grey images in [0, 1], nothing subtracted, mirrored at their edges as `unet_paper.predict_scores` does;
    so do the scripts of the release. The file does not say what its two classes mean. The release marks ignored pixels
    by a 2, which leaves 0 and 1 for the classes; that 1 is cell, as everywhere in this module, is our reading of it.
    Compare one image with its result before you rely on that.

    Parameters
    ----------
    path : path
        Binary weights of Caffe, in the newer or the older form. Files narrower than the release are read as well.

    Returns
    -------
    UNet
        ``UNet(variant="release")``: float32, in evaluation mode, on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CaffeModelError
        If the file is damaged, of another kind, or holds another network; a ValueError.
    """
    path = Path(path)
    try:
        layers = read_layers(path.read_bytes())
        _check_names(layers)
        net = _release(_base_channels(layers))
        for name, layer in named_layers(net):
            _fill(name, layer, layers[name])
    except WireFormatError as error:
        raise CaffeModelError(f"{path} is cut off or no Caffe file ({error}); download it again") from error
    except CaffeModelError as error:
        raise CaffeModelError(f"{path} {error}") from error
    return net.eval()


def named_layers(net: UNet) -> Iterator[tuple[str, nn.Module]]:
    """Yield every convolution of a U-Net with its name in the authors' file, from input to output."""
    for level, block in enumerate(net.down):
        yield f"conv_d{level}a-b", block[0]
        yield f"conv_d{level}b-c", block[2]
    for index, (upsample, block) in enumerate(zip(net.upsample, net.up, strict=True)):
        level = net.depth - 1 - index
        above = f"d{net.depth}c" if index == 0 else f"u{level + 1}d"
        yield f"upconv_{above}_u{level}a", upsample[0]
        yield f"conv_u{level}b-c", block[0]
        yield f"conv_u{level}c-d", block[2]
    yield "conv_u0d-score", net.score


def read_layers(content: bytes) -> dict[str, list[np.ndarray]]:
    """Return the blobs (weights, then biases) of every layer that has any, by name.

    Parameters
    ----------
    content : bytes
        A whole `.caffemodel`.

    Returns
    -------
    dict of str to list of numpy.ndarray
        Float32 blobs in the shapes that the file gives them, for example (64, 1, 3, 3) and (64,).

    Raises
    ------
    CaffeModelError, WireFormatError
        If it is no such file, or its blobs contradict themselves.
    """
    _check_kind(content)
    layers = {}
    for in_file, of_name, of_blob in FORMS:
        for message in values(memoryview(content), in_file, BYTES):
            name = b"".join(values(message, of_name, BYTES)[-1:]).decode(errors="replace")
            blobs = [_read_blob(name, blob) for blob in values(message, of_blob, BYTES)]
            if blobs and name in layers:
                raise CaffeModelError(f"has two layers called {name!r}")
            if blobs:
                layers[name] = blobs
    if not layers:
        raise CaffeModelError("holds no layer with weights; pass the .caffemodel that training wrote")
    return layers


def _check_kind(content: bytes) -> None:
    if not content:
        raise CaffeModelError("is empty; download it again")
    if content.startswith(HDF5):
        raise CaffeModelError("is an HDF5 file, another format of Caffe; save the network as binary protobuf")
    if _is_text(content[:1000]):
        raise CaffeModelError("is text, such as a prototxt, which holds no weights; pass the binary .caffemodel")


def _is_text(head: bytes) -> bool:
    """Tell whether there is no control character but blanks: the keys of a binary file contain some."""
    return all(byte >= 0x20 or byte in b"\t\n\r" for byte in head)


def _read_blob(layer: str, blob: memoryview) -> np.ndarray:
    """BlobProto: floats in field 5 or doubles in field 8, packed or one by one; its shape in field 7 or 1 to 4."""
    parts = [_numbers(value, "<f4") for value in values(blob, 5, BYTES, FIXED32)]
    parts += [_numbers(value, "<f8") for value in values(blob, 8, BYTES, FIXED64)]
    size, shape = sum(map(len, parts)), _shape(blob)
    if size == 0 or not 1 <= len(shape) <= 4 or math.prod(shape) != size:
        raise CaffeModelError(f"has {size} numbers of shape {shape} in layer {layer!r}; they do not fit each other")
    with np.errstate(over="ignore"):  # doubles too large become infinite, which is refused later
        return np.concatenate(parts).astype(np.float32, copy=False).reshape(shape)


def _numbers(value: memoryview, dtype: str) -> np.ndarray:
    if len(value) % np.dtype(dtype).itemsize:
        raise CaffeModelError(f"has {len(value)} bytes of numbers with {np.dtype(dtype).itemsize} bytes each")
    return np.frombuffer(value, dtype)


def _shape(blob: memoryview) -> tuple[int, ...]:
    """BlobShape: sides in field 1, packed or one by one; in older files number, channels, height, width."""
    if shapes := values(blob, 7, BYTES):
        packed = [n for value in values(shapes[-1], 1, BYTES) for n in _varints(value)]
        return tuple(packed + values(shapes[-1], 1, VARINT))
    return tuple((values(blob, number, VARINT) or [0])[-1] for number in (1, 2, 3, 4))


def _varints(packed: memoryview) -> Iterator[int]:
    position = 0
    while position < len(packed):
        number, position = read_varint(packed, position)
        yield number


def _check_names(layers: dict[str, list[np.ndarray]]) -> None:
    expected = [name for name, _ in named_layers(_release(1))]
    missing = [name for name in expected if name not in layers]
    unexpected = [name for name in layers if name not in expected]
    if missing or unexpected:
        raise CaffeModelError(
            f"holds another network; missing of the release: {_some(missing)}; unexpected: {_some(unexpected)}"
        )


def _some(names: list[str], *, most: int = 24) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more


def _base_channels(layers: dict[str, list[np.ndarray]]) -> int:
    """Return the width of the network, told by its deepest layer: 16 times as wide, and a third of all weights.

    So no file asks for a network much larger than itself.
    """
    shape = layers["conv_d4b-c"][0].shape
    width = shape[0] // 16
    if width < 1 or shape != (16 * width, 16 * width, 3, 3):
        raise CaffeModelError(f"has weights of shape {shape} in layer 'conv_d4b-c'; needs (1024, 1024, 3, 3)")
    return width


def _release(base_channels: int) -> UNet:
    with torch.random.fork_rng(devices=[]):  # the caller's generator does not move
        return UNet(variant="release", base_channels=base_channels)


def _fill(name: str, layer: nn.Module, blobs: list[np.ndarray]) -> None:
    if len(blobs) != 2:
        raise CaffeModelError(f"has {len(blobs)} blobs in layer {name!r}; needs 2, weights and biases")
    weights, biases = blobs
    if biases.shape == (1, 1, 1, biases.size):  # older files give every blob four sides
        biases = biases.reshape(-1)
    _copy(weights, layer.weight, what=f"weights in layer {name!r}")
    _copy(biases, layer.bias, what=f"biases in layer {name!r}")


@torch.no_grad()
def _copy(array: np.ndarray, parameter: Tensor, *, what: str) -> None:
    if array.shape != parameter.shape:
        raise CaffeModelError(f"has {what} of shape {array.shape}; needs {tuple(parameter.shape)}")
    if not np.isfinite(array).all():
        raise CaffeModelError(f"has NaN or infinity among the {what}; take another file")
    parameter.copy_(torch.from_numpy(array))
