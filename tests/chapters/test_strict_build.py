"""The strict build notices what is wrong, shown on a book of one chapter; and it knows when outputs are stale."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest
from harness import BOOK, ROOT, build_book

pytestmark = pytest.mark.book


def small_book(folder: Path, cell: str) -> Path:
    """Write a book of one chapter with one code cell, under the configuration of this book."""
    shutil.copytree(BOOK / "_static", folder / "book" / "_static")
    shutil.copy(ROOT / "_config.yml", folder)
    for name in ("references.bib", "accessible.py", "address.py", "learning.py", "notebooks.py"):
        shutil.copy(BOOK / name, folder / "book")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/intro.md\n")
    _, head, _ = (BOOK / "intro.md").read_text().split("---\n", 2)
    text = f"---\n{head}---\n\n# Title\n\n```{{code-cell}} ipython3\n{cell}\n```\n"
    (folder / "book" / "intro.md").write_text(text)
    return folder


def test_a_good_small_book_passes_and_its_chapter_is_executed_once(tmp_path):
    cell = "open('runs', 'a').write('x')\nprint(6 * 7)"
    build = build_book(small_book(tmp_path, cell), tmp_path)
    assert build.status == 0, build.log
    assert (tmp_path / "book" / "runs").read_text() == "x"
    assert "42" in (build.html / "book" / "intro.html").read_text()


def test_a_chapter_that_fails_makes_the_build_fail_and_is_named_last(tmp_path):
    build = build_book(small_book(tmp_path, "raise ValueError('on purpose')"), tmp_path)
    assert build.status != 0
    last = build.log.splitlines()[-1]
    assert "book/intro.md:" in last
    assert "code cell 1: ValueError: on purpose" in last


def test_a_reference_to_nothing_makes_the_build_fail(tmp_path):
    build = build_book(small_book(tmp_path, "1\n```\n\n{numref}`fig-nowhere`\n\n```{code-cell} ipython3"), tmp_path)
    assert build.status != 0
    assert "fig-nowhere" in build.log


@pytest.mark.parametrize("changed", ["unet_paper/model.py", "data/isbi2012/train-volume.bin", "requirements.lock"])
def test_chapters_are_executed_again_when_their_inputs_change(tmp_path, monkeypatch, changed):
    monkeypatch.delenv("UNET_PAPER_DATA", raising=False)
    fingerprint = runpy.run_path(str(BOOK / "build.py"))["fingerprint"]
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    (tmp_path / changed).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / changed).write_text("something new")
    assert fingerprint(tmp_path) != before
