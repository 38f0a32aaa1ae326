"""The chapter of comparisons counts what it says, trains a rival, and is silent about no missing run."""

from __future__ import annotations

import pytest

from unet_paper.experiments import RIVALS, rival_rows
from unet_paper.experiments.rivals import SEEDS

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("comparisons")


def test_windows_are_redundant_and_less_so_in_dense_form(glued):
    assert glued["times_single"] > 100 * glued["times_dense"] > 100
    assert glued["times_equal"] > glued["times_dense"]
    assert glued["section_teraflop"] > 10


def test_a_small_window_trains_live(glued):
    assert glued["live_steps"] == 4
    assert glued["live_seconds"] > 0
    assert 0 <= glued["live_error"] <= 1
    assert 0 < glued["true_membrane"] < 0.5


def test_every_planned_run_is_recorded_or_missing(glued):
    assert glued["planned"] == len(RIVALS) * sum(len(seeds) for seeds in SEEDS.values())
    rows = rival_rows.read_rivals()
    assert glued["recorded"] == len(rows.usable)
    assert glued["budget_seconds"] == (rows.seconds or 0)


def test_no_verdict_without_all_of_its_runs(glued):
    for claim, found in rival_rows.rival_verdicts(rival_rows.read_rivals()).items():
        assert glued[f"verdict_{claim}"] == found.verdict
        assert glued[f"missing_{claim}"] == len(found.missing)
        assert (found.verdict == "not examined") == bool(found.missing)
