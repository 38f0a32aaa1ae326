"""The catalogue fits the project, and the program that runs it tells a caught mutation from one that goes unnoticed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.mutations.catalogue import MUTATIONS, Mutation
from tests.mutations.run import copy_project, mutated, outcomes

ROOT = Path(__file__).resolve().parents[2]
CONSTANT = Mutation("another constant", "constant.py", "1", "2", "test_constant.py::test_constant")
COMMENT = Mutation("another comment", "constant.py", "metre", "foot", "test_constant.py::test_constant")


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "constant.py").write_text("LENGTH = 1  # metre\n")
    (tmp_path / "test_constant.py").write_text(
        "from constant import LENGTH\n\ndef test_constant():\n    assert LENGTH == 1\n"
    )
    return tmp_path


def test_there_are_at_least_thirty_and_no_two_alike():
    assert len({mutation.what for mutation in MUTATIONS}) == len(MUTATIONS) >= 30


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what)
def test_every_mutation_has_its_place_and_its_check(mutation):
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    assert mutated(text, mutation) != text
    file, name = mutation.check.partition("[")[0].split("::")
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_a_mutation_without_a_place_is_named():
    with pytest.raises(ValueError, match=r"constant\.py has no place for the mutation: another constant"):
        mutated("LENGTH = 3", CONSTANT)


def test_a_catch_and_a_survivor_are_told_apart_and_taken_back(project):
    rows = outcomes([CONSTANT, COMMENT], project)
    assert [(row["what"], row["caught"]) for row in rows] == [("another constant", True), ("another comment", False)]
    assert (project / "constant.py").read_text() == "LENGTH = 1  # metre\n"


def test_a_check_that_fails_anyway_proves_nothing(project):
    (project / "constant.py").write_text("LENGTH = 3\n")
    with pytest.raises(RuntimeError, match="do not pass without a mutation"):
        outcomes([CONSTANT], project)


def test_an_error_is_no_catch(project):
    nowhere = CONSTANT._replace(check="test_constant.py::test_nothing")
    with pytest.raises(RuntimeError, match="do not pass"):
        outcomes([nowhere], project)


def test_the_copy_holds_what_git_knows_and_what_is_new(project, tmp_path_factory):
    subprocess.run(["git", "init", "-q", project], check=True)
    (project / ".gitignore").write_text("big/\n")
    (project / "big").mkdir()
    (project / "big" / "images.tif").write_text("")
    target = tmp_path_factory.mktemp("copy")
    copy_project(project, target)
    assert {path.name for path in target.iterdir()} == {".gitignore", "constant.py", "test_constant.py"}
