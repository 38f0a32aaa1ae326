"""One step of training: forward pass, energy, backward pass, update; on a GPU recorded once and then replayed.

A step of the paper's network starts several hundred small programs on a GPU. Started one by one from Python, they keep
the host busy for about as long as the GPU; recorded as a CUDA graph, they start all at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from unet_paper.loss import energy
from unet_paper.model import autocast
from unet_paper.training.config import TrainConfig
from unet_paper.training.tiles import Batch

WARM_UP = 3  # steps before recording: the optimiser makes its state, cuDNN tries out its convolutions


def make_optimiser(net: nn.Module, config: TrainConfig) -> Optimizer:
    """Return the optimiser of a configuration, with its rate at the peak; the loop sets the rate of each step.

    While the rate changes, PyTorch's momentum differs from Caffe's: PyTorch applies the present rate to the whole
    average of gradients, Caffe bakes each gradient's own rate into it. At a constant rate they are the same.

    On a GPU all weights are updated at once, and the rate is a number on the GPU: a recorded step reads it anew.
    """
    device = next(net.parameters()).device
    on_gpu = device.type == "cuda"
    rate = torch.tensor(config.learning_rate, device=device) if on_gpu else config.learning_rate
    fused = on_gpu or config.fused or None  # None: PyTorch's own choice
    if config.optimiser == "sgd":
        return SGD(net.parameters(), lr=rate, momentum=config.momentum, fused=fused)
    adam = Adam(net.parameters(), lr=rate, betas=(config.momentum, 0.999), fused=fused, capturable=on_gpu)
    adam._warned_capturable_if_run_uncaptured = True  # PyTorch warns once of the steps before recording
    return adam


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the learning rate, in place where it lies on a GPU."""
    for settings in optimiser.param_groups:
        if isinstance(settings["lr"], Tensor):
            settings["lr"].fill_(rate)
        else:
            settings["lr"] = rate


def mean_energy(scores: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return Eq. 1 averaged over tiles: each tile counts alike, on whichever process it was computed.

    Parameters
    ----------
    scores, target, weight : Tensor
        (B, K, H, W), (B, H, W) and (B, H, W), as in `unet_paper.weighted_cross_entropy`.
    """
    tiles = zip(scores.split(1), target.split(1), weight.split(1), strict=True)
    return torch.stack([energy(*tile) for tile in tiles]).mean()


@dataclass(frozen=True)
class Step:
    """What happens to a batch of tiles: call it for a whole step, or its parts one by one to time them.

    Attributes
    ----------
    model : torch.nn.Module
        The network, or the network wrapped for several processes.
    optimiser : torch.optim.Optimizer
        From `make_optimiser`.
    precision : {"float32", "bfloat16"}
        Of the convolutions, as in `TrainConfig`.
    """

    model: nn.Module
    optimiser: Optimizer
    precision: str

    def __call__(self, tiles: Batch) -> Tensor:
        """Update the weights once; returns the energy of the tiles, a scalar still on the device."""
        image, target, weight = tiles
        loss = mean_energy(self.forward(image), target, weight)
        self.backward(loss)
        self.optimiser.step()
        return loss.detach()

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, tile, tile) -> scores (B, K, out, out)."""
        with autocast(image.device, self.precision):
            return self.model(image)

    def backward(self, loss: Tensor) -> None:
        """Put the gradient of `loss` into the network's parameters."""
        if loss.is_cuda:
            self._clear_in_place()
        else:
            self.optimiser.zero_grad()
        loss.backward()

    def _clear_in_place(self) -> None:
        """Set gradients to 0 where they lie: a recorded step writes to fixed places.

        Gradients get the memory order of their parameter; fused optimisers refuse any other, and the gradients of a
        1x1 convolution may come in one that differs.
        """
        for parameter in self.model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.optimiser.zero_grad(set_to_none=False)


class ReplayedStep:
    """A step that is recorded after `WARM_UP` ordinary ones and then replayed; the same numbers, started at once.

    The tiles of every step are copied to where those of the recorded one lay. Dropout follows `torch.manual_seed` in a
    replay as it does in an ordinary step.

    Parameters
    ----------
    step : Step
        What to do. Network and optimiser must stay where they are in memory.
    record : callable
        Takes a function without arguments; returns one that does the same again.
    """

    def __init__(self, step: Callable[[Batch], Tensor], *, record: Callable | None = None):
        self.step, self.record = step, record or _record_graph
        self.ordinary = 0  # steps so far that were not replayed
        self.places: Batch | None = None
        self.again: Callable[[], Tensor] | None = None

    def __call__(self, tiles: Batch) -> Tensor:
        """Update the weights once; returns the energy of the tiles, a scalar still on the device."""
        if self.again is None and self.ordinary == WARM_UP:
            self._record(tiles)
        if self.again is None:  # still warming up, or the step could not be recorded
            self.ordinary += 1
            with _side_stream(tiles[0].device):  # a recording must not see memory that the default stream still uses
                return self.step(tiles)
        # A graph knows addresses, not tensors: new tiles go where those of the recorded step lay.
        for place, part in zip(self.places, tiles, strict=True):
            place.copy_(part)
        return self.again().clone()  # the next replay overwrites the loss

    def _record(self, tiles: Batch) -> None:
        self.places = tuple(part.clone() for part in tiles)  # kept alive: every replay reads from here
        try:
            self.again = self.record(lambda: self.step(self.places))
        except RuntimeError as error:
            message = f"the training step cannot be recorded as a CUDA graph ({error}); it is started piece by piece"
            warnings.warn(f"{message}. If this fails too, pass cuda_graph=False", stacklevel=2)


def _record_graph(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Record what `work` starts on the GPU, without computing it; returns a function that starts it all at once."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()

    def again() -> Tensor:
        graph.replay()
        return result

    return again


@contextmanager
def gpu_settings(device: torch.device) -> Iterator[None]:
    """Make `device` the current GPU and let cuDNN keep the fastest convolutions that it finds; nothing on a CPU."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        with torch.cuda.device(device):
            yield
    finally:
        torch.backends.cudnn.benchmark = before


@contextmanager
def _side_stream(device: torch.device) -> Iterator[None]:
    """Work on another stream, as a recording does, between what came before and what comes after."""
    if device.type != "cuda":
        yield
        return
    here, aside = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        yield
    here.wait_stream(aside)
