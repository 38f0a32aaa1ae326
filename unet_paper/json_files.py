"""JSON on disk, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file: first beside its place, then moved there, so that no reader ever sees half of it.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON does not have.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
