"""Studies: each change is what it says, rows are added one by one, and nothing that is missing goes unsaid."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.training.tiny import CONFIG
from unet_paper.analysis.operations import step_flop
from unet_paper.augmentation import elastic_std_of
from unet_paper.baselines import SkiplessUNet
from unet_paper.cli import main
from unet_paper.datasets import synthetic_em
from unet_paper.experiments import EXPERIMENTS, recipe, study_rows, study_runs
from unet_paper.experiments.effects import SYMMETRIES
from unet_paper.experiments.recipe import BASE, Recipe
from unet_paper.experiments.runner import Place
from unet_paper.experiments.studies import CHANGES, RATES, STUDIES, Change, Planned, named, planned
from unet_paper.experiments.study_rows import VERSIONS, add_rows, read_rows, read_study, rows_path, tuned_rates
from unet_paper.experiments.study_runs import StudyJob, packed, publish_rows, run_row, study_jobs, unpacked
from unet_paper.model import UNet

ALL_RATES = {family: rates[0] for family, rates in RATES.items()}


def row(change: str, fold: int = 1, seed: int = 0, **more) -> dict:
    """Return the least that a row must hold to be used."""
    found = CHANGES[change].recipe(ALL_RATES)
    known = {"change": change, "fold": fold, "seed": seed, "base": recipe.BASE.fingerprint}
    known |= {"version": VERSIONS[found.task], "recipe": found.fingerprint}
    return {**known, "scores": {"block": {"pixel_error": 0.5}}, **more}


def fold_of_noise(task: str, fold: int, *, root=None):
    sections = synthetic_em(8, (40, 48), generator=np.random.default_rng(fold))
    return sections.subset([0, 1, 2]), sections.subset([3, 4, 5, 6, 7])


# Each change is what it says


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_differs_from_what_it_is_compared_with_in_what_it_names(change):
    mine, other = change.recipe(ALL_RATES), CHANGES[change.against].recipe(ALL_RATES)
    differ = {name for name in asdict(mine.config) if asdict(mine.config)[name] != asdict(other.config)[name]}
    differ |= {name for name in asdict(mine) if name != "config" and asdict(mine)[name] != asdict(other)[name]}
    shared = {name for name, value in CHANGES[change.against].settings.items() if change.settings.get(name) == value}
    allowed = set(change.settings) - shared | ({"learning_rate"} if change.tuned else set())
    allowed |= set(CHANGES[change.against].settings) - shared if change.tuned else set()
    assert differ <= allowed
    assert differ or change.name in (change.against, "base again")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_tile_is_legal_and_every_run_sees_the_block_it_may(change):
    found = change.recipe(ALL_RATES)
    assert found.make_network().is_legal_size(found.config.tile)
    allowed = {2} if change.name in {run.change for run in planned("study-rates")} else {0, 1}
    assert set(change.folds) <= allowed  # 12-17 for choosing; no result is an average over them


@pytest.mark.parametrize("name", ["tile 252 px", "tile 444 px", "tile 572 px", "padded"])
def test_tiles_of_other_sizes_and_padding_take_as_many_operations_as_the_base(name):
    found = CHANGES[name].recipe()
    cost, base = (step_flop(some.make_network(), some.config.tile) * some.config.steps for some in (found, BASE))
    assert cost == pytest.approx(base, rel=0.05)


@pytest.mark.parametrize("name", ["tile 252 px", "tile 444 px", "tile 572 px", "padded"])
def test_tiles_of_other_sizes_are_strained_and_warmed_up_as_those_of_the_base(name):
    config = CHANGES[name].recipe().config
    assert (config.elastic_std, elastic_std_of(config.elastic_strain, 316)) == (0, pytest.approx(5, abs=0.01))
    share = BASE.config.warmup_steps / BASE.config.steps
    assert config.warmup_steps / config.steps == pytest.approx(share, rel=0.06)


def test_borders_between_small_cells_are_as_wide_as_in_the_long_runs():
    for change in ("DIC", "DIC, w0 10"):
        assert CHANGES[change].recipe().config.sigma == EXPERIMENTS["dic-hela-small"].config.sigma


@pytest.mark.parametrize("family", RATES)
def test_every_optimiser_sees_as_many_tiles(family):
    config = CHANGES[family].recipe(ALL_RATES).config
    assert config.steps * config.batch_size == BASE.config.steps


def test_a_network_without_skips_sees_nothing_of_the_contracting_path_but_its_end():
    net = SkiplessUNet(base_channels=2, depth=2, dropout=0.0).eval()
    end = {}
    net.down[2].register_forward_hook(lambda module, inputs, output: end.setdefault("map", output))
    image = torch.rand(1, 1, 76, 76, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        scores = net(image)
        x = end["map"]
        for upsample, convolve in zip(net.upsample, net.up, strict=True):
            x = convolve(upsample(x))
        assert torch.equal(net.score(x), scores)
        twin = UNet(base_channels=2, depth=2)
        assert (net.border, scores.shape) == (twin.border, twin(image).shape)


def test_a_full_network_without_skips_lacks_the_weights_that_read_them():
    full, without = (kind(base_channels=64) for kind in (UNet, SkiplessUNet))
    count = [sum(weights.numel() for weights in net.parameters()) for net in (full, without)]
    assert count[0] - count[1] == 9 * sum(width**2 for width in (64, 128, 256, 512)) == 3_133_440


def test_rules_draw_what_they_say_in_networks_without_skips_too():
    large, small = (
        Recipe(BASE.config, network="no skips", rule=rule).make_network(1) for rule in ("sqrt(2/N)", "sqrt(1/N)")
    )
    assert torch.allclose(large.up[0][0].weight, np.sqrt(2) * small.up[0][0].weight)
    assert float(large.up[0][0].weight.detach().std()) == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.05)


def test_the_seed_draws_the_same_images_for_every_recipe_and_fewer_are_part_of_more(monkeypatch):
    monkeypatch.setattr(recipe, "load_fold", lambda *_, **__: fold_of_noise("em", 0))
    one, two = (BASE.changed({"images": n}).load(1, 5)[0].frames for n in (1, 2))
    rigid = BASE.changed({"images": 2, "elastic_std": 0.0}).load(1, 5)[0].frames
    assert set(one) < set(two) == set(rigid)
    assert len({BASE.changed({"images": 1}).load(1, seed)[0].frames for seed in range(9)}) > 1


def test_splits_never_test_on_what_was_learned_from(monkeypatch):
    monkeypatch.setattr(recipe, "load_fold", lambda *_, **__: fold_of_noise("em", 0))
    monkeypatch.setitem(recipe.RANDOM, "em", 2)
    learn, tests = BASE.changed({"split": "interleaved"}).load(1, 0)
    assert (learn.frames, tests["block"].frames) == ((0, 1, 2, 3, 5, 7), (4, 6))
    learn, tests = BASE.changed({"split": "block and random"}).load(1, 0)
    assert tests["block"].frames == (3, 4, 5, 6, 7)
    assert sorted(learn.frames + tests["random"].frames) == [0, 1, 2]
    assert len(tests["random"]) == 2


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(ValueError, match="no setting called elasticity"):
        BASE.changed({"elasticity": 3})
    with pytest.raises(ValueError, match="no study called"):
        planned("study-of-nothing")


def test_what_decides_nothing_leaves_the_fingerprint_and_everything_else_changes_it():
    assert BASE.changed({"checkpoint_every": 7, "seed": 3}).fingerprint == BASE.fingerprint
    others = [change.recipe(ALL_RATES).fingerprint for change in CHANGES.values() if change.settings]
    assert BASE.fingerprint not in others


# Rows


def test_what_is_missing_is_named(tmp_path):
    add_rows(rows_path("study-shape", tmp_path), [row("no skips", seed=seed) for seed in (0, 2)])
    found = read_study("study-shape", tmp_path)
    assert [made["seed"] for made in found.of("no skips")] == [0, 2]
    assert Planned("study-shape", "no skips", 1, 1) in found.missing
    assert "no skips (fold 1: seeds 1); no skips, dropout 0 (fold 1: seeds 0 1 2)" in found.lacking
    assert found.lacking.startswith("study-shape lacks 13 runs: ")


def test_a_complete_study_has_no_gaps(tmp_path):
    add_rows(rows_path("study-base", tmp_path), [row("base", seed=seed) for seed in range(3)])
    assert read_study("study-base", tmp_path).lacking == ""


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"base": "0123456789ab"}, "is of another base (0123456789ab, not "),
        ({"version": 0}, "was measured by version 0, not 1"),
        ({"recipe": "0123456789ab"}, "was run with other settings"),
    ],
)
def test_a_row_of_another_base_version_or_plan_is_refused_and_its_run_is_missing(tmp_path, more, why):
    add_rows(rows_path("study-base", tmp_path), [row("base", seed=1, **more)])
    found = read_study("study-base", tmp_path)
    assert found.usable == []
    assert len(found.missing) == 3
    assert f"study-base: base, fold 1, seed 1 {why}" in found.lacking


def test_a_row_of_an_unknown_change_is_refused(tmp_path):
    add_rows(rows_path("study-base", tmp_path), [{**row("base"), "change": "magic"}])
    assert (
        "magic, fold 1, seed 0 is of a change that the plan does not know" in read_study("study-base", tmp_path).lacking
    )


def test_another_base_refuses_every_row_of_the_old_one(tmp_path, monkeypatch):
    add_rows(rows_path("study-shape", tmp_path), [row("padded")])
    new = BASE.changed({"steps": 7})
    monkeypatch.setattr(study_rows, "BASE", new)
    monkeypatch.setattr("unet_paper.experiments.studies.BASE", new)
    assert read_study("study-shape", tmp_path).usable == []


def test_rows_of_a_run_replace_the_older_and_lie_one_on_a_line(tmp_path):
    path = rows_path("study-base", tmp_path)
    for seed, loss in ((1, 0.5), (0, 0.4), (1, 0.3)):
        add_rows(path, [row("base", seed=seed, loss=loss)])
    assert [(made["seed"], made["loss"]) for made in read_rows(path)] == [(0, 0.4), (1, 0.3)]
    lines = path.read_text().splitlines()
    assert [json.loads(line.rstrip(","))["seed"] for line in lines[1:3]] == [0, 1]


def test_a_file_that_holds_no_rows_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "study-base.json"
    path.write_text('{"format": "other"}')
    with pytest.raises(ValueError, match=r"has format 'other'.*remove it"):
        read_study("study-base", tmp_path)
    path.write_text(json.dumps({"format": study_rows.FORMAT}))
    with pytest.raises(ValueError, match="holds no rows; restore it"):
        read_study("study-base", tmp_path)
    path.write_text("<<<<<<< main")
    with pytest.raises(ValueError, match="is no JSON"):
        read_study("study-base", tmp_path)


def test_a_rate_is_chosen_once_all_were_tried(tmp_path):
    path = rows_path("study-rates", tmp_path)
    small, middle, large = (f"momentum 0.99, rate {rate:g}" for rate in RATES["momentum 0.99"])
    add_rows(path, [row(small, fold=2), row(middle, fold=2, scores={"block": {"pixel_error": 0.2}})])
    assert tuned_rates(read_study("study-rates", tmp_path)) == {}
    add_rows(path, [row(large, fold=2)])
    assert tuned_rates(read_study("study-rates", tmp_path)) == {"momentum 0.99": 1e-3}


def test_runs_wait_for_their_rate_and_those_with_a_row_are_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(study_rows, "results_folder", lambda: tmp_path / "published")
    assert study_jobs(["study-optimisers"], tmp_path) == []
    add_rows(rows_path("study-base", tmp_path), [row("base", seed=0)])
    assert [job.seed for job in study_jobs(["study-base"], tmp_path)] == [1, 2]
    assert [job.seed for job in study_jobs(["study-base"], tmp_path, seeds=[2])] == [2]
    (tmp_path / "published").mkdir()
    publish_rows("study-base", tmp_path)
    (tmp_path / "study-base.json").unlink()
    assert [job.seed for job in study_jobs(["study-base"], tmp_path)] == [1, 2]


def test_runs_whose_rate_was_published_are_not_run_again(tmp_path, monkeypatch):
    """A fresh clone: the rates were tried elsewhere, and the runs with the chosen one were made here."""
    monkeypatch.setattr(study_rows, "results_folder", lambda: tmp_path / "published")
    (tmp_path / "published").mkdir()
    tried = [row(f"{family}, rate {rate:g}", fold=2) for family, rates in RATES.items() for rate in rates]
    add_rows(rows_path("study-rates", tmp_path / "published"), tried)
    (first, *others) = study_jobs(["study-optimisers"], tmp_path)
    add_rows(rows_path(first.study, tmp_path), [row(first.change, first.fold, first.seed)])
    assert study_jobs(["study-optimisers"], tmp_path) == others
    monkeypatch.setattr(study_runs, "run_row", lambda *_, **__: pytest.fail("it was done again"))
    first.run(Place(tmp_path), lambda history: None)


def test_rows_are_published_into_a_clone_and_nowhere_else(tmp_path, monkeypatch):
    add_rows(rows_path("study-base", tmp_path), [row("base")])
    monkeypatch.setattr(study_runs, "repository", lambda: None)
    with pytest.raises(FileNotFoundError, match="into a clone"):
        publish_rows("study-base", tmp_path)
    assert publish_rows("study-shape", tmp_path, tmp_path / "elsewhere") is None


def test_only_rows_of_the_plan_of_today_are_published(tmp_path):
    runs, results, said = tmp_path / "runs", tmp_path / "results", []
    runs.mkdir(), results.mkdir()
    good = row("base")
    add_rows(rows_path("study-base", results), [good])
    add_rows(rows_path("study-base", runs), [row("base", base="old"), row("base", seed=1), row("base", seed=2)])
    assert publish_rows("study-base", runs, results, seeds=[0, 1], say=said.append) == results / "study-base.json"
    assert read_rows(results / "study-base.json") == [good, row("base", seed=1)]
    (line,) = said
    assert line.startswith("study-base: base, fold 1, seed 0 is of another base (old, not ")


def test_the_most_important_runs_come_first_and_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(study_rows, "results_folder", lambda: tmp_path)
    jobs = study_jobs(list(STUDIES), tmp_path)
    assert [job.change for job in jobs[:7]] == 3 * ["base"] + 3 * ["base again"] + ["elastic 0 px"]
    assert [job.seed for job in jobs[:6]] == 2 * [0, 1, 2]
    assert len({job.name for job in jobs}) == len(jobs)
    assert all("/" not in job.name and "," not in job.name for job in jobs)


def test_runs_are_named_change_by_change():
    runs = [Planned("s", "a", 1, 0), Planned("s", "a", 1, 2), Planned("s", "b", 4, 1), Planned("s", "a", 4, 0)]
    assert named(runs) == "a (fold 1: seeds 0 2, fold 4: seeds 0); b (fold 4: seeds 1)"


# A run


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Return the place of runs of a tiny base on generated sections."""
    base = Recipe(replace(CONFIG, tile=204, steps=2, standardise_each=True), base_channels=1)
    changes = {"base": Change("base", {}), "no skips": Change("no skips", {"network": "no skips"})}
    for module in (study_rows, study_runs, recipe):
        monkeypatch.setattr(module, "BASE", base)
    monkeypatch.setattr("unet_paper.experiments.studies.BASE", base)
    for name, change in changes.items():
        monkeypatch.setitem(CHANGES, name, change)
    monkeypatch.setattr(recipe, "load_fold", fold_of_noise)
    monkeypatch.setattr(study_runs, "STUDY_AVERAGES", {"2 rotations": {"rotations": 2}, SYMMETRIES: {"rotations": 1}})
    return Place(tmp_path)


