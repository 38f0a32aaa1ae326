"""Two processes with one tile each compute what one process computes with both tiles."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from tests.training.tiny import CONFIG, bright_squares, tiny_net
from unet_paper.training import History, read_checkpoint, train
from unet_paper.training.distributed import Processes

# Without dropout: each process drops other activations. One step of plain gradient descent shows the gradient itself.
TWO_TILES = replace(CONFIG, batch_size=2, steps=4, checkpoint_every=1, validate_every=2)


def test_two_gloo_processes_have_the_gradients_of_one_process_with_two_tiles(tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, "-m", "tests.training.pair", tmp_path / "pair"]
    subprocess.run(command, check=True, capture_output=True, timeout=1800)
    net = tiny_net(dropout=0.0)
    data = bright_squares()
    alone = train(net, data, TWO_TILES, validation=data, checkpoint=tmp_path / "alone", progress=False)

    tensors, metadata = read_checkpoint(tmp_path / "pair")
    expected, _ = read_checkpoint(tmp_path / "alone")
    together = History.from_json(metadata["history"])
    assert together.loss == pytest.approx(alone.loss, rel=1e-5)
    assert [v.pixel_error for v in together.validation] == [v.pixel_error for v in alone.validation]
    for name, value in expected.items():  # momentum buffers are sums of gradients
        torch.testing.assert_close(tensors[name], value, msg=lambda text, name=name: f"{name}: {text}")
    assert sorted(file.name for file in tmp_path.glob("pair*")) == ["pair", "pair.previous"]  # only rank 0 wrote
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in ranks[0])


def test_rank_0_takes_the_first_tiles_and_rank_1_the_next():
    shares = [list(Processes(rank, 2, torch.device("cpu")).share(6)) for rank in range(2)]
    assert shares == [[0, 1, 2], [3, 4, 5]]


def test_tiles_that_cannot_be_shared_evenly_are_refused():
    with pytest.raises(ValueError, match="batch_size 1 cannot be shared between 2 processes; choose a multiple of 2"):
        Processes(0, 2, torch.device("cpu")).share(1)
