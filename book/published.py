"""Write anew what stands outside of the book and is told by it: `python book/published.py`.

From `pyproject.toml`, `_config.yml` and the bibliography come CITATION.cff, CITATION.bib and codemeta.json; from the
scoreboard comes the block of README.md between its two marks, from the records that of `data/models/README.md`. Tests
compare all of them with what this writes, and `make notebooks` ends with it.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from pathlib import Path

import yaml
from pybtex.database import Entry, parse_file

from unet_paper.experiments.claims import scoreboard
from unet_paper.experiments.evidence import gather
from unet_paper.experiments.plan import EXPERIMENTS, GPU
from unet_paper.experiments.record import read_records
from unet_paper.figures.scoreboard import summary_text

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = "data/models/README.md"
PAPER = "ronneberger2015unet"
MESSAGE = "If this book helps you, please cite it together with the paper it re-does."
SCOREBOARD = ("<!-- scoreboard: written by book/published.py -->", "<!-- end of the scoreboard -->")
REACHED = ("<!-- scores: written by book/published.py -->", "<!-- end of the scores -->")
UNSHIPPED = ("em-best", "u373-best", "dic-hela-best", "dic-hela-wide")  # twice the channels, and no gain for 15.5 MB
LICENCES = {"MIT": "https://spdx.org/licenses/MIT"}


def facts() -> dict:
    """Return what the files of citation say: from pyproject.toml, `_config.yml` and the bibliography."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    book = yaml.safe_load((ROOT / "_config.yml").read_text())
    return {
        "title": book["title"],
        "year": book["copyright"],
        "address": book["repository"]["url"],
        "authors": [author["name"] for author in project["authors"]],
        "paper": parse_file(ROOT / "book" / "references.bib").entries[PAPER],
        **{name: project[name] for name in ("name", "version", "description", "license", "dependencies")},
        "python": project["requires-python"],
    }


