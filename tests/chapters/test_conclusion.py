"""The scoreboard in the book is the one that the records give."""

from __future__ import annotations

import pytest
from harness import BOOK

from unet_paper.experiments import claims, evidence, summary

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("conclusion")


def test_every_claim_has_a_verdict_and_they_add_up(glued):
    assert glued["claims"] == 17
    assert sum(glued[verdict.replace(" ", "_")] for verdict in claims.VERDICTS) == 17


def test_the_verdicts_are_those_of_the_records(glued):
    rows = claims.scoreboard(evidence.gather(timed=False))
    assert {row.claim.name: row.finding.verdict for row in rows} == {
        f"C{n}": glued[f"C{n}_verdict"] for n in range(1, 18)
    }


def test_one_recipe_for_three_tasks_is_told_as_it_was_found():
    found = claims.scoreboard(evidence.gather(timed=False))[16].finding
    assert found.reason.endswith("better on DIC-HeLa.")
    runs = evidence.gather(timed=False).records
    assert found.runs == len(runs["em-faithful"]) + 2
    assert all(len(runs[f"{task}-faithful"]) == 1 for task in ("u373", "dic-hela")), "one of each kind of cells"


def test_the_runs_that_stand_for_us_are_equally_wide_but_see_images_of_two_sizes():  # as the prose has it
    runs = evidence.gather(timed=False).records
    names = [summary.em_experiment(runs), *(summary.cell_experiment(runs, task) for task in ("u373", "dic-hela"))]
    assert len({run["base_channels"] for name in names for run in runs[name]}) == 1
    assert {run["scale"] for name in names for run in runs[name]} == {0.5, 1.0}


def test_no_value_of_ours_is_typed_into_the_chapter():
    text = (BOOK / "conclusion.md").read_text()
    prose = text[text.index("## The scoreboard") : text.index("(ten-years)=")]
    assert "{glue:text}`C10_ours`" in prose
    for row in claims.scoreboard(evidence.gather(timed=False)):
        assert row.finding.ours == "–" or row.finding.ours not in text
