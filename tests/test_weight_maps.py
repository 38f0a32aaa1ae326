"""Eq. 2 and Fig. 3: the weight map against its own definition, and the border between touching cells."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from unet_paper.arrays import IGNORE
from unet_paper.weight_maps import (
    border_term,
    class_weights,
    separate_touching,
    two_nearest_cells,
    weight_map,
)

FOUR, EIGHT = ndimage.generate_binary_structure(2, 1), ndimage.generate_binary_structure(2, 2)

small_labels = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(IGNORE, 4))


def defined_distances(labels: np.ndarray) -> np.ndarray:
    """d1 and d2 by the definition: one distance transform per cell, sorted. -> (2, H, W)."""
    cells = [cell for cell in np.unique(labels) if cell > 0]
    distances = [ndimage.distance_transform_edt(labels != cell) for cell in cells]
    nothing = [np.full(labels.shape, np.inf)] * 2
    return np.sort(np.stack(distances + nothing), axis=0)[:2]


def defined_border_term(labels: np.ndarray, w0: float = 10.0, sigma: float = 5.0) -> np.ndarray:
    d1, d2 = defined_distances(labels)
    return np.where(labels == 0, w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2)), 0)


def blobs(cells: int, size: int, *, seed: int) -> np.ndarray:
    """Touching round cells: the Voronoi regions of random seeds, cut off at a radius."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros((size, size), dtype=np.int32)
    seeds.flat[rng.choice(size * size, cells, replace=False)] = np.arange(1, cells + 1)
    distance, (row, column) = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    return np.where(distance < 0.6 * size / math.sqrt(cells), seeds[row, column], 0)


# The two distances -------------------------------------------------------------------------------------------------


def test_distances_along_a_line():
    d1, d2 = two_nearest_cells([[7, 0, 0, 0, 0, 3, 3]])
    assert d1.tolist() == [[0, 1, 2, 2, 1, 0, 0]]
    assert d2.tolist() == [[5, 4, 3, 3, 4, 5, 6]]


def test_distances_are_euclidean_between_pixel_centres():
    labels = np.zeros((4, 5), dtype=int)
    labels[0, 0], labels[3, 4] = 1, 2
    d1, d2 = two_nearest_cells(labels)
    assert (d1[0, 4], d2[0, 4]) == (3, 4)  # straight down to cell 2, straight left to cell 1
    assert (d1[2, 1], d2[2, 1]) == (math.sqrt(2**2 + 1**2), math.sqrt(1**2 + 3**2))


def test_second_nearest_is_another_cell_not_another_pixel():
    d1, d2 = two_nearest_cells([[1, 1, 1, 0, 0, 0, 0, 0, 0, 2]])
    assert (d1[0, 3], d2[0, 3]) == (1, 6)


@settings(deadline=None)
@given(small_labels)
def test_distances_equal_the_definition(labels):
    np.testing.assert_array_equal(two_nearest_cells(labels), defined_distances(labels))


@pytest.mark.parametrize(("cells", "seed"), [(2, 0), (3, 1), (30, 2), (300, 3)])
def test_distances_equal_the_definition_on_blobs(cells, seed):
    labels = blobs(cells, 96, seed=seed)
    np.testing.assert_array_equal(two_nearest_cells(labels), defined_distances(labels))


def test_where_limits_the_search_and_changes_nothing_there():
    labels = blobs(12, 48, seed=4)
    where = labels == 0
    limited, everywhere = np.array(two_nearest_cells(labels, where=where)), np.array(two_nearest_cells(labels))
    np.testing.assert_array_equal(limited[:, where], everywhere[:, where])
    assert np.isinf(limited[:, ~where]).all()


# The weights -------------------------------------------------------------------------------------------------------


def test_border_term_is_eq_2_along_a_line():
    weights = weight_map([[1, 0, 0, 0, 2]], balance=False)
    gap = 1 + 10 * math.exp(-((1 + 3) ** 2) / (2 * 5**2))  # d1 + d2 = 4 on all three background pixels
    np.testing.assert_allclose(weights, [[1, gap, gap, gap, 1]], rtol=1e-6)


def test_the_narrower_the_gap_the_higher_the_weight():
    gaps = [weight_map([[1] + [0] * width + [2]], balance=False).max() for width in range(1, 12)]
    assert all(narrow > wide for narrow, wide in itertools.pairwise(gaps))


