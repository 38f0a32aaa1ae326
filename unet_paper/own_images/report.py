"""One page that shows how a training on own images went, in one file that opens anywhere without a network."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence

import numpy as np

from unet_paper.own_images.scoring import HEAD, CellScores
from unet_paper.training.history import History

WIDTH, HEIGHT, MARGIN = 640, 220, 44  # px of a curve
POINTS = 120  # of the loss curve: means of stretches
GOOD, FAIR = 0.8, 0.5  # SEG above which there is little, or much, left to do

STYLE = """<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1, h2 { line-height: 1.2 } pre { background: #f3f5f7; padding: 1rem; white-space: pre-wrap }
table { border-collapse: collapse } td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #d8dde3 }
td:first-child, th:first-child { text-align: left } figure { margin: 1rem 0 } img, svg { max-width: 100%; height: auto }
figcaption { color: #52606d } .big { font-size: 2.4rem; font-weight: 600 }
</style>"""


def report_page(
    *, plan: str, history: History, scores: Sequence[CellScores], pictures: Sequence[tuple[str, bytes]], licence: str
) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    plan : str
        The plan in words.
    history : History
        The course of the training.
    scores : sequence of CellScores
        Of the held-out images, the last of all together.
    pictures : sequence of (str, bytes)
        Name and PNG of each held-out image with its cells.
    licence : str
        What is to be known about the network's use.
    """
    total = scores[-1]
    stretches = np.array_split(np.array(history.loss), min(POINTS, len(history.loss)))
    steps = np.cumsum([len(stretch) for stretch in stretches])
    loss = _curve(steps, [float(s.mean()) for s in stretches], title="loss", axis="energy of Eq. 1")
    errors = [entry.pixel_error for entry in history.validation]
    held = _curve([v.step for v in history.validation], errors, title="held-out pixel error", axis="share of pixels")
    tried = "".join(f"<li>{html.escape(line)}</li>" for line in advice(total, history))
    seg = "no cell to score" if total.seg is None else f"{total.seg:.3f}"
    parts = [
        f"<h1>Your network</h1><p class=big>SEG {seg}</p>",
        f"<p>On {len(scores) - 1} held-out images that training never saw: SEG is the mean, over all annotated cells, "
        "of the overlap (intersection over union) with the cell found for it; 1 is perfect, 0 is a missed cell. Few "
        "images decide this number: another choice of them would give another one.</p>",
        f"<h2>What to try next</h2><ul>{tried}</ul>",
        f"<h2>Held-out images</h2>{_table(scores)}",
        *(_figure(name, picture) for name, picture in pictures),
        f"<h2>The course of the training</h2><p>{len(history.loss)} steps, {history.seconds / 60:.1f} min on "
        f"{html.escape(history.device)}.</p>{loss}{held}",
        f"<h2>The plan</h2><pre>{html.escape(plan)}</pre>",
        "<h2>How to use it</h2><pre>unet-paper segment IMAGES OUTPUT --network network.safetensors --overlay</pre>",
        f"<p>{html.escape(licence)}</p>",
    ]
    head = f'<meta charset=utf-8><meta name=viewport content="width=device-width"><title>Your network</title>{STYLE}'
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def advice(total: CellScores, history: History) -> list[str]:
    """Return what to try next, from what went wrong on the held-out images.

    Parameters
    ----------
    total : CellScores
        Of all held-out images.
    history : History
        The course of the training.
    """
    lines = []
    if total.seg is None:
        return ["No held-out image has an annotated cell: annotate more images."]
    if total.found == 0:
        lines.append("Nothing was found (all black): do the masks tell cells from background? Train longer.")
    if total.merged > 0:
        cut = f"{total.merged} cells were taken for one with a neighbour"
        lines.append(f"{cut}: annotate more that touch; in masks of 0 and 255, leave a gap between them.")
    if total.missed > 0.2 * total.cells:
        missed = f"{total.missed} of {total.cells} cells were missed"
        lines.append(f"{missed}: annotate more that look like them, or train longer.")
    if total.extra > 0.2 * max(total.found, 1):
        extra = f"{total.extra} of {total.found} found are no cells"
        lines.append(f"{extra}: annotate an image with what was mistaken for one.")
    errors = [entry.pixel_error for entry in history.validation]
    if len(errors) > 2 and errors[-1] > 1.2 * min(errors):
        lines.append("The held-out error rose towards the end: more annotated images will help more than more steps.")
    elif len(errors) > 2 and errors[-1] < 0.9 * errors[-2]:
        longer = math.ceil(max(history.seconds / 30, 1))
        lines.append(f"The held-out error was still falling: train longer, into a new folder (--minutes {longer}).")
    if total.seg >= GOOD and not lines:
        lines.append("Little is left to do: look at the overlays, then use it on all of your images.")
    elif total.seg < FAIR:
        lines.append("Look at the scale in the plan: a cell should be 20 to 60 px across as the network sees it.")
    lines.append("Annotate two or three of the images it does worst on, and train again: this helps most.")
    return lines


def _table(scores: Sequence[CellScores]) -> str:
    rows = ["".join(f"<th>{name}</th>" for name in HEAD)]
    for entry in scores:
        values = ["" if v is None else f"{v:.3f}" if isinstance(v, float) else str(v) for v in entry]
        rows.append("".join(f"<td>{html.escape(value)}</td>" for value in values))
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _figure(name: str, picture: bytes) -> str:
    source = base64.b64encode(picture).decode()
    text = html.escape(name)
    return (
        f'<figure><img alt="{text} with the cells found" src="data:image/png;base64,{source}">'
        f"<figcaption>{text}: cells found in colour, the annotation's edges in white.</figcaption></figure>"
    )


def _curve(steps: Sequence[int], values: Sequence[float], *, title: str, axis: str) -> str:
    """Return a curve as SVG, its axis from 0 to the largest value."""
    if len(values) == 0:
        return ""
    top, last = max([*values, 1e-9]), max(steps)
    x = [MARGIN + (WIDTH - 2 * MARGIN) * step / last for step in steps]
    y = [HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * value / top for value in values]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    bottom = HEIGHT - MARGIN
    texts = [
        (MARGIN, 20, "start", f"{title}, {axis}"),
        (MARGIN - 6, MARGIN + 4, "end", f"{top:.3g}"),
        (MARGIN - 6, bottom, "end", "0"),
        (WIDTH - MARGIN, bottom + 20, "end", f"step {last}"),
    ]
    marks = "".join(f'<text x="{a}" y="{b}" text-anchor="{to}" font-size="13">{t}</text>' for a, b, to, t in texts)
    frame = f'<path d="M{MARGIN},{MARGIN}V{bottom}H{WIDTH - MARGIN}" fill="none" stroke="#8d99a6"/>'
    line = f'<polyline points="{points}" fill="none" stroke="#0072b2" stroke-width="2"/>'
    label = f'role="img" aria-label="{html.escape(title)} over the steps"'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" {label}>{frame}{line}{marks}</svg>'
