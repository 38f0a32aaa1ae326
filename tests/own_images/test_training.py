"""From a folder to a network: what is planned, what is held out, what is written, and that it goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

import unet_paper as up
from unet_paper.cli import main
from unet_paper.datasets import synthetic_cells
from unet_paper.networks.image_settings import PERCENTILES
from unet_paper.own_images import learning
from unet_paper.own_images.pairs import Example
from unet_paper.own_images.plan import make_plan, split, touching_pairs, training_set

SCENE = synthetic_cells(3, 160, generator=np.random.default_rng(1))


def example(name: str, labels: np.ndarray) -> Example:
    return Example(name, (40 + 10 * (labels > 0)).astype(np.uint8), labels.astype(np.int32), 255.0, None)


def disc(side: int, radius: int, *, at: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    return (rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2


@pytest.fixture
def folders(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number, (image, labels) in enumerate(zip(SCENE.images, SCENE.labels, strict=True)):
        tifffile.imwrite(tmp_path / f"images/well {number}.tif", (4095 * image).astype(np.uint16))
        tifffile.imwrite(tmp_path / f"masks/well {number}_mask.tif", labels.astype(np.uint16))
    return tmp_path


def test_the_last_fifth_is_held_out():
    examples = [example(str(n), disc(40, 8, at=(20, 20))) for n in range(10)]
    learn, held_out = split(examples)
    assert [e.name for e in held_out] == ["8", "9"]
    assert len(learn) == 8


def test_of_a_single_image_one_half_is_held_out():
    cells = disc(60, 8, at=(15, 30)) + 2 * disc(60, 8, at=(45, 30))
    (learn,), (held_out,) = split([example("a", cells)])
    assert learn.labels.shape == held_out.labels.shape == (30, 60)
    assert (set(np.unique(learn.labels)), set(np.unique(held_out.labels))) == ({0, 1}, {0, 2})
    with pytest.raises(ValueError, match="only a has cells, and its lower half has none"):
        split([example("a", disc(60, 8, at=(15, 30)))])


def test_the_scale_follows_from_the_size_of_the_cells():
    scales = [make_plan([example(n, disc(200, r, at=(99, 99))) for n in "ab"]).images.scale for r in (70, 35, 17, 6)]
    assert scales == [0.25, 0.5, 1.0, 2.0]


def test_touching_pairs():
    assert touching_pairs(np.array([[1, 1, 2, 0, 3], [1, 4, 4, 0, 3]])) == 3  # 1-2, 1-4, 2-4


def test_images_of_different_sizes_become_windows_that_cover_them():
    sizes = (140, 300)
    examples = [example(str(n), np.arange(n * n).reshape(n, n) // n + 1) for n in sizes]  # every row is a cell
    plan = make_plan([example("a", disc(140, 17, at=(70, 70)))] * 2)
    windows = training_set(examples, plan.images, name="test").labels
    assert windows.shape == (1 + 9, 140, 140)
    assert set(np.unique(windows[1:])) == set(range(1, 301))


def test_a_dry_run_writes_nothing(folders, capsys, monkeypatch):
    monkeypatch.setattr(learning, "measure_step", lambda *_, **__: (0.25, "float32"))
    out = folders / "out"
    assert main(["train", str(folders / "images"), str(folders / "masks"), str(out), "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "1400 steps on tiles of 316 px, float32" in plan
    assert "held out     1 of 3: well 2" in plan
    assert not out.exists()


def test_the_speed_is_measured_where_the_first_images_hold_no_cell():
    empty = example("empty", np.zeros((140, 140)))
    examples = [empty, empty, example("all cell", np.ones((140, 140))), example("a", disc(140, 17, at=(70, 70)))]
    plan = make_plan(examples[3:] * 2)
    learn = training_set(examples, plan.images, name="own images")
    net = up.UNet(base_channels=1)
    before = net.state_dict()["score.bias"].clone()
    seconds, precision = learning.measure_step(net, learn, replace(plan.config, tile=204), device="cpu")
    assert seconds > 0
    assert precision in ("float32", "bfloat16")
    assert torch.equal(net.state_dict()["score.bias"], before)


def test_minutes_that_are_asked_for_are_used_and_checked(folders, capsys, monkeypatch):
    monkeypatch.setattr(learning, "measure_step", lambda *_, **__: (0.1, "float32"))
    command = ["train", str(folders / "images"), str(folders / "masks"), str(folders / "out"), "--dry-run"]
    steps = {}
    for minutes in ("", "20", "0.001"):
        assert main([*command, *(["--minutes", minutes] if minutes else [])]) == 0
        steps[minutes] = next(
            int(line.split()[1]) for line in capsys.readouterr().out.splitlines() if "steps on" in line
        )
    assert steps == {"": 1500, "20": 12_000, "0.001": 200}, "without being asked no longer than 1,500 steps"
    for minutes in ("-3", "nan", "inf"):
        assert main([*command, "--minutes", minutes]) == 2
        assert "needs a finite number above 0" in capsys.readouterr().err


def test_pixels_that_are_not_square_have_no_one_size():
    def planned(size: tuple[float, float]):
        one = Example("a", np.zeros((90, 90), np.uint8), disc(90, 20, at=(45, 45)).astype(np.int32), 255.0, size)
        return make_plan([one] * 2).images.pixel_size

    assert planned((0.5, 0.5)) == 0.5
    assert planned((0.5, 1.0)) is None


def test_train_writes_a_network_that_needs_no_argument(folders, capsys, monkeypatch):
    monkeypatch.setattr(learning, "measure_step", lambda *_, **__: (0.25, "float32"))
    arguments = ["train", str(folders / "images"), str(folders / "masks"), str(folders / "out"), "--steps", "2"]
    assert main(arguments) == 0
    written = {path.name for path in (folders / "out").iterdir()}
    assert written >= {
        "network.safetensors",
        "network.md",
        "report.html",
        "scores.csv",
        "held_out",
        "masks",
        "plan.json",
    }
    assert (folders / "out/masks/well 0_mask.tif").is_file()
    net = up.load_network(folders / "out/network.safetensors")
    assert (net.images.normalise, net.images.scale) == ("percentile", json_of(folders)["images"]["scale"])
    report = (folders / "out/report.html").read_text()
    assert report.count("<svg") == 2
    assert "data:image/png;base64," in report
    assert up.network_card(folders / "out/network.safetensors")["scores"]["held out"]["cells"] > 0
    card = (folders / "out/network.md").read_text()
    assert "Its terms are those of whatever it learned from" in card
    assert "restrict commercial use" not in card, "that is said of the book's own networks"
    capsys.readouterr()
    assert main(arguments) == 0  # the same command again: nothing is trained twice
    assert "going on with it" in capsys.readouterr().out
    tifffile.imwrite(folders / "images/new.tif", np.zeros((140, 140), np.uint16))
    assert main(arguments) == 0  # an image has come that is not annotated: nothing is trained, its mask is written
    assert (folders / "out/masks/new_mask.tif").is_file()
    assert main([*arguments, "--seed", "1"]) == 2
    assert "is from a run with another seed; name another folder\n" in capsys.readouterr().err


def json_of(folders) -> dict:
    return json.loads((folders / "out/plan.json").read_text())


def test_a_published_start_hands_on_its_terms(folders, monkeypatch):
    monkeypatch.setattr(learning, "measure_step", lambda *_, **__: (0.25, "float32"))
    trained = up.train_on_folder(
        folders / "images",
        folders / "masks",
        folders / "out",
        start="u373",
        steps=1,
        masks_of_all=False,
        progress=False,
    )
    card = up.network_card(folders / "out/network.safetensors")
    assert "non-commercial" in card["licence"]
    assert "started from the network u373" in card["licence"]
    assert not trained.plan.config.standardise  # its first layer takes grey values in [0, 1] already
    assert trained.net.base_channels == up.load_network("u373").base_channels


def test_a_published_network_is_right_without_further_arguments():
    """The scale of its card, 8-bit grey values as they are; 12 bits stored in 16 are brought to the same range."""
    net = up.load_network("u373")
    image = synthetic_cells(1, 160, generator=np.random.default_rng(2)).images[0]
    eight = (255 * (0.24 + 0.38 * (image - image.min()) / np.ptp(image))).astype(np.uint8)
    cells = up.segment(eight, net, min_size=20)
    expected = up.instances(up.predict_probability(net, eight, scale=0.5), min_size=20)
    np.testing.assert_array_equal(cells, expected)
    np.testing.assert_array_equal(up.segment([eight], "u373", min_size=20)[0], cells)
    twelve = up.own_images.Method().prepared(eight.astype(np.uint16) * 16, net.images)
    assert np.percentile(twelve, PERCENTILES) == pytest.approx([net.images.black, net.images.white], abs=1e-6)


def test_a_cell_that_the_edge_cuts_does_not_say_how_small_cells_are():
    cells = disc(100, 17, at=(50, 50)) + 2 * disc(100, 17, at=(0, 99))
    examples = [example("a", cells), example("b", cells)]
    assert make_plan(examples).images.min_size == disc(100, 17, at=(50, 50)).sum() // 2


def test_an_interrupted_run_goes_on_with_its_plan_and_its_steps(folders, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    def run(**options):
        return up.train_on_folder(
            *(folders / name for name in ("images", "masks", "out")), masks_of_all=False, progress=False, **options
        )

    monkeypatch.setattr(learning, "measure_step", lambda *_, **__: (0.25, "float32"))
    with monkeypatch.context() as patch:
        patch.setattr(learning, "judge", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(steps=2)
    assert not (folders / "out/network.safetensors").exists()
    monkeypatch.setattr(learning, "measure_step", interrupt)  # the speed is not measured again
    said = []
    trained = run(steps=2, say=said.append)
    assert "going on with it" in said[0]
    assert len(trained.history.loss) == 2
    assert (folders / "out/network.safetensors").exists()
