"""Cascaded hierarchical models: simple classifiers at several resolutions, each fed by the others' results.

Bottom-up, a classifier at each resolution sees filters of the image at that resolution, and what the classifiers at
finer ones found, pooled. Top-down, from the coarsest resolution back to that of the image, another classifier sees its
filters again, the result of the way up, and all coarser results, enlarged. Every classifier is a logistic disjunctive
normal network: a smooth form of "one of these groups of half spaces holds the point".

The features of a pixel: a Gaussian, the gradient's magnitude and both eigenvalues of the Hessian at four scales
(16 numbers, scikit-image), the grey values at 24 places around it, and at the same places each result it is given.

Departure: the authors give the results of all resolutions to one classifier at the image's own resolution; here the way
down has one for each resolution. They repeat the whole hierarchy; here it runs once. The filters are ours, too.

References
----------
Seyedhosseini, Sajjadi, Tasdizen (2013), "Image segmentation with cascaded hierarchical models and logistic disjunctive
normal networks", ICCV, 2168-2175, doi:10.1109/ICCV.2013.269.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from skimage.feature import multiscale_basic_features
from skimage.measure import block_reduce
from torch import Tensor, nn

from unet_paper.arrays import check_both_classes, check_same_shape
from unet_paper.baselines.fitting import Budget, rate_at, spend
from unet_paper.overlap_tile import mirror_crop
from unet_paper.resizing import resize_image
from unet_paper.training.config import TrainConfig
from unet_paper.training.step import set_rate

RINGS = (2, 5, 9)  # px, radii of the places that are looked at; eight directions each
PLACES = [(0, 0), *((r * y, r * x) for r in RINGS for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))]
SCALES = 4  # of the filters: standard deviations 1, 2, 4, 8 px
FILTERS = 4 * SCALES
MOST_LEVELS = 5
BATCH = 2048  # pixels
EVERY = slice(None)


class DisjunctiveNormalNet(nn.Module):
    r"""A logistic disjunctive normal network: (P, D) -> (P,) probability.

    :math:`1 - \prod_i \left(1 - \prod_j \sigma(w_{ij} \cdot x + b_{ij})\right)` over groups i of half spaces j.

    Parameters
    ----------
    features : int
        D.
    groups, spaces : int
        How many groups, and half spaces in each.
    """

    def __init__(self, features: int, *, groups: int = 8, spaces: int = 8):
        super().__init__()
        self.groups, self.spaces = groups, spaces
        self.plane = nn.Linear(features, groups * spaces)

    def place(self, points: np.ndarray, inside: np.ndarray, seed: int) -> None:
        """Begin as the authors do: each half space parts a cluster of positive points from one of negative points."""
        clusters = []
        for chosen, count in ((points[inside], self.groups), (points[~inside], self.spaces)):
            clusters.append(kmeans2(chosen, count, minit="++", rng=np.random.default_rng(seed))[0])
        positive, negative = (torch.from_numpy(part).float() for part in clusters)
        normal = positive[:, None] - negative  # (groups, spaces, D)
        normal = normal / normal.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        middle = (positive[:, None] + negative) / 2
        with torch.no_grad():
            self.plane.weight.copy_(normal.flatten(0, 1))
            self.plane.bias.copy_(-(normal * middle).sum(dim=-1).flatten())

    def forward(self, points: Tensor) -> Tensor:
        """(P, D) -> (P,) probability in [0, 1]."""
        half_spaces = torch.sigmoid(self.plane(points)).unflatten(1, (self.groups, self.spaces))
        return 1 - (1 - half_spaces.prod(dim=2)).prod(dim=1)


class Cascade(nn.Module):
    """All classifiers of a cascade; train it with `fit_cascade`.

    Parameters
    ----------
    levels : int
        Resolutions, each half the one before, 2 .. 5.
    groups, spaces : int
        Of each classifier.

    Raises
    ------
    ValueError
        If `levels` is illegal.
    """

    def __init__(self, *, levels: int = 4, groups: int = 8, spaces: int = 8):
        super().__init__()
        if levels not in range(2, MOST_LEVELS + 1):
            raise ValueError(f"levels is {levels}; there are cascades of 2 .. {MOST_LEVELS} levels")
        self.levels = levels
        self.settings = {"levels": levels, "groups": groups, "spaces": spaces}
        sizes = {stage: FILTERS + len(PLACES) * (1 + len(inputs)) for stage, inputs in stages(levels)}
        self.classifiers = nn.ModuleDict(
            {stage: DisjunctiveNormalNet(size, groups=groups, spaces=spaces) for stage, size in sizes.items()}
        )
        for stage, size in sizes.items():
            self.register_buffer(f"mean_{stage}", torch.zeros(size))
            self.register_buffer(f"deviation_{stage}", torch.ones(size))

    def judge(self, stage: str, points: np.ndarray) -> np.ndarray:
        """Return the probabilities of one classifier: (P, D) -> (P,) float32."""
        mean, deviation = (self.get_buffer(f"{name}_{stage}") for name in ("mean", "deviation"))
        with torch.inference_mode():
            parts = torch.from_numpy(points).split(65_536)
            return torch.cat([self.classifiers[stage]((part - mean) / deviation) for part in parts]).numpy()

    def probability(self, image: np.ndarray) -> np.ndarray:
        """Return the probability of cell of one image: (H, W) float32 -> (H, W) float32 in [0, 1]."""
        results: dict[str, np.ndarray] = {}
        for stage, inputs in stages(self.levels):
            small = shrunk(image, level_of(stage))
            found = [fitted(results[name], small.shape, level_of(stage) - level_of(name)) for name in inputs]
            points = features(small, filters(small), found)
            results[stage] = self.judge(stage, points).reshape(small.shape)
        return results["down0"]

    def operations(self, height: int, width: int) -> int:
        """Count the operations of all classifiers on an image; the filters before them are left out."""
        total = 0
        for stage, net in self.classifiers.items():
            pixels = -(-height // 2 ** level_of(stage)) * -(-width // 2 ** level_of(stage))
            total += 2 * pixels * net.plane.weight.numel()
        return total


def stages(levels: int) -> list[tuple[str, list[str]]]:
    """Return the classifiers in their order, each with the results that it sees.

    Parameters
    ----------
    levels : int
        Resolutions; ``"up0"`` .. on the way to the coarsest, ``"down0"`` the last, at the image's own.
    """
    up = [(f"up{level}", [f"up{finer}" for finer in range(level)]) for level in range(levels)]
    coarsest = levels - 1
    down = []
    for level in reversed(range(coarsest)):
        coarser = [f"up{coarsest}", *(f"down{other}" for other in range(level + 1, coarsest))]
        down.append((f"down{level}", [f"up{level}", *coarser]))
    return up + down


def level_of(stage: str) -> int:
    """Return at which resolution a classifier works: 0 is the image's own, 1 half of it."""
    return int(stage[-1])