def citation_cff(known: dict) -> str:
    """Return CITATION.cff: the book, and the paper as its reference."""
    paper: Entry = known["paper"]
    start, end = map(int, paper.fields["pages"].split("--"))
    reference = {
        "type": "conference-paper",
        "title": _plain(paper.fields["title"]),
        "authors": [_person(person) for person in paper.persons["author"]],
        "collection-title": paper.fields["booktitle"],
        **{"year": int(paper.fields["year"]), "start": start, "end": end, "doi": paper.fields["doi"]},
    }
    content = {
        **{"cff-version": "1.2.0", "message": MESSAGE, "title": known["title"], "abstract": known["description"]},
        **{"type": "software", "license": known["license"], "version": known["version"]},
        **({"repository-code": known["address"]} if known["address"] else {}),
        "authors": [{"name": name} for name in known["authors"]],
        "references": [reference],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


def citation_bib(known: dict) -> str:
    """Return CITATION.bib: the book, then the paper as in the bibliography."""
    paper: Entry = known["paper"]
    persons = " and ".join(f"{' '.join(p.last_names)}, {' '.join(p.first_names)}" for p in paper.persons["author"])
    fields = {
        "author": " and ".join(f"{{{name}}}" for name in known["authors"]),
        "title": f"{{{known['title']}}}",
        "year": known["year"],
        "version": known["version"],
        "note": known["description"],
        **({"url": known["address"]} if known["address"] else {}),
    }
    own, reference = (
        _entry(kind, key, values)
        for kind, key, values in (
            ("software", known["name"], fields),
            (paper.original_type, paper.key, {"author": persons, **paper.fields}),
        )
    )
    return f"{own}\n{reference}"


def codemeta(known: dict) -> str:
    """Return codemeta.json, version 3.0 of CodeMeta."""
    paper: Entry = known["paper"]
    content = {
        "@context": "https://w3id.org/codemeta/3.0",
        "@type": "SoftwareSourceCode",
        **{"name": known["title"], "identifier": known["name"], "description": known["description"]},
        **{"version": known["version"], "license": LICENCES[known["license"]], "programmingLanguage": "Python"},
        "runtimePlatform": f"Python {known['python']}",
        "author": [{"@type": "Organization", "name": name} for name in known["authors"]],
        "softwareRequirements": known["dependencies"],
        **({"codeRepository": known["address"]} if known["address"] else {}),
        "referencePublication": {
            "@type": "ScholarlyArticle",
            "@id": f"https://doi.org/{paper.fields['doi']}",
            "name": _plain(paper.fields["title"]),
            "author": [_person_of_codemeta(person) for person in paper.persons["author"]],
            "datePublished": paper.fields["year"],
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def with_block(page: str, marks: tuple[str, str], text: str) -> str:
    """Return a page with the text of today between its marks.

    Raises
    ------
    ValueError
        If the marks are not there.
    """
    begin, end = marks
    parts = re.split(f"{re.escape(begin)}.*?{re.escape(end)}", page, flags=re.DOTALL)
    if len(parts) != 2:
        raise ValueError(f"the page holds {len(parts) - 1} blocks between {begin!r} and {end!r}; needs one")
    return f"{parts[0]}{begin}\n{text}{end}{parts[1]}"


def reached() -> str:
    """Return what the recipes of the published networks score on every fold and with every seed, as Markdown."""
    shipped = [name for name, experiment in EXPERIMENTS.items() if experiment.published and name not in GPU]
    lines = {True: [], False: []}  # EM or not
    for name in (*shipped, *UNSHIPPED):
        for record in read_records(name, seed=None):
            lines[record["task"] == "em"].append(_reached(record, name in shipped))
    return f"{_markdown(EM_COLUMNS, lines[True])}\n{_markdown(CELL_COLUMNS, lines[False])}"


EM_COLUMNS = ("recipe", "sections", "seed", "Rand error", "settled", "V_Rand", "settled", "warping error", "settled")
HALVES = {2: "both, the later half of the frames", 3: "both, the earlier half of the frames"}  # by fold
CELL_COLUMNS = ("recipe", "tested on", "seed", "SEG once, at 0.5", "SEG settled", "SEG with a watershed")


def _reached(record: dict, is_shipped: bool) -> tuple[str, ...]:
    experiment, seed = EXPERIMENTS[record["experiment"]], record.get("seed", 0)
    is_here = is_shipped and (record["fold"], seed) == (experiment.folds[0], 0)
    name = f"**{record['experiment']}: `{experiment.published}`**" if is_here else record["experiment"]
    frames, scores = record["tested_on"]["frames"], record["scores"]
    if record["task"] != "em":
        once, averaged = scores["none"]["seg"], scores["8 symmetries"]
        overlaps = (once, averaged["seg_settled"], averaged["seg_watershed"])
        tested = HALVES.get(record["fold"], record["tested_on"]["data"])
        return (name, tested, str(seed), *(f"{value:.3f}" for value in overlaps))
    best, digits = scores["7 rotations"], {"rand_error": 4, "v_rand": 4, "warping_error": 6}
    values = (f"{of[measure]:.{n}f}" for measure, n in digits.items() for of in (best, best["settled"]))
    return (name, f"{frames[0]}-{frames[-1]}", str(seed), *values)


def _markdown(columns: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (columns, ("---",) * len(columns), *lines))


def written() -> dict[str, str]:
    """Return every file by its name in the repository, as it should be."""
    known = facts()
    summary = summary_text(scoreboard(gather(timed=False)))
    return {
        "CITATION.cff": citation_cff(known),
        "CITATION.bib": citation_bib(known),
        "codemeta.json": codemeta(known),
        "README.md": with_block((ROOT / "README.md").read_text(), SCOREBOARD, summary),
        NETWORKS: with_block((ROOT / NETWORKS).read_text(), REACHED, reached()),
    }


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = ",\n".join(f"  {name:<9} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}\n}}\n"


def _plain(title: str) -> str:
    return title.replace("{", "").replace("}", "")


def _person(person) -> dict[str, str]:
    return {"family-names": " ".join(person.last_names), "given-names": " ".join(person.first_names)}


def _person_of_codemeta(person) -> dict[str, str]:
    names = _person(person)
    return {"@type": "Person", "givenName": names["given-names"], "familyName": names["family-names"]}


if __name__ == "__main__":
    argparse.ArgumentParser(description="Write anew what stands outside of the book and is told by it.").parse_args()
    for name, text in written().items():
        (ROOT / name).write_text(text)
        print(f"written: {name}")
