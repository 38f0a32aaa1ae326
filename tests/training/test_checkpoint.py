"""Checkpoints are whole or refused, and a damaged one falls back to the one before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.tiny import CONFIG, bright_squares, same_numbers, tiny_net
from unet_paper.model import UNet
from unet_paper.training import CheckpointError, read_checkpoint, train
from unet_paper.training.checkpoint import previous, restore_checkpoint, save_checkpoint
from unet_paper.training.history import History
from unet_paper.training.step import make_optimiser

SHORT = replace(CONFIG, steps=6, checkpoint_every=2, validate_every=0)


@pytest.fixture
def path(tmp_path):
    """Train six steps with a checkpoint every second one; return where the last one lies."""
    train(tiny_net(), bright_squares(), SHORT, checkpoint=tmp_path / "run.safetensors", progress=False)
    return tmp_path / "run.safetensors"


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def change_one_byte(path):
    content = bytearray(path.read_bytes())
    content[-50] ^= 1  # within the weights: still a valid safetensors file
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def test_the_last_two_checkpoints_lie_on_disk_and_nothing_else(path):
    assert sorted(file.name for file in path.parent.iterdir()) == ["run.safetensors", "run.safetensors.previous"]
    steps = [len(History.from_json(read_checkpoint(file)[1]["history"]).loss) for file in (path, previous(path))]
    assert steps == [6, 4]


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(tiny_net(), bright_squares(), replace(SHORT, steps=2), progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_restoring_gives_back_weights_and_optimiser_exactly(tmp_path, optimiser, channels_last):
    config = replace(SHORT, optimiser=optimiser, channels_last=channels_last)
    train(net := tiny_net(), bright_squares(), config, checkpoint=tmp_path / "run", progress=False)
    other = tiny_net(seed=1)
    if channels_last:
        other.to(memory_format=torch.channels_last)
    restored = make_optimiser(other, config)
    history = restore_checkpoint(tmp_path / "run", other, restored)
    assert same_numbers(net, other)
    assert history.config == config
    save_checkpoint(tmp_path / "copy", other, restored, history)
    assert same_numbers(read_checkpoint(tmp_path / "copy")[0], read_checkpoint(tmp_path / "run")[0])


@pytest.mark.parametrize("damage", [truncate, change_one_byte, empty])
def test_a_damaged_checkpoint_is_refused_and_the_previous_one_used(path, damage):
    net, resumed = tiny_net(), tiny_net(seed=1)
    expected = train(net, bright_squares(), SHORT, progress=False)
    damage(path)
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)
    with pytest.warns(UserWarning, match="damaged.*trying the checkpoint before it"):
        history = train(resumed, bright_squares(), SHORT, checkpoint=path, resume=True, progress=False)
    assert same_numbers(resumed, net)
    assert history.loss == expected.loss


def test_two_damaged_checkpoints_stop_with_what_to_do(path):
    for file in (path, previous(path)):
        truncate(file)
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(CheckpointError, match=r"delete it and .*previous to start anew"),
    ):
        train(tiny_net(), bright_squares(), SHORT, checkpoint=path, resume=True, progress=False)


def test_an_existing_checkpoint_is_never_overwritten_unasked(path):
    with pytest.raises(FileExistsError, match="pass resume=True"):
        train(tiny_net(), bright_squares(), SHORT, checkpoint=path, progress=False)


def test_a_missing_folder_is_named_before_training(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; create it"):
        train(tiny_net(), bright_squares(), SHORT, checkpoint=tmp_path / "nowhere" / "run", progress=False)


def test_another_network_is_refused(path):
    with pytest.raises(CheckpointError, match="base_channels 2 there, 3 here"):
        train(UNet(base_channels=3, depth=1), bright_squares(), SHORT, checkpoint=path, resume=True, progress=False)


def test_other_settings_are_refused_but_more_steps_are_welcome(path):
    other = replace(SHORT, learning_rate=0.02)
    with pytest.raises(ValueError, match=r"learning_rate was 0\.01"):
        train(tiny_net(), bright_squares(), other, checkpoint=path, resume=True, progress=False)
    longer = train(tiny_net(), bright_squares(), replace(SHORT, steps=8), checkpoint=path, resume=True, progress=False)
    assert len(longer.loss) == 8


def test_a_file_of_another_kind_is_refused(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "run")  # a pickle: never opened as one
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path / "run")
