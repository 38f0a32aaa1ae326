"""The comparison as data: who is compared, runs of a few steps on generated sections, rows and what is missing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from unet_paper.baselines.cascade import BATCH
from unet_paper.cli import main
from unet_paper.datasets import synthetic_em
from unet_paper.experiments import RIVALS, patient_rows, results_folder, rival_rows, rival_runs, rival_verdicts, rivals
from unet_paper.experiments.record import processor_of, run_name
from unet_paper.experiments.rival_jobs import RivalJob, finished, misfit, planned, rival_jobs
from unet_paper.experiments.rival_runs import error_by_distance, run_rival
from unet_paper.experiments.rivals import EQUAL_SIZE, FOLD_SEEDS, LEAPT, RATED, seeds_of, tile_for
from unet_paper.experiments.runner import Place, estimated_seconds
from unet_paper.experiments.study_runs import unpacked
from unet_paper.files import write_json


def test_each_rival_meets_a_u_net_of_its_own_size():
    for rival, unet in EQUAL_SIZE.items():
        ours, theirs = RIVALS[unet].parameters, RIVALS[rival].parameters
        assert RIVALS[unet].kind == "unet"
        assert abs(ours - theirs) <= 0.25 * theirs, rival
    kinds = {RIVALS[name].kind for name in EQUAL_SIZE}
    assert kinds == set(rivals.KINDS) - {"unet"}


def test_who_meets_no_u_net_of_its_size_decides_no_verdict():
    unets = {name: rival.parameters for name, rival in RIVALS.items() if rival.kind == "unet"}
    alone = set(RIVALS) - set(EQUAL_SIZE) - set(unets)
    assert alone == {"rival-w31", "rival-committee"}
    for name in alone:
        assert all(abs(ours / RIVALS[name].parameters - 1) > 0.25 for ours in unets.values())
    lacking = replace(complete(0.1, 0.2), missing={(name, 1, 0): "not run" for name in alone})
    assert not any(found.missing for found in rival_verdicts.verdicts(lacking).values())


def test_tiles_of_training_and_prediction_are_legal():
    for rival in RIVALS.values():
        net = rival.build(rival.networks[0], 0)
        if rival.kind in ("unet", "padded", "fcn", "hypercolumns"):
            assert net.output_size(rival.tile) > 0
            assert net.output_size(tile_for(net)) >= rivals.SIDE
        elif rival.kind == "windows":
            assert rival.tile == net.window


def test_windows_cost_more_operations_than_a_u_net_of_their_size():
    assert RIVALS["rival-n4"].operations > 10 * RIVALS["rival-unet-5"].operations


def tiny_fold(task: str, fold: int, *, root=None):
    sections = synthetic_em(3, (64, 64), generator=np.random.default_rng(0))
    return sections.subset([0, 1]), sections.subset([2])


SMALL = (
    rivals.Rival("rival-unet-5", "small U-Net", "unet", {"base_channels": 1, "depth": 2}, tile=92),
    rivals.Rival(
        "rival-n4", "windows", "windows", tile=31, batch_size=8, members=({"window": 31, "maps": 2}, {"window": 31})
    ),
    rivals.Rival("rival-cascade", "cascade", "cascade", {"levels": 2, "groups": 2, "spaces": 2}, tile=64),
)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Return a place where the rivals are small and the sections generated."""
    monkeypatch.setattr(rival_runs, "load_fold", tiny_fold)
    monkeypatch.setattr(rivals, "SIDE", 64)
    for rival in SMALL:
        monkeypatch.setitem(RIVALS, rival.name, rival)
    return Place(tmp_path)


@pytest.mark.parametrize("rival", SMALL, ids=[rival.kind for rival in SMALL])
def test_a_run_leaves_a_record_that_says_what_it_was(small, rival):
    made = run_rival(rival, 1, 0, small, seconds=0.1)
    read = json.loads((small.folder / f"{rival.name}-fold1.json").read_text())
    assert read == json.loads(json.dumps(made))
    assert read["budget"]["seconds"] == 0.1
    assert (len(read["courses"]), read["networks"]) == (len(rival.networks), [dict(net) for net in rival.networks])
    assert {"commit", "device", "matrix_units", "seed", "operations", "parameters"} <= set(read)
    assert 0 <= read["scores"]["none"]["pixel_error"] <= 1
    assert len(read["scores"]["none"]["sections"]["rand_error"]) == 1
    assert unpacked(read["map"]).shape == (64, 64)
    assert not list(small.folder.glob("*.checkpoint*"))
    others = [small.folder / f"{rival.name}-fold1-seed{seed}-0-of-0.1-s.checkpoint" for seed in (1, 2)]
    for other in others:
        other.touch()
    run_rival(rival, 1, 0, small, seconds=0.1)
    assert all(other.exists() for other in others), "of runs that may still go on"
    rows = rival_rows.read_rivals(small.folder)
    assert list(rows.first()) == [rival.name]
    assert rows.seconds == 0.1
    jobs = rival_jobs([rival.name], small.folder, folds=[1], seconds=0.1)
    assert [job.seed for job in jobs] == [1, 2], "what is recorded is not run again"
    assert [job.seed for job in rival_jobs([rival.name], small.folder, folds=[1])] == [0, 1, 2], "of another budget"


