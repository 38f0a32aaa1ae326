"""The trace tells the truth about the live network: against real passes, torch's own counter, and derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unet_paper import UNet
from unet_paper.analysis.tracing import convolutions, influence, layer_table, skips, totals, trace

FIGURE_1_SIDES = [572, 570, 568, 284, 282, 280, 140, 138, 136, 68, 66, 64, 32, 30, 28]  # contracting path, in px
FIGURE_1_RISING = [56, 54, 52, 104, 102, 100, 200, 198, 196, 392, 390, 388, 388]  # expansive path, joined maps first


@pytest.fixture(scope="module")
def paper_layers():
    return trace(UNet(), 572)


def test_sides_are_those_of_figure_1(paper_layers):
    drawn = [layer.width for layer in paper_layers if layer.kind not in ("dropout", "up-conv 2x2")]
    assert drawn == FIGURE_1_SIDES + FIGURE_1_RISING


def test_crops_are_those_of_figure_1(paper_layers):
    assert skips(paper_layers) == [(568 - 392) // 2, (280 - 200) // 2, (136 - 104) // 2, (64 - 56) // 2]


def test_paper_has_23_convolutions_and_31_030_658_parameters(paper_layers):
    assert len(convolutions(paper_layers)) == 23
    assert sum(layer.parameters for layer in paper_layers) == 31_030_658


def test_release_variant_has_31_100_354_parameters():
    assert sum(layer.parameters for layer in trace(UNet(variant="release"), 188)) == 31_100_354


@pytest.mark.parametrize("settings", [{}, {"base_channels": 3, "depth": 2}, {"variant": "release", "in_channels": 2}])
def test_operations_equal_those_that_torch_counts(settings):
    net = UNet(**settings).to("meta")
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, net.in_channels, 188, 188, device="meta"))
    # torch counts a transposed convolution per input pixel, 4 outputs each: the same number
    assert 2 * sum(layer.multiply_adds for layer in trace(net, 188)) == counter.get_total_flops()


@pytest.mark.parametrize("training", [True, False])
def test_network_is_left_as_it_was(training):
    net = UNet(base_channels=2).train(training)
    before = [weight.clone() for weight in net.parameters()]
    trace(net, 188)
    assert net.training is training
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert not any(module._forward_hooks for module in net.modules())


def test_hooks_are_removed_after_an_illegal_size():
    net = UNet(base_channels=2)
    with pytest.raises(ValueError, match="nearest are 556 and 572"):
        trace(net, 570)
    assert not any(module._forward_hooks for module in net.modules())


def test_windows_of_the_contracting_path_by_hand(paper_layers):
    sides = {layer.name: layer.receptive_field for layer in paper_layers if layer.name.startswith("down")}
    # +2 and +2 at a distance of 1 px, then pooling adds one step and doubles the distance
    assert list(sides.values()) == [3, 5, 10, 14, 24, 32, 52, 68, 108, 140]


def transparent(net: UNet) -> UNet:
    """Make every derivative positive: all weights 1, and pooling that listens to all four pixels."""
    for weight in net.parameters():
        nn.init.ones_(weight)
    net.pool = nn.AvgPool2d(2)
    return net.eval().double()


@pytest.mark.parametrize("column", [0, 3, 4, 15, 16])
def test_windows_of_the_output_are_where_the_derivative_is_not_zero(column):
    net, n = transparent(UNet(base_channels=1)), 220
    image = torch.rand(1, 1, n, n, dtype=torch.float64, requires_grad=True)
    net(image)[0, 0, 0, column].backward()
    seen = np.flatnonzero(image.grad[0, 0].sum(dim=0).numpy())
    first, last = trace(UNet(base_channels=1), n)[-1].windows[:, column]
    assert (seen.min(), seen.max()) == (first, last)


def test_output_sees_188_px_in_a_quarter_of_the_columns_and_204_in_the_others(paper_layers):
    windows = paper_layers[-1].windows
    sides = (windows[1] - windows[0] + 1)[:384]  # whole periods of 16
    assert np.mean(sides == 188) == 0.25
    assert np.mean(sides == 204) == 0.75


def test_influence_ends_exactly_at_the_window():
    net = UNet(base_channels=8).eval()  # with 4 channels, a few draws leave a level with no positive map
    net.reset_parameters(torch.Generator().manual_seed(0))
    image = torch.rand(1, 1, 236, 236, generator=torch.Generator().manual_seed(0))
    moved = influence(net, image)  # (236, 236)
    windows = trace(net, 236)[-1].windows
    first, last = windows[:, windows.shape[1] // 2]
    inside = torch.zeros_like(moved, dtype=torch.bool)
    inside[first : last + 1, first : last + 1] = True
    assert moved.shape == (236, 236)
    assert (moved[~inside] == 0).all()
    assert (moved[inside] > 0).float().mean() > 0.9


def test_totals_split_by_level_and_path(paper_layers):
    parameters = totals(paper_layers, "parameters")
    assert parameters.shape == (2, 5)
    assert parameters.sum() == 31_030_658
    assert parameters[0, 4] == 4_719_616 + 9_438_208  # 512 -> 1024 -> 1024 channels, 3x3, with biases
    assert parameters[1, 4] == 0


def test_table_ends_with_the_sum(paper_layers):
    lines = layer_table(convolutions(paper_layers)).splitlines()
    assert len(lines) == 1 + 23 + 1
    assert lines[-1].split() == ["sum", "31,030,658"]
    assert max(map(len, lines)) <= 48  # fits beside nothing else on a phone
