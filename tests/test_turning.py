"""Rotations on a GPU: what they compute equals the way over NumPy and SciPy. The same code runs here on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unet_paper.model import UNet
from unet_paper.predict import predict_probability, rotate, rotate_back
from unet_paper.turning import average_on_device, fits_one_tile, rotate_tensor, rotated_size


def shallow_net() -> UNet:
    """Return a network of one pooling with a border of 8 px, whose answer depends on the image."""
    net = UNet(base_channels=4, depth=1).eval()
    net.reset_parameters(torch.Generator().manual_seed(0))
    return net


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).random((1, height, width), dtype=np.float32)


@pytest.mark.parametrize("degrees", [0, 37, 90, 180, 201.5, 270, 360 / 7])
def test_an_image_is_rotated_as_scipy_rotates_it(degrees):
    image = noise(24, 31)
    canvas = rotated_size((24, 31), degrees)
    turned = rotate_tensor(torch.from_numpy(image)[None], degrees, canvas)
    np.testing.assert_allclose(turned[0], rotate(image, degrees), atol=2e-5)
    back = rotate_tensor(turned, -degrees, (24, 31))
    np.testing.assert_allclose(back[0], rotate_back(rotate(image, degrees), degrees, (24, 31)), atol=2e-5)


def test_a_square_rotated_by_45_degrees_needs_a_canvas_of_its_diagonal():
    assert rotated_size((10, 10), 45) == (15, 15)
    assert rotated_size((24, 31), 180) == (24, 31)
    assert rotated_size((24, 31), 270) == (31, 24)


@pytest.mark.parametrize(("rotations", "flips"), [(1, False), (7, False), (2, True), (4, True), (3, True)])
def test_the_average_equals_the_way_over_numpy(rotations, flips):
    net, image = shallow_net(), noise(40, 52)
    how = {"rotations": rotations, "flips": flips, "tile": 100, "precision": "float32"}
    expected = predict_probability(net, image, progress=False, **how)
    np.testing.assert_allclose(average_on_device(net, image, device="cpu", **how), expected, atol=1e-4)


def test_the_network_is_given_back_as_it_was():
    net = shallow_net().train()
    average_on_device(net, noise(40, 40), rotations=2, flips=False, tile=100, device="cpu", precision="bfloat16")
    assert net.training


@pytest.mark.parametrize(
    ("size", "rotations", "tile", "fits"),
    [
        ((512, 512), 1, 700, True),
        ((512, 512), 1, 572, False),  # several tiles
        ((512, 512), 7, 700, False),  # a rotated section is wider
        ((512, 512), 7, 924, True),
        ((100, 512), 1, 700, False),  # 100 px of image cannot mirror the 108 px on its right side
        ((1, 512), 1, 700, False),
    ],
)
def test_one_tile_for_each_rotation_or_none(size, rotations, tile, fits):
    assert fits_one_tile(UNet(base_channels=1), size, rotations=rotations, tile=tile) is fits
