"""Pixel, Rand and information scores: by hand, against scikit-image, and under relabelling."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import adapted_rand_error, variation_of_information

from unet_paper.arrays import IGNORE
from unet_paper.metrics import (
    best_grey_threshold,
    information_scores,
    joined_pairs,
    pixel_agreement,
    rand_agreement,
)
from unet_paper.metrics.agreement import Agreement

SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 8))
LABEL_PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(*[arrays(np.int32, shape, elements=st.integers(0, 4))] * 2)
).filter(lambda pair: pair[0].any())
FORMS = ("2015", "2012", "all_pixels")


def singletons_for_zeros(labels: np.ndarray) -> np.ndarray:
    """Return `labels` with every 0 replaced by a number of its own."""
    numbered = labels.copy()
    zeros = numbered == 0
    numbered[zeros] = numbered.max() + 1 + np.arange(zeros.sum())
    return numbered


def test_pixel_counts_by_hand(picture):
    found = pixel_agreement(picture("..#. ..#."), picture(".##. .#.."))
    assert found == Agreement(true_positive=4, false_positive=1, false_negative=2, true_negative=1)
    assert found.precision == 4 / 5
    assert found.recall == 4 / 6
    assert found.f_score == pytest.approx(8 / 11)
    assert found.accuracy == 5 / 8


def test_empty_counts_by_the_rules_of_the_challenge():
    assert Agreement(0, 0, 0, 4).f_score == 1  # nothing to find, nothing claimed
    assert Agreement(0, 0, 4, 0).f_score == 0
    assert Agreement(0, 4, 4, 0).f_score == 0


def test_rand_counts_by_hand():
    reference = np.array([[1, 1, 1, 1, 0, 2, 2]])
    result = np.array([[1, 1, 0, 2, 2, 2, 2]])
    found = rand_agreement(reference, result, form="2012")  # pairs: 6 + 1 in the reference; {2}, {1}, {1 | 2} px
    assert (found.true_positive, found.false_negative) == (1 + 1, 6 + 1 - 2)
    assert found.false_positive == 2  # the 1 px of cell 1 and the 2 px of cell 2 that share result 2
    squares = rand_agreement(reference, result, form="2015")
    assert squares.true_positive == 4 + 1 + 4 + 1  # parts of 2, 1, 2 px, and the lone pixel with itself
    assert squares.false_negative == 16 + 4 - 10
    assert squares.false_positive == 4 + 9 + 1 - 10


@given(LABEL_PAIRS)
@settings(deadline=None)
def test_2012_form_is_adapted_rand_error_with_singletons(pair):
    reference, result = pair
    found = rand_agreement(reference, result, form="2012")
    if found.true_positive > 0:  # without any common pair scikit-image divides 0 by 0
        error, by_reference, by_result = adapted_rand_error(reference, singletons_for_zeros(result))
        assert 1 - found.f_score == pytest.approx(error, abs=1e-12)
        assert found.recall == pytest.approx(by_reference, abs=1e-12)  # scikit-image calls this one precision
        assert found.precision == pytest.approx(by_result, abs=1e-12)


@given(LABEL_PAIRS)
@settings(deadline=None)
def test_entropies_are_variation_of_information_with_singletons(pair):
    reference, result = pair
    found = information_scores(reference, result)
    cell = reference > 0
    splits, merges = variation_of_information(reference[cell], singletons_for_zeros(result)[cell])  # in bits
    assert found.result_given_reference == pytest.approx(splits * math.log(2), abs=1e-9)
    assert found.reference_given_result == pytest.approx(merges * math.log(2), abs=1e-9)


@given(LABEL_PAIRS, st.permutations(range(1, 5)), st.permutations(range(1, 5)))
@settings(deadline=None)
def test_names_of_objects_do_not_matter(pair, names, other_names):
    reference, result = pair
    renamed = np.array([0, *names])[reference], np.array([0, *other_names])[result]
    for form in FORMS:
        assert rand_agreement(*renamed, form=form) == rand_agreement(reference, result, form=form)
    assert information_scores(*renamed).variation == pytest.approx(
        information_scores(reference, result).variation, abs=1e-12
    )


@given(LABEL_PAIRS)
@settings(deadline=None)
def test_equal_segmentations_agree_fully(pair):
    reference, _ = pair
    for form in FORMS:
        assert rand_agreement(reference, reference, form=form).f_score == 1
    assert information_scores(reference, reference).variation == pytest.approx(0, abs=1e-12)


def test_one_cell_cut_in_half_loses_one_bit():
    found = information_scores(np.ones((2, 4)), np.repeat([[1, 1, 2, 2]], 2, axis=0))
    assert found.result_given_reference == pytest.approx(math.log(2))
    assert found.reference_given_result == 0
    assert found.f_score == 0  # one cell has no entropy: nothing can be learned of it


def test_independent_halves_share_nothing():
    reference, result = np.array([[1, 1], [2, 2]]), np.array([[1, 2], [1, 2]])
    assert math.isnan(information_scores(reference, result).f_score)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no cell"):
        rand_agreement(np.zeros((2, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"'2013'.*2015"):
        rand_agreement(np.ones((2, 2)), np.ones((2, 2)), form="2013")
    with pytest.raises(ValueError, match="result has shape"):
        information_scores(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="result has shape"):
        pixel_agreement(np.ones((2, 2)), np.ones((2, 3)))


@pytest.mark.parametrize("bright", [True, False])
def test_the_best_grey_threshold_knows_dark_and_bright_cells_and_skips_what_nobody_annotated(bright):
    grey = np.array([[0.1, 0.2, 0.7, 0.9, 0.15]])
    labels = np.array([[0, 0, 1, 1, IGNORE]])
    found = best_grey_threshold(grey if bright else 1 - grey, labels, levels=[0.0, 0.5, 1.0])
    assert found == (0.5, 0.0, bright)


def test_a_threshold_cannot_part_what_is_equally_grey():
    assert best_grey_threshold(np.full((1, 4), 0.5), [[0, 0, 0, 1]]).error == 0.25


@given(LABEL_PAIRS)
@settings(deadline=None, max_examples=100)
def test_pairs_joined_by_each_object_sum_to_the_false_pairs_of_the_rand_error(pair):
    reference, result = pair
    joined = joined_pairs(reference, result)
    assert sum(joined.values()) == rand_agreement(reference, result).false_positive
    assert list(joined.values()) == sorted(joined.values(), reverse=True)


def test_a_merger_of_large_cells_weighs_more_than_one_of_small_ones():
    reference = np.array([[1, 1, 1, 2, 2, 2, 0, 3, 4, 0]])
    result = np.array([[7, 7, 7, 7, 7, 7, 0, 5, 5, 9]])
    assert joined_pairs(reference, result) == {7: 18, 5: 2}
