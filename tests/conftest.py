"""Every test computes on one thread and may take its time: two workers, or a busy machine, then only cost time."""

from __future__ import annotations

import os

import hypothesis
import pytest
from execution import THREADS

os.environ.update(THREADS | os.environ)  # before PyTorch loads, here and in every process that a test starts

hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let one worker build the book, and one run each chapter; begin with the book, which takes longest."""
    for item in items:
        if "built_book" in item.fixturenames:
            item.add_marker(pytest.mark.whole_book)
            item.add_marker(pytest.mark.xdist_group("built_book"))
        elif "run_chapter" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (item.get_closest_marker("whole_book") is None, "chapters" in item.path.parts))
