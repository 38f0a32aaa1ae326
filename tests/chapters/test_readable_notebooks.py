"""What a reader without MyST sees: each piece of a chapter in plain Markdown; and a run with the package alone."""

from __future__ import annotations

import os
import re
import shutil

import nbformat
import notebooks
import numpy as np
import pytest
from harness import BOOK, ROOT, chapters
from myst_nb import glue as myst_glue
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from notebooks import colab_cells, glued_texts, plain_markdown, read_book

from unet_paper.figures import glue, number_table

BOOK_NAMES = read_book(ROOT)
VALUES = {"error": "0.061234", "who": "'one run'", "count": "1048576"}
WITHOUT = ("myst_nb", "sphinx", "docutils", "jupytext", "jupyter_book")  # what builds the book
MYST = re.compile(r"\{[\w:]+\}`|^:::|^`{3,}\{|^\([\w-]+\)=", re.MULTILINE)


def plain(text: str) -> str:
    return plain_markdown(text, BOOK_NAMES, VALUES)


@pytest.mark.parametrize(
    ("myst", "markdown"),
    [
        ("{glue:text}`error:.4f`", "0.0612"),
        ("{glue:text}`count:,.0f` in {glue:text}`who`", "1,048,576 in one run"),
        ("{numref}`fig-architecture`", "Fig. 3.1"),
        ("see {ref}`counted <fig-architecture>`", "see counted (Fig. 3.1)"),
        ("by {eq}`eq-energy`", "by (5.2)"),
        ("{ref}`the network\n<architecture>`", "[the network](architecture.ipynb)"),
        ("{ref}`list <introduction-claims>`", "[list](introduction.ipynb#What-the-paper-claims)"),
        ("[](data.md) and [terms](notation.md)", "[The data](data.ipynb) and [terms](notation.md)"),
        ("{term}`padding`", "padding"),
        ("(here)=\n## A title", "## A title"),
        ("word\n: what it means", "word  \nwhat it means"),
        ("$$\nE = 0\n$$ (eq-energy)", "$$\nE = 0\n\\tag{5.2}\n$$"),
        ("{cite}`he2015delving`", "[[He et al., 2015](https://doi.org/10.1109/ICCV.2015.123)]"),
        ("{cite:t}`kingma2015adam`", "Kingma and Ba [2015]"),
        (":::{admonition} Aim\n:class: aim\nTo see\nit.\n:::", "> **Aim**\n>\n> To see\n> it."),
        (
            ":::{admonition} Answer\n:class: answer\nNothing.\n:::",
            "<details>\n<summary>Answer</summary>\n\nNothing.\n\n</details>",
        ),
        (":::{warning}\nNever.\n:::", "> **Warning**\n>\n> Never."),
        (
            "```{raw} html\n:file: x.html\n```",
            "*Here the built book has something to play with, which a notebook cannot show.*",
        ),
        ("```{exercise}\n:label: exercise-half-channels\n\nHalve it.\n```", "> **Exercise 3.1**\n>\n> Halve it."),
        (
            "````{solution} exercise-half-channels\n:class: dropdown\n\n```\ncode\n```\n````",
            "<details>\n<summary>Solution to Exercise 3.1</summary>\n\n```\ncode\n```\n\n</details>",
        ),
        (
            "```{list-table} Ours.\n:name: tab-em\n:header-rows: 1\n\n"
            "* - who\n  - error\n* - we\n  - {glue:text}`error:.2f`\n```",
            "**Table 10.1.** Ours.\n\n| who | error |\n|---|---|\n| we | 0.06 |",
        ),
    ],
)
def test_myst_becomes_markdown(myst, markdown):
    assert plain(myst) == markdown


@pytest.mark.parametrize(
    "nothing", ["{glue:text}`forgotten`", "{numref}`fig-nowhere`", "{ref}`nowhere`", "{cite}`nobody`"]
)
def test_a_reference_to_nothing_is_an_error(nothing):
    with pytest.raises(KeyError):
        plain(nothing)


def test_a_role_without_a_plain_form_is_an_error_that_names_those_that_have_one():
    with pytest.raises(KeyError, match="glue:text"):
        plain("{download}`x`")


@pytest.mark.parametrize("name", chapters())
def test_no_myst_is_left_in_a_notebook(name):
    cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
    assert [found for cell in cells if cell.cell_type == "markdown" for found in MYST.findall(cell.source)] == []


@pytest.mark.parametrize("value", [3, 0.25, "text", [1, 2]])
@pytest.mark.parametrize("display", [True, False])
def test_glue_leaves_the_record_that_myst_nb_leaves(monkeypatch, value, display):
    shown = []
    record = lambda data, *, raw, metadata: shown.append((data, raw, metadata))  # noqa: E731
    monkeypatch.setattr("IPython.display.display", record)
    monkeypatch.setattr("myst_nb.ext.glue.ipy_display", record)
    glue("name", value, display=display)
    myst_glue("name", value, display=display)
    assert shown[0] == shown[1]


def test_a_table_of_numbers_writes_whole_numbers_in_full_and_fills_short_columns():
    table = number_table({"step": [500, 15000], "rand_error": np.array([0.123456])}, form=".3f")
    assert table.data == "| step | rand error |\n| --: | --: |\n| 500 | 0.123 |\n| 15000 | – |"


def test_colab_keeps_its_own_torch_and_gets_the_rest(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "_config.yml").write_text("repository: {url: 'https://host/owner/name', branch: main}\n")
    (cell,) = colab_cells(tmp_path)
    assert "git clone -q --depth 1 --branch main https://host/owner/name" in cell.source
    (installed,) = re.findall(r"%pip install -q (.*)", cell.source)
    assert {"scikit-image", "imagecodecs", "lazy-loader"} <= set(installed.split())
    assert {"torch", "numpy"}.isdisjoint(installed.split())
    assert "==" not in installed


def test_no_colab_cell_without_an_address(tmp_path):
    (tmp_path / "_config.yml").write_text("repository: {url: '', branch: main}\n")
    assert colab_cells(tmp_path) == []


@pytest.fixture
def package_alone(tmp_path):
    """Return an environment in which nothing that builds the book can be imported."""
    hidden = "\n".join(f"sys.modules[{name!r}] = None" for name in WITHOUT)
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n{hidden}\n")
    return os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def run(notebook: nbformat.NotebookNode, environment: dict[str, str]) -> nbformat.NotebookNode:
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute(env=environment, cwd=str(BOOK))
    return notebook


def test_the_colab_cell_does_nothing_elsewhere(package_alone):
    cell = new_code_cell(notebooks.COLAB.format(url="https://host.invalid/x", branch="main", packages="nothing"))
    hidden = new_code_cell("import myst_nb", metadata={"tags": ["raises-exception"]})
    done = run(new_notebook(cells=[cell, hidden]), package_alone)
    assert done.cells[0].outputs == []
    assert done.cells[1].outputs[0].ename == "ModuleNotFoundError", "the environment hides nothing"


@pytest.mark.book
@pytest.mark.parametrize("name", ["intro", "architecture"])
def test_a_notebook_runs_with_the_package_alone(package_alone, name):
    notebook = nbformat.read(BOOK / f"{name}.ipynb", as_version=4)
    committed = glued_texts(notebook)
    assert glued_texts(run(notebook, package_alone)).keys() == committed.keys()
