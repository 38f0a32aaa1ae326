"""Frames made by rule, for machines without the challenge's data: cells under a light microscope.

They are no model of biology. They keep what makes the real task hard: cells that touch, weak contrast, structure inside
of cells that is stronger than their outline, and debris that is no cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.special import expit

from unet_paper.datasets.dataset import Dataset
from unet_paper.datasets.noise import check_request, smooth_noise
from unet_paper.options import check_choice


def synthetic_cells(
    count: int = 9,
    size: int | tuple[int, int] = 512,
    *,
    style: Literal["dic", "phase"] = "dic",
    generator: np.random.Generator | None = None,
) -> Dataset:
    """Generate frames of living cells, some of which touch, with a number for every cell.

    Parameters
    ----------
    count : int
        Number of frames, independent of each other.
    size : int or (int, int)
        Height and width (px).
    style : {"dic", "phase"}
        "dic": large crowded cells that look lit from one side, like DIC-HeLa. "phase": few small ragged cells with dark
        fringes and bright halos, among debris that is no cell, like PhC-U373.
    generator : numpy.random.Generator, optional
        Source of randomness; without it a fixed one, so that every call returns the same frames.

    Returns
    -------
    Dataset
        `images` (count, H, W) float32 in [0, 1]; `labels` (count, H, W) int32: 0 background, 1..n cells, each
        in one piece.

    Raises
    ------
    ValueError
        If `style` is unknown, `count` less than 1, or `size` less than 32 px.
    """
    check_choice(style, _STYLES, name="style")
    generator = np.random.default_rng(0) if generator is None else generator
    shape = check_request(count, size)
    frames = [_frame_of_cells(shape, _STYLES[style], generator=generator) for _ in range(count)]
    return Dataset(
        name=f"synthetic-cells-{style}",
        images=np.stack([image for image, _ in frames]),
        labels=np.stack([labels for _, labels in frames]),
        frames=tuple(range(count)),
        source=f"Synthetic data: {count} generated frames that imitate a light microscope.",
        is_real=False,
    )


def synthetic_sequence(
    count: int, *, side: int = 512, step: int = 3, generator: np.random.Generator | None = None
) -> Dataset:
    """Return an image sequence: a window that glides over one large generated frame, so that all cells move alike.

    Parameters
    ----------
    count : int
        Frames, at least 1.
    side : int
        Side of the window in px.
    step : int
        How far it glides from frame to frame, in px down and to the right.
    generator : numpy.random.Generator, optional
        Source of randomness; without it the same frame each time.

    Returns
    -------
    Dataset
        `images` (count, side, side) float32; `labels` int32, in which a cell keeps its number while it is in sight.
    """
    wide = synthetic_cells(1, side + step * count, generator=generator)
    images, labels = (
        np.stack([frame[step * t :, step * t :][:side, :side] for t in range(count)])
        for frame in (wide.images[0], wide.labels[0])
    )
    return replace(wide, images=images, labels=labels, frames=tuple(range(count)))


def _frame_of_cells(shape: tuple[int, int], style: _Style, *, generator) -> tuple[np.ndarray, np.ndarray]:
    """Return one frame: image (H, W) float32 in [0, 1] and labels (H, W) int32."""
    cells = _place_cells(shape, style, generator=generator)
    image = style.draw(*cells, generator=generator)
    image += 0.008 * smooth_noise(shape, 150, generator=generator)
    image += 0.010 * generator.standard_normal(shape, dtype=np.float32)
    return np.clip(image, 0, 1).astype(np.float32), cells[0]


def _place_cells(shape: tuple[int, int], style: _Style, *, generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give every pixel to the cell whose (stretched, bent) centre is nearest.

    Returns
    -------
    labels : (H, W) int32
        0 background, 1..n cells.
    depth : (H, W) float32
        1 at a cell's centre, about 0 on its rim.
    rounded : (H, W) bool
        Cells that have rounded up to divide.
    """
    centres = _scatter(shape, style, generator=generator)  # (n, 2)
    number = len(centres)
    rounded = generator.random(number) < 0.1
    radius = style.radius * np.where(rounded, 0.7, generator.uniform(0.8, 1.3, number))
    stretch = np.where(rounded, 1.0, generator.uniform(1.0, 1.6, number))
    angle = generator.uniform(0, np.pi, number)
    bend = style.ragged * np.where(rounded, 0.05, 1.0)
    grid = np.indices(shape, dtype=np.float32)  # (2, H, W)
    warp = np.stack([_outline_noise(shape, style, generator=generator) for _ in range(2)])

    nearest, cell = np.full(shape, np.inf, np.float32), np.zeros(shape, np.int32)
    for i in range(number):
        distance = _stretched_distance(grid + bend[i] * warp, centres[i], stretch[i], angle[i]) / radius[i]
        cell = np.where(distance < nearest, i, cell)
        nearest = np.minimum(nearest, distance)
    inside = nearest < 1
    centre = np.moveaxis(centres[cell], -1, 0)  # (2, H, W)
    straight = _stretched_distance(grid, centre, stretch[cell], angle[cell]) / radius[cell]
    labels = _keep_largest_pieces(np.where(inside, cell + 1, 0))
    return labels, (1 - straight).astype(np.float32), rounded[cell] & inside


def _stretched_distance(grid, centre, stretch, angle) -> np.ndarray:
    """Return the distance (px) to `centre` in a frame rotated by `angle` (rad) and stretched along its first axis."""
    y, x = grid[0] - centre[0], grid[1] - centre[1]
    along, across = np.cos(angle) * y + np.sin(angle) * x, np.cos(angle) * x - np.sin(angle) * y
    return np.hypot(along / stretch, across * stretch)


