"""The page of mutations shows the record, and says of each mutation whether it was caught."""

from __future__ import annotations

import json

import pytest

from tests.mutations.catalogue import MUTATIONS
from unet_paper.experiments import results_folder

pytestmark = pytest.mark.book


@pytest.fixture
def recorded() -> dict:
    return json.loads((results_folder() / "mutations.json").read_text())


def test_prose_states_the_record(run_chapter, recorded):
    glued = run_chapter("mutations")
    missed = [row["what"] for row in recorded["mutations"] if not row["caught"]]
    assert (glued["date"], glued["commit"]) == (recorded["machine"]["date"], recorded["machine"]["commit"])
    assert (glued["made"], glued["caught"]) == (len(recorded["mutations"]), len(recorded["mutations"]) - len(missed))
    assert all(what in glued["verdict"] for what in missed)
    assert ("Each one" in glued["verdict"]) == (not missed)


def test_the_record_is_of_the_catalogue(recorded):
    rows = [(row["what"], row["file"], row["check"]) for row in recorded["mutations"]]
    made = [(mutation.what, mutation.file, mutation.check) for mutation in MUTATIONS]
    assert rows == made, "run `make mutate`"
