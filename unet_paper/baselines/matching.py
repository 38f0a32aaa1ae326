"""A U-Net with as many parameters as another network: so that neither wins by size alone."""

from __future__ import annotations

WITHIN = 0.25  # relative difference that counts as equal
_WIDEST = 64  # channels of the first level; the paper's


def matched_unet(parameters: int) -> dict[str, int]:
    """Return `base_channels` and `depth` of the deepest U-Net whose parameters come within 25 % of a number.

    Parameters
    ----------
    parameters : int
        How many the other network has.

    Raises
    ------
    ValueError
        If no U-Net of depth 2 to 4, up to the paper's width, is that close; the message names the nearest.
    """
    shapes = {(depth, width): unet_parameters(width, depth) for depth in (4, 3, 2) for width in range(1, _WIDEST + 1)}
    for depth in (4, 3, 2):
        width = min(range(1, _WIDEST + 1), key=lambda width: abs(shapes[depth, width] - parameters))
        if abs(shapes[depth, width] - parameters) <= WITHIN * parameters:
            return {"base_channels": width, "depth": depth}
    nearest = min(shapes.values(), key=lambda count: abs(count - parameters))
    raise ValueError(f"no U-Net has within 25 % of {parameters:,} parameters; the nearest has {nearest:,}")


def unet_parameters(base_channels: int, depth: int, *, in_channels: int = 1, num_classes: int = 2) -> int:
    """Count the parameters of a U-Net without making it.

    Parameters
    ----------
    base_channels, depth, in_channels, num_classes : int
        As for `unet_paper.UNet`.
    """
    widths = [base_channels * 2**level for level in range(depth + 1)]
    total = base_channels * num_classes + num_classes
    for before, after in zip([in_channels, *widths], widths, strict=False):
        total += 9 * before * after + after + 9 * after * after + after
    for after in widths[:-1]:
        total += 2 * after * after * 4 + after  # up-convolution
        total += 9 * 2 * after * after + after + 9 * after * after + after
    return total
