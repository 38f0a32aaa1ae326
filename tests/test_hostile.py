"""Nothing is silently wrong: a call returns what is right, or is refused with a sentence that says why."""

from __future__ import annotations

import numpy as np
import pytest

from tests.hostile import TARGETS, hostile_call


@pytest.mark.parametrize("name", TARGETS)
def test_the_arguments_that_hostile_calls_start_from_work(name):
    target = TARGETS[name]
    assert target.holds(target.call(**target.legal))


@pytest.mark.parametrize("name", TARGETS)
def test_a_call_with_strange_values_returns_or_is_refused(name):
    generator = np.random.default_rng(1)
    outcomes = [hostile_call(TARGETS[name], generator) for _ in range(12)]
    assert [what for kind, what in outcomes if kind == "defect"] == []
