"""The size of the numbers inside a fresh network follows from the variance of its weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from unet_paper.analysis.initialisation import RULES, draw_weights, signals
from unet_paper.model import UNet


def drawn(rule, **settings):
    net = UNet(**settings).eval()
    draw_weights(net, rule, generator=torch.Generator().manual_seed(0))
    return net


def noise(side, count=2):
    return torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(1))


def test_every_convolution_is_measured_in_its_order():
    names = [signal.name for signal in signals(drawn("sqrt(2/N)", base_channels=2), noise(188))]
    assert len(names) == 23
    assert (names[0], names[-1]) == ("down.0.0", "score")


def test_sqrt_2_over_n_keeps_the_variance_of_a_chain_of_convolutions():
    found = signals(drawn("sqrt(2/N)", base_channels=256, depth=1), noise(20))[:2]
    # Var(y) = N * 2/N * E[x^2]: 2 for the first layer, and E[relu(y)^2] = Var(y)/2 hands it on.
    assert [signal.deviation for signal in found] == pytest.approx([math.sqrt(2)] * 2, rel=0.05)


def test_sqrt_1_over_n_halves_the_variance_in_every_layer():
    wide = {"base_channels": 256, "depth": 1}
    kept, halved = (signals(drawn(rule, **wide), noise(20)) for rule in ("sqrt(2/N)", "sqrt(1/N)"))
    ratios = [low.deviation / high.deviation for low, high in zip(halved[:4], kept[:4], strict=True)]
    assert ratios == pytest.approx([2 ** (-layer / 2) for layer in range(1, 5)], rel=1e-3)


def test_pytorchs_rule_draws_what_pytorch_draws():
    net = drawn("PyTorch", base_channels=2, depth=1)  # from a generator with seed 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for module in (module for module in net.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)):
            ours = [module.weight.detach().clone(), module.bias.detach().clone()]
            module.reset_parameters()  # PyTorch's own, from the global generator with seed 0
            torch.testing.assert_close(ours, [module.weight.detach(), module.bias.detach()])


def test_each_map_is_measured_by_itself_about_its_own_level():
    net = drawn("sqrt(2/N)", base_channels=2, depth=1)
    net.down[0][0].bias.data += torch.tensor([0.0, 100.0])  # moves the level of one map, and not what it shows
    before, shifted = signals(drawn("sqrt(2/N)", base_channels=2, depth=1), noise(32))[0], signals(net, noise(32))[0]
    assert shifted.per_map.shape == (2,)
    assert shifted.per_map == pytest.approx(before.per_map, rel=1e-3)
    assert shifted.deviation > 10 * before.deviation


def test_equal_images_leave_nothing_that_tells_them_apart():
    found = signals(drawn("sqrt(2/N)", base_channels=2, depth=1), noise(32, count=1).repeat(3, 1, 1, 1))
    assert all(signal.across_images == 0 < signal.deviation for signal in found)


def test_measuring_leaves_the_network_as_it_was():
    net = drawn("sqrt(1/N)", base_channels=2, depth=1)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    signals(net, noise(32))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"rule is 'xavier'; choose one of 'sqrt\(2/N\)'"):
        drawn("xavier", base_channels=2)
    assert len(RULES) == 3
