"""Warping: what may move, what may not, and the name of every pixel that is left."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.warping_by_definition import is_simple, warp_by_definition
from unet_paper.cells import connected_cells
from unet_paper.metrics import warp
from unet_paper.metrics.warping import ERRORS, IS_SIMPLE

SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 8))
PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(
        arrays(np.bool_, shape),
        arrays(np.float32, shape, elements=st.floats(0, 1, width=32)),
    )
)
LEVELS = st.sampled_from([0.0, 0.1, 0.30000000000000004, 0.5, 0.8999999999999999])


def patch_of(code: int, centre: bool) -> np.ndarray:
    bits = [bool(code >> k & 1) for k in range(8)]
    return np.array([*bits[:4], centre, *bits[4:]]).reshape(3, 3)


@pytest.mark.parametrize("centre", [False, True])
def test_simple_pixels_agree_with_an_independent_rule(centre):
    assert [bool(simple) for simple in IS_SIMPLE] == [is_simple(patch_of(code, centre)) for code in range(256)]


def test_some_simple_pixels_by_hand(picture):
    simple = ["... ... ###", "..# ..# ..#", "### #.. ###"]
    not_simple = ["... ... ...", "### ### ###", "... ### ...", ".#. .#. .#.", ".## #.# ##."]
    assert [is_simple(picture(patch)) for patch in simple] == [True] * 3
    assert [is_simple(picture(patch)) for patch in not_simple] == [False] * 5


@given(PAIRS, LEVELS)
@settings(deadline=None, max_examples=150)
def test_equals_the_plain_python_loop(pair, threshold):
    labels, probability = pair
    ours = warp(labels, probability, threshold)
    warped, remaining = warp_by_definition(labels, probability, threshold)
    np.testing.assert_array_equal(ours.warped, warped)
    assert sum(ours.counts.values()) == remaining
    np.testing.assert_array_equal(ours.errors > 0, ours.warped != (probability > np.float64(threshold)))


@given(PAIRS, LEVELS)
@settings(deadline=None, max_examples=50)
def test_warping_keeps_the_number_of_cells_and_records_every_flip(pair, threshold):
    labels, probability = pair
    result = warp(labels, probability, threshold)
    assert connected_cells(result.warped).max() == connected_cells(labels).max()
    replayed = labels.copy()
    replayed[result.flips[:, 1], result.flips[:, 2]] ^= True
    np.testing.assert_array_equal(replayed, result.warped)
    assert (np.diff(result.flips[:, 0]) >= 0).all()


CASES = {  # labels, result, and what is left, counted by hand
    "shifted membrane": ("...#... ...#... ...#...", "..#.... ..#.... ..#....", {}),
    "broken membrane": ("...#... ...#... ...#...", "...#... ....... ...#...", {"merge": 1}),
    "no membrane": ("...#... ...#... ...#...", "....... ....... .......", {"merge": 3}),
    "new membrane": ("....... ....... .......", "...#... ...#... ...#...", {"split": 1}),
    "dent": ("....... ....... .......", "...#... ....... .......", {}),
    "hole": ("..... ..... ..... ..... .....", "..... ..... ..#.. ..... .....", {"hole_addition": 1}),
    "lost cell": ("##### #...# #####", "##### ##### #####", {"object_deletion": 1}),
    "extra cell": ("##### ##### #####", "##### ##.## #####", {"object_addition": 1}),
    "hole closed": ("..... ..... ..#.. ..... .....", "..... ..... ..... ..... .....", {"hole_deletion": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_small_pictures(picture, name):
    labels, result, expected = CASES[name]
    found = warp(picture(labels), picture(result).astype(float), 0.5).counts
    assert {kind: pixels for kind, pixels in found.items() if pixels} == expected


@pytest.mark.parametrize(("upper", "lower", "first"), [(0.1, 0.3, 0), (0.3, 0.1, 1), (0.2, 0.2, 0)])
def test_confident_pixels_move_first_and_ties_go_down_the_column(upper, lower, first):
    labels = np.ones((2, 5), dtype=bool)
    probability = np.ones((2, 5))
    probability[:, 2] = upper, lower  # either may go, but not both: that would split the cell
    result = warp(labels, probability, 0.5)
    assert result.flips.tolist() == [[0, first, 2]]
    assert ERRORS[result.errors[1 - first, 2]] == "split"


def test_an_image_of_one_pixel_has_no_neighbours():
    assert warp([[1]], [[0.0]], 0.5).counts["object_deletion"] == 1
    assert warp([[0]], [[1.0]], 0.5).counts["object_addition"] == 1


def test_window_decides_whether_a_ring_is_split():
    labels = np.ones((9, 9), dtype=bool)
    labels[2:7, 2:7] = False  # a ring of cell, 2 px wide, around membrane
    probability = labels.astype(float)
    probability[4, :2] = 0  # cut once: the ring stays in one piece, but not inside a small window
    assert warp(labels, probability, 0.5, radius=20).counts["split"] == 0
    assert warp(labels, probability, 0.5, radius=2).counts["split"] == 1


def test_error_is_splits_and_merges_per_pixel(picture):
    labels, result, _ = CASES["broken membrane"]
    found = warp(picture(labels), picture(result).astype(float), 0.5)
    assert found.error == found.error_all_types == 1 / 21
    assert ERRORS[found.errors[1, 3]] == "merge"


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="probability has shape"):
        warp(np.ones((2, 3)), np.ones((3, 2)), 0.5)
    with pytest.raises(ValueError, match="outside"):
        warp(np.ones((2, 3)), np.full((2, 3), 2.0), 0.5)
    with pytest.raises(ValueError, match="3 dimensions"):
        warp(np.ones((1, 2, 3)), np.ones((1, 2, 3)), 0.5)
