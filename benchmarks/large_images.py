"""Memory and minutes of `segment`: an image larger than memory, and many small frames.

`python -m benchmarks.large_images --side 20000` writes a tiled TIFF of 20,000 x 20,000 px, segments it block by block
on one thread with a narrow network, and prints the peak of this process's memory, the minutes, and what the network of
a published width would take, from one of the blocks that is computed with it too.
`python -m benchmarks.large_images --frames 1000` does so for as many frames of 128 px: compare with `--frames 50`.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
import torch
from scipy import ndimage

from unet_paper.datasets.image_files import describe
from unet_paper.model import UNet
from unet_paper.own_images import Method, segment_files
from unet_paper.own_images.blocks import SIDE, cuts, look_at, parts, work_on

TILE = 512  # px of the TIFF


def cells_image(side: int, *, seed: int = 0) -> np.ndarray:
    """Return round bright cells about 30 px across on a dark ground, (side, side) uint8."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((side, side), dtype=np.float32), 8, mode="wrap")
    return (255 * ((noise - noise.min()) / np.ptp(noise))).astype(np.uint8)


def tiles_of(side: int) -> Iterator[np.ndarray]:
    """Give the tiles of a large image; every tile is another part of one image, rolled."""
    image, random = cells_image(2 * TILE), np.random.default_rng(1)
    for _ in range((-(-side // TILE)) ** 2):
        yield np.roll(image, random.integers(0, 2 * TILE, 2), (0, 1))[:TILE, :TILE]


def network(channels: int) -> UNet:
    """Return a network with random weights: what it finds does not matter here, only that its map varies."""
    net = UNet(base_channels=channels, dropout=0)
    net.reset_parameters(torch.Generator().manual_seed(3))
    return net.eval()


def threshold_of(net: UNet) -> float:
    """Return the probability above which two fifths of a small image lie."""
    map_of = next(Method().segment_each([cells_image(512)], net, progress=False)).probability
    return float(np.quantile(map_of, 0.6))


def peak() -> float:
    """Return the largest memory of this process so far in GB (of 10^9 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def one_large_image(folder: Path, side: int, channels: int, published: int) -> None:
    """Segment an image of `side` px and print what it took."""
    path, net = folder / "large.tif", network(channels)
    tifffile.imwrite(path, tiles_of(side), shape=(side, side), dtype="uint8", tile=(TILE, TILE), compression="zlib")
    method = Method(threshold=threshold_of(net), min_size=50)
    print(f"before: {peak():.2f} GB")
    start, used = time.monotonic(), time.process_time()
    done = segment_files(path, folder / "out", net, method=method, block=SIDE, progress=False)
    minutes, busy = (time.monotonic() - start) / 60, (time.process_time() - used) / 60
    print(f"{side} x {side} px, {channels} channels: peak {peak():.2f} GB, {done.cells} cells")
    print(f"{minutes:.1f} minutes, {busy:.1f} of them of the processor")
    file = describe(path)
    wide = network(published)
    work = work_on(file, look_at(file), wide, None, method, channel=None, frame=0)
    blocks = parts(*(cuts(wide, n, tile=method.tile, block=SIDE) for n in work.scaled))
    seconds = []
    for either in (net, wide):
        used = time.process_time()
        work.probability(either, blocks[0])
        seconds.append(time.process_time() - used)
    longer = len(blocks) * (seconds[1] - seconds[0]) / 60
    print(f"one block of {len(blocks)}: {seconds[0]:.1f} s, with {published} channels {seconds[1]:.1f} s")
    print(f"extrapolated to {published} channels: {busy + longer:.0f} minutes of one thread; peak {peak():.2f} GB")


def many_frames(folder: Path, count: int, channels: int) -> None:
    """Segment `count` frames of 128 px and print what it took."""
    tifffile.imwrite(folder / "frames.tif", np.stack([cells_image(128, seed=n) for n in range(count)]))
    net = network(channels)
    method = Method(threshold=threshold_of(net), min_size=50)
    start, before = time.monotonic(), peak()
    done = segment_files(folder / "frames.tif", folder / "out", net, method=method, progress=False)
    minutes = (time.monotonic() - start) / 60
    print(f"{count} frames, {done.cells} cells: {minutes:.2f} minutes; {before:.3f} GB before, peak {peak():.3f} GB")


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, help="of one large image, in px")
    parser.add_argument("--frames", type=int, help="how many small frames")
    parser.add_argument("--channels", type=int, default=1, help="of the network (default: %(default)s)")
    parser.add_argument("--published", type=int, default=16, help="channels to extrapolate to (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if options.side:
            one_large_image(Path(folder), options.side, options.channels, options.published)
        if options.frames:
            many_frames(Path(folder), options.frames, options.channels)


if __name__ == "__main__":
    main()
