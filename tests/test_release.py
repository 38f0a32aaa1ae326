"""What a release must agree on: one version everywhere, a change log that knows it, a checklist of what exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import unet_paper as up

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_one_version_everywhere():
    assert up.__version__ == VERSION
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == VERSION


def test_the_change_log_knows_this_version_and_what_comes_next():
    sections = re.findall(r"^## ([^\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert VERSION in sections


def test_the_checklist_names_commands_and_files_that_exist():
    text = (ROOT / "RELEASING.md").read_text()
    targets = re.findall(r"`make (\w+)`", text)
    assert {"test", "book", "notebooks", "lock"} <= set(targets)
    assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in targets)
    files = re.findall(r"\b(?:book/)?\w+\.(?:md|toml|cff|txt)\b", text)
    assert files
    assert all((ROOT / name).is_file() for name in files)
