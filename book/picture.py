"""Draw the pictures at the top of README.md anew: ``python book/picture.py``, or ``... scores`` for the second alone.

Images of the challenges are not ours to give away. So the first shows generated sections, and a network that learned
from such; the second shows numbers that were recorded on the real data, and no image.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

import unet_paper as up
from unet_paper.figures import COLOURS, use_book_style
from unet_paper.figures.em_segmentation import plot_maps
from unet_paper.metrics import em_scores, warp

STATIC = Path(__file__).parent / "_static"
PAPER = {"PhC-U373, SEG": 0.9203, "DIC-HeLa, SEG": 0.7756, "EM, 1 − Rand error": 1 - 0.0382}  # its Tables 1 and 2


def draw_result() -> Figure:
    """Train on generated sections for some minutes, and draw one that was held out, its map and its mistakes."""
    sections = up.synthetic_em()
    net = up.UNet(base_channels=16)
    net.reset_parameters(torch.Generator().manual_seed(0))
    up.train(net, sections.subset(range(24)), replace(up.SHORT_RUN, steps=600))
    image, labels = sections.images[28], sections.labels[28]
    probability = up.predict_probability(net, image)[1]
    threshold = em_scores(labels, probability).best_threshold["warping_error"]
    return plot_maps(image, probability, warp(labels, probability, threshold).errors)


def recorded() -> dict[str, float]:
    """Return what our networks reached on real images that they did not learn from, under the names of `PAPER`."""
    summary, records = up.experiments.summary, up.experiments.evidence.recorded()
    names = (summary.cell_experiment(records, task) for task in ("u373", "dic-hela"))
    overlaps = (summary.cell_overlap(summary.in_folds(records[name], summary.OTHER_SEQUENCE)) for name in names)
    rand = summary.em_mean(records[summary.em_experiment(records)], "rand_error", average="7 rotations")
    return dict(zip(PAPER, (*overlaps, 1 - rand), strict=True))


def draw_scores(ours: dict[str, float]) -> Figure:
    """Draw recorded scores as bars, and the paper's as lines across them."""
    figure, axes = plt.subplots(figsize=(7, 1.9))
    places = range(len(ours))
    axes.barh(places, list(ours.values()), height=0.55, color=COLOURS["image"], label="ours, held out")
    axes.plot(
        list(PAPER.values()), places, "|", color=COLOURS["error"], ms=22, mew=3, label="the paper, secret test set"
    )
    for place, value in zip(places, ours.values(), strict=True):
        axes.text(0.02, place, f"{value:.3f}", va="center", color="white")
    axes.set_yticks(places, list(ours))
    axes.set(xlim=(0, 1), xlabel="1 is perfect")
    axes.invert_yaxis()
    figure.legend(loc="outside upper right", ncols=2)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the pictures at the top of README.md anew.")
    parser.add_argument("which", nargs="?", choices=("all", "scores"), default="all", help="all trains for minutes")
    options = parser.parse_args()
    use_book_style()
    if options.which == "all":
        draw_result().savefig(STATIC / "result.png", dpi=160)
    draw_scores(recorded()).savefig(STATIC / "scores.png", dpi=160)
