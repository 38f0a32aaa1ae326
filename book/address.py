"""A Sphinx extension for a book that has an address: a sitemap, and what a link to a page shows when it is shared.

The address is `html: baseurl` of ``_config.yml``, or the environment variable ``UNET_PAPER_BASE_URL``, which whoever
publishes may set. Without an address nothing is written: every tag and the sitemap must hold whole addresses.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

VARIABLE = "UNET_PAPER_BASE_URL"
CARD = "_static/card.png"  # 1200 x 630 px, as Open Graph asks
ALTERNATIVE = "A generated section of tissue, its cells in colours, and the weight of each pixel in the loss."
LONGEST = 200  # letters of a description
NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def take_address(app: Sphinx, config: Config) -> None:
    """Put the address from the environment into the configuration, with a slash at its end."""
    address = os.environ.get(VARIABLE, config.html_baseurl or "")
    config.html_baseurl = f"{address.rstrip('/')}/" if address else ""


def add_tags(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Add Open Graph and Twitter tags to a page that has a text."""
    base = app.config.html_baseurl
    if not base or doctree is None:
        return
    title = next(iter(doctree.findall(nodes.title)), None)
    tags = {
        "og:title": app.config.project if title is None else title.astext(),
        "og:type": "article",
        "og:site_name": app.config.project,
        "og:url": f"{base}{page}.html",
        "og:description": description(doctree),
        "og:image": base + CARD,
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": ALTERNATIVE,
    }
    lines = [f'<meta property="{name}" content="{escape(value)}" />' for name, value in tags.items()]
    lines.append('<meta name="twitter:card" content="summary_large_image" />')
    context["metatags"] = context.get("metatags", "") + "\n" + "\n".join(lines)


def description(doctree: nodes.document) -> str:
    """Return what a page is about: the first paragraph of its aim, or of its text, cut between words."""
    aims = [box for box in doctree.findall(nodes.admonition) if "aim" in box["classes"]]
    paragraph = next(iter((aims[0] if aims else doctree).findall(nodes.paragraph)), None)
    text = "" if paragraph is None else " ".join(paragraph.astext().split())
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Write the sitemap and the picture of the card."""
    if exception is None and app.config.html_baseurl and app.builder.format == "html":
        pages = sorted(app.env.found_docs)
        write_sitemap(Path(app.outdir) / "sitemap.xml", [f"{app.config.html_baseurl}{page}.html" for page in pages])
        draw_card(Path(app.outdir) / CARD)


def write_sitemap(path: Path, addresses: list[str]) -> None:
    """Write the addresses of all pages as sitemaps.org says."""
    root = ElementTree.Element("urlset", xmlns=NAMESPACE)
    for address in addresses:
        ElementTree.SubElement(ElementTree.SubElement(root, "url"), "loc").text = address
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def draw_card(path: Path) -> None:
    """Draw the card from a generated section: the challenge's own may not be handed on."""
    import numpy as np  # here: most builds have no address, and need none of these

    import unet_paper as up
    from unet_paper.figures.intro import plot_card

    up.figures.use_book_style()
    section = up.synthetic_em(1, (256, 256), generator=np.random.default_rng(0))
    cells = up.connected_cells(section.labels[0])
    path.parent.mkdir(exist_ok=True)
    plot_card(section.images[0], cells, up.weight_map(cells)).savefig(path, dpi=100)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", take_address)
    app.connect("html-page-context", add_tags)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
