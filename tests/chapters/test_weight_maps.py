"""The chapter on weights says what Eq. 2 says."""

from __future__ import annotations

import math

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("weight_maps")


def test_separation_loses_and_splits_nothing(glued):
    assert (glued["lost"], glued["split"]) == (0, 0)
    assert glued["cells"] > 5
    assert glued["gap_pixels"] > 0


def test_gaps_get_more_weight_than_their_area(glued):
    assert 0 < glued["gap_share"] < 0.02
    assert glued["gap_share_of_weight"] > 5 * glued["gap_share"]
    assert glued["gap_weight"] <= glued["heaviest"]


def test_the_pixel_of_the_figure_obeys_eq_2(glued):
    distance = glued["probe_d1"] + glued["probe_d2"]
    assert glued["probe_d1"] < glued["probe_d2"]
    assert glued["probe_term"] == pytest.approx(10 * math.exp(-(distance**2) / 50), rel=1e-5)


def test_border_term_over_the_width_of_a_gap(glued):
    assert glued["term_1"] == pytest.approx(10 * math.exp(-4 / 50))
    assert glued["term_5"] == pytest.approx(10 * math.exp(-36 / 50))
    assert glued["narrow"] == 9


def test_class_balance(glued):
    assert glued["mean_balance"] == pytest.approx(1, abs=1e-4)
    assert glued["balanced_share"] == pytest.approx(0.5, abs=1e-4)
    assert glued["weight_membrane"] == pytest.approx(1 / (2 * glued["membrane_share"]), rel=1e-4)
    assert glued["weight_inside"] == pytest.approx(1 / (2 - 2 * glued["membrane_share"]), rel=1e-4)


def test_with_the_border_term_membranes_hold_most_of_the_weight(glued):
    assert glued["full_share"] > glued["balanced_share"] + 0.1
    share, pixels = glued["full_share"], glued["membrane_share"]
    assert glued["full_ratio"] == pytest.approx(share / pixels / ((1 - share) / (1 - pixels)), rel=1e-4)
    assert glued["full_mean"] > glued["mean_balance"]


def test_map_equals_its_definition(glued):
    assert glued["difference"] <= 1e-5
    assert glued["em_cells"] > 20
