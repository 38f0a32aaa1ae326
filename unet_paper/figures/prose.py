"""Numbers that a chapter computes and its prose shows.

`glue` writes the record that MyST-NB, papermill and the writer of the notebooks read. It needs nothing but IPython,
which every kernel has, so a chapter runs where the package is installed and nothing else.
"""

from __future__ import annotations

import lazy_loader

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
