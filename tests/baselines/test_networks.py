"""The networks that the U-Net is compared with hold what their papers say of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from unet_paper import UNet, predict_scores
from unet_paper.baselines import FCN, DenseWindows, HypercolumnNet, PaddedUNet, SkiplessUNet, SlidingWindowNet
from unet_paper.baselines.fcn import HEADS, bilinear_upsampling
from unet_paper.baselines.sliding_window import WINDOWS, windows_around


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class TestWindows:
    @pytest.mark.parametrize("window", WINDOWS)
    def test_every_pooling_sees_an_even_side(self, window):
        side = window
        for kernel in WINDOWS[window]:
            assert (side - kernel + 1) % 2 == 0
            side = (side - kernel + 1) // 2
        assert side == SlidingWindowNet(window=window).left >= 1

    @pytest.mark.parametrize("window", WINDOWS)
    def test_a_whole_image_tile_by_tile_equals_window_by_window(self, window):
        net = SlidingWindowNet(window=window, maps=3, hidden=5).eval()
        image = noise(9, 7).float().numpy()
        rows, columns = np.mgrid[:9, :7].reshape(2, -1)
        with torch.inference_mode():
            single = net(torch.from_numpy(windows_around(image, rows, columns, side=window))[:, None])
        whole = predict_scores(DenseWindows(net), image, tile=window + 3)  # four columns of tiles and more
        np.testing.assert_allclose(whole.reshape(2, -1).T, single.numpy(), atol=1e-5)

    def test_a_window_that_there_is_not_is_refused_with_those_that_there_are(self):
        with pytest.raises(ValueError, match="window is 64 px; there are nets for windows of 31, 65, 95 px"):
            SlidingWindowNet(window=64)
        with pytest.raises(ValueError, match=r"needs \(B, 1, 65, 65\)"):
            SlidingWindowNet(window=65)(torch.zeros(1, 1, 95, 95))
        with pytest.raises(ValueError, match="the smallest is the window, 31 px"):
            DenseWindows(SlidingWindowNet(window=31)).output_size(30)


class TestFullyConvolutional:
    @pytest.mark.parametrize("factor", [2, 8, 32])
    def test_upsampling_begins_bilinear(self, factor):
        layer = bilinear_upsampling(2, factor).double()
        coarse = noise(1, 2, 4, 5)
        expected = F.interpolate(coarse, scale_factor=factor, mode="bilinear", align_corners=False)
        inside = np.s_[..., factor:-factor, factor:-factor]  # at the edge interpolation repeats pixels, a kernel ends
        torch.testing.assert_close(layer(coarse)[inside], expected[inside])
        assert layer.weight.requires_grad

    @pytest.mark.parametrize(("head", "fused"), [("32s", 0), ("16s", 1), ("8s", 2)])
    def test_heads_add_the_scores_of_finer_levels(self, head, fused):
        net = FCN(base_channels=2, head=head).double().eval()
        assert len(net.scores) == fused + 1
        image = noise(1, 1, 64, 96)
        before = net(image)
        assert before.shape == (1, 2, 64, 96)
        for finer in net.scores[1:]:
            torch.nn.init.zeros_(finer.weight)
            torch.nn.init.zeros_(finer.bias)
        alone = net(image)
        assert torch.equal(before, alone) == (fused == 0)

    def test_to_reset_is_to_build_anew(self):
        """What was trained comes back as a fresh network of the same seed, upsampling and all."""
        fresh, used = (FCN(base_channels=1, head="8s") for _ in range(2))
        for weight in used.parameters():
            torch.nn.init.constant_(weight, 0.5)
        for net in (fresh, used):
            net.reset_parameters(torch.Generator().manual_seed(3))
        for name, weight in fresh.state_dict().items():
            assert torch.equal(weight, used.state_dict()[name]), name
        assert torch.equal(used.enlarge.weight, bilinear_upsampling(2, 8).weight)
        assert all(torch.equal(twice.weight, bilinear_upsampling(2, 2).weight) for twice in used.twice)

    def test_the_contracting_path_is_as_wide_as_the_u_nets(self):
        unet, fcn = UNet(base_channels=4), FCN(base_channels=4)
        assert [block[0].out_channels for block in fcn.down] == [block[0].out_channels for block in unet.down]

    def test_illegal_sizes_name_the_legal_ones(self):
        with pytest.raises(ValueError, match=r"input side 100 is not legal: .* of 32; nearest are 96 and 128"):
            FCN(base_channels=1)(torch.zeros(1, 1, 100, 96))
        with pytest.raises(ValueError, match="the smallest is 16"):
            HypercolumnNet(base_channels=1).output_size(8)
        with pytest.raises(ValueError, match="4s"):
            FCN(head="4s")
        assert (FCN(base_channels=1).legal_size_for(33), HEADS) == (64, ("32s", "16s", "8s"))


class TestHypercolumns:
    def test_reducing_before_enlarging_equals_the_definition(self):
        net = HypercolumnNet(base_channels=2, hidden=3).double().eval()
        image = noise(1, 1, 32, 48)
        torch.testing.assert_close(net(image), net.by_definition(image))

    def test_a_column_holds_the_maps_of_every_level(self):
        net = HypercolumnNet(base_channels=2)
        assert [maps.shape[1:] for maps in net.levels(torch.zeros(1, 1, 32, 32))] == [
            (2, 32, 32),
            (4, 16, 16),
            (8, 8, 8),
            (16, 4, 4),
            (32, 2, 2),
        ]


@pytest.mark.parametrize(
    ("network", "side", "legal"),
    [
        (PaddedUNet, 100, "nearest are 96 and 112"),
        (PaddedUNet, 15, "the smallest is 16"),
        (SkiplessUNet, 190, "nearest are 188 and 204"),
        (SkiplessUNet, 100, "the smallest is 188"),
    ],
)
def test_u_nets_of_another_make_name_the_legal_sides(network, side, legal):
    net = network(base_channels=1)
    other = net.legal_size_for(100)
    for height, width in ((side, other), (other, side)):
        with pytest.raises(ValueError, match=f"{side} is not legal: .*{legal}"):
            net(torch.zeros(1, 1, height, width))
    with pytest.raises(ValueError, match=f"{side} is not legal: .*{legal}"):
        net.output_size(side)


def test_batch_normalisation_stands_behind_every_3x3_convolution():
    net = PaddedUNet(base_channels=2, batch_norm=True)
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 18
    assert [type(layer).__name__ for layer in net.down[0]] == ["Conv2d", "BatchNorm2d", "ReLU"] * 2
    assert PaddedUNet(**net.settings).load_state_dict(net.state_dict())
    assert net.train()(torch.zeros(1, 1, 32, 32)).shape == (1, 2, 32, 32)
