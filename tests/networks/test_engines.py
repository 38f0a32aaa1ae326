"""Other engines: the same sizes and classes; int8 only where it was calibrated, the fastest only if it agrees."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
import torch
from tifffile import imwrite

import unet_paper as up
from tests.real_data import needs_sequences
from unet_paper.cli import main
from unet_paper.networks import engines
from unet_paper.networks.engine_network import EngineNetwork
from unet_paper.networks.engines import calibration_tiles, on_engine, training_images
from unet_paper.networks.extras import MissingPackageError

OPTIONAL = '370 MB that no chapter needs; .ci/run installs them: pip install --editable ".[export,engines]"'
NEEDS = {"torch": (), "onnxruntime": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino", "nncf")}


@pytest.fixture(scope="module")
def net():
    return up.load_network("u373")


@pytest.fixture(scope="module")
def frame():
    """Return half a generated frame at the network's scale."""
    return up.synthetic_cells(1, (200, 220), style="phase").images[0]


def available(engine: str) -> None:
    for package in NEEDS[engine]:
        pytest.importorskip(package, reason=OPTIONAL)


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_every_engine_gives_the_numbers_of_pytorch(engine, net, frame):
    available(engine)
    other = on_engine(net, engine)
    expected = up.predict_probability(net, frame, progress=False)
    assert np.abs(up.predict_probability(other, frame, progress=False) - expected).max() < 1e-4
    assert other.images == net.images


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_eight_bits_keep_the_classes(engine, net, frame):
    available(engine)
    other = on_engine(net, engine, precision="int8", calibration=[frame])
    expected, found = (up.predict_scores(each, frame, progress=False).argmax(axis=0) for each in (net, other))
    assert (found == expected).mean() > 0.97  # generated cells; on real ones: data/results/engines.json
    assert 0 < expected.mean() < 1


@pytest.mark.parametrize(
    ("engine", "precision", "said"),
    [
        ("torch", "int8", "onnxruntime and openvino"),
        ("onnxruntime", "bfloat16", "torch and openvino"),
        ("openvino", "float16", "not 'float16'"),
        ("tensorrt", "float32", "openvino"),
        ("openvino", "int8", "--calibration"),
        ("auto", "float32", "--calibration"),
    ],
)
def test_what_no_engine_can_do_is_said_in_one_line(engine, precision, said, net):
    with pytest.raises(ValueError, match=said):
        on_engine(net, engine, precision=precision)


@pytest.mark.parametrize(("engine", "package"), [("onnxruntime", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_engine_is_named_with_its_command(engine, package, net, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf'{package}: pip install --editable "PATH\[engines\]"'):
        on_engine(net, engine)


def test_sizes_are_checked_before_the_engine_sees_them(net):
    other = EngineNetwork(up.UNet(base_channels=1).eval(), lambda values: values, name="none")
    with pytest.raises(ValueError, match="572 and 588"):
        other(torch.zeros(1, 1, 580, 572))
    with pytest.raises(ValueError, match="smallest is 188"):
        other(torch.zeros(1, 1, 188, 100))
    with pytest.raises(ValueError, match="needs"):
        other(torch.zeros(1, 2, 188, 188))


def stand_ins(monkeypatch, ways: dict[str, tuple[float, float]]):
    """Replace engines by ones of a known time, which give the other class at a share of the pixels."""
    plain = up.UNet(base_channels=1).eval()

    def made(net, calibration):
        for name, (share, taken) in ways.items():
            other = EngineNetwork(plain, partial(scores_with, share), name=name)
            other.taken = taken
            yield other
        yield "another engine: not installed"

    monkeypatch.setattr(engines, "every_way", made)
    monkeypatch.setattr(engines, "seconds", lambda net, tile: net.taken)


def scores_with(share: float, values: np.ndarray) -> np.ndarray:
    """Return scores of 100 x 100 px in which the second class wins at a share of the pixels."""
    scores = np.zeros((len(values), 2, 100, 100), np.float32)
    scores[:, 1].reshape(-1)[: int(share * 10_000)] = 1
    return scores


@pytest.mark.parametrize(
    ("ways", "best"),
    [
        ({"torch float32": (0, 5), "openvino int8": (0.001, 1)}, "openvino int8"),
        ({"torch float32": (0, 5), "openvino int8": (0.02, 1)}, "torch float32"),
        ({"torch float32": (0, 5), "openvino int8": (0.02, 1), "torch bfloat16": (0.004, 2)}, "torch bfloat16"),
    ],
)
def test_the_fastest_is_taken_only_if_it_agrees(ways, best, monkeypatch, frame):
    stand_ins(monkeypatch, ways)
    lines = []
    assert engines.fastest(up.UNet(base_channels=1), [frame], say=lines.append).name == best
    assert lines[-1] == f"taken: {best}"
    assert "another engine: not installed" in lines


def test_calibration_tiles_are_legal_and_come_from_all_images(net):
    images = [np.full((400, 350), 0.2, np.float32), np.full((50, 60), 0.8, np.float32)]
    tiles = calibration_tiles(net, images)
    assert {tile.shape for tile in tiles} == {(1, 1, 316, 316)}
    assert {round(float(tile.mean()), 3) for tile in tiles} == {0.2, 0.8}
    with pytest.raises(ValueError, match="3 channels"):
        calibration_tiles(net, [np.zeros((3, 60, 60), np.float32)])


@needs_sequences
def test_a_published_network_knows_its_training_images(net):
    images = training_images(net.card)
    assert (len(images), images[0].shape) == (15, (260, 348))
    assert abs(np.mean(images) - net.images.mean) < 0.01


def test_a_card_without_images_says_what_to_give():
    with pytest.raises(ValueError, match="--calibration"):
        training_images({"data": "my own"})
    with pytest.raises(ValueError, match="--calibration"):
        training_images(None)


def segmented(folder, *options: str) -> int:
    return main(["segment", str(folder / "a.tif"), str(folder / "out"), "--network", "u373", *options])


def test_the_command_segments_with_another_engine(tmp_path, frame, capsys):
    available("openvino")
    imwrite(tmp_path / "a.tif", (255 * frame).astype(np.uint8))
    assert segmented(tmp_path, "--engine", "openvino", "--scale", "1") == 0
    assert (tmp_path / "out" / "a_mask.tif").is_file()
    assert segmented(tmp_path, "--precision", "int8", "--force") == 2
    assert "int8 runs on onnxruntime and openvino" in capsys.readouterr().err
