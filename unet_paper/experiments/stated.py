"""What the paper states: its seventeen claims in our words, with its own values; nothing else is typed in a scoreboard.

References
----------
Ronneberger, Fischer, Brox (2015), doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CONVOLUTIONS = 23
FIG_1 = (
    *(572, 570, 568, 284, 282, 280, 140, 138, 136, 68, 66, 64, 32, 30, 28),
    *(56, 54, 52, 104, 102, 100, 200, 198, 196, 392, 390, 388),
)  # px, every side of Fig. 1, from the input to the score map
MOMENTUM, W0, SIGMA, DROPOUT_LEVEL, ANNOTATED = 0.99, 10, 5, "end of the contracting path", 30
TABLE_1 = {"warping_error": 0.000353, "rand_error": 0.0382, "pixel_error": 0.0611}
IDSIA = {"warping_error": 0.000420, "rand_error": 0.0504, "pixel_error": 0.0613}  # the sliding window [1]
TABLE_2 = {"u373": 0.9203, "dic-hela": 0.7756}
SECOND_BEST = {"u373": 0.83, "dic-hela": 0.46}
SECONDS, HOURS, GIGABYTES = 1.0, 10.0, 6.0  # of a 512 x 512 px image, of the training, of the GPU


@dataclass(frozen=True)
class Claim:
    """What the paper says, and where the book looks at it.

    Attributes
    ----------
    number : int
        1 .. 17.
    text : str
        The claim, in our words.
    paper : str
        The paper's own value.
    page : str
        The chapter's file, without its ending.
    label : str
        What to look at there: the label of a figure, a table or a section.
    place : str
        What the link to it is called.
    """

    number: int
    text: str
    paper: str
    page: str
    label: str
    place: str

    @property
    def name(self) -> str:
        """Such as ``"C1"``."""
        return f"C{self.number}"


def _listed(values: Mapping[str, float]) -> str:
    return f"{values['warping_error']:.6f} / {values['rand_error']:.4f} / {values['pixel_error']:.4f}"


CLAIMS = tuple(
    Claim(number, *entry)
    for number, entry in enumerate(
        (
            (
                "The network has this many convolutions and the sizes of Fig. 1.",
                f"{CONVOLUTIONS} layers; {FIG_1[0]} px in, {FIG_1[-1]} px out",
                *("architecture", "fig-architecture", "the network"),
            ),
            (
                "An image of any size is segmented tile by tile without a seam.",
                "seamless",
                *("overlap_tile", "fig-seams", "overlap-tile"),
            ),
            (
                "Far less redundant than running a network in a window around each pixel.",
                "slow, much redundancy",
                *("introduction", "fig-operations", "what a window costs"),
            ),
            (
                "Context and localisation at the same time, where a window has to choose.",
                "both at once",
                *("comparisons", "comparisons-context", "context or localisation"),
            ),
            (
                "First weights of standard deviation √(2/N) keep every feature map near unit variance.",
                "variance about 1",
                *("training", "fig-signals", "the first weights"),
            ),
            (
                "A high momentum lets single tiles stand in for a batch: many of them decide a step.",
                f"momentum {MOMENTUM}",
                *("ablations", "ablations-momentum", "momentum or a batch"),
            ),
            (
                "Weights make the network learn the gaps between touching cells.",
                f"w₀ = {W0}, σ ≈ {SIGMA} px",
                *("ablations", "ablations-weights", "do weights teach the gaps?"),
            ),
            (
                "Elastic deformation is the key to learning from few images.",
                f"{ANNOTATED} annotated sections",
                *("ablations", "ablations-elastic", "is deformation the key?"),
            ),
            (
                "Dropout acts as further augmentation.",
                DROPOUT_LEVEL,
                *("ablations", "ablations", "what matters"),
            ),
            (
                "Electron microscopy: warping, Rand and pixel error.",
                _listed(TABLE_1),
                *("em_segmentation", "tab-em", "beside Table 1"),
            ),
            (
                "Better than the sliding-window network, on the same data.",
                f"warping {IDSIA['warping_error']:.6f} → {TABLE_1['warping_error']:.6f}",
                *("comparisons", "comparisons-table", "equal time"),
            ),
            (
                "PhC-U373: mean intersection over union.",
                f"{TABLE_2['u373']:.4f} (second best {SECOND_BEST['u373']:.2f})",
                *("cell_tracking", "tab-cells", "beside Table 2"),
            ),
            (
                "DIC-HeLa: mean intersection over union.",
                f"{TABLE_2['dic-hela']:.4f} (second best {SECOND_BEST['dic-hela']:.2f})",
                *("cell_tracking", "tab-cells", "beside Table 2"),
            ),
            (
                "A 512 × 512 px image takes less than a second on a GPU of 2015.",
                f"< {SECONDS:g} s",
                *("benchmarks", "benchmarks", "benchmarks"),
            ),
            ("Training time.", f"{HOURS:g} h", *("gpu_training", "fig-wall-time", "ten hours")),
            (
                "One tile of 572 px is trained within the memory of one GPU.",
                f"{GIGABYTES:g} GB",
                *("gpu_training", "fig-memory", "how much memory"),
            ),
            (
                "One and the same network does all three tasks.",
                "three tasks",
                *("cell_tracking", "fig-fig4", "Fig. 4, with our networks"),
            ),
        ),
        start=1,
    )
)
