"""The network of Fig. 1: a contracting path, an expansive path, and copies across.

References
----------
Ronneberger, Fischer, Brox (2015), section 2 and Fig. 1, doi:10.1007/978-3-319-24574-4_28.
He et al. (2015), initialisation with standard deviation sqrt(2/N), doi:10.1109/ICCV.2015.123.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unet_paper.messages import short
from unet_paper.options import check_choice, check_scalar

VARIANTS = ("paper", "release")
_MOST_CHANNELS = 16_384  # one convolution between so many takes 10 GB; no number beyond is meant
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}  # in which convolutions may run


class DoubleConvolution(nn.Sequential):
    """Two unpadded 3x3 convolutions, each followed by a ReLU: the blue arrows of Fig. 1.

    (B, C_in, H, W) -> (B, C_out, H - 4, W - 4).
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size=3),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3),
            nn.ReLU(inplace=True),
        )


class UpConvolution(nn.Sequential):
    """A 2x2 transposed convolution with stride 2: the green arrows of Fig. 1.

    (B, C_in, H, W) -> (B, C_out, 2H, 2W). The authors' released file has a ReLU behind it, the paper names none.
    """

    def __init__(self, in_channels: int, out_channels: int, *, relu: bool):
        super().__init__(nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2))
        if relu:
            self.append(nn.ReLU(inplace=True))


class CropAndConcatenate(nn.Module):
    """Put the centre of the contracting path's map behind the upsampled one: the grey arrows of Fig. 1."""

    def forward(self, upsampled: Tensor, skip: Tensor) -> Tensor:
        """(B, C1, h, w) and (B, C2, H, W), H >= h -> (B, C1 + C2, h, w), upsampled channels first."""
        excess_h, excess_w = skip.shape[-2] - upsampled.shape[-2], skip.shape[-1] - upsampled.shape[-1]
        top, left = excess_h // 2, excess_w // 2
        # Negative padding crops. The gradient of a slice would forget that channels come last, and slow down all that
        # comes behind it on the way back; `benchmarks/network.py` says by how much.
        centre = pad(skip, (-left, left - excess_w, -top, top - excess_h))
        return torch.cat([upsampled, centre], dim=1)