@settings(deadline=None)
@given(small_labels)
def test_weights_equal_the_definition(labels):
    expected = class_weights(labels) + defined_border_term(labels)
    np.testing.assert_allclose(weight_map(labels), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("w0", "sigma"), [(10, 5), (10, 1), (10, 12), (1, 5), (1e-7, 5), (0, 5)])
def test_left_out_terms_are_negligible(w0, sigma):
    labels = np.zeros((1, 400), dtype=int)
    labels[0, 0], labels[0, 1] = 1, 2  # d1 + d2 = 2 x - 1: the border term fades along the line
    error = border_term(labels, w0=w0, sigma=sigma)[labels == 0] - defined_border_term(labels, w0, sigma)[labels == 0]
    assert np.abs(error).max() <= 1e-6 * max(w0 / 10, 1)  # the second factor is the rounding of float32


@pytest.mark.parametrize(("cells", "seed"), [(2, 0), (40, 1), (400, 2)])
def test_weights_equal_the_definition_on_separated_blobs(cells, seed):
    labels = separate_touching(blobs(cells, 128, seed=seed))
    expected = class_weights(labels) + defined_border_term(labels)
    np.testing.assert_allclose(weight_map(labels), expected, rtol=0, atol=1e-5)
    assert weight_map(labels).dtype == np.float32


def test_one_cell_has_no_border_term():
    labels = np.zeros((20, 20), dtype=int)
    labels[5:9, 5:9] = 1
    np.testing.assert_array_equal(weight_map(labels), class_weights(labels))


def test_no_cell_weighs_one_everywhere():
    np.testing.assert_array_equal(weight_map(np.zeros((6, 7), dtype=int)), np.ones((6, 7)))


def test_all_cells_weigh_one_everywhere():
    np.testing.assert_array_equal(weight_map(np.arange(1, 43).reshape(6, 7)), np.ones((6, 7)))


def test_nothing_annotated_weighs_nothing():
    np.testing.assert_array_equal(weight_map(np.full((6, 7), IGNORE)), np.zeros((6, 7)))


def test_border_term_acts_on_background_only_unless_asked():
    labels = [[1, 0, 2]]
    gap = 10 * math.exp(-(2**2) / 50)  # d1 = d2 = 1 on the background; d1 = 0 and d2 = 2 on both cells
    np.testing.assert_allclose(weight_map(labels, balance=False), [[1, 1 + gap, 1]], rtol=1e-6)
    everywhere = weight_map(labels, balance=False, inside_cells=True)
    np.testing.assert_allclose(everywhere, [[1 + gap, 1 + gap, 1 + gap]], rtol=1e-6)


def test_ignored_pixels_weigh_nothing_and_are_no_cells():
    labels = np.array([[1, 0, IGNORE, 0, 0, 2]])
    weights = weight_map(labels, balance=False)
    assert weights[0, 2] == 0
    assert weights[0, 1] == pytest.approx(1 + 10 * math.exp(-((1 + 4) ** 2) / 50))  # to cell 2, past what is ignored


@pytest.mark.parametrize("turn", [np.transpose, np.flipud, np.fliplr, np.rot90])
def test_turning_the_labels_turns_the_weights(turn):
    labels = blobs(9, 40, seed=5)
    np.testing.assert_array_equal(weight_map(turn(labels)), turn(weight_map(labels)))


def test_names_of_cells_do_not_matter():
    labels = blobs(9, 40, seed=6)
    names = np.concatenate([[0], np.random.default_rng(0).choice(2**31 - 1, labels.max(), replace=False) + 1])
    np.testing.assert_array_equal(weight_map(names[labels]), weight_map(labels))


# Class balance -----------------------------------------------------------------------------------------------------


def test_class_weights_by_hand():
    labels = [[0, 0, 0, 1], [0, 2, IGNORE, IGNORE]]  # 4 background, 2 cell, so N / 2n = 6/8 and 6/4
    np.testing.assert_allclose(class_weights(labels), [[0.75, 0.75, 0.75, 1.5], [0.75, 1.5, 0, 0]])


