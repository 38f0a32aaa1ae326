"""Writes the authors' network as Caffe files (prototxt and binary weights), so that another program can read it.

Only what the tests need of the two formats: `NetParameter.layer` (field 100) with name, type and blobs; layer names
and blob shapes as in the authors' release (facts of that file).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from torch import nn


def named_layers(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
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


def caffemodel(net: nn.Module) -> bytes:
    """Return the weights as a binary `NetParameter` with one `LayerParameter` per convolution."""
    return b"".join(_field(100, _layer(name, layer)) for name, layer in named_layers(net))


def _skip_size(size: int, level: int) -> int:
    for _ in range(level):
        size = (size - 4) // 2
    return size - 4


def _layer(name: str, layer: nn.Module) -> bytes:
    kind = b"Deconvolution" if isinstance(layer, nn.ConvTranspose2d) else b"Convolution"
    blobs = [_blob(parameter.detach().numpy()) for parameter in (layer.weight, layer.bias)]
    return _field(1, name.encode()) + _field(2, kind) + b"".join(_field(7, blob) for blob in blobs)


def _blob(values: np.ndarray) -> bytes:
    """BlobProto: packed float data = 5, shape = 7 (BlobShape: packed int64 dim = 1)."""
    shape = _field(1, b"".join(_varint(n) for n in values.shape))
    return _field(5, values.astype("<f4").tobytes()) + _field(7, shape)


def _field(number: int, payload: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(n: int) -> bytes:
    groups = []
    while True:
        groups.append(n & 0x7F)
        n >>= 7
        if not n:
            return struct.pack(f"{len(groups)}B", *(group | 0x80 for group in groups[:-1]), groups[-1])
