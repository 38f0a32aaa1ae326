"""Exported networks: any legal size, the numbers of PyTorch, and what their users must know beside them."""

from __future__ import annotations

import json
import sys
import zipfile

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import unet_paper as up
from unet_paper.cli import main
from unet_paper.networks.bioimage import prepared
from unet_paper.networks.export import ENDINGS, Portable, export_network, facts
from unet_paper.networks.exported import load_exported
from unet_paper.networks.extras import MissingPackageError, needed
from unet_paper.networks.image_settings import ImageSettings
from unet_paper.own_images.grey_values import normalised

FORMS = ("onnx", "torch-export", "openvino")
OPTIONAL = '370 MB that no chapter needs; .ci/run installs them: pip install --editable ".[export,engines]"'
NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch-export": (), "openvino": ("openvino",)}
NEEDS["bioimageio"] = (*NEEDS["onnx"], "bioimageio.core")
IMAGES = ImageSettings(scale=0.5, normalise="percentile", black=0.1, white=0.9, pixel_size=0.65, min_size=30)
CARD = {
    "name": "tiny",
    "task": "bright squares",
    "scale": 0.5,
    "data": "generated",
    "licence": "free for research use",
    "command": "none",
    "scores": {"seg": 0.5},
    "images": IMAGES.as_dict(),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return a network of 2 channels and the paper's depth, with a card."""
    net = up.UNet(base_channels=2)
    net.reset_parameters(torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("network") / "tiny.safetensors"
    up.save_network(path, net, card=CARD)
    return up.read_network(path)


@pytest.fixture(scope="module")
def files(tiny, tmp_path_factory):
    """Give the exported file of a form, written once."""
    folder, made = tmp_path_factory.mktemp("exported"), {}

    def exported(form):
        for package in NEEDS[form]:
            pytest.importorskip(package, reason=OPTIONAL)
        if form not in made:
            made[form] = export_network(tiny, folder / f"tiny{ENDINGS[form]}", format=form)
        return made[form]

    return exported


@pytest.fixture(scope="module")
def loaded(files):
    """Give the network that is read back from a form, read once."""
    made = {}

    def network(form):
        path = files(form)
        if form not in made:
            made[form] = load_exported(path)
        return made[form]

    return network


@given(
    depth=st.integers(1, 4),
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    variant=st.sampled_from(["paper", "release"]),
)
@settings(max_examples=12, deadline=None)
def test_crops_as_numbers_give_the_network_itself(depth, rows, columns, variant):
    net = up.UNet(base_channels=1, depth=depth, variant=variant).eval()
    image = torch.rand(1, 1, net.legal_size_for(rows), net.legal_size_for(columns))
    with torch.inference_mode():
        assert torch.equal(Portable(net)(image), net(image))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_takes_any_legal_size_and_gives_the_numbers_of_pytorch(form, loaded, tiny):
    other, generator = loaded(form), torch.Generator().manual_seed(1)
    for batch, rows, columns in ((1, 188, 188), (2, 188, 220), (1, 332, 252)):
        image = torch.rand(batch, 1, rows, columns, generator=generator)
        with torch.inference_mode():
            expected, found = tiny.net(image), other(image)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize("form", FORMS)
def test_an_image_of_any_size_tile_by_tile(form, loaded, tiny):
    image = np.random.default_rng(0).random((57, 83), dtype=np.float32)
    for tile in (220, 572):
        expected = up.predict_scores(tiny.net, image, tile=tile, progress=False)
        assert np.abs(up.predict_scores(loaded(form), image, tile=tile, progress=False) - expected).max() < 1e-4


@pytest.mark.parametrize("form", FORMS)
def test_what_the_user_must_know_travels_along(form, loaded, tiny):
    other = loaded(form)
    assert other.images == IMAGES
    assert other.card["licence"] == CARD["licence"]
    assert (other.border, other.legal_size_for(1), other.stride) == (92, 188, 16)
    assert facts(tiny)["sizes"]["in_words"] == "16k+60, at least 188"


@pytest.mark.parametrize("form", FORMS)
def test_a_size_that_is_not_legal_is_refused_with_its_neighbours(form, loaded):
    with pytest.raises(ValueError, match="572 and 588"):
        loaded(form)(torch.zeros(1, 1, 580, 188))
    with pytest.raises(ValueError, match="smallest is 188"):
        loaded(form)(torch.zeros(1, 1, 188, 60))


def test_onnx_names_its_sizes(files):
    path = files("onnx")
    onnx = pytest.importorskip("onnx", reason=OPTIONAL)
    shape = onnx.load(str(path)).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in shape] == ["batch", 1, "16*k + 60", "16*l + 60"]


def test_the_package_states_halo_sizes_pixels_and_licence(files):
    with zipfile.ZipFile(files("bioimageio")) as package:
        described = yaml.safe_load(package.read("rdf.yaml"))
        text = package.read("README.md").decode()
    axes = {axis.get("id"): axis for axis in described["inputs"][0]["axes"]}
    assert axes["y"]["size"] == {"min": 188, "step": 16}
    assert (axes["x"]["scale"], axes["x"]["unit"]) == (1300.0, "nanometer")  # 0.65 µm, seen at half size
    assert {axis["halo"] for axis in described["outputs"][0]["axes"] if "halo" in axis} == {92}
    assert described["config"]["unet_paper"]["card"]["licence"] == CARD["licence"]
    assert CARD["licence"] in text
    assert "16k+60" in text


def test_the_package_passes_the_test_of_bioimage_io(files):
    path = files("bioimageio")
    core = pytest.importorskip("bioimageio.core", reason=OPTIONAL)
    assert core.test_model(path).status == "passed"


@pytest.mark.parametrize("how", ["percentile", "range"])
def test_grey_values_in_a_package_are_those_of_segment(how):
    grey = np.random.default_rng(0).integers(300, 4095, (40, 50)).astype(np.float32)
    images = ImageSettings(normalise=how, black=0.2, white=0.7)
    found = prepared(grey[None, None], images.as_dict())[0, 0]
    assert np.allclose(found, normalised(grey, how, black=0.2, white=0.7), atol=1e-5)


def test_grey_values_of_eight_bits():
    assert np.allclose(prepared(np.full((1, 1, 3, 3), 51.0), ImageSettings().as_dict()), 0.2)


def test_what_cannot_be_exported_is_said_in_one_line(tiny, tmp_path):
    with pytest.raises(ValueError, match="torch-export"):
        export_network(tiny, format="keras")
    with pytest.raises(ValueError, match=r"tiny\.pt2"):
        export_network(tiny, tmp_path / "tiny.onnx", format="torch-export")
    with pytest.raises(FileNotFoundError, match="create it first"):
        export_network(tiny, tmp_path / "none" / "tiny.pt2", format="torch-export")
    there = tmp_path / "tiny.bin"
    there.write_text("mine")
    with pytest.raises(FileExistsError, match="--force"):
        export_network(tiny, tmp_path / "tiny.xml", format="openvino")
    with pytest.raises(ValueError, match="has no card"):
        export_network(tiny._replace(card=None), tmp_path / "tiny.zip", format="bioimageio")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.bin"]
    assert there.read_text() == "mine"


def test_a_missing_package_is_named_with_its_command(monkeypatch, tiny, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)  # as if it were not installed
    with pytest.raises(MissingPackageError, match=r'onnx: pip install --editable "PATH\[export\]"'):
        export_network(tiny, tmp_path / "tiny.onnx", format="onnx")
    assert not list(tmp_path.iterdir())
    assert needed("json", extra="export", what="a test") is json


@pytest.mark.parametrize("ending", ["onnx", "pt2", "xml"])
def test_a_file_that_is_no_network(ending, tmp_path):
    for package in NEEDS[{"onnx": "onnx", "pt2": "torch-export", "xml": "openvino"}[ending]]:
        pytest.importorskip(package, reason=OPTIONAL)
    damaged = tmp_path / f"damaged.{ending}"
    damaged.write_text("nothing")
    with pytest.raises(ValueError, match="is damaged, or no network"):
        load_exported(damaged)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        load_exported(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match=r"'\.txt'"):
        load_exported(tmp_path / "none.txt")


def test_the_command_says_what_must_be_known(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "u373", "--format", "torch-export"]) == 0
    shown = capsys.readouterr().out
    assert "16k+60, at least 188 px; halo: 92 px" in shown
    assert "non-commercial" in shown
    assert main(["export", "u373", "--format", "torch-export"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["export", "nothing", "--format", "onnx"]) == 2
    assert "networks here" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["u373.pt2"]
