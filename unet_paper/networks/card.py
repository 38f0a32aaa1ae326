"""The card of a trained network: what it is, what it was trained on, what it may be used for, and how good it is."""

from __future__ import annotations

import json
import textwrap

from unet_paper.messages import plain
from unet_paper.model import UNet
from unet_paper.networks.image_settings import settings_of

ENTRIES = ("name", "task", "scale", "data", "licence", "command", "scores")  # what every card must have
TASKS = {
    "em": "cells (class 1) and membranes (class 0) in serial-section electron microscopy; Table 1 of the paper",
    "u373": "glioblastoma cells (class 1) and background (class 0) in phase contrast; Table 2 of the paper",
    "dic-hela": "HeLa cells (class 1) and background (class 0) in differential interference contrast; Table 2",
}

PAPER_DOI = "10.1007/978-3-319-24574-4_28"
DATA_DOIS = {  # what the owners of the training images ask to be cited; `data/README.md` names the articles
    "em": ("10.1371/journal.pbio.1000502", "10.3389/fnana.2015.00142"),
    "u373": ("10.1038/nmeth.4473", "10.1038/s41592-023-01879-y"),
    "dic-hela": ("10.1038/nmeth.4473", "10.1038/s41592-023-01879-y"),
}

LONG_EM_LOOKS = (
    "The weights of the loss were chosen on the sections 12-17 alone (records em-weights-*), which no mean includes. "
    "The rest of the recipe (Adam and its rate, tile, steps before width) had been tried on the sections 18-23 and "
    "24-29 before, so fold 3 and fold 4 took part in choosing it; folds 0 and 1 had not been scored then."
)
BEST_CELL_LOOKS = (
    "Size of the frames, rotation, threshold and averaging were chosen within the sequences: trained on the first two "
    "thirds of the annotated frames, scored on the last (records *-half-size*, *-full-size*). Scores of both sequences "
    "were in view, that of the later test too, and so were those of earlier networks on it (*-narrow)."
)
SILVER_LOOKS = (
    f"{BEST_CELL_LOOKS} The settings are those of the small network trained with gold masks; {{known}}, and nothing "
    "was changed for it."
)
FAITHFUL_LOOKS = (
    "Weights, optimiser, tile and deformation are the paper's, the same for all three tasks. The rate and standardised "
    "images follow from a trial in which a narrow network left its plateau, which left no record; width and length "
    "from the hours at hand. Nothing was chosen by a score of this recipe; scores of other recipes on the same images "
    "were known."
)
# What had been scored on held-out images before an experiment was run: its scores are to be read with that in mind.
EARLIER_LOOKS = {
    "em-narrow": (
        "Optimiser, learning rate and length of short runs were settled while pixel errors of earlier runs on the last "
        "sections of this stack were known. So the held-out sections took part in choosing the settings; how much that "
        "flatters the scores is not known."
    ),
    "em-small": LONG_EM_LOOKS,
    "em-best": f"{LONG_EM_LOOKS} Width and length were set by the hours at hand, when em-small was known on all folds.",
    "em-wide": (
        f"{LONG_EM_LOOKS} The loss of em-best had leapt, and both of its folds had been scored; so a lower rate was "
        "chosen, of two, on the sections 12-17 and by the pixel error (records em-wide-rate-*; Rand error and V_Rand "
        "preferred the other). Width and length were set by the hours at hand, when em-small was known on all folds."
    ),
    **dict.fromkeys(("u373-best", "dic-hela-small"), BEST_CELL_LOOKS),
    "dic-hela-best": (
        f"{BEST_CELL_LOOKS} When this network ran, dic-hela-small had been scored in both directions and on its blocks "
        "of time; no setting was changed for it."
    ),
    "dic-hela-wide": (
        f"{BEST_CELL_LOOKS} The rate was chosen within the sequences, too (records dic-hela-wide-rate-*). When this "
        "network ran, dic-hela-small had been scored in both directions and on its blocks of time, and dic-hela-best "
        "in both directions; nothing else was changed for it."
    ),
    **dict.fromkeys(("em-faithful", "u373-faithful", "dic-hela-faithful"), FAITHFUL_LOOKS),
    "u373-small": (
        f"{BEST_CELL_LOOKS} When this network ran, u373-best had been scored in both directions, and this one on its "
        "own blocks of time; no setting was changed for it."
    ),
    "dic-hela-silver": SILVER_LOOKS.format(known="its scores on both sequences were known"),
    "u373-silver": SILVER_LOOKS.format(known="its score on sequence 02 was known, that on 01 was not"),
    "u373-narrow": (
        "The settings are a selection on the test sequence. Training without w_c was settled within sequence 01, on "
        "which fold 1 is tested. By then a pilot with w_c had been scored on fold 0 (SEG 0.68); afterwards a setting "
        "that hardly turned the tiles was dropped when its SEG on fold 0 was known (0.76). Fold 1 was not run before. "
        "The two scores in brackets were noted and left no record."
    ),
    "dic-hela-narrow": (
        "The settings are a selection on the test sequence. Training without w_c was settled within sequence 01 of "
        "PhC-U373. By then a pilot with w_c had been scored on fold 0 (SEG 0.56); afterwards two settings that hardly "
        "turned the tiles were dropped when their SEG on fold 0 was known (0.25 and 0.38). The last is recorded as "
        "dic-hela-unturned; the other scores were noted and left no record. Fold 1 was not run before."
    ),
}

