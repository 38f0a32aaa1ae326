"""The scoreboard in the book is the one that the records give."""

from __future__ import annotations

import pytest
from harness import BOOK

from unet_paper.experiments import claims, evidence

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
    assert found.runs == 3, "one run for each task, as the prose has it"


def test_no_value_of_ours_is_typed_into_the_chapter():
    text = (BOOK / "conclusion.md").read_text()
    prose = text[text.index("## The scoreboard") : text.index("(ten-years)=")]
    assert "{glue:text}`C10_ours`" in prose
    for row in claims.scoreboard(evidence.gather(timed=False)):
        assert row.finding.ours == "–" or row.finding.ours not in text
