"""The chapter on augmentation says what section 3.1 says."""

from __future__ import annotations

import math

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("augmentation")


def test_spread_of_the_displacement(glued):
    between = 10 * (16**2 + 19**2 + 3**2) / 32**2  # the kernel's weights halfway, along rows and columns
    numbers = 2 * glued["samples"] * 9  # from which each of the two spreads is estimated
    assert glued["spread_control"] == pytest.approx(10, abs=4 * 10 / math.sqrt(2 * numbers))
    assert glued["spread_between"] == pytest.approx(between, abs=4 * between / math.sqrt(numbers))


def test_ten_pixels_are_gentle_on_a_large_tile_and_not_on_a_small_one(glued):
    assert glued["area_5"] < glued["area_10"] < glued["area_20"] < glued["area_small_tile"]
    assert glued["area_10"] < 0.1
    assert glued["smallest_area"] > 0.5
    assert glued["smallest_small_tile"] < glued["smallest_area"]


def test_strain_goes_with_displacement_over_tile(glued):
    assert glued["strain_paper"] == pytest.approx(0.065, abs=0.01)  # few samples in the quick run
    assert glued["strain_em"] / glued["strain_paper"] == pytest.approx(572 / 316, rel=0.05)
    assert glued["strain_films"] / glued["strain_paper"] == pytest.approx(5 / 444 / (10 / 572), rel=0.05)


def test_every_further_reading_loses_more_and_bicubic_less_than_bilinear(glued):
    for interpolation in ("bilinear", "bicubic"):
        assert 0 < glued[f"{interpolation}_2"] < glued[f"{interpolation}_4"] < glued[f"{interpolation}_8"]
    assert all(glued[f"bicubic_{readings}"] < glued[f"bilinear_{readings}"] for readings in (2, 4, 8))
