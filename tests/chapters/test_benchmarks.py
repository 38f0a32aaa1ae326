"""The chapter of benchmarks shows the record, and measures a small part again."""

from __future__ import annotations

import json

import pytest

from unet_paper.experiments import results_folder

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("benchmarks")


def test_prose_states_the_record(glued):
    record = json.loads((results_folder() / "benchmarks.json").read_text())
    machine = record["machine"]
    for name in ("cpu", "cores", "threads", "date", "load_before", "load_after"):
        assert glued[name] == machine[name]
    assert glued["section"] == record["rooms"]["weightmap"]["source"]
    assert glued["compile_s"] == record["rooms"]["metrics"]["fresh"]["compile_s"]
    by_cells = [row["ours_ms"] for row in record["rooms"]["weightmap"]["comparisons"] if "round" in row["what"]]
    assert (glued["fewest_ms"], glued["most_ms"]) == (by_cells[0], by_cells[-1])


def test_prose_names_every_goal_that_was_missed(glued):
    rooms = json.loads((results_folder() / "benchmarks.json").read_text())["rooms"].values()
    missed = [row["what"] for room in rooms for row in room["comparisons"] if row["met"] is False]
    assert all(what in glued["missed"] for what in missed)
    assert ("Every goal" in glued["missed"]) == (not missed)


def test_prose_says_whether_a_trained_network_was_asked(glued):
    asked = json.loads((results_folder() / "benchmarks.json").read_text())["rooms"]["network"]["agreement"]
    assert (asked["network"] or "no trained network was asked") in glued["agreement"]


def test_live_part_is_exact_and_consistent(glued):
    assert 0 <= glued["live_apart"] <= 1e-5
    assert glued["live_ratio"] == pytest.approx(glued["live_definition_ms"] / glued["live_ours_ms"])
