"""Linking by overlap: sequences of one row of pixels, followed by hand, and what must hold for every sequence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.challenge_sequences import sequence
from unet_paper.tracking.linking import Tracks, check_tracks, first_frames, link, within_field

SEQUENCES = arrays(
    np.int32, st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 6)), elements=st.integers(0, 4)
)


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    return len(pairs) == len(np.unique(one)) == len(np.unique(other)) and all((a == 0) == (b == 0) for a, b in pairs)


def test_three_frames_by_hand():
    """The first cell moves right, the second vanishes, a third appears where nothing was."""
    tracks = link(sequence("33..11....", ".55.......", "..66....77"))
    np.testing.assert_array_equal(tracks.labels, sequence("11..22....", ".11.......", "..11....33"))
    assert tracks.table.tolist() == [[1, 0, 2, 0], [2, 0, 0, 0], [3, 2, 2, 0]]


def test_a_static_sequence_keeps_every_track():
    tracks = link(np.stack([sequence("7.44.2")[0]] * 5))
    np.testing.assert_array_equal(tracks.labels, np.stack([sequence("1.22.3")[0]] * 5))
    assert tracks.table.tolist() == [[1, 0, 4, 0], [2, 0, 4, 0], [3, 0, 4, 0]]


def test_overlap_is_intersection_over_union_and_not_pixels():
    """The new cell shares 3 px of 10 with the large cell and 2 px of 5 with the small one."""
    tracks = link(sequence("1111111122", ".....33333"))
    np.testing.assert_array_equal(tracks.labels[1], sequence(".....22222")[0])


def test_the_better_of_two_offers_is_taken():
    tracks = link(sequence("1112222", "3333333"))
    np.testing.assert_array_equal(tracks.labels[1], sequence("2222222")[0])
    assert tracks.table.tolist() == [[1, 0, 0, 0], [2, 0, 1, 0]]


def test_every_cell_is_offered_once():
    """The right cell overlaps more with 1 (2/7) than with 2 (1/5), but 1 is offered to the left one (4/6)."""
    tracks = link(sequence("111111222", "3333444.."))
    np.testing.assert_array_equal(tracks.labels[1], sequence("1111222..")[0])


def test_there_are_no_second_choices():
    """Cell 2 is offered to the left cell (3/8), which prefers 1 (4/7); the right one (1/4) gets no offer."""
    tracks = link(sequence("11112222", "33333334"))
    np.testing.assert_array_equal(tracks.labels[1], sequence("11111113")[0])
    assert tracks.table.tolist() == [[1, 0, 1, 0], [2, 0, 0, 0], [3, 1, 1, 0]]


def test_ties_go_to_the_first_in_reading_order():
    assert link(sequence("1122", "3333")).table.tolist() == [[1, 0, 1, 0], [2, 0, 0, 0]]
    assert link(sequence("1111", "3322")).labels[1].tolist() == [[1, 1, 2, 2]]


def test_a_lost_cell_comes_back_as_a_new_track():
    tracks = link(sequence("11", "..", "11"))
    assert tracks.table.tolist() == [[1, 0, 0, 0], [2, 2, 2, 0]]


def test_divisions_on_request():
    mother, daughters = "1111..3", "22.5..3"
    assert link(sequence(mother, daughters)).table.tolist() == [[1, 0, 1, 0], [2, 0, 1, 0], [3, 1, 1, 0]]
    tracks = link(sequence(mother, daughters, daughters), divisions=True)
    assert tracks.table.tolist() == [[1, 0, 0, 0], [2, 0, 2, 0], [3, 1, 2, 1], [4, 1, 2, 1]]
    np.testing.assert_array_equal(tracks.labels[2], sequence("33.4..2")[0])


def test_a_daughter_lies_for_the_most_part_on_its_mother():
    beside, half, most = (link(sequence("1111...", rows), divisions=True) for rows in ("22.5555", "22.55..", "22.5..."))
    assert beside.table[:, 3].tolist() == half.table[:, 3].tolist() == [0, 0]
    assert most.table[:, 3].tolist() == [0, 1, 1]


def test_a_cell_that_nobody_continues_is_no_mother():
    """Cell 2 is swallowed on the left; what it leaves on the right is no daughter, for there is no sister."""
    tracks = link(sequence("11112222", "33333334"), divisions=True)
    assert tracks.table.tolist() == [[1, 0, 1, 0], [2, 0, 0, 0], [3, 1, 1, 0]]


def test_sequences_without_cells():
    tracks = link(np.zeros((2, 3, 4), dtype=int))
    assert (len(tracks), tracks.table.shape, tracks.labels.shape) == (0, (0, 4), (2, 3, 4))
    assert link(sequence("..", "11", "..")).table.tolist() == [[1, 1, 1, 0]]


@settings(max_examples=200, deadline=None)
@given(frames=SEQUENCES, divisions=st.booleans())
def test_tracks_are_consistent_and_no_cell_changes(frames, divisions):
    tracks = link(frames, divisions=divisions)
    check_tracks(tracks)
    assert tracks.table[:, 0].tolist() == list(range(1, len(tracks) + 1))
    assert all(same_partition(before, after) for before, after in zip(frames, tracks.labels, strict=True))


@settings(max_examples=200, deadline=None)
@given(frames=SEQUENCES, divisions=st.booleans(), data=st.data())
def test_the_numbers_of_the_input_do_not_matter(frames, divisions, data):
    names = [np.array([0, *data.draw(st.permutations([1, 2, 9, 700]))]) for _ in frames]
    renamed = [name[frame] for name, frame in zip(names, frames, strict=True)]
    tracks, again = link(frames, divisions=divisions), link(renamed, divisions=divisions)
    np.testing.assert_array_equal(tracks.labels, again.labels)
    np.testing.assert_array_equal(tracks.table, again.table)


@settings(max_examples=100, deadline=None)
@given(frames=SEQUENCES)
def test_linking_linked_frames_changes_nothing(frames):
    tracks = link(frames)
    np.testing.assert_array_equal(link(tracks.labels).labels, tracks.labels)


def test_cells_outside_of_the_field_are_left_out_after_linking():
    """The cell leaves the field (the inner four pixels) for one frame; its number changes, its descent is kept."""
    frames = np.zeros((3, 3, 6), dtype=int)
    frames[0, 1, 0:3] = frames[1, 1, 0:1] = frames[2, 1, 0:2] = 4
    frames[:, 1, 5] = 8  # never in the field
    tracks = within_field(link(frames), 1)
    assert tracks.table.tolist() == [[1, 0, 0, 0], [3, 2, 2, 1]]
    np.testing.assert_array_equal(tracks.labels[:, 1], [[1, 1, 1, 0, 0, 0], [0] * 6, [3, 3, 0, 0, 0, 0]])


def test_daughters_follow_the_last_part_of_their_mother():
    labels = np.zeros((5, 3, 6), dtype=np.int32)
    labels[0, 1, 1] = labels[2, 1, 1] = labels[1, 1, 0] = 1
    labels[3:, 1, 1], labels[3:, 1, 2] = 2, 3
    tracks = within_field(Tracks(labels, np.array([[1, 0, 2, 0], [2, 3, 4, 1], [3, 3, 4, 1]])), 1)
    assert tracks.table.tolist() == [[1, 0, 0, 0], [2, 3, 4, 4], [3, 3, 4, 4], [4, 2, 2, 1]]


def test_daughters_of_a_mother_outside_of_the_field_have_none():
    labels = np.zeros((2, 3, 6), dtype=np.int32)
    labels[0, 1, 0], labels[1, 1, 1], labels[1, 1, 2] = 1, 2, 3
    tracks = within_field(Tracks(labels, np.array([[1, 0, 0, 0], [2, 1, 1, 1], [3, 1, 1, 1]])), 1)
    assert tracks.table.tolist() == [[2, 1, 1, 0], [3, 1, 1, 0]]


@settings(max_examples=100, deadline=None)
@given(frames=SEQUENCES, divisions=st.booleans())
def test_the_field_of_interest_leaves_tracks_consistent(frames, divisions):
    framed = np.pad(frames, ((0, 0), (1, 1), (1, 1)), mode="edge")
    tracks = link(framed, divisions=divisions)
    inner = within_field(tracks, 1)
    check_tracks(inner)
    seen = [np.isin(frame, frame[1:-1, 1:-1]) & (frame > 0) for frame in framed]
    np.testing.assert_array_equal(inner.labels > 0, seen)
    np.testing.assert_array_equal(within_field(tracks, 0).labels, tracks.labels)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="there are no frames"):
        link([])
    with pytest.raises(ValueError, match=r"frame 1 has shape \(1, 3\), frame 0 has \(1, 2\)"):
        link([np.zeros((1, 2)), np.zeros((1, 3))])
    with pytest.raises(ValueError, match=r"frame 1 holds -1 \(unannotated\)"):
        link(np.array([[[0, 1]], [[-1, 1]]]))
    with pytest.raises(ValueError, match=r"frame 0 holds 0\.5, not a whole number"):
        link([np.array([[0.5]])])
    with pytest.raises(ValueError, match="border is 3 px; frames of 5 x 9 px allow 0 to 2"):
        within_field(link(np.zeros((1, 5, 9))), 3)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1, 0, 1, 0]], r"frames 0 show the cell 2, which the table lacks"),
        ([[1, 0, 1, 0], [2, 0, 1, 0]], r"track 2 has no cell in frames 1, the table says 0 to 1"),
        ([[1, 0, 0, 0], [2, 0, 0, 0]], r"track 1 has a cell in frames 1, the table says 0 to 0"),
        ([[1, 0, 1, 0], [2, 0, 0, 5]], "track 2 has the parent 5, which the table lacks"),
        ([[1, 0, 1, 2], [2, 0, 0, 0]], "track 1 begins in frame 0, its parent 2 ends in frame 0"),
        ([[1, 0, 1, 0], [2, 0, 0, 0], [2, 0, 0, 0]], r"the table names 2 more than once"),
        ([[1, 0, 1, 0], [2, -1, 0, 0]], "track 2 begins in frame -1; frames are counted from 0"),
        ([[1, 0, 2_000_000_000, 0], [2, 0, 0, 0]], r"no cell in frames 2-2000000000, the table says 0 to 2000000000$"),
        ([[1, 0, 1, 0], [2, 1, 0, 0]], "track 2 ends in frame 0, before it begins in frame 1"),
        ([[1, 0, 1, 0], [2, 0, 0, 0], [0, 0, 0, 0]], "track 0: numbers begin at 1"),
    ],
)
def test_inconsistent_tracks_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        check_tracks(Tracks(sequence("12", "1."), np.array(table)))
    check_tracks(Tracks(sequence("12", "1."), np.array([[1, 0, 1, 0], [2, 0, 0, 0]])))


def test_first_frames_end_the_tracks_that_go_on_and_leave_out_later_ones():
    labels = np.array([[[1, 0]], [[1, 2]], [[1, 2]]])
    tracks = first_frames(Tracks(labels, np.array([[1, 0, 2, 0], [2, 1, 2, 0]], dtype=np.int32)), 1)
    assert tracks.table.tolist() == [[1, 0, 0, 0]]
    check_tracks(tracks)
    with pytest.raises(ValueError, match="count is 2; these tracks have 1 to 1 frames"):
        first_frames(tracks, 2)
