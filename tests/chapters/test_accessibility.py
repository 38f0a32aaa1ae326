"""Every page passes axe-core (WCAG 2.2, A and AA) in both themes, wide and narrow; the keyboard reaches everything."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from browser import AXE, launch, needs_chromium, number_controls, opened, tab_stops, violations
from harness import BOOK
from playwright.sync_api import Page, sync_playwright

pytestmark = [
    pytest.mark.book,
    needs_chromium,
]
PAGES = ["search", "genindex", *sorted(f"book/{path.stem}" for path in BOOK.glob("*.md"))]
MARGIN = dict.fromkeys(("top", "bottom", "left", "right"), "12mm")
BROKEN = (
    '<!doctype html><html lang="en"><title>x</title><main><h1>x</h1><img src="x.png"><a href="#x"></a></main></html>'
)


@pytest.fixture(scope="module")  # not longer: its event loop would be in the way of the chapters' kernels
def page() -> Iterator[Page]:
    with sync_playwright() as playwright, launch(playwright) as browser:
        yield browser.new_page()


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(built_book, page, name):
    assert list(violations(opened(page, built_book.html / f"{name}.html"))) == []


@pytest.mark.parametrize("name", ["book/intro", "book/em_segmentation"])
def test_the_tab_key_reaches_every_control_and_shows_where_it_is(built_book, page, name):
    opened(page, built_book.html / f"{name}.html")
    page.set_viewport_size({"width": 1280, "height": 900})
    count = number_controls(page)
    stops = tab_stops(page)
    assert [stop.html for stop in stops if not stop.named] == []
    assert [stop.html for stop in stops if not stop.visible] == []
    assert sorted({stop.control for stop in stops} - {-2}) == list(range(count))


def test_axe_is_heard(page, tmp_path):
    (tmp_path / "broken.html").write_text(BROKEN)
    found = " ".join(violations(opened(page, tmp_path / "broken.html")))
    assert "image-alt" in found
    assert "link-name" in found


def test_a_control_without_a_ring_or_a_name_is_noticed(page, tmp_path):
    (tmp_path / "bare.html").write_text("<style>:focus {outline: none}</style><button></button>")
    (stop,) = tab_stops(opened(page, tmp_path / "bare.html"))
    assert not stop.named
    assert not stop.visible


def test_the_licence_of_axe_lies_beside_it():
    assert "Mozilla Public License" in AXE.with_name("LICENSE").read_text()


def test_the_cheat_sheet_is_one_page_of_paper(built_book, page):
    printed = opened(page, built_book.html / "book" / "cheat_sheet.html").pdf(format="A4", margin=MARGIN)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
