"""The first chapter counts what a sliding window costs: claim C3."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("introduction")


def test_window_network(glued):
    assert glued["window"] == 95
    assert glued["window_parameters"] == 219_290
    assert glued["last_step"] == 16
    assert glued["shared"] == pytest.approx(94 / 95)
    assert glued["readings"] == 95**2


def test_windows_cost_a_hundred_times_as_many_operations(glued):
    assert glued["operations_ratio"] == pytest.approx(101.7, abs=0.1)
    assert glued["slow"] == pytest.approx(512**2 * 242.93e6 / 1e12, rel=1e-4)
    assert (glued["tiles"], glued["tile"]) == (4, 444)


def test_extrapolated_seconds_are_consistent(glued):
    assert glued["seconds_ratio"] == pytest.approx(60 * glued["slow_minutes"] / glued["ours_seconds"])


def test_dense_form_gives_the_same_scores_for_less_work(glued):
    assert glued["dense_difference"] < 1e-4
    assert glued["dense_gflop"] < glued["ours_gflop"]