def test_a_patient_run_never_learns_from_the_sections_it_ends_by(small, monkeypatch):
    monkeypatch.setattr(rival_runs, "CHOOSING", range(1, 2))
    RivalJob("rival-unet-5", 1, 0, "patient", 0.2).run(small, lambda history: None)
    made = json.loads((small.folder / "rival-unet-5-patient-fold1.json").read_text())
    assert made["experiment"] == "rival-unet-5-patient"
    assert made["trained_on"]["frames"] == [0]
    assert "12-17" in made["budget"]["rule"]
    assert all(0 < error < 1 for _, error in made["courses"][0]["looks"])
    assert rival_jobs(["rival-unet-5"], small.folder, seconds=0.2, way="patient") == []
    assert rival_jobs(["rival-cascade"], small.folder, way="patient") == []
    said = []
    assert finished(["rival-unet-5"], small.folder, say=said.append) == []
    assert said == ["rival-unet-5-patient-fold1: trained for 0.2 s, not for 1800 s"]
    monkeypatch.setitem(rivals.SECONDS, "patient", 0.2)
    assert [job.name for job in finished(["rival-unet-5"], small.folder)] == ["rival-unet-5-patient-fold1"]
    assert finished(["rival-unet-5"], small.folder, seeds=[1]) == []
    assert rival_rows.read_rivals(small.folder).first() == {}, "no row of equal time"


def test_records_of_another_recipe_are_left_out_and_those_of_another_processor_are_not(small, monkeypatch):
    monkeypatch.setitem(rivals.SECONDS, "equal", 0.1)
    monkeypatch.setattr("unet_paper.experiments.rival_jobs.this_processor", lambda: "another one")
    run_rival(SMALL[0], 1, 0, small, seconds=0.1)
    assert [job.name for job in finished(["rival-unet-5"], small.folder)] == ["rival-unet-5-fold1"]
    monkeypatch.setitem(RIVALS, "rival-unet-5", replace(SMALL[0], rate=0.5))
    said = []
    assert finished(["rival-unet-5"], small.folder, say=said.append) == []
    assert said == ["rival-unet-5-fold1: of another recipe (learning_rate)"]
    monkeypatch.setattr("unet_paper.experiments.rival_jobs.PATIENCE", 11)
    assert len(rival_jobs(["rival-unet-5"], small.folder, seconds=0.2, way="patient")) == 1, "another patience"


def test_a_run_of_another_budget_never_replaces_a_planned_one(small, monkeypatch):
    monkeypatch.setitem(rivals.SECONDS, "equal", 0.1)
    run_rival(SMALL[0], 1, 0, small, seconds=0.1)
    with pytest.raises(
        ValueError, match=r"holds runs of 0\.1 s as planned: rival-unet-5-fold1; write those of 9 s elsewhere"
    ):
        rival_jobs(["rival-unet-5"], small.folder, seconds=9)
    assert len(rival_jobs(["rival-unet-5"], small.folder, seconds=9, folds=[4])) == len(seeds_of("rival-unet-5", 4))


def test_patient_runs_are_rows_with_one_cap_and_one_recipe(small, monkeypatch):
    monkeypatch.setattr(rival_runs, "CHOOSING", range(1, 2))
    job = RivalJob("rival-unet-5", 1, 0, "patient", 0.2)
    job.run(small, lambda history: None)
    why = patient_rows.read_patient(small.folder).missing["rival-unet-5", 1, 0]
    assert why == "trained for 0.2 s, not for 1800 s"
    monkeypatch.setitem(rivals.SECONDS, "patient", 0.2)
    rows = patient_rows.read_patient(small.folder)
    assert rows.usable == {("rival-unet-5", 1, 0): job.records(small.folder)[0]}
    assert len(rows.missing) == len(RIVALS) - 2, "all others; the cascade has no such run"
    assert set(rows.missing.values()) == {"not run"}
    monkeypatch.setitem(RIVALS, "rival-unet-5", replace(SMALL[0], rate=0.5))
    assert patient_rows.read_patient(small.folder).usable == {}, "of another recipe"


