"""The chapter on overlap-tile: no seam without padding, a seam with it, and a grid of 16 px."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("overlap_tile")


def test_tiled_is_whole(glued):
    assert glued["seam"] < 1e-4  # standard deviations of the scores


def test_padded_network_shows_a_seam(glued):
    assert glued["at_seam"] > 0.3
    assert glued["flipped"] > 0.02
    assert glued["further"] < 1


def test_training_with_padding_does_not_remove_the_seam(glued):
    assert glued["rival_at_seam"] > 0.3
    assert 0 < glued["rival_further"] < 1
    assert 0 <= glued["rival_flipped"] <= 1
    assert glued["reach"] == 94


def test_only_shifts_on_the_grid_agree(glued):
    assert glued["stride"] == 16
    assert glued["on_grid"] < 1e-4
    assert glued["off_one"] > 1e-2
    assert glued["off_paper"] == 388 % 16
    assert glued["off_difference"] > 10 * glued["on_grid"]
    assert glued["kept_step"] == 384


def test_cost_of_overlap(glued):
    assert glued["redundancy_small"] > glued["redundancy"] > glued["redundancy_large"] > 1
    assert glued["redundancy"] == pytest.approx(1.359, abs=0.001)


def test_section_is_covered_by_equal_tiles(glued):
    assert (glued["tile_in"], glued["tile_out"]) == (444, 256)
