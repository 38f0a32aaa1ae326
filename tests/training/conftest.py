"""A test that trains on several threads leaves one to the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def threads_put_back() -> Iterator[None]:
    """Restore the number of threads (tests/conftest.py)."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
