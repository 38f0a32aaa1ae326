"""Sections made by rule, for machines without the challenge's data: tissue under an electron microscope.

They are no model of biology. They keep what makes the real task hard: membranes that continue from section to section,
vary in width and contrast, and look like the rims of organelles; noise; slowly varying light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from unet_paper.datasets.dataset import Dataset
from unet_paper.datasets.noise import check_request, smooth_noise

SECTION_STEP = 7.0  # px of tissue between neighbouring sections
COARSE = 3  # px; the tissue is cut on a grid of this step, then interpolated
CELLS_PER_AREA = 1.0 / 2200  # cells per px of a section, about as in the real tissue


def synthetic_em(
    count: int = 30, size: int | tuple[int, int] = 512, *, generator: np.random.Generator | None = None
) -> Dataset:
    """Generate consecutive sections through a block of tissue, as an electron microscope might show them.

    Cells are a power diagram (a Voronoi diagram with sizes) of random points in space, seen through a smooth warp, so
    that every cell continues into the next section. Membranes are dark lines of varying width and contrast;
    mitochondria (dark, striped, with a rim) and vesicles (small dark rings) look like membranes and are none.

    Parameters
    ----------
    count : int
        Number of sections.
    size : int or (int, int)
        Height and width (px).
    generator : numpy.random.Generator, optional
        Source of randomness; without it a fixed one, so that every call returns the same sections.

    Returns
    -------
    Dataset
        `images` (count, H, W) float32 in [0, 1]; `labels` (count, H, W) int32, 1 = cell, 0 = membrane.

    Raises
    ------
    ValueError
        If `count` is less than 1 or `size` less than 32 px.
    """
    generator = np.random.default_rng(0) if generator is None else generator
    shape = check_request(count, size)
    tissue = _grow_tissue(count, shape, generator=generator)
    warp = _warp(count, shape, generator=generator)
    sections = [_photograph_section(tissue, z, warp[:, z], shape, generator=generator) for z in range(count)]
    return Dataset(
        name="synthetic-em",
        images=np.stack([image for image, _ in sections]),
        labels=np.stack([labels for _, labels in sections]),
        frames=tuple(range(count)),
        source=f"Synthetic data: {count} generated sections that imitate electron microscopy.",
        is_real=False,
    )


@dataclass(frozen=True)
class _Tissue:
    """Cells in space: one row per cell."""

    centres: np.ndarray  # (n, 3) px: z, y, x
    tree: cKDTree  # of the centres, lifted by their sizes into a fourth dimension
    grey: np.ndarray  # (n,) brightness of the cytoplasm
    vesicles: np.ndarray  # (n,) vesicles per px
    organelle: np.ndarray  # (n,) radius of the mitochondrion (px), 0 without one
    axes: np.ndarray  # (n, 3) its semi-axes, relative to the radius


def _grow_tissue(count: int, shape: tuple[int, int], *, generator: np.random.Generator) -> _Tissue:
    """Scatter cells of unequal size in a block that is larger than what will be cut from it."""
    margin = 80.0  # px; cells whose centre lies outside still reach into the picture
    block = np.array([count * SECTION_STEP, *shape]) + 2 * margin
    density = (CELLS_PER_AREA / 1.458) ** 1.5  # a plane through n cells per volume meets 1.458 n^(2/3) per area
    number = max(4, round(1.6 * density * block.prod()))  # some cells are swallowed by larger ones
    centres = generator.uniform(-margin, block - margin, (number, 3))
    radius = np.minimum(18.0 * np.exp(0.65 * generator.standard_normal(number)), 85.0)  # px
    lifted = np.column_stack([centres, np.sqrt(radius.max() ** 2 - radius**2)])
    has_organelle = (radius > 26) & (generator.random(number) < 0.6)
    return _Tissue(
        centres=centres,
        tree=cKDTree(lifted),
        grey=0.03 * generator.standard_normal(number),
        vesicles=generator.gamma(0.6, 0.004, number),
        organelle=np.where(has_organelle, generator.uniform(0.4, 0.65, number) * np.minimum(radius, 60), 0),
        axes=generator.uniform(0.7, 1.3, (number, 3)),
    )


def _warp(count: int, shape: tuple[int, int], *, generator: np.random.Generator) -> np.ndarray:
    """Return displacements (2, count, h, w) in px on the coarse grid, continuous from section to section."""
    volume = (count, *(-(-side // COARSE) + 1 for side in shape))

    def along_one_axis() -> np.ndarray:
        bend = smooth_noise(volume, (5.0, 60 / COARSE, 60 / COARSE), generator=generator)
        wiggle = smooth_noise(volume, (1.5, 16 / COARSE, 16 / COARSE), generator=generator)
        misaligned = generator.standard_normal((count, 1, 1), dtype=np.float32)
        return 14.0 * bend + 3.0 * wiggle + 1.5 * misaligned  # px

    return np.stack([along_one_axis(), along_one_axis()])


def _photograph_section(
    tissue: _Tissue, z: int, warp: np.ndarray, shape: tuple[int, int], *, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return one section: image (H, W) float32 in [0, 1] and labels (H, W) int32."""

    def noise(spacing: float) -> np.ndarray:
        return smooth_noise(shape, spacing, generator=generator)

    gap, cell, organelle = _cut(tissue, z, warp, shape)
    half_width = np.maximum(3.5 + 0.7 * noise(50), 2.2)  # px from the middle of a membrane to its edge
    inside = gap > half_width
    image = 0.61 + ndimage.gaussian_filter(tissue.grey[cell], 1.0) + 0.03 * noise(12) + 0.035 * noise(3)
    image = _draw_mitochondria(image, organelle, inside, shape, generator=generator)
    image -= 0.16 * _vesicles(tissue.vesicles[cell] * (gap > half_width + 4), generator=generator)
    depth = np.clip(0.40 + 0.09 * noise(40), 0.15, 0.6)
    image -= depth * np.exp(-((gap / (0.7 * half_width)) ** 2))
    image -= 0.22 * np.clip(noise(28) - 1.9, 0, 1)  # smudges: synapses and membranes cut at a slant
    contrast, light = 1 + 0.10 * noise(150), 0.55 + 0.03 * noise(120)
    image = light + contrast * (ndimage.gaussian_filter(image, 0.7) - 0.55)
    image += 0.075 * generator.standard_normal(shape, dtype=np.float32)
    return np.clip(image, 0, 1).astype(np.float32), inside.astype(np.int32)


