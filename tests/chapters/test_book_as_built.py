"""The rendered book: complete, strict, and readable with the network off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
import yaml
from bs4 import BeautifulSoup
from harness import BOOK, ROOT, chapters
from notebooks import pages_in_order, plain_markdown, read_book

pytestmark = pytest.mark.book

ASSETS = {"script": "src", "link": "href", "img": "src", "source": "srcset", "iframe": "src", "object": "data"}
ANOTHER_HOST = re.compile(r"^(https?:)?//")


@cache
def page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(), "html.parser")


def pages(html: Path) -> Iterator[tuple[Path, BeautifulSoup]]:
    for path in sorted(html.rglob("*.html")):
        if "_static" not in path.parts:
            yield path, page(path)


def test_every_text_of_the_book_is_a_page(built_book):
    texts = {path.stem for path in BOOK.glob("*.md")}
    assert {path.stem for path in (built_book.html / "book").glob("*.html")} == texts


def test_the_front_door_leads_to_the_landing_page(built_book):
    assert "url=book/intro.html" in (built_book.html / "index.html").read_text()


def test_no_page_loads_anything_from_another_host(built_book):
    found = [
        f"{path.name}: <{tag} {attribute}={element[attribute]}>"
        for path, soup in pages(built_book.html)
        for tag, attribute in ASSETS.items()
        for element in soup.find_all(tag, {attribute: ANOTHER_HOST})
    ]
    assert found == []


def test_no_script_in_a_page_names_a_script_of_another_host(built_book):
    named = re.compile(r"""https?://[^"'\s]+\.js\b""")
    scripts = {path.name: " ".join(map(str, soup.find_all("script"))) for path, soup in pages(built_book.html)}
    assert {name: named.findall(text) for name, text in scripts.items() if named.search(text)} == {}


def test_no_style_loads_anything_from_another_host(built_book):
    styles = {path: path.read_text() for path in built_book.html.rglob("*.css")}
    styles |= {path: " ".join(map(str, soup.find_all("style"))) for path, soup in pages(built_book.html)}
    external = re.compile(r"""(url\(\s*['"]?|@import\s+['"])(https?:)?//[^)'"]*""")
    assert {path.name: external.search(text)[0] for path, text in styles.items() if external.search(text)} == {}


def test_equations_are_set_by_the_local_mathjax(built_book):
    with_equations = [(path, soup) for path, soup in pages(built_book.html) if soup.select(".math")]
    assert with_equations
    for path, soup in with_equations:
        (script,) = soup.find_all("script", src=re.compile("mathjax"))
        assert (path.parent / script["src"].split("?")[0]).is_file()


def test_every_picture_has_a_text_for_those_who_cannot_see_it(built_book):
    without = [
        f"{path.name}: {picture.get('src')}"
        for path, soup in pages(built_book.html)
        for picture in soup.select("article img")
        if len(picture.get("alt", "")) < 10 or picture["alt"].startswith("../_images")
    ]
    assert without == []


def test_every_internal_link_leads_somewhere(built_book):
    broken = [
        f"{path.name} -> {link['href']}"
        for path, soup in pages(built_book.html)
        for link in soup.find_all("a", href=True)
        if not link_resolves(path, link["href"])
    ]
    assert broken == []


def link_resolves(path: Path, address: str) -> bool:
    parts = urlparse(address)
    if parts.scheme or parts.netloc:
        return True  # leaves the book
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return False
    fragment = unquote(parts.fragment)
    return not fragment or target.suffix != ".html" or page(target).find(id=fragment) is not None


def test_launch_buttons_point_to_notebooks_that_exist_once_the_repository_has_an_address(built_book):
    address = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    for name in chapters():
        links = {link.get("href", "") for link in page(built_book.html / "book" / f"{name}.html").find_all("a")}
        colab = [link for link in links if link.startswith("https://colab.research.google.com/")]
        binder = [link for link in links if link.startswith("https://mybinder.org/")]
        assert len(colab) == len(binder) == bool(address)
        assert all((ROOT / link.split("/blob/main/")[1]).is_file() for link in colab)
        assert all((ROOT / link.split("urlpath=lab/tree/")[1]).is_file() for link in binder)
        assert (built_book.html / "_sources" / "book" / f"{name}.ipynb").is_file()


@pytest.mark.parametrize("name", chapters())
def test_a_page_says_how_long_it_takes_and_what_its_words_mean(built_book, name):
    soup = page(built_book.html / "book" / f"{name}.html")
    assert re.fullmatch(r"\d+ min to read · \d+ (s|min) to run", soup.select_one("p.chapter-times").get_text().strip())
    words = [link for link in soup.select("article a[href]") if "#term-" in link["href"]]
    assert words or name in ("intro", "mutations")
    assert all(len(link.get("title", "")) > 20 for link in words), "the definition is the tooltip"


def test_the_map_names_every_chapter_with_its_number(built_book):
    links = page(built_book.html / "book" / "map.html").select(".book-map a")
    assert [link.get_text().split(".")[0] for link in links] == [str(k + 1) for k in range(len(links))]
    assert len(links) == sum(number is not None for _, number in pages_in_order(ROOT))


def test_search_finds_words_of_the_book(built_book):
    index = json.loads(
        (built_book.html / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")")
    )
    assert index["terms"]["membran"], "Sphinx indexes word stems: 'membrane' is found under 'membran'"


def test_the_book_is_small_enough_to_send(built_book):
    size = sum(path.stat().st_size for path in built_book.html.rglob("*") if path.is_file())
    in_page = sum(path.stat().st_size for path in (built_book.html / "_static" / "unet_in_page").rglob("*"))
    assert size <= 50e6
    assert size - in_page <= 30e6, "beside the U-Net in the page, whose weights come when a reader asks for them"


def test_numbers_of_figures_tables_and_equations_are_those_of_the_notebooks(built_book):
    book, shown = read_book(ROOT), {}
    for name in book.titles:
        soup = page(built_book.html / "book" / f"{name}.html")
        captions = soup.select(".caption-number")
        shown |= {caption.find_parent(id=True)["id"]: caption.get_text().strip() for caption in captions}
        equations = soup.select(".eqno")
        shown |= {
            sign.find_parent(id=True)["id"].removeprefix("equation-"): sign.get_text()[1:-2] for sign in equations
        }
    expected = {label: number for label, number in book.numbers.items() if not number.startswith("Exercise")}
    assert {label: shown.get(label) for label in expected} == expected


def test_sources_are_cited_as_in_the_notebooks(built_book):
    soup, book = page(built_book.html / "book" / "introduction.html"), read_book(ROOT)
    shown = {link.get_text() for link in soup.select(".bibtex-citation a")}
    sources = set(re.findall(r"\{cite\}`(\w+)`", (BOOK / "introduction.md").read_text()))
    assert sources
    written = {key: plain_markdown(f"{{cite}}`{key}`", book, {}) for key in sources}  # "[[who, year](address)]"
    assert {re.search(r"\[+([^]]*)\]", text)[1] for text in written.values()} <= shown
