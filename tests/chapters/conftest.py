"""Chapters run once per session: quickly with papermill, and in full as the built book."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from harness import ROOT, Build, Glued, build_book, glued_values, run_quickly
from nbformat import NotebookNode


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the whole book."""
    for item in items:
        if "built_book" in item.fixturenames:
            item.add_marker(pytest.mark.whole_book)


@pytest.fixture(scope="session")
def execute_chapter(tmp_path_factory) -> Callable[[str], NotebookNode]:
    """Return a function: chapter name -> its notebook, executed once with the fast parameters of fast.json."""
    folder = tmp_path_factory.mktemp("papermill")
    return functools.cache(lambda name: run_quickly(name, folder))


@pytest.fixture(scope="session")
def run_chapter(execute_chapter) -> Callable[[str], Glued]:
    """Return a function: chapter name -> the values that it glued in that execution."""
    return functools.cache(lambda name: glued_values(execute_chapter(name)))


@pytest.fixture(scope="session")
def built_book(tmp_path_factory) -> Build:
    """Build the whole book once; `.full_run(name)` gives the values that stand in its prose."""
    book = build_book(ROOT, tmp_path_factory.mktemp("book"))
    assert book.status == 0, f"the strict build failed:\n{book.log[-8000:]}"
    return book
