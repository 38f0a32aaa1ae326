"""The network states Fig. 1: every size, every channel count, every parameter, and the authors' released variant."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.networks.caffe_files import named_layers, opencv_scores
from unet_paper.model import CropAndConcatenate, UNet, incoming_nodes

FIGURE_1 = [  # (layer, channels, side in px) of every blue and green arrow, and of the last one, for a 572 px input
    ("conv_d0a-b", 64, 570), ("conv_d0b-c", 64, 568),
    ("conv_d1a-b", 128, 282), ("conv_d1b-c", 128, 280),
    ("conv_d2a-b", 256, 138), ("conv_d2b-c", 256, 136),
    ("conv_d3a-b", 512, 66), ("conv_d3b-c", 512, 64),
    ("conv_d4a-b", 1024, 30), ("conv_d4b-c", 1024, 28),
    ("upconv_d4c_u3a", 512, 56), ("conv_u3b-c", 512, 54), ("conv_u3c-d", 512, 52),
    ("upconv_u3d_u2a", 256, 104), ("conv_u2b-c", 256, 102), ("conv_u2c-d", 256, 100),
    ("upconv_u2d_u1a", 128, 200), ("conv_u1b-c", 128, 198), ("conv_u1c-d", 128, 196),
    ("upconv_u1d_u0a", 64, 392), ("conv_u0b-c", 64, 390), ("conv_u0c-d", 64, 388),
    ("conv_u0d-score", 2, 388),
]  # fmt: skip


def count_parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def trace_shapes(net: UNet, size: int) -> list[tuple[str, int, int]]:
    """Run the network without data (meta device) and note what leaves every convolution."""
    seen = []
    for name, layer in named_layers(net):
        layer.register_forward_hook(lambda _, __, out, name=name: seen.append((name, out.shape[1], out.shape[2])))
    net.to("meta")(torch.empty(1, net.in_channels, size, size, device="meta"))
    return seen


def test_every_size_and_channel_of_figure_1():
    assert trace_shapes(UNet(), 572) == FIGURE_1


def test_pooled_sizes_of_figure_1():
    net, seen = UNet(base_channels=1), []
    net.pool.register_forward_hook(lambda _, __, out: seen.append(out.shape[-1]))
    net.to("meta")(torch.empty(1, 1, 572, 572, device="meta"))
    assert seen == [284, 140, 68, 32]


def test_concatenated_channels_of_figure_1():
    net, seen = UNet(), []
    net.concatenate.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:3])))
    net.to("meta")(torch.empty(1, 1, 572, 572, device="meta"))
    assert seen == [(1024, 56), (512, 104), (256, 200), (128, 392)]


def test_release_keeps_128_channels_in_its_last_up_convolution():
    shapes = {name: channels for name, channels, _ in trace_shapes(UNet(variant="release"), 572)}
    assert shapes["upconv_u1d_u0a"] == 128
    assert UNet(variant="release").up[-1][0].in_channels == 192


@pytest.mark.parametrize(("variant", "parameters"), [("paper", 31_030_658), ("release", 31_100_354)])
def test_parameter_counts(variant, parameters):
    assert count_parameters(UNet(variant=variant)) == parameters


def test_23_convolutional_layers():
    layers = [layer for layer in UNet().modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    kinds = [(type(layer), layer.kernel_size[0]) for layer in layers]
    assert len(layers) == 23
    assert kinds.count((nn.Conv2d, 3)) == 18
    assert kinds.count((nn.ConvTranspose2d, 2)) == 4
    assert kinds.count((nn.Conv2d, 1)) == 1


def test_dropout_acts_at_the_end_of_the_contracting_path():
    net, seen = UNet(base_channels=1), []
    net.dropout.register_forward_hook(lambda _, __, out: seen.append(out.shape[1]))
    net(torch.zeros(1, 1, 188, 188))
    assert seen == [8, 16]  # levels 4 and 5: 512 and 1024 channels at full width
    assert net.dropout.p == 0.5


def test_the_skip_of_level_4_carries_its_dropout():
    net, skips = UNet(base_channels=1), []
    net.dropout.register_forward_hook(lambda *_: torch.full_like(_[2], 7.0))
    net.concatenate.register_forward_pre_hook(lambda _, inputs: skips.append(inputs[1]))
    net(torch.zeros(1, 1, 188, 188))
    assert (skips[0] == 7).all()


def test_the_crop_is_centred_and_comes_second():
    skip = torch.arange(36.0).reshape(1, 1, 6, 6)
    joined = CropAndConcatenate()(torch.zeros(1, 3, 2, 2), skip)
    assert joined.shape == (1, 4, 2, 2)
    assert joined[0, 3].tolist() == [[14, 15], [20, 21]]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_border_and_legal_sizes_agree_with_a_real_pass(depth):
    net = UNet(base_channels=1, depth=depth)
    smallest = net.legal_size_for(1)
    for n in range(smallest, smallest + 3 * net.stride + 1):
        if net.is_legal_size(n):
            assert net(torch.zeros(1, 1, n, smallest)).shape[-2:] == (net.output_size(n), net.output_size(smallest))
        else:
            with pytest.raises(ValueError, match=f"input height {n} is not legal"):
                net(torch.zeros(1, 1, n, smallest))


def test_sizes_of_the_paper():
    net = UNet(base_channels=1)
    assert (net.border, net.stride) == (92, 16)
    assert [n for n in range(240) if net.is_legal_size(n)] == [188, 204, 220, 236]
    assert (net.output_size(572), net.output_size(188), net.legal_size_for(512)) == (388, 4, 700)


@given(n_out=st.integers(1, 5000))
@settings(max_examples=50)
def test_legal_size_for_is_the_smallest(n_out):
    net = UNet(base_channels=1)
    n = net.legal_size_for(n_out)
    assert net.output_size(n) >= n_out
    assert n == 188 or net.output_size(n - 16) < n_out


@pytest.mark.parametrize(
    ("n", "message"),
    [(570, "nearest are 556 and 572"), (573, "nearest are 572 and 588"), (100, "the smallest is 188")],
)
def test_illegal_sizes_name_the_nearest(n, message):
    with pytest.raises(ValueError, match=rf"input size {n} is not legal: 2x2 pooling needs 16k\+60; {message}"):
        UNet(base_channels=1).output_size(n)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((188, 188), "2 dimensions"),
        ((1, 3, 188, 188), "3 channels; this network takes 1"),
        ((1, 1, 188, 190), "input width 190"),
    ],
)
def test_bad_inputs_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        UNet(base_channels=1)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"in_channels": 0}, "in_channels is 0"),
        ({"depth": 0}, "depth is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"variant": "papier"}, "'papier'; choose one of 'paper', 'release'"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        UNet(**wrong)


def test_colour_images_and_many_classes():
    net = UNet(in_channels=3, num_classes=5, base_channels=2, depth=2)
    assert net(torch.zeros(2, 3, 44, 60)).shape == (2, 5, 4, 20)


def test_initial_weights_have_standard_deviation_sqrt_2_over_n():
    net = UNet(base_channels=32)
    layers = dict(named_layers(net))
    assert incoming_nodes(layers["conv_d1a-b"]) == 9 * 32
    assert incoming_nodes(UNet().down[0][2]) == 576  # the paper's own example: 3x3 after 64 channels
    for name, layer in layers.items():
        n = incoming_nodes(layer)
        spread = 1 / math.sqrt(2 * layer.weight.numel())  # relative standard error of an estimated deviation
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / n), rel=5 * spread), name
        assert (layer.bias == 0).all()


def test_an_up_convolution_sees_one_input_pixel():
    layer = nn.ConvTranspose2d(5, 1, kernel_size=2, stride=2, bias=False)
    nn.init.ones_(layer.weight)
    assert (layer(torch.ones(1, 5, 3, 3)) == incoming_nodes(layer)).all()


def test_same_generator_same_weights():
    nets = [UNet(base_channels=2, depth=1) for _ in range(2)]
    for net in nets:
        net.reset_parameters(torch.Generator().manual_seed(7))
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))


@pytest.mark.parametrize(("base_channels", "size"), [(64, 188), (8, 284)])
def test_release_variant_agrees_with_opencvs_caffe_reader(tmp_path, base_channels, size):
    net = UNet(variant="release", base_channels=base_channels).eval()
    generator = torch.Generator().manual_seed(0)
    net.reset_parameters(generator)
    for _, layer in named_layers(net):
        nn.init.normal_(layer.bias, std=0.1, generator=generator)
    image = np.random.default_rng(0).random((1, 1, size, size), dtype=np.float32)
    expected = opencv_scores(tmp_path, net, image)
    with torch.inference_mode():
        ours = net(torch.from_numpy(image)).numpy()
    assert ours.std() > 0.1
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_channels": 2.0}, r"base_channels is 2\.0 \(float\); pass a whole number"),
        ({"depth": "4"}, "depth is '4' .*; pass a whole number"),
        ({"dropout": True}, "dropout is True .*; pass a number"),
    ],
)
def test_settings_of_another_type_are_refused(settings, message):
    with pytest.raises(TypeError, match=message):
        UNet(**settings)
