"""The labels of a page: what a link or a reference can lead to."""

from __future__ import annotations

import re
from pathlib import Path

BOOK = Path(__file__).parents[2] / "book"
LABEL = re.compile(r"^\(([\w-]+)\)=|^\$\$ \(([\w-]+)\)|^\s*:?(?:name|label): ([\w-]+)", re.MULTILINE)


def labelled_places(name: str) -> set[str]:
    """Return the labels in book/NAME.md: of sections, equations, figures, tables and exercises."""
    return {label for found in LABEL.findall((BOOK / f"{name}.md").read_text()) for label in found if label}
