"""Every departure from the paper that the code states stands in the book's appendix too."""

from __future__ import annotations

from harness import BOOK, ROOT

LIBRARY = ROOT / "unet_paper"
STATED = sorted(path for path in LIBRARY.rglob("*.py") if "# Departure:" in path.read_text())


def test_the_code_states_its_departures():
    assert {"loss.py", "weight_maps.py"} <= {path.name for path in STATED}


def test_the_appendix_names_every_file_with_a_departure():
    page = (BOOK / "deviations.md").read_text()
    assert [name for path in STATED if (name := path.relative_to(ROOT).as_posix()) not in page] == []
