"""Border thinning: cells grow until they meet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unet_paper.cells import connected_cells
from unet_paper.metrics import thin_borders

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 10), st.integers(1, 10)))
QUEUED, UNSEEN = "queued", "unseen"


def thin_by_definition(mask: np.ndarray) -> np.ndarray:
    """Flood as the rule reads, with dictionaries: 0 lines, 1..n cells."""
    if not mask.any():
        return np.ones(mask.shape, dtype=int)
    places = [(x, y) for x in range(mask.shape[1]) for y in range(mask.shape[0])]  # column by column
    cells = connected_cells(mask)
    state = {(x, y): int(cells[y, x]) if mask[y, x] else UNSEEN for x, y in places}
    shore = [place for place in places if state[place] == UNSEEN and any(is_basin(n) for n in around(state, place))]
    state.update(dict.fromkeys(shore, QUEUED))
    queue = list(shore)
    while queue:
        place = queue.pop(0)
        state[place] = settle(state, place)
        for other in neighbours(place):
            if state.get(other) == UNSEEN:
                state[other] = QUEUED
                queue.append(other)
    return np.array([[state[x, y] for x in range(mask.shape[1])] for y in range(mask.shape[0])])


def settle(state: dict, place: tuple[int, int]):
    """Return the label of one pixel from its neighbours in order."""
    label, undecided = QUEUED, False
    for other in around(state, place):
        if is_basin(other) and (label == QUEUED or (label == 0 and undecided)):
            label = other
        elif is_basin(other) and label not in (0, other):
            label, undecided = 0, False
        elif other == 0 and label == QUEUED:
            label, undecided = 0, True
    return label


def neighbours(place: tuple[int, int]) -> list[tuple[int, int]]:
    x, y = place
    return [(x - 1, y), (x, y - 1), (x + 1, y), (x, y + 1)]


def around(state: dict, place: tuple[int, int]) -> list:
    return [state[other] for other in neighbours(place) if other in state]


def is_basin(label) -> bool:
    return isinstance(label, int) and label > 0


@given(MASKS)
@settings(deadline=None, max_examples=200)
def test_equals_the_plain_python_flood(mask):
    np.testing.assert_array_equal(thin_borders(mask), thin_by_definition(mask))


@given(MASKS.filter(np.any))
@settings(deadline=None, max_examples=50)
def test_cells_only_grow_and_none_is_lost(mask):
    before, after = connected_cells(mask), thin_borders(mask)
    np.testing.assert_array_equal(after[mask], before[mask])
    assert set(np.unique(after)) - {0} == set(np.unique(before)) - {0}


def test_thick_membrane_becomes_one_line(picture):
    assert thin_borders(picture("..###.. ..###..")).tolist() == [[1, 1, 1, 0, 2, 2, 2]] * 2


def test_open_end_and_lone_membrane_disappear(picture):
    assert thin_borders(picture(".... .##. .... ....")).tolist() == [[1] * 4] * 4


@pytest.mark.parametrize("mask", [np.zeros((3, 4)), np.ones((3, 4))])
def test_all_membrane_and_all_cell_are_one_cell(mask):
    assert thin_borders(mask).tolist() == [[1] * 4] * 3


def test_input_is_not_changed(picture):
    mask = picture("..#..")
    kept = mask.copy()
    thin_borders(mask)
    np.testing.assert_array_equal(mask, kept)
