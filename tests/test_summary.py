"""Summaries of records: which folds count, which threshold, which pixels."""

from __future__ import annotations

import numpy as np
import pytest

from unet_paper.experiments import summary
from unet_paper.experiments.measures import CELL_THRESHOLDS
from unet_paper.experiments.plan import CELL_FOLDS


def record(fold: int, warping: float, *, settled: float = 1.0) -> dict:
    """Return the parts of an EM record that a summary reads, of two sections with three points on their curves."""
    sections = [{"warping_error": [0.5, warping / 2, 0.7]}, {"warping_error": [0.5, 3 * warping / 2, 0.7]}]
    mistakes = [{"merge": 6, "split": 1, "merge_on_rings": 3}, {"merge": 1, "split": 2, "merge_on_rings": 0}]
    score = {
        "warping_error": warping,
        "threshold": {"warping_error": 0.1},
        "settled": {"warping_error": settled},
        "sections": sections,
        "mistakes": mistakes,
    }
    return {"fold": fold, "tested_on": {"frames": [6 * fold, 6 * fold + 1]}, "scores": {"none": score}}


def test_the_block_of_choice_is_in_no_mean():
    records = [record(0, 0.2), record(2, 100.0, settled=100.0), record(4, 0.4, settled=2.0)]
    assert summary.em_mean(records, "warping_error", average="none") == pytest.approx(0.3)
    assert summary.em_mean(records, "warping_error", average="none", at="settled") == pytest.approx(1.5)
    with pytest.raises(ValueError, match="no record of a fold that counts"):
        summary.em_mean(records[1:2], "warping_error", average="none")


def test_every_fold_of_the_cells_belongs_to_one_protocol():
    folds = (*summary.OTHER_SEQUENCE, *summary.TIME_BLOCKS, 4, 5)
    assert folds == tuple(range(len(CELL_FOLDS)))
    records = [{"fold": fold} for fold in (3, 0, 5)]
    assert summary.in_folds(records, summary.TIME_BLOCKS) == [{"fold": 3}]


def test_sections_are_read_at_the_threshold_of_their_fold():
    found = summary.section_values(record(4, 0.4), "warping_error", average="none")
    assert found == {24: pytest.approx(0.2), 25: pytest.approx(0.6)}


def test_pixels_on_rings_leave_the_warping_error():
    assert summary.warping_without_rings(record(4, 0.4), average="none") == pytest.approx(0.4 * 7 / 10)
    spotless = record(4, 0.0)
    spotless["scores"]["none"]["mistakes"] = [{"merge": 0, "split": 0, "merge_on_rings": 0}]
    assert summary.warping_without_rings(spotless, average="none") == 0


def test_overlap_weighs_cells_and_refuses_to_mix_ways_of_scoring():
    def scored(fold: int, seg: float, settled: float, cells: int) -> dict:
        score = {"seg": seg, "seg_settled": settled, "reference_cells": cells}
        return {"fold": fold, "scores": {"none": score, "8 symmetries": score}}

    way = {"scored": ["8 symmetries", "seg_settled"]}
    runs = [scored(0, 0.5, 0.6, 1), scored(1, 0.9, 1.0, 3)]
    assert summary.cell_overlap(runs) == pytest.approx(0.8)
    assert summary.cell_overlap([run | way for run in runs]) == pytest.approx(0.9)
    with pytest.raises(ValueError, match="scored in different ways: 8 symmetries / seg_settled, none / seg"):
        summary.cell_overlap([runs[0], runs[1] | way])


def test_every_annotated_cell_counts_once_with_its_overlap():
    runs = [{"scores": {"8 symmetries": {"jaccard": cells}}} for cells in ([[0.5, 0.0], [1.0]], [[0.25]])]
    assert summary.overlap_of_each_cell(runs, average="8 symmetries").tolist() == [0.5, 0.0, 1.0, 0.25]


def test_frames_of_both_sequences_part_where_time_goes_back():
    run = {"fold": 2, "tested_on": {"frames": [5, 8, 2, 9]}}
    run["scores"] = {"8 symmetries": {"jaccard": [[0.5], [0.75, 1.0], [0.25], []]}}
    assert summary.overlaps_by_frame(run, 1, average="8 symmetries") == {5: [0.5], 8: [0.75, 1.0]}
    assert summary.overlaps_by_frame(run, 2, average="8 symmetries") == {2: [0.25], 9: []}
    alone = run | {"fold": 0, "tested_on": {"frames": [2, 5, 8, 9]}}  # from 01 to 02
    assert list(summary.overlaps_by_frame(alone, 2, average="8 symmetries")) == [2, 5, 8, 9]
    with pytest.raises(ValueError, match="fold 0 is not tested on sequence 01"):
        summary.overlaps_by_frame(alone, 1, average="8 symmetries")


def test_a_threshold_is_settled_on_the_curve_of_the_training_frames_and_read_on_that_of_the_others():
    curves = {"threshold": list(CELL_THRESHOLDS), "seg": [0.1] * 13, "seg_learned": [0.2] * 13}
    run = {"scores": {"8 symmetries": {"curves": curves}}}
    assert summary.settled_alike(run, average="8 symmetries") == (0.5, 0.1)  # of equal ones that next to 0.5
    curves["seg_learned"][2], curves["seg"][2], curves["seg"][9] = 0.9, 0.6, 0.8
    assert summary.settled_alike(run, average="8 symmetries") == (0.3, 0.6)


def test_most_folds_decide_which_experiment_a_table_shows_and_then_the_order():
    both, one, others = [{"fold": 0}, {"fold": 1}], [{"fold": 1}], [{"fold": fold} for fold in (1, 2, 3, 4, 5)]
    cells = {"u373-small": both, "u373-narrow": both, "u373-best": others}
    assert summary.cell_experiment(cells, "u373") == "u373-small"
    assert summary.em_experiment({"em-narrow": both, "em-small": [{"fold": 0}, {"fold": 2}]}) == "em-narrow"
    assert summary.em_experiment({"em-narrow": one, "em-small": one}) == "em-small"


def test_an_interval_holds_the_mean_and_narrows_with_more_values():
    values = np.random.default_rng(0).normal(5.0, 1.0, 400)
    (low, high), (wide_low, wide_high) = summary.interval(values), summary.interval(values[:20])
    assert low < values.mean() < high
    assert 0.15 < high - low < 0.25  # 2 x 1.96 / sqrt(400) = 0.196
    assert wide_high - wide_low > 2 * (high - low)
    assert summary.interval(values) == (low, high)


def test_an_interval_over_groups_is_that_of_so_many_values_as_there_are_groups():
    of_each = np.random.default_rng(0).normal(5.0, 1.0, 20)
    values, groups = np.repeat(of_each, 10), np.repeat(np.arange(20), 10)
    assert summary.interval(values, groups=groups) == pytest.approx(summary.interval(of_each))
    low, high = summary.interval([0.0, 1.0, 1.0, 1.0], groups=[0, 1, 1, 1])
    assert (low, high) == (0.0, 1.0)  # drawn whole: mostly one of both, or neither