def test_what_ended_a_patient_run_by_hand():
    falling = [[60.0 * (1 + look), 0.1 - 0.01 * look] for look in range(4)]
    flat = [[60.0 * (5 + look), 0.075] for look in range(10)]
    made, capped = ({"looks": looks, "trained_seconds": looks[-1][0]} for looks in (falling + flat, falling))
    assert patient_rows.course_of({"courses": [made]}) == {
        "wrong pixels on 12-17": "0.0700",
        "at, min": "4.0",
        "trained, min": "14.0",
        "ended by": "no gain",
    }
    assert patient_rows.course_of({"courses": [capped, made]})["ended by"] == "the cap and no gain"
    minutes, error = patient_rows.looks_of({"courses": [capped]})
    assert minutes.tolist() == [1, 2, 3, 4]
    assert error == pytest.approx([0.1, 0.09, 0.08, 0.07])


def test_rates_are_tried_on_the_sections_that_no_result_includes(small):
    jobs = planned(["rival-unet-5", "rival-n3", "rival-cascade"], "rates")
    assert [(job.rival, job.rate) for job in jobs] == [
        *(("rival-unet-5", rate) for rate in (3e-4, 1e-3, 3e-3, 1e-2)),
        *(("rival-cascade", rate) for rate in SMALL[2].rates),
    ]
    assert {job.fold for job in jobs} == {2}, "the sections 12-17"
    larger = planned(["rival-unet-16"], "rates")[-1]
    assert (larger.name, larger.method.tile) == ("rival-unet-16-tile-572-rate-0.003-fold2", 572)
    replace(jobs[1], seconds=0.1).run(small, lambda history: None)
    made = json.loads((small.folder / "rival-unet-5-rate-0.001-fold2.json").read_text())
    assert made["config"]["learning_rate"] == 1e-3
    assert rival_rows.read_rates(small.folder) == {"rival-unet-5": {1e-3: made["scores"]["none"]["pixel_error"]}}
    write_json(small.folder / "rival-unet-5-rate-0.001-fold2.json", made | {"networks": [{"base_channels": 2}]})
    assert rival_rows.read_rates(small.folder) == {}, "of another network"
    assert rival_rows.read_rivals(small.folder).first() == {}, "no row of equal time"


def test_every_rival_has_the_rate_that_was_best_for_its_kind():
    tried = rival_rows.read_rates()
    for name in RATED:
        assert set(tried[name]) == set(RIVALS[name].rates)
        kept = {rate: error for rate, error in tried[name].items() if rate < LEAPT.get(name, 1)}
        assert RIVALS[name].rate == min(kept, key=kept.get)
    assert {RIVALS[name].kind for name in RATED} == set(rivals.KINDS)
    for rival in RIVALS.values():
        assert rival.rate in {RIVALS[name].rate for name in RATED if RIVALS[name].kind == rival.kind}
    untried = [rival for name, rival in RIVALS.items() if name not in RATED and rival.kind == "unet"]
    assert {rival.rate for rival in untried} == {rivals.RATE}, "the chapter says: the higher one"


def test_the_config_of_a_record_is_that_of_its_training():
    assert RIVALS["rival-cascade"].config(3).precision == "float32", "it knows no other"
    config = RIVALS["rival-n4"].config(3)
    assert (config.seed, config.tile, config.batch_size, config.precision) == (3, 95, 64, "bfloat16")
    assert RIVALS["rival-n4"].config(3, 0.5).learning_rate == 0.5
    for rival in RIVALS.values():
        config = rival.config(0)
        strengths = (config.rotation, config.elastic_std, config.elastic_strain, config.grey_value, config.scaling)
        if rival.kind in ("windows", "cascade"):
            assert not any(strengths), "no pixel is resampled"
            assert config.quarter_turns == config.flips == (rival.kind == "windows")
            assert config.batch_size == (BATCH if rival.kind == "cascade" else 64)
        else:
            assert strengths == (180.0, 0.0, 0.065, 0.1, 0.0)
            assert (config.flips, config.quarter_turns, config.batch_size) == (True, False, 1)


