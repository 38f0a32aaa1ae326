"""The whole book as one PDF: `make pdf`, that is ``python book/pdf.py``, after ``make book``.

The built pages are put together into one, in the order of ``_toc.yml``; links between them become links within it. A
headless Chromium prints it. What moves on a page is left out, and its still figure stays; so is code that a page folds
away, but answers, solutions and tables of numbers are unfolded.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlparse

import yaml
from bs4 import BeautifulSoup, Tag
from notebooks import pages_in_order
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
LEFT_OUT = (  # selectors of what paper cannot use
    *("script", "iframe", ".headerlink", ".copybtn", ".interactive", ".unet-in-page", "[data-screen-only]"),
    *("details.hide.above-input", "details.hide.input"),
)
REFERRING = ("for", "aria-labelledby", "aria-describedby", "aria-controls")  # attributes that name ids
FOOTER = (
    '<div style="width:100%;font:8px sans-serif;color:#56616d;text-align:center"><span class="pageNumber"></span></div>'
)
STYLE = """
@page { size: A4; margin: 18mm 17mm 18mm 17mm; }
html { font-size: 10.5pt; }
body { background: #fff; }
main.paper-book { max-width: none; }
main.paper-book .bd-article > section { break-before: page; }
main.paper-book h1 { margin-top: 0; font-size: 2rem; }
h1, h2, h3, h4 { break-after: avoid; }
figure, table, img, svg, .admonition-title, mjx-container { break-inside: avoid; }
figcaption { break-before: avoid; }
figure img { max-height: 120mm; width: auto; }
div.highlight pre, div.cell_output pre { white-space: pre-wrap !important; overflow-wrap: anywhere; }
div.highlight pre, div.cell_output pre { font-size: 0.72rem; }
div.cell { margin: 0.6rem 0; }
div.cell_input, div.highlight, div.admonition.need, div.admonition.aim, tr { break-inside: avoid; }
dt { break-after: avoid; }
details > summary { display: none; }
details.answer > summary { display: block; border: 0; padding: 0; list-style: none; }
table.table { font-size: 0.85em; }
.pst-scrollable-table-container, div.output { overflow: visible !important; }
a { text-decoration: none; }
.paper-title { padding-top: 60mm; text-align: center; }
.paper-title .title { font-size: 2.6rem; }
.paper-contents { break-before: page; }
.paper-contents li { list-style: none; margin: 0.15rem 0; }
.paper-contents .part { margin-top: 0.8rem; font-weight: 650; }
"""


def main(arguments: list[str] | None = None) -> int:
    """Put the book together and print it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=ROOT, help="folder of _config.yml and _toc.yml")
    parser.add_argument("--html", type=Path, help="the built pages (default: _build/html in the source folder)")
    parser.add_argument("--output", type=Path, help="the PDF (default: _build/book.pdf in the source folder)")
    options = parser.parse_args(arguments)
    html = (options.html or options.source / "_build" / "html").resolve()
    output = (options.output or options.source / "_build" / "book.pdf").resolve()
    if not (html / "book").is_dir():
        print(f"error: no built pages in {html}; run make book first", file=sys.stderr)
        return 1
    if CHROMIUM is None:
        print("error: no Chromium on the path; install chromium, or name it in CHROMIUM", file=sys.stderr)
        return 1
    whole = html / "book" / "whole_book.html"  # beside the pages, so that pictures and styles are found
    whole.write_text(assemble(options.source, html))
    try:
        print_pdf(whole, output)
    finally:
        whole.unlink()
    print(f"{output} has {output.stat().st_size / 1e6:.1f} MB")
    return 0


