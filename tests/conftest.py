"""Every test computes on one thread and may take its time: two workers, or a busy machine, then only cost time."""

from __future__ import annotations

import os

import hypothesis
import pytest
from execution import THREADS

os.environ.update(THREADS | os.environ)  # before PyTorch loads, here and in every process that a test starts

hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker, and before xdist reads its groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs the whole book; of two workers, let one build it, and one execute each chapter."""
    for item in items:
        if "built_book" in item.fixturenames:
            item.add_marker(pytest.mark.whole_book)
    if hasattr(config, "workerinput"):
        share(items)


def share(items: list[pytest.Item]) -> None:
    """Keep together what shares one execution; begin with the book, which takes longest, and end with the chapters."""
    for item in items:
        if item.get_closest_marker("whole_book"):
            item.add_marker(pytest.mark.xdist_group("whole_book"))
        elif "run_chapter" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: (item.get_closest_marker("whole_book") is None, "chapters" in item.path.parts))
