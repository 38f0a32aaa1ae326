"""The training loop of section 3: one energy, one optimiser, one (large) tile after the other.

References
----------
Ronneberger, Fischer, Brox (2015), section 3, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from unet_paper.datasets.dataset import Dataset
from unet_paper.metrics.maps import WARPING_THRESHOLDS
from unet_paper.training.checkpoint import Checkpoint, check_target, newest_checkpoint, save_checkpoint
from unet_paper.training.config import TrainConfig, learning_rate_at
from unet_paper.training.distributed import Processes, processes
from unet_paper.training.held_out import held_out_counts
from unet_paper.training.history import History, Validation
from unet_paper.training.step import ReplayedStep, Step, gpu_settings, make_optimiser, set_rate
from unet_paper.training.tiles import (
    Batch,
    TrainingTiles,
    check_pair,
    fingerprint,
    input_scales,
    mixed_seed,
    prepare_tiles,
)

REPORT_EVERY = {"cpu": 10, "cuda": 100}  # steps between two looks at the loss: at each one a GPU runs out of work
_EVALUATED = 388  # px that a tile of the held-out images answers for; quicker than many small training tiles


class DivergedError(ValueError):
    """The loss became NaN or infinite; the message says what to try."""


def train(
    net: nn.Module,
    dataset: Dataset,
    config: TrainConfig,
    *,
    validation: Dataset | None = None,
    weights: np.ndarray | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    device: str | torch.device | None = None,
    cuda_graph: bool = True,
    on_report: Callable[[History], None] | None = None,
) -> History:
    """Train a network; the same seed, machine and number of threads give the same weights, bit for bit, on a CPU.

    On a GPU the same seed gives the same tiles and the same dropped activations, but sums are added up in an order
    that may change from run to run: weights agree at first up to rounding, and drift apart as they would with another
    seed. Convolutions in "float32" run there as PyTorch sets them, by default in TF32 (inputs of 10 bits).

    Under `torchrun`, all processes call this function alike and share the tiles of each step.

    Parameters
    ----------
    net : UNet
        Changed in place, left in evaluation mode on `device`.
    dataset : Dataset
        Images (N, H, W) float32 in [0, 1] with labels (N, H, W): 0 background, 1..n objects, -1 ignored.
    config : TrainConfig
        `PAPER`, `SHORT_RUN`, or one made from them with `dataclasses.replace`.
    validation : Dataset, optional
        Annotated images that the training must not see; measured whole, every `config.validate_every` steps.
    weights : numpy.ndarray, optional
        (N, H, W) loss weights >= 0 to take instead of those of Eq. 2.
    checkpoint : str or pathlib.Path, optional
        Where to write checkpoints; without it nothing is written. Every process must see the same folder.
    resume : bool
        Continue from `checkpoint`, bit for bit as if never interrupted; start anew if there is none yet. Refused, with
        the network untouched, if settings, images, labels or weights are not those of the checkpoint.
    progress : bool
        Show a bar with loss and learning rate.
    device : str or torch.device, optional
        Where to compute; by default where the network is, under torchrun the GPU of each process.
    cuda_graph : bool
        Record a step once and replay it, where that is possible: on a GPU, in a single process, tiles of one size.
    on_report : callable, optional
        Called with the history each time the loop looks at the losses; for a progress display of one's own.

    Returns
    -------
    History
        Loss and learning rate of every step, validation measurements, seconds.

    Raises
    ------
    ValueError
        If the tile or `standardise` does not fit the network, the data cannot be trained on, or a checkpoint cannot be
        used.
    DivergedError
        If the loss becomes NaN or infinite.
    FileExistsError
        If there is a checkpoint already and `resume` is False.
    FileNotFoundError
        If the folder of `checkpoint` does not exist.

    References
    ----------
    Section 3 of doi:10.1007/978-3-319-24574-4_28.
    """
    _check_network(net, config)
    checkpoint = None if checkpoint is None else Path(checkpoint)
    if checkpoint is not None:
        check_target(checkpoint, resume=resume)
    with processes(net, device) as group, gpu_settings(group.device), torch.random.fork_rng(_gpus(group.device)):
        tiles = prepare_tiles(dataset, config, weights=weights, border=net.border, device=group.device)
        held_out = None if validation is None else check_pair(validation)
        data = None if checkpoint is None else fingerprint(dataset, weights=weights)
        earlier = newest_checkpoint(checkpoint) if resume and checkpoint is not None else None
        if earlier is not None:  # whatever is wrong is refused before the network changes
            earlier.check_network(net)
            _refuse_another_run(earlier, config, data)
        _place(net, config, group.device)
        optimiser, average = make_optimiser(net, config), _make_average(net, config)
        if earlier is not None:
            earlier.put_into(net, optimiser, average=average)
            earlier.history.config = config
        step = Step(group.wrap(net.train()), optimiser, config.precision)
        run = _Run(
            net=net,
            optimiser=optimiser,
            average=average,
            update=ReplayedStep(step) if cuda_graph and _can_replay(group, config) else step,
            tiles=tiles,
            validation=held_out,
            history=History(config=config, device=str(group.device)) if earlier is None else earlier.history,
            checkpoint=checkpoint,
            data=data,
            group=group,
            on_report=on_report,
        )
        run.complete(progress=progress and group.rank == 0)
    if average is not None:
        net.load_state_dict(average.module.state_dict())
    if not config.standardise_each:
        absorb_input_scale(net.eval(), float(tiles.mean[0]), float(tiles.deviation[0]))
    return run.history


def _make_average(net: nn.Module, config: TrainConfig) -> AveragedModel | None:
    """Return a second network that will hold the running average of the weights; None if the run wants none."""
    if config.average == 0:
        return None
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(config.average))


@torch.no_grad()
def absorb_input_scale(net: nn.Module, mean: float, deviation: float) -> None:
    """Make a network that was trained on (x - mean) / deviation take x instead, with the same output.

    Exact because the first convolution is unpadded: every weight it applies sees a pixel, never a made-up zero.
    """
    first = net.down[0][0]
    first.bias -= first.weight.sum(dim=(1, 2, 3)) * (mean / deviation)
    first.weight /= deviation


@dataclass
class _Run:
    """The state of a run and its steps; `history` tells how far it is."""

    net: nn.Module
    optimiser: Optimizer
    average: AveragedModel | None
    update: Callable[[Batch], Tensor]  # tiles -> their energy, after one update of the weights
    tiles: TrainingTiles
    validation: tuple[np.ndarray, np.ndarray] | None
    history: History
    checkpoint: Path | None
    data: dict[str, str] | None  # fingerprint of what is trained on
    group: Processes
    on_report: Callable[[History], None] | None = None
    pending: list[Tensor] = field(default_factory=list)  # losses that nobody has looked at yet

    @property
    def report_every(self) -> int:
        return REPORT_EVERY.get(self.group.device.type, REPORT_EVERY["cpu"])

    def complete(self, *, progress: bool) -> None:
        config, done = self.history.config, len(self.history.loss)
        self.started = time.perf_counter() - self.history.seconds
        with tqdm(total=config.steps, initial=done, desc="training", unit="step", disable=not progress) as bar:
            for step in range(done, config.steps):
                self.pending.append(self.step(step))
                self.after(step + 1, bar)

    def step(self, step: int) -> Tensor:
        """Draw tiles and update the weights; returns the energy, still on the device: nothing here waits for a GPU."""
        config = self.history.config
        torch.manual_seed(mixed_seed(config.seed, step, self.group.rank, 1))  # dropout, inside of fork_rng
        tiles = self.tiles.batch(step, self.group.share(config.batch_size))
        set_rate(self.optimiser, learning_rate_at(config, step))
        loss = self.update(tiles)
        if self.average is not None:
            self.average.update_parameters(self.net)
        return loss

    def after(self, done: int, bar: tqdm) -> None:
        """Do what is due when `done` steps are done; the same on every process, because they wait for each other."""
        config = self.history.config
        validates = self.validation is not None and _is_due(done, config.validate_every, config.steps)
        writes = self.checkpoint is not None and _is_due(done, config.checkpoint_every, config.steps)
        if validates or writes or _is_due(done, self.report_every, config.steps):
            self.report(done, bar)
        if validates:
            self.validate(done)
        if writes and self.group.rank == 0:
            state = (self.checkpoint, self.net, self.optimiser, self.history)
            save_checkpoint(*state, average=self.average, data=self.data)

    def report(self, done: int, bar: tqdm) -> None:
        """Look at the losses since the last report: the only place where a GPU is waited for."""
        config, first = self.history.config, len(self.history.loss)
        losses = (self.group.sum(torch.stack(self.pending)) / self.group.count).tolist()
        self.pending.clear()
        for step, loss in enumerate(losses, start=first):
            if not math.isfinite(loss):
                raise DivergedError(_divergence_message(config, step, loss))
        self.history.loss += losses
        self.history.rate += [learning_rate_at(config, step) for step in range(first, done)]
        self.history.seconds = time.perf_counter() - self.started
        bar.update(done - bar.n)
        bar.set_postfix_str(f"loss {np.mean(losses):.4f}, rate {self.history.rate[-1]:.2g}")
        if self.on_report is not None:
            self.on_report(self.history)

    def validate(self, done: int) -> None:
        """Measure the held-out images, shared between the processes."""
        config = self.history.config
        mine = slice(self.group.rank, None, self.group.count)
        images, labels = (array[mine] for array in self.validation)
        tile = max(config.tile, self.net.legal_size_for(_EVALUATED))
        best_net = self.net if self.average is None else self.average.module
        net = copy.deepcopy(best_net)  # prediction may move a network in memory, where a recorded step would miss it
        counts = held_out_counts(net, self.standardised(images), labels, tile=tile, precision=config.precision)
        *differing, annotated = self.group.sum(counts.to(self.group.device)).tolist()
        best = int(np.argmin(differing))
        self.history.seconds = time.perf_counter() - self.started
        entry = Validation(done, self.history.seconds, differing[best] / annotated, float(WARPING_THRESHOLDS[best]))
        self.history.validation.append(entry)

    def standardised(self, images: np.ndarray) -> np.ndarray:
        """Return held-out images (N, H, W) as the network under training takes them."""
        if self.history.config.standardise_each:
            mean, deviation = input_scales(images, self.history.config)
        else:
            mean, deviation = self.tiles.mean[:1], self.tiles.deviation[:1]
        return (images - mean.astype(np.float32)[:, None, None]) / deviation.astype(np.float32)[:, None, None]


def _check_network(net: nn.Module, config: TrainConfig) -> None:
    for name in ("tile", "late_tile") if config.late_steps else ("tile",):
        try:
            net.output_size(getattr(config, name))
        except ValueError as error:
            raise ValueError(f"config.{name} does not fit the network: {error}") from None
    if config.standardise and net.border == 0:
        raise ValueError(
            "a padded network sees zeros beside the image, so the scale of the images cannot become part of its first "
            "layer; set standardise_each=True instead of standardise"
        )
    if net.in_channels != 1 or net.num_classes != 2:
        found = f"{net.in_channels} input channels and {net.num_classes} classes"
        raise ValueError(f"the network has {found}; a data set of grey images needs 1 channel and 2 classes")


def _place(net: nn.Module, config: TrainConfig, device: torch.device) -> None:
    net.to(device, memory_format=torch.channels_last if config.channels_last else torch.contiguous_format)


def _can_replay(group: Processes, config: TrainConfig) -> bool:
    """Tell whether the step can be recorded: not on a CPU, nor with other processes, nor with tiles of two sizes."""
    return group.device.type == "cuda" and group.count == 1 and config.late_steps == 0


def _gpus(device: torch.device) -> list[torch.device]:
    """Return the devices beside the CPU whose random state dropout would change."""
    return [device] if device.type == "cuda" else []


def _is_due(done: int, every: int, steps: int) -> bool:
    return done == steps or (every > 0 and done % every == 0)


def _refuse_another_run(earlier: Checkpoint, config: TrainConfig, data: dict[str, str]) -> None:
    """Refuse to continue a run with other settings, images, labels or weights; old files do not say on which."""
    before = earlier.history.config
    if changed := config.continues(before):
        differ = ", ".join(f"{name} was {getattr(before, name)!r}" for name in changed)
        raise ValueError(
            f"{earlier.path} was trained with other settings ({differ}); restore them, or choose another path"
        )
    if (done := len(earlier.history.loss)) > config.steps:
        raise ValueError(
            f"{earlier.path} has {done} steps already, more than {config.steps}; ask for at least {done}, or choose "
            "another path for a new run"
        )
    if other := [name for name in earlier.data if earlier.data[name] != data.get(name)]:
        raise ValueError(
            f"{earlier.path} was trained on other {' and '.join(other)} (their sha256 differ); pass those, or choose "
            "another path for a new run"
        )


def _divergence_message(config: TrainConfig, step: int, loss: float) -> str:
    tries = [f"a learning rate below {config.learning_rate:g}", "a longer warm-up"]
    if config.precision != "float32":
        tries.append("precision 'float32'")
    return (
        f"the loss is {loss} at step {step}; try {', '.join(tries)}, and look for extreme values in images and weights"
    )
