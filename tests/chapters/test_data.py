"""The chapter on the data says what the data show, real or generated."""

from __future__ import annotations

import pytest

from tests.real_data import needs_sections, needs_sequences

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("data")


def test_membranes_are_dark_and_rare(glued):
    assert glued["sections"] == 30
    assert 0.19 < glued["membrane"] < 0.27
    assert glued["membrane_grey"] < glued["cell_grey"]


def test_a_threshold_is_hardly_better_than_calling_everything_a_cell(glued):
    assert 0.14 < glued["threshold_error"] < glued["membrane"]
    assert 0.14 < glued["made_threshold_error"] < glued["made_membrane"]


def test_neighbouring_sections_are_alike_and_distant_ones_are_not(glued):
    assert glued["alike_1"] > 0.3
    assert abs(glued["alike_far"]) < 0.1
    assert glued["known"] > glued["membrane"] + 0.1


def test_hela_cells_crowd_and_u373_cells_do_not(glued):
    assert glued["hela_covered"] > 0.3 > 0.1 > glued["u373_covered"]
    assert glued["hela_touching"] > 100


def test_one_frame_is_hardly_annotated(glued):
    assert glued["cells_annotated"] == 3
    assert glued["cells_existing"] >= 18
    assert glued["ignored"] > 0.4
    assert glued["frames_all"] == 9


@needs_sections
def test_real_sections(glued):
    assert glued["membrane"] == pytest.approx(0.2196, abs=1e-4)
    assert glued["threshold_error"] == pytest.approx(0.171, abs=0.002)


@needs_sections
def test_the_held_out_block_of_the_real_sections_is_annotated_differently(glued):
    assert (glued["rings_fewest"], glued["rings_training"], glued["rings_held_out"]) == pytest.approx((0, 0.75, 5))


@needs_sequences
def test_real_frames(glued):
    assert (glued["frame"], glued["cells_annotated"], glued["cells_existing"]) == (67, 3, 18)
    assert (glued["frames_incomplete"], glued["frames_all"]) == (3, 9)
