"""Numbers that a chapter computes: in its prose, and in tables behind its figures.

`glue` writes the record that MyST-NB, papermill and the writer of the notebooks read. It needs nothing but IPython,
which every kernel has, so a chapter runs where the package is installed and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import lazy_loader
import numpy as np

IPython = lazy_loader.load("IPython")

HIDDEN = "application/papermill.record/"  # before the type of each form: stored with the notebook, shown nowhere


def glue(name: str, value: object, *, display: bool = True) -> None:
    """Keep `value` with the notebook under `name`, for ``{glue:text}`` in the prose.

    Parameters
    ----------
    name : str
        What the prose calls it; unique in its chapter.
    value : object
        Anything that a notebook can display. Its displayed forms are kept, not the object itself.
    display : bool
        Whether the value also appears below the cell.

    References
    ----------
    The record is that of scrapbook and of ``myst_nb.glue``, which this equals.
    """
    forms, metadata = IPython.core.formatters.format_display_data(value)
    prefix = "" if display else HIDDEN
    record = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    shown = {prefix + kind: form for kind, form in forms.items()}
    IPython.display.display(shown, raw=True, metadata=metadata | record)


def number_table(columns: Mapping[str, Sequence[float]], *, form: str = ".4g") -> IPython.display.Markdown:
    """Show the numbers of a figure as a table, for those who cannot read them off it.

    Parameters
    ----------
    columns : mapping of str to sequence
        Whole numbers and floats by heading, a row for each; a shorter column ends in dashes.
    form : str
        How floats are written; whole numbers are written in full.

    Returns
    -------
    IPython.display.Markdown
        Shown where it is the last line of a cell.
    """
    heads = [name.replace("_", " ") for name in columns]
    rows = zip_longest(*columns.values(), fillvalue="–")
    cells = [[_written(value, form) for value in row] for row in rows]
    lines = [f"| {' | '.join(line)} |" for line in [heads, ["--:"] * len(heads), *cells]]
    return IPython.display.Markdown("\n".join(lines))


def _written(value: float | str, form: str) -> str:
    return format(float(value), form) if isinstance(value, float | np.floating) else str(value)
