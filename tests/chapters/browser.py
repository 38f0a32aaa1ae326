"""The built pages in a real browser: what axe-core finds on a page, and where the Tab key leads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

AXE = Path(__file__).parents[1] / "axe" / "axe.min.js"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = (1280, 390)  # px, a desktop and a phone
THEMES = ("light", "dark")

# What has the focus: how a reader who listens knows it, and whether a reader who looks can see it.
FOCUSED = """() => {
  const element = document.activeElement, style = getComputedStyle(element), box = element.getBoundingClientRect();
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const text = element.innerText || element.getAttribute("aria-label") || element.title || element.labels?.[0]?.innerText;
  return {
    element: element.outerHTML.slice(0, 120),
    named: Boolean(text?.trim() || element.querySelector?.("img[alt], svg[aria-label]") || element.placeholder),
    visible: box.width > 0 && box.height > 0 && (outlined || style.boxShadow !== "none"),
    last: element === document.body,
  };
}"""


def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def opened(page: Page, path: Path) -> Page:
    """Open one built page and wait until its equations are set."""
    page.goto(path.as_uri())
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.add_style_tag(content="*, *::before, *::after { transition: none !important; animation: none !important; }")
    return page


def violations(page: Page) -> Iterator[str]:
    """Name what axe-core finds on an open page, in both themes and at both widths."""
    page.add_script_tag(path=AXE)
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
            for broken in page.evaluate("options => axe.run(options)", options)["violations"]:
                for node in broken["nodes"]:
                    yield f"{theme} {width} px, {broken['id']}: {node['html'][:160]}"
