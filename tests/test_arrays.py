"""The doors for images, settings and intervals; images and labels at another size."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_paper import IGNORE
from unet_paper.arrays import (
    as_ranges,
    check_choice,
    check_image,
    check_images,
    check_probability,
    check_scalar,
    gaps,
    nearest_index,
    overlaps,
    resize_image,
    resize_labels,
    runs,
    scaled_size,
    unit_range,
)
from unet_paper.datasets import Dataset, joined


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


@given(numbers=st.sets(st.integers(0, 30)), first=st.integers(0, 10), length=st.integers(0, 20))
def test_gaps_and_runs_are_the_numbers_that_sets_would_find(numbers, first, length):
    last = first + length
    inside = sorted(number for number in numbers if first <= number <= last)
    missing = [number for low, high in gaps(inside, first=first, last=last) for number in range(low, high + 1)]
    assert missing == [number for number in range(first, last + 1) if number not in numbers]
    assert [number for low, high in runs(inside) for number in range(low, high + 1)] == inside


def test_intervals_are_written_shortly():
    assert as_ranges([(2, 4), (8, 8)]) == "2-4, 8"
    assert as_ranges(runs(range(0, 40, 2))) == "0, 2, 4, 6, 8 and 15 more"


@pytest.mark.parametrize("value", [np.int64(3), np.uint8(3), 3])
def test_scalars_of_numpy_become_pythons(value):
    assert type(check_scalar(value, int, name="n")) is int
    assert check_scalar(value, float, name="n") == 3


@pytest.mark.parametrize(
    ("value", "kind"), [(True, int), (True, float), (1, bool), (2.0, int), ("3", int), (None, float)]
)
def test_other_types_are_refused(value, kind):
    with pytest.raises(TypeError, match=rf"^n is {value!r} \({type(value).__name__}\); pass "):
        check_scalar(value, kind, name="n")


def test_a_single_column_is_resized_like_a_single_row():
    column = np.arange(12, dtype=np.float32).reshape(1, 6, 2)
    row = resize_image(column.transpose(0, 2, 1), (1, 3))
    np.testing.assert_allclose(resize_image(column, (3, 1))[0, :, 0], row[0, 0], rtol=1e-6)