def _outline_noise(shape: tuple[int, int], style: _Style, *, generator) -> np.ndarray:
    broad = smooth_noise(shape, 0.8 * style.radius, generator=generator)
    return broad + 0.3 * smooth_noise(shape, 0.2 * style.radius, generator=generator)


def _scatter(shape: tuple[int, int], style: _Style, *, generator) -> np.ndarray:
    """Return cell centres (n, 2) px, none closer to another than `style.spacing` radii."""
    number = max(2, round(style.crowding * shape[0] * shape[1] / (np.pi * style.radius**2)))
    chosen = []
    for candidate in generator.uniform(0, 1, (40 * number, 2)) * shape:
        apart = [np.hypot(*(candidate - other)) for other in chosen]
        if min(apart, default=np.inf) > style.spacing * style.radius:
            chosen.append(candidate)
        if len(chosen) == number:
            break
    return np.array(chosen)


def _keep_largest_pieces(labels: np.ndarray) -> np.ndarray:
    """Keep of every cell its largest connected piece, drop specks, and number the cells 1..n."""
    kept = np.zeros_like(labels)
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        pieces, _ = ndimage.label(labels[box] == index)
        areas = np.bincount(pieces.ravel())[1:]
        if areas.max() >= 40:  # px
            whole = ndimage.binary_fill_holes(pieces == areas.argmax() + 1)
            kept[box][whole & (kept[box] == 0)] = kept.max() + 1
    return kept


def _draw_dic(labels: np.ndarray, depth: np.ndarray, rounded: np.ndarray, *, generator) -> np.ndarray:
    """Light from one side: brightness follows the slope of the optical thickness, and a little its curvature."""

    def noise(spacing: float) -> np.ndarray:
        return smooth_noise(labels.shape, spacing, generator=generator)

    inside = labels > 0
    rim = ndimage.distance_transform_edt(_erase_borders(labels))  # px
    thickness = inside * (np.clip(1.6 + noise(40), 0.3, 4) * (1 - np.exp(-rim / 3)) + 2.5 * (1 - np.exp(-rim / 20)))
    thickness += inside * (0.45 * noise(3) + 0.8 * noise(7) + 0.2 * noise(1.5))
    thickness += 1.3 * np.exp(-(((depth - 0.55) / 0.04) ** 2)) * inside * ~rounded  # the rim of the nucleus
    thickness += rounded * (14 * (1 - np.exp(-rim / 5)) + noise(3))
    granules = _granules(inside & ~rounded & (depth < 0.6) & (depth > 0.15), generator=generator)
    thickness = ndimage.gaussian_filter(thickness - 6 * granules, 1.0)
    slope = ndimage.sobel(thickness, axis=0) + ndimage.sobel(thickness, axis=1)
    curvature = thickness - ndimage.gaussian_filter(thickness, 4)
    return 0.465 + 0.16 * np.tanh(0.05 * slope + 0.28 * curvature)


def _draw_phase(labels: np.ndarray, depth: np.ndarray, rounded: np.ndarray, *, generator) -> np.ndarray:
    """Phase contrast: dark ragged fringes, a bright halo outside, a dark nucleus with a bright rim; and debris."""

    def noise(spacing: float) -> np.ndarray:
        return smooth_noise(labels.shape, spacing, generator=generator)

    inside = labels > 0
    within = ndimage.distance_transform_edt(_erase_borders(labels))  # px
    outside = ndimage.distance_transform_edt(~inside)
    patchy = np.clip(0.7 + 0.6 * noise(12), 0, 1.6)
    image = 0.325 + ~inside * 0.12 * np.exp(-outside / 4)
    image -= inside * patchy * 0.20 * np.exp(-(((within - 2.5) / 2.5) ** 2))
    image += inside * (0.05 * noise(2.5) + 0.07 * np.clip(within / 15, 0, 1))
    nucleus = inside * expit((depth - 0.6) / 0.03)
    image += nucleus * (0.06 * noise(2) - 0.17) + 0.22 * patchy * inside * np.exp(-(((depth - 0.52) / 0.05) ** 2))
    image += rounded * (0.25 + 0.25 * np.exp(-(((depth - 0.25) / 0.12) ** 2)) * (outside < 1))
    specks = _granules(outside > 12, generator=generator, density=1.2e-4)
    return ndimage.gaussian_filter(image, 0.7) + 0.5 * np.minimum(specks, 1) * np.sign(noise(40))


def _granules(where: np.ndarray, *, generator, density: float = 0.006) -> np.ndarray:
    """Return small round blobs (H, W), about 0 to 1, at random pixels of the mask `where`, in clusters."""
    cluster = np.clip(smooth_noise(where.shape, 20, generator=generator) - 0.5, 0, None)
    spots = where & (generator.random(where.shape, dtype=np.float32) < density * cluster)
    return ndimage.gaussian_filter(spots.astype(np.float32), 2.0) * 2 * np.pi * 4.0


def _erase_borders(labels: np.ndarray) -> np.ndarray:
    """Return the cells as a mask (H, W) in which touching cells are one pixel apart."""
    return (labels > 0) & (labels == ndimage.minimum_filter(labels, 3))


@dataclass(frozen=True)
class _Style:
    """What one kind of microscope picture looks like."""

    radius: float  # px, of a typical cell
    spacing: float  # least distance between centres, in radii; less than 2 lets cells touch
    crowding: float  # summed area of the cells, as part of the picture
    ragged: float  # px, how far outlines are bent
    draw: Callable[..., np.ndarray]


_STYLES = {
    "dic": _Style(radius=60, spacing=1.3, crowding=0.85, ragged=12.0, draw=_draw_dic),
    "phase": _Style(radius=30, spacing=1.5, crowding=0.06, ragged=9.0, draw=_draw_phase),
}
