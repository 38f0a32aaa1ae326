"""The book as one PDF: two small pages are put together, and printed where there is a Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pdf
import pytest
from browser import needs_chromium
from bs4 import BeautifulSoup

NAMES = {"a", "b"}
FIRST = """<h1 id="top">First</h1><a class="headerlink" href="#top">#</a>
<a href="b.html#there">there</a> <a href="b.html">b</a> <a href="#top">up</a> <a href="https://host.invalid/b.html">out</a>
<a href="../genindex.html">index</a>
<details class="answer"><summary>Answer</summary><p>Forty-two.</p></details>
<details class="hide above-input"><summary>Show code</summary><pre>secret()</pre></details>
<div class="interactive" hidden><script type="application/json">{}</script></div>
<figure id="still"><img src="x.png" alt="A still figure"></figure>"""
SECOND = '<h1>Second</h1><p id="there">Here.</p><svg aria-labelledby="one two"><title id="one">x</title></svg>'


def book(folder: Path) -> Path:
    (folder / "_toc.yml").write_text("root: book/a.md\nparts:\n- caption: One\n  chapters: [file: book/b.md]\n")
    (folder / "_config.yml").write_text("title: Two pages\nauthor: Nobody\n")
    html = folder / "_build" / "html" / "book"
    html.mkdir(parents=True)
    for name, body in {"a": FIRST, "b": SECOND}.items():
        page = (
            f"<html><head><meta charset='utf-8'></head><body><article class='bd-article'>{body}</article></body></html>"
        )
        (html / f"{name}.html").write_text(page)
    return folder


@pytest.fixture
def whole(tmp_path):
    return BeautifulSoup(pdf.assemble(book(tmp_path), tmp_path / "_build" / "html"), "html.parser")


def test_every_page_is_there_in_order(whole):
    assert [part["id"] for part in whole.select("section")] == ["a", "b"]
    assert whole.find("title").text == "Two pages"


def test_links_between_pages_lead_to_places_in_the_whole_and_out_of_the_book_they_stay(whole):
    addresses = [link["href"] for link in whole.select("section a")]
    assert addresses == ["#b--there", "#b", "#a--top", "https://host.invalid/b.html"]
    assert "index" in whole.text, "a link to a file that the PDF lacks becomes plain text"
    ids = {element["id"] for element in whole.find_all(id=True)}
    assert {address[1:] for address in addresses if address.startswith("#")} <= ids


def test_an_id_stands_once_and_labels_follow_it(whole):
    ids = [element["id"] for element in whole.find_all(id=True)]
    assert len(ids) == len(set(ids))
    assert whole.find("svg")["aria-labelledby"] == "b--one b--two"


def test_answers_are_unfolded_and_what_moves_or_was_hidden_is_left_out(whole):
    assert whole.select_one("details.answer").has_attr("open")
    assert "Forty-two." in whole.text
    assert not whole.select(".interactive, script, .headerlink")
    assert "secret()" not in whole.text
    assert whole.find("img")["alt"] == "A still figure"


def test_without_built_pages_the_command_says_what_to_run(tmp_path, capsys):
    assert pdf.main(["--source", str(tmp_path)]) == 1
    assert "run make book first" in capsys.readouterr().err


@needs_chromium
def test_the_pdf_has_a_page_for_title_contents_and_each_chapter(tmp_path):
    assert pdf.main(["--source", str(book(tmp_path))]) == 0
    printed = (tmp_path / "_build" / "book.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 4
    assert not (tmp_path / "_build" / "html" / "book" / "whole_book.html").exists()
