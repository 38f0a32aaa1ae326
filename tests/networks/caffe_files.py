"""Writes the authors' network as Caffe files (prototxt and binary weights), so that another program can read it.

Only what the tests need of the formats: `NetParameter.layer` (field 100) or, as older files have it, `layers` (field
2), with name, type and blobs; layer names and blob shapes as in the authors' release (facts of that file).
"""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from torch import nn

from unet_paper.networks.caffe import named_layers


def opencv_scores(folder: Path, net: nn.Module, image: np.ndarray, *, old: bool = False) -> np.ndarray:
    """Write `net` as Caffe files into `folder` and return what OpenCV's reader of them makes of (1, 1, n, n)."""
    definition, weights = folder / "net.prototxt", folder / "net.caffemodel"
    definition.write_text(prototxt(net, image.shape[-1]))
    weights.write_bytes(caffemodel(net, old=old))
    oracle = cv2.dnn.readNetFromCaffe(str(definition), str(weights))
    oracle.setInput(image)
    return oracle.forward()


def prototxt(net: nn.Module, size: int) -> str:
    """Return the text definition of the release variant for an input of `size` x `size` px."""
    layers, skips, bottom = [], [], "data"
    names = iter(named_layers(net))

    def add(kind: str, name: str, inputs: list[str], settings: str = "") -> str:
        sources = " ".join(f'bottom: "{source}"' for source in inputs)
        layers.append(f'layer {{ name: "{name}" type: "{kind}" {sources} top: "{name}" {settings} }}')
        return name

    def convolve(bottom: str, *, relu: bool = True) -> str:
        name, layer = next(names)
        kind = "Deconvolution" if isinstance(layer, nn.ConvTranspose2d) else "Convolution"
        numbers = f"num_output: {layer.out_channels} kernel_size: {layer.kernel_size[0]} stride: {layer.stride[0]}"
        top = add(kind, name, [bottom], f"convolution_param {{ {numbers} pad: 0 }}")
        return add("ReLU", f"relu_{name}", [top]) if relu else top

    for level in range(net.depth + 1):
        bottom = convolve(convolve(bottom))
        if level >= net.depth - 1:
            bottom = add("Dropout", f"dropout_{level}", [bottom], "dropout_param { dropout_ratio: 0.5 }")
        if level < net.depth:
            skips.append(bottom)
            bottom = add("Pooling", f"pool_{level}", [bottom], "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    side = (size - net.input_margin) // net.stride - 4  # of the deepest map
    for level in reversed(range(net.depth)):
        upsampled, skip = convolve(bottom), skips.pop()
        side = 2 * side
        offset = (_skip_size(size, level) - side) // 2
        cropped = add("Crop", f"crop_{level}", [skip, upsampled], f"crop_param {{ axis: 2 offset: {offset} }}")
        joined = add("Concat", f"concat_{level}", [upsampled, cropped])
        bottom, side = convolve(convolve(joined)), side - 4
    convolve(bottom, relu=False)
    head = f'name: "u-net"\ninput: "data"\ninput_dim: 1\ninput_dim: {net.in_channels}\n'
    return head + f"input_dim: {size}\ninput_dim: {size}\n" + "\n".join(layers) + "\n"


def caffemodel(net: nn.Module, *, old: bool = False) -> bytes:
    """Return the weights as a binary `NetParameter` with one message per convolution, in the newer or the old form."""
    write, number = (old_layer, 2) if old else (new_layer, 100)
    layers = [field(number, write(name, layer, arrays_of(layer))) for name, layer in named_layers(net)]
    without_weights = field(number, field(4 if old else 1, b"relu"))
    return field(1, b"u-net") + without_weights + b"".join(layers)


def arrays_of(layer: nn.Module) -> list[np.ndarray]:
    """Return weights and biases."""
    return [parameter.detach().numpy() for parameter in (layer.weight, layer.bias)]


def new_layer(name: str, layer: nn.Module, arrays: list[np.ndarray]) -> bytes:
    """LayerParameter: name = 1, type = 2, blobs = 7."""
    kind = b"Deconvolution" if isinstance(layer, nn.ConvTranspose2d) else b"Convolution"
    return field(1, name.encode()) + field(2, kind) + b"".join(field(7, new_blob(array)) for array in arrays)


def old_layer(name: str, layer: nn.Module, arrays: list[np.ndarray]) -> bytes:
    """V1LayerParameter: name = 4, type = 5 (CONVOLUTION 4, DECONVOLUTION 39), blobs = 6."""
    kind = number_field(5, 39 if isinstance(layer, nn.ConvTranspose2d) else 4)
    return b"".join(field(6, old_blob(array)) for array in arrays) + field(4, name.encode()) + kind


def new_blob(array: np.ndarray) -> bytes:
    """BlobProto: packed float data = 5, shape = 7 (BlobShape: packed int64 dim = 1)."""
    shape = field(1, b"".join(varint(n) for n in array.shape))
    return field(5, array.astype("<f4").tobytes()) + field(7, shape)


def old_blob(array: np.ndarray) -> bytes:
    """BlobProto: num = 1, channels = 2, height = 3, width = 4, packed float data = 5; a bias is (1, 1, 1, n)."""
    shape = (1,) * (4 - array.ndim) + array.shape
    sides = b"".join(number_field(number, n) for number, n in enumerate(shape, 1))
    return sides + field(5, array.astype("<f4").tobytes())


def _skip_size(size: int, level: int) -> int:
    for _ in range(level):
        size = (size - 4) // 2
    return size - 4


def field(number: int, payload: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number_field(number: int, n: int) -> bytes:
    """Return a protobuf field that holds a whole number >= 0."""
    return varint(number << 3) + varint(n)


def varint(n: int) -> bytes:
    """Return a whole number >= 0, 7 bits a byte, the lowest first."""
    groups = []
    while True:
        groups.append(n & 0x7F)
        n >>= 7
        if not n:
            return struct.pack(f"{len(groups)}B", *(group | 0x80 for group in groups[:-1]), groups[-1])
