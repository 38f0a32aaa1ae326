"""The chapter of comparisons counts what it says, trains a rival, and is silent about no missing run."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from unet_paper.experiments import RIVALS, patient_rows, results_folder, rival_rows, rival_verdicts, rivals
from unet_paper.experiments.rivals import EQUAL_SIZE, FOLD_SEEDS, RATE, seeds_of

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("comparisons")


def test_windows_are_redundant_and_less_so_in_dense_form(glued):
    assert glued["times_single"] > 100 * glued["times_dense"] > 100
    assert glued["times_equal"] > glued["times_dense"]
    assert glued["section_teraflop"] > 10
    assert glued["redundancy"] == pytest.approx(glued["times_single"] / glued["times_dense"])
    assert glued["redundancy"] > 100


def test_a_small_window_trains_live(glued):
    assert glued["live_steps"] == 4
    assert glued["live_seconds"] > 0
    assert 0 <= glued["live_error"] <= 1
    assert 0 < glued["true_membrane"] < 0.5


def test_every_planned_run_is_recorded_or_missing(glued):
    assert glued["planned"] == sum(len(seeds_of(name, fold)) for name in RIVALS for fold in FOLD_SEEDS)
    rows = rival_rows.read_rivals()
    assert glued["recorded"] == len(rows.usable)
    assert glued["budget_seconds"] == (rows.seconds or 0)


def test_the_load_of_the_machine_is_that_of_the_record(glued):
    machine = json.loads((results_folder() / "rival_seconds.json").read_text())["machine"]
    for name in ("cpu", "cores", "load_before", "load_after"):
        assert glued[f"timed_{name}"] == machine[name]


def test_runs_on_a_slow_host_are_named(glued):
    named = []
    for (_, fold, seed), record in rival_rows.read_rivals().usable.items():
        steps = [course["step_seconds"] for course in record["courses"] if "step_seconds" in course]
        ratio = max((each["median"] / each["fastest tenth"] for each in steps), default=0)
        named += [f"{record['title']} (fold {fold}, seed {seed}): {ratio:.2f}"] if ratio > glued["uneven_above"] else []
    assert glued["uneven"] == ("; ".join(named) or "none")


def test_how_many_steps_the_added_seeds_made(glued):
    usable = rival_rows.read_rivals().usable
    steps = {run: record["courses"][0]["steps"] for run, record in usable.items() if run[0] != "rival-cascade"}
    ratios = {run: made / steps[*run[:2], 0] for run, made in steps.items() if run[2]}
    assert sum(fold == 4 for _, fold, _ in ratios) == 12
    assert (glued["added_least"], glued["added_most"]) == (min(ratios.values()), max(ratios.values()))
    for key, name in (("n4", "rival-n4"), ("unet5", "rival-unet-5")):
        assert glued[f"added_{key}"] == f"{ratios[name, 4, 1]:.2f} and {ratios[name, 4, 2]:.2f}"


@pytest.mark.parametrize(("where", "inside"), [("near", range(3)), ("far", range(9, 20))])
def test_the_u_net_beats_as_many_windows_as_the_records_say(glued, where, inside):
    def rate(name: str) -> float:
        found = [record["error_by_distance"] for record in rival_rows.read_rivals().of(name, 1)]
        wrong = [sum(each["error"][n] * each["pixels"][n] for n in inside) for each in found]
        return np.mean(wrong) / sum(found[0]["pixels"][n] for n in inside)

    unet, small, *windows = (rate(f"rival-{name}") for name in ("unet-16", "unet-5", "w31", "n3", "n4"))
    assert glued[f"{where}_unet_1"] == pytest.approx(unet)
    assert glued[f"{where}_unet5_1"] == pytest.approx(small)
    assert (small < min(windows)) == (where == "near"), "the one as large as N4"
    assert glued[f"{where}_beaten"] == sum(unet < each for each in windows)
    assert glued["windows"] == len(windows)
    of_windows = [glued[f"{where}_{name}_4"] for name in ("w31", "n3", "n4")]
    assert glued[f"{where}_unet_4"] < min(of_windows), "the smallest mean on 24-29"
    assert glued[f"{where}_beaten"] == (1 if where == "far" else 3)
    if where == "far":
        assert unet < rate("rival-w31"), "the one that it is ahead of"
        ours, theirs = (
            rival_rows.near_and_far(rival_rows.read_rivals().of(name, 4))[:, 1]
            for name in ("rival-unet-16", "rival-n4")
        )
        assert max(ours) > min(theirs), "its worst run lies behind N4's best"
        assert small > max(windows[1:]), "behind N3 and N4"
        assert glued["far_unet5_4"] == pytest.approx(np.mean(of_windows[1:]), rel=0.05), "about level with N3 and N4"
    else:
        assert glued["near_unet5_4"] < min(of_windows)


def test_what_the_prose_says_of_single_rivals_is_in_the_records(glued):
    rows = rival_rows.read_rivals()
    for measure, best, ours in (("rand_error", "n3", "n4_ours_1"), ("warping_error", "w31", "n4_warped_ours_1")):
        errors = {name: rival_rows.mean_of(rows.of(f"rival-{name}", 1), measure) for name in ("w31", "n3", "n4")}
        assert min(errors, key=errors.get) == best, "of the windows"
        assert glued[f"{best}_{measure}"] == errors[best] > glued[ours], "behind the U-Net as large as N4"
    for fold in FOLD_SEEDS:
        assert glued[f"n4_ours_{fold}"] < glued[f"n4_theirs_{fold}"]
        assert glued[f"n4_warped_ours_{fold}"] < glued[f"n4_warped_theirs_{fold}"]
        for rival in ("fcn", "hyper"):
            smaller = glued[f"{rival}_ours_{fold}"] < glued[f"{rival}_theirs_{fold}"]
            assert smaller == ((rival, fold) == ("fcn", 1))
            assert glued[f"{rival}_warped_ours_{fold}"] > glued[f"{rival}_warped_theirs_{fold}"]
    assert glued["n3_theirs_4"] < glued["n3_ours_4"]
    assert [len(rows.of(name, 4)) for name in ("rival-n3", "rival-unet-4")] == [1, 1]
    assert (glued["tile_rate"], glued["unet_rate"]) == (RATE, RIVALS["rival-unet-16"].rate)
    assert (glued["ends_1"], glued["ends_4"]) == ("0 and 29", "0 and 23")


def test_what_longer_runs_show_of_windows_and_u_nets(glued):
    assert rivals.SECONDS["patient"] == 6 * rivals.SECONDS["equal"], "as the conclusion has it"
    assert glued["long_n4_end"] == "the cap"
    assert glued["long_sections"] == "18"
    for measure in ("warping_error", "rand_error"):
        assert glued[f"long_unet5_{measure}"] < glued[f"long_n4_{measure}"] < glued[f"short_n4_{measure}"]
        for unet in ("unet5", "unet16"):
            assert glued[f"long_{unet}_{measure}"] > glued[f"short_{unet}_{measure}"]
    gap = {way: glued[f"{way}_n4_rand_error"] - glued[f"{way}_unet5_rand_error"] for way in ("short", "long")}
    assert gap["long"] < gap["short"], "the window comes nearer"
    assert glued["long_fcn8s_warping_error"] < glued["long_unet16_warping_error"]
    assert glued["long_fcn8s_rand_error"] > glued["long_unet16_rand_error"]
    assert glued["long_hypercolumns_warping_error"] < glued["long_unet12_warping_error"]
    assert glued["long_hypercolumns_rand_error"] > glued["long_unet12_rand_error"]
    assert 0 < glued["long_unet5_far"] - glued["long_n4_far"] < glued["unet5_far_range"]
    assert glued["long_n4_far"] < glued["long_unet5_far"], "where context decides"
    assert glued["long_n4_near"] > glued["long_unet5_near"], "where place does"


def test_what_the_sections_leave_open_of_longer_runs():
    patient, measures = patient_rows.read_patient(), ("warping_error", "rand_error", "v_rand")
    assert (patient.missing, len(patient.usable)) == ({}, 14)
    apart = rival_rows.against_equals(patient, measures)
    signs = {
        name: [sign(apart[RIVALS[f"rival-{name}"].title, "fold 1"][measure]) for measure in measures]
        for name in ("n4", "n3", "fcn-8s", "hypercolumns", "padded")
    }
    assert signs["n4"] == ["+", "+", "0"]
    assert signs["n3"][:2] == ["+", "0"]
    assert signs["fcn-8s"][:2] == ["-", "+"]
    assert signs["hypercolumns"][:2] == ["0", "+"]
    assert signs["padded"] == ["0", "0", "0"]
    assert patient.blind == [("rival-fcn-32s", 1, 0)]


def test_who_is_better_after_more_time_than_after_equal_time(glued):
    longer, equal = patient_rows.read_patient().first(), rival_rows.read_rivals().first()
    errors = ("warping_error", "rand_error")
    smaller = {
        name: [record["scores"]["none"][m] < equal[name]["scores"]["none"][m] for m in errors]
        for name, record in longer.items()
    }
    both = {name for name, each in smaller.items() if all(each)}
    assert both == {"rival-n4", "rival-committee", "rival-padded"}
    assert not any(any(smaller[name]) for name in smaller if RIVALS[name].kind == "unet")
    rand = {name: record["scores"]["none"]["rand_error"] for name, record in longer.items()}
    windows = [name for name in rand if RIVALS[name].kind == "windows"]
    assert min(windows, key=rand.get) == "rival-committee"
    for measure in errors:
        assert glued[f"long_unet5_{measure}"] < glued[f"long_committee_{measure}"]
    assert 0.45 < RIVALS["rival-unet-5"].parameters / RIVALS["rival-committee"].parameters < 0.55, "half the size"
    assert patient_rows.course_of(longer["rival-committee"])["ended by"] == "the cap and the cap"
    minutes = {name: sum(course["trained_seconds"] for course in record["courses"]) for name, record in longer.items()}
    assert min(minutes, key=minutes.get) == "rival-fcn-32s", "ended soonest"


@pytest.mark.parametrize("measure", ["rand_error", "warping_error"])
def test_every_run_of_the_u_net_is_ahead_of_every_run_of_n4_but_for_the_rand_error_on_24_to_29(glued, measure):
    rows = rival_rows.read_rivals()
    for fold in FOLD_SEEDS:
        ours, theirs = (
            [run["scores"]["none"][measure] for run in rows.of(name, fold)] for name in ("rival-unet-5", "rival-n4")
        )
        assert len(ours) == len(theirs) == 3
        assert (max(ours) < min(theirs)) == ((measure, fold) != ("rand_error", 4))
    if measure == "rand_error":
        assert ours[0] > theirs[0], "the first run on 24-29"
        assert glued["n4_ours_range_4"] == f"{min(ours):.3f} to {max(ours):.3f}"
        assert glued["n4_theirs_range_4"] == f"{min(theirs):.3f} to {max(theirs):.3f}"


@pytest.mark.parametrize("rival", ["rival-fcn-8s", "rival-hypercolumns"])
def test_every_run_of_a_padded_rival_has_a_smaller_warping_error_than_every_run_of_its_u_net(rival):
    rows = rival_rows.read_rivals()
    for fold in FOLD_SEEDS:
        ours, theirs = (
            [run["scores"]["none"]["warping_error"] for run in rows.of(name, fold)]
            for name in (EQUAL_SIZE[rival], rival)
        )
        assert max(theirs) < min(ours)


def test_the_order_by_warping_error_is_that_of_the_prose():
    rows = rival_rows.read_rivals()
    order = sorted(rows.seeing(1), key=lambda record: record["scores"]["none"]["warping_error"])
    assert [record["experiment"] for record in order[:2]] == ["rival-hypercolumns", "rival-fcn-8s"]
    unets, others = (
        {n for n, r in enumerate(order) if r["kind"] in kinds} for kinds in (["unet"], ["windows", "cascade"])
    )
    assert max(unets) < min(others)
    assert order[-1]["kind"] == "cascade"
    told = {record["experiment"]: rival_rows.pixels_seen(record) for record in order}
    more = [record["experiment"] for record in order if record["kind"] == "unet"]
    assert sum(told[name] < told["rival-cascade"] for name in more) == 4 == len(more) - 1
    assert max(told[r["experiment"]] for r in order if r["kind"] == "windows") < min(told[name] for name in more) / 10


def test_the_cascade_is_behind_everywhere_and_the_padded_network_here_and_there():
    apart = rival_rows.against_equals(rival_rows.read_rivals(), ["warping_error", "rand_error", "v_rand"])
    signs = {
        (name, fold): [
            sign(apart[RIVALS[name].title, f"fold {fold}"][m]) for m in ("warping_error", "rand_error", "v_rand")
        ]
        for name in ("rival-cascade", "rival-padded")
        for fold in FOLD_SEEDS
    }
    assert signs["rival-cascade", 1] == signs["rival-cascade", 4] == ["+", "+", "-"], "no interval holds 0"
    assert (signs["rival-padded", 1], signs["rival-padded", 4]) == (["0", "0", "0"], ["-", "+", "-"])


def sign(told: str) -> str:
    """Return "0" if an interval holds 0, else the sign of its mean."""
    _, low, high = map(float, re.findall(r"[+-]?\d+\.\d+", told))
    return "0" if low <= 0 <= high else told[0]


def test_v_rand_on_24_to_29_speaks_for_the_padded_rivals_mostly_by_one_seed():
    rows = rival_rows.read_rivals()
    for rival in ("rival-fcn-8s", "rival-hypercolumns"):
        gains = [
            np.mean(rival_rows.by_section([rows.usable[rival, 4, seed]], "v_rand"))
            - np.mean(rival_rows.by_section([rows.usable[EQUAL_SIZE[rival], 4, seed]], "v_rand"))
            for seed in range(3)
        ]
        assert max(gains) > sum(gains) / 2 > 0


def test_the_first_plan_alone_would_have_said_less(glued):
    first = rival_verdicts.verdicts(rival_rows.read_rivals().as_first_planned())["C11"]
    assert (glued["first_C11"], glued["verdict_C11"]) == (first.verdict, "reproduced")
    assert first.verdict == "partly"


def test_the_coarsest_head_is_blind_with_one_seed_and_nobody_else_is(glued):
    rows = rival_rows.read_rivals()
    assert rows.blind == [("rival-fcn-32s", 1, 0), ("rival-fcn-32s", 4, 0)]
    seeing = [run["scores"]["none"]["v_rand"] for run in rows.of("rival-fcn-32s", 1) if run["seed"]]
    assert glued["coarse_v_rand"] == " and ".join(f"{value:.2f}" for value in seeing)
    pixels = {run["seed"]: run["scores"]["none"]["pixel_error"] for run in rows.of("rival-fcn-32s", 1)}
    assert glued["coarse_pixel"] == f"{pixels[1]:.4f} and {pixels[2]:.4f}"
    assert glued["blind_pixel"] == pixels[0] == pytest.approx(pixels[1], rel=1e-3) == pytest.approx(pixels[2], rel=1e-3)
    assert max(seeing) < 0.9 < rows.usable["rival-n4", 1, 0]["scores"]["none"]["v_rand"], "coarse"
    first = rows.first(1)
    errors = {name: record["scores"]["none"]["warping_error"] for name, record in first.items()}
    assert min(errors, key=errors.get) == "rival-fcn-32s", "why the order leaves it out"
    for fold in FOLD_SEEDS:
        told = [run["experiment"] for run in rows.seeing(fold)]
        assert told == [name for name in RIVALS if name != "rival-fcn-32s"]


def test_intervals_of_differences_hold_0_where_the_prose_says_so(glued):
    def holds_0(told: str) -> bool:
        return sign(told) == "0"

    assert not any(holds_0(glued[f"n4_rand_error_{fold}"]) for fold in FOLD_SEEDS)
    assert not holds_0(glued["n3_rand_error_4"])
    assert not any(holds_0(glued[f"{rival}_v_rand_4"]) for rival in ("fcn", "hyper"))
    assert all(holds_0(glued[f"{rival}_v_rand_1"]) for rival in ("fcn", "hyper"))
    assert all(float(glued[f"{rival}_v_rand_4"].split()[0]) > 0 for rival in ("fcn", "hyper")), "ahead"
    runs = [(rival, fold) for rival in ("fcn", "hyper") for fold in FOLD_SEEDS]
    assert [run for run in runs if not holds_0(glued["{}_rand_error_{}".format(*run)])] == [("fcn", 1)]
    assert not any(holds_0(glued["{}_warping_error_{}".format(*run)]) for run in runs)


def test_near_and_far_from_borders_runs_lie_apart_where_the_prose_says_so(glued):
    rows = rival_rows.read_rivals()

    def shares(name: str, fold: int) -> np.ndarray:
        """Return the share of wrong pixels of every run, near borders and far from them."""
        return rival_rows.near_and_far(rows.of(f"rival-{name}", fold)).T

    for fold in FOLD_SEEDS:
        assert min(shares("fcn-8s", fold)[0]) > max(shares("unet-16", fold)[0])
        assert min(shares("hypercolumns", fold)[0]) < min(shares("unet-12", fold)[0])
    padded, unet = shares("padded", 1)[1], shares("unet-16", 1)[1]
    assert min(padded) > max(unet)
    assert glued["padded_far"] == f"{min(padded):.3f} to {max(padded):.3f}"
    assert sign(glued["fcn_pixel_error_1"]) == "+"


def test_by_the_mean_the_u_net_wins_one_comparison_with_networks_for_every_pixel():
    rows = rival_rows.read_rivals()
    wins = {
        name: [rival_verdicts.smaller_errors(rows, name, folds=[fold]) for fold in FOLD_SEEDS]
        for name in ("rival-n4", "rival-fcn-8s", "rival-hypercolumns")
    }
    assert wins["rival-n4"] == [[True, True]] * 2
    assert wins["rival-fcn-8s"] == [[False, True], [False, False]], "warping, Rand; 6-11, 24-29"
    assert wins["rival-hypercolumns"] == [[False, False]] * 2


def test_beside_the_committee_the_sections_leave_open_all_but_the_warping_error(glued):
    assert (sign(glued["long_committee_warping_told"]), sign(glued["long_committee_rand_told"])) == ("+", "0")
    assert glued["long_committee_v_rand"] > glued["long_unet5_v_rand"]


def test_no_verdict_without_all_of_its_runs(glued):
    for claim, found in rival_verdicts.verdicts(rival_rows.read_rivals()).items():
        assert glued[f"verdict_{claim}"] == found.verdict
        assert glued[f"missing_{claim}"] == len(found.missing)
        assert (found.verdict == "not examined") == bool(found.missing)
