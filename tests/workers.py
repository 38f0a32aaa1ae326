"""Two workers that execute nothing twice: ``python -m pytest -n 2 -p tests.workers --no-loadscope-reorder``.

Tests that look at one execution of a chapter, or at the whole book, go to the same worker. pytest-xdist has groups for
that (``--dist loadgroup``), but version 3.8 writes them where pytest 9.2 no longer reads.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

WHOLE = "the whole book"
BOOK = Path(__file__).parents[1] / "book"


class Sharing(LoadScopeScheduling):
    """Hand out tests one by one, except those that share an execution."""

    def _split_scope(self, nodeid: str) -> str:
        return execution_of(nodeid)


def execution_of(nodeid: str) -> str:
    """Return what a test shares with others: the whole book, a chapter, or nothing."""
    file, _, test = nodeid.partition("::")
    if file.endswith(("test_book_as_built.py", "test_accessibility.py")) or "full_run" in test:
        return WHOLE
    named = test.partition("[")[2].removesuffix("]")
    chapter = named if "quick_run" in test else Path(file).stem.removeprefix("test_")
    return chapter if "tests/chapters/" in file and (BOOK / f"{chapter}.md").exists() else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Sharing:
    """Let pytest-xdist distribute the tests in this way."""
    return Sharing(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the whole book, which takes longest, and end with the chapters: its kernels are done by then."""
    for item in items:
        if item.get_closest_marker("whole_book") and execution_of(item.nodeid) != WHOLE:
            raise pytest.UsageError(f"{item.nodeid} looks at the whole book: say full_run in its name")
    items.sort(key=lambda item: (execution_of(item.nodeid) != WHOLE, "chapters" in item.path.parts))
