"""A Sphinx extension: what helps a learner, made from the chapters themselves so that it cannot go stale.

- Under each title: how long the page takes to read and, where it holds code, how long it ran when it was built.
- *Predict, then run*: a box of class ``predict`` asks; the cells behind it, up to a box of class ``answer``, are folded
  into one answer. In the chapter's text all of it stays what it is, so a notebook shows a box, cells, and a box.
- The first use of each word of the glossary on a page becomes a ``{term}``, with the definition as its tooltip.
- ``{book-map}`` draws the chapters in the order of ``_toc.yml``, and an arc from each to those that its box "What you
  need" names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from notebooks import pages_in_order, read_book
from sphinx.addnodes import glossary, pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

WORDS_PER_MINUTE = 200  # prose with formulas, read to be understood
MINUTES_PER_FIGURE = 0.5
GLOSSARY = re.compile(r"^```\{glossary\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# Everyday words, or words with a second meaning in this book: linked by hand, where the glossary's meaning is meant.
BY_HAND = {"border", "class", "context", "fold", "instance", "kernel", "membrane", "seed", "tile", "weight"}
NEED = re.compile(r"^:class: need\n(.*?)^:::", re.DOTALL | re.MULTILINE)
LABEL = re.compile(r"\{ref\}`[^`]*?<?([\w-]+)>?`")
PAGE = re.compile(r"\]\((\w+)\.md\)")


class folded(nodes.General, nodes.Element):
    """The folded answer of a task."""


# ---- how long


def reading_minutes(document: nodes.document) -> int:
    """Return the minutes that a page takes to read: its prose and its figures; code is not counted."""
    words = sum(len(text.split()) for text in prose(document))
    figures = sum(1 for _ in document.findall(nodes.figure))
    return max(1, round(words / WORDS_PER_MINUTE + figures * MINUTES_PER_FIGURE))


def prose(document: nodes.document) -> Iterator[str]:
    """Give the text of every paragraph, title and caption, also of those that are folded."""
    for node in document.findall(nodes.TextElement):
        if not isinstance(node, nodes.literal_block) and not isinstance(node.parent, nodes.TextElement):
            yield node.astext()


def spoken(seconds: float) -> str:
    """Return a duration as one would say it."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def times_of(app: Sphinx, page: str) -> str:
    """Return the sentence about reading and running a page."""
    text = f"{app.env.metadata[page]['reading_minutes']} min to read"
    seconds = (NbMetadataCollector.get_exec_data(app.env, page) or {}).get("runtime")
    return text if seconds is None else f"{text} · {spoken(max(seconds, 1))} to run"


def write_times(app: Sphinx, document: nodes.document, page: str) -> None:
    """Put the times under the title of a page."""
    if "reading_minutes" not in app.env.metadata[page]:
        return
    title = next(document.findall(nodes.title))
    link = nodes.reference("", "", refuri=app.builder.get_relative_uri(page, "book/running_times"), internal=True)
    link += nodes.inline("", times_of(app, page))
    place = title.parent.index(title) + 1
    title.parent.insert(place, nodes.paragraph("", "", link, classes=["chapter-times"]))


# ---- predict, then run


def fold_answers(document: nodes.document) -> None:
    """Fold what stands between each task and the end of its answer.

    Raises
    ------
    ValueError
        If a task has no answer in the same section.
    """
    for task in list(document.findall(lambda node: is_box(node, "predict"))):
        siblings = task.parent.children
        first = siblings.index(task) + 1
        last = next((k for k, node in enumerate(siblings) if k >= first and is_box(node, "answer")), None)
        if last is None:
            raise ValueError(f"the task {task.astext()[:60]!r} has no box of class answer behind it")
        *cells, answer = siblings[first : last + 1]
        del siblings[first : last + 1]
        task += folded("", *cells, *answer.children[1:])


def is_box(node: nodes.Node, kind: str) -> bool:
    """Say whether a node is a box of this class."""
    return isinstance(node, nodes.admonition) and kind in node["classes"]


def visit_folded(translator: Any, node: folded) -> None:
    translator.body.append('<details class="answer"><summary>Answer</summary>\n<div class="answer-body">\n')


def depart_folded(translator: Any, node: folded) -> None:
    translator.body.append("</div>\n</details>\n")


