"""Build the book, and write the notebook beside each chapter.

``python book/build.py html`` executes what changed (``execution.py``) and leaves the pages in ``_build/html``.
``python book/build.py notebooks`` then writes ``book/NAME.ipynb`` beside each ``book/NAME.md``, for Colab, Binder and
the comparison of outputs in the tests.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import jupytext
import nbformat
from execution import Failure, execute_chapters
from jupyter_cache import get_cache
from notebooks import glued_texts, read_book, readable

from unet_paper.networks.in_page import page_scripts

ROOT = Path(__file__).resolve().parents[1]
TEXT_ONLY = ("text/", "application/papermill.record/text/")  # pictures would make every commit large


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["html", "notebooks"])
    parser.add_argument("--source", type=Path, default=ROOT, help="folder of _config.yml (default: this repository)")
    parser.add_argument("--output", type=Path, help="where _build goes (default: the source folder)")
    options = parser.parse_args(arguments)
    build = (options.output or options.source).resolve() / "_build"
    try:
        status = build_html(options.source.resolve(), build)
    except KeyboardInterrupt:
        print("\nInterrupted. Chapters that were executed are kept.")
        status = 130
    if status == 0 and options.command == "notebooks":
        write_notebooks(options.source / "book", build / ".jupyter_cache", options.source / "book")
        if options.source.resolve() == ROOT:  # what the README and the citations repeat of the book
            status = subprocess.run([sys.executable, ROOT / "book" / "published.py"]).returncode
    return status


def build_html(source: Path, build: Path) -> int:
    """Build the pages strictly: a warning is an error, and so is a chapter that fails to execute."""
    forget_stale_outputs(source, build)
    failures = execute_chapters(coded_chapters(source / "book"), build, log=partial(print, flush=True))
    if failures:
        report(failures)
        return 1
    # Sphinx would not repeat the warnings of pages that it finds unchanged, nor remove figures that no page shows.
    for folder in (".doctrees", "html"):
        shutil.rmtree(build / folder, ignore_errors=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    strict = ["-W", "-n", "--keep-going", "--path-output", build.parent]
    status = subprocess.run([jupyter_book, "build", source, *strict]).returncode
    if status == 0:
        # Those to download would hold every figure a second time.
        write_notebooks(source / "book", build / ".jupyter_cache", build / "html" / "_sources" / "book")
        for source_map in (build / "html" / "_static").rglob("*.map"):
            source_map.unlink()  # 3 MB for those who debug the theme
        if (source / "book" / "your_images.md").is_file():
            write_page_scripts(build / "html" / "_static" / "unet_in_page")
        print(f"\nThe book is ready. Open {build / 'html' / 'index.html'}")
    return status


def write_page_scripts(folder: Path) -> None:
    """Write beside the code of the U-Net in the page what it loads: networks and WebAssembly, as text."""
    for name, script in page_scripts(folder):
        (folder / name).write_text(script)


def coded_chapters(book: Path) -> list[Path]:
    """Return the chapters that hold code."""
    return [path for path in sorted(book.glob("*.md")) if "kernelspec" in jupytext.read(path).metadata]


def report(failures: list[Failure]) -> None:
    """Say last, where it is read, which chapters stand in the way."""
    print("\nThe book was not built. Mend this and build again; only what failed is executed once more.")
    for failure in failures:
        print(f"  {failure}")


def forget_stale_outputs(source: Path, build: Path) -> None:
    """Drop the executed chapters when the library or the data changed: the cache compares chapters only."""
    stamp, now = build / "inputs.sha256", fingerprint(source)
    if not stamp.exists() or stamp.read_text() != now:
        shutil.rmtree(build / ".jupyter_cache", ignore_errors=True)
        build.mkdir(parents=True, exist_ok=True)
        stamp.write_text(now)


def fingerprint(source: Path) -> str:
    """Return the sha256 of everything that a chapter's outputs depend on, besides the chapter itself."""
    code = [*sorted((source / "unet_paper").rglob("*.py")), source / "pyproject.toml", source / "requirements.lock"]
    folders = [source / "data", Path(os.environ.get("UNET_PAPER_DATA", source / "data"))]
    data = sorted({path for folder in folders for path in folder.rglob("*") if path.is_file()})
    found = hashlib.sha256()
    for path in filter(Path.exists, code):
        found.update(path.read_bytes())
    for path in data:
        found.update(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}\n".encode())
    return found.hexdigest()


def write_notebooks(book: Path, cache: Path, folder: Path) -> None:
    """Write the notebook of each chapter with code to `folder`: text that plain Jupyter shows, cells, text outputs."""
    executed, references = get_cache(cache), read_book(book.parent)
    for chapter in coded_chapters(book):
        _, run = executed.merge_match_into_notebook(jupytext.read(chapter))
        plain = readable(reproducible(run), references, glued_texts(run))
        nbformat.write(plain, folder / f"{chapter.stem}.ipynb")


def reproducible(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep of an executed notebook what changes only when its cells or its results do."""
    notebook.metadata.pop("language_info", None)  # the version of Python
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the time of day
        if cell.cell_type == "code":
            cell.outputs = [text_only(output) for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def text_only(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the output without pictures, and without the data of interactive figures, which live in the pages."""
    if "data" in output:
        output.data = {kind: value for kind, value in output.data.items() if kind.startswith(TEXT_ONLY)}
        if "interactive" in output.metadata:
            output.data.pop("text/html", None)
    return output


if __name__ == "__main__":
    sys.exit(main())