def test_rows_that_do_not_fit_are_named_with_the_reason(small):
    made = run_rival(SMALL[0], 1, 0, small, seconds=0.1)
    path = small.folder / "rival-unet-5-fold1-seed1.json"
    write_json(path, made | {"seed": 1, "config": made["config"] | {"seed": 1, "learning_rate": 0.5}})
    other = {"seed": 2, "config": made["config"] | {"seed": 2}}
    write_json(small.folder / "rival-unet-5-fold1-seed2.json", made | other | {"networks": [{"base_channels": 9}]})
    rows = rival_rows.read_rivals(small.folder)
    assert rows.missing["rival-unet-5", 1, 1] == "of another recipe (learning_rate)"
    jobs = rival_jobs(["rival-unet-5"], small.folder, folds=[1], seconds=0.1)
    assert [job.seed for job in jobs] == [1, 2], "they are run again"
    assert rows.missing["rival-unet-5", 1, 2] == "of another network"
    assert rows.missing["rival-fcn-8s", 1, 0] == "not run"
    shorter = made | other | {"budget": made["budget"] | {"seconds": 0.05}}
    write_json(small.folder / "rival-unet-5-fold1-seed2.json", shorter)
    assert (
        rival_rows.read_rivals(small.folder).missing["rival-unet-5", 1, 2] == "trained for 0.05 s, the others for 0.1 s"
    )
    assert "fold 1, seed 1, of another recipe (learning_rate): unet-5" in rows.lacking
    assert sum(line.count(",") - 1 for line in rows.lacking) >= len(rows.missing)


def test_equal_time_counts_on_one_kind_of_processor_alone(small):
    made = run_rival(SMALL[0], 1, 0, small, seconds=0.1)
    here = rival_rows.read_rivals(small.folder).processor
    assert here == processor_of(made)
    for seed in (1, 2):
        other = {"seed": seed, "config": made["config"] | {"seed": seed}}
        elsewhere = {"matrix_units": "some other units"} if seed == 2 else {}
        write_json(small.folder / f"rival-unet-5-fold1-seed{seed}.json", made | other | elsewhere)
    rows = rival_rows.read_rivals(small.folder)
    assert rows.missing["rival-unet-5", 1, 2] == f"trained on {made['device']}, some other units, the others on {here}"
    assert (len(rows.of("rival-unet-5", 1)), rows.processor) == (2, here)
    jobs = rival_jobs(["rival-unet-5"], small.folder, folds=[1], seconds=0.1)
    assert [job.seed for job in jobs] == [2], "it is run again"
    longer = {"seed": 2, "config": made["config"] | {"seed": 2}, "budget": made["budget"] | {"seconds": 9.0}}
    for elsewhere in ({"matrix_units": "some other units"}, {}):
        write_json(small.folder / "rival-unet-5-fold1-seed2.json", made | longer | elsewhere)
        assert len(rival_rows.read_rivals(small.folder).usable) == 2, "what most have, budget and processor together"


def test_steps_are_told_for_each_kind_of_processor(small):
    made = run_rival(SMALL[0], 1, 0, small, seconds=0.1)
    course = made["courses"][0]
    chosen = {"config": made["config"] | {"learning_rate": 1e-3}, "matrix_units": "other units"}
    for name, seconds, changed in (
        ("rival-unet-5-fold1", 0.1, {}),
        ("rival-unet-5-fold4", 0.3, {"fold": 4}),
        ("rival-unet-5-rate-0.001-fold2", 0.5, {"fold": 2, **chosen}),
        ("rival-unet-5-fold1-seed1", 9.0, {"seed": 1, "networks": [{"base_channels": 9}]}),
    ):
        timed = {"courses": [course | {"step_seconds": {"fastest tenth": seconds, "median": seconds}}]}
        write_json(small.folder / f"{name}.json", made | timed | changed)
    found = rival_rows.step_milliseconds(small.folder)
    other = processor_of(made | chosen)
    assert found == {SMALL[0].title: {processor_of(made): pytest.approx(200), other: pytest.approx(500)}}


def complete(ours: float, theirs: float) -> rival_rows.RivalRows:
    def record(error: float) -> dict:
        return {"scores": {"none": {"warping_error": error, "rand_error": error}}}

    names = {*EQUAL_SIZE, *EQUAL_SIZE.values()}
    errors = {name: ours if RIVALS[name].kind == "unet" else theirs for name in names}
    usable = {(n, fold, seed): record(errors[n]) for n in names for fold in FOLD_SEEDS for seed in seeds_of(n, fold)}
    return rival_rows.RivalRows(usable, {}, 1200.0)


