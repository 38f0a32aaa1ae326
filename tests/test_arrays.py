"""Images and labels at another size."""

import numpy as np
import pytest

from unet_paper import IGNORE
from unet_paper.arrays import (
    check_choice,
    check_probability,
    nearest_index,
    overlaps,
    resize_image,
    resize_labels,
    scaled_size,
    unit_range,
)
from unet_paper.datasets import Dataset


def test_sizes():
    assert scaled_size((520, 696), 0.5) == (260, 348)
    assert scaled_size((3, 1), 0.25) == (1, 1)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_is_positive(scale):
    with pytest.raises(ValueError, match="scale is"):
        scaled_size((4, 4), scale)


def test_doubling_is_linear_between_centres():
    row = np.array([[[0.0, 1.0]]], dtype=np.float32)  # (1, 1, 2)
    assert resize_image(row, (1, 4))[0, 0].tolist() == [0.0, 0.25, 0.75, 1.0]


def test_a_ramp_stays_a_ramp_and_a_constant_stays_constant():
    ramp = np.arange(32, dtype=np.float32).reshape(1, 1, 32) / 32
    half = resize_image(ramp, (1, 16))[0, 0]
    assert np.allclose(np.diff(half[1:-1]), 1 / 16)
    assert np.allclose(resize_image(np.full((2, 8, 8), 0.3, np.float32), (5, 3)), 0.3)


def test_shrinking_averages_instead_of_skipping():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), 16)[None, None]  # (1, 1, 32)
    assert np.allclose(resize_image(stripes, (1, 8))[0, 0, 1:-1], 0.5)


def test_nearest_pixels():
    assert nearest_index(4, 2).tolist() == [1, 3]
    assert nearest_index(2, 4).tolist() == [0, 0, 1, 1]
    assert nearest_index(5, 5).tolist() == [0, 1, 2, 3, 4]


def test_labels_take_values_that_were_there():
    labels = np.array([[[0, 7, 7, IGNORE], [0, 7, 7, IGNORE]]], dtype=np.int32)
    assert resize_labels(labels, (1, 2)).tolist() == [[[7, IGNORE]]]
    assert resize_labels(resize_labels(labels, (4, 8)), (2, 4)).tolist() == labels.tolist()


def test_a_data_set_keeps_image_and_labels_aligned():
    labels = np.zeros((1, 40, 40), np.int32)
    labels[0, 10:20, 20:36] = 3
    dataset = Dataset("one cell", (labels > 0).astype(np.float32), labels, (0,), "Drawn by hand.", is_real=False)
    half = dataset.rescaled(0.5)
    assert half.images.shape == half.labels.shape == (1, 20, 20)
    assert np.array_equal(half.images[0] > 0.5, half.labels[0] == 3)
    assert half.source == "Drawn by hand. Resized by 0.5."
    assert dataset.rescaled(1) is dataset


@pytest.mark.parametrize(("kind", "full"), [(np.uint8, 255), (np.uint16, 65535)])
def test_every_grey_value_is_the_nearest_float32_to_its_share(kind, full):
    values = np.arange(full + 1).astype(kind)
    expected = [np.float32(value / full) for value in range(full + 1)]
    np.testing.assert_array_equal(unit_range(values, name="a"), expected)


def test_a_choice_that_there_is_not_is_named_with_those_there_are():
    assert check_choice("b", ("a", "b"), name="letter") == "b"
    with pytest.raises(ValueError, match="letter is 'c'; choose one of 'a', 'b'"):
        check_choice("c", ("a", "b"), name="letter")


def test_overlaps_count_shared_pixels_of_every_pair():
    found = overlaps(np.array([[0, 1, 1], [0, 2, 1]]), np.array([[5, 5, 0], [0, 5, 5]]))
    rows = list(zip(found.reference.tolist(), found.result.tolist(), found.pixels.tolist(), strict=True))
    assert rows == [(0, 0, 1), (0, 5, 1), (1, 0, 1), (1, 5, 2), (2, 5, 1)]


@pytest.mark.parametrize("bad", [1.5, -0.25])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(ValueError, match=rf"values from .*{bad}.*outside \[0, 1\]; .* not scores"):
        check_probability(np.array([[0.5, bad]]), ranks=(2,))
