"""Averaging over rotated versions of the input (section 4), on a toy network whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from unet_paper.model import UNet
from unet_paper.predict import predict_probability
from unet_paper.turning import rotate, rotate_back


class Pixelwise(nn.Module):
    """Scores that look at one pixel only: rotating its input rotates its output, exactly."""

    in_channels, num_classes, border, stride = 1, 2, 0, 1

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(3.0))

    def output_size(self, n: int) -> int:
        return n

    legal_size_for = output_size

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([-self.gain * image, self.gain * image], dim=1)


def smooth_image(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((height, width))
    smooth = gaussian_filter(noise, 6, mode="mirror")
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


def test_one_rotation_is_the_softmax_of_the_scores():
    probability = predict_probability(Pixelwise(), np.array([[0.0, 1.0]], dtype=np.float32))
    assert probability[1] == pytest.approx(np.array([[0.5, 1 / (1 + np.exp(-6))]]))
    assert probability.sum(0) == pytest.approx(1)


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("rotations", [1, 2, 4])
def test_quarter_turns_and_flips_are_exact(rotations, flips):
    image = np.random.default_rng(0).random((13, 20), dtype=np.float32)
    alone = predict_probability(Pixelwise(), image)
    average = predict_probability(Pixelwise(), image, rotations=rotations, flips=flips)
    np.testing.assert_allclose(average, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64), (40, 90)])
def test_seven_rotations_of_a_smooth_image_change_little(shape):
    """Linear interpolation, twice, on an image that varies over 6 px: an error of a few hundredths, no shift."""
    image = smooth_image(*shape)
    alone = predict_probability(Pixelwise(), image)
    average = predict_probability(Pixelwise(), image, rotations=7)
    assert np.abs(average - alone).max() < 0.05
    assert np.corrcoef(average[1].ravel(), alone[1].ravel())[0, 1] > 0.999


def test_probabilities_stay_probabilities():
    net = UNet(base_channels=2, depth=2)
    probability = predict_probability(net, smooth_image(50, 33), rotations=7, flips=True, tile=76)
    assert probability.dtype == np.float32
    assert probability.shape == (2, 50, 33)
    assert probability.min() >= 0
    np.testing.assert_allclose(probability.sum(0), 1, atol=1e-5)


def test_the_average_of_all_symmetries_turns_with_the_image():
    """A network is not equivariant, its average over the 8 symmetries of the square is (on the pooling grid)."""
    net = UNet(base_channels=2, depth=2)
    image = np.random.default_rng(0).random((32, 32), dtype=np.float32)
    how = {"rotations": 4, "flips": True, "tile": 76}
    turned_after = np.rot90(predict_probability(net, image, **how), axes=(1, 2))
    turned_before = predict_probability(net, np.rot90(image), **how)
    np.testing.assert_allclose(turned_before, turned_after, atol=1e-5)


def test_rotate_turns_counter_clockwise():
    image = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    assert rotate(image, 90)[0].tolist() == [[2, 4], [1, 3]]


def test_small_angles_continue_the_quarter_turns():
    image = smooth_image(64, 64)[None]
    nearly = rotate(image, 90.001)  # on a canvas one pixel larger, so half a pixel aside
    centre = (nearly[:, :-1, :-1] + nearly[:, 1:, 1:]) / 2
    assert np.abs(centre - rotate(image, 90)).max() < 0.02


@pytest.mark.parametrize("degrees", [360 / 7, 100.0, 225.0])
def test_rotating_back_restores_a_smooth_image(degrees):
    image = smooth_image(48, 70)[None]
    restored = rotate_back(rotate(image, degrees), degrees, image.shape[1:])
    assert np.abs(restored - image).max() < 0.05


def test_the_canvas_holds_the_whole_image_and_mirrors_outside():
    image = np.ones((1, 30, 50), dtype=np.float32)
    rotated = rotate(image, 30)
    assert rotated.shape[1] >= 30 * np.cos(np.pi / 6) + 50 * np.sin(np.pi / 6)
    assert (rotated > 0.999).all()  # no grey corner was made up


def test_less_than_one_rotation_is_refused():
    with pytest.raises(ValueError, match="rotations is 0; needs at least 1"):
        predict_probability(Pixelwise(), np.zeros((4, 4)), rotations=0)


def test_a_network_for_half_size_images_sees_them_so_and_its_map_comes_back_at_full_size():
    image = smooth_image(40, 50)
    probability = predict_probability(Pixelwise(), image, scale=0.5)
    assert probability.shape == (2, 40, 50)
    assert np.allclose(probability.sum(axis=0), 1, atol=1e-6)
    assert np.abs(probability - predict_probability(Pixelwise(), image)).max() < 0.05  # smooth: little is lost
    with pytest.raises(ValueError, match="scale is 0"):
        predict_probability(Pixelwise(), image, scale=0)
