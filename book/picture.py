"""Draw the picture at the top of README.md anew: `python book/picture.py`.

On generated sections, because pictures of the challenge's sections are not ours to give away.
"""

from dataclasses import replace
from pathlib import Path

import torch

from unet_paper.datasets import synthetic_em
from unet_paper.figures import use_book_style
from unet_paper.figures.em_segmentation import plot_maps
from unet_paper.metrics import em_scores, warp
from unet_paper.model import UNet
from unet_paper.predict import predict_probability
from unet_paper.training import SHORT_RUN, train

if __name__ == "__main__":
    use_book_style()
    sections = synthetic_em()
    net = UNet(base_channels=16)
    net.reset_parameters(torch.Generator().manual_seed(0))
    train(net, sections.subset(range(24)), replace(SHORT_RUN, steps=600))
    image, labels = sections.images[28], sections.labels[28]
    probability = predict_probability(net, image)[1]
    threshold = em_scores(labels, probability).best_threshold["warping_error"]
    figure = plot_maps(image, probability, warp(labels, probability, threshold).errors)
    figure.savefig(Path(__file__).parent / "_static" / "result.png", dpi=160)
