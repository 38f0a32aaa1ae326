"""A run that is killed and resumed equals one that never stopped, bit for bit."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

from tests.training.tiny import CONFIG, bright_squares, same_numbers, tiny_net
from unet_paper.training import read_checkpoint, train


def test_killed_at_any_moment_and_resumed_equals_never_interrupted(tmp_path):
    data = bright_squares()
    net, resumed = tiny_net(), tiny_net(seed=7)  # the weights must come from the file
    history = train(net, data, CONFIG, validation=data, checkpoint=tmp_path / "whole", progress=False)

    path = tmp_path / "interrupted"
    first_death = random.Random(0).randrange(5, 9)  # behind the first checkpoint, so that every later child has one
    for death in (f"step:{first_death}", "writing", "moving"):
        child = subprocess.run([sys.executable, "-m", "tests.training.child", path, death], capture_output=True)
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    again = train(resumed, data, CONFIG, validation=data, checkpoint=path, resume=True, progress=False)

    assert same_numbers(resumed, net), f"weights differ, first death in step {first_death}"
    assert (again.loss, again.rate) == (history.loss, history.rate)
    assert [(v.step, v.pixel_error, v.threshold) for v in again.validation] == [
        (v.step, v.pixel_error, v.threshold) for v in history.validation
    ]
    (whole, _), (continued, _) = (read_checkpoint(tmp_path / name) for name in ("whole", "interrupted"))
    assert same_numbers(continued, whole)  # the optimiser's state too
    assert any(name.startswith("optimiser.") for name in whole)
