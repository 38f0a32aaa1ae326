"""Where data sets lie: `root`, else `$UNET_PAPER_DATA`, else the `data/` folder beside the book."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "UNET_PAPER_DATA"


def data_roots(root: str | os.PathLike | None = None) -> list[Path]:
    """Return the folders to search, in order.

    Parameters
    ----------
    root : path, optional
        Where given, this folder alone.
    """
    if root is not None:
        return [Path(root).expanduser()]
    named = os.environ.get(VARIABLE)
    return [*([Path(named).expanduser()] if named else []), repository() / "data"]


def find_folder(choices: tuple[str, ...], *, root: str | os.PathLike | None, fix: str) -> Path:
    """Return the first existing folder named by `choices` below the data roots.

    Parameters
    ----------
    choices : tuple of str
        Relative paths, the usual one first.
    fix : str
        What the reader should do if there is none.

    Raises
    ------
    FileNotFoundError
        If no root has any of the folders.
    """
    roots = data_roots(root)
    for folder in (base / choice for base in roots for choice in choices):
        if folder.is_dir():
            return folder
    searched = ", ".join(str(base) for base in roots)
    raise FileNotFoundError(f"no folder {' or '.join(choices)} in {searched}; {fix}")


def repository() -> Path:
    """Return the repository if the module runs from one, else the current folder."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else Path.cwd()
