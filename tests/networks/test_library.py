"""Trained networks as files: what is saved comes back, what is damaged is refused, what is published fits its card."""

from __future__ import annotations

import json
import os
import resource
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.networks.caffe_files import caffemodel
from tests.training.tiny import CONFIG, bright_squares, same_numbers, tiny_net
from unet_paper import UNet, load_network, network_card, predict_probability, save_network, train
from unet_paper.datasets.folders import VARIABLE, published
from unet_paper.experiments import EXPERIMENTS
from unet_paper.files import write_tensors
from unet_paper.networks import library
from unet_paper.networks.image_settings import ImageSettings
from unet_paper.networks.library import FORMAT, NAMES, sha256_of, write_card
from unet_paper.training.checkpoint import FORMAT as CHECKPOINT_FORMAT

CARD = {
    "name": "em-narrow",
    "task": "em",
    "scale": 0.5,
    "data": "ISBI 2012, frames 0 to 23",
    "held_out": "ISBI 2012, frames 24 to 29",
    "licence": "non-commercial",
    "command": "python -m unet_paper reproduce em-narrow --fold 4",
    "full_size_command": "python -m unet_paper reproduce em-full --device cuda",
    "steps": 5000,
    "scores": {
        "none": {"warping_error": 0.000353, "merged": 2, "threshold": {"warping_error": 0.5}},
        "7 rotations": {"warping_error": 0.0003, "merged": None},
    },
}


@pytest.fixture
def net() -> UNet:
    """Return a narrow network with random weights."""
    net = UNet(base_channels=4).eval()
    net.reset_parameters(torch.Generator().manual_seed(0))
    return net


@pytest.fixture
def path(tmp_path, net):
    """Save that network; return where."""
    save_network(tmp_path / "mine.safetensors", net, card=CARD)
    return tmp_path / "mine.safetensors"


def test_what_is_saved_comes_back_rounded_to_half_precision(path, net):
    loaded = load_network(path)
    assert loaded.settings == net.settings
    assert not loaded.training
    for (name, before), after in zip(net.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert after.dtype == torch.float32
        error = (after - before).abs()
        assert (error <= 2**-11 * before.abs() + 2**-25).all(), name  # 11 significant bits, 2**-24 the smallest step


def test_rounding_hardly_changes_what_the_network_says(path, net):
    image = torch.rand(1, 1, 236, 236, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before, after = net(image), load_network(path)(image)
    assert 0 < (after - before).square().mean().sqrt() < 0.005 * before.std()
    assert (after.softmax(dim=1) - before.softmax(dim=1)).abs().max() < 0.01  # no probability by a percent


def test_a_second_round_trip_changes_nothing(path, net):
    again = path.with_name("again.safetensors")
    save_network(again, load_network(path), card=CARD)
    assert again.read_bytes() == path.read_bytes()  # so the checksum in a record names one network


def test_settings_that_are_not_the_papers_come_back(tmp_path):
    net = UNet(3, 5, base_channels=2, depth=2, dropout=0.0, variant="release")
    save_network(tmp_path / "other", net, card=CARD)
    assert load_network(tmp_path / "other").settings == net.settings


def test_the_card_comes_back(path):
    assert network_card(path) == CARD


def test_the_file_takes_two_bytes_a_parameter(path, net):
    parameters = sum(parameter.numel() for parameter in net.parameters())
    assert 2 * parameters < path.stat().st_size < 2 * parameters + 10_000


def test_loading_leaves_the_global_generator_alone(path):
    before = torch.get_rng_state()
    load_network(path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("value", "named"), [(65520.0, "65520"), (float("nan"), "nan"), (float("-inf"), "inf")])
def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path, net, value, named):
    with torch.no_grad():
        net.score.bias[1] = value
    with pytest.raises(ValueError, match=rf"score\.bias holds {named}; a file holds float16"):
        save_network(tmp_path / "bad", net, card=CARD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": {"seg": np.float32(0.9)}}, "the card is not plain JSON"),
        ({"scores": {"seg": float("nan")}}, "the card is not plain JSON"),
        ({"scale": 0}, "the card's scale is 0; needs a number above 0"),
        ({"scale": "half"}, "the card's scale is 'half'"),
    ],
)
def test_a_card_that_nobody_could_read_is_refused(tmp_path, net, change, message):
    with pytest.raises(ValueError, match=message):
        save_network(tmp_path / "bad", net, card={**CARD, **change})


def test_a_card_without_the_necessary_is_refused(tmp_path, net):
    with pytest.raises(ValueError, match="the card lacks scale, data, licence, command, scores"):
        save_network(tmp_path / "bad", net, card={"name": "x", "task": "em"})


