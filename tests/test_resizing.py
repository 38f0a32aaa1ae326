"""Images and labels at another size."""

import numpy as np
import pytest

from unet_paper import IGNORE
from unet_paper.datasets import Dataset
from unet_paper.resizing import nearest_index, resize_image, resize_labels, scaled_size


def test_sizes():
    assert scaled_size((520, 696), 0.5) == (260, 348)
    assert scaled_size((3, 1), 0.25) == (1, 1)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_is_positive(scale):
    with pytest.raises(ValueError, match="scale is"):
        scaled_size((4, 4), scale)


def test_a_scale_makes_no_image_that_memory_cannot_hold():
    assert scaled_size((8, 4), 4096) == (32768, 16384)
    with pytest.raises(ValueError, match="scale is 4097, for sides of 8 px; needs at most 4096"):
        scaled_size((8, 4), 4097)


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


def test_a_single_column_is_resized_like_a_single_row():
    column = np.arange(12, dtype=np.float32).reshape(1, 6, 2)
    row = resize_image(column.transpose(0, 2, 1), (1, 3))
    np.testing.assert_allclose(resize_image(column, (3, 1))[0, :, 0], row[0, 0], rtol=1e-6)
