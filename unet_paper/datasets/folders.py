"""Where data sets lie: `root`, else `$UNET_PAPER_DATA`, else `data/` of the repository, else the user's own folder.

What this project publishes, its trained networks and records, lies in `data/` of the repository, and inside the package
when that was installed without it. Nothing depends on the folder in which Python was started.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "UNET_PAPER_DATA"
PACKAGE = Path(__file__).resolve().parents[1]


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
    return [*([Path(named).expanduser()] if named else []), own_root()]


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


def own_root() -> Path:
    """Return where data sets lie that were fetched without naming a folder: `data/`, else the user's cache folder."""
    return platformdirs.user_cache_path("unet-paper") if repository() is None else repository() / "data"


def published() -> Path:
    """Return the folder with `models` and `results` of this project: `data/`, else its copy inside the package."""
    return PACKAGE / "data" if repository() is None else repository() / "data"


def repository() -> Path | None:
    """Return the repository, or None where the package is installed without it."""
    folder = PACKAGE.parent
    return folder if (folder / "pyproject.toml").is_file() else None
