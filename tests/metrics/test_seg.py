"""SEG and DET, the measures of the cell tracking challenge, by hand."""

import numpy as np
import pytest

from unet_paper import IGNORE
from unet_paper.metrics import det, match_cells, merged_cells, merged_labels, seg


def test_perfect_result_under_other_names():
    reference = np.array([[1, 1, 0, 2, 2, 2]])
    assert seg(reference, np.array([[7, 7, 0, 65000, 65000, 65000]])) == 1
    assert det(reference, reference) == 1


def test_intersection_over_union():
    reference = np.array([[1, 1, 1, 1, 0, 0]])
    assert seg(reference, np.array([[0, 3, 3, 3, 3, 3]])) == 3 / 6


def test_exactly_half_is_no_match():
    reference = np.array([[1, 1, 1, 1]])
    assert seg(reference, np.array([[2, 2, 0, 0]])) == 0
    assert seg(reference, np.array([[2, 2, 3, 3]])) == 0


def test_one_result_cell_may_match_two_reference_cells():
    reference, merged = np.array([[1, 1, 1, 2, 2]]), np.full((1, 5), 4)
    assert seg(reference, merged) == pytest.approx((3 / 5 + 2 / 5) / 2)
    assert match_cells(reference, merged).result.tolist() == [4, 4]
    assert det(reference, merged) == 1 - 5 / 20  # one cut


def test_misses_count_and_extras_do_not():
    reference, result = np.array([[1, 1, 0, 2, 2, 0]]), np.array([[1, 1, 0, 0, 0, 9]])
    assert seg(reference, result) == 1 / 2
    assert match_cells(reference, result).missed.tolist() == [2]
    assert match_cells(reference, result).extra.tolist() == [9]
    assert det(reference, result) == 1 - (10 + 1) / 20


def test_cells_of_all_frames_count_alike():
    reference = np.array([[[1, 0, 2, 0, 3]], [[1, 1, 1, 1, 1]], [[0, 0, 0, 0, 0]]])
    result = np.array([[[1, 0, 2, 0, 3]], [[0, 0, 0, 0, 0]], [[5, 5, 5, 5, 5]]])
    assert seg(reference, result) == 3 / 4


def test_det_is_never_negative():
    reference = np.array([[1, 1] + [0] * 30])
    assert det(reference, np.array([[0, 0, *range(1, 31)]])) == 0


def test_ignored_pixels_are_background():
    assert seg(np.array([[1, 1, IGNORE]]), np.array([[1, 1, 0]])) == 1


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no cell"):
        seg(np.zeros((2, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="result has shape"):
        seg(np.ones((2, 2)), np.ones((2, 3)))


def test_one_result_cell_over_three_reference_cells_needs_two_cuts():
    reference = np.array([[[1, 1, 2, 2, 3, 3]], [[1, 1, 0, 0, 2, 2]]])
    result = np.array([[[5, 5, 5, 5, 5, 5]], [[1, 1, 0, 0, 2, 2]]])
    assert merged_cells(reference, result) == 2
    assert merged_cells(reference[1], result[1]) == 0


def test_merged_labels_are_the_cells_that_cover_several():
    reference = np.array([[1, 1, 0, 2, 2, 0, 3, 3]])
    result = np.array([[7, 7, 7, 7, 7, 0, 4, 4]])
    assert merged_labels(reference, result).tolist() == [7]
    assert merged_labels(reference, reference).tolist() == []
