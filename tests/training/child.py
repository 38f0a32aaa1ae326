"""Train in a process of its own: `python -m tests.training.child CHECKPOINT DEATH`, killed by SIGKILL as DEATH says.

DEATH is `step:N` (while step N is computed), `writing` (a checkpoint is written but not yet moved into place) or
`moving` (the old checkpoint is moved away, the new one not yet in place).
"""

from __future__ import annotations

import os
import signal
import sys

from tests.training.tiny import CONFIG, bright_squares, tiny_net
from unet_paper.training import loop


def die() -> None:
    """End this process as a power cut would: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_step(number: int) -> None:
    """Arrange death in the middle of a step, after its gradient and before its update."""
    ask_rate = loop.learning_rate_at

    def fatal(config, step):
        return die() if step == number else ask_rate(config, step)

    loop.learning_rate_at = fatal


def die_in_move(count: int) -> None:
    """Arrange death instead of move number `count` of a file."""
    move, moves = os.replace, []

    def fatal(source, target):
        moves.append(target)
        return die() if len(moves) == count else move(source, target)

    os.replace = fatal


if __name__ == "__main__":
    path, death = sys.argv[1:]
    if death == "writing":
        die_in_move(1)
    elif death == "moving":
        die_in_move(2)
    else:
        die_in_step(int(death.removeprefix("step:")))
    data = bright_squares()
    loop.train(tiny_net(), data, CONFIG, validation=data, checkpoint=path, resume=True, progress=False)
