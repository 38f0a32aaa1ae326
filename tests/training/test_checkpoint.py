"""Checkpoints are whole or refused, and a damaged one falls back to the one before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.tiny import CONFIG, bright_squares, same_numbers, tiny_net
from unet_paper.files import write_tensors
from unet_paper.model import UNet
from unet_paper.training import CheckpointError, read_checkpoint, train
from unet_paper.training.checkpoint import newest_checkpoint, previous, save_checkpoint
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
    checkpoint = newest_checkpoint(tmp_path / "run")
    checkpoint.put_into(other, restored)
    history = checkpoint.history
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


def other_images(data):
    return {"dataset": replace(data, images=data.images / 2)}


def other_labels(data):
    return {"dataset": replace(data, labels=np.where(data.labels == 1, 2, data.labels))}


def other_weights(data):
    return {"dataset": data, "weights": np.ones(data.images.shape)}


@pytest.mark.parametrize(
    ("change", "named"), [(other_images, "images"), (other_labels, "labels"), (other_weights, "weights")]
)
def test_a_run_on_other_data_is_refused_and_leaves_the_network_untouched(path, change, named):
    net = tiny_net(seed=1)
    with pytest.raises(ValueError, match=rf"was trained on other {named} \(their sha256 differ\); pass those"):
        train(net, config=SHORT, checkpoint=path, resume=True, progress=False, **change(bright_squares()))
    assert same_numbers(net, tiny_net(seed=1))
    assert net.training


@pytest.mark.parametrize("change", [{"learning_rate": 0.02}, {"seed": 5}])
def test_refused_settings_leave_the_network_untouched(path, change):
    net = tiny_net(seed=1)
    with pytest.raises(ValueError, match="trained with other settings"):
        train(net, bright_squares(), replace(SHORT, **change), checkpoint=path, resume=True, progress=False)
    assert same_numbers(net, tiny_net(seed=1))


def test_refused_validation_images_leave_the_network_untouched(path):
    net, unlabelled = tiny_net(seed=1), replace(bright_squares(), labels=None)
    with pytest.raises(ValueError, match="has no labels"):
        train(net, bright_squares(), SHORT, validation=unlabelled, checkpoint=path, resume=True, progress=False)
    assert same_numbers(net, tiny_net(seed=1))


def rewrite(path, *, drop=(), tensors=None, **metadata):
    """Write a checkpoint anew with other content and a checksum that fits."""
    there, named = read_checkpoint(path)
    kept = {key: value for key, value in {**named, **metadata}.items() if key not in drop}
    write_tensors(path, {**there, **(tensors or {})}, kept)


def test_a_run_that_is_longer_already_is_not_passed_off_as_a_shorter_one(path):
    fewer, net = replace(SHORT, steps=SHORT.steps - 1), tiny_net(seed=1)
    with pytest.raises(ValueError, match=f"has {SHORT.steps} steps already, more than {fewer.steps}; ask for at least"):
        train(net, bright_squares(), fewer, checkpoint=path, resume=True, progress=False)
    assert same_numbers(net, tiny_net(seed=1)), "untouched"


def test_a_checkpoint_from_before_there_were_fingerprints_still_resumes(path):
    expected = train(net := tiny_net(), bright_squares(), replace(SHORT, steps=8), progress=False)
    rewrite(path, drop=("data",))
    longer = replace(SHORT, steps=8)
    history = train(again := tiny_net(seed=1), bright_squares(), longer, checkpoint=path, resume=True, progress=False)
    assert same_numbers(again, net)
    assert history.loss == expected.loss


def test_numbers_that_do_not_fit_change_nothing(path):
    rewrite(path, tensors={"optimiser.0.momentum_buffer": torch.zeros(7)})
    net = tiny_net(seed=1)
    with pytest.raises(CheckpointError, match="holds numbers that do not fit its own settings"):
        train(net, bright_squares(), SHORT, checkpoint=path, resume=True, progress=False)
    assert same_numbers(net, tiny_net(seed=1))


def test_a_history_that_cannot_be_read_falls_back_to_the_checkpoint_before(path):
    rewrite(path, history='{"config": {"steps": "many"}}')
    with pytest.warns(UserWarning, match="from another version.*trying the checkpoint before it"):
        train(tiny_net(), bright_squares(), SHORT, checkpoint=path, resume=True, progress=False)


def test_numbers_of_numpy_train_and_are_written(tmp_path):
    """Settings out of `numpy.arange` or a table are NumPy's scalars, which JSON does not know."""
    config = replace(SHORT, steps=np.int64(2), learning_rate=np.float32(0.01), flips=np.bool_(True), seed=np.uint8(3))
    net = UNet(np.int64(1), np.int64(2), base_channels=np.int32(2), depth=np.int64(1), dropout=np.float64(0.5))
    train(net, bright_squares(), config, checkpoint=tmp_path / "run", progress=False)
    assert newest_checkpoint(tmp_path / "run").history.config == config
    assert type(config.steps) is type(net.depth) is int
