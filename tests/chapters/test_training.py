"""The chapter on training shows what section 3 claims."""

from __future__ import annotations

import math

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("training")


def test_momentum_of_the_paper_remembers_100_and_quiets_like_199(glued):
    assert glued["memory"] == pytest.approx(100)
    assert glued["last_hundred"] == pytest.approx(1 - 0.99**100)
    assert glued["quiet_expected"] == pytest.approx(199)
    assert glued["quiet_measured"] == pytest.approx(199, rel=0.03)


def test_one_large_tile_wastes_less_than_a_batch(glued):
    assert glued["share_paper"] == pytest.approx(388**2 / 572**2)
    assert glued["taught"] == pytest.approx(388**2 / 572**2 * 252**2 / 68**2)
    assert glued["work_ratio"] > 3
    assert 1 < glued["limit"] < 1.25


def test_only_sqrt_2_over_n_brings_the_signal_to_the_bottom(glued):
    assert glued["kept_bottom"] > 0.5
    assert glued["halved_bottom"] < 0.2
    assert glued["unasked_bottom"] < 0.2
    assert glued["kept_across"] > 0.5
    assert glued["unasked_across"] < 1e-3


def test_all_runs_are_measured_on_the_same_held_out_section(glued):
    assert all(0 < glued[f"{run}_error"] <= glued["all_white"] + 1e-9 for run in ("adam", "standard", "sgd"))
    assert glued["constant"] > 0
    assert glued["same_class"] > 0.95


def test_in_the_full_run_the_paper_s_optimiser_leaves_the_plateau_last(built_book):
    full = built_book.full_run("training")
    assert full["constant"] == pytest.approx(math.log(2), rel=1e-4)  # balanced classes: p = 1/2
    assert full["standard_leaves"] < full["sgd_leaves"] < full["steps"]
    assert full["adam_leaves"] < full["sgd_leaves"]
    assert max(full["adam_error"], full["standard_error"], full["sgd_error"]) < full["all_white"]


def test_in_the_full_run_the_early_map_is_grey_and_the_late_one_is_not(built_book):
    full = built_book.full_run("training")
    assert full["grey_spread"] < 0.1
    assert full["learned_spread"] > 2 * full["grey_spread"]
    assert full["same_class"] > 0.99


def test_in_the_full_run_layers_stay_about_one_and_maps_do_not(built_book):
    full = built_book.full_run("training")
    assert full["draws"] == 3
    assert 0.5 < full["kept_low"] < 1 < full["kept_high"] < 3
    assert full["first_measured"] == pytest.approx(full["first_expected"], rel=0.15)
    assert full["near_one_down"] < 0.1 < 0.8 < full["near_one_up"]  # claim C5, map by map, on images in [0, 1]
    assert full["standard_up"] < 0.5 < 0.8 < full["standard_down"]  # and on standardised ones
    assert full["between_maps"] > 0.9


def test_in_the_full_run_up_convolutions_without_relu_raise_the_deviation(built_book):
    full = built_book.full_run("training")
    assert full["pooling_factor"] > 1
    assert full["rise_release"] < 1 < full["rise_paper"]