def test_a_run_leaves_one_row_that_names_its_circumstances_and_no_checkpoint(tiny):
    StudyJob("study-base", "base", 1, 0).run(tiny, lambda history: None)
    (made,) = read_study("study-base", tiny.folder).usable
    assert set(made["scores"]) == {"block", "2 rotations", SYMMETRIES}
    assert {"seed", "fold", "commit", "device", "matrix_units", "date"} <= set(made)
    assert len(made["trained_on"]["sha256"]) == len(made["tested_on"]["block"]["sha256"]) == 64
    assert np.array(made["scores"]["block"]["sections"]["v_rand_error"]).shape == (5, 11)
    assert np.array(made["signals"]["end"]).shape == (23, 3)
    assert not list(tiny.folder.glob("*checkpoint*"))


def test_cells_are_read_at_thresholds_up_to_nearly_1():
    labels = np.zeros((1, 60, 70), np.int32)
    labels[0, 10:50, 5:34], labels[0, 10:50, 36:65] = 1, 2
    maps = np.where(labels > 0, 0.97, 0.0).astype(np.float32)
    maps[0, 10:50, 34:36] = 0.93  # a gap that a network without border weight has hardly learned
    made = study_runs.cell_row(SimpleNamespace(labels=labels), maps)
    assert (made["seg"], made["threshold"]) == (1.0, {"seg": 0.95})
    merged = dict(zip(study_runs.SEG_THRESHOLDS, made["counts"]["merge"], strict=True))
    assert (merged[0.9], merged[0.95]) == (1, 0)
    assert len(made["sections"]["seg_error"][0]) == len(made["counts"]["missed"]) == len(study_runs.SEG_THRESHOLDS)


