"""The notebook beside each chapter: its text written out, its cells, small, and outputs that a fresh run gives."""

from __future__ import annotations

import re

import jupytext
import nbformat
import pytest
from harness import BOOK, FAST, ROOT, chapters, compare_outputs
from notebooks import glued_texts, read_book, readable

pytestmark = pytest.mark.book
CHECKED = "nbval-check-output"
TAMPERED = "intro"  # a quick chapter that prints a number


def notebook_of(name: str) -> nbformat.NotebookNode:
    return nbformat.read(BOOK / f"{name}.ipynb", as_version=4)


def checked_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if CHECKED in cell.metadata.get("tags", [])]


def content(notebook: nbformat.NotebookNode) -> list[tuple]:
    return [(cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]


def written_anew(name: str) -> nbformat.NotebookNode:
    """Return the chapter's text with the values that its committed notebook keeps."""
    return readable(jupytext.read(BOOK / f"{name}.md"), read_book(ROOT), glued_texts(notebook_of(name)))


@pytest.mark.parametrize("name", chapters())
def test_notebook_is_its_chapter_with_the_values_written_out(name):
    assert content(notebook_of(name)) == content(written_anew(name)), "run `make notebooks`"


@pytest.mark.parametrize("name", chapters())
def test_notebook_was_executed_on_the_real_data(name):
    outputs = [output for cell in notebook_of(name).cells for output in cell.get("outputs", [])]
    generated = [output for output in outputs if "Synthetic data:" in str(output)]  # how their source is told
    assert not generated, "run `make notebooks` where UNET_PAPER_DATA is the challenges' data"


@pytest.mark.parametrize("name", chapters())
def test_notebook_is_no_pair_of_its_chapter(name):
    assert "formats" not in notebook_of(name).metadata.jupytext, (
        "saving it would write resolved numbers into the chapter"
    )


def test_a_tampered_number_in_the_prose_is_noticed():
    notebook = notebook_of("data")
    cell = next(cell for cell in notebook.cells if cell.cell_type == "markdown" and re.search(r"\d", cell.source))
    cell.source = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), cell.source, count=1)
    assert content(notebook) != content(written_anew("data"))


def test_a_changed_cell_is_noticed():
    notebook = notebook_of("data")
    next(cell for cell in notebook.cells if cell.cell_type == "code").source += "\npass"
    assert content(notebook) != content(written_anew("data"))


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


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the text of each cell whose output is compared, streams and values alike."""
    return ["".join(map(text_of, cell.outputs)) for cell in checked_cells(notebook)]


def text_of(output: nbformat.NotebookNode) -> str:
    return output.get("text") or output.get("data", {}).get("text/plain", "")


@pytest.mark.parametrize("name", chapters())
def test_printed_numbers_are_those_of_the_quick_run_on_any_data(name, execute_chapter):
    assert printed(execute_chapter(name)) == printed(notebook_of(name))


def test_a_tampered_number_is_printed_otherwise():
    notebook = notebook_of(TAMPERED)
    output = next(output for cell in checked_cells(notebook) for output in cell.outputs if output.get("text"))
    output.text = output.text + "0"
    assert printed(notebook) != printed(notebook_of(TAMPERED))


@pytest.mark.nbval
@pytest.mark.parametrize("name", chapters())
def test_outputs_are_those_of_a_fresh_run(name, tmp_path):
    result = compare_outputs(notebook_of(name), name, tmp_path)
    assert result.returncode == 0, result.stdout


@pytest.mark.nbval
def test_a_tampered_number_is_noticed(tmp_path):
    notebook = notebook_of(TAMPERED)
    output = next(output for cell in checked_cells(notebook) for output in cell.outputs if output.get("text"))
    digit = re.search(r"\d", output.text)
    output.text = output.text[: digit.start()] + str((int(digit[0]) + 1) % 10) + output.text[digit.end() :]
    result = compare_outputs(notebook, TAMPERED, tmp_path)
    assert result.returncode == 1
    assert "Cell outputs differ" in result.stdout