def test_verdicts_follow_from_complete_rows_alone():
    better, worse = (rival_verdicts.verdicts(complete(*errors)) for errors in ((0.1, 0.2), (0.2, 0.1)))
    assert {name: found.verdict for name, found in better.items()} == {"C4": "reproduced", "C11": "reproduced"}
    assert {found.verdict for found in worse.values()} == {"not reproduced"}
    full = complete(0.1, 0.2)
    lacking = replace(full, missing={("rival-n4", 4, 0): "not run"})
    found = rival_verdicts.verdicts(lacking)["C11"]
    assert (found.verdict, found.missing) == ("not examined", ("rival-n4-fold4",))
    others = replace(full, missing={("rival-n3", 4, 0): "not run"})
    assert rival_verdicts.verdicts(others) == better, "N3 decides nothing"
    condition = "After 1200 s of one thread each, on the sections 6-11 and 24-29, the U-Net is better in 4 of 4 pairs."
    assert better["C11"].reason == condition


def test_methods_that_decide_have_three_seeds_on_both_blocks():
    assert [seeds_of("rival-n3", fold) for fold in (1, 4)] == [(0, 1, 2), (0,)]
    decide = {name for name in RIVALS if seeds_of(name, 4) == (0, 1, 2)}
    assert decide == {f"rival-{name}" for name in ("n4", "unet-5", "fcn-8s", "unet-16", "hypercolumns", "unet-12")}


def test_the_first_plan_had_one_seed_on_the_second_block():
    full = complete(0.1, 0.2)
    full.usable["rival-n4", 4, 1]["scores"]["none"]["rand_error"] = 0.0  # the mean of three is 0.07, the U-Net's 0.1
    full.usable["rival-n4", 4, 2]["scores"]["none"]["rand_error"] = 0.0
    first = replace(full, missing={("rival-n4", 4, 2): "not run"}).as_first_planned()
    assert {seed for _, fold, seed in first.usable if fold == 4} == {0}
    assert {seed for _, fold, seed in first.usable if fold == 1} == {0, 1, 2}
    assert not first.missing
    told = [rival_verdicts.verdicts(rows)["C11"] for rows in (full, first)]
    assert [each.verdict for each in told] == ["partly", "reproduced"]
    said = "; by the first plan: reproduced"
    assert [each.ours.endswith(said) for each in told] == [True, False]


def test_seeds_have_a_spread_and_one_run_has_none():
    def run(error: float) -> dict:
        return {"title": "windows", "scores": {"none": {"rand_error": error}}}

    usable = {("rival-n4", 1, seed): run(error) for seed, error in enumerate((0.1, 0.2, 0.3))}
    rows = rival_rows.RivalRows(usable | {("rival-n4", 4, 0): run(0.25)}, {}, 300.0)
    assert rival_rows.over_seeds(rows, ["rand_error"]) == {
        ("windows", "fold 1, 3 seeds"): {"rand_error": "0.2 ± 0.1"},
        ("windows", "fold 4, one seed"): {"rand_error": "0.25"},
    }


def test_pixels_that_a_run_was_told_by_hand():
    config, none = {"batch_size": 8, "tile": 316}, {"base_channels": 2}
    run = {"kind": "unet", "config": config, "networks": [none], "courses": [{"steps": 3}]}
    assert rival_rows.pixels_seen(run) == 3 * 132**2  # 316 - 2 * 92
    assert rival_rows.pixels_seen(run | {"kind": "fcn", "config": {"tile": 256}}) == 3 * 256**2
    assert rival_rows.pixels_seen(run | {"kind": "windows"}) == 24
    assert rival_rows.pixels_seen(run | {"kind": "cascade", "courses": [{"steps": {"up0": 1, "up1": 2}}]}) == 3 * 2048


def test_difference_between_the_same_sections_has_an_interval():
    mean, low, high = rival_rows.difference_interval([0.3, 0.4, 0.5], [0.2, 0.3, 0.4])
    assert (mean, low, high) == pytest.approx((0.1, 0.1, 0.1))
    _, low, high = rival_rows.difference_interval([0.3, 0.1, 0.5], [0.2, 0.3, 0.4])
    assert low < 0 < high


