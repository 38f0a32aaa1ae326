"""Setting up on a fresh machine: what a newcomer reads when something is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bootstrap

ROOT = Path(__file__).resolve().parents[1]


def requirements(*, extras: bool) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = project["optional-dependencies"]
    chosen = groups["book"] + groups["test"] if extras else []
    return [Requirement(line) for line in chosen or project["dependencies"]]


def locked() -> dict[str, set[str]]:
    """Return the versions of each package in the lock (another one for another Python, where it must be)."""
    found: dict[str, set[str]] = {}
    for line in [*(ROOT / "requirements.lock").read_text().splitlines(), (ROOT / "torch.txt").read_text().split()[-1]]:
        if "==" in line and line[0].isalpha():
            package = Requirement(line.removesuffix("\\"))
            found.setdefault(canonicalize_name(package.name), set()).add(str(package.specifier).removeprefix("=="))
    return found


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


@pytest.mark.parametrize("extras", [False, True])
def test_every_direct_dependency_is_locked_at_a_version_that_fits(extras):
    versions = locked()
    for package in requirements(extras=extras):
        assert all(package.specifier.contains(version) for version in versions[canonicalize_name(package.name)]), (
            package
        )


def test_library_users_get_ranges_and_the_book_gets_pins():
    assert not [package for package in requirements(extras=False) if "==" in str(package.specifier)]
    assert not [package for package in requirements(extras=True) if "==" not in str(package.specifier)]


def test_every_file_of_the_lock_has_a_hash_and_pytorch_stands_apart():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        assert line.startswith("    --hash=sha256:") or after.startswith("    --hash=sha256:"), line
    assert not re.search(r"^(torch|triton|nvidia-|cuda-)", "\n".join(lines), re.MULTILINE)
    assert "//" not in "".join(lines)  # no address of an index


def test_every_direct_dependency_says_what_it_is_for():
    lines = [
        line.strip() for line in (ROOT / "pyproject.toml").read_text().splitlines() if "==" in line or ">=" in line
    ]
    assert [line for line in lines if '",' in line and "#" not in line] == []


def test_pip_is_asked_for_hashes_first_and_for_nothing_but_pytorch_without(monkeypatch):
    asked = []
    monkeypatch.setattr(bootstrap, "install", lambda command: asked.append(command[command.index("install") :]))
    monkeypatch.setattr(bootstrap, "run", lambda command, advice: asked.append(command[-1:]))
    monkeypatch.setenv("TORCH_INDEX", "ADDRESS")
    bootstrap.install_all("python")
    lock, torch = str(ROOT / "requirements.lock"), str(ROOT / "torch.txt")
    assert asked == [
        ["install", "--no-deps", "--require-hashes", "--requirement", lock],
        ["install", "--index-url", "ADDRESS", "--requirement", torch],
        ["install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
        ["check"],
    ]


def test_conda_brings_python_and_the_bootstrap_the_rest():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"] == ["python=3.11", "pip"]
    assert "python bootstrap.py --here" in (ROOT / "environment.yml").read_text()
    assert "python bootstrap.py --here" in (ROOT / "postBuild").read_text()