def shrunk(image: np.ndarray, level: int) -> np.ndarray:
    """Return an image (H, W) at 2^-level of its size, each pixel the mean of a block."""
    return block_reduce(image, 2**level, np.mean, cval=float(image.mean())).astype(np.float32) if level else image


def thin_kept(cell: np.ndarray, level: int) -> np.ndarray:
    """Return an annotation or a result (H, W) at 2^-level; a block with any membrane is membrane, so none is lost."""
    return block_reduce(cell, 2**level, np.min, cval=1) if level else cell


def fitted(result: np.ndarray, shape: tuple[int, int], finer: int) -> np.ndarray:
    """Bring the result of another level to the size of this one: pooled if it is finer, enlarged if it is coarser.

    Parameters
    ----------
    result : numpy.ndarray
        (H, W) float32.
    shape : tuple of int
        Height and width at this level, px.
    finer : int
        By how many levels the result is finer; below 0 if it is coarser.
    """
    if finer > 0:
        return thin_kept(result, finer)
    return result if finer == 0 else resize_image(result[None], shape)[0]


def filters(image: np.ndarray) -> np.ndarray:
    """(H, W) float32 -> (H, W, FILTERS) float32."""
    kinds, scales, threads = (True, True, True), (1, 2 ** (SCALES - 1), SCALES), 1  # the last has changed its name
    return multiscale_basic_features(image, *kinds, *scales, threads).astype(np.float32)


def features(
    image: np.ndarray, filtered: np.ndarray, results: list[np.ndarray], at: np.ndarray | slice = EVERY
) -> np.ndarray:
    """Return what a classifier sees of some pixels: their filters, and image and results at `PLACES` around them.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W) float32, standardised.
    filtered : numpy.ndarray
        (H, W, FILTERS) float32, see `filters`.
    results : list of numpy.ndarray
        (H, W) float32 each: the probabilities that classifiers before this one found.
    at : numpy.ndarray or slice
        Flat indices of the P pixels; by default all.

    Returns
    -------
    numpy.ndarray
        (P, D) float32.
    """
    around = [mirror_crop(plane, y, x, plane.shape).ravel()[at] for plane in (image, *results) for y, x in PLACES]
    columns = np.concatenate([filtered.reshape(-1, filtered.shape[-1])[at], np.stack(around, axis=-1)], axis=-1)
    return np.ascontiguousarray(columns, dtype=np.float32)


