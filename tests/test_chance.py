"""What is chance in a difference, by hand: seeds that go together, means with intervals, intervals counted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.test_study_effects import V, row, studies_with
from unet_paper.experiments import chance
from unet_paper.experiments.effects import mergers_at


def test_the_error_of_a_seed_is_its_mean_over_images():
    assert chance.errors_of_seeds([row("base", [0.1, 0.3], seed=2), row("base", [0.2, 0.2])]) == {2: 0.2, 0: 0.2}


def test_sides_are_paired_by_the_seeds_that_both_have():
    assert chance.paired({0: 0.1, 2: 0.3, 5: 0.9}, {2: 0.4, 0: 0.2}).tolist() == [[0.1, 0.3], [0.2, 0.4]]
    assert chance.paired({0: 0.1}, {1: 0.2}).shape == (2, 0)


def test_a_mean_has_the_interval_of_student():
    # standard error 1 / sqrt(3), 4.3027 of them on either side with 2 degrees of freedom
    assert chance.told_mean([1.0, 2.0, 3.0], digits=2) == "+2.00 (-0.48 to +4.48)"
    assert chance.told_mean([-1.0, 1.0], digits=0) == "+0 (-13 to +13)"
    assert chance.told_mean([1.0]) == chance.told_mean([]) == "not run yet"


@pytest.mark.parametrize(("errors", "together"), [((0.2, 0.3, 0.4), 1.0), ((0.4, 0.3, 0.2), -1.0)])
def test_seeds_go_together_or_against_each_other(errors, together):
    rows = [row("base", [0.1 * (1 + seed)] * 2, seed=seed) for seed in range(3)]
    rows += [row("w_c", [error] * 2, seed=seed) for seed, error in enumerate(errors)]
    assert chance.together(studies_with(rows)) == pytest.approx(together)
    assert np.isnan(chance.together(studies_with(rows[:3])))
    assert np.isnan(
        chance.together(studies_with(rows[:3] + [row("w_c", [0.5, 0.5], seed=seed) for seed in range(3)]))
    ), "all alike"


def test_intervals_that_leave_0_out_are_counted():
    rows = [row("base", [0.1, 0.1], seed=seed) for seed in range(3)]
    rows += [row("w_c", [0.2 + 0.001 * seed] * 2, seed=seed) for seed in range(3)]  # harm, surely
    rows += [row("w0 10", [0.1 + 0.05 * (seed - 1)] * 2, seed=seed) for seed in range(3)]  # luck
    rows += [row("dropout 0", [0.5, 0.5])]  # a single pair does not count
    assert chance.left_out(studies_with(rows), V) == {"intervals": 2, "leave 0 out": 1, "by chance": 0.1}


def test_mergers_are_read_between_two_thresholds_where_so_many_cells_are_missed():
    counts = {"merge": [30, 20, 4], "missed": [0, 4, 8]}
    made = {"seed": 1, "scores": {"block": {"counts": counts}}}
    assert mergers_at([made], 5) == {1: 16.0}
    assert mergers_at([made], 0) == {1: 30.0}
