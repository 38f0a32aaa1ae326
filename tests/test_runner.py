"""The runner of recorded work: what runs there are, what they cost, side by side, resumed, and failures named."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np
import pytest
import torch

from tests.training.tiny import CONFIG
from unet_paper.atomic import alone
from unet_paper.cli import main
from unet_paper.cli.reproduce import format_cost, format_list
from unet_paper.datasets import synthetic_em
from unet_paper.experiments import Experiment, plan, runner
from unet_paper.experiments.runner import ENVIRONMENT, Job, Place, estimated_seconds, jobs_of, run_side_by_side
from unet_paper.training.checkpoint import previous, save_checkpoint
from unet_paper.training.history import History

TINY = replace(CONFIG, tile=204, steps=12, warmup_steps=0, validate_every=0, checkpoint_every=5)
EXPERIMENT = Experiment("tiny", "em", TINY, base_channels=1, folds=(0, 1), more_seeds={1: (7,)})


def tiny_fold(task: str, fold: int, *, annotation="gold", root=None):
    if fold == 4:
        raise ValueError("the data of fold 4 is damaged")
    sections = synthetic_em(3, (40, 48), generator=np.random.default_rng(fold))
    return sections.subset([0, 1]), sections.subset([2])


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Let the runner find a tiny experiment; its processes are copies of this one, so that they find it too."""
    monkeypatch.setitem(plan.EXPERIMENTS, "tiny", EXPERIMENT)
    monkeypatch.setattr(runner, "load_fold", tiny_fold)
    monkeypatch.setattr("unet_paper.experiments.run.load_fold", tiny_fold)
    monkeypatch.setattr(runner, "get_context", lambda kind: get_context("fork"))
    return Place(tmp_path)


def test_every_fold_and_every_seed_is_a_run(place):
    assert [(job.fold, job.seed) for job in jobs_of(["tiny"])] == [(0, 0), (1, 0), (1, 7)]
    assert [job.name for job in jobs_of(["tiny"], folds=[1])] == ["tiny-fold1", "tiny-fold1-seed7"]
    assert [job.name for job in jobs_of(["tiny"], folds=[1, 1], seeds=[7, 7])] == ["tiny-fold1-seed7"]
    with pytest.raises(ValueError, match="no experiment called huge"):
        jobs_of(["tiny", "huge"])


def test_all_runs_leave_records_and_other_seeds_other_networks(place):
    assert run_side_by_side(jobs_of(["tiny"]), place, workers=2) == []
    records = [json.loads((place.folder / f"{job.name}.json").read_text()) for job in jobs_of(["tiny"])]
    assert [record["seed"] for record in records] == [0, 0, 7]
    assert [record["config"]["seed"] for record in records] == [0, 0, 7]
    assert len({record["network"]["sha256"] for record in records}) == 3
    assert records[1]["tested_on"] == records[2]["tested_on"]


def test_a_run_that_fails_is_named_and_the_others_go_on(place):
    jobs = [Job("tiny", 4, 0), Job("tiny", 0, 0)]
    (failure,) = run_side_by_side(jobs, place, workers=1)
    assert failure == "tiny-fold4: the data of fold 4 is damaged (details in tiny-fold4.error.txt)"
    assert "Traceback" in (place.folder / "tiny-fold4.error.txt").read_text()
    assert (place.folder / "tiny-fold0.json").is_file()


@dataclass(frozen=True)
class Fails:
    """A run that ends as it is told to, in a process that is started as on every machine."""

    how: str
    seconds: float = 1.0

    @property
    def name(self) -> str:
        return f"run-{self.how}"

    def run(self, place: Place, report) -> None:
        if self.how == "KeyError":
            raise KeyError("seed")
        if self.how == "full disk":
            (place.folder / f"{self.name}.error.txt").mkdir()  # no file can be written there
            raise OSError("no space left")
        if self.how == "status 1":
            os._exit(1)


