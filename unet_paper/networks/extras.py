"""The door to optional packages: loaded when first needed, and named with their pip command where they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from unet_paper.messages import install


class MissingPackageError(ValueError):
    """An optional package that is not installed; the message names the command that installs it."""


def needed(module: str, *, extra: str, what: str) -> ModuleType:
    """Return a module of an optional package.

    Parameters
    ----------
    module : str
        Its dotted name.
    extra : str
        Which extra of this project brings it.
    what : str
        What needs it, for the message.

    Raises
    ------
    MissingPackageError
        If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).split(".")[0]
        raise MissingPackageError(f"{what} needs the package {package}: {install(extra)}") from error
