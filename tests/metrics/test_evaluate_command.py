"""The command `evaluate`: a table, a JSON file, and one clear line for bad files."""

import json

import numpy as np
import pytest
import tifffile

from unet_paper.cli import main
from unet_paper.metrics import em_scores


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.pad(np.full((2, 22, 30), 255, dtype=np.uint8), ((0, 0), (1, 1), (1, 1)))
    labels[:, :, 16] = 0  # two cells in each of two sections
    probability = np.clip(labels / 255 + rng.normal(0, 0.2, labels.shape), 0, 1).astype(np.float32)
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    tifffile.imwrite(tmp_path / "probability.tif", probability)
    tifffile.imwrite(tmp_path / "eight_bit.tif", (probability * 255).astype(np.uint8))
    return tmp_path


def test_table_and_json_hold_the_scores(files, capsys):
    out = files / "scores.json"
    assert main(["evaluate", str(files / "labels.tif"), str(files / "probability.tif"), "--json", str(out)]) == 0
    scores = em_scores(tifffile.imread(files / "labels.tif"), tifffile.imread(files / "probability.tif"))
    written = json.loads(out.read_text())
    assert written["best"]["rand_error"] == scores.rand_error
    assert written["curves"]["warping_error"] == scores.curves["warping_error"].tolist()
    assert f"{scores.pixel_error:.6f}" in capsys.readouterr().out
    assert not list(files.glob(".*"))


def test_eight_bit_map_needs_rescale(files, capsys):
    arguments = ["evaluate", str(files / "labels.tif"), str(files / "eight_bit.tif")]
    assert main(arguments) == 2
    assert "--rescale" in capsys.readouterr().err
    assert main([*arguments, "--rescale"]) == 0


@pytest.mark.parametrize("kept", [0, 7, 300, 1200])
def test_truncated_file_gives_one_line(files, capsys, kept):
    broken = files / "broken.tif"
    broken.write_bytes((files / "probability.tif").read_bytes()[:kept])
    assert main(["evaluate", str(files / "labels.tif"), str(broken), "--json", str(files / "out.json")]) == 2
    message = capsys.readouterr().err
    assert "broken.tif" in message
    assert message.count("\n") == 1
    assert not (files / "out.json").exists()


def test_missing_file_and_missing_folder_give_one_line(files, capsys):
    labels, probability = str(files / "labels.tif"), str(files / "probability.tif")
    assert main(["evaluate", labels, str(files / "nowhere.tif")]) == 2
    assert main(["evaluate", labels, probability, "--json", str(files / "nowhere" / "out.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 2
