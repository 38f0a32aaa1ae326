"""`em_scores`: what is perfect, what is pooled, what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import unet_paper.metrics as metrics
from unet_paper.metrics import THRESHOLDS, em_scores, rand_error_when_grown
from unet_paper.metrics.maps import above

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))
ERRORS = ("pixel_error", "rand_error", "rand_error_2012", "warping_error", "warping_error_all_types")


def two_cells() -> np.ndarray:
    """Return (6, 9) labels: two cells of 6x4 px with one column of membrane between them."""
    labels = np.ones((6, 9), dtype=np.int32)
    labels[:, 4] = 0
    return labels


def test_thresholds_are_sums_of_tenths():
    assert THRESHOLDS[3] == 0.1 + 0.1 + 0.1 != 0.3
    assert len(THRESHOLDS) == 11
    assert THRESHOLDS[-1] == 0.9999999999999999


def test_comparison_is_strict_and_in_64_bit():
    tenth = np.array([0.1, 0.5], dtype=np.float32)  # the float32 nearest to 0.1 is a little larger than the float64
    assert above(tenth, 0.1).tolist() == [True, True]
    assert above(tenth, 0.5).tolist() == [False, False]


@given(MASKS.filter(np.any))
@settings(deadline=None, max_examples=50)
def test_perfect_map_has_no_error(mask):
    scores = em_scores(mask, mask.astype(np.float32))
    assert [getattr(scores, name) for name in ERRORS] == [0] * len(ERRORS)
    assert scores.pixel_difference == 0


def test_perfect_map_of_two_cells_has_full_scores():
    scores = em_scores(two_cells(), two_cells().astype(float))
    assert scores.v_rand == pytest.approx(1)
    assert scores.v_info == pytest.approx(1)
    assert scores.curves["pixel_error"].shape == (11,)
    assert scores.curves["warping_error"].shape == (10,)


@pytest.mark.parametrize("labels", [two_cells() * 255, two_cells().astype(bool), two_cells() * 7])
def test_only_cell_or_membrane_counts_in_labels(labels):
    probability = np.random.default_rng(0).random(labels.shape)
    assert em_scores(labels, probability).curves["rand_error"].tolist() == (
        em_scores(two_cells(), probability).curves["rand_error"].tolist()
    )


def test_black_map_has_warping_error_0():
    scores = em_scores(two_cells(), np.zeros((6, 9)))
    assert scores.warping_error == 0
    assert scores.pixel_error == 1
    assert scores.warping_counts["object_deletion"][0] == 2  # one pixel of each cell cannot vanish


def test_labels_without_membrane_are_one_cell():
    probability = two_cells().astype(float)
    scores = em_scores(np.ones((6, 9)), probability)
    assert scores.v_info == 0  # one cell has no information to share
    assert scores.warping_counts["split"].tolist() == [1] * 10  # a line grows in from the edge; its last pixel splits
    assert scores.pixel_difference == pytest.approx(6 / 54)


def test_stack_pools_errors_and_averages_scores():
    rng = np.random.default_rng(1)
    labels = np.stack([two_cells(), two_cells().T.reshape(6, 9)])
    probability = np.clip(labels * 0.6 + rng.random(labels.shape) * 0.4, 0, 1)
    both = em_scores(labels, probability)
    one, other = (em_scores(labels[k], probability[k]) for k in range(2))
    for name in ("v_rand", "warping_error", "pixel_difference"):  # sections of one size: pooled = mean
        np.testing.assert_allclose(both.curves[name], (one.curves[name] + other.curves[name]) / 2, rtol=1e-12)
    assert (
        both.warping_counts["merge"].tolist() == (one.warping_counts["merge"] + other.warping_counts["merge"]).tolist()
    )


def test_eight_bit_map_is_refused_or_rescaled():
    eight_bit = np.arange(54, dtype=np.uint8).reshape(6, 9) * 4
    with pytest.raises(TypeError, match=r"uint8.*rescale=True"):
        em_scores(two_cells(), eight_bit)
    rescaled = em_scores(two_cells(), eight_bit, rescale=True)
    np.testing.assert_array_equal(
        rescaled.curves["pixel_error"], em_scores(two_cells(), eight_bit / 255).curves["pixel_error"]
    )
    with pytest.raises(ValueError, match="only 0 and 1"):
        em_scores(two_cells(), two_cells().astype(np.uint8), rescale=True)


@pytest.mark.parametrize(
    ("labels", "probability", "message"),
    [
        (two_cells(), np.zeros((9, 6)), r"\(9, 6\).*\(6, 9\)"),
        (two_cells(), np.full((6, 9), 1.5), "1.5"),
        (two_cells(), np.full((6, 9), -0.25), "-0.25"),
        (two_cells(), np.full((6, 9), np.nan), "NaN"),
        (np.zeros((0, 6, 9)), np.zeros((0, 6, 9)), "empty"),
        (np.zeros((6, 9)), np.zeros((6, 9)), "no cell"),
        (two_cells() - 1, np.zeros((6, 9)), "-1"),
        (two_cells() * 0.5, np.zeros((6, 9)), "0.5"),
        (two_cells()[0], np.zeros(9), "1 dimensions"),
    ],
)
def test_bad_input_is_named(labels, probability, message):
    with pytest.raises(ValueError, match=message):
        em_scores(labels, probability)


def test_a_section_without_cell_is_named():
    labels = np.stack([two_cells(), np.zeros((6, 9), dtype=np.int32)])
    with pytest.raises(ValueError, match="section 1"):
        em_scores(labels, np.zeros(labels.shape))


def test_importing_the_package_loads_no_compiler():
    code = "import unet_paper.metrics, sys; print('numba' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="dice"):
        metrics.dice  # noqa: B018


@given(MASKS.filter(np.any), st.data())
@settings(deadline=None, max_examples=50)
def test_growth_by_nothing_is_the_rand_error_and_without_limit_one_minus_v_rand(labels, data):
    probability = data.draw(arrays(np.float32, labels.shape, elements=st.sampled_from([0.25, 0.75])))
    curves = em_scores(labels, probability).curves
    section = (labels[None].astype(np.int32), probability[None])
    assert rand_error_when_grown(*section, 0) == pytest.approx(curves["rand_error"][5])
    assert rand_error_when_grown(*section, np.inf) == pytest.approx(1 - curves["v_rand"][5])


def test_growth_takes_the_thickness_of_a_membrane_away_step_by_step():
    labels = two_cells()[None]
    thick = (labels > 0).astype(float)
    thick[:, :, [3, 5]] = 0  # one px of either cell is called membrane: 12 of 48 px are objects of their own
    # pairs that stay together: twice 18 squared, and 12 px alone; of the labels: twice 24 squared
    assert rand_error_when_grown(labels, thick, 0) == pytest.approx(1 - 2 * 660 / (660 + 1152))
    assert rand_error_when_grown(labels, thick, 1) == 0
    with pytest.raises(ValueError, match="reach is -1"):
        rand_error_when_grown(labels, thick, -1)
