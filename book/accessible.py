"""A Sphinx extension: mend what the theme and its helpers write into the pages and screen readers stumble over.

Each entry of `MENDED` is one rule of WCAG that axe-core finds broken in the pages as the theme writes them;
``tests/chapters/test_accessibility.py`` finds the next one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

# (2.5.3) The name of a control contains the text that is seen on it: without a label, the text is the name.
# (4.1.2) The roles of entries in a bibliography were withdrawn; the list that they stand in is one of items.
MENDED = [
    (re.compile(r'<summary aria-label="[^"]*">'), "<summary>"),
    (re.compile(r'(<button class="btn search-button-field[^>]*?) aria-label="[^"]*"'), r"\1"),
    (re.compile(r'(<i class="theme-switch [^>]*?) title="[^"]*"'), r'\1 aria-hidden="true"'),
    (re.compile(r'(<div class="citation"[^>]*?) role="doc-biblioentry"'), r'\1 role="listitem"'),
    (re.compile(r' role="doc-backlink"'), ""),
]


def mend(html: str) -> str:
    """Return a page with every known fault mended."""
    for fault, replacement in MENDED:
        html = fault.sub(replacement, html)
    return html


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    """Mend every page once the build has written them all."""
    if exception is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            if "_static" not in path.parts:
                path.write_text(mend(path.read_text()))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
