"""Experiments: the splits, and a run from data to record on a network so small that it takes seconds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.tiny import CONFIG
from unet_paper import IGNORE, load_network, network_card
from unet_paper.cli import main
from unet_paper.cli.reproduce import sorted_names
from unet_paper.datasets import Dataset, synthetic_cells, synthetic_em
from unet_paper.experiments import (
    EXPERIMENTS,
    STUDIES,
    Experiment,
    measures,
    over_folds,
    plan,
    read_records,
    run,
    summary,
)
from unet_paper.experiments.plan import GPU, load_fold
from unet_paper.experiments.publish import publish
from unet_paper.experiments.record import FORMAT, record_path
from unet_paper.files import write_json
from unet_paper.metrics import THRESHOLDS
from unet_paper.networks.card import EARLIER_LOOKS
from unet_paper.networks.library import NAMES
from unet_paper.training import TrainConfig

TINY = replace(CONFIG, tile=188 + 16, steps=2, warmup_steps=0, validate_every=0, checkpoint_every=0)

TINY_PUBLISHED = Experiment("tiny", "em", TINY, base_channels=1, published="em")


def em_fold(task: str, fold: int, *, annotation="gold", root=None):
    sections = synthetic_em(3, (40, 48), generator=np.random.default_rng(0))
    return sections.subset([0, 1]), sections.subset([2])


def sequence_fold(task: str, fold: int, *, annotation="gold", root=None):
    frames = synthetic_cells(3, (96, 96), style="dic", generator=np.random.default_rng(0))
    return frames.subset([0, 1]), frames.subset([2])


def test_every_experiment_has_folds_and_a_legal_tile():
    net = run.UNet(base_channels=1)
    for experiment in EXPERIMENTS.values():
        assert net.is_legal_size(experiment.config.tile)
        assert experiment.folds
    assert set(GPU) <= set(EXPERIMENTS)


def test_full_experiments_take_the_papers_recipe():
    full = EXPERIMENTS["em-full"]
    assert (full.base_channels, full.scale, full.config.tile, full.config.batch_size) == (64, 1, 572, 1)
    assert (full.config.optimiser, full.config.momentum, full.config.w0, full.config.sigma) == ("sgd", 0.99, 10, 5)
    assert full.config.elastic_std == 10


def test_without_the_border_term_only_w0_differs():
    with_border, without = EXPERIMENTS["dic-hela-narrow"], EXPERIMENTS["dic-hela-no-border"]
    assert replace(without.config, w0=10.0) == with_border.config
    assert (without.base_channels, without.scale, without.folds) == (with_border.base_channels, 0.5, with_border.folds)


def test_em_folds_hold_out_contiguous_blocks_that_cover_the_stack(monkeypatch):
    stack = synthetic_em(30, (32, 32), generator=np.random.default_rng(0))
    monkeypatch.setattr(plan, "load_isbi2012", lambda split, root: stack)
    folds = [load_fold("em", fold) for fold in range(5)]
    assert folds[4][1].frames == (24, 25, 26, 27, 28, 29)
    assert sorted(frame for _, held_out in folds for frame in held_out.frames) == list(range(30))
    for fold, (learn, held_out) in enumerate(folds):
        assert sorted(learn.frames + held_out.frames) == list(range(30))
        assert plan.block_name(fold) == f"{held_out.frames[0]}-{held_out.frames[-1]}"


def loader_of_tiny_sequences(name, sequence, *, annotation, root):
    """Return 9 frames; the numbers of sequence 02 start at 100, and silver masks at 50 more."""
    frames = synthetic_cells(9, (96, 96), style="dic", generator=np.random.default_rng(sequence))
    first = 100 * (sequence - 1) + 50 * (annotation == "silver")
    return replace(frames, name=f"{name}/{sequence:02}", frames=tuple(range(first, first + 9)))


def test_sequence_folds_swap_the_sequences(monkeypatch):
    monkeypatch.setattr(plan, "load_cell_tracking", loader_of_tiny_sequences)
    one, two = tuple(range(9)), tuple(range(100, 109))
    assert [part.frames for part in load_fold("u373", 0)] == [one, two]
    assert [part.frames for part in load_fold("dic-hela", 1)] == [two, one]
    learn, held_out = load_fold("dic-hela", 0, annotation="silver")
    assert (learn.frames, held_out.frames) == (tuple(range(50, 59)), two)


def test_blocks_of_time_take_either_half_of_both_sequences(monkeypatch):
    monkeypatch.setattr(plan, "load_cell_tracking", loader_of_tiny_sequences)
    early, late = (0, 1, 2, 3, 100, 101, 102, 103), (4, 5, 6, 7, 8, 104, 105, 106, 107, 108)
    assert [part.frames for part in load_fold("u373", 2)] == [early, late]
    assert [part.frames for part in load_fold("u373", 3)] == [late, early]


def test_folds_for_choosing_settings_never_see_the_other_sequence(monkeypatch):
    monkeypatch.setattr(plan, "load_cell_tracking", loader_of_tiny_sequences)
    assert [part.frames for part in load_fold("u373", 4)] == [(0, 1, 2, 3, 4, 5), (6, 7, 8)]
    assert [part.frames for part in load_fold("u373", 5)] == [(100, 101, 102, 103, 104, 105), (106, 107, 108)]
    with pytest.raises(ValueError, match="fold 4 tests on a sequence that it learns from"):
        load_fold("u373", 4, annotation="silver")


@pytest.mark.parametrize(("task", "fold"), [("em", 5), ("u373", 6), ("dic-hela", -1)])
def test_a_fold_that_does_not_exist_is_refused(task, fold):
    with pytest.raises(ValueError, match=f"fold is {fold}"):
        load_fold(task, fold)


def test_a_task_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'retina'"):
        Experiment("x", "retina", TINY)


@pytest.fixture
def run_tiny(monkeypatch, tmp_path):
    """Return a function that runs a tiny experiment on generated images and returns its record."""

    def run_it(task: str, **settings) -> dict:
        monkeypatch.setattr(run, "load_fold", em_fold if task == "em" else sequence_fold)
        tiny = Experiment("tiny", task, TINY, base_channels=1, **settings)
        return run.run_fold(tiny, 0, results=tmp_path, networks=tmp_path, device=torch.device("cpu"), progress=False)

    return run_it


def test_a_run_leaves_a_record_and_a_network_that_belong_together(run_tiny, tmp_path):
    made = run_tiny("em")
    (read,) = read_records("tiny", tmp_path)
    assert read == json.loads(json.dumps(made))
    network = tmp_path / read["network"]["file"]
    assert read["network"]["sha256"] == hashlib.sha256(network.read_bytes()).hexdigest()
    assert load_network(network).base_channels == 1
    assert read["trained_on"]["frames"] == [0, 1]
    assert read["tested_on"]["frames"] == [2]
    assert read["config"]["steps"] == read["history"]["step"][-1] == 2
    assert set(read["scores"]) == {"none", "7 rotations", "4 flips", "8 symmetries"}
    assert 0 <= read["scores"]["none"]["pixel_error"] <= 1
    assert not list(tmp_path.glob(".*"))


def test_publishing_puts_record_network_and_card_where_the_book_reads_them(run_tiny, tmp_path):
    made, results = run_tiny("em"), tmp_path / "data" / "results"
    written = publish(replace(TINY_PUBLISHED, folds=(0,)), 0, runs=tmp_path, results=results)
    assert [path.name for path in written] == ["tiny-fold0.json", "em.safetensors", "em.md"]
    assert made["network"]["sha256"] in written[2].read_text()
    assert written[1] == tmp_path / "data" / "models" / "em.safetensors"
    assert len(publish(replace(TINY_PUBLISHED, published=""), 0, runs=tmp_path, results=results)) == 1
    with pytest.raises(FileNotFoundError, match=r"tiny-fold1\.json does not exist"):
        publish(TINY_PUBLISHED, 1, runs=tmp_path, results=results)


def test_a_finished_run_is_not_trained_again_and_gives_the_same_scores(run_tiny):
    first, again = run_tiny("dic-hela", scale=0.5), run_tiny("dic-hela", scale=0.5)
    assert first["scores"] == again["scores"]
    assert first["history"] == again["history"]


def test_measures_of_a_perfect_map_and_of_two_merged_cells():
    labels = np.zeros((2, 60, 60), np.int32)
    labels[:, 2:28, 2:58], labels[:, 30:58, 2:58] = 1, 2
    perfect = measures.cell_measures(labels, (labels > 0).astype(np.float32), 0.5)
    assert (perfect["seg"], perfect["det"], perfect["merged"], perfect["reference_cells"]) == (1, 1, 0, 4)
    assert perfect["jaccard"] == [[1, 1], [1, 1]]
    assert measures.cell_measures(labels, np.ones(labels.shape, np.float32), 0.5)["merged"] == 2


def test_the_threshold_is_settled_where_seg_is_largest_and_next_to_one_half_among_equals():
    labels = np.zeros((1, 60, 60), np.int32)
    labels[:, 2:28, 2:58], labels[:, 32:58, 2:58] = 1, 2
    bridged = np.where(labels > 0, 0.9, 0).astype(np.float32)
    bridged[:, 28:32, 20:40] = 0.62  # the two cells are one below this threshold
    assert measures.best_threshold(measures.seg_curve(labels, bridged)) == 0.65
    assert measures.best_threshold(measures.seg_curve(labels, (labels > 0).astype(np.float32))) == 0.5
    settled = measures.cell_measures(labels, bridged, 0.65)
    assert (settled["seg_settled"], settled["merged_settled"]) == (1, 0)
    assert (settled["seg"], settled["merged"]) == (pytest.approx(seg_of_one_for_two()), 1)


def test_averaged_maps_have_a_curve_of_their_own_on_the_training_frames(monkeypatch):
    def maps(net, images, *, rotations=1, **_):
        return images * (0.8 if rotations > 1 else 1)  # an average lowers what is not sure

    labels = np.zeros((1, 60, 60), np.int32)
    labels[:, 2:28, 2:58], labels[:, 32:58, 2:58] = 1, 2
    image = np.where(labels > 0, 0.74, 0).astype(np.float32)
    bridged = image.copy()
    bridged[:, 28:32, 20:40] = 0.62
    learn, held_out = (Dataset("two cells", each, labels, (0,), "made up", False) for each in (bridged, image))
    monkeypatch.setattr(measures, "cell_maps", maps)
    scores, _ = measures.measure(Experiment("x", "dic-hela", TINY), None, learn, held_out, progress=False)
    averaged = {"scores": scores}
    assert (scores["8 symmetries"]["settled_threshold"], scores["8 symmetries"]["seg_settled"]) == (0.65, 0)
    assert summary.settled_alike(averaged, average="8 symmetries") == (0.5, 1)
    assert summary.settled_alike(averaged, average="none") == (0.65, 1)


def seg_of_one_for_two() -> float:
    """Two cells of 26 x 56 px under one of both and a bridge of 4 x 20 px."""
    return 26 * 56 / (2 * 26 * 56 + 4 * 20)


def test_em_measures_count_rings_apart_and_keep_the_score_at_a_settled_threshold():
    labels = np.ones((1, 40, 40), np.int32)
    labels[:, :, 19:21] = 0  # a membrane between two cells
    labels[:, 5:12, 5:12] = 0
    labels[:, 6:11, 6:11] = 1  # and an outlined organelle, which the map leaves white
    probability = np.where(labels > 0, 0.95, 0.15).astype(np.float32)
    probability[:, 5:12, 5:12] = 0.95
    settled = dict.fromkeys(measures.EM_MEASURES, float(THRESHOLDS[1]))
    scores = measures.em_measures(labels, probability, settled)
    (counts,) = scores["mistakes"]
    assert counts["merge"] == counts["merge_on_rings"] > 0
    assert counts["split"] == 0
    assert scores["warping_error"] == counts["merge"] / 1600
    assert scores["settled"]["pixel_difference"] == pytest.approx((labels == 0).mean())  # all pixels are above 0.1
    assert scores["membrane"] == pytest.approx(80 / 1600)


def test_det_leaves_out_frames_with_cells_that_nobody_drew():
    labels = np.zeros((2, 60, 60), np.int32)
    labels[:, 2:28, 2:58] = 1
    labels[1, 30:58, 2:58] = IGNORE
    both = (labels != 0).astype(np.float32)
    assert measures.cell_measures(labels, both, 0.5)["det"] == 1
    assert measures.cell_measures(labels, both, 0.5)["seg"] == 1


def test_a_foreign_file_is_no_record(tmp_path):
    write_json(tmp_path / "x-fold0.json", {"format": "something else"})
    with pytest.raises(ValueError, match="something else"):
        read_records("x", tmp_path)
    assert read_records("y", tmp_path) == []


def test_records_come_by_fold_and_seed(tmp_path):
    for fold, seed in ((2, 0), (1, 1), (1, 0), (1, 2)):
        write_json(record_path(tmp_path, "x", fold, seed), {"format": FORMAT, "fold": fold, "seed": seed})

    def runs(seed):
        return [(record["fold"], record["seed"]) for record in read_records("x", tmp_path, seed=seed)]

    assert runs(0) == [(1, 0), (2, 0)]
    assert runs(2) == [(1, 2)]
    assert runs(None) == [(1, 0), (1, 1), (1, 2), (2, 0)]


def test_records_in_the_book_belong_to_experiments_that_can_be_run_again():
    for name, experiment in EXPERIMENTS.items():
        for found in read_records(name):
            assert TrainConfig(**found["config"]) == experiment.config
            assert found["fold"] in experiment.folds


@pytest.mark.parametrize("task", NAMES)
def test_published_networks_state_the_scores_of_their_record(task):
    card = network_card(task)
    first = EXPERIMENTS[card["name"]].folds[0]
    (found,) = (record for record in read_records(card["name"]) if record["fold"] == first)
    assert card["scores"] == found["scores"]


def test_every_experiment_is_scored_by_what_is_measured():
    for experiment in EXPERIMENTS.values():
        average, measure = experiment.scored
        assert average in measures.AVERAGES
        assert measure in ("seg", "seg_settled")


def test_every_published_network_says_what_had_been_looked_at():
    recorded = {name for name in EXPERIMENTS if EXPERIMENTS[name].published and read_records(name)}
    assert recorded <= set(EARLIER_LOOKS)


def test_the_command_lists_runs_and_refuses(capsys, tmp_path):
    assert main(["reproduce"]) == 0
    assert "em-narrow" in capsys.readouterr().out
    assert main(["reproduce", "em-tiny"]) == 2
    assert "no experiment called em-tiny" in capsys.readouterr().err
    assert main(["reproduce", "em-narrow", "--data", str(tmp_path), "--output", str(tmp_path / "runs")]) == 2
    assert "python -m unet_paper fetch isbi2012" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["em-narrow", "--workers", "0"], "--workers is 0; needs at least 1"),
        (["em-narrow", "--workers", "-1", "--cost"], "--workers is -1; needs at least 1"),
        (["rival-w31", "--fold", "7"], "no run with --fold 7 is planned for rival-w31: fold 1 seed 0, fold 1 seed 1, "),
        (["rival-w31", "--fold", "4", "--seed", "1"], "no run with --fold 4 --seed 1 is planned for rival-w31"),
        (["study-dropout", "--seed", "5"], "no run with --seed 5 is planned for study-dropout: fold 1 seed 0, "),
        (["study-dropout", "--seed", "5", "--publish"], "no run with --seed 5 is planned for study-dropout"),
        (["study-largest", "--fold", "1"], "no run with --fold 1 is planned for study-largest: fold 4 seed 0, "),
        (["rival-cascade", "--patient", "--fold", "1"], "no run --patient is planned for rival-cascade"),
        (["rival-n3", "--rates"], "no run --rates is planned for rival-n3"),
        (["em-small", "--fold", "9", "--cost"], "em-small has no fold 9; em has the folds 0 .. 4"),
        (["em-small", "--seed", "-1"], "seed is -1; needs at least 0"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(capsys, tmp_path, arguments, message):
    assert main(["reproduce", *arguments, "--output", str(tmp_path / "runs")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_what_is_finished_is_published_and_the_rest_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("unet_paper.experiments.publish.results_folder", lambda: tmp_path / "data" / "results")
    runs = tmp_path / "runs"
    runs.mkdir()
    command = ["reproduce", "em-faithful", "--output", str(runs), "--publish"]
    assert main(command) == 1, "nothing is finished"
    (runs / "em-faithful-fold4.json").write_text("{}")
    capsys.readouterr()
    assert main(command) == 0
    left_out, written = capsys.readouterr().out.splitlines()
    assert left_out.endswith("em-faithful-fold1, em-faithful-fold0, em-faithful-fold3")
    assert written == str(tmp_path / "data" / "results" / "em-faithful-fold4.json")


def test_what_is_named_twice_is_done_once():
    experiments, studies, rivals = sorted_names(["em-narrow", "studies", "study-base", "em-narrow", "rival-n4"])
    assert (experiments, studies, rivals) == (["em-narrow"], list(STUDIES), ["rival-n4"])


def test_all_seeds_are_read_whatever_their_digits(tmp_path):
    for seed in (0, 2, 10):
        record_path(tmp_path, "em", 1, seed).write_text(json.dumps({"format": FORMAT, "fold": 1, "seed": seed}))
    (tmp_path / "em-fold1-seeds.json").write_text("{}")
    assert [record["seed"] for record in read_records("em", tmp_path, seed=None)] == [0, 2, 10]
    assert [record["seed"] for record in read_records("em", tmp_path)] == [0]


def test_over_folds_weighs_seg_by_cells_and_sums_counts():
    records = [
        {"fold": 0, "scores": {"none": {"seg": 0.5, "merged": 2, "reference_cells": 1}}},
        {"fold": 1, "scores": {"none": {"seg": 0.9, "merged": 3, "reference_cells": 3}}},
    ]
    assert over_folds(records, "seg") == pytest.approx(0.8)
    assert over_folds(records, "merged") == 5
    again = {"fold": 0, "scores": {"none": {"seg": 0.3, "merged": 4, "reference_cells": 1}}}
    assert over_folds([*records, again], "seg") == pytest.approx((0.4 * 1 + 0.9 * 3) / 4), "a seed is no other fold"
    assert over_folds([*records, again], "merged") == 3 + 3
    with pytest.raises(ValueError, match="there is no record"):
        over_folds([], "seg")
    with pytest.raises(ValueError, match="measure is 'det'; choose one of 'merged', "):
        over_folds(records, "det")
