"""Train any network within a budget of time: the same energy, optimiser and rates for all, whatever they learn from.

What is equal between methods that are compared is what the reader of a comparison has: time. The rate of each step
follows from the share of the budget that is spent, so a slow method takes fewer steps and still ends its schedule.
Time is the processor's own: it stands still while other programs have the core.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unet_paper.arrays import IGNORE
from unet_paper.model import autocast
from unet_paper.training.checkpoint import newest_checkpoint, save_checkpoint
from unet_paper.training.config import TrainConfig
from unet_paper.training.history import History, Validation
from unet_paper.training.step import make_optimiser, set_rate
from unet_paper.training.tiles import mixed_seed

Draw = Callable[[int], tuple[Tensor, Tensor]]  # step -> input of the network, classes (int64, `IGNORE` allowed)
CHECKPOINT_EVERY = 60.0  # s


@dataclass(frozen=True)
class Budget:
    """How long a training may take.

    Attributes
    ----------
    seconds : float
        Processor time in s, > 0; a cap if there is patience.
    steps : int
        Steps instead of time, for tests and for pages that must come out the same everywhere; 0: time counts.
    patience : int
        End after so many looks at validation images without an improvement, at a constant rate; 0: spend all of the
        budget, the rate falling by half a cosine to 0.
    look_every : float
        Seconds between two such looks.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    seconds: float = 300.0
    steps: int = 0
    patience: int = 0
    look_every: float = 60.0

    def __post_init__(self):
        for name in ("seconds", "look_every"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; needs a finite number of seconds above 0")
        for name in ("steps", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; needs 0 or more")

    def share(self, seconds: float, steps: int) -> float:
        """Return the share of the budget that `seconds` and `steps` have used; from 1 on it is spent."""
        return steps / self.steps if self.steps else seconds / self.seconds

    def part(self, share: float) -> Budget:
        """Return a budget of a share of this one."""
        steps = max(1, round(self.steps * share)) if self.steps else 0
        return Budget(self.seconds * share, steps, self.patience, self.look_every)


def spend(budget: Budget, *, seconds: float = 0.0, steps: int = 0) -> Iterator[tuple[int, float, float]]:
    """Give the number of each step, the seconds and the share of the budget spent before it, until it is spent.

    Parameters
    ----------
    budget : Budget
        What may be spent.
    seconds, steps : float, int
        What an interrupted run has spent before.
    """
    start = time.process_time() - seconds
    while (share := budget.share(seconds, steps)) < 1:
        yield steps, seconds, share
        steps += 1
        seconds = time.process_time() - start


def rate_at(config: TrainConfig, budget: Budget, step: int, share: float) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine over the budget (constant: patience)."""
    warm = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    falling = 1.0 if budget.patience else 0.5 * (1 + math.cos(math.pi * share))
    return config.learning_rate * warm * falling


def fit(
    net: nn.Module,
    draw: Draw,
    config: TrainConfig,
    budget: Budget,
    *,
    look: Callable[[nn.Module], tuple[float, float]] | None = None,
    checkpoint: Path | None = None,
    on_report: Callable[[History], None] | None = None,
) -> History:
    """Train a network within a budget; it is left in evaluation mode, with its best weights if there is patience.

    Parameters
    ----------
    net : torch.nn.Module
        Changed in place; `settings` names its shape.
    draw : callable
        Gives what is shown in each step: the network's input, and the true class of each of its scores.
    config : TrainConfig
        Optimiser, peak rate, warm-up, precision, seed of the dropout.
    budget : Budget
        How long.
    look : callable, optional
        Measures the network on validation images: pixel error and threshold. Needed for patience. Its time counts.
    checkpoint : pathlib.Path, optional
        Where the state is kept, with patience the best weights too, now and then and at the end; a run that finds one
        there goes on with it.
    on_report : callable, optional
        Called with the history now and then.

    Returns
    -------
    History
        Loss and rate of each step; `seconds` are the processor's.

    Raises
    ------
    ValueError
        If there is patience and no `look`, or the checkpoint is of other settings.
    """
    if budget.patience and look is None:
        raise ValueError(f"patience is {budget.patience}, but nothing looks at validation images; pass look")
    optimiser, history = make_optimiser(net, config), History(config=config, device="cpu")
    best = copy.deepcopy(net) if budget.patience else None  # holds the weights of the smallest error so far
    if checkpoint is not None and (earlier := newest_checkpoint(checkpoint)) is not None:
        if changed := config.continues(earlier.history.config):
            raise ValueError(
                f"{checkpoint} is of other settings ({', '.join(changed)}); delete it, or name another file"
            )
        earlier.put_into(net, optimiser, average=best)
        history = earlier.history
    looked = saved = history.seconds
    with torch.random.fork_rng([]):
        for step, seconds, share in spend(budget, seconds=history.seconds, steps=len(history.loss)):
            if budget.patience and _tired(history, budget.patience):
                break
            rate = rate_at(config, budget, step, share)
            history.loss.append(_step(net.train(), optimiser, draw, config, step, rate))
            history.rate.append(rate)
            history.seconds = seconds
            if on_report is not None and step % 10 == 0:
                on_report(history)
            if checkpoint is not None and seconds - saved >= CHECKPOINT_EVERY:
                saved = seconds
                save_checkpoint(checkpoint, net, optimiser, history, average=best)  # in an average's place
            if look is not None and seconds - looked >= budget.look_every:
                looked = seconds
                history.validation.append(Validation(step + 1, seconds, *look(net.eval())))
                if best is not None and _is_best(history):
                    best.load_state_dict(net.state_dict())
    if checkpoint is not None:
        save_checkpoint(checkpoint, net, optimiser, history, average=best)
    if best is not None and history.validation:
        net.load_state_dict(best.state_dict())
    net.eval()
    return history


def _step(net: nn.Module, optimiser, draw: Draw, config: TrainConfig, step: int, rate: float) -> float:
    """Update the weights once; returns the energy of Eq. 1, every annotated pixel with weight 1."""
    torch.manual_seed(mixed_seed(config.seed, step, 1))  # dropout
    images, classes = draw(step)
    set_rate(optimiser, rate)
    with autocast(images.device, config.precision):
        scores = net(images)
    loss = F.cross_entropy(scores.float(), classes, ignore_index=IGNORE)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def _is_best(history: History) -> bool:
    """Tell whether no look, of this run or before an interruption, found a smaller error than the last one."""
    errors = [look.pixel_error for look in history.validation]
    return errors[-1] == min(errors)


def _tired(history: History, patience: int) -> bool:
    errors = [look.pixel_error for look in history.validation]
    return bool(errors) and len(errors) - 1 - errors.index(min(errors)) >= patience
