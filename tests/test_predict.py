"""Averaging over rotated versions of the input (section 4), on a toy network whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform, gaussian_filter
from torch import Tensor, nn

from unet_paper import predict
from unet_paper.model import UNet
from unet_paper.predict import cell_maps, fits_one_tile, predict_probability, rotated_size


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


def rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    return predict.rotate(torch.from_numpy(image.astype(np.float32)), degrees).numpy()


def rotate_back(rotated: np.ndarray, degrees: float, size: tuple[int, int]) -> np.ndarray:
    return predict.rotate_back(torch.from_numpy(rotated.copy()), degrees, size).numpy()


def smooth_image(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((height, width))
    smooth = gaussian_filter(noise, 6, mode="mirror")
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flips": 2}, "flips is 2 .*; pass True or False"),
        ({"standardise": 1}, "standardise is 1 .*; pass True or False"),
        ({"rotations": 2.5}, r"rotations is 2\.5 .*; pass a whole number"),
        ({"tile": 32.0}, r"tile is 32\.0 .*; pass a whole number"),
    ],
)
def test_settings_of_another_type_are_refused(settings, message):
    with pytest.raises(TypeError, match=message):
        predict_probability(Pixelwise(), np.zeros((4, 4)), **settings)


def test_floats_outside_0_1_are_refused_but_standardising_may_leave_them():
    image = np.random.default_rng(0).random((9, 9))
    with pytest.raises(ValueError, match=r"outside \[0, 1\]; divide 8-bit grey values by 255"):
        predict_probability(Pixelwise(), 255 * image)
    assert predict_probability(Pixelwise(), image, standardise=True).shape == (2, 9, 9)


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


def rotate_by_scipy(image: np.ndarray, degrees: float, size: tuple[int, int]) -> np.ndarray:
    """Rotate about the centre with linear interpolation, mirrored outside: (C, H, W) -> (C, *size)."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    to_image = np.array([[cosine, sine], [-sine, cosine]])  # (row, column) of the canvas -> of the image
    offset = (np.array(image.shape[1:]) - 1) / 2 - to_image @ ((np.array(size) - 1) / 2)
    return np.stack([affine_transform(c, to_image, offset, output_shape=size, order=1, mode="mirror") for c in image])


@pytest.mark.parametrize("degrees", [0, 37, 90, 180, 201.5, 270, 360 / 7])
def test_an_image_is_rotated_as_scipy_rotates_it(degrees):
    image, canvas = np.random.default_rng(0).random((1, 24, 31), dtype=np.float32), rotated_size((24, 31), degrees)
    rotated = rotate(image, degrees)
    np.testing.assert_allclose(rotated, rotate_by_scipy(image, degrees, canvas), atol=2e-5)
    back = rotate_back(rotated, degrees, (24, 31))
    np.testing.assert_allclose(back, rotate_by_scipy(rotated, -degrees, (24, 31)), atol=2e-5)


def test_a_square_rotated_by_45_degrees_needs_a_canvas_of_its_diagonal():
    assert rotated_size((10, 10), 45) == (15, 15)
    assert rotated_size((24, 31), 180) == (24, 31)
    assert rotated_size((24, 31), 270) == (31, 24)


@pytest.mark.parametrize(("rotations", "flips"), [(1, False), (7, False), (2, True), (4, True), (3, True)])
def test_the_average_in_one_go_equals_the_one_over_tiles(rotations, flips):
    net, image = UNet(base_channels=4, depth=1), np.random.default_rng(0).random((1, 40, 52), dtype=np.float32)
    net.reset_parameters(torch.Generator().manual_seed(0))
    in_one_go = predict_probability(net, image, rotations=rotations, flips=flips, tile=100)
    over_tiles = predict_probability(net, image, rotations=rotations, flips=flips, tile=36)
    np.testing.assert_allclose(in_one_go, over_tiles, atol=1e-4)


def test_the_network_is_given_back_as_it_was():
    net = UNet(base_channels=4, depth=1).train()
    predict_probability(net, smooth_image(40, 40), rotations=2, tile=100, precision="bfloat16")
    assert net.training


@pytest.mark.parametrize(
    ("size", "rotations", "tile", "fits"),
    [
        ((512, 512), 1, 700, True),
        ((512, 512), 1, 572, False),  # several tiles
        ((512, 512), 7, 700, False),  # a rotated section is wider
        ((512, 512), 7, 924, True),
        ((100, 512), 1, 700, True),  # narrower than its mirrored context
        ((1, 512), 1, 700, True),
    ],
)
def test_one_tile_for_each_rotation_or_none(size, rotations, tile, fits):
    assert fits_one_tile(UNet(base_channels=1), size, rotations=rotations, tile=tile) is fits


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("tile", [316, 924])  # maps on the host, maps on the GPU
def test_a_gpu_averages_as_the_cpu_does(tile):
    net = UNet(base_channels=4).eval()
    net.reset_parameters(torch.Generator().manual_seed(0))
    image, how = smooth_image(300, 280), {"rotations": 7, "flips": True, "tile": tile}
    on_cpu = predict_probability(net, image, **how)
    np.testing.assert_allclose(predict_probability(net, image, device="cuda", **how), on_cpu, atol=1e-3)  # TF32


def test_cell_maps_are_class_1_of_every_image():
    images = np.random.default_rng(0).random((2, 20, 30), dtype=np.float32)
    expected = [predict_probability(Pixelwise(), image, rotations=2)[1] for image in images]
    np.testing.assert_array_equal(cell_maps(Pixelwise(), images, rotations=2), expected)