def assemble(source: Path, html: Path) -> str:
    """Return one page that holds every page of the book.

    Parameters
    ----------
    source : Path
        Folder of ``_toc.yml``, ``_config.yml`` and ``book``.
    html : Path
        Folder of the built pages, with a folder ``book``.
    """
    names = [name for name, _ in pages_in_order(source)]
    soups = {name: BeautifulSoup((html / "book" / f"{name}.html").read_text(), "html.parser") for name in names}
    sections = {name: section(name, soup, set(names)) for name, soup in soups.items()}
    config = yaml.safe_load((source / "_config.yml").read_text())
    head = "".join(str(tag) for tag in soups[names[0]].head.find_all(["meta", "link", "style"]) if not preloads(tag))
    maths = next((scripts for soup in soups.values() if (scripts := mathjax(soup))), "")
    body = cover(config, sections) + "".join(map(str, sections.values()))
    return (
        f'<!doctype html><html lang="en" data-theme="light"><head>{head}<style>{STYLE}</style>'
        f"<title>{config['title']}</title>{maths}</head>"
        f'<body><main class="paper-book bd-content"><div class="bd-article">{body}</div></main></body></html>'
    )


def mathjax(soup: BeautifulSoup) -> str:
    """Return what sets the equations of a page: settings and script; nothing where there are none."""
    scripts = soup.find_all("script", src=lambda address: address and "mathjax" in address)
    settings = [tag for tag in soup.find_all("script") if "window.MathJax" in (tag.string or "")]
    return "".join(map(str, [*settings, *scripts])) if scripts else ""


def preloads(tag: Tag) -> bool:
    """Say whether a tag of the head only hastens or names something."""
    return tag.name == "link" and "stylesheet" not in tag.get("rel", [])


def section(name: str, soup: BeautifulSoup, names: set[str]) -> Tag:
    """Return the article of a page as a section whose ids and links fit into the whole."""
    article = soup.select_one("article.bd-article")
    for useless in article.select(", ".join(LEFT_OUT)):
        useless.decompose()
    for folded in article.find_all("details"):
        folded["open"] = ""
    for element in article.find_all(id=True):
        element["id"] = f"{name}--{element['id']}"
    for attribute in REFERRING:
        for element in article.find_all(attrs={attribute: True}):
            element[attribute] = " ".join(f"{name}--{word}" for word in element[attribute].split())
    for link in article.find_all("a", href=True):
        address = within(link["href"], name, names)
        if address.startswith("#") or urlparse(address).scheme:
            link["href"] = address
        else:  # a file beside the pages, which the PDF does not have
            link.unwrap()
    article.name, article.attrs = "section", {"id": name}
    return article


def within(address: str, here: str, names: set[str]) -> str:
    """Return the address of a link once all pages are one: pages of the book become places in it.

    Examples
    --------
    >>> within("data.html#rings", "intro", {"intro", "data"}), within("#top", "intro", {"intro"})
    ('#data--rings', '#intro--top')
    """
    parts = urlparse(address)
    page = Path(parts.path).stem if parts.path else here
    if parts.scheme or parts.netloc or (parts.path and not parts.path.endswith(".html")) or page not in names:
        return address
    return f"#{page}--{parts.fragment}" if parts.fragment else f"#{page}"


def cover(config: dict, sections: dict[str, Tag]) -> str:
    """Return the title and the contents."""
    titles = {name: " ".join(part.find("h1").get_text().split()) for name, part in sections.items()}
    rows = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in titles.items())
    return (
        f'<div class="paper-title"><p class="title">{config["title"]}</p><p>{config["author"]}</p></div>'
        f'<nav class="paper-contents"><h1>Contents</h1><ul>{rows}</ul></nav>'
    )


def print_pdf(page: Path, output: Path) -> None:
    """Print a page with headless Chromium, with bookmarks, tags for screen readers and page numbers."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.set_default_timeout(600_000)
        opened.goto(page.as_uri())
        opened.evaluate("() => window.MathJax?.startup?.promise")
        opened.emulate_media(media="print", color_scheme="light")
        numbered = {"display_header_footer": True, "header_template": "<span></span>", "footer_template": FOOTER}
        opened.pdf(path=output, prefer_css_page_size=True, print_background=True, outline=True, tagged=True, **numbered)
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
