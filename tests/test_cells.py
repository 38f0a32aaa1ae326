"""From a probability map to cells: threshold, connected components, minimum area, field of interest (section 4)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.measure import label as skimage_label

from unet_paper.arrays import IGNORE
from unet_paper.cells import connected_cells, instances, markers_within, touching_pixels, watershed_instances

MAPS = arrays.arrays(np.float32, (12, 15), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))


def discs(*centres: tuple[int, int], radius: int = 15, shape: tuple[int, int] = (50, 90)) -> np.ndarray:
    """Return a map that is 0.9 within `radius` px of any centre, 0.1 elsewhere."""
    rows, columns = np.indices(shape)
    inside = [(rows - row) ** 2 + (columns - column) ** 2 < radius**2 for row, column in centres]
    return np.where(np.any(inside, axis=0), 0.9, 0.1)


def test_two_cells_by_hand():
    probability = np.array([[0.9, 0.9, 0.2, 0.7], [0.9, 0.5, 0.1, 0.7]])
    assert instances(probability, min_size=0).tolist() == [[1, 1, 0, 2], [1, 0, 0, 2]]


def test_cells_that_meet_at_a_corner_are_two():
    assert instances(np.eye(2), min_size=0).tolist() == [[1, 0], [0, 2]]


def test_the_threshold_itself_is_background():
    assert not instances(np.full((3, 3), 0.5), min_size=0).any()
    assert instances(np.full((3, 3), 0.5), threshold=0.4, min_size=0).all()


def test_cells_of_500_px_are_dropped_and_of_501_kept():
    row = np.zeros((2, 1002))
    row[0, :500] = row[0, 501:] = 1
    assert np.bincount(instances(row).ravel()).tolist() == [2004 - 501, 501]


def test_a_stack_of_classes_gives_class_1():
    cell = np.array([[0.9, 0.1]])
    assert np.array_equal(instances(np.stack([1 - cell, cell]), min_size=0), instances(cell, min_size=0))


def test_a_cell_outside_of_the_field_of_interest_is_dropped_and_one_that_reaches_in_is_whole():
    probability = np.zeros((10, 10))
    probability[0:2, 0:4] = probability[8:10, 3:8] = probability[5:9, 0:3] = 1
    kept = instances(probability, min_size=0, border=2)
    assert np.unique(kept).tolist() == [0, 1]
    assert (kept[5:9, 0:3] == 1).all()


def test_no_hole_is_filled():
    ring = np.ones((5, 5))
    ring[2, 2] = 0
    assert instances(ring, min_size=0)[2, 2] == 0


@given(MAPS, st.sampled_from([0.3, 0.5, 0.9]))
def test_components_agree_with_scikit_image(probability, threshold):
    expected = skimage_label(probability > threshold, connectivity=1)
    assert np.array_equal(instances(probability, threshold=threshold, min_size=0), expected)


@given(MAPS, st.integers(0, 12), st.integers(0, 8))
def test_what_is_kept_is_a_whole_component_larger_than_the_minimum(probability, min_size, border):
    border = min(border, (min(probability.shape) - 1) // 2)
    every, kept = instances(probability, min_size=0), instances(probability, min_size=min_size, border=border)
    sizes = np.bincount(kept.ravel())[1:]
    assert (sizes > min_size).all()  # which also says that numbers have no gap
    for cell in range(1, len(sizes) + 1):
        (component,) = np.unique(every[kept == cell])
        assert np.array_equal(kept == cell, every == component)


def test_watershed_cuts_two_discs_at_their_waist_and_leaves_one_disc_whole():
    pair = discs((25, 25), (25, 50))
    assert instances(pair).max() == 1
    cut = watershed_instances(pair)
    assert cut.max() == 2
    assert cut[25, 25] != cut[25, 50]
    assert np.array_equal(cut > 0, instances(pair) > 0)
    assert np.array_equal(watershed_instances(discs((25, 25))), instances(discs((25, 25))))


def test_watershed_keeps_cells_shallower_than_its_depth():
    flat = np.zeros((12, 60))
    flat[4:7] = 1  # 3 px high: never 5 px from the background
    assert np.array_equal(watershed_instances(flat, min_size=0) > 0, flat > 0)


@given(MAPS, st.sampled_from([0.5, 2.0, 5.0]))
def test_watershed_only_divides(probability, depth):
    cut, whole = watershed_instances(probability, depth=depth, min_size=0), instances(probability, min_size=0)
    assert np.array_equal(cut > 0, whole > 0)
    for cell in range(1, cut.max() + 1):
        assert len(np.unique(whole[cut == cell])) == 1


@pytest.mark.parametrize("find", [instances, watershed_instances])
@pytest.mark.parametrize(
    ("probability", "options", "message"),
    [
        (np.full((2, 2), -3.0), {}, "softmax"),
        (np.full((2, 2), 255), {}, "255"),
        (np.zeros((1, 2, 2)), {}, "class 1"),
        (np.full((2, 2), np.nan), {}, "NaN"),
        (np.zeros(4), {}, "dimensions"),
        (np.zeros((2, 2)), {"threshold": 1.5}, "threshold is 1.5"),
        (np.zeros((2, 2)), {"min_size": -1}, "min_size is -1"),
        (np.zeros((2, 2)), {"border": -1}, "border is -1"),
    ],
)
def test_errors_name_the_value(find, probability, options, message):
    with pytest.raises(ValueError, match=message):
        find(probability, **options)


def test_the_depth_of_a_waist_is_positive():
    with pytest.raises(ValueError, match="depth is 0"):
        watershed_instances(np.zeros((2, 2)), depth=0)


def test_pairs_of_pixels_that_touch_by_hand():
    labels = np.array([[1, 1, 2], [1, 0, 2], [3, 3, -1]])
    assert touching_pixels(labels) == 2, "1 beside 2 and above 3; not across background nor beside what is ignored"
    assert touching_pixels(np.stack([labels, labels.T])) == 4, "each image for itself"
    assert touching_pixels(labels > 0) == 0, "of one cell"


def test_connected_cells_are_4_connected_and_keep_what_is_ignored():
    labels = [[1, 0, 1, 1], [0, 1, 0, 1], [1, IGNORE, 0, 0]]
    assert connected_cells(labels).tolist() == [[1, 0, 2, 2], [0, 3, 0, 2], [4, IGNORE, 0, 0]]


def test_masks_of_any_kind_give_the_same_int32_cells():
    mask = np.array([[1, 0, 1], [0, 0, 1]])
    for kind in (bool, np.uint8, np.float32):
        cells = connected_cells((mask * 255).astype(kind))
        assert cells.dtype == np.int32
        assert cells.tolist() == [[1, 0, 2], [0, 0, 2]]


def test_a_marker_belongs_to_the_cell_that_holds_most_of_it_and_ignored_pixels_to_none():
    cells = np.array([[1, 1, 1, 2, 2], [1, 1, 0, 2, -1], [3, 3, 0, 0, -1]])
    markers = np.array([[7, 9, 9, 5, 0], [0, 0, 0, 0, 4], [0, 0, 8, 8, 4]])
    assert markers_within(cells, markers) == {1: 9, 2: 5, 3: 0}
    with pytest.raises(ValueError, match="markers has shape"):
        markers_within(cells, markers[:2])
