"""One step: nothing in it waits for a GPU, and a replayed step computes what an ordinary one does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.training.tiny import CONFIG, bright_squares, same_numbers, tiny_net
from unet_paper.training import train
from unet_paper.training.step import WARM_UP, ReplayedStep, Step, make_optimiser, set_rate
from unet_paper.training.tiles import prepare_tiles

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="records work of a CUDA GPU; there is none here")


class Operations(TorchDispatchMode):
    """Notes every operation as its name and the devices of all tensors that take part."""

    def __init__(self):
        super().__init__()
        self.seen: list[tuple[str, set[str]]] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        self.seen.append((operation.overloadpacket.__name__, {tensor.device.type for tensor in tensors}))
        return result


def batches(count: int, device: str = "cpu"):
    tiles = prepare_tiles(bright_squares(), CONFIG, weights=None, border=8, device=torch.device(device))
    return [tiles.batch(step, range(1)) for step in range(count)]


def steps_of(net, update, count: int, *, optimiser) -> list[float]:
    """Return the losses of `count` steps with a rate that changes, each with its own dropout."""
    losses = []
    for number, tiles in enumerate(batches(count)):
        torch.manual_seed(number)
        set_rate(optimiser, 0.01 / (1 + number))
        losses.append(update(tiles))
    return [loss.item() for loss in losses]


def test_two_numbers_per_tile_come_from_the_host_and_none_goes_back():
    tiles = prepare_tiles(bright_squares(), CONFIG, weights=None, border=8, device=torch.device("meta"))
    with Operations() as operations:
        image, target, weight = tiles.batch(0, range(2))  # "meta" has no numbers: looking at one would be an error
    between = [name for name, devices in operations.seen if devices == {"cpu", "meta"}]
    assert between == ["_to_copy"] * 4  # displacement vectors and uniform numbers of two tiles
    assert [part.shape[1:] for part in (image, target, weight)] == [(1, 32, 32), (16, 16), (16, 16)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_looks_at_no_number(precision):
    net = tiny_net()
    step, tiles = Step(net, make_optimiser(net, CONFIG), precision), batches(1)[0]
    with Operations() as operations:
        step(tiles)
    names = {name for name, _ in operations.seen}
    assert "convolution" in names
    assert names.isdisjoint({"_local_scalar_dense", "nonzero", "masked_select", "unique2"})


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_replayed_step_computes_what_an_ordinary_one_does(optimiser):
    config = replace(CONFIG, optimiser=optimiser)
    one, other = tiny_net(), tiny_net()
    ordinary, replayed = make_optimiser(one, config), make_optimiser(other, config)
    update = ReplayedStep(Step(other, replayed, "float32"), record=lambda work: work)  # replays by doing it again
    expected = steps_of(one, Step(one, ordinary, "float32"), 6, optimiser=ordinary)
    assert steps_of(other, update, 6, optimiser=replayed) == expected
    assert update.ordinary == WARM_UP
    assert same_numbers(one, other)


def test_a_step_that_cannot_be_recorded_is_done_piece_by_piece():
    def refuse(work):
        raise RuntimeError("no such thing")

    one, other = tiny_net(), tiny_net()
    ordinary, fallen_back = make_optimiser(one, CONFIG), make_optimiser(other, CONFIG)
    expected = steps_of(one, Step(one, ordinary, "float32"), 6, optimiser=ordinary)
    update = ReplayedStep(Step(other, fallen_back, "float32"), record=refuse)
    with pytest.warns(UserWarning, match=r"cannot be recorded.*no such thing.*cuda_graph=False") as caught:
        assert steps_of(other, update, 6, optimiser=fallen_back) == expected
    assert len(caught) == 1  # tried once
    assert same_numbers(one, other)


def test_a_rate_that_is_a_tensor_is_set_in_place():
    net = tiny_net()
    rate = torch.tensor(0.5)
    optimiser = torch.optim.SGD(net.parameters(), lr=rate, fused=True)
    set_rate(optimiser, 0.25)
    assert optimiser.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25


def test_gradients_cleared_in_place_stay_where_they_lie():
    net = tiny_net().to(memory_format=torch.channels_last)
    step = Step(net, make_optimiser(net, CONFIG), "float32")
    step._clear_in_place()
    places = [parameter.grad.data_ptr() for parameter in net.parameters()]
    step.forward(batches(1)[0][0]).sum().backward()
    step._clear_in_place()
    assert [parameter.grad.data_ptr() for parameter in net.parameters()] == places
    assert all(parameter.grad.stride() == parameter.stride() for parameter in net.parameters())
    assert not any(parameter.grad.any() for parameter in net.parameters())


@needs_gpu
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_gpu_replays_the_ordinary_steps(optimiser):
    config = replace(CONFIG, optimiser=optimiser)
    graph, ordinary = (
        train(tiny_net(), bright_squares(), config, progress=False, device="cuda", cuda_graph=recorded)
        for recorded in (True, False)
    )
    assert graph.loss == pytest.approx(ordinary.loss, rel=1e-2)  # the same tiles and dropout, other rounding


@needs_gpu
def test_the_loop_never_waits_for_the_gpu():
    tiles = prepare_tiles(bright_squares(), CONFIG, weights=None, border=8, device=torch.device("cuda"))
    net = tiny_net().cuda()
    optimiser = make_optimiser(net, CONFIG)
    step = Step(net, optimiser, "bfloat16")
    step(tiles.batch(0, range(1)))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(1, 4):
            set_rate(optimiser, 0.01 / number)
            step(tiles.batch(number, range(1)))
    finally:
        torch.cuda.set_sync_debug_mode("default")
