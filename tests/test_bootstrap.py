"""Setting up on a fresh machine: what a newcomer reads when something is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import bootstrap

ROOT = Path(__file__).resolve().parents[1]


def pinned(requirements: list[str]) -> dict[str, str]:
    return dict(requirement.lower().replace("_", "-").split("==") for requirement in requirements)


def direct_dependencies() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return pinned(project["dependencies"] + extras["book"] + extras["test"])


def test_a_too_old_python_is_named_with_the_fix(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(SystemExit):
        bootstrap.main()
    message = capsys.readouterr().err
    assert "needs Python 3.11 or 3.12; this one is 3.9.1" in message
    assert "make PYTHON=" in message


def test_another_python_on_the_path_is_used(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    monkeypatch.setattr("shutil.which", lambda name: sys.executable if name == "python3.11" else None)
    assert bootstrap.suitable_python() == sys.executable


def test_no_network_is_named(tmp_path):
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1"}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    result = subprocess.run(
        [sys.executable, ROOT / "bootstrap.py"],
        env=environment | nowhere | {"VENV": str(tmp_path / "venv")},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 1
    assert "error: the package index cannot be reached" in result.stderr


def test_every_direct_dependency_is_pinned_and_locked():
    locked = pinned((ROOT / "constraints.txt").read_text().split())
    assert direct_dependencies().items() <= locked.items()


def test_every_direct_dependency_says_what_it_is_for():
    lines = [line.strip() for line in (ROOT / "pyproject.toml").read_text().splitlines() if "==" in line]
    assert [line for line in lines if '",' in line and "#" not in line] == []


def test_conda_takes_the_same_set():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == ["--constraint constraints.txt", "--editable .[book,test]"]
