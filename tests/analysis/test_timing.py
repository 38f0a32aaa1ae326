"""Where a step's time and memory go: counted by hand where that is possible, complete where it is measured."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch

from benchmarks import gpu
from tests.training.tiny import CONFIG, bright_squares, same_numbers, tiny_net
from unet_paper.analysis.memory import kept_bytes, largest_tile, training_bytes
from unet_paper.analysis.operations import step_flop, training_flop
from unet_paper.analysis.timing import (
    STAGES,
    compare_precisions,
    matrix_rate,
    measure_plain_step,
    measure_step,
    tf32,
)
from unet_paper.analysis.tracing import POOLING, trace
from unet_paper.model import UNet
from unet_paper.training.config import PAPER
from unet_paper.training.tiles import prepare_tiles

CPU = torch.device("cpu")


def kept_when_computed(net: UNet, tile: int) -> int:
    """Return what `kept_bytes` counts, from a forward pass that is really computed."""
    own = {parameter.data_ptr() for parameter in net.parameters()}
    kept = {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        scores = net(torch.zeros(1, 1, tile, tile))
    assert scores.requires_grad
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


def test_operations_of_a_step_by_hand():
    net = UNet(base_channels=1, depth=1)
    # 20 -> 18 -> 16 | 8 -> 6 -> 4 | 8 -> 6 -> 4 -> 4: output px times inputs of a neuron times channels
    first = 18**2 * 9
    others = 16**2 * 9 + 6**2 * 9 * 2 + 4**2 * 18 * 2 + 8**2 * 2 + 6**2 * 18 + 4**2 * 9 + 4**2 * 2
    assert step_flop(net, 20) == 2 * (2 * first + 3 * others)
    assert step_flop(net, 20, batch_size=3) == 3 * step_flop(net, 20)
    late = replace(PAPER, tile=20, steps=10, late_tile=24, late_steps=4)
    assert training_flop(net, late) == 6 * step_flop(net, 20) + 4 * step_flop(net, 24)
    assert training_flop(net, replace(late, late_tile=0, late_steps=0)) == 10 * step_flop(net, 20)


def test_a_step_of_the_papers_network_takes_nine_tenths_of_a_teraflop():
    assert step_flop(UNet(), 572) == pytest.approx(0.9e12, rel=0.01)


def test_what_a_forward_pass_keeps_by_hand():
    net = UNet(base_channels=1, depth=1, dropout=0.0)
    maps = 20**2 + 18**2 + 16**2 + 2 * 6**2 + 2 * 4**2 + 2 * 8**2 + 6**2 + 4**2  # inputs of convolutions, and ReLUs
    pooled = 8**2  # the pooled map; besides it the place of each maximum, as a number of 8 bytes
    assert kept_bytes(net, 20) == 4 * (maps + pooled) + 8 * pooled


@pytest.mark.parametrize(("tile", "dropout"), [(32, 0.5), (44, 0.0)])
def test_counting_without_numbers_finds_what_computing_keeps(tile, dropout):
    net = tiny_net(dropout=dropout)
    assert kept_bytes(net, tile) == kept_when_computed(net, tile)


def test_sixteen_bits_keep_half_of_it_but_for_the_places_of_maxima():
    net = UNet()
    places = 8 * sum(layer.values for layer in trace(net, 572) if layer.kind == POOLING)
    copies = 2 * sum(weight.numel() for weight in net.parameters() if weight.ndim == 4)
    expected = (kept_bytes(net, 572) - places) // 2 + places + copies
    assert kept_bytes(net, 572, precision="bfloat16") == expected


def test_training_holds_weights_gradients_and_their_running_sum():
    net = tiny_net()
    weights = sum(parameter.numel() for parameter in net.parameters())
    assert training_bytes(net, 32) - kept_bytes(net, 32) == 12 * weights


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_measured_step_has_all_stages_and_leaves_the_network_alone(precision):
    net = tiny_net()
    before = copy.deepcopy(net)
    measured = measure_step(net, bright_squares(), replace(CONFIG, precision=precision), repeats=2)
    assert same_numbers(net, before)
    assert tuple(measured["stage_seconds"]) == STAGES
    assert min(measured["stage_seconds"].values()) > 0
    assert measured["step_seconds"] >= measured["host_seconds"] > 0
    assert measured["floor_seconds"] == measured["flop"] / measured["matrix_rate"]
    assert measured["peak_memory_bytes"] is None  # PyTorch does not count the memory of a CPU
    assert json.loads(json.dumps(measured)) == measured


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_the_plain_loop_is_measured_on_a_copy_too(optimiser):
    net = tiny_net()
    measured = measure_plain_step(net, bright_squares(), replace(CONFIG, optimiser=optimiser), repeats=2)
    assert same_numbers(net, tiny_net())
    assert measured["step_seconds"] > 0
    assert measured["network_seconds"] > 0


def test_the_matrix_rate_is_a_rate():
    assert 1e6 < matrix_rate(CPU, "float32", side=64) < 1e15


def test_precisions_differ_little_and_not_by_nothing():
    tiles = prepare_tiles(bright_squares(), CONFIG, weights=None, border=8, device=CPU)
    compared = compare_precisions(tiny_net(), tiles.batch(0, range(2)))
    assert list(compared) == ["bfloat16"]  # TF32 is a GPU's
    assert 0 < compared["bfloat16"]["score_difference"] < 0.05
    assert 0 < compared["bfloat16"]["loss_difference"] < 0.05
    assert 0.9 < compared["bfloat16"]["same_class"] <= 1


def test_tf32_is_restored():
    before = torch.backends.cudnn.allow_tf32
    with tf32(not before):
        assert torch.backends.cudnn.allow_tf32 is not before
    assert torch.backends.cudnn.allow_tf32 is before


def test_the_benchmark_of_a_gpu_is_rehearsed_on_a_cpu(tmp_path):
    size = gpu.Size(base_channels=1, tile=188, tiles=(188, 204), repeats=1, training_steps=1, sections=2)
    notes = []
    record = gpu.measure(CPU, size, note=lambda so_far: notes.append(len(so_far)))
    assert len(notes) == len(gpu.PARTS)
    assert not [name for name in gpu.PARTS if "error" in record[name]]
    assert [row["tile_px"] for row in record["memory"]] == [188, 188, 204, 204]
    assert record["loop"]["steps"] == 10
    assert json.loads(json.dumps(record, allow_nan=False))["device"].startswith("CPU")


def test_a_part_of_the_benchmark_that_fails_says_so_and_lets_the_others_go_on():
    def broken(device):
        raise RuntimeError("out of memory")

    assert gpu.attempt(broken, CPU) == {"error": "RuntimeError: out of memory"}


def test_without_a_gpu_the_benchmark_says_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "--device cpu" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        gpu.main(["--quick", "--device", "cpu"])
    assert "--output" in capsys.readouterr().err


def test_the_largest_tile_fits_and_the_next_legal_one_does_not():
    net = UNet(base_channels=4)
    side = largest_tile(net, 50e6)
    assert net.is_legal_size(side)
    assert training_bytes(net, side) <= 50e6 < training_bytes(net, side + net.stride)
    with pytest.raises(ValueError, match="memory is 10 bytes; the smallest tile, 188 px, needs"):
        largest_tile(net, 10)
