"""Eq. 1: the pixel-wise softmax combined with a weighted cross entropy.

References
----------
Ronneberger, Fischer, Brox 2015, section 3, Eq. 1, doi:10.1007/978-3-319-24574-4_28
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unet_paper.arrays import IGNORE
from unet_paper.options import check_choice

REDUCTIONS = ("mean", "weighted_mean", "sum")


def weighted_cross_entropy(scores: Tensor, target: Tensor, weight: Tensor, *, reduction: str = "mean") -> Tensor:
    r"""Return the energy of Eq. 1, :math:`E = -\sum_x w(x) \log p_{\ell(x)}(x)`, divided as `reduction` says.

    Parameters
    ----------
    scores : Tensor
        (B, K, H, W) floating point: the network's output before the softmax, any value.
    target : Tensor
        (B, H, W) integer: the true class of each pixel, 0..K-1, or `IGNORE` (-1): such a pixel counts for nothing.
    weight : Tensor
        (B, H, W) floating point, at least 0, for example from `unet_paper.weight_map`.
    reduction : {"mean", "weighted_mean", "sum"}
        ``"sum"`` is the sum over all pixels of the batch, as printed in the paper. ``"mean"`` divides it by the number
        of annotated pixels: the learning rate no longer depends on the size of the tile, and a pixel of weight 10
        pulls ten times as hard as one of weight 1. ``"weighted_mean"`` divides it by the sum of the weights, so that
        only their proportions matter.

    Returns
    -------
    Tensor
        Scalar; float32, also where autocast made the scores half precision (float64 scores stay float64). A batch
        without any annotated pixel, or without any weight, gives 0.

    Raises
    ------
    TypeError
        If `target` holds no integers, or `scores` or `weight` no floating point numbers.
    ValueError
        If the shapes do not belong together, a class is K or more, a weight is negative or NaN where a pixel is
        annotated, or `reduction` is unknown.
    """
    _check(scores, target, weight, reduction)
    _check_values(target, weight, num_classes=scores.shape[1])
    return energy(scores, target, weight, reduction=reduction)


def energy(scores: Tensor, target: Tensor, weight: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return what `weighted_cross_entropy` returns, without a look at the values: for tiles whose labels were checked.

    To look at a value is to wait for the GPU, which no step of training should, and a recorded one must not.
    """
    target = target.long()
    weight = weight.masked_fill(target == IGNORE, 0)  # whatever stands there: NaN times 0 would be NaN
    with torch.autocast(scores.device.type, enabled=False):
        scores = scores if scores.dtype == torch.float64 else scores.float()
        log_p = F.log_softmax(scores, dim=1)  # (B, K, H, W)
        # Departure: Eq. 1 is printed without the minus sign; what is minimised is -E, nll_loss brings the sign.
        each = F.nll_loss(log_p, target, ignore_index=IGNORE, reduction="none")  # (B, H, W)
        total = (weight * each).sum()
    # Departure: the paper prints a sum and leaves the normalisation open; the default is a mean over annotated pixels.
    if reduction == "sum":
        return total
    annotated = target != IGNORE  # (B, H, W)
    divisor = annotated.sum() if reduction == "mean" else weight.sum()
    return total / torch.where(divisor > 0, divisor, torch.ones_like(divisor))


def _check(scores: Tensor, target: Tensor, weight: Tensor, reduction: str) -> None:
    for name, tensor in {"scores": scores, "target": target, "weight": weight}.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} is of type {type(tensor).__name__}; pass a Tensor, e.g. torch.from_numpy({name})")
    check_choice(reduction, REDUCTIONS, name="reduction")
    if scores.ndim != 4:
        raise ValueError(f"scores have shape {tuple(scores.shape)}; needs 4 dimensions: (B, K, H, W)")
    wanted = (scores.shape[0], *scores.shape[2:])
    for name, tensor in {"target": target, "weight": weight}.items():
        if tensor.shape != wanted:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}; these scores need (B, H, W) = {tuple(wanted)}")
    if target.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        raise TypeError(f"target has dtype {target.dtype}; pass class numbers, e.g. target.long()")
    for name, tensor in {"scores": scores, "weight": weight}.items():
        if not tensor.is_floating_point():
            raise TypeError(f"{name} has dtype {tensor.dtype}; pass floating point numbers, e.g. {name}.float()")


def _check_values(target: Tensor, weight: Tensor, *, num_classes: int) -> None:
    target = target.long()  # in 8 bits without sign, -1 would be 255
    annotated = target != IGNORE
    wrong = target[annotated & ((target < 0) | (target >= num_classes))]
    if len(wrong):
        raise ValueError(
            f"target holds the class {wrong[0].item()}; these scores know 0 to {num_classes - 1} (and {IGNORE} for "
            "ignored): turn cell numbers into classes, e.g. (labels > 0)"
        )
    wrong = weight[annotated & ~((weight >= 0) & weight.isfinite())]
    if len(wrong):
        raise ValueError(f"weight holds {wrong[0].item():g} at an annotated pixel; needs a finite number of at least 0")
