"""With an address the pages have a sitemap and cards for shared links; without one, nothing of the kind."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import pytest
from address import CARD, LONGEST, NAMESPACE, VARIABLE
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

PAGE = """
Tiles & borders
===============

.. admonition:: Aim
   :class: aim

   Why is the output <smaller>? {words}

Text.
"""
BASE = "https://books.example/unet"


def built(folder: Path) -> Path:
    source = folder / "source"
    source.mkdir()
    (source / "conf.py").write_text("project = 'A book'\nextensions = ['address']\n")
    (source / "index.rst").write_text("Start\n=====\n\nHello.\n\n.. toctree::\n\n   tiles\n")
    (source / "tiles.rst").write_text(PAGE.format(words="word " * 60))
    out = folder / "html"
    with patch_docutils(), docutils_namespace():
        Sphinx(source, source, out, folder / "doctrees", "html", status=None, warning=None).build()
    return out


def tags(page: Path) -> dict[str, str]:
    soup = BeautifulSoup(page.read_text(), "html.parser")
    return {tag.get("property", tag.get("name")): tag["content"] for tag in soup.find_all("meta", content=True)}


def test_without_an_address_there_is_neither_sitemap_nor_card(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    html = built(tmp_path)
    assert not (html / "sitemap.xml").exists()
    assert not (html / CARD).exists()
    assert not [name for name in tags(html / "tiles.html") if name.startswith(("og:", "twitter:"))]


@pytest.mark.parametrize("slash", ["", "/"])
def test_with_an_address_every_page_is_listed_and_has_a_card(tmp_path, monkeypatch, slash):
    monkeypatch.setenv(VARIABLE, BASE + slash)
    html = built(tmp_path)
    listed = [place.text for place in ElementTree.parse(html / "sitemap.xml").iter(f"{{{NAMESPACE}}}loc")]
    assert listed == [f"{BASE}/index.html", f"{BASE}/tiles.html"]
    shown = tags(html / "tiles.html")
    assert (shown["og:title"], shown["og:url"]) == ("Tiles & borders", f"{BASE}/tiles.html")
    assert shown["og:description"].startswith("Why is the output <smaller>? word")
    assert len(shown["og:description"]) <= LONGEST + 2
    assert shown["og:image"] == f"{BASE}/{CARD}"
    assert shown["twitter:card"] == "summary_large_image"
    assert matplotlib.image.imread(html / CARD).shape[:2] == (630, 1200)
    assert tags(html / "index.html")["og:description"] == "Hello."
