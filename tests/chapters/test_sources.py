"""The texts of the book as they are written: what can be seen without executing or building anything."""

from __future__ import annotations

import ast
import re
from dataclasses import asdict
from pathlib import Path

import jupytext
import pytest
import yaml
from harness import BOOK, ROOT, chapters
from nbformat import NotebookNode
from places import labelled_places
from torch.nn import Conv2d, ConvTranspose2d

from unet_paper import PAPER, UNet

TEXTS = sorted(path.stem for path in BOOK.glob("*.md"))
REFERENCE = re.compile(r"\{(?:ref|numref|eq)\}`(?:[^`<]*<)?([\w-]+)>?`")
LINK = re.compile(r"\]\(([\w/.-]+\.md)\)")


def text_of(name: str) -> str:
    return (BOOK / f"{name}.md").read_text()


def code_cells(name: str) -> list[NotebookNode]:
    return [cell for cell in jupytext.read(BOOK / f"{name}.md").cells if cell.cell_type == "code"]


def labels() -> set[str]:
    return {label for name in TEXTS for label in labelled_places(name)}


def glued_names(name: str) -> list[str]:
    """Return a regular expression for the name in each call of `glue`: what is computed there stands for anything."""
    calls = [
        node
        for cell in code_cells(name)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "glue"
    ]
    return [name_pattern(call.args[0]) for call in calls]


def name_pattern(argument: ast.expr) -> str:
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    return "".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".*" for part in parts)


def test_every_text_has_its_place_in_the_table_of_contents():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [contents["root"], *(chapter["file"] for part in contents["parts"] for chapter in part["chapters"])]
    assert sorted(Path(file).stem for file in listed) == TEXTS


@pytest.mark.parametrize("name", chapters())
def test_a_chapter_needs_the_package_and_nothing_that_builds_the_book(name):
    assert not [cell.source for cell in code_cells(name) if "myst_nb" in cell.source]


@pytest.mark.parametrize("name", chapters())
def test_no_cell_is_empty(name):
    assert all(cell.source.strip() for cell in code_cells(name))


@pytest.mark.parametrize("name", chapters())
def test_every_number_in_the_prose_is_glued(name):
    patterns = glued_names(name)
    shown = set(re.findall(r"\{glue:\w*\}`([^`:]+)", text_of(name)))
    assert [number for number in shown if not any(re.fullmatch(pattern, number) for pattern in patterns)] == []


@pytest.mark.parametrize("name", chapters())
def test_every_figure_has_a_text_for_those_who_cannot_see_it(name):
    shown = [cell.metadata["mystnb"] for cell in code_cells(name) if "figure" in cell.metadata.get("mystnb", {})]
    assert all(len(options.get("image", {}).get("alt", "")) > 10 for options in shown)
    for directive in re.findall(r"^`{3,}\{(?:figure|image)\}.*?^`{3,}$", text_of(name), re.MULTILINE | re.DOTALL):
        assert re.search(r"^:alt: .{10}", directive, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "quotation"),
    [
        ("architecture", "That makes {layers} convolutional layers"),
        ("training", "the momentum is high, {momentum:g},"),
        ("weight_maps", r"paper sets $w_0 = {w0:g}$ and $\sigma \approx {sigma:g}$ px"),
        ("augmentation", "a standard deviation of {elastic_std:g} px"),
    ],
)
def test_numbers_quoted_from_the_paper_are_those_of_the_code(name, quotation):
    layers = sum(isinstance(module, Conv2d | ConvTranspose2d) for module in UNet(base_channels=1).modules())
    quoted = quotation.format(layers=layers, **asdict(PAPER))
    assert quoted in " ".join(text_of(name).split())


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_and_reference_leads_somewhere(name):
    assert [label for label in REFERENCE.findall(text_of(name)) if label not in labels()] == []
    assert [address for address in LINK.findall(text_of(name)) if not (BOOK / address).is_file()] == []


@pytest.mark.parametrize("name", TEXTS)
def test_every_citation_stands_in_the_bibliography(name):
    known = set(re.findall(r"^@\w+\{([\w-]+),", (BOOK / "references.bib").read_text(), re.MULTILINE))
    cited = {
        key.strip() for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text_of(name)) for key in keys.split(",")
    }
    assert cited <= known
