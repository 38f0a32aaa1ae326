"""The authors' file: names and shapes of their release, both forms of it, and nothing else is taken for it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.networks.caffe_files import (
    caffemodel,
    field,
    new_blob,
    new_layer,
    number_field,
    old_blob,
    opencv_scores,
    varint,
)
from tests.training.tiny import same_numbers
from unet_paper import UNet, load_caffemodel
from unet_paper.networks.caffe import CaffeModelError, named_layers, read_layers
from unet_paper.networks.protobuf import fields, read_varint

RELEASE = {  # layer of the authors' file: shape of its weights
    "conv_d0a-b": (64, 1, 3, 3), "conv_d0b-c": (64, 64, 3, 3),
    "conv_d1a-b": (128, 64, 3, 3), "conv_d1b-c": (128, 128, 3, 3),
    "conv_d2a-b": (256, 128, 3, 3), "conv_d2b-c": (256, 256, 3, 3),
    "conv_d3a-b": (512, 256, 3, 3), "conv_d3b-c": (512, 512, 3, 3),
    "conv_d4a-b": (1024, 512, 3, 3), "conv_d4b-c": (1024, 1024, 3, 3),
    "upconv_d4c_u3a": (1024, 512, 2, 2), "conv_u3b-c": (512, 1024, 3, 3), "conv_u3c-d": (512, 512, 3, 3),
    "upconv_u3d_u2a": (512, 256, 2, 2), "conv_u2b-c": (256, 512, 3, 3), "conv_u2c-d": (256, 256, 3, 3),
    "upconv_u2d_u1a": (256, 128, 2, 2), "conv_u1b-c": (128, 256, 3, 3), "conv_u1c-d": (128, 128, 3, 3),
    "upconv_u1d_u0a": (128, 128, 2, 2), "conv_u0b-c": (64, 192, 3, 3), "conv_u0c-d": (64, 64, 3, 3),
    "conv_u0d-score": (2, 64, 1, 1),
}  # fmt: skip


def release(base_channels: int = 2, seed: int = 0) -> UNet:
    """Return a network with random weights and biases."""
    net, generator = UNet(variant="release", base_channels=base_channels), torch.Generator().manual_seed(seed)
    net.reset_parameters(generator)
    for _, layer in named_layers(net):
        nn.init.normal_(layer.bias, std=0.1, generator=generator)
    return net.eval()


def layer_with(blob: bytes) -> bytes:
    """Return a file with one layer of one blob."""
    return field(100, field(1, b"layer") + field(7, blob))


def load(tmp_path, content: bytes) -> UNet:
    (tmp_path / "net.caffemodel").write_bytes(content)
    return load_caffemodel(tmp_path / "net.caffemodel")


def changed(name: str, change) -> bytes:
    """Return a file in which one layer's arrays (weights, biases) are what `change` makes of them."""
    messages = []
    for own, layer in named_layers(release()):
        arrays = [parameter.detach().numpy().copy() for parameter in (layer.weight, layer.bias)]
        messages.append(field(100, new_layer(own, layer, change(*arrays) if own == name else arrays)))
    return b"".join(messages)


def with_first(array: np.ndarray, value: float) -> np.ndarray:
    array.flat[0] = value
    return array


def test_names_and_shapes_are_those_of_the_release():
    assert {name: tuple(layer.weight.shape) for name, layer in named_layers(UNet(variant="release"))} == RELEASE


@pytest.mark.parametrize("old", [False, True])
def test_every_number_arrives(tmp_path, old):
    net = release()
    loaded = load(tmp_path, caffemodel(net, old=old))
    assert same_numbers(loaded, net)
    assert loaded.settings == {**net.settings, "variant": "release", "base_channels": 2}
    assert not loaded.training
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


@pytest.mark.parametrize(("base_channels", "old"), [(16, False), (8, True)])
def test_scores_agree_with_opencvs_caffe_reader(tmp_path, base_channels, old):
    net = release(base_channels)
    image = np.random.default_rng(0).random((1, 1, 188, 188), dtype=np.float32)
    expected = opencv_scores(tmp_path, net, image, old=old)
    with torch.inference_mode():
        ours = load_caffemodel(tmp_path / "net.caffemodel")(torch.from_numpy(image)).numpy()
    assert ours.std() > 0.1
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


def test_loading_leaves_the_global_generator_alone(tmp_path):
    content, before = caffemodel(release()), torch.get_rng_state()
    load(tmp_path, content)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("encoded", "number"), [(b"\x00", 0), (b"\x96\x01", 150), (b"\xac\x02", 300)])
def test_whole_numbers_as_the_specification_writes_them(encoded, number):
    assert read_varint(memoryview(encoded), 0) == (number, len(encoded))


@given(number=st.integers(0, 2**64 - 1))
def test_whole_numbers_survive(number):
    assert read_varint(memoryview(varint(number)), 0) == (number, len(varint(number)))


def test_fields_of_every_kind():
    message = number_field(1, 150) + varint(2 << 3 | 1) + bytes(8) + field(3, b"abc") + varint(4 << 3 | 5) + bytes(4)
    found = [
        (number, kind, value if kind == 0 else bytes(value)) for number, kind, value in fields(memoryview(message))
    ]
    assert found == [(1, 0, 150), (2, 1, bytes(8)), (3, 2, b"abc"), (4, 5, bytes(4))]


