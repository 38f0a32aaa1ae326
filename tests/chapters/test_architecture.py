"""The chapter on the network says what Fig. 1 says."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("architecture")


def test_counts_of_figure_1(glued):
    assert glued["count"] == 23
    assert glued["parameters"] == 31_030_658
    assert glued["gmac"] == pytest.approx(150.4, abs=0.05)
    assert glued["gflop"] == pytest.approx(300.9, abs=0.05)


def test_bottom_of_the_u(glued):
    assert (glued["bottom_side"], glued["bottom_channels"]) == (28, 1024)


def test_legal_sizes(glued):
    assert (glued["smallest"], glued["smallest_out"]) == (188, 4)
    assert (glued["margin"], glued["border"]) == (184, 92)


def test_crops_of_the_skip_connections(glued):
    assert glued["crop_top"] == (568 - 392) / 2
    assert glued["crop_bottom"] == (64 - 56) / 2


def test_measured_window_is_the_predicted_one(glued):
    assert glued["seen_side"] == glued["sees_most"] == 204
    assert glued["sees_least"] == 188
    assert glued["share_most"] == 0.75


def test_shares_by_level(glued):
    assert glued["bottom_parameters"] == pytest.approx(14_157_824 / 31_030_658)
    assert 0 < glued["top_parameters"] < 0.01
    assert glued["top_values"] > 0.4
