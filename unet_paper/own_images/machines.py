"""The blocks of an image on one machine or on many: dask.distributed gives each to whoever is free.

What travels is small: the network once, the plan of the image, and back the result of a block. Each machine reads the
image itself, so all must see its path. If one is lost, dask gives its blocks to another; the result is the same,
because a block's depends on nothing but the block. Only the machine that started the work writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import lazy_loader
import numpy as np
from torch import Tensor, nn

from unet_paper.messages import install
from unet_paper.model import UNet
from unet_paper.own_images.blocks import BlockWork
from unet_paper.resizing import Part

distributed = lazy_loader.load("distributed", error_on_import=False)

SCHEDULER_WAIT = 10  # seconds to wait for a scheduler
AHEAD = 2  # blocks that wait at each thread of a machine, so that none is idle


def connected(address: str):
    """Return a client of the dask scheduler at an address such as ``"tcp://10.0.0.1:8786"``.

    Raises
    ------
    ValueError
        If the packages for it are missing, no scheduler answers there, or no machine has joined it.
    """
    try:
        client = distributed.Client(address, timeout=SCHEDULER_WAIT)
    except ModuleNotFoundError as error:
        raise ValueError(f"many machines need the packages dask and distributed: {install('machines')}") from error
    except (OSError, ValueError, MemoryError) as error:  # the latter: a web server's answer is read as a length
        raise ValueError(
            f"no dask scheduler answers at {address}; start one with `dask scheduler`, and `dask worker {address}` on "
            "each machine"
        ) from error
    try:
        client.wait_for_workers(1, timeout=SCHEDULER_WAIT)
    except OSError as error:  # a TimeoutError
        client.close()
        raise ValueError(f"no machine has joined the scheduler at {address}; start `dask worker {address}`") from error
    return client


def maps_of(
    work: BlockWork, net: nn.Module, parts: Sequence[Part], *, threshold: float | None, client=None
) -> Iterator[tuple[Part, np.ndarray]]:
    """Give each block and its map of class 1 as soon as it is there, in any order.

    Parameters
    ----------
    work : BlockWork
        The image.
    net : UNet
        The network.
    parts : sequence of Part
        The blocks, in px as the network sees the image.
    threshold : float or None
        Give where the map is above it instead of the map.
    client : distributed.Client, optional
        Whose machines compute; without one, this process does.

    Yields
    ------
    tuple of Part and numpy.ndarray
        The block, and (rows, columns) float32, or bool with a threshold.
    """
    if client is None:
        for part in parts:
            yield part, map_of(work, net, part, threshold)
        return
    try:
        yield from _shared(work, net, parts, threshold, client)
    except distributed.KilledWorker as error:
        raise RuntimeError(
            "a block was given to several machines, and each was lost; give them more memory (about 2 GB a thread for "
            "a wide network), or take smaller blocks (--block 1024); what is finished is kept"
        ) from error


def _shared(
    work: BlockWork, net: nn.Module, parts: Sequence[Part], threshold: float | None, client
) -> Iterator[tuple[Part, np.ndarray]]:
    """Keep every thread of the machines busy and give the results as they come."""
    state = {name: value.detach().cpu() for name, value in net.state_dict().items()}
    there = client.submit(_rebuilt, net.settings, state, pure=False)  # a task, so that it is made anew if it is lost
    waiting = list(reversed(parts))
    threads = max(1, sum(client.nthreads().values()))
    first = [waiting.pop() for _ in range(min(len(waiting), AHEAD * threads))]
    blocks = {client.submit(map_of, work, there, part, threshold, pure=False): part for part in first}
    running = distributed.as_completed(list(blocks), with_results=True)
    for future, result in running:
        part = blocks.pop(future)
        if waiting:
            new = waiting.pop()
            future = client.submit(map_of, work, there, new, threshold, pure=False)
            blocks[future] = new
            running.add(future)
        yield part, result


def map_of(work: BlockWork, net: nn.Module, part: Part, threshold: float | None) -> np.ndarray:
    """Return the map of one block, or where it is above a threshold."""
    probability = work.probability(net, part)
    return probability if threshold is None else probability > threshold


def _rebuilt(settings: dict, state: dict[str, Tensor]) -> nn.Module:
    """Return the network on the machine where this runs, in evaluation mode, so that its threads can share it."""
    net = UNet(**settings)
    net.load_state_dict(state)
    return net.eval()
