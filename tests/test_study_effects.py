"""Effects from hand-made rows: differences on the same images, intervals, verdicts, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_studies import ALL_RATES
from unet_paper.experiments.effects import (
    SYMMETRIES,
    averaged,
    beside_block,
    effect_of,
    effects,
    image_errors,
    mistake_curves,
    second_block,
    t_interval,
    told,
)
from unet_paper.experiments.recipe import BASE
from unet_paper.experiments.studies import CHANGES, STUDIES, planned
from unet_paper.experiments.study_rows import VERSIONS, Rows
from unet_paper.experiments.study_verdicts import verdicts
from unet_paper.figures import ablations

V, CELL = "v_rand_error", "seg_error"


def row(
    change: str, errors, *, seed: int = 0, fold: int = 1, frames=None, measure: str = V, v_rand: float = 0.9
) -> dict:
    """Return a row with one error for each image: a curve that is flat over two thresholds."""
    sections = {measure: [[error, error] for error in errors]}
    recipe = CHANGES[change].recipe(ALL_RATES)
    return {
        **{"change": change, "fold": fold, "seed": seed, "version": VERSIONS[recipe.task], "base": BASE.fingerprint},
        "recipe": recipe.fingerprint,
        "tested_on": {"block": {"frames": list(frames or range(6, 6 + len(errors)))}},
        "scores": {test: {"sections": sections, "v_rand": v_rand} for test in ("block", SYMMETRIES)},
    }


def studies_with(rows: list[dict]) -> dict[str, Rows]:
    """Return the studies with these rows, and as missing what the plan has beside them."""
    there = {(made["change"], made["fold"], made["seed"]) for made in rows}
    found = {}
    for name, study in STUDIES.items():
        mine = {change.name for change in study.changes}
        usable = [made for made in rows if made["change"] in mine]
        found[name] = Rows(name, usable, [run for run in planned(name) if run[1:] not in there], [])
    return found


def everything(errors: dict[str, float], *, noise: float = 0.001) -> dict[str, Rows]:
    """Return complete studies in which all changes have an error of 0.1, but those that are named."""
    rows = []
    for name in STUDIES:
        for run in planned(name):
            measure = CELL if run.change.startswith("DIC") else V
            level = errors.get(run.change, 0.1)
            spread = noise * np.array([-1, 0, 1, 0])
            rows.append(
                row(run.change, level + spread + noise * run.seed, seed=run.seed, fold=run.fold, measure=measure)
            )
    return studies_with(rows)


def test_the_threshold_is_that_of_all_images_together():
    made = row("base", [0.0, 0.0])
    made["scores"]["block"]["sections"][V] = [[0.3, 0.0, 0.2], [0.0, 0.4, 0.0]]  # means 0.15, 0.2, 0.1
    assert image_errors(made, V) == {6: 0.2, 7: 0.0}


def test_frames_count_by_their_cells():
    made = row("base", [0.0, 0.0])
    made["scores"]["block"] = {"sections": {CELL: [[0.3, 0.0], [0.1, 0.2]]}, "weights": [1, 3]}  # 0.15 and 0.15; first
    assert image_errors(made, CELL) == {6: 0.3, 7: 0.1}
    made["scores"]["random"] = {"sections": {CELL: [[0.4, 0.4], [0.8, 0.8]]}, "weights": [3, 1]}
    made["tested_on"]["random"] = {"frames": [1, 2]}
    assert beside_block([made], CELL) == [pytest.approx((0.15, 0.5))]


def test_an_effect_on_seg_counts_frames_by_their_cells():
    unchanged, changed = (
        [row(change, errors, measure=CELL)] for change, errors in (("DIC", [0.1, 0.1]), ("DIC, w0 10", [0.1, 0.5]))
    )
    for made in (*unchanged, *changed):
        made["scores"]["block"]["weights"] = [3, 1]
    effect = effect_of("DIC, w0 10", changed, unchanged, CELL, against="DIC", fold=1)
    assert (effect.error, effect.without, effect.difference) == pytest.approx((0.2, 0.1, 0.1))


def test_an_effect_is_a_difference_on_the_same_images():
    changed = [row("no skips", [0.3, 0.5], frames=[7, 9])]
    unchanged = [row("base", [0.9, 0.1, 0.9, 0.2], frames=[6, 7, 8, 9])]
    effect = effect_of("no skips", changed, unchanged, V, against="base", fold=1)
    assert (effect.error, effect.without) == pytest.approx((0.4, 0.15))
    assert effect.difference == pytest.approx(0.25)
    assert effect.seeds == 1
    assert not effect.excludes_zero  # of luck in training, one run knows nothing


def test_the_threshold_of_an_effect_is_that_of_the_shared_images_on_both_sides():
    changed, unchanged = row("no skips", [0.0], frames=[7]), row("base", [0.0, 0.0], frames=[6, 7])
    changed["scores"]["block"]["sections"][V] = [[0.3, 0.5]]
    unchanged["scores"]["block"]["sections"][V] = [[0.9, 0.0], [0.1, 0.2]]  # of both together the second
    effect = effect_of("no skips", [changed], [unchanged], V, against="base", fold=1)
    assert (effect.error, effect.without) == (0.3, 0.1)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(-0.5, 0.5))
def test_what_is_the_same_on_every_image_and_seed_has_no_width(errors, shift):
    unchanged = [row("base", errors, seed=seed) for seed in range(3)]
    changed = [row("no skips", np.array(errors) + shift, seed=seed) for seed in range(3)]
    effect = effect_of("no skips", changed, unchanged, V, against="base", fold=1)
    assert (effect.low, effect.high) == pytest.approx((shift, shift), abs=1e-12)


def test_students_interval_by_hand():
    # mean 2, standard deviation 1, three values: 2 -+ 4.3027 / sqrt(3)
    assert t_interval([1, 2, 3]) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)
    assert t_interval([1]) == (-np.inf, np.inf)


def test_runs_of_one_seed_are_a_pair_so_what_they_share_cancels():
    unchanged = [row("base", [e, e], seed=seed) for seed, e in enumerate((0.1, 0.3, 0.5))]
    calm, wild = (
        [row("padded", [e, e], seed=seed) for seed, e in enumerate(errors)]
        for errors in ([0.2, 0.4, 0.6], [0.6, 0.4, 0.2])
    )
    steady, loose = (effect_of("padded", rows, unchanged, V, against="base", fold=1) for rows in (calm, wild))
    assert steady.difference == pytest.approx(loose.difference) == pytest.approx(0.1)
    assert (steady.low, steady.high) == pytest.approx((0.1, 0.1))
    assert loose.low < 0 < loose.high
    assert steady.is_harm
    assert not loose.excludes_zero


def test_only_seeds_that_both_sides_have_count():
    unchanged = [row("base", [0.1, 0.1], seed=seed) for seed in (0, 1)]
    changed = [row("padded", [e, e], seed=seed) for seed, e in ((1, 0.3), (2, 0.9))]
    effect = effect_of("padded", changed, unchanged, V, against="base", fold=1)
    assert (effect.seeds, effect.difference) == (1, pytest.approx(0.2))
    assert effect_of("padded", changed[1:], unchanged, V, against="base", fold=1) is None


def test_an_effect_says_how_many_runs_learned_nothing():
    unchanged = [row("base", [0.1, 0.1], seed=seed) for seed in range(3)]
    changed = [row("no skips", [e, e], seed=seed, v_rand=1 - e) for seed, e in enumerate((0.94, 0.2, 0.94))]
    effect = effect_of("no skips", changed, unchanged, V, against="base", fold=1)
    assert effect.collapsed == 2
    assert str(effect).endswith("; 2 of 3 learned nothing)")


def test_effects_are_sorted_and_say_what_they_are_compared_with():
    rows = [row("base", [0.1, 0.1]), row("1 section", [0.4, 0.4]), row("elastic 0 px, 1 section", [0.45, 0.45])]
    found = effects(studies_with([*rows, row("w0 10", [0.05, 0.05])]))
    assert [(effect.change, effect.against) for effect in found] == [
        ("1 section", "base"),
        ("elastic 0 px, 1 section", "1 section"),
        ("w0 10", "base"),
    ]
    assert str(found[2]) == "-0.0500 (-0.0500 to -0.0500, 1 run)"


def test_cells_have_another_measure_and_are_left_out():
    rows = [row(name, [0.2], fold=0, measure=CELL) for name in ("DIC", "DIC, w0 10")]
    assert effects(studies_with(rows), fold=0) == []
    (effect,) = effects(studies_with(rows), CELL, fold=0)
    assert effect.change == "DIC, w0 10"


def test_the_second_block_waits_for_the_first_and_takes_the_five_largest_effects_of_either_sign():
    strong = {"no skips": 0.4, "1 section": 0.3, "w0 10": 0.01, "elastic 0 px, 1 section": 0.9, "padded": 0.2}
    assert second_block(studies_with([row("base", [0.1])])) == []
    runs = second_block(everything(strong | {"elastic 0 px": 0.11}))
    named = {run.change for run in runs}
    assert {"base", "no skips", "elastic 0 px, 1 section", "1 section"} <= named
    assert "elastic 0 px" not in named
    assert {run.fold for run in runs} == {4}
    assert len(runs) == 3 * len(named)


def test_the_second_block_takes_what_luck_leaves_large_and_leaves_out_what_cannot_be_repeated():
    large = {"momentum 0": 0.9, "base again": 0.8, "no skips": 0.99, "sqrt(1/N)": 0.3, "padded": 0.2}
    studies = everything(large)
    for rows in studies.values():
        for made in rows.usable:
            if made["change"] == "sqrt(1/N)":  # as large in the mean, but its seeds disagree
                made["scores"]["block"]["sections"][V] = [[0.1 + 0.2 * made["seed"]] * 2] * 4
            if made["change"] == "no skips":
                made["scores"]["block"]["v_rand"] = 0.01
    named = {run.change for run in second_block(studies)}
    assert "padded" in named
    assert not {"momentum 0", "base again", "no skips", "sqrt(1/N)"} & named


def test_without_rows_every_claim_is_open_and_says_what_is_missing():
    found = verdicts(studies_with([]))
    assert set(found) == {"C6", "C7", "C8", "C9"}
    assert {verdict.verdict for verdict in found.values()} == {"not examined"}
    assert "dropout 0 (fold 1: seeds 0 1 2)" in found["C9"].missing
    assert "base (fold 1: seeds 0 1 2)" in found["C9"].missing
    assert "Adam, rate 0.001 (fold 2: seeds 0)" not in found["C6"].missing
    assert "momentum 0, rate 0.1 (fold 2: seeds 0)" in found["C6"].missing


def test_a_claim_stays_open_while_a_single_run_is_missing_and_shows_what_is_there():
    studies = everything({"dropout 0": 0.2, "dropout 0, 1 section": 0.2})
    assert verdicts(studies)["C9"].verdict == "reproduced"
    lost = studies["study-dropout"]
    run = next(run for run in planned("study-dropout") if run.change == "dropout 0" and run.seed == 2)
    kept = [made for made in lost.usable if (made["change"], made["seed"]) != ("dropout 0", 2)]
    verdict = verdicts(studies | {"study-dropout": Rows(lost.study, kept, [run], [])})["C9"]
    assert verdict.verdict == "not examined"
    assert verdict.missing == ("dropout 0 (fold 1: seeds 2)",)
    assert "2 runs" in verdict.ours


def test_effects_are_told_by_the_error_that_they_change():
    told = verdicts(everything({"w0 10": 0.2, "DIC, w0 10": 0.05}))["C7"].ours
    sections, cells = told.split("; 1 - SEG: ")
    assert sections.startswith("1 - V_Rand: w0 10 +")
    assert [effect.split(" -")[0] for effect in cells.split("; ")] == [
        "DIC, w0 10, tested on 02",
        "DIC, w0 10, tested on 01",
    ]


@pytest.mark.parametrize(
    ("claim", "errors", "verdict"),
    [
        ("C6", {"momentum 0": 0.2}, "reproduced"),
        ("C6", {"momentum 0": 0.2, "momentum 0.9, batch 10": 0.05}, "partly"),
        ("C6", {"momentum 0, batch 100": 0.05}, "not reproduced"),
        ("C7", {"w0 10": 0.05, "DIC, w0 10": 0.05}, "reproduced"),
        ("C7", {"w0 10": 0.2, "DIC, w0 10": 0.05}, "partly"),
        ("C7", {"w0 10": 0.2, "DIC, w0 10": 0.2}, "not reproduced"),
        ("C8", {"elastic 0 px, 1 section": 0.2, "elastic 0 px, 5 sections": 0.2}, "reproduced"),
        (
            "C8",
            {"elastic 0 px, 1 section": 0.2, "elastic 0 px, 5 sections": 0.2, "no rotations, no flips, 1 section": 0.3},
            "partly",
        ),
        ("C8", {"no rotations, no flips": 0.3}, "not reproduced"),
        ("C9", {"dropout 0, 1 section": 0.2}, "partly"),
        ("C9", {"dropout 0": 0.05}, "not reproduced"),
    ],
)
def test_verdicts_follow_from_intervals(claim, errors, verdict):
    found = verdicts(everything(errors))[claim]
    assert found.verdict == verdict
    assert found.missing == ()


def test_momentum_is_told_beside_the_batches_that_it_equals():
    even = verdicts(everything({"momentum 0": 0.2}))["C6"].reason
    assert even.endswith("as good, within 0.01, as momentum 0.9, batch 10 and momentum 0, batch 100.")
    worse = verdicts(everything({"momentum 0.9, batch 10": 0.05, "momentum 0, batch 100": 0.05}))["C6"].reason
    assert worse.endswith("That it is as good, within 0.01, as a batch is not shown.")


def test_averages_are_read_for_every_network():
    made = [row("base", [0.1, 0.3], seed=seed) for seed in range(2)]
    for network in made:
        network["scores"]["7 rotations"] = {"sections": {V: [[0.1, 0.1], [0.2, 0.2]]}}
    read = averaged(made)
    assert read["block"] == pytest.approx([0.2, 0.2])
    assert read["7 rotations"] == pytest.approx([0.15, 0.15])
    assert averaged([]) == {}


def test_a_change_that_there_is_not_is_refused_by_name():
    with pytest.raises(ValueError, match="change is 'no skipz'; choose one of 'base'"):
        told({}, "no skipz")


def test_an_effect_without_rows_was_not_run_yet():
    assert told(studies_with([row("base", [0.1])]), "padded") == "an unknown amount (not run yet)"
    assert told(studies_with([row("base", [0.1]), row("padded", [0.3])]), "padded").startswith("+0.2000")
    rows = studies_with([row("base", [0.1]), row("base again", [0.2]), row("padded", [0.3])])
    assert told(rows, "padded", against="base again").startswith("+0.1000")
    with pytest.raises(ValueError, match="against is 'bas again'; choose one of 'base'"):
        told(rows, "padded", against="bas again")


def test_the_same_network_has_an_error_on_the_block_and_one_on_images_drawn_at_random():
    made = row("random sections beside a block", [0.1, 0.3])
    made["tested_on"]["random"] = {"frames": [1, 20, 29]}
    made["scores"]["random"] = {"sections": {V: [[0.1, 0.0], [0.1, 0.0], [0.1, 0.3]]}}
    assert beside_block([made]) == [pytest.approx((0.2, 0.1))]


def test_mergers_stand_beside_splits_at_every_threshold():
    runs = [row("base", [0.1], seed=seed) for seed in range(2)]
    for seed, made in enumerate(runs):
        made["scores"]["block"]["counts"] = {"merge": [4, 2 * seed], "split": [0, 8]}
    assert mistake_curves(runs, "split").tolist() == [[4, 1], [0, 8]]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_figure_without_rows_says_so():
    empty = [
        ablations.plot_effects({"error": []}),
        ablations.plot_few_sections({"base": {}}, measure="error"),
        ablations.plot_maps({}),
        ablations.plot_averages({}, measure="error"),
        ablations.plot_signals({"before": {}}, bottom=10),
    ]
    assert [texts(figure.axes[0]) for figure in empty] == [["no run recorded yet"]] * 5
    half = ablations.plot_mistake_curves({"EM": {"base": np.ones((2, 10))}}, across={"EM": "splits", "DIC": "missed"})
    assert [texts(axes) for axes in half.axes] == [[], ["no run recorded yet"]]


def test_a_single_run_gets_a_hollow_mark_and_no_colour_of_certainty():
    rows = [row("base", [0.1, 0.1], seed=seed) for seed in range(3)]
    rows += [row("no skips", [0.3, 0.3], seed=seed) for seed in range(3)] + [row("padded", [0.2, 0.2])]
    found = effects(studies_with(rows))
    axes, other = ablations.plot_effects({"error": found, "pixel error": found[:1]}).axes
    assert len(other.lines) == 3, "a line for 0, an interval, a mark"
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["padded", "no skips"]
    assert [mark.get_markerfacecolor() for mark in marks] == [ablations.COLOURS["error"], "white"]
    assert marks[1].get_color() == ablations.COLOURS["image"]
