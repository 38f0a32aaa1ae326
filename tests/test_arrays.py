"""The doors for images, labels and probabilities; the table of overlaps; data sets as a whole."""

from dataclasses import replace

import numpy as np
import pytest

from unet_paper.arrays import check_image, check_images, check_probability, overlaps, unit_range
from unet_paper.datasets import Dataset, joined


@pytest.mark.parametrize(("kind", "full"), [(np.uint8, 255), (np.uint16, 65535)])
def test_every_grey_value_is_the_nearest_float32_to_its_share(kind, full):
    values = np.arange(full + 1).astype(kind)
    expected = [np.float32(value / full) for value in range(full + 1)]
    np.testing.assert_array_equal(unit_range(values, name="a"), expected)


def test_overlaps_count_shared_pixels_of_every_pair():
    found = overlaps(np.array([[0, 1, 1], [0, 2, 1]]), np.array([[5, 5, 0], [0, 5, 5]]))
    rows = list(zip(found.reference.tolist(), found.result.tolist(), found.pixels.tolist(), strict=True))
    assert rows == [(0, 0, 1), (0, 5, 1), (1, 0, 1), (1, 5, 2), (2, 5, 1)]


@pytest.mark.parametrize("bad", [1.5, -0.25])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(ValueError, match=rf"values from .*{bad}.*outside \[0, 1\]; .* not scores"):
        check_probability(np.array([[0.5, bad]]), ranks=(2,))


def squares(**changes) -> Dataset:
    """Return four images of 2 x 3 px whose grey values are their numbers."""
    images = np.repeat(np.arange(4) / 4, 6).reshape(4, 2, 3)
    content = {"images": images, "labels": (images > 0).astype(int), "frames": (5, 6, 7, 8)} | changes
    return Dataset("squares", source="Drawn by hand.", is_real=False, **content)


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535)])
def test_grey_values_of_both_types_become_the_same_image(dtype, full):
    grey = np.array([[[0, full // 5, full]]], dtype)
    for image in (
        check_images(grey)[0],
        check_image(grey[0]),
        squares(images=np.repeat(grey, 4, 0), labels=None).images[0],
    ):
        assert image.dtype == np.float32
        assert image[0].tolist() == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize("scale", [255, -1, 1 + 1e-6])
def test_floats_outside_0_1_are_refused_with_the_way_there(scale):
    image = scale * np.ones((1, 2, 3))
    for refused in (lambda: check_image(image), lambda: squares(images=image, labels=None, frames=(0,))):
        with pytest.raises(ValueError, match=r"outside \[0, 1\]; divide 8-bit grey values by 255 and 16"):
            refused()


def test_one_frame_of_another_type_is_refused():
    frames = [np.zeros((2, 3), np.uint8)] * 3 + [np.zeros((2, 3), np.uint16)]
    with pytest.raises(ValueError, match=r"images\[3\] is \(2, 3\) px uint16, images\[0\] is \(2, 3\) px uint8"):
        squares(images=frames)


def test_a_small_part_of_the_range_is_announced_for_the_image_that_uses_it():
    images = np.array([[[0, 65535]], [[0, 4095]], [[0, 65535]], [[7, 7]]], np.uint16)
    with pytest.warns(UserWarning, match="grey values 0-4095 of 65535 in 2 of 4 images, first in number 1"):
        squares(images=images, labels=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.full((4, 2, 3), np.nan)}, "images holds 24 NaN"),
        ({"labels": np.zeros((4, 9, 9), int)}, r"labels has shape \(4, 9, 9\), images has \(4, 2, 3\)"),
        ({"labels": np.full((4, 2, 3), 0.5)}, r"labels holds 0\.5, not a whole number"),
        ({"frames": (1, 2)}, "frames has 2 numbers for 4 images"),
    ],
)
def test_a_data_set_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        squares(**changes)


@pytest.mark.parametrize(
    ("indices", "frames"),
    [
        ([True, False, False, True], (5, 8)),
        (np.array([False, True, True, False]), (6, 7)),
        ([3, 0], (8, 5)),
        ([-1], (8,)),
        (range(1, 3), (6, 7)),
        (slice(2, None), (7, 8)),
    ],
)
def test_a_subset_by_number_by_boolean_and_by_slice(indices, frames):
    subset = squares().subset(indices)
    assert subset.frames == frames
    assert (subset.images[:, 0, 0] * 4 + 5).tolist() == list(frames)


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([True, False], ValueError, "2 booleans for 4 images"),
        ([4], ValueError, "indices hold 4; 'squares' has 4 images, 0 to 3"),
        ([-5], ValueError, "indices hold -5"),
        ([], ValueError, "name no image"),
        ([False] * 4, ValueError, "name no image"),
        ([0.0, 1.0], TypeError, r"indices are \[0\.0, 1\.0\]; pass whole numbers"),
        (2, TypeError, "indices are 2; pass whole numbers"),
    ],
)
def test_a_subset_that_there_is_not(indices, error, message):
    with pytest.raises(error, match=message):
        squares().subset(indices)


def test_joined_data_sets_keep_order_and_frame_numbers():
    whole = joined([squares().subset([2, 3]), squares().subset([0])])
    assert whole.frames == (7, 8, 5)
    np.testing.assert_array_equal(whole.images, squares().images[[2, 3, 0]])
    np.testing.assert_array_equal(whole.labels, squares().labels[[2, 3, 0]])
    assert whole.name == "squares and squares"


def test_what_does_not_belong_together_is_not_joined():
    with pytest.raises(ValueError, match="at least one data set, and labels"):
        joined([squares(), replace(squares(), labels=None)])
    with pytest.raises(ValueError, match="cannot be one data set; resize them first"):
        joined([squares(), squares().rescaled(2)])
