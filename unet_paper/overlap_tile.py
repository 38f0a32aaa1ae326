"""Overlap-tile: an image of any size, segmented tile by tile without a seam (Fig. 2).

The network returns only pixels whose whole context it has seen, so neighbouring input tiles overlap and their outputs
meet. Beyond the edge of the image the context is mirrored. Two things make the result equal to that of one huge tile:

* every input tile carries `net.border` (92) pixels of context on each side, and
* outputs start at multiples of `net.stride` (16), because 2x2 pooling looks at a fixed grid of pixels: a tile that
  starts 4 px off that grid (as steps of 388 would) pools other pixels together and gives slightly other scores.

References
----------
Ronneberger, Fischer, Brox (2015), section 2 and Fig. 2, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from unet_paper.arrays import check_image
from unet_paper.model import PRECISIONS, autocast
from unet_paper.options import check_choice, check_device, check_scalar

Image = TypeVar("Image", np.ndarray, Tensor)
Evaluate = Callable[[Tensor], Tensor]  # (C, H, W) -> (K, h, w), see `evaluating`


@dataclass(frozen=True)
class TileGrid:
    """How one axis of an image is cut.

    Attributes
    ----------
    starts : tuple of int
        First output pixel of each tile, multiples of the network's stride.
    step : int
        Output pixels of each tile that are kept; the last tile may keep fewer.
    size : int
        Input side of every tile in px, a legal size of the network.
    """

    starts: tuple[int, ...]
    step: int
    size: int


def tile_grid(net: nn.Module, n: int, *, tile: int = 572) -> TileGrid:
    """Cut an axis of `n` px into the fewest equal tiles whose input side is at most `tile` px.

    Parameters
    ----------
    net : UNet
        Gives `border`, `stride`, `output_size` and `legal_size_for`.
    n : int
        Side of the image in px, at least 1.
    tile : int
        Largest allowed input side in px, a legal size of `net`.

    Raises
    ------
    ValueError
        If `tile` is not legal, or its output is narrower than the network's stride.
    """
    # Departure: outputs of 388 px are stepped by 384 px, a multiple of the stride, so that no seam appears.
    largest_step = net.output_size(tile) // net.stride * net.stride
    if largest_step == 0:
        smallest = net.legal_size_for(net.stride)
        raise ValueError(f"tile {tile} leaves {net.output_size(tile)} px of output; the smallest tile is {smallest}")
    count = -(-n // largest_step)
    step = -(-n // (count * net.stride)) * net.stride  # equal shares, rounded up to the stride
    return TileGrid(starts=tuple(range(0, n, step)), step=step, size=net.legal_size_for(step))


def mirror_indices(start: int, stop: int, n: int) -> np.ndarray:
    """Return the pixel numbers that stand at positions `start` to `stop` - 1 of an axis mirrored for ever.

    The edge pixel is not repeated: positions -2 -1 0 1 show pixels 2 1 0 1, as often as needed.

    Parameters
    ----------
    start, stop : int
        Positions in px, may lie outside the image.
    n : int
        Side of the image in px.

    Returns
    -------
    numpy.ndarray
        (stop - start,) int64 in [0, n).
    """
    if n == 1:
        return np.zeros(stop - start, dtype=np.int64)
    position = np.arange(start, stop) % (2 * (n - 1))  # the pattern repeats after one way there and back
    return np.minimum(position, 2 * (n - 1) - position)


def mirror_crop(image: Image, top: int, left: int, shape: tuple[int, int]) -> Image:
    """Cut a window out of an image that continues as its own mirror image on all sides.

    Parameters
    ----------
    image : numpy.ndarray or Tensor
        (..., H, W), a Tensor on any device.
    top, left : int
        Position of the window's first pixel in the image, in px; negative positions lie outside.
    shape : tuple of int
        Height and width of the window in px.

    Returns
    -------
    numpy.ndarray or Tensor
        (..., *shape), a copy of the same kind.
    """
    rows = mirror_indices(top, top + shape[0], image.shape[-2])
    columns = mirror_indices(left, left + shape[1], image.shape[-1])
    return image[..., rows[:, None], columns]


def as_network_input(image) -> np.ndarray:
    """Return an image as the network takes it: channels first, float32.

    Parameters
    ----------
    image : array_like
        (H, W) or (C, H, W). uint8 is divided by 255, uint16 by 65535; floats in [0, 1] pass unchanged.

    Returns
    -------
    numpy.ndarray
        (C, H, W) float32.

    Raises
    ------
    TypeError
        If the dtype is none of these.
    ValueError
        If the rank is wrong, the image is empty, or it holds NaN or values outside [0, 1].
    """
    image = check_image(image)
    return np.array(image if image.ndim == 3 else image[None], order="C")  # a copy: PyTorch warns of read-only arrays


def predict_scores(
    net: nn.Module,
    image,
    *,
    tile: int = 572,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool = True,
) -> np.ndarray:
    """Return the raw class scores of a whole image, computed tile by tile (Fig. 2).

    The result does not depend on `tile` beyond rounding. Beside the image and the scores, memory holds one tile.

    Parameters
    ----------
    net : UNet
        The network; used in evaluation mode and given back as it was. It is moved to `device`.
    image : array_like
        (H, W) or (C, H, W), any size, uint8, uint16 or float in [0, 1].
    tile : int
        Largest input tile in px, a legal size of `net`. Smaller tiles need less memory and more operations.
    device : str or torch.device, optional
        Where to compute; by default where the network is.
    precision : {"float32", "bfloat16"}
        bfloat16 uses autocast: about twice as fast where the hardware has it, scores rounded to 3 digits.
    progress : bool
        Show a progress bar if the work takes longer than two seconds.

    Returns
    -------
    numpy.ndarray
        (K, H, W) float32.

    Raises
    ------
    ValueError
        If the image is empty, of wrong rank, not in [0, 1], has other channels than the network, or `tile` is not
        legal.
    TypeError
        If the image's dtype is not one of the above, or `tile` is no whole number.

    References
    ----------
    Section 2 and Fig. 2 of doi:10.1007/978-3-319-24574-4_28.
    """
    image = as_network_input(image)
    return scores_of_input(net, image, tile=tile, device=device, precision=precision, progress=progress)


def scores_of_input(
    net: nn.Module,
    image: np.ndarray,
    *,
    tile: int,
    device: str | torch.device | None = None,
    precision: str,
    progress: bool,
) -> np.ndarray:
    """Return what `predict_scores` does for an image (C, H, W) float32 that passed its door: it may be standardised."""
    check_request(net, image, tile=tile, precision=precision)
    with evaluating(net, device=device, precision=precision) as evaluate:
        return tiled_scores(net, evaluate, torch.from_numpy(image), tile=int(tile), progress=progress).numpy()


def check_request(net: nn.Module, image: np.ndarray, *, tile: int, precision: str) -> None:
    """Refuse an image (C, H, W) with other channels than the network's, a `tile` or a precision that there is not."""
    if image.shape[0] != net.in_channels:
        raise ValueError(f"image has {image.shape[0]} channels; this network takes {net.in_channels}")
    check_scalar(tile, int, name="tile")
    check_choice(precision, PRECISIONS, name="precision")


