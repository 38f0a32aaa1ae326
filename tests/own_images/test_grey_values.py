"""Grey values and sizes: what a microscope wrote, brought to what a network knows."""

from __future__ import annotations

import numpy as np
import pytest

from unet_paper.networks.image_settings import ImageSettings
from unet_paper.own_images.grey_values import (
    axis_scales,
    choose_normalisation,
    compare_statistics,
    normalised,
    range_of,
    scaled_min_size,
)

RAMP = np.arange(1001, dtype=np.uint16).reshape(7, 143)  # percentile p is the value 10 p
KNOWN = ImageSettings(scale=0.5, black=0.2, white=0.6, mean=0.3, deviation=0.05, pixel_size=0.65, diameter=70)


def test_percentiles_lie_where_the_network_had_them():
    unit = normalised(RAMP, "percentile", black=0.2, white=0.6).ravel()
    assert unit[10] == pytest.approx(0.2)
    assert unit[998] == pytest.approx(0.6)
    np.testing.assert_allclose(np.diff(unit), 0.4 / 988, atol=1e-6)


def test_range_and_type():
    assert normalised(RAMP, "range").ravel()[[0, 500, 1000]].tolist() == [0, 0.5, 1]
    assert normalised(RAMP, "none").max() == np.float32(1000 / 65535)
    assert normalised(RAMP, "none", full=4095).max() == pytest.approx(1000 / 4095)
    assert normalised(np.full((2, 2), 7.5)).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ValueError, match=r'holds 0-3, not \[0, 1\]; normalise by "percentile" or "range"'):
        normalised(np.array([[0.0, 3.0]]), "none")
    with pytest.raises(ValueError, match="normalise is 'best'; choose one of 'percentile', 'range', 'none'"):
        normalised(RAMP, "best")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_the_type_of_the_file_does_not_matter_to_percentiles(dtype):
    image = np.arange(200).reshape(10, 20)
    np.testing.assert_allclose(normalised(image.astype(dtype)), normalised(image), atol=1e-6)


def test_what_a_network_of_8_bits_does_with_other_images():
    eight = np.array([[20, 180]], dtype=np.uint8)
    assert choose_normalisation(None, KNOWN, range_of(eight)) == "none"
    assert choose_normalisation(None, KNOWN, range_of(eight / 255)) == "none"
    assert choose_normalisation(None, KNOWN, range_of(eight.astype(np.uint16) * 16)) == "percentile"  # 12 bits of 16
    assert choose_normalisation(None, KNOWN, range_of(eight.astype(float))) == "percentile"
    assert choose_normalisation(None, KNOWN, range_of(eight.astype(np.float32) / 4095)) == "percentile"
    assert choose_normalisation("range", KNOWN, range_of(eight)) == "range"
    assert str(range_of(eight.astype(np.uint16) * 16)) == "320-2880 of 65535"


def test_scale_of_each_axis():
    assert axis_scales(KNOWN)[0] == (0.5, 0.5)
    assert axis_scales(KNOWN, pixel_size=(1.3, 0.65))[0] == pytest.approx((1.0, 0.5))  # rows are twice as coarse
    assert axis_scales(KNOWN, diameter=35)[0] == pytest.approx((1.0, 1.0))
    assert axis_scales(KNOWN, scale=0.7, pixel_size=(1.3, 1.3))[0] == (0.7, 0.7)
    assert axis_scales(ImageSettings(), pixel_size=(1.3, 1.3))[0] == (1, 1)
    with pytest.raises(ValueError, match="card does not say how large its cells are"):
        axis_scales(ImageSettings(), diameter=35)
    with pytest.raises(ValueError, match="diameter is 0; needs a finite number above 0"):
        axis_scales(KNOWN, diameter=0)
    for slip in ({"pixel_size": (0.65, 1e-300)}, {"diameter": 1e300}, {"pixel_size": (np.inf, 1.0)}):
        with pytest.raises(ValueError, match=r"needs a finite number above 0, 0\.0001 to 10000"):
            axis_scales(KNOWN, **slip)


def test_the_smallest_cell_is_as_large_for_the_network_at_every_scale():
    assert scaled_min_size(KNOWN, (0.5, 0.5)) == 500
    assert scaled_min_size(KNOWN, (1.0, 0.5)) == 250
    assert scaled_min_size(KNOWN, (1.0, 1.0)) == 125


def test_images_of_another_kind_are_noticed():
    generator = np.random.default_rng(0)
    alike = generator.normal(0.31, 0.04, (50, 50))
    assert compare_statistics([alike], KNOWN) is None
    assert compare_statistics([alike], ImageSettings()) is None
    for other in (alike + 0.3, (alike - 0.31) * 4 + 0.31, np.zeros((5, 5))):
        assert "differ from the network's training images" in compare_statistics([other], KNOWN)
