"""The fully convolutional network: a classifier of images, run over all of the image, its scores enlarged.

The contracting path is as wide as that of the U-Net it is compared with. Behind it, coarse scores are enlarged by
learned upsampling that begins as bilinear interpolation, and the scores of finer levels are added on the way: none for
the head 32s, those at stride 16 for 16s, those at strides 16 and 8 for 8s.

References
----------
Long, Shelhamer, Darrell (2015), "Fully convolutional networks for semantic segmentation", CVPR, 3431-3440,
doi:10.1109/CVPR.2015.7298965.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unet_paper.baselines.same_size import SameSizeNet, contracting_path
from unet_paper.options import check_choice

HEADS = ("32s", "16s", "8s")
POOLINGS = 5  # each followed by 2x2 max-pooling: the coarsest scores have stride 32


class FCN(SameSizeNet):
    """(B, C, H, W) -> (B, K, H, W), sides multiples of 32.

    Parameters
    ----------
    in_channels, num_classes : int
        Channels of the input, and K of the output.
    base_channels : int
        Channels of the first level; they double at each of the five levels.
    head : {"8s", "16s", "32s"}
        How fine the finest scores are that are added.
    dropout : float
        Behind each of the two layers that were fully connected before.

    Notes
    -----
    Departure: trained from fresh weights, all levels at once; the authors start from a classifier trained on ImageNet
    and go from 32s to 8s in stages. What was fully connected, 7x7 with 4096 channels, is 3x3 here, as wide as the
    last level. All upsampling is learned here; theirs is between the levels, and the last one stays bilinear. Their
    score layers begin at zero (section 4.3), ours with standard deviation sqrt(2/N) as everything else.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 2,
        *,
        base_channels: int = 64,
        head: str = "8s",
        dropout: float = 0.5,
    ):
        super().__init__(in_channels, num_classes, stride=2**POOLINGS)
        self.head = check_choice(head, HEADS, name="head")
        self.settings = {"base_channels": base_channels, "head": head, "dropout": dropout}
        self.down = contracting_path(in_channels, base_channels, POOLINGS)
        widest = base_channels * 2 ** (POOLINGS - 1)
        self.classifier = nn.Sequential(
            nn.Conv2d(widest, widest, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Conv2d(widest, widest, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        added = {"32s": (), "16s": (3,), "8s": (3, 2)}[head]  # levels whose pooled maps, stride 16 and 8, give scores
        self.added = added
        widths = [widest, *(base_channels * 2**level for level in added)]
        self.scores = nn.ModuleList(nn.Conv2d(width, num_classes, kernel_size=1) for width in widths)
        self.twice = nn.ModuleList(bilinear_upsampling(num_classes, 2) for _ in added)
        self.enlarge = bilinear_upsampling(num_classes, self.stride // 2 ** len(added))
        self.reset_parameters()

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, H, W) scores."""
        self.check_input(image)
        x, pooled = image, []
        for convolve in self.down:
            x = F.max_pool2d(convolve(x), 2)
            pooled.append(x)  # strides 2, 4, 8, 16, 32
        total = self.scores[0](self.classifier(x))  # (B, K, H/32, W/32)
        for level, score, twice in zip(self.added, self.scores[1:], self.twice, strict=True):
            total = twice(total) + score(pooled[level])  # fusion is addition
        return self.enlarge(total)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all convolutions anew as for the U-Net, and make all upsampling bilinear again."""
        super().reset_parameters(generator)
        for layer in (*self.twice, self.enlarge):
            make_bilinear(layer)


def bilinear_upsampling(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Return a learned upsampling that begins as bilinear interpolation of each channel on its own.

    (B, C, H, W) -> (B, C, factor H, factor W). The kernel spans two pixels of the coarse map on each side.

    Parameters
    ----------
    channels : int
        C.
    factor : int
        An even number.
    """
    layer = nn.ConvTranspose2d(
        channels, channels, kernel_size=2 * factor, stride=factor, padding=factor // 2, bias=False
    )
    make_bilinear(layer)
    return layer


def make_bilinear(layer: nn.ConvTranspose2d) -> None:
    """Give an upsampling, as of `bilinear_upsampling`, the weights (C, C, 2f, 2f) of bilinear interpolation by f.

    Channels stay apart: weights between different ones are 0.
    """
    factor = layer.stride[0]
    distance = (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor  # from the centre, in coarse pixels
    hat = 1 - distance
    with torch.no_grad():
        layer.weight.zero_()
        for channel in range(layer.in_channels):
            layer.weight[channel, channel] = hat[:, None] * hat
