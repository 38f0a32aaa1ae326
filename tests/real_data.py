"""Where the challenges' images lie, and the marks of tests that need them.

Their owners do not allow us to hand the images on, so a clone comes without. `.ci/run` has them and skips nothing here;
a reader who fetches them skips nothing either.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REAL = Path(os.environ.get("UNET_PAPER_DATA", "/nonexistent"))
_REASON = "the images may not be redistributed: run python -m unet_paper fetch {}, then set UNET_PAPER_DATA"
needs_sections = pytest.mark.skipif(not (REAL / "isbi2012").is_dir(), reason=_REASON.format("isbi2012"))
needs_sequences = pytest.mark.skipif(not (REAL / "ctc").is_dir(), reason=_REASON.format("dic-hela and phc-u373"))