def _cut(tissue: _Tissue, z: int, warp: np.ndarray, shape: tuple[int, int]):
    """Cut the tissue at section `z`.

    Returns
    -------
    gap : (H, W) float32
        Distance (px) to the membrane between the two nearest cells.
    cell : (H, W) int
        Which cell a pixel belongs to.
    organelle : (H, W) float32
        Less than 1 inside of the cell's mitochondrion, 1 on its rim.
    """
    grid = warp.shape[1:]
    y, x = COARSE * np.indices(grid, dtype=np.float32) + warp
    points = np.stack([np.full(grid, z * SECTION_STEP, np.float32), y, x, np.zeros(grid, np.float32)], axis=-1)
    distance, nearest = tissue.tree.query(points, k=2, workers=-1)  # (h, w, 2)
    first, second = tissue.centres[nearest[..., 0]], tissue.centres[nearest[..., 1]]
    apart = np.linalg.norm(first - second, axis=-1)
    in_plane = np.linalg.norm((first - second)[..., 1:], axis=-1)
    slant = np.maximum(in_plane / apart, 0.7)  # a membrane cut at a slant looks wider, up to 1 / 0.7
    gap = np.diff(distance**2)[..., 0] / (2 * apart * slant)
    cell = nearest[..., 0]
    radius = np.maximum(tissue.organelle[cell], 1e-3)[..., None] * tissue.axes[cell]
    organelle = np.linalg.norm((points[..., :3] - first) / radius, axis=-1)
    return _enlarge(gap, shape), _repeat(cell, shape), _enlarge(np.minimum(organelle, 9), shape)


def _enlarge(field: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Interpolate linearly from the coarse grid to every pixel."""
    fine = ndimage.zoom(field.astype(np.float32), [(COARSE * (n - 1) + 1) / n for n in field.shape], order=1)
    return fine[: shape[0], : shape[1]]


def _repeat(field: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return field.repeat(COARSE, axis=0).repeat(COARSE, axis=1)[: shape[0], : shape[1]]


def _draw_mitochondria(image, organelle, inside, shape, *, generator) -> np.ndarray:
    """Darken the mitochondria, stripe them, and give them a rim as dark as a membrane."""
    phase = 2.2 * smooth_noise(shape, 40, generator=generator)
    y, x = np.indices(shape, dtype=np.float32)
    stripes = np.sin((0.9 * y + 0.5 * x) * (2 * np.pi / 8) + 4 * phase)
    body = (organelle < 1) & inside
    image = np.where(body, 0.40 + 0.09 * stripes, image)
    return image - 0.22 * inside * np.exp(-(((organelle - 1) / 0.1) ** 2))


def _vesicles(density: np.ndarray, *, generator: np.random.Generator) -> np.ndarray:
    """Return small rings, about 1 on the ring, around random pixels drawn with probability `density`."""
    spots = (generator.random(density.shape, dtype=np.float32) < density).astype(np.float32)
    outer, inner = (2 * np.pi * sd**2 * ndimage.gaussian_filter(spots, sd) for sd in (3.4, 2.2))  # 1 in the middle
    return 2.8 * (outer - inner)
