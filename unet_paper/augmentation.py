"""Section 3.1: shifts, rotations, elastic deformation and grey values, so that a few images teach invariance.

All deformations are first added up into one source position per pixel; then every image is read once. So nothing is
interpolated twice. Positions outside of the image are mirrored back into it, without repeating the edge pixel.

References
----------
Ronneberger, Fischer, Brox 2015, section 3.1, doi:10.1007/978-3-319-24574-4_28
Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks", doi:10.1109/ICDAR.2003.1227801
Keys 1981, "Cubic convolution interpolation for digital image processing", doi:10.1109/TASSP.1981.1163711
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from unet_paper.options import TYPES, check_choice, check_scalar

INTERPOLATIONS = ("bicubic", "bilinear", "nearest")
SMALLEST = 3  # px; the least that can be mirrored by 2 px, as the bicubic kernel needs


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random deformation of images together with their labels and loss weights.

    Call it on whole images, `augmentation(images, labels, weights, generator=generator)`, or let `sample` cut a tile
    out of larger images in the same resampling. The same code runs on CPU and GPU. Every draw is made whatever the
    settings are: switching one component off leaves the others as they were.

    Parameters
    ----------
    shift : int
        Largest shift in px, along each axis; uniform over the whole pixels -shift..shift.
    rotation : float
        Largest rotation in degrees, about the centre; uniform in [-rotation, rotation].
    flips : bool
        Mirror each axis with probability 1/2. The paper names no flips, so they are off.
    grey_value : float
        Strength g of the grey-value variation, in [0, 1). Drawn uniformly for each image: gamma = exp(+-g), contrast
        factor 1 +- g about mid-grey (0.5), brightness +- g/2; 0 leaves the values alone.
    scaling : float
        Largest relative change of size s, in [0, 1): pictures grow by a factor drawn between 1 / (1 + s) and 1 + s,
        uniformly in its logarithm, about the centre. Drawn last, and only if it is not 0.
    elastic_std : float
        Standard deviation in px of the displacement vectors on the coarse grid.
    grid : int
        Control points per side, at least 2. They span the image or tile: with 3, its corners, edge midpoints, centre.
    image_interpolation : {"bicubic", "bilinear", "nearest"}
        How images are read between pixels. Bicubic is Keys' kernel with a = -0.75; what it overshoots is clipped to
        [0, 1]. Labels and weights are always read at the nearest pixel, both at the same one: a label stays a label,
        an ignored pixel keeps its weight 0, and each label keeps the weight that was computed for it on the whole
        annotation. (Recomputed weights would not know cells beyond the tile, and would cost a weight map each time.)
    """

    # Departure: the paper names shift, rotation and grey values, but not their sizes; these are ours.
    shift: int = 20
    rotation: float = 180.0
    flips: bool = False
    grey_value: float = 0.1
    scaling: float = 0.0
    elastic_std: float = 10.0
    grid: int = 3
    image_interpolation: str = "bicubic"

    def __post_init__(self):
        for field in fields(self):
            value = check_scalar(getattr(self, field.name), TYPES[field.type], name=field.name)
            object.__setattr__(self, field.name, value)
        for name in ("shift", "rotation", "grey_value", "elastic_std"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"{name} is {value}; needs a finite number of at least 0")
        if self.grey_value >= 1:
            raise ValueError(f"grey_value is {self.grey_value}; needs less than 1, typical is 0.1")
        if not 0 <= self.scaling < 1:
            raise ValueError(f"scaling is {self.scaling}; needs a share in [0, 1), typical is 0.25")
        if self.grid < 2:
            raise ValueError(f"grid is {self.grid}; needs at least 2 control points per side, the paper has 3")
        check_choice(self.image_interpolation, INTERPOLATIONS, name="image_interpolation")

    def __call__(
        self, images: Tensor, labels: Tensor, weights: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Deform whole images; each one of the batch differently.

        Parameters
        ----------
        images : Tensor
            (B, C, H, W) float32 in [0, 1]; sides of at least 3 px.
        labels : Tensor
            (B, H, W) integer: 0 background, 1..n objects, -1 ignored.
        weights : Tensor
            (B, H, W) floating point, at least 0.
        generator : torch.Generator
            Source of all randomness. One on the CPU gives the same draws whatever device the images are on.

        Returns
        -------
        images, labels, weights : Tensor
            Of the same shapes, dtypes and device.

        Raises
        ------
        TypeError
            If a dtype does not fit.
        ValueError
            If the shapes do not belong together.
        """
        _check_triple(images, labels, weights)
        size = images.shape[2:]  # (H, W)
        draws = self.draw(len(images), generator=generator, device=images.device)
        top_left = torch.round(self.shift * (2 * draws.position - 1))  # (B, 2) px
        return self._resample((images, labels, weights), draws, top_left, size=size, border=0)

    def sample(
        self,
        images: Tensor,
        labels: Tensor,
        weights: Tensor,
        *,
        tile: int,
        border: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Cut one deformed square tile out of each image: what one training step of a valid-convolution net needs.

        Labels and weights are read only where the network has an output. The random position of the tile takes the
        place of `shift`: before deformation, the output window lies anywhere within the image, in whole pixels (or
        around all of it, if it is the larger one).

        Parameters
        ----------
        images, labels, weights : Tensor
            As for a call on whole images.
        tile : int
            Side of the network's input in px, for example 572. It may exceed the image, which is mirrored.
        border : int
            Pixels that the network's output lacks on every side, for example 92.
        generator : torch.Generator
            Source of all randomness.

        Returns
        -------
        images : Tensor
            (B, C, tile, tile).
        labels, weights : Tensor
            (B, tile - 2 border, tile - 2 border): the centre of the tile.

        Raises
        ------
        TypeError
            If a dtype does not fit.
        ValueError
            If the shapes do not belong together, or the border leaves no output.
        """
        _check_triple(images, labels, weights)
        if border < 0 or tile - 2 * border < 1:
            raise ValueError(f"tile {tile} with border {border} leaves no output; needs tile > 2 border >= 0")
        draws = self.draw(len(images), generator=generator, device=images.device)
        room = _sides(images.shape[2:], images.device) - (tile - 2 * border)  # (2,) px, may be negative
        first = room.clamp(max=0)  # the smallest allowed position of the output window
        window = first + torch.floor(draws.position * (room.abs() + 1))  # (B, 2) px
        return self._resample((images, labels, weights), draws, window - border, size=(tile, tile), border=border)

    def draw(self, batch: int, *, generator: torch.Generator, device: torch.device | str = "cpu") -> Draws:
        """Draw what will happen to each image of a batch; the two calls above begin with it.

        Parameters
        ----------
        batch : int
            B, the number of images.
        generator : torch.Generator
            Source of all randomness, on any device.
        device : torch.device or str
            Where the numbers are needed.

        Returns
        -------
        Draws
            Displacement vectors, position, flip, angle and grey values of each image.
        """
        vectors = torch.randn(batch, 2, self.grid, self.grid, generator=generator, device=generator.device)
        uniform = torch.rand(batch, 8, generator=generator, device=generator.device)
        vectors, uniform = (_without_waiting(numbers, device) for numbers in (vectors, uniform))
        signed = 2 * uniform - 1  # in [-1, 1)
        flip = torch.where(uniform[:, 2:4] < 0.5, -1.0, 1.0) if self.flips else torch.ones_like(uniform[:, 2:4])
        return Draws(
            vectors=self.elastic_std * vectors,
            position=uniform[:, 0:2],
            flip=flip,
            angle=math.radians(self.rotation) * signed[:, 4],
            grey=self.grey_value * signed[:, 5:8],
            zoom=self._draw_zoom(batch, generator, device),
        )

    def _draw_zoom(self, batch: int, generator: torch.Generator, device: torch.device | str) -> Tensor:
        if self.scaling == 0:
            return torch.ones(batch, device=device)
        signed = 2 * torch.rand(batch, generator=generator, device=generator.device) - 1
        return _without_waiting((1 + self.scaling) ** signed, device)

    def _resample(self, triple, draws: Draws, top_left: Tensor, *, size, border: int) -> tuple[Tensor, Tensor, Tensor]:
        """Read a window of `size` px whose corner lies at `top_left`; labels and weights without its `border`."""
        images, labels, weights = triple
        # Where every pixel of the window comes from: flip, scaling, rotation and shift, then the elastic field on top.
        steps = draws.flip / draws.zoom[:, None]  # source pixels per pixel of the window
        source = rigid_positions(top_left, draws.angle, steps, size) + displacement_field(draws.vectors, size)
        source = mirrored(source, images.shape[2:])  # (B, 2, h, w) row, column; now all within the image
        deformed = read_between_pixels(images, source, interpolation=self.image_interpolation)
        if self.grey_value > 0:
            deformed = vary_grey_values(deformed, draws.grey)
        # The network answers for the centre of the window alone: only there are labels and weights read, both at the
        # same nearest pixel, so that a label stays a label and keeps its weight.
        output = source[..., border : size[0] - border, border : size[1] - border]
        nearest = nearest_pixels(output, width=images.shape[3])
        return deformed, read_pixels(labels, nearest), read_pixels(weights, nearest)


@dataclass(frozen=True)
class Draws:
    """What one call drew, for each of B images."""

    vectors: Tensor  # (B, 2, grid, grid) displacements in px: down, right
    position: Tensor  # (B, 2) in [0, 1): where between the first and the last allowed position
    flip: Tensor  # (B, 2) -1 mirrors the axis, 1 leaves it
    angle: Tensor  # (B,) radians
    grey: Tensor  # (B, 3) in [-g, g]: gamma, contrast, brightness
    zoom: Tensor  # (B,) how many times larger the picture becomes


def displacement_field(vectors: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate displacement vectors on a coarse grid to every pixel.

    The kernel is Keys' cubic convolution with a = -0.75 (PyTorch's "bicubic"), the outermost vectors repeated beyond
    the grid. It interpolates: at a control point the displacement is the vector itself.

    Parameters
    ----------
    vectors : Tensor
        (B, 2, m, n) floating point, in px: down, right. The control points span the image, corner to corner.
    size : tuple of int
        (H, W) of the image in px.

    Returns
    -------
    Tensor
        (B, 2, H, W) displacements in px.
    """
    # Departure: the paper says neither where its 3x3 points lie nor which bicubic kernel it means.
    rows, columns = (_basis(vectors, points, side) for points, side in zip(vectors.shape[2:], size, strict=True))
    return rows @ vectors @ columns.T


def _sides(size: Sequence[int], device: torch.device) -> Tensor:
    """Return (2,) sides in px as floats, made on the device: a copy from the host would wait for it."""
    return torch.stack([torch.full((), float(side), device=device) for side in size])


def _without_waiting(numbers: Tensor, device: torch.device | str) -> Tensor:
    """Return `numbers` on `device`; a GPU fetches them from pinned memory while the host goes on."""
    if numbers.is_cuda or torch.device(device).type != "cuda":
        return numbers.to(device)
    return numbers.pin_memory().to(device, non_blocking=True)


def _basis(vectors: Tensor, points: int, side: int) -> Tensor:
    """Return what each of the control points contributes to each pixel of a line: (side, points)."""
    identity = torch.eye(points, dtype=vectors.dtype, device=vectors.device)
    return F.interpolate(identity[None, None], size=(side, points), mode="bicubic", align_corners=True)[0, 0]


def control_shares(points: int, side: int) -> Tensor:
    """Return how much each of the `points` along a line of `side` px counts at each of its pixels.

    With these shares b, `displacement_field` of vectors v is b v b^T.

    Returns
    -------
    Tensor
        (side, points) float64; each row sums to 1.
    """
    return _basis(torch.zeros((), dtype=torch.float64), points, side)


def elastic_std_of(strain: float, tile: int, *, grid: int = 3) -> float:
    """Return the displacement in px that strains a square tile so much, whatever its size.

    An elastic deformation with displacement (u, v) changes an area by the factor 1 + du/dy + dv/dx, to first order.
    Control points span the tile, so the same displacements strain a smaller tile more.

    Parameters
    ----------
    strain : float
        Standard deviation of du/dy + dv/dx, root mean square over the tile; >= 0.
    tile : int
        Side of the tile in px, at least 2.
    grid : int
        Control points per side.

    Returns
    -------
    float
        `Augmentation.elastic_std` in px. A strain of 0.065 gives the paper's 10 px on its tile of 572 px.
    """
    share = control_shares(grid, tile)  # (tile, grid)
    slope = torch.gradient(share, dim=0)[0]  # per px
    variance = 2 * (slope**2).sum(1).mean() * (share**2).sum(1).mean()  # of the strain, for displacements of 1 px
    return strain / math.sqrt(float(variance))


def rigid_positions(top_left: Tensor, angle: Tensor, steps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return where each pixel of a flipped, scaled and rotated window comes from.

    Parameters
    ----------
    top_left : Tensor
        (B, 2) position of the window in the source before it is rotated about its own centre, in px: down, right.
    angle : Tensor
        (B,) in radians; positive rotates the picture counter-clockwise.
    steps : Tensor
        (B, 2) source pixels per pixel of the window along its vertical and horizontal axis: 1 leaves an axis, -1
        mirrors it, 0.5 shows the picture at twice its size.
    size : tuple of int
        (H, W) of the window in px.

    Returns
    -------
    Tensor
        (B, 2, H, W) source positions in px: row, column.
    """
    half = [(side - 1) / 2 for side in size]
    y = steps[:, 0, None] * (torch.arange(size[0], device=angle.device) - half[0])  # (B, H), from the centre
    x = steps[:, 1, None] * (torch.arange(size[1], device=angle.device) - half[1])  # (B, W)
    cos, sin = torch.cos(angle)[:, None], torch.sin(angle)[:, None]  # (B, 1)
    top, left = top_left[:, 0, None] + half[0], top_left[:, 1, None] + half[1]  # (B, 1), centre in the source
    row = (cos * y + top)[:, :, None] + (sin * x)[:, None, :]  # (B, H, W)
    column = (-sin * y)[:, :, None] + (cos * x + left)[:, None, :]
    return torch.stack([row, column], dim=1)


def mirrored(source: Tensor, size: tuple[int, int]) -> Tensor:
    """Fold positions (B, 2, h, w) outside of an (H, W) image back into it: -1 becomes 1, H becomes H - 2."""
    period = 2.0 * (_sides(size, source.device).view(1, 2, 1, 1) - 1)
    return (source - period * torch.round(source / period)).abs()  # how far from the nearest mirror image of pixel 0


def read_between_pixels(images: Tensor, source: Tensor, *, interpolation: str = "bicubic") -> Tensor:
    """Read images (B, C, H, W) at positions (B, 2, h, w) within them, in px; values clipped to [0, 1]."""
    height, width = images.shape[2:]
    # grid_sample wants positions in [-1, 1]. With a side of 2^k + 1 px that scale is exact in binary arithmetic, so a
    # whole pixel stays one and no deformation means no change at all.
    span = 2 ** math.ceil(math.log2(max(height, width) + 3))
    mirror = F.pad(images, (2, 2, 2, 2), mode="reflect")  # the bicubic kernel reaches 2 px beyond the edge
    canvas = F.pad(mirror, (0, span - width - 3, 0, span - height - 3))
    row, column = source.unbind(1)
    positions = torch.stack([column, row], dim=-1).add_(2).mul_(2 / span).sub_(1)  # (B, h, w, 2) as x, y
    return F.grid_sample(canvas, positions, mode=interpolation, align_corners=True).clamp_(0, 1)


def nearest_pixels(source: Tensor, width: int) -> Tensor:
    """Return the number of the pixel nearest to each position (B, 2, h, w) in px, counted along the rows: (B, h, w)."""
    row, column = torch.round(source).unbind(1)
    return (row.long() * width).add_(column.long())


def read_pixels(maps: Tensor, numbers: Tensor) -> Tensor:
    """Read maps (B, H, W) of any dtype at the pixels of these numbers (B, h, w)."""
    return maps.flatten(1).gather(1, numbers.flatten(1)).view(numbers.shape)


def vary_grey_values(images: Tensor, grey: Tensor) -> Tensor:
    """Apply gamma, contrast and brightness to images (B, C, H, W) in [0, 1]; `grey` is (B, 3) in [-g, g]."""
    gamma, contrast, brightness = grey.view(-1, 3, 1, 1, 1).unbind(1)  # (B, 1, 1, 1)
    varied = (1 + contrast) * (images ** torch.exp(gamma) - 0.5) + 0.5 + brightness / 2
    return varied.clamp(0, 1)


def _check_triple(images: Tensor, labels: Tensor, weights: Tensor) -> None:
    if images.ndim != 4 or min(images.shape[2:]) < SMALLEST:
        raise ValueError(f"images have shape {tuple(images.shape)}; needs (B, C, H, W), sides of {SMALLEST} px or more")
    wanted = (images.shape[0], *images.shape[2:])
    for name, maps in {"labels": labels, "weights": weights}.items():
        if maps.shape != wanted:
            raise ValueError(f"{name} have shape {tuple(maps.shape)}; these images need (B, H, W) = {tuple(wanted)}")
    if images.dtype != torch.float32:
        raise TypeError(f"images have dtype {images.dtype}; pass float32 in [0, 1]")
    if not weights.is_floating_point():
        raise TypeError(f"weights have dtype {weights.dtype}; pass floating point numbers, e.g. weights.float()")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise TypeError(f"labels have dtype {labels.dtype}; pass integers, e.g. labels.int()")