@given(small_labels)
def test_class_weights_have_mean_one_and_equal_shares(labels):
    weights = class_weights(labels)
    annotated, background, cells = labels != IGNORE, labels == 0, labels > 0
    assert (weights[~annotated] == 0).all()
    if annotated.any():
        assert weights[annotated].mean(dtype=float) == pytest.approx(1)
    if background.any() and cells.any():
        assert weights[background].sum(dtype=float) == pytest.approx(weights[cells].sum(dtype=float))


# The border between touching cells ---------------------------------------------------------------------------------


def touching_pixels(labels: np.ndarray) -> np.ndarray:
    """Cell pixels with a pixel of another cell among their 8 neighbours."""
    lowest = ndimage.minimum_filter(np.where(labels > 0, labels, 10**9), size=3, mode="nearest")
    return (labels > 0) & (lowest < ndimage.maximum_filter(labels, size=3, mode="nearest"))


def pieces(labels: np.ndarray, structure: np.ndarray) -> dict[int, int]:
    """How many connected components each cell consists of."""
    return {int(cell): ndimage.label(labels == cell, structure)[1] for cell in np.unique(labels) if cell > 0}


@pytest.mark.parametrize("turn", [np.copy, np.transpose, np.rot90])
def test_two_blocks_get_a_gap_of_one_pixel_on_the_side_of_the_smaller_number(turn):
    labels = np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0)
    expected = np.repeat([[1, 1, 0, 2, 2, 2]], 4, axis=0)
    np.testing.assert_array_equal(separate_touching(turn(labels)), turn(expected))


def test_diagonal_contact_counts_as_touching():
    labels = np.zeros((4, 4), dtype=int)
    labels[:2, :2], labels[2:, 2:] = 1, 2
    separated = separate_touching(labels)
    assert not touching_pixels(separated).any()
    assert (separated != labels).sum() == 1


def test_cells_apart_are_left_alone():
    labels = np.repeat([[1, 1, 0, 2, 2, IGNORE, 3]], 4, axis=0)
    np.testing.assert_array_equal(separate_touching(labels), labels)


def test_a_cell_of_one_pixel_survives_inside_another():
    labels = np.ones((5, 5), dtype=int)
    labels[2, 2] = 2
    separated = separate_touching(labels)
    assert separated[2, 2] == 2
    assert pieces(separated, FOUR) == {1: 1, 2: 1}


def test_a_thin_cell_keeps_its_length():
    labels = np.ones((6, 9), dtype=int)
    labels[3, :] = 2
    separated = separate_touching(labels)
    assert (separated[3] == 2).all()
    assert not touching_pixels(separated[:, 1:-1]).any()


def test_where_nobody_can_give_way_cells_go_on_touching():
    labels = np.array([[1, 2]])
    np.testing.assert_array_equal(separate_touching(labels), labels)


@settings(deadline=None, max_examples=300)
@given(small_labels)
def test_no_cell_is_lost_or_split_and_pixels_only_turn_into_background(labels):
    separated = separate_touching(labels)
    changed = separated != labels
    assert (separated[changed] == 0).all()
    assert (labels[changed] > 0).all()
    assert touching_pixels(labels)[changed].all()
    assert pieces(separated, FOUR) == pieces(labels, FOUR)
    assert pieces(separated, EIGHT) == pieces(labels, EIGHT)
    np.testing.assert_array_equal(separate_touching(separated), separated)


@pytest.mark.parametrize(("cells", "seed"), [(2, 0), (12, 1), (40, 2)])
def test_fat_cells_never_touch_afterwards(cells, seed):
    labels = blobs(cells, 128, seed=seed)
    assert touching_pixels(labels).any()
    assert not touching_pixels(separate_touching(labels)).any()


# Bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0, 1]}, "1 dimensions"),
        ({"labels": [[0.5, 1]]}, "0.5, not a whole number"),
        ({"labels": [[0, -2]]}, "holds -2"),
        ({"labels": np.zeros((0, 3))}, "empty"),
        ({"labels": [[0, 1]], "w0": -1}, "w0 is -1"),
        ({"labels": [[0, 1]], "sigma": 0}, "sigma is 0"),
        ({"labels": [[0, 1]], "sigma": math.nan}, "sigma is nan"),
    ],
)
def test_refuses_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        weight_map(arguments.pop("labels"), **arguments)


def test_refuses_a_mask_of_another_shape():
    with pytest.raises(ValueError, match="where has shape"):
        two_nearest_cells([[0, 1]], where=np.ones((3, 3), dtype=bool))