def test_whatever_ends_a_process_is_a_failure(tmp_path):
    jobs = [Fails("KeyError"), Fails("full disk"), Fails("status 1"), Fails("well")]
    (tmp_path / "run-well.error.txt").write_text("of an earlier try")
    first, second, third = sorted(run_side_by_side(jobs, Place(tmp_path), workers=2))
    assert first == "run-KeyError: KeyError: 'seed' (details in run-KeyError.error.txt)"
    assert second.startswith("run-full disk: no space left (without details: ")
    assert third == "run-status 1: ended with status 1"
    assert "raise KeyError" in (tmp_path / "run-KeyError.error.txt").read_text()
    assert not (tmp_path / "run-well.error.txt").exists()


def test_two_processes_are_never_at_one_run(place):
    jobs = [Job("tiny", 0, 0), Job("tiny", 1, 0)]
    with alone(place.folder / ".tiny-fold0", busy="busy"):
        (failure,) = run_side_by_side(jobs, place, workers=1)
    assert failure.startswith(f"tiny-fold0: another process is at this run in {place.folder}; wait for it")
    assert not (place.folder / "tiny-fold0.checkpoint").exists()
    assert (place.folder / "tiny-fold1.json").is_file()
    assert run_side_by_side(jobs[:1], place, workers=1) == []
    assert not list(place.folder.glob(".*"))


def test_ctrl_c_is_left_to_the_process_that_started_the_runs(place, monkeypatch):
    def press_and_go_on(job, place, sender) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        (place.folder / "went on").touch()

    monkeypatch.setattr(runner, "_work", press_and_go_on)
    assert run_side_by_side([Job("tiny", 0, 0)], place, workers=1) == []
    assert (place.folder / "went on").exists()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_what_is_done_costs_nothing_any_more(place):
    jobs = jobs_of(["tiny"])
    run_side_by_side(jobs[:1], place, workers=1)
    first, second, third = estimated_seconds(jobs, place)
    assert first == 0 < second == third


def test_a_damaged_checkpoint_does_not_stop_the_command(place):
    (job,) = jobs_of(["tiny"], folds=[0])
    path, net = place.folder / f"{job.name}.checkpoint", job.make_network()
    for steps in (5, 10):
        save_checkpoint(path, net, torch.optim.Adam(net.parameters()), History(TINY, "cpu", loss=[1.0] * steps))
    assert runner.steps_done(job, place.folder) == 10
    for damaged, left in ((path, 5), (previous(path), 0)):
        damaged.write_bytes(b"half")
        with pytest.warns(UserWarning, match="trying the checkpoint before it"):
            assert runner.steps_done(job, place.folder) == left


def test_the_cost_of_all_runs_is_that_of_the_longest_or_their_share():
    jobs = [Job("tiny", 0, 0), Job("tiny", 1, 0), Job("tiny", 1, 7)]
    assert "about 60 min" in format_cost(jobs, [3600, 60, 60], 2)
    assert "about 90 min" in format_cost(jobs, [3600, 3600, 3600], 2)


def test_the_list_says_which_folds_are_recorded():
    head, narrow, tiny = format_list([plan.EXPERIMENTS["u373-narrow"], EXPERIMENT]).splitlines()
    assert narrow.split() == ["u373-narrow", "16", "3000", "0.5", "0", "1", "0", "1"]
    assert tiny[head.index("folds") :].split() == ["0", "1", "none"]


def test_processes_start_with_one_thread_and_this_one_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MALLOC_TOP_PAD_", raising=False)
    with runner._environment(ENVIRONMENT):
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert os.environ["MALLOC_TOP_PAD_"] == str(2**28)
    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "MALLOC_TOP_PAD_" not in os.environ


def test_the_command_says_what_runs_cost_and_stops_there_if_asked(place, capsys, tmp_path):
    assert main(["reproduce", "tiny", "--cost", "--output", str(tmp_path / "runs"), "--workers", "2"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()] == [
        "tiny-fold0",
        "tiny-fold1",
        "tiny-fold1-seed7",
        "all,",
    ]
    assert list((tmp_path / "runs").iterdir()) == []


def test_no_worker_is_refused(place):
    with pytest.raises(ValueError, match="workers is 0"):
        run_side_by_side([], place, workers=0)
