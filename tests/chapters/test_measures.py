"""The chapter on the measures: the eight pictures, the price of a shift, and how two errors disagree."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("measures")


def test_eight_pictures(glued):
    assert glued["pixel_shifted"] == pytest.approx(7 / 70)
    assert glued["pixel_broken"] == pytest.approx(1 / 141)
    assert glued["rand_broken"] == pytest.approx(1 / 3)
    assert glued["rand_merged"] == pytest.approx(1 / 3)
    assert glued["rand_thick"] == pytest.approx(31 / 144)  # 2 * 28^2 + 14 pairs are right, of 2 * 35^2
    assert (glued["warping_broken"], glued["warping_merged"], glued["warping_all_black"]) == (1, 7, 0)
    assert glued["black_left"] == 2


def test_a_line_may_move_by_its_thickness(glued):
    assert (glued["free_1"], glued["free_3"]) == (1, 3)


def test_rand_and_pixel_error_disagree(glued):
    assert glued["gap_pixel"] < glued["shift_pixel"]
    assert glued["gap_rand"] > 2 * glued["shift_rand"]


def test_conventions_of_the_rand_error_decide_about_its_first_digit(glued):
    assert glued["shrunk_by"] == 2
    assert glued["convention_2012"] == pytest.approx(glued["convention_ours"], abs=1e-3)
    assert min(glued["convention_one_object"], glued["convention_all_pixels"]) > glued["convention_ours"] + 0.1


def test_conventions_of_table_1(glued):
    assert glued["forms_differ"] < 1e-3
    assert glued["blurred_pixel"] < glued["blurred_difference"]
