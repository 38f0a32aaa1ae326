"""The notebook beside each chapter: the same cells, small, and its outputs are what a fresh run gives."""

from __future__ import annotations

import re

import jupytext
import nbformat
import pytest
from harness import BOOK, FAST, chapters, compare_outputs

pytestmark = pytest.mark.book
CHECKED = "nbval-check-output"
TAMPERED = "intro"  # a quick chapter that prints a number


def notebook_of(name: str) -> nbformat.NotebookNode:
    return nbformat.read(BOOK / f"{name}.ipynb", as_version=4)


def checked_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if CHECKED in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("name", chapters())
def test_notebook_has_the_cells_of_its_chapter(name):
    def content(notebook):
        return [(cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]

    assert content(notebook_of(name)) == content(jupytext.read(BOOK / f"{name}.md")), "run `make notebooks`"


@pytest.mark.parametrize("name", chapters())
def test_notebook_holds_text_and_no_picture(name):
    text = (BOOK / f"{name}.ipynb").read_text()
    assert "image/" not in text
    assert len(text) < 300_000


@pytest.mark.parametrize("name", chapters())
def test_notebook_keeps_outputs_to_compare_with(name):
    assert any(cell.outputs for cell in checked_cells(notebook_of(name)))


@pytest.mark.parametrize("name", sorted(FAST))
def test_fast_parameters_are_parameters_of_the_chapter(name):
    cells = jupytext.read(BOOK / f"{name}.md").cells
    (parameters,) = (cell.source for cell in cells if "parameters" in cell.metadata.get("tags", []))
    assert set(FAST[name]) <= set(re.findall(r"^(\w+)\s*=", parameters, re.MULTILINE))


@pytest.mark.parametrize("name", chapters())
def test_outputs_are_those_of_a_fresh_run(name, tmp_path):
    result = compare_outputs(notebook_of(name), name, tmp_path)
    assert result.returncode == 0, result.stdout


def test_a_tampered_number_is_noticed(tmp_path):
    notebook = notebook_of(TAMPERED)
    output = next(output for cell in checked_cells(notebook) for output in cell.outputs if output.get("text"))
    digit = re.search(r"\d", output.text)
    output.text = output.text[: digit.start()] + str((int(digit[0]) + 1) % 10) + output.text[digit.end() :]
    result = compare_outputs(notebook, TAMPERED, tmp_path)
    assert result.returncode == 1
    assert "Cell outputs differ" in result.stdout