MEASURES = {
    "em": " Errors: 0 is best, as in Table 1 each at its best\nthreshold. `v_rand` and `v_info`: 1 is best.",
    "u373": " `seg` is Table 2's measure; 1 is best.",
    "dic-hela": " `seg` is Table 2's measure; 1 is best.",
}


def check_card(card: dict) -> str:
    """Return a card as JSON text, or refuse what a reader of the network could not use.

    Raises
    ------
    ValueError
        If an entry is missing, the scale is not a number above 0, scores are no dictionary, another entry is no text,
        or a value is not plain JSON (NaN is not).
    """
    if missing := [name for name in ENTRIES if name not in card]:
        raise ValueError(f"the card lacks {', '.join(missing)}; it needs {', '.join(ENTRIES)}")
    scale = card["scale"]
    if not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        raise ValueError(f"the card's scale is {scale!r}; needs a number above 0 (1: images at their own size)")
    if wrong := [name for name in ENTRIES if name not in ("scale", "scores") and not isinstance(card[name], str)]:
        raise ValueError(f"the card's {wrong[0]} is {card[wrong[0]]!r}; needs text")
    if not isinstance(card["scores"], dict):
        raise ValueError(f"the card's scores are {card['scores']!r}; needs a dictionary of name and value")
    try:
        return json.dumps(card, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the card is not plain JSON ({error}); use numbers, text, lists and dictionaries") from error


def card_text(card: dict, net: UNet, *, file: str, sha256: str) -> str:
    """Return a card as a page of Markdown.

    Parameters
    ----------
    card : dict
        What `unet_paper.networks.library.save_network` was given.
    net : UNet
        The network that it belongs to.
    file : str
        Name of the network's file.
    sha256 : str
        Checksum of that file.

    Raises
    ------
    ValueError
        As `check_card`: cards come with files of others.
    """
    check_card(card)
    sections = (
        f"# `{_code(file)}`: a trained U-Net\n",
        _facts(card, net, sha256),
        _use(card, file),
        _scores(card),
        _looks(card),
        _origin(card),
        OWN_LIMITS if "images" in card else LIMITS,
    )
    return "\n".join(filter(None, sections))


def _facts(card: dict, net: UNet, sha256: str) -> str:
    rows = {
        "what it finds": TASKS.get(card["task"], card["task"]),
        "network": _network(net),
        "experiment": card["name"],
        "trained on": card["data"],
        "held out, for the scores below": card.get("held_out"),
        "a pixel of the training images": _pixel(card),
        "training": _training(card),
        "licence note": card["licence"],
        "please cite": _citations(card),
        "sha256 of the file": f"`{sha256}`",
    }
    return _table(("", ""), [row for row in rows.items() if row[1]])


def _network(net: UNet) -> str:
    count = sum(parameter.numel() for parameter in net.parameters())
    size = f"{net.base_channels} channels in the first level (the paper: 64), {net.depth} poolings"
    return f"U-Net of Fig. 1 (variant `{net.variant}`), {size}, {count:,} parameters as float16"


def _training(card: dict) -> str:
    names = {"steps": "steps", "seed": "seed", "device": "device", "date": "scored"}
    return ", ".join(f"{word} {card[name]}" for name, word in names.items() if name in card)


def _pixel(card: dict) -> str:
    images = settings_of(card)
    if images is None or not images.pixel_size:
        return ""
    return f"{images.pixel_size:g} µm" + (
        "" if images.scale == 1 else f", seen by the network at {images.scale:g} times its size"
    )


def _citations(card: dict) -> str:
    dois = DATA_DOIS.get(card["task"], ())
    return ", ".join(f"doi:{doi}" for doi in (PAPER_DOI, *dois)) if dois else ""


def _use(card: dict, file: str) -> str:
    if "images" in card:  # it was trained on own images, whose grey values and sizes the network carries with it
        return OWN_USE.format(file=plain(file))
    quoted = plain(json.dumps(file.removesuffix(".safetensors"), ensure_ascii=False))
    scale = card["scale"]
    size = "at their own size" if scale == 1 else f"resized by {scale:g}; `predict_probability` does it, there and back"
    return f"""\
## How to use it

```python
from unet_paper import load_network, predict_probability

net = load_network({quoted})
probability = predict_probability(net, image, scale={scale:g})[1]  # (H, W) in [0, 1]: how probable a cell is
```

It expects one grey channel with values in [0, 1] (8 and 16 bit integers are brought there), nothing subtracted,
and images {size}. Pixels must be about as large as those of the training data: a network knows the sizes
that it has seen.
"""


def _scores(card: dict) -> str:
    scores, note = card["scores"], MEASURES.get(card["task"], "")
    text = f"## Scores\n\nOn the held-out images, with the weights as they are in the file.{note}"
    if not all(isinstance(entry, dict) for entry in scores.values()):
        return text + "\n\n" + _table(("measure", "value"), [(name, _value(score)) for name, score in scores.items()])
    measures = list(dict.fromkeys(name for entry in scores.values() for name in _numbers(entry)))
    rows = [(how, *(_value(entry.get(name)) for name in measures)) for how, entry in scores.items()]
    return text + " One row per way to average predictions.\n\n" + _table(("average", *measures), rows)


def _looks(card: dict) -> str:
    """Say what had been looked at before these scores; nothing for a network of which the book knows nothing."""
    looked = card.get("looked_at") or EARLIER_LOOKS.get(card["name"])
    if not looked:
        return ""
    return f"## What had been looked at before\n\n{textwrap.fill(_cell(looked).replace('```', ''), 118)}\n"


def _numbers(entry: dict) -> dict:
    return {name: value for name, value in entry.items() if isinstance(value, int | float)}


def _value(score) -> str:
    return f"{score:.4g}" if isinstance(score, float) else "" if score is None else str(score)


def _origin(card: dict) -> str:
    text = f"## How it was made\n\nThis file:\n\n```\n{_code(card['command'])}\n```\n"
    if "full_size_command" not in card:
        return text
    return text + f"\nThe network at the paper's full size:\n\n```\n{_code(card['full_size_command'])}\n```\n"


def _table(head: tuple, rows: list[tuple]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value: object) -> str:
    """Return a value for a table: its own bars and tags are text, not columns and HTML."""
    return plain(value).replace("|", "\\|").replace("<", "&lt;")


def _code(value: object) -> str:
    """Return a value for between marks of code, which it cannot end."""
    return plain(value).replace("`", "'")


OWN_USE = """\
## How to use it

```python
import unet_paper as up

net = up.load_network("{file}")  # with its folder
cells = up.segment(image, net)  # (H, W) int32: 0 background, 1..n cells
```

`net.images` says what it expects: scale, grey values, size of the cells. `up.segment` brings an image there by itself.
"""

OWN_LIMITS = """\
## Limits

It was trained on few images of one kind: on other cells, microscopes or magnifications it may fail without any sign of
it. Look at its result before you count anything in it. It is no medical device.

Its terms are those of whatever it learned from; the licence note above says which that is.
"""

LIMITS = """\
## Intended use and limits

Made for reading and checking the book, and as a start for your own experiments. It was trained on few images of one
kind, from one laboratory: on other cells, microscopes or magnifications it may fail without any sign of it. Look at its
result before you count anything in it. It is no medical device. What the recipes of the book's own networks reach on
other images and with other seeds, `data/models/README.md` lists.

The network is what its training images taught it, so their terms are named above: they restrict commercial use, and
you should respect that for the network as well. Cite the data sets (see `data/README.md`) when you publish.
"""
