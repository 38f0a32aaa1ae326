"""Write anew what stands outside of the book and is told by it: `python book/published.py`.

From `pyproject.toml`, `_config.yml` and the bibliography come CITATION.cff, CITATION.bib and codemeta.json; from the
scoreboard comes the block of README.md between its two marks. Tests compare all of them with what this writes, and
`make notebooks` ends with it.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import yaml
from pybtex.database import Entry, parse_file

from unet_paper.experiments.claims import scoreboard
from unet_paper.experiments.evidence import gather
from unet_paper.figures.scoreboard import summary_text

ROOT = Path(__file__).resolve().parents[1]
PAPER = "ronneberger2015unet"
MESSAGE = "If this book helps you, please cite it together with the paper it re-does."
BEGIN, END = "<!-- scoreboard: written by book/published.py -->", "<!-- end of the scoreboard -->"
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


def with_scoreboard(readme: str, summary: str) -> str:
    """Return README.md with the scoreboard of today between its marks.

    Raises
    ------
    ValueError
        If the marks are not there.
    """
    parts = re.split(f"{re.escape(BEGIN)}.*?{re.escape(END)}", readme, flags=re.DOTALL)
    if len(parts) != 2:
        raise ValueError(f"README.md holds {len(parts) - 1} blocks between {BEGIN!r} and {END!r}; needs one")
    return f"{parts[0]}{BEGIN}\n{summary}{END}{parts[1]}"


def written() -> dict[str, str]:
    """Return every file by its name in the repository, as it should be."""
    known = facts()
    summary = summary_text(scoreboard(gather(timed=False)))
    return {
        "CITATION.cff": citation_cff(known),
        "CITATION.bib": citation_bib(known),
        "codemeta.json": codemeta(known),
        "README.md": with_scoreboard((ROOT / "README.md").read_text(), summary),
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
    for name, text in written().items():
        (ROOT / name).write_text(text)
        print(f"written: {name}")
