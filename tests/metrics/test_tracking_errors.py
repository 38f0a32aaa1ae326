"""TRA: every operation by hand on sequences of one row of pixels, and py-ctcmetrics as an independent judge."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from tests.challenge_sequences import challenge_measures, disturbed, random_tracks, sequence, write_reference
from unet_paper.metrics import det, tra, tracking_errors
from unet_paper.tracking.challenge_format import write_tracks
from unet_paper.tracking.linking import Tracks, link

TWO = link(sequence("11.22", "11.22"))  # 4 cells and 2 links: 4 x 10 + 2 x 1.5 = 43 by hand
MOTHER = link(sequence("1111", "22.3"), divisions=True)  # 3 cells and 2 links: 33 by hand


def counts(reference: Tracks, result: Tracks) -> dict[str, int]:
    errors = tracking_errors(reference, result)
    return {field.name: value for field in fields(errors)[:6] if (value := getattr(errors, field.name))}


def test_perfect_tracks_under_other_numbers():
    renamed = Tracks(np.array([0, 60_000, 7])[TWO.labels], np.array([[60_000, 0, 1, 0], [7, 0, 1, 0]]))
    assert tra(TWO, renamed) == tra(MOTHER, MOTHER) == 1
    assert counts(TWO, renamed) == {}


def test_exchanged_cells():
    """Two links too many, two missing: 2 x 1 + 2 x 1.5."""
    exchanged = Tracks(sequence("11.22", "22.11"), np.array([[1, 0, 1, 0], [2, 0, 1, 0]]))
    assert counts(TWO, exchanged) == {"redundant_links": 2, "missing_links": 2}
    assert tra(TWO, exchanged) == 1 - 5 / 43
    assert tracking_errors(TWO, exchanged).det == 1


def test_unlinked_cells():
    alone = Tracks(sequence("11.22", "33.44"), np.array([[1, 0, 0, 0], [2, 0, 0, 0], [3, 1, 1, 0], [4, 1, 1, 0]]))
    assert counts(TWO, alone) == {"missing_links": 2}
    assert tra(TWO, alone) == 1 - 3 / 43


def test_merged_cells_need_a_cut_and_lose_their_links():
    assert counts(TWO, link(sequence("11.22", "33333"))) == {"splits": 1, "missing_links": 2}
    assert tra(TWO, link(sequence("11.22", "33333"))) == 1 - (5 + 3) / 43


def test_missed_and_invented_cells():
    assert counts(TWO, link(sequence("11.22", "11.3."))) == {"missed": 1, "extra": 1, "missing_links": 1}
    assert tra(TWO, link(sequence("11.22", "11.3."))) == 1 - (10 + 1 + 1.5) / 43


def test_a_division_taken_for_a_move():
    """One daughter goes on as its mother: a link of the wrong kind; the other has no mother: a link missing."""
    assert counts(MOTHER, link(sequence("1111", "22.3"))) == {"missing_links": 1, "wrong_links": 1}
    assert tra(MOTHER, link(sequence("1111", "22.3"))) == 1 - (1.5 + 1) / 33


def test_tra_is_never_negative():
    assert tra(TWO, link(sequence(".....", "....."))) == 0
    one_cell, eleven_others = np.zeros((2, 1, 1, 12), dtype=int)
    one_cell[..., 0], eleven_others[..., 1:] = 1, np.arange(1, 12)
    assert tra(link(one_cell), link(eleven_others)) == 0


@pytest.fixture(scope="module")
def pairs():
    generator = np.random.default_rng(0)
    references = [random_tracks(generator) for _ in range(25)]
    return [(reference, disturbed(reference, generator)) for reference in references]


def test_the_challenges_measures_agree(pairs, tmp_path):
    """Every one of the six counts, TRA and DET, on 25 random sequences in which all kinds of errors occur."""
    ours = {"splits": "NS", "missed": "FN", "extra": "FP"}
    ours |= {"redundant_links": "ED", "missing_links": "EA", "wrong_links": "EC"}
    total = dict.fromkeys(ours, 0)
    for number, (reference, result) in enumerate(pairs):
        folder = write_tracks(tmp_path / f"{number}_RES", result)
        theirs = challenge_measures(folder, write_reference(tmp_path / f"{number}_GT", reference), "TRA", "DET")
        errors = tracking_errors(reference, result)
        for name, short in ours.items():
            assert getattr(errors, name) == theirs[f"AOGM_{short}"]
            total[name] += getattr(errors, name)
        assert errors.tra == tra(reference, result) == pytest.approx(theirs["TRA"], abs=1e-12)
        assert errors.det == det(reference.labels, result.labels) == pytest.approx(theirs["DET"], abs=1e-12)
    assert min(total.values()) > 0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"result has shape \(1, 1, 5\), reference has \(2, 1, 5\)"):
        tra(TWO, link(sequence("11.22")))
    with pytest.raises(ValueError, match="the reference has no cell in any frame"):
        tra(link(sequence("....")), link(sequence("1111")))
    with pytest.raises(ValueError, match=r"inconsistent tracks: frames 0-1 show the cell 2"):
        tra(TWO, Tracks(TWO.labels, TWO.table[:1]))
