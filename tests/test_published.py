"""What stands outside of the book says what the book says: citations, metadata, the scoreboard in the README."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pybtex.database import parse_file

import unet_paper as up

ROOT = Path(__file__).parents[1]
FIX = "run `python book/published.py` and commit what it writes"


@pytest.fixture(scope="module")
def published():
    return runpy.run_path(str(ROOT / "book" / "published.py"))


@pytest.mark.parametrize("name", ["CITATION.cff", "CITATION.bib", "codemeta.json"])
def test_citations_come_from_one_source(published, name):
    write = {"CITATION.cff": "citation_cff", "CITATION.bib": "citation_bib", "codemeta.json": "codemeta"}[name]
    assert (ROOT / name).read_text() == published[write](published["facts"]()), FIX


def test_the_readme_shows_the_scoreboard_of_the_records(published):
    summary = published["summary_text"](up.experiments.scoreboard(up.experiments.gather(timed=False)))
    readme = (ROOT / "README.md").read_text()
    assert readme == published["with_block"](readme, published["SCOREBOARD"], summary), FIX


def test_the_page_of_the_networks_shows_what_their_recipes_reach(published):
    page = (ROOT / published["NETWORKS"]).read_text()
    assert page == published["with_block"](page, published["REACHED"], published["reached"]()), FIX
    bold = [line for line in page.splitlines() if line.startswith("| **")]
    assert [line.split("`")[1] for line in bold] == ["em", "em-wide", "u373", "dic-hela"]
    held_out = up.network_card("u373")["scores"]["8 symmetries"]
    assert f"| {held_out['seg_settled']:.3f} | {held_out['seg_watershed']:.3f} |" in bold[2]


def test_a_readme_without_its_marks_is_refused(published):
    with pytest.raises(ValueError, match="holds 0 blocks"):
        published["with_block"]("# Title\n", published["SCOREBOARD"], "text")


def test_citation_is_valid_by_the_formats_own_schema():
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format"]
    done = subprocess.run([*check, ROOT / "CITATION.cff"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_name_the_same_paper_and_version():
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    entries = parse_file(ROOT / "CITATION.bib").entries
    meta = json.loads((ROOT / "codemeta.json").read_text())
    doi = "10.1007/978-3-319-24574-4_28"
    assert cff["references"][0]["doi"] == entries["ronneberger2015unet"].fields["doi"] == doi
    assert meta["referencePublication"]["@id"].endswith(doi)
    assert cff["version"] == entries["unet-paper"].fields["version"] == meta["version"] == up.__version__
    assert {"@context", "@type", "name", "author", "license"} <= set(meta)