# ---- words


def read_glossary(text: str) -> dict[str, str]:
    """Return term -> definition, as plain text, of a page that holds glossaries."""
    found: dict[str, str] = {}
    for block in GLOSSARY.findall(text):
        for entry in re.split(r"\n\s*\n", block.strip("\n")):
            terms, _, body = entry.partition("\n  ")
            definition = re.sub(r"\{term\}|[`$]", "", " ".join(body.split()))
            found |= dict.fromkeys(terms.strip().split("\n"), definition)
    return found


def pattern_of(terms: Iterator[str]) -> re.Pattern:
    """Return a pattern that finds the longest term first, in the singular or with a plural s."""
    ordered = sorted(terms, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, ordered))})(s?)(?![\w-])", re.IGNORECASE)


OPAQUE = (nodes.Titular, nodes.literal, nodes.literal_block, nodes.reference, nodes.math, nodes.math_block, nodes.raw)


def open_texts(document: nodes.document) -> Iterator[nodes.Text]:
    """Give the texts in which a word may become a link: those of paragraphs, in order."""
    for text in list(document.findall(nodes.Text)):
        above = list(ancestors(text))
        inside = any(isinstance(node, nodes.paragraph) for node in above)
        if inside and not any(isinstance(node, (*OPAQUE, pending_xref, glossary)) for node in above):
            yield text


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    """Give all that a node stands in, from the inside."""
    while (node := node.parent) is not None:
        yield node


def link_terms(document: nodes.document, terms: dict[str, str], page: str) -> None:
    """Make the first use of each term a ``{term}``, unless the page uses that role for it already."""
    by_hand = {node["reftarget"].lower() for node in document.findall(pending_xref) if node.get("reftype") == "term"}
    wanted = {term.lower(): term for term in terms if term not in BY_HAND and term.lower() not in by_hand}
    for text in open_texts(document):
        if not wanted:
            return
        parts = linked(text, wanted, page)
        if len(parts) > 1 or parts[0] is not text:
            text.parent.replace(text, parts)


def linked(text: nodes.Text, wanted: dict[str, str], page: str) -> list[nodes.Node]:
    """Return the text in pieces: words that are wanted as references, and no longer wanted then."""
    parts: list[nodes.Node] = []
    rest = str(text)
    place = 0
    while wanted and (hit := pattern_of(wanted).search(rest, place)):
        term = wanted.pop(hit[1].lower())
        parts += [nodes.Text(rest[: hit.start()]), term_reference(hit[0], term, page)]
        rest, place = rest[hit.end() :], 0
    return [*(part for part in parts if part.astext()), nodes.Text(rest)] if parts else [text]


def term_reference(shown: str, term: str, page: str) -> pending_xref:
    """Return what the role ``{term}`` would make."""
    options = {"refdomain": "std", "reftype": "term", "reftarget": term, "refexplicit": True, "refwarn": True}
    return pending_xref("", nodes.inline("", shown, classes=["xref", "std", "std-term"]), refdoc=page, **options)


def explain_terms(app: Sphinx, document: nodes.document) -> None:
    """Give each link to the glossary the definition as its tooltip."""
    definitions = {term.lower().replace(" ", "-"): text for term, text in app.env.learning_terms.items()}
    for link in document.findall(nodes.reference):
        address = link.get("refuri", "") or "#" + link.get("refid", "")
        _, found, term = address.partition("#term-")
        if found:
            link["reftitle"] = definitions.get(term.lower(), "")


# ---- the map


@dataclass(frozen=True)
class Place:
    """One page on the map."""

    name: str
    title: str
    part: str
    number: int | None
    needs: tuple[str, ...]  # pages that come before it


def places(folder: Path) -> list[Place]:
    """Read the map from ``_toc.yml`` and from the boxes "What you need" of the chapters.

    Parameters
    ----------
    folder : Path
        Where ``_toc.yml`` and the folder ``book`` lie.
    """
    book, found = read_book(folder), []
    parts = yaml.safe_load((folder / "_toc.yml").read_text()).get("parts", [])
    part_of = {Path(entry["file"]).stem: part["caption"] for part in parts for entry in part["chapters"]}
    numbers = dict(pages_in_order(folder))
    labels = {label: page for label, (page, _) in book.sections.items()}
    for name in part_of:
        box = NEED.search((folder / "book" / f"{name}.md").read_text())
        named = [*map(labels.get, LABEL.findall(box[1])), *PAGE.findall(box[1])] if box else []
        needs = tuple(page for page in dict.fromkeys(named) if page != name and numbers.get(page))
        found.append(Place(name, book.titles[name], part_of[name], numbers[name], needs))
    return found


