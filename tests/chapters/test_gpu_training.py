"""The chapter on GPU training: what is counted holds everywhere, what is live is complete, what is missing is named."""

from __future__ import annotations

import pytest
from harness import BOOK

from unet_paper import UNet
from unet_paper.analysis.operations import step_flop
from unet_paper.experiments import EXPERIMENTS, results_folder

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("gpu_training")


def test_a_step_and_ten_hours_are_counted(glued):
    assert glued["tflop"] == pytest.approx(0.902, abs=0.001)
    assert glued["titan_rate"] == pytest.approx(4.5, rel=0.001)
    assert glued["titan_steps"] == pytest.approx(36_000 * 4.5 / 0.902, rel=0.001)
    assert glued["live_hours"] == pytest.approx(60_000 * glued["live_floor"] / 3600)


def test_a_step_of_572_px_fits_into_6_gb_by_the_count(glued):
    assert glued["memory_bfloat16"] < glued["memory_float32"] < 1.2
    assert 572 < glued["largest_float32"] < glued["largest_bfloat16"]
    assert glued["largest_float32"] % 16 == 60 % 16


def test_small_tiles_are_dearer(glued):
    assert glued["useful_share"] == pytest.approx(388**2 / 572**2)
    assert glued["useful_small"] == pytest.approx(68**2 / 252**2)
    net, small = UNet(), glued["smallest"]
    work, outputs = step_flop(net, small) / step_flop(net, 572), net.output_size(small) ** 2 / 388**2
    assert glued["dearer_counted"] == pytest.approx(work / outputs)


def test_the_live_step_is_shared_between_its_stages(glued):
    assert 0 < glued["network_share"] < 1
    assert 0 < glued["tile_share"] < 1 - glued["network_share"]
    assert glued["floor_share"] > 0


def test_half_the_bits_change_little(glued):
    assert 0 < glued["score_difference"] < 0.05
    assert 0 <= glued["other_class"] == pytest.approx(1 - glued["same_class"])
    assert glued["same_class"] > 0.9
    assert glued["last_bfloat16"] == pytest.approx(glued["last_float32"], rel=0.05)


def test_what_was_not_recorded_is_named(glued):
    if not (results_folder() / "gpu_benchmark.json").exists():
        assert "make gpu" in glued["gpu_record"]
    recorded = {path.name.rsplit("-fold", 1)[0] for path in results_folder().glob("*-fold?.json")}
    of_em = {name for name, experiment in EXPERIMENTS.items() if experiment.task == "em"}
    assert all((name in glued["absent"]) for name in of_em - recorded)


def test_the_exercise_counts_what_its_solution_says():
    count = -(-(388**2) // 68**2)
    ratio = step_flop(UNet(), 252, batch_size=count) / step_flop(UNet(), 572)
    text = (BOOK / "gpu_training.md").read_text()
    assert f"it takes {count} small tiles" in text
    assert f"says {ratio:.1f}: " in text
