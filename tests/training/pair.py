"""What each process of test_distributed runs: `torchrun -m tests.training.pair CHECKPOINT`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from tests.training.test_distributed import TWO_TILES
from tests.training.tiny import bright_squares, tiny_net
from unet_paper.training import train

if __name__ == "__main__":
    path = Path(sys.argv[1])
    rank = int(os.environ["RANK"])
    net = tiny_net(seed=rank, dropout=0.0)  # rank 0 must hand its weights to the others
    train(net, bright_squares(), TWO_TILES, validation=bright_squares(), checkpoint=path, progress=False)
    torch.save(net.state_dict(), path.with_name(f"rank{rank}.pt"))
