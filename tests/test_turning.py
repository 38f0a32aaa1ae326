"""Rotations: as SciPy rotates, and in one go as one by one. The code for the GPU runs here on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from unet_paper.model import UNet
from unet_paper.predict import predict_probability
from unet_paper.turning import average_on_device, fits_one_tile, rotate, rotate_back, rotated_size


def shallow_net() -> UNet:
    """Return a network of one pooling with a border of 8 px, whose answer depends on the image."""
    net = UNet(base_channels=4, depth=1).eval()
    net.reset_parameters(torch.Generator().manual_seed(0))
    return net


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).random((1, height, width), dtype=np.float32)


def rotate_by_scipy(image: np.ndarray, degrees: float, size: tuple[int, int]) -> np.ndarray:
    """Rotate about the centre with linear interpolation, mirrored outside: (C, H, W) -> (C, *size)."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    to_image = np.array([[cosine, sine], [-sine, cosine]])  # (row, column) of the canvas -> of the image
    offset = (np.array(image.shape[1:]) - 1) / 2 - to_image @ ((np.array(size) - 1) / 2)
    return np.stack([affine_transform(c, to_image, offset, output_shape=size, order=1, mode="mirror") for c in image])


@pytest.mark.parametrize("degrees", [0, 37, 90, 180, 201.5, 270, 360 / 7])
def test_an_image_is_rotated_as_scipy_rotates_it(degrees):
    image, canvas = noise(24, 31), rotated_size((24, 31), degrees)
    turned = rotate(image, degrees)
    np.testing.assert_allclose(turned, rotate_by_scipy(image, degrees, canvas), atol=2e-5)
    back = rotate_back(turned, degrees, (24, 31))
    np.testing.assert_allclose(back, rotate_by_scipy(turned, -degrees, (24, 31)), atol=2e-5)


def test_a_square_rotated_by_45_degrees_needs_a_canvas_of_its_diagonal():
    assert rotated_size((10, 10), 45) == (15, 15)
    assert rotated_size((24, 31), 180) == (24, 31)
    assert rotated_size((24, 31), 270) == (31, 24)


@pytest.mark.parametrize(("rotations", "flips"), [(1, False), (7, False), (2, True), (4, True), (3, True)])
def test_the_average_in_one_go_equals_the_one_over_tiles(rotations, flips):
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
