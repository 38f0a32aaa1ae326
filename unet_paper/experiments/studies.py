"""What matters: named changes to one base recipe, a few to each study, and every run that they take.

Each change alters one thing of `BASE`, or of another change that it names, so a difference between the two has one
reason; a few take two things together, as their names say. No setting of `EXPERIMENTS` is decided here: these runs are
scored on blocks that no choice may look at, except the learning rates of `study-rates`, which are chosen on the
sections 12-17.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from unet_paper.experiments.recipe import BASE, STEPS, Recipe

SEEDS = (0, 1, 2)
PLAIN_BLOCK, CHOOSING_BLOCK, RINGED_BLOCK = 1, 2, 4  # folds: 6-11 annotated plainly, 12-17 to choose on, 24-29
FEW = {"1 section": 1, "5 sections": 5}  # training sections; the base has 24
LARGEST = 5  # effects that are run on a second fold


@dataclass(frozen=True)
class Change:
    """One thing that is altered.

    Attributes
    ----------
    name : str
        Unique among all changes.
    settings : mapping
        What becomes of the recipe, by the names that `Recipe.changed` knows.
    against : str
        The change that it is compared with; it differs in one thing.
    seeds, folds : tuple of int
        The runs.
    tuned : str
        A family of `RATES`, of which it takes the learning rate with the smallest pixel error; empty for none.
    first : int
        The smaller, the sooner it is run.
    """

    name: str
    settings: Mapping[str, object]
    against: str = "base"
    seeds: tuple[int, ...] = SEEDS
    folds: tuple[int, ...] = (PLAIN_BLOCK,)
    tuned: str = ""
    first: int = 9

    def recipe(self, rates: Mapping[str, float] | None = None) -> Recipe | None:
        """Return the recipe of the runs; None if its learning rate has not been chosen yet.

        Parameters
        ----------
        rates : mapping of str to float, optional
            The chosen learning rate of each family.
        """
        if not self.tuned:
            return BASE.changed(self.settings)
        rate = (rates or {}).get(self.tuned)
        return None if rate is None else BASE.changed({**self.settings, "learning_rate": rate})


@dataclass(frozen=True)
class Study:
    """Changes that answer one question; they share a file of rows."""

    name: str
    question: str
    changes: tuple[Change, ...]


class Planned(NamedTuple):
    """One run of a study."""

    study: str
    change: str
    fold: int
    seed: int


def _for_few(name: str, settings: Mapping[str, object], *, against: str = "base", first: int) -> list[Change]:
    """Return a change with all sections, and the same with few; each against another one with as many sections."""
    few = [
        Change(
            f"{name}, {few}",
            {**settings, "images": n},
            against=few if against == "base" else f"{against}, {few}",
            first=first + 1,
        )
        for few, n in FEW.items()
    ]
    return [Change(name, settings, against=against, first=first), *few]


# Section 3.1. No other change has so many runs: the paper claims it for few images, so each is repeated with few. Does
# it need time to show? A single section can be learned by heart in four times the steps.
RIGID = {"elastic_std": 0.0}
UNTURNED = {"rotation": 0.0, "flips": False}
LONG, _LONG = "1 section, 4 times the steps", {"images": 1, "steps": 4 * STEPS}
AUGMENTATION = (
    *(Change(few, {"images": n}, first=2) for few, n in FEW.items()),
    *_for_few("elastic 0 px", RIGID, first=1),
    *_for_few("no rotations, no flips", UNTURNED, first=1),
    *_for_few("grey values alone", {**RIGID, **UNTURNED}, against="no rotations, no flips", first=4),
    Change(LONG, _LONG, against="1 section", first=5),
    Change(f"elastic 0 px, {LONG}", {**RIGID, **_LONG}, against=LONG, first=5),
    *_for_few("no rotations", {"rotation": 0.0}, first=7),
    *_for_few("no flips", {"flips": False}, first=7),
    *_for_few("elastic 10 px", {"elastic_std": 10.0}, first=7),
    *_for_few("elastic 20 px", {"elastic_std": 20.0}, first=7),
    Change("scaling instead of elastic", {**RIGID, "scaling": 0.25}, first=8),  # what Lux and Matula prefer
    Change(
        "scaling instead of elastic, 1 section", {**RIGID, "scaling": 0.25, "images": 1}, against="1 section", first=8
    ),
)
DROPOUT = (
    Change("dropout 0", {"dropout": 0.0}, first=1),
    Change("dropout 0.25", {"dropout": 0.25}, first=8),
    Change("dropout 0, 1 section", {"dropout": 0.0, "images": 1}, against="1 section", first=3),
)
# Frames at half size: gaps are half as wide there, so sigma is too. They leave the plateau late, so runs are longer.
_DIC = {"task": "dic-hela", "scale": 0.5, "sigma": 2.5, "steps": 2 * STEPS}
_BOTH_WAYS = {"against": "DIC", "folds": (0, 1), "first": 2}
WEIGHT_CHANGES = (
    Change("w0 10", {"w0": 10.0}, first=1),
    Change("w_c", {"balance": True}, first=6),
    Change("w0 10 and w_c", {"w0": 10.0, "balance": True}, against="w_c", first=6),
    Change("DIC", _DIC, **_BOTH_WAYS),
    Change("DIC, w0 10", {**_DIC, "w0": 10.0}, **_BOTH_WAYS),
    Change("DIC, w_c", {**_DIC, "balance": True}, **{**_BOTH_WAYS, "first": 6}),
)
# On tiles of another size: the base's strain, 5 px on 316 px, and its share of steps to warm up in.
_STRAIN = {"elastic_std": 0.0, "elastic_strain": 0.0586}
SHAPE = (
    Change("no skips", {"network": "no skips"}, first=1),
    # half of the deepest maps dropped, and no way around them: is it the skips that are missed, or what is dropped?
    Change("no skips, dropout 0", {"network": "no skips", "dropout": 0.0}, against="dropout 0", first=3),
    # as many operations as a tile of 316 px without padding
    Change("padded", {"network": "padded", "tile": 208, **_STRAIN}, first=4),
    Change("16 channels", {"base_channels": 16}, first=6),
    # the rate chosen for 32 channels on the sections 12-17 (`em-wide-rate-*`): with the base's, `em-best` leapt
    Change("32 channels, rate 0.0005", {"base_channels": 32, "learning_rate": 5e-4}, first=9),
)
INIT = (Change("sqrt(1/N)", {"rule": "sqrt(1/N)"}, first=1), Change("PyTorch", {"rule": "PyTorch"}, first=1))
# Steps that take as many operations as the base (`unet_paper.analysis.operations.step_flop`).
TILES = tuple(
    Change(f"tile {tile} px", {"tile": tile, "steps": steps, "warmup_steps": steps // 30, **_STRAIN}, first=5)
    for tile, steps in ((252, 5_970), (444, 1_160), (572, 600))
)
# Section 3: momentum 0.99 remembers about 100 tiles. All see as many tiles as the base, so a batch means fewer steps.
_SGD = {"optimiser": "sgd", "schedule": "constant"}
FAMILIES = {
    "momentum 0.99": {**_SGD, "momentum": 0.99},
    "momentum 0": {**_SGD, "momentum": 0.0},
    "momentum 0.9, batch 10": {**_SGD, "momentum": 0.9, "batch_size": 10, "steps": STEPS // 10, "warmup_steps": 10},
    "momentum 0, batch 100": {**_SGD, "momentum": 0.0, "batch_size": 100, "steps": STEPS // 100, "warmup_steps": 1},
    "Adam": {"schedule": "constant"},
}
RATES = {
    "momentum 0.99": (3e-4, 1e-3, 3e-3),
    "momentum 0": (3e-2, 1e-1, 3e-1),
    "momentum 0.9, batch 10": (1e-2, 3e-2, 1e-1, 3e-1),  # the last was added when 0.1 was the best of three
    "momentum 0, batch 100": (3e-2, 1e-1, 3e-1, 1.0, 3.0),  # the first two were added when 0.3 and 0.1 were
    "Adam": (3e-4, 1e-3, 3e-3),
}
TUNING = tuple(
    Change(
        f"{family}, rate {rate:g}",
        {**FAMILIES[family], "learning_rate": rate},
        seeds=(0,),
        folds=(CHOOSING_BLOCK,),
        first=2,
    )
    for family, rates in RATES.items()
    for rate in rates
)
OPTIMISERS = tuple(
    Change(family, settings, against="momentum 0.99", tuned=family, first=3) for family, settings in FAMILIES.items()
)
LEAKAGE = (
    Change("neighbours learned from", {"split": "interleaved"}, first=4),
    Change("random sections beside a block", {"split": "block and random"}, first=4),
    Change("DIC, random frames beside a sequence", {**_DIC, "split": "block and random"}, **{**_BOTH_WAYS, "first": 4}),
)

STUDIES = {
    study.name: study
    for study in (
        Study("study-base", "How much luck is in one run?", (Change("base", {}, first=0),)),
        Study("study-processor", "What does another processor alone do?", (Change("base again", {}, first=0),)),
        Study("study-augmentation", "Is elastic deformation the key with few images?", AUGMENTATION),
        Study("study-dropout", "Does dropout act as augmentation?", DROPOUT),
        Study("study-weights", "Do weights teach the gaps between cells?", WEIGHT_CHANGES),
        Study("study-shape", "What do skips, unpadded convolutions and width bring?", SHAPE),
        Study("study-init", "Does the rule for the first weights show in the end?", INIT),
        Study("study-tiles", "Few large tiles, or many small ones?", TILES),
        Study("study-rates", "Which learning rate suits each optimiser? (sections 12-17)", TUNING),
        Study("study-optimisers", "Is momentum 0.99 as good as a batch of tiles?", OPTIMISERS),
        Study("study-leakage", "How kind is a random split?", LEAKAGE),
        Study("study-largest", "Do the largest effects hold on another block?", ()),
    )
}
CHANGES = {change.name: change for study in STUDIES.values() for change in study.changes}


def planned(name: str) -> list[Planned]:
    """Return every run of a study; those of `study-largest` follow from other rows (`unet_paper.experiments.effects`).

    Raises
    ------
    ValueError
        If there is no such study.
    """
    if name not in STUDIES:
        raise ValueError(f"no study called {name}; there are {', '.join(STUDIES)}")
    changes = sorted(STUDIES[name].changes, key=lambda change: change.first)
    return [Planned(name, change.name, *run) for change in changes for run in product(change.folds, change.seeds)]


def named(runs: list[Planned]) -> str:
    """Return runs as text, such as ``"no skips (fold 1: seeds 0 1 2)"``, one change after the other."""
    folds: dict[str, dict[int, list[int]]] = {}
    for run in runs:
        folds.setdefault(run.change, {}).setdefault(run.fold, []).append(run.seed)
    return "; ".join(f"{change} ({_folds_named(of)})" for change, of in folds.items())


def _folds_named(folds: Mapping[int, list[int]]) -> str:
    return ", ".join(f"fold {fold}: seeds {' '.join(map(str, sorted(seeds)))}" for fold, seeds in folds.items())
