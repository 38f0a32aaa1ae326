"""The built pages in a real browser: what axe-core finds on a page, and where the Tab key leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pdf import CHROMIUM
from playwright.sync_api import Browser, Page, Playwright

AXE = Path(__file__).parents[1] / "axe" / "axe.min.js"
# A browser is a program of the system, which no Python environment brings. `.ci/run` installs one, so these tests run
# there; a reader without one can still check everything else.
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on the path (apt install chromium), nor in CHROMIUM"
)
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = (1280, 390)  # px, a desktop and a phone
THEMES = ("light", "dark")
SETTLED = 400  # ms: the theme makes boxes that scroll reachable by keyboard 300 ms after the width changed
MOST_STOPS = 400  # of the Tab key on one page

# Every control that is to be seen gets a number; what a closed box holds is not to be seen.
NUMBER_CONTROLS = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary")];
  const seen = all.filter(element => element.checkVisibility({visibilityProperty: true}) && !element.disabled);
  seen.filter(element => element.tabIndex >= 0).forEach((element, number) => element.dataset.control = number);
  return seen.length;
}"""

# What has the focus: how a reader who listens knows it, and whether a reader who looks can see it.
FOCUSED = """() => {
  const element = document.activeElement;
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const labels = [...(element.labels ?? [])].map(label => label.innerText);
  const texts = [element.innerText, element.getAttribute("aria-label"), element.title, element.placeholder, ...labels];
  const picture = element.querySelector("img[alt], svg[aria-label], svg title");
  return {
    html: element.outerHTML.slice(0, 160),
    control: element === document.body ? -1 : Number(element.dataset.control ?? -2),
    named: Boolean(picture) || texts.some(text => text?.trim()),
    visible: element.checkVisibility({opacityProperty: true}) && box.width > 0 && box.height > 0 && outlined,
  };
}"""


@dataclass(frozen=True)
class Stop:
    """One place where the Tab key stops."""

    html: str  # the beginning of the element
    control: int  # its number among the controls; -1 is the page itself, -2 a box that scrolls
    named: bool  # whether a screen reader has something to say
    visible: bool  # whether it has a size and an outline, and is not transparent


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
    options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(SETTLED)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            for broken in page.evaluate("options => axe.run(options)", options)["violations"]:
                for node in broken["nodes"]:
                    yield f"{theme} {width} px, {broken['id']}: {node['html'][:160]}"


def number_controls(page: Page) -> int:
    """Give each link, button, field and folded box that is to be seen a number; return how many there are."""
    return page.evaluate(NUMBER_CONTROLS)


def tab_stops(page: Page) -> list[Stop]:
    """Press Tab from the top of the page to its end; return where it stops."""
    stops: list[Stop] = []
    while len(stops) < MOST_STOPS:
        page.keyboard.press("Tab")
        stop = Stop(**page.evaluate(FOCUSED))
        if stop.control == -1 or (stops and stop == stops[0]):
            break
        stops.append(stop)
    return stops