def tiled_scores(net: nn.Module, evaluate: Evaluate, image: Tensor, *, tile: int, progress: bool) -> Tensor:
    """Return the scores of an image tile by tile, on the device where the image is.

    Parameters
    ----------
    net : UNet
        Gives border and legal sizes.
    evaluate : callable
        From `evaluating`.
    image : Tensor
        (C, H, W) float32, on any device.
    tile, progress
        As in `predict_scores`.

    Returns
    -------
    Tensor
        (K, H, W) float32.
    """
    rows, columns = (tile_grid(net, n, tile=tile) for n in image.shape[1:])
    scores = torch.empty(net.num_classes, *image.shape[1:], device=image.device)
    for top, left in _with_bar(rows, columns, progress):
        window = mirror_crop(image, top - net.border, left - net.border, (rows.size, columns.size))
        target = scores[:, top : top + rows.step, left : left + columns.step]  # the last tiles may reach beyond it
        target[:] = evaluate(window)[:, : target.shape[1], : target.shape[2]]
    return scores


@contextmanager
def evaluating(
    net: nn.Module, *, device: str | torch.device | None = None, precision: str = "float32"
) -> Iterator[Evaluate]:
    """Put `net` into evaluation mode for a while; gives a function (C, H, W) float32 -> (K, h, w) float32.

    It takes a Tensor on any device and returns one on the same device.
    """
    device = check_device(device) if device is not None else next(net.parameters()).device
    was_training = net.training
    net.eval().to(device, memory_format=torch.channels_last)

    def evaluate(window: Tensor) -> Tensor:
        batch = window[None].to(device, memory_format=torch.channels_last)  # (1, C, H, W)
        return net(batch)[0].float().to(window.device)

    try:
        with torch.inference_mode(), autocast(device, precision):
            yield evaluate
    finally:
        net.train(was_training)


def _with_bar(rows: TileGrid, columns: TileGrid, progress: bool) -> Iterator[tuple[int, int]]:
    corners = [(top, left) for top in rows.starts for left in columns.starts]
    return tqdm(corners, desc="segmenting", unit="tile", delay=2, disable=not progress)