def test_a_run_whose_row_another_process_has_added_meanwhile_is_not_done_again(tiny, monkeypatch):
    job = StudyJob("study-base", "base", 1, 2)
    add_rows(rows_path(job.study, tiny.folder), [row("base", seed=2)])
    monkeypatch.setattr(study_runs, "run_row", lambda *_, **__: pytest.fail("it was done again"))
    job.run(tiny, lambda history: None)


def test_a_run_that_diverges_leaves_a_row_that_says_so_and_the_scores_of_an_empty_map(tiny, monkeypatch):
    changed = Change("no skips", {"optimiser": "sgd", "learning_rate": 1e30, "steps": 12})
    monkeypatch.setitem(CHANGES, "no skips", changed)
    made = run_row(StudyJob("study-shape", "no skips", 1, 1), tiny)
    assert "the loss is" in made["diverged"]
    assert set(made["scores"]) == {"block", SYMMETRIES}
    blank = study_runs.em_row(fold_of_noise("em", 1)[1], np.zeros((5, 40, 48), np.float32))
    assert made["scores"]["block"] == blank


def test_a_map_is_kept_to_a_sixteenth():
    cell = np.random.default_rng(0).random((200, 180))
    read = unpacked(packed(cell))
    assert read.shape == (160, 160)
    assert np.abs(read - cell[20:180, 10:170]).max() <= 0.5 / 15 + 1e-6


def test_the_command_lists_studies_and_does_nothing_where_nothing_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(study_rows, "results_folder", lambda: tmp_path)
    add_rows(rows_path("study-base", tmp_path), [row("base", seed=seed) for seed in range(3)])
    assert main(["reproduce"]) == 0
    assert "study-base                 3        0  How much luck" in capsys.readouterr().out
    assert main(["reproduce", "study-base", "--output", str(tmp_path / "runs")]) == 0
    assert "nothing is missing" in capsys.readouterr().out
