"""The chapter on your own images: half an image held out, and mistakes that show."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("your_images")


def test_half_of_the_coins_are_held_out(glued):
    assert glued["drawn"] == 13  # one coin lies across the cut
    assert glued["scale"] == 1


def test_a_run_of_two_steps_is_no_network(glued):
    assert glued["steps"] == 2
    assert 0 <= glued["seg"] <= 1


def test_one_network_knows_its_generated_image_and_the_other_does_not(glued):
    assert glued["generated_u373"] > 0.7
    assert glued["generated_dic"] < 0.25
    assert glued["generated_missed"] > 0.5 * glued["generated_cells"]


@pytest.mark.usefixtures("built_book")
def test_the_full_run_finds_the_coins_and_mistakes_show(built_book):
    full = built_book.full_run("your_images")
    assert full["seg"] > 0.7
    assert max(full["trial_black"], full["trial_scale"]) < full["trial_right"] - 0.1