TWO_BY_THREE = np.arange(6, dtype=np.float32).reshape(2, 3)
DIMS = field(7, field(1, b"\x02\x03"))


@pytest.mark.parametrize(
    "blob",
    [
        new_blob(TWO_BY_THREE),
        DIMS + b"".join(varint(5 << 3 | 5) + struct.pack("<f", x) for x in range(6)),  # floats one by one
        DIMS + field(8, struct.pack("<6d", *range(6))),  # doubles
        DIMS + b"".join(varint(8 << 3 | 1) + struct.pack("<d", x) for x in range(6)),  # doubles one by one
        DIMS + field(5, struct.pack("<2f", 0, 1)) + field(5, struct.pack("<4f", 2, 3, 4, 5)),  # in two portions
        field(7, number_field(1, 2) + number_field(1, 3)) + new_blob(TWO_BY_THREE).split(DIMS)[0],  # sides one by one
        field(6, bytes(24)) + new_blob(TWO_BY_THREE),  # with the gradients, which nobody needs
    ],
)
def test_every_way_to_write_a_blob(blob):
    (array,) = read_layers(layer_with(blob))["layer"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, TWO_BY_THREE)


def test_blobs_of_older_files_have_four_sides():
    (array,) = read_layers(layer_with(old_blob(TWO_BY_THREE)))["layer"]
    assert array.shape == (1, 1, 2, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'name: "u-net"\nlayer {\n  name: "data"\n}\n', "is text, such as a prototxt"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file"),
        (b"PK\x03\x04" + bytes(100), "cut off or no Caffe file"),
        (caffemodel(release())[:-1], r"cut off or no Caffe file \(field 100 at byte \d+ should have"),
        (field(1, b"u-net"), "holds no layer with weights"),
        (layer_with(new_blob(TWO_BY_THREE)), "holds another network; missing of the release: conv_d0a-b, conv_d0b-c, .*"
         "conv_u0d-score; unexpected: layer"),
        (changed("conv_u0d-score", lambda *_: []), "missing of the release: conv_u0d-score; unexpected: nothing"),
        (caffemodel(release()) * 2, "two layers called 'conv_d0a-b'"),
        (changed("conv_u2c-d", lambda w, b: [w[:, 1:], b]),
         r"weights in layer 'conv_u2c-d' of shape \(8, 7, 3, 3\); needs \(8, 8, 3, 3\)"),
        (changed("conv_u2c-d", lambda w, b: [w, b[1:]]),
         r"biases in layer 'conv_u2c-d' of shape \(7,\); needs \(8,\)"),
        (changed("conv_d4b-c", lambda w, b: [w[1:], b]), r"shape \(31, 32, 3, 3\) in layer 'conv_d4b-c'; needs \(1024"),
        (changed("conv_d1a-b", lambda w, b: [w]), "has 1 blobs in layer 'conv_d1a-b'; needs 2"),
        (changed("conv_d1a-b", lambda w, b: [with_first(w, np.nan), b]), "NaN or infinity among the weights in layer"),
        (changed("conv_d1a-b", lambda w, b: [w, with_first(b, np.inf)]), "NaN or infinity among the biases in layer"),
        (layer_with(field(5, bytes(8)) + DIMS), r"2 numbers of shape \(2, 3\) in layer 'layer'"),
        (layer_with(field(5, bytes(4)) + field(7, b"")), r"1 numbers of shape \(\)"),
        (layer_with(field(5, bytes(4)) + field(7, field(1, b"\1" * 70))), "do not fit each other"),
        (layer_with(field(5, bytes(7)) + DIMS), "has 7 bytes of numbers with 4 bytes each"),
        (layer_with(DIMS), r"0 numbers of shape \(2, 3\)"),
        (varint(1 << 3 | 3), "begins field 1 of kind 3, which does not exist"),  # a group
        (b"\x08" + b"\xff" * 10, "does not end within 10 bytes"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_the_reason(tmp_path, content, message):
    with pytest.raises(CaffeModelError, match=rf"net\.caffemodel .*{message}"):
        load(tmp_path, content)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.caffemodel"):
        load_caffemodel(tmp_path / "nowhere.caffemodel")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("caffe")


def refused(folder, content: bytes) -> bool:
    """Tell whether a file is refused in the one way allowed; what is not refused must be a usable network."""
    try:
        net = load(folder, content)
    except CaffeModelError:
        return True
    assert all(parameter.isfinite().all() for parameter in net.parameters())
    return False


@given(content=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_refused(folder, content):
    assert refused(folder, content)


@given(content=st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_random_layers_and_blobs_are_refused(folder, content):
    assert refused(folder, field(100, content))
    assert refused(folder, layer_with(content))
    assert refused(folder, field(2, field(4, b"layer") + field(6, content)))


@given(place=st.integers(0, 2000), byte=st.integers(0, 255), length=st.integers(0, 2000))
@settings(max_examples=30, deadline=None)
def test_a_damaged_file_is_refused_or_still_a_network(folder, place, byte, length):
    content = bytearray(caffemodel(release(1)))
    content[place] = byte
    refused(folder, bytes(content))
    assert refused(folder, bytes(content[:length]))