class UNet(nn.Module):
    """The U-Net of Fig. 1, with the paper's sizes as defaults.

    Parameters
    ----------
    in_channels : int
        Channels of the input image; 1 for grey images.
    num_classes : int
        K, the channels of the output.
    base_channels : int
        Feature maps of the first level; they double at every level down.
    depth : int
        Number of 2x2 poolings; the paper's network has 4, so 5 levels.
    dropout : float
        Probability with which an activation is dropped at the end of the contracting path, in [0, 1).
        It acts behind the last two levels, before pooling, as in the authors' release; 0 switches it off.
    variant : {"paper", "release"}
        ``"paper"``: every up-convolution halves the channels and has no ReLU (31,030,658 parameters).
        ``"release"``: the network file that the authors published: a ReLU behind every up-convolution, and the last
        one keeps its channels (31,100,354 parameters).

    Attributes
    ----------
    border : int
        Pixels that the output lacks on every side of the input; 92 at depth 4.

    Raises
    ------
    TypeError
        If a count is no whole number, or `dropout` no number.
    ValueError
        If a count is below 1, there are more than 16,384 channels anywhere, `dropout` is outside [0, 1) or `variant`
        is unknown.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 2,
        *,
        base_channels: int = 64,
        depth: int = 4,
        dropout: float = 0.5,
        variant: str = "paper",
    ):
        super().__init__()
        in_channels, num_classes, base_channels, depth = _checked_counts(
            in_channels=in_channels, num_classes=num_classes, base_channels=base_channels, depth=depth
        )
        if base_channels * 2**depth > _MOST_CHANNELS:
            widest = f"base_channels {base_channels} at depth {depth} make more than {_MOST_CHANNELS} channels"
            raise ValueError(f"{widest} at the deepest level; the paper has 64 at depth 4, 1024 channels")
        dropout = check_scalar(dropout, float, name="dropout")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}; needs a probability in [0, 1)")
        self.in_channels, self.num_classes = in_channels, num_classes
        self.base_channels, self.depth = base_channels, depth
        self.variant = check_choice(variant, VARIANTS, name="variant")

        widths = [base_channels * 2**level for level in range(depth + 1)]  # 64, 128, 256, 512, 1024
        self.down = nn.ModuleList(
            DoubleConvolution(before, after) for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.dropout = nn.Dropout(dropout)
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)

        self.upsample, self.up = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(depth)):  # 3, 2, 1, 0
            keeps_channels = variant == "release" and level == 0
            upsampled = widths[level + 1] if keeps_channels else widths[level]
            self.upsample.append(UpConvolution(widths[level + 1], upsampled, relu=variant == "release"))
            self.up.append(DoubleConvolution(upsampled + widths[level], widths[level]))
        self.concatenate = CropAndConcatenate()
        self.score = nn.Conv2d(base_channels, num_classes, kernel_size=1)

        self.border = (self.input_margin + self.output_margin) // 2
        self.reset_parameters()

    @property
    def settings(self) -> dict:
        """What `UNet(**settings)` needs to build a network of the same shape."""
        names = ("in_channels", "num_classes", "base_channels", "depth", "variant")
        return {**{name: getattr(self, name) for name in names}, "dropout": self.dropout.p}

    @property
    def stride(self) -> int:
        """Input pixels per pixel of the deepest map, 2^depth (16): images shifted by it give scores shifted by it."""
        return 2**self.depth

    @property
    def input_margin(self) -> int:
        """Pixels that the contracting path consumes: a legal input side is a multiple of 2^depth plus this (60)."""
        return 4 * (self.stride - 1)

    @property
    def output_margin(self) -> int:
        """Pixels that the rest consumes: the output is smaller than the input by both margins together (124)."""
        return 4 * self.stride + 4 * (self.stride - 1)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew: Gaussian, mean 0, standard deviation sqrt(2/N); biases 0 (section 3, He et al.).

        N counts the inputs of one output neuron: 9 C for a 3x3 convolution over C channels, C for the 1x1 convolution
        and for the 2x2 up-convolution with stride 2, where every output pixel sees exactly one input pixel.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=math.sqrt(2 / incoming_nodes(module)), generator=generator)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Return raw class scores; softmax over dimension 1 turns them into probabilities.

        Parameters
        ----------
        image : Tensor
            (B, in_channels, H, W) floating point, H and W legal sizes.

        Returns
        -------
        Tensor
            (B, num_classes, H - 2 border, W - 2 border).

        Raises
        ------
        ValueError
            If rank, channels or size do not fit; the message names the nearest legal sizes.
        """
        self._check_input(image)
        x, skips = image, []
        for level, convolve in enumerate(self.down):
            x = convolve(x)  # (B, 64 * 2^level, ., .)
            if level >= self.depth - 1:  # the last two levels: end of the contracting path
                x = self.dropout(x)
            if level < self.depth:
                skips.append(x)
                x = self.pool(x)
        for upsample, convolve in zip(self.upsample, self.up, strict=True):
            x = convolve(self.concatenate(upsample(x), skips.pop()))
        return self.score(x)

    def is_legal_size(self, n: int) -> bool:
        """Tell whether every max-pooling sees an even size for an input side of `n` px, and an output is left."""
        return n - 2 * self.border >= 1 and (n - self.input_margin) % self.stride == 0

    def output_size(self, n: int) -> int:
        """Return the output side in px for an input side of `n` px.

        Raises
        ------
        ValueError
            If `n` is not legal; the message names the nearest legal sizes.
        """
        if not self.is_legal_size(n):
            raise ValueError(self._size_message("size", n))
        return n - 2 * self.border

    def legal_size_for(self, n_out: int) -> int:
        """Return the smallest legal input side in px whose output side is at least `n_out` px.

        Raises
        ------
        ValueError
            If `n_out` is below 1.
        """
        if n_out < 1:
            raise ValueError(f"output size {n_out} is not legal; needs at least 1 px")
        blocks = -(-(n_out + 2 * self.border - self.input_margin) // self.stride)  # rounded up
        return self.stride * blocks + self.input_margin

    def _check_input(self, image: Tensor) -> None:
        if image.ndim != 4:
            raise ValueError(f"input has {image.ndim} dimensions, shape {tuple(image.shape)}; needs 4: (B, C, H, W)")
        if image.shape[1] != self.in_channels:
            raise ValueError(f"input has {image.shape[1]} channels; this network takes {self.in_channels}")
        for side, n in zip(("height", "width"), image.shape[2:], strict=True):
            if not self.is_legal_size(n):
                raise ValueError(self._size_message(side, n))

    def _size_message(self, side: str, n: int) -> str:
        smallest = self.legal_size_for(1)
        below = n - (n - self.input_margin) % self.stride
        nearest = (
            f"nearest are {below} and {below + self.stride}" if below >= smallest else f"the smallest is {smallest}"
        )
        return f"input {side} {n} is not legal: 2x2 pooling needs {self.stride}k+{self.input_margin}; {nearest}"


def incoming_nodes(convolution: nn.Conv2d | nn.ConvTranspose2d) -> int:
    """Return N of section 3: how many inputs one output neuron of this layer sums over."""
    if isinstance(convolution, nn.ConvTranspose2d):
        return convolution.in_channels  # kernel = stride, so each output pixel sees one input pixel
    return convolution.in_channels * math.prod(convolution.kernel_size)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which the convolutions of a network run in a precision of `PRECISIONS`."""
    return torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "float32")


def _checked_counts(**counts: int) -> list[int]:
    """Return counts of at least 1 as Python's own numbers, in their order."""
    plain = {name: check_scalar(count, int, name=name) for name, count in counts.items()}
    for name, count in plain.items():
        if count < 1:
            raise ValueError(f"{name} is {count}; needs at least 1")
        if count > _MOST_CHANNELS:
            raise ValueError(f"{name} is {short(str(count))}; needs at most {_MOST_CHANNELS}")
    return list(plain.values())
