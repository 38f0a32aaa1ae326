"""A ring is membrane that closes around something inside a cell; the walls between cells are none."""

from __future__ import annotations

import numpy as np
import pytest

from tests.real_data import needs_sections
from unet_paper.datasets import load_isbi2012
from unet_paper.datasets.annotation import closed_rings


def drawn(*rows: str) -> np.ndarray:
    """Return labels from letters: '#' membrane, '.' cell."""
    return np.array([[int(letter == ".") for letter in row] for row in rows])


RING = drawn(
    ".......",
    "..###..",
    "..#.#..",
    "..###..",
    ".......",
)


def test_a_ring_inside_a_cell_is_found_without_its_hole():
    rings, outlined = closed_rings(RING)
    assert outlined == 1
    assert rings.sum() == 8
    assert not rings[2, 3]


@pytest.mark.parametrize(
    "labels",
    [
        drawn(".....", ".###.", ".###.", "....."),  # a filled dot encloses nothing
        drawn("......", ".####.", ".#..#.", ".##.#.", "......"),  # an open outline
        drawn("...#...", "..###..", "..#.#..", "..###..", "......."),  # hangs on a membrane that reaches the edge
        drawn("..#..", "..#..", "#####", "..#.."),  # walls between four cells
        np.zeros((4, 4), dtype=int),
        np.ones((4, 4), dtype=int),
    ],
)
def test_what_is_no_ring(labels):
    rings, outlined = closed_rings(labels)
    assert outlined == 0
    assert not rings.any()


def test_corners_close_an_outline_and_a_bar_makes_two_of_one():
    diamond = drawn(".....", "..#..", ".#.#.", "..#..", ".....")
    barred = drawn(".......", ".#####.", ".#.#.#.", ".#####.", ".......")
    assert closed_rings(diamond)[1] == 1
    assert closed_rings(barred)[1] == 2


def test_masks_of_0_and_255_count_as_those_of_0_and_1():
    assert closed_rings(255 * RING)[1] == 1


@needs_sections
def test_blocks_of_the_challenge_are_not_annotated_alike():
    counts = np.array([closed_rings(labels)[1] for labels in load_isbi2012("train").labels])
    assert counts.reshape(5, 6).mean(axis=1) == pytest.approx([2, 1 / 3, 0, 2 / 3, 5])
