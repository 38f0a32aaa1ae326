"""The scoreboard as a table that a phone, a screen reader and a plain text can show; it judges nothing.

On a narrow screen each row becomes a card (``.scoreboard`` in the book's style sheet); the roles keep it a table for
those who cannot see it. A verdict is a word with a sign before it, so no colour is needed to tell it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import lazy_loader

from unet_paper.experiments.claims import tally
from unet_paper.experiments.findings import LIVE, NOT, OPEN, PARTLY, RECORDED, REPRODUCED, Finding, Row, runs_as_text
from unet_paper.experiments.stated import Claim

IPython = lazy_loader.load("IPython")

SIGNS = {REPRODUCED: "✓", PARTLY: "◐", NOT: "✗", OPEN: "–"}
NOTHING = "–"
LONGEST = 120  # characters of our value in the short table; a longer list of effects is told in words there
COLUMNS = ("claim", "the paper", "ours", "verdict and why")


def scoreboard_table(rows: Sequence[Row]) -> IPython.display.HTML:
    """Show every claim with the paper's value, ours, how it was obtained, the verdict and its reason.

    Parameters
    ----------
    rows : sequence of Row
        From `unet_paper.experiments.scoreboard`.
    """
    lines = [
        (
            f"{_name(row.claim)} {escape(row.claim.text)} {_link(row.claim)}",
            escape(row.claim.paper),
            f"{escape(row.finding.ours)}{_origin(row.finding)}",
            f"{_verdict(row.finding.verdict)} {escape(row.finding.reason)}{_missing(row.finding)}",
        )
        for row in rows
    ]
    return IPython.display.HTML(_table("What became of the paper's claims", COLUMNS, lines))


def claims_table(claims: Sequence[Claim]) -> IPython.display.HTML:
    """Show what the paper claims, its own values, and where the book examines it.

    Parameters
    ----------
    claims : sequence of Claim
        `unet_paper.experiments.stated.CLAIMS`.
    """
    lines = [(f"{_name(claim)} {escape(claim.text)}", escape(claim.paper), _link(claim)) for claim in claims]
    return IPython.display.HTML(_table("What the paper claims", ("claim", "in the paper", "looked at in"), lines))


def summary_text(rows: Sequence[Row]) -> str:
    """Return the scoreboard as a short Markdown table that is the same on every machine: no value measured live.

    Parameters
    ----------
    rows : sequence of Row
        From `unet_paper.experiments.scoreboard`.
    """
    counts = ", ".join(f"{count} {verdict}" for verdict, count in tally(list(rows)).items())
    lines = ["| | claim | the paper | ours | verdict |", "|---|---|---|---|---|"]
    for claim, found in ((row.claim, row.finding) for row in rows):
        ours = found.ours if len(found.ours) <= LONGEST else found.reason
        ours = "measured live in the book" if LIVE in found.kinds else ours
        lines.append(
            f"| {claim.name} | {claim.text} | {claim.paper} | {ours} | {SIGNS[found.verdict]} {found.verdict} |"
        )
    return f"Of {len(rows)} claims: {counts}.\n\n" + "\n".join(lines) + "\n"


def _table(caption: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    heads = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in columns)
    body = "".join(f'<tr role="row">{_cells(columns, line)}</tr>\n' for line in lines)
    return (
        f'<table class="scoreboard" role="table"><caption>{escape(caption)}</caption>\n'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>\n<tbody role="rowgroup">\n{body}</tbody></table>'
    )


def _cells(columns: Sequence[str], line: Sequence[str]) -> str:
    first, *others = zip(columns, line, strict=True)
    head = f'<th scope="row" role="rowheader">{first[1]}</th>'
    return head + "".join(f'<td role="cell" data-column="{name}">{cell}</td>' for name, cell in others)


def _name(claim: Claim) -> str:
    return f'<span class="claim-name" id="claim-{claim.name.lower()}">{claim.name}</span>'


def _link(claim: Claim) -> str:
    return f'<a class="place" href="{claim.page}.html#{claim.label}">{escape(claim.place)}</a>'


def _verdict(verdict: str) -> str:
    kind = verdict.replace(" ", "-")
    return f'<strong class="verdict {kind}"><span aria-hidden="true">{SIGNS[verdict]}</span> {verdict}</strong>'


def _origin(found: Finding) -> str:
    if found.verdict == OPEN and found.ours == NOTHING:
        return ""
    count = runs_as_text(found.runs, what="run" if RECORDED in found.kinds else "draw of random weights")
    parts = [", ".join(found.kinds), found.data, count if found.runs else ""]
    return f'<small class="origin">{escape("; ".join(filter(None, parts)))}</small>'


def _missing(found: Finding) -> str:
    return f'<small class="missing">Not there yet: {escape(", ".join(found.missing))}.</small>' if found.missing else ""