class book_map(nodes.General, nodes.Element):
    """Where the map is to be drawn, once every page was read."""


class BookMap(SphinxDirective):
    """``{book-map}``: the chapters and how they hang together."""

    def run(self) -> list[nodes.Node]:
        """Leave a mark; the times of all pages are not known yet."""
        return [book_map()]


ROW = 72  # px, height of a row
REACH = 96  # px, width of the arcs


def draw_map(app: Sphinx, document: nodes.document, page: str) -> None:
    """Replace the mark of `BookMap`."""
    for mark in list(document.findall(book_map)):
        found = places(Path(app.srcdir))
        address = {place.name: app.builder.get_relative_uri(page, f"book/{place.name}") for place in found}
        times = {place.name: times_of(app, f"book/{place.name}") for place in found}
        mark.replace_self(nodes.raw("", map_html(found, address, times), format="html"))


def map_html(found: list[Place], address: dict[str, str], times: dict[str, str]) -> str:
    """Return the map as HTML: a list that says all, and beside it arcs for the eye.

    Parameters
    ----------
    found : list of Place
        In the order of reading; only numbered chapters are drawn.
    address, times : dict of str
        Link and times of each page, by name.
    """
    chapters = [place for place in found if place.number]
    row = {place.name: k for k, place in enumerate(chapters)}
    number = {place.name: place.number for place in chapters}
    items, last = [], ""
    for place in chapters:
        part = f'<span class="map-part">{escape(place.part)}</span> ' if place.part != last else ""
        last = place.part
        needs = ", ".join(str(number[name]) for name in place.needs)
        builds = f" · builds on {needs}" if needs else ""
        items.append(
            f'<li>{part}<a href="{address[place.name]}">{place.number}. {escape(place.title)}</a> '
            f'<span class="map-times">{times[place.name]}{builds}</span></li>'
        )
    arcs = [arc(row[name], row[place.name]) for place in chapters for name in place.needs]
    picture = (
        f'<svg aria-hidden="true" focusable="false" width="{REACH}" height="{ROW * len(row)}">{"".join(arcs)}</svg>'
    )
    return f'<div class="book-map"><ol>{"".join(items)}</ol>{picture}</div>'


def arc(start: int, end: int) -> str:
    """Return an arc from one row of the map down to another, with a head at its end."""
    top, bottom = (ROW * (row + shift) for row, shift in ((start, 0.62), (end, 0.38)))
    bulge = 8 + (REACH - 16) * min(1.0, (end - start) / 8)
    head = f'<path class="head" d="M2 {bottom:g}l8 -4v8z"/>'
    return f'<path d="M2 {top:g}C{bulge:g} {top:g} {bulge:g} {bottom:g} 8 {bottom:g}"/>{head}'


# ---- Sphinx


def read_page(app: Sphinx, document: nodes.document) -> None:
    """Do what needs one page only."""
    page = app.env.docname
    app.env.metadata[page]["reading_minutes"] = reading_minutes(document)
    fold_answers(document)
    link_terms(document, app.env.learning_terms, page)


def finish_page(app: Sphinx, document: nodes.document, page: str) -> None:
    """Do what needs all pages."""
    explain_terms(app, document)
    draw_map(app, document, page)
    write_times(app, document, page)


def load_terms(app: Sphinx) -> None:
    """Read the glossary before any page."""
    path = Path(app.srcdir) / "book" / "notation.md"
    app.env.learning_terms = read_glossary(path.read_text()) if path.exists() else {}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_node(folded, html=(visit_folded, depart_folded))
    app.add_node(book_map)
    app.add_directive("book-map", BookMap)
    app.connect("builder-inited", load_terms)
    app.connect("doctree-read", read_page)
    app.connect("doctree-resolved", finish_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