def test_pairs_are_averaged_over_the_seeds_that_both_have():
    def run(*errors: float) -> dict:
        return {"scores": {"none": {"sections": {"rand_error": list(errors)}}}}

    usable = {
        ("rival-n4", 4, 0): run(0.3, 0.4),
        ("rival-unet-5", 4, 0): run(0.2, 0.3),
        ("rival-n4", 1, 0): run(0.3, 0.4),
        ("rival-unet-5", 1, 1): run(0.2, 0.3),  # of another seed
    }
    against = rival_rows.against_equals
    one = {"seeds": "1", "rand_error": "+0.10000 (+0.10000 to +0.10000)"}
    name = RIVALS["rival-n4"].title
    assert against(rival_rows.RivalRows(usable, {}, 300.0), ["rand_error"]) == {(name, "fold 4"): one}
    usable |= {("rival-unet-5", 1, 0): run(0.2, 0.4), ("rival-n4", 1, 1): run(0.5, 0.5)}
    # seed 0: 0.1 and 0.0, seed 1: 0.3 and 0.2; each section's mean: 0.2 and 0.1
    two = {"seeds": "2", "rand_error": "+0.15000 (+0.10000 to +0.20000)"}
    assert against(rival_rows.RivalRows(usable, {}, 300.0), ["rand_error"])[name, "fold 1"] == two


def test_pixels_near_a_border_and_far_from_it_by_hand():
    found = {"distance": [1, 3, 4, 9, 10, 20], "error": [0.5, 0.1, 0.9, 0.9, 0.2, 0.0], "pixels": [1, 3, 9, 9, 1, 3]}
    shares = rival_rows.near_and_far([{"error_by_distance": found}])
    np.testing.assert_allclose(shares, [[(0.5 + 3 * 0.1) / 4, 0.2 / 4]])
    assert rival_rows.near_and_far([]).shape == (0, 2)


def test_the_slowest_network_of_a_run_tells_how_slow_its_host_was():
    even, slow = ({"step_seconds": {"fastest tenth": 0.1, "median": median}} for median in (0.1, 0.15))
    assert rival_rows.step_ratio({"courses": [even]}) == pytest.approx(1)
    assert rival_rows.step_ratio({"courses": [even, slow, even]}) == pytest.approx(1.5)
    assert rival_rows.step_ratio({"courses": [{"steps": {"up0": 1}}]}) is None, "a cascade's steps are not timed"


def test_errors_are_counted_at_their_distance():
    labels = np.ones((1, 1, 6), int)
    labels[..., 3:] = 0  # cell cell cell | membrane membrane membrane: distances 3 2 1 1 2 3
    probability = np.array([[[1, 1, 0, 0, 1, 1]]], float)  # wrong at distances 1, 2 and 3
    found = error_by_distance(labels, probability)
    assert found["error"][:3] == [0.5, 0.5, 0.5]
    assert found["pixels"][:4] == [2, 2, 2, 0]


def test_the_budget_is_the_cost_and_seed_0_of_all_comes_first(tmp_path):
    jobs = rival_jobs(["rival-n4", "rival-unet-16"], tmp_path, seconds=7.0)
    assert estimated_seconds(jobs, Place(tmp_path)) == [7.0] * len(jobs)
    assert [job.seed for job in jobs] == sorted(job.seed for job in jobs)


def test_the_command_tells_the_cost_of_rivals(capsys, tmp_path):
    command = ["reproduce", "rival-w31", "--fold", "4", "--seconds", "120", "--cost", "--output", str(tmp_path)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "2.0 min" in shown
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "(default: {equal:g}; --patient {patient:g}, --rates {rates:g})".format(**rivals.SECONDS) in shown


def test_every_recorded_run_is_planned_and_of_the_recipe_that_its_name_says():
    jobs = {job.name: job for way in rivals.SECONDS for job in planned(list(RIVALS), way)}
    recorded = {path.stem: json.loads(path.read_text()) for path in results_folder().glob("rival-*.json")}
    assert recorded
    for name, record in recorded.items():
        job = jobs[name]
        assert (record["fold"], record["seed"], record["budget"]["seconds"]) == (job.fold, job.seed, job.seconds), name
        assert not misfit(record, job.method, job.rate), name
    rows, patient = rival_rows.read_rivals(), patient_rows.read_patient()
    assert set(rows.missing.values()) | set(patient.missing.values()) <= {"not run"}
    used = {run_name(*run) for run in rows.usable}
    used |= {run_name(f"{name}-patient", *run) for name, *run in patient.usable}
    assert used == {name for name in recorded if "-rate-" not in name}
    assert RivalJob("rival-n4", 1, 0).name == "rival-n4-fold1"
