"""What the tests of the book share: which chapters there are, and how to run, compare and build them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from nbformat import NotebookNode
from notebooks import glued_texts, plain_text
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
PATIENCE = 3600  # seconds for a kernel to start, and to hand over its last output: a busy machine is no failure
FAST = json.loads(Path(__file__).with_name("fast.json").read_text())  # chapter -> parameters of a run in seconds

Glued = dict[str, Any]


def chapters() -> list[str]:
    """Return the names of all chapters that hold code."""
    return sorted(path.stem for path in BOOK.glob("*.md") if "\nkernelspec:" in path.read_text())


def run_quickly(name: str, folder: Path, **others) -> NotebookNode:
    """Execute book/NAME.md with its fast parameters, and others."""
    source, result = folder / f"{name}.ipynb", folder / f"{name}.out.ipynb"
    nbformat.write(jupytext.read(BOOK / f"{name}.md"), source)  # papermill reads notebooks only
    options = {"cwd": BOOK, "kernel_name": "python3", "progress_bar": False}
    limits = {"start_timeout": PATIENCE, "iopub_timeout": PATIENCE}
    parameters = FAST.get(name, {}) | others
    return papermill.execute_notebook(source, result, parameters=parameters, **options, **limits)


def glued_values(notebook: NotebookNode) -> Glued:
    """Return the numbers that an executed chapter put into its prose with `glue`, by name."""
    return {name: plain_value(text) for name, text in glued_texts(notebook).items()}


def plain_value(text: str) -> Any:
    """Return the number or text behind the text of one glued output."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):  # a glued figure or table, which has no literal form
        return text


def compare_outputs(notebook: NotebookNode, name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `notebook` with the fast parameters of chapter NAME; nbval compares the cells tagged for it."""
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    nbformat.write(parameterize_notebook(load_notebook_node(str(path)), FAST.get(name, {})), path)
    nbval = ["-m", "pytest", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env", path.name]
    limits = [f"--nbval-kernel-startup-timeout={PATIENCE}", f"--nbval-cell-timeout={PATIENCE}"]
    return _run([sys.executable, *nbval, *limits], cwd=folder)


@dataclass(frozen=True)
class Build:
    """What one strict build left behind."""

    status: int  # exit status: 0 means no error and no warning
    log: str
    html: Path  # folder of the pages
    executed: Path  # folder of what the chapters glued

    def full_run(self, name: str) -> Glued:
        """Return what chapter NAME glued when it ran with its own, full parameters."""
        glued = json.loads((self.executed / f"{name}.glue.json").read_text())
        return {key: plain_value(plain_text(output["data"])) for key, output in glued.items()}


def build_book(source: Path, output: Path) -> Build:
    """Build the book of the folder `source` from nothing into `output`, as `make book` does."""
    done = _run([sys.executable, BOOK / "build.py", "html", "--source", source, "--output", output], cwd=source)
    built = output / "_build"
    return Build(done.returncode, done.stdout, built / "html", built / "jupyter_execute" / "book")


def _run(command: list, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