def fit_cascade(
    net: Cascade,
    images: np.ndarray,
    cell: np.ndarray,
    config: TrainConfig,
    budget: Budget,
    *,
    samples: int = 200_000,
) -> dict[str, int]:
    """Train the classifiers one after the other; what their results do not take of the budget is shared evenly.

    Parameters
    ----------
    net : Cascade
        Changed in place.
    images : numpy.ndarray
        (N, H, W) float32, as the classifiers see them.
    cell : numpy.ndarray
        (N, H, W) bool.
    config : TrainConfig
        Peak rate, warm-up and seed; the optimiser is Adam, where the authors descend along the plain gradient.
    budget : Budget
        Of seconds, filters included; or of steps for each classifier.
    samples : int
        Pixels that a classifier learns from, drawn anew for each.

    Returns
    -------
    dict of str to int
        Steps of each classifier.

    Raises
    ------
    ValueError
        If the shapes differ, or a classifier would see one class only.
    """
    check_same_shape(cell, images.shape, name="cell", other="images")
    check_both_classes(cell, name="the annotation")
    order, results, steps = stages(net.levels), {}, {}
    started = time.process_time()
    small = [[shrunk(image, level) for image in images] for level in range(net.levels)]
    filtered = [[filters(image) for image in sections] for sections in small]

    def seen(stage: str, inputs: list[str], n: int, at: np.ndarray | slice = EVERY) -> np.ndarray:
        image = small[level_of(stage)][n]
        found = [fitted(results[name][n], image.shape, level_of(stage) - level_of(name)) for name in inputs]
        return features(image, filtered[level_of(stage)][n], found, at)

    # To describe pixels, drawn or all, takes time in proportion to an image's pixels and to the features. How long, the
    # first stage tells; so much is kept for the others. What the last one finds is not needed here.
    work = [net.classifiers[stage].plane.in_features * small[level_of(stage)][0].size for stage, _ in order]
    drawing = judging = 0.0  # s for each pixel and feature
    for number, (stage, inputs) in enumerate(order):
        before = time.process_time()
        truth = np.stack([thin_kept(section, level_of(stage)).ravel() for section in cell])
        chosen = _drawn(*truth.shape, samples, config.seed + number)
        points = np.concatenate([seen(stage, inputs, n, at) for n, at in enumerate(chosen)])
        inside = np.take_along_axis(truth, chosen, axis=1).ravel() > 0
        drawing = drawing or (time.process_time() - before) / work[0]
        kept = drawing * sum(work[number + 1 :]) + judging * sum(work[number:-1])
        left = budget.seconds - (time.process_time() - started) - kept
        share = Budget(max(left, 1e-3) / (len(order) - number), budget.steps)
        steps[stage] = _fit_stage(net, stage, points, inside, config, share)
        if number < len(order) - 1:
            shape, before = small[level_of(stage)][0].shape, time.process_time()
            results[stage] = [net.judge(stage, seen(stage, inputs, n)).reshape(shape) for n in range(len(images))]
            judging = judging or (time.process_time() - before) / work[0]
    return steps


def _drawn(images: int, pixels: int, samples: int, seed: int) -> np.ndarray:
    """Return flat indices (N, P / N) of pixels drawn from all images alike, at most as many as there are."""
    draw, share = np.random.default_rng(seed), min(-(-samples // images), pixels)
    return np.stack([draw.choice(pixels, share, replace=False) for _ in range(images)])


def _fit_stage(net: Cascade, stage: str, points, inside, config: TrainConfig, budget: Budget) -> int:
    """Train one classifier on its samples; returns its steps."""
    mean, deviation = points.mean(axis=0), points.std(axis=0) + 1e-6
    net.get_buffer(f"mean_{stage}").copy_(torch.from_numpy(mean))
    net.get_buffer(f"deviation_{stage}").copy_(torch.from_numpy(deviation))
    points = (points - mean) / deviation
    classifier, draw = net.classifiers[stage], np.random.default_rng(config.seed)
    few = draw.choice(len(points), min(4000, len(points)), replace=False)
    check_both_classes(inside[few], name=f"the sample of {stage}", parts="pixels")  # pooling may leave no cell
    classifier.place(points[few], inside[few], config.seed)
    optimiser = torch.optim.Adam(classifier.parameters(), lr=config.learning_rate)
    wanted = torch.from_numpy(inside).float()
    step = -1
    for step, _, share in spend(budget):
        chosen = torch.from_numpy(draw.integers(0, len(points), BATCH))
        set_rate(optimiser, rate_at(config, budget, step, share))
        loss = (classifier(torch.from_numpy(points[chosen.numpy()])) - wanted[chosen]).square().mean()  # the authors'
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return step + 1
