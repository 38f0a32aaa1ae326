"""The workflow of the repository's host: valid, running what this project runs, with no more rights than it needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "book.yml"
MAKEFILE = (ROOT / "Makefile").read_text()


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    """Check a workflow against the schema of GitHub Actions that check-jsonschema brings along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def jobs() -> dict:
    return yaml.safe_load(WORKFLOW.read_text())["jobs"]


def commands(job: str) -> list[str]:
    return [step["run"] for step in jobs()[job]["steps"] if "run" in step]


def test_the_workflow_is_valid():
    done = lint(WORKFLOW)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("part", "wrong"), [("runs-on:", "run-on:"), ("needs: test", "needs: 3"), ("steps:", "step:"), ("push:", "pushed:")]
)
def test_the_linter_notices_a_wrong_word(tmp_path, part, wrong):
    broken = tmp_path / "book.yml"
    broken.write_text(WORKFLOW.read_text().replace(part, wrong, 1))
    assert lint(broken).returncode != 0


def test_every_needed_job_and_named_step_exists():
    for job in jobs().values():
        named = {step["id"] for step in job["steps"] if "id" in step}
        assert set([job["needs"]] if "needs" in job else []) <= set(jobs())
        assert set(re.findall(r"steps\.(\w+)\.", str(job))) <= named


def test_it_runs_the_whole_check_and_publishes_only_what_passed():
    assert commands("test") == ["make test"]
    assert commands("pages") == ["make book"]
    assert jobs()["pages"]["needs"] == "test"
    assert all(re.search(rf"^{command.split()[1]}:", MAKEFILE, re.M) for job in jobs() for command in commands(job))


def test_only_the_job_that_publishes_may_write():
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {"contents": "read"}
    assert [name for name, job in jobs().items() if "write" in job.get("permissions", {}).values()] == ["pages"]


def test_every_action_is_pinned_to_a_version():
    used = [step["uses"] for job in jobs().values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) for action in used)


def test_the_pythons_are_those_that_the_project_supports():
    supported = re.search(r'requires-python = "(.*)"', (ROOT / "pyproject.toml").read_text())[1]
    assert supported == ">=3.11,<3.13"
    assert jobs()["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
