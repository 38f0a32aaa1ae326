"""A U-Net without the copies across: what is left of Fig. 1 when the grey arrows are taken away.

Context reaches the full resolution through the up-convolutions alone, and place must survive four poolings.
"""

from __future__ import annotations

from torch import Tensor, nn

from unet_paper.model import UNet


class UpsampledAlone(nn.Module):
    """Take the place of `unet_paper.model.CropAndConcatenate` and leave out what it would have put behind."""

    def forward(self, upsampled: Tensor, skip: Tensor) -> Tensor:
        """(B, C1, h, w) and (B, C2, H, W) -> (B, C1, h, w)."""
        return upsampled


class SkiplessUNet(UNet):
    """A U-Net whose expansive path sees nothing of the contracting path but its end; parameters as for `UNet`.

    Sizes and border are those of the U-Net. The first convolution of every level up loses the inputs that the copies
    had filled, and the weights that read them: with 64 base channels it has 3,133,440 parameters less.
    """

    def __init__(self, in_channels: int = 1, num_classes: int = 2, **settings):
        super().__init__(in_channels, num_classes, **settings)
        self.concatenate = UpsampledAlone()
        for upsample, convolve in zip(self.upsample, self.up, strict=True):
            convolve[0] = nn.Conv2d(upsample[0].out_channels, convolve[0].out_channels, kernel_size=3)
        self.reset_parameters()
