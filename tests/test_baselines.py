"""What the paper is compared with: the padded network and its seams, and the sliding window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unet_paper import UNet
from unet_paper.analysis.operations import count_operations
from unet_paper.baselines.padded import (
    PaddedUNet,
    distance_to_seam,
    mean_by_distance,
    padded_twin,
    reach_of_zeros,
    relative_difference,
)
from unet_paper.baselines.sliding_window import SlidingWindowNet, shared_share, windows_around
from unet_paper.overlap_tile import predict_scores


def small_net(seed: int = 0, **settings) -> UNet:
    net = UNet(base_channels=4, **settings).eval()
    net.reset_parameters(torch.Generator().manual_seed(seed))
    return net


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


class TestPaddedNetwork:
    def test_output_is_as_large_as_the_input(self):
        assert PaddedUNet(base_channels=2)(torch.zeros(1, 1, 32, 64)).shape == (1, 2, 32, 64)

    def test_legal_sizes_are_multiples_of_16(self):
        net = PaddedUNet(base_channels=1)
        assert net.border == 0
        assert [n for n in range(1, 65) if net.is_legal_size(n)] == [16, 32, 48, 64]
        assert net.legal_size_for(33) == 48

    def test_twin_has_the_same_parameters_and_leaves_the_original_alone(self):
        net = small_net(variant="release")
        twin = padded_twin(net)
        pairs = list(zip(net.state_dict().values(), twin.state_dict().values(), strict=True))
        assert all(torch.equal(a, b) for a, b in pairs)
        twin.score.weight.data.zero_()
        assert (net.score.weight != 0).any()

    def test_twins_agree_wherever_no_zero_is_seen(self):
        """Far from the border no zero is in sight, and both are the same function of the same pixels."""
        net, image = small_net(), torch.from_numpy(noise(1, 1, 304, 304))
        start, n = 2, 300  # the unpadded grid of 2x2 blocks begins 2, 6, 14 and 30 px inside: 2 px put it on multiples
        with torch.inference_mode():
            unpadded = net(image[..., start : start + n, start : start + n])  # 300 = 16 * 15 + 60
            padded = padded_twin(net)(image)
        inside = slice(start + net.border, start + n - net.border)  # from 94 px on
        torch.testing.assert_close(padded[..., inside, inside], unpadded, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("depth", [1, 2, 3])
    def test_zeros_reach_as_far_as_counted_and_no_further(self, depth):
        net = padded_twin(small_net(depth=depth)).double()
        reach, half = reach_of_zeros(depth), 64
        image = torch.rand(1, 1, 16, 2 * half, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            difference = (net(image)[..., :half] - net(image[..., :half])).abs().amax(dim=(0, 1, 2))
        assert (difference[: half - reach] < 1e-12).all()
        assert difference[half - reach] > 1e-9

    def test_zeros_of_the_papers_depth_reach_94_px(self):
        assert reach_of_zeros(4) == 94

    def test_padded_tiles_show_seams_and_unpadded_ones_do_not(self):
        net, image = small_net(), noise(256, 256)
        results = {}
        for model, one_tile, small_tile in [(net, 444, 316), (padded_twin(net), 256, 128)]:
            whole = predict_scores(model, image, tile=one_tile)
            tiled = predict_scores(model, image, tile=small_tile)
            results[type(model)] = mean_by_distance(relative_difference(tiled, whole), 128)
        assert results[UNet].max() < 1e-4
        assert results[PaddedUNet][0] > 0.1
        assert results[PaddedUNet][reach_of_zeros(4) :].max() < 1e-4


class TestSeamMeasures:
    def test_distance_by_hand(self):
        assert distance_to_seam(8, 4).tolist() == [3, 2, 1, 0, 0, 1, 2, 3]
        assert distance_to_seam(7, 3).tolist() == [2, 1, 0, 0, 1, 0, 0]

    def test_no_cut_means_no_seam(self):
        assert distance_to_seam(4, 4).min() == 4

    def test_mean_by_distance_by_hand(self):
        difference = np.array([[1.0, 2.0, 4.0, 8.0]] * 4)
        # one cut in the middle of each axis: the four corners are 1 px away, all others touch a cut
        assert mean_by_distance(difference, 2) == pytest.approx([(60 - 18) / 12, 18 / 4])

    def test_relative_difference_is_in_standard_deviations_of_each_class(self):
        reference = np.stack([np.array([[0.0, 2.0]]), np.array([[0.0, 20.0]])])  # deviations 1 and 10
        scores = reference + np.array([[[0.5, 0.0]], [[1.0, 20.0]]])
        assert relative_difference(scores, reference).tolist() == [[0.5, 2.0]]


class TestSlidingWindow:
    """The net N4 of Ciresan et al. (2012), and its dense form."""

    def test_parameters_by_hand(self):
        convolutions = (4 * 4 + 1) * 48 + (5 * 5 * 48 + 1) * 48 + 2 * (4 * 4 * 48 + 1) * 48
        fully_connected = (3 * 3 * 48 + 1) * 200 + (200 + 1) * 2
        net = SlidingWindowNet()
        assert sum(weight.numel() for weight in net.parameters()) == convolutions + fully_connected

    def test_operations_of_one_window_by_hand(self):
        sides = [92, 42, 18, 6]  # maps before each pooling
        inputs = [4 * 4, 5 * 5 * 48, 4 * 4 * 48, 4 * 4 * 48]
        multiply_adds = sum(side**2 * 48 * n for side, n in zip(sides, inputs, strict=True)) + 432 * 200 + 200 * 2
        assert count_operations(SlidingWindowNet().to("meta"), 1, 1, 95, 95) == 2 * multiply_adds

    def test_a_window_of_another_size_is_refused(self):
        with pytest.raises(ValueError, match=r"\(1, 1, 127, 127\); needs \(B, 1, 95, 95\), or call dense"):
            SlidingWindowNet()(torch.zeros(1, 1, 127, 127))

    def test_dense_scores_equal_those_of_every_window(self):
        net = SlidingWindowNet(maps=5, hidden=7).eval().double()
        net.reset_parameters(torch.Generator().manual_seed(3))
        image = noise(101, 98).astype(np.float64)
        centres = np.mgrid[47:54, 47:51].reshape(2, -1)  # the windows that fit into 101 x 98 px
        with torch.inference_mode():
            dense = net.dense(torch.from_numpy(image)[None, None])
            single = net(torch.from_numpy(windows_around(image, *centres))[:, None])
        assert dense.shape == (1, 2, 7, 4)
        torch.testing.assert_close(dense[0].flatten(1).T, single)

    def test_windows_are_centred_and_mirrored(self):
        image = np.arange(25.0).reshape(5, 5)
        inside, corner = windows_around(image, np.array([2, 0]), np.array([3, 0]), side=3)
        assert inside.tolist() == [[7, 8, 9], [12, 13, 14], [17, 18, 19]]
        assert corner.tolist() == [[6, 5, 6], [1, 0, 1], [6, 5, 6]]

    def test_neighbouring_windows_share_all_but_one_column(self):
        assert shared_share(95) == pytest.approx(94 / 95)
        assert shared_share(4, shift=3) == 0.25
        assert shared_share(4, shift=9) == 0

    def test_initial_weights_have_the_stated_deviation(self):
        net = SlidingWindowNet()
        net.reset_parameters(torch.Generator().manual_seed(0))
        assert net.convolutions[1].weight.std().item() == pytest.approx((2 / (25 * 48)) ** 0.5, rel=0.02)
        assert not net.hidden.bias.any()