def test_a_missing_folder_is_named(tmp_path, net):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; create it first"):
        save_network(tmp_path / "nowhere" / "net", net, card=CARD)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, net, monkeypatch):
    before = path.read_bytes()

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_network(path, net, card={**CARD, "name": "new"})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def truncate(content: bytes) -> bytes:
    return content[:-100]


def change_a_weight(content: bytes) -> bytes:
    return content[:-50] + bytes([content[-50] ^ 1]) + content[-49:]


def change_the_card(content: bytes) -> bytes:
    return content.replace(b"non-commercial", b"public domain!")


@pytest.mark.parametrize("damage", [truncate, change_a_weight, change_the_card, lambda _: b"", lambda _: b"\0" * 1000])
def test_a_damaged_file_is_refused(path, damage):
    path.write_bytes(damage(path.read_bytes()))
    for read in (load_network, network_card):
        with pytest.raises(ValueError, match=r"mine\.safetensors is damaged"):
            read(path)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory):
    """Save the smallest network; return where."""
    path = tmp_path_factory.mktemp("networks") / "mine.safetensors"
    save_network(path, UNet(base_channels=1, depth=1), card=CARD)
    return path


@given(data=st.data(), bit=st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_one_changed_bit_anywhere_is_noticed(smallest, data, bit):
    content = bytearray(smallest.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << bit
    changed = smallest.with_name("changed.safetensors")
    changed.write_bytes(content)
    with pytest.raises(ValueError, match=r"changed\.safetensors"):
        load_network(changed)


def test_somebody_elses_safetensors_file_is_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors is not a network that save_network wrote: format None"):
        load_network(tmp_path / "other.safetensors")


def test_weights_of_another_network_than_the_settings_say_are_refused(tmp_path, net):
    metadata = {"format": FORMAT, "network": json.dumps({**net.settings, "base_channels": 3}), "card": "{}"}
    write_tensors(tmp_path / "odd", net.state_dict(), metadata)
    with pytest.raises(ValueError, match="odd holds weights that do not fit its own settings"):
        load_network(tmp_path / "odd")


@pytest.mark.parametrize(
    "claim",
    [{"base_channels": 384}, {"base_channels": 10**15}, {"depth": 10**9}, {"depth": "4"}, {"num_classes": 2.5}, []],
)
def test_a_file_that_claims_a_large_network_costs_nothing(tmp_path, net, claim):
    """A file of some 280 bytes; a network of 384 channels would take 4.5 GB."""
    settings = {**net.settings, "depth": 4, **claim} if claim else claim
    path = tmp_path / "forged"
    write_tensors(path, {"w": torch.zeros(5)}, {"format": FORMAT, "network": json.dumps(settings), "card": "{}"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, the highest so far
    with pytest.raises(ValueError, match="forged holds weights that do not fit its own settings") as refused:
        load_network(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": FORMAT, "network": '{"depth": 1}', "card": "no JSON"}, "do not fit its own settings"),
        ({"format": CHECKPOINT_FORMAT, "network": "{}"}, "states no history config that can be read"),
        ({"format": CHECKPOINT_FORMAT, "network": "{}", "history": "[]"}, "states no history config that can be read"),
        ({"format": CHECKPOINT_FORMAT, "network": "[]", "history": '{"config": {}}'}, "do not fit its own settings"),
    ],
)
def test_a_file_whose_text_is_forged_is_refused(tmp_path, metadata, message):
    write_tensors(tmp_path / "forged", {"net.w": torch.zeros(5)}, metadata)
    with pytest.raises(ValueError, match=f"forged .*{message}"):
        load_network(tmp_path / "forged")


class Intruder:
    """Makes a file when unpickled."""

    def __reduce__(self):
        return open, ("intruder", "w")


def test_a_pickle_is_refused_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(Intruder(), tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="is damaged"):
        load_network(tmp_path / "net.safetensors")
    assert not (tmp_path / "intruder").exists()


def test_networks_have_names_in_the_data_folder(path, net, monkeypatch):
    models = path.parent / "models"
    models.mkdir()
    for name in NAMES:
        shutil.copy(path, models / f"{name}.safetensors")
    monkeypatch.setenv(VARIABLE, str(path.parent))
    for name in NAMES:
        assert network_card(name) == CARD
        assert same_numbers(load_network(name), net.half().float())


def test_an_unknown_name_lists_what_there_is(path, monkeypatch):
    models = path.parent / "models"
    models.mkdir()
    shutil.move(path, models)
    monkeypatch.setattr(library, "data_roots", lambda: [path.parent])
    monkeypatch.setattr(library, "published", lambda: path.parent)
    with pytest.raises(FileNotFoundError, match=r"called 'retina'; networks here: mine\. `python -m unet_paper reprod"):
        load_network("retina")
    with pytest.raises(FileNotFoundError, match=r"called 'em'; .* reproduce em-small` trains one"):
        load_network("em")
    with pytest.raises(FileNotFoundError, match="called '/nowhere/em'"):
        load_network("/nowhere/em")


def test_what_an_error_tells_to_run_exists():
    assert {name: EXPERIMENTS[experiment].published for name, experiment in NAMES.items()} == dict(
        zip(NAMES, NAMES, strict=True)
    )


def checkpoint_of_two_steps(path, **settings) -> UNet:
    """Train two steps with a checkpoint at the end; return the network."""
    data, net = bright_squares(), tiny_net()
    config = replace(CONFIG, steps=2, warmup_steps=0, checkpoint_every=2, validate_every=0, **settings)
    train(net, data, config, weights=np.ones_like(data.images), checkpoint=path, progress=False)
    return net


def test_a_card_says_what_had_been_looked_at_before_its_scores(tmp_path, net):
    path = tmp_path / "film.safetensors"
    save_network(path, net, card={**CARD, "name": "dic-hela-narrow"})
    assert "selection on the test sequence" in write_card(path).read_text().replace("\n", " ")
    save_network(path, net, card={**CARD, "name": "dic-hela-narrow", "looked_at": "Nothing at all."})
    assert "## What had been looked at before\n\nNothing at all.\n" in write_card(path).read_text()
    save_network(path, net, card={**CARD, "name": "mine"})
    assert "looked at before" not in write_card(path).read_text()


def test_a_training_checkpoint_is_a_network_without_a_card(tmp_path):
    net = checkpoint_of_two_steps(tmp_path / "run")
    loaded = load_network(tmp_path / "run")
    assert same_numbers(loaded, net)
    assert not loaded.training
    with pytest.raises(ValueError, match="run has no card, so the scale of its images is not known"):
        network_card(tmp_path / "run")


def test_a_checkpoint_that_wants_standardised_images_is_refused(tmp_path):
    checkpoint_of_two_steps(tmp_path / "run", standardise=True)
    with pytest.raises(ValueError, match=r"standardise=True .* not \[0, 1\], until it ends; finish the run"):
        load_network(tmp_path / "run")


def test_a_checkpoint_of_images_standardised_one_by_one_says_so(tmp_path):
    checkpoint_of_two_steps(tmp_path / "run", standardise_each=True)
    assert load_network(tmp_path / "run").images == ImageSettings(standardise=True)


def test_a_caffe_file_is_a_network_without_a_card(tmp_path):
    net = UNet(variant="release", base_channels=2)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(net))
    assert same_numbers(load_network(tmp_path / "net.caffemodel"), net)
    with pytest.raises(ValueError, match=r"net\.caffemodel has no card"):
        network_card(tmp_path / "net.caffemodel")


def test_the_page_of_a_network_says_what_its_user_must_know(path, net):
    page = write_card(path)
    text = page.read_text()
    assert page.name == "mine.md"
    for entry in ("data", "held_out", "licence", "command", "full_size_command"):
        assert CARD[entry] in text
    assert sha256_of(path) in text
    assert 'load_network("mine")' in text
    assert "scale=0.5" in text
    assert f"{sum(parameter.numel() for parameter in net.parameters()):,} parameters" in text
    assert "| average | warping_error | merged |\n| --- | --- | --- |\n| none | 0.000353 | 2 |\n" in text
    assert "| 7 rotations | 0.0003 |  |" in text


def test_scores_without_averages_make_two_columns(path, net):
    save_network(path, net, card={**CARD, "scores": {"seg": 0.9203}})
    assert "| measure | value |\n| --- | --- |\n| seg | 0.9203 |" in write_card(path).read_text()


def test_every_published_network_fits_its_page_and_predicts(tmp_path):
    image = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    for path in sorted((published() / "models").glob("*.safetensors")):
        assert path.stem in NAMES
        page = write_card(shutil.copy(path, tmp_path))
        assert page.read_text() == path.with_suffix(".md").read_text(), f"run write_card on {path.name}"
        probability = predict_probability(load_network(path), image, progress=False)
        assert probability.shape == (2, 20, 30)
        np.testing.assert_allclose(probability.sum(axis=0), 1, atol=1e-5)
