"""Make each mistake of the catalogue in a scratch copy of the project, and see whether its check notices."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutations.catalogue import Mutation

FAILED = 1  # pytest's exit status when tests ran and failed; an error of another kind is no catch


def mutated(text: str, mutation: Mutation) -> str:
    """Return the text of `mutation.file` with the mistake in it.

    Raises
    ------
    ValueError
        If there is no place for the mistake: the catalogue is out of date.
    """
    found = re.sub(mutation.pattern, mutation.replacement, text, count=1, flags=re.DOTALL)
    if found == text:
        raise ValueError(f"{mutation.file} has no place for the mutation: {mutation.what}; renew the catalogue")
    return found


def copy_project(source: Path, target: Path) -> None:
    """Copy what git knows of a project, and what is new and not ignored."""
    listing = ["git", "-C", str(source), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


def run_checks(checks: Sequence[str], copy: Path) -> subprocess.CompletedProcess[str]:
    """Run tests by their names inside the copy, with the copy's own package."""
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *checks]
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)


def is_caught(mutation: Mutation, copy: Path) -> bool:
    """Make the mistake in the copy, ask its check, and take the mistake back."""
    path = copy / mutation.file
    text = path.read_text(encoding="utf-8")
    path.write_text(mutated(text, mutation), encoding="utf-8")
    try:
        return run_checks([mutation.check], copy).returncode == FAILED
    finally:
        path.write_text(text, encoding="utf-8")


def outcomes(mutations: Sequence[Mutation], copy: Path) -> list[dict]:
    """Return for each mutation what it is, its check, and whether that noticed.

    Raises
    ------
    RuntimeError
        If a check fails without any mutation: then it would prove nothing.
    """
    untouched = run_checks(sorted({mutation.check for mutation in mutations}), copy)
    if untouched.returncode:
        raise RuntimeError(f"the checks do not pass without a mutation:\n{untouched.stdout[-4000:]}")
    rows = []
    for mutation in mutations:
        row = {"what": mutation.what, "file": mutation.file, "check": mutation.check}
        rows.append(row | {"caught": is_caught(mutation, copy)})
        print(f"{'caught' if rows[-1]['caught'] else 'NOT CAUGHT'}: {mutation.what} ({mutation.check})", flush=True)
    return rows
