"""What the rows of the studies say about claims C6 to C9 of the paper; with runs missing, which ones.

The rules stand here before the runs do: each names the effects that it needs, and what follows from their intervals.
C5 is about the variance of fresh maps, so the study of first weights, which scores trained networks, has no say in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from unet_paper.experiments.effects import MEASURE, SYMMETRIES, Effect, effects
from unet_paper.experiments.findings import NOT, OPEN, PARTLY, REPRODUCED, Finding
from unet_paper.experiments.studies import CHANGES, CHOOSING_BLOCK, FEW, RATES, Planned, named
from unet_paper.experiments.study_rows import Rows

CELLS = "seg_error"  # 1 - SEG
MARGIN = 0.01  # of 1 - V_Rand: by how much a batch may be better than momentum that still counts as as good


@dataclass(frozen=True)
class _Need:
    """One effect that a verdict rests on."""

    change: str
    measure: str = MEASURE
    fold: int = 1
    test: str = "block"

    @property
    def error(self) -> str:
        return "1 - SEG" if self.measure == CELLS else "1 - V_Rand"

    @property
    def label(self) -> str:
        return f"{self.change}, tested on 0{2 - self.fold}" if self.measure == CELLS else self.change


def verdicts(studies: Mapping[str, Rows]) -> dict[str, Finding]:
    """Return what the studies say about the claims C6 to C9, by name; missing are the runs that would have to be done.

    Parameters
    ----------
    studies : mapping of str to Rows
        From `read_studies`.
    """
    return {claim: _verdict(studies, needs, rule) for claim, (needs, rule) in _RULES.items()}


def _verdict(studies: Mapping[str, Rows], needs: tuple[_Need, ...], rule: Callable) -> Finding:
    found: dict[_Need, Effect] = {}
    for need in needs:
        for effect in effects(studies, need.measure, fold=need.fold, names=[need.change], test=need.test):
            found[need] = effect
    missing = _missing(studies, needs)
    ours = "; ".join(_told(found, error) for error in dict.fromkeys(need.error for need in found)) or "–"
    sides = {(change, effect.fold, n) for effect in found.values() for change, n in _sides(effect)}
    runs = sum(n for _, _, n in sides)
    if missing or len(found) < len(needs):
        return Finding(OPEN, ours, runs=runs, reason="Runs are missing.", missing=missing)
    verdict, reason = rule(list(found.values()))
    return Finding(verdict, ours, runs=runs, reason=reason)


def _told(found: Mapping[_Need, Effect], error: str) -> str:
    """Name an error and what each change does to it."""
    return f"{error}: " + "; ".join(f"{need.label} {effect}" for need, effect in found.items() if need.error == error)


def _sides(effect: Effect) -> tuple[tuple[str, int], tuple[str, int]]:
    return (effect.change, effect.seeds), (effect.against, effect.seeds)


def _missing(studies: Mapping[str, Rows], needs: tuple[_Need, ...]) -> tuple[str, ...]:
    wanted = {(name, need.fold) for need in needs for name in (need.change, CHANGES[need.change].against)}
    families = [CHANGES[name].tuned for name, _ in wanted if CHANGES[name].tuned]
    wanted |= {(f"{family}, rate {rate:g}", CHOOSING_BLOCK) for family in families for rate in RATES[family]}
    lacking: dict[str, list[Planned]] = {}
    for run in (run for rows in studies.values() for run in rows.missing if (run.change, run.fold) in wanted):
        lacking.setdefault(run.change, []).append(run)
    return tuple(named(runs) for runs in lacking.values())


def _momentum(found: list[Effect]) -> tuple[str, str]:
    """Ask that momentum helps, and that no batch whose runs all learned may be better by more than the margin."""
    without, *batches = found
    able = [effect for effect in batches if not effect.collapsed]
    level = [effect.change for effect in able if effect.low > -MARGIN]
    helps = "does better than no memory at all" if without.is_harm else "is not shown to do better than no memory"
    reason = f"Momentum 0.99 on single tiles {helps}."
    if level:
        reason += f" It is shown to be as good, within {MARGIN}, as {' and '.join(level)}."
    else:
        reason += f" That it is as good, within {MARGIN}, as a batch is not shown."
    if failed := [f"{effect.change} ({effect.collapsed} of {effect.seeds})" for effect in batches if effect.collapsed]:
        reason += f" Runs with a batch that learned nothing in as many tiles: {', '.join(failed)}."
    return (NOT, PARTLY, REPRODUCED)[without.is_harm + (bool(able) and len(level) == len(able))], reason


def _weights(found: list[Effect]) -> tuple[str, str]:
    sections, *cells = found
    gains = sum(effect.is_gain for effect in cells)
    helps = "helps" if sections.is_gain else "does harm" if sections.is_harm else "is not shown to help"
    reason = f"The border term {helps} on EM sections; it is shown to help touching cells in {gains} of 2 directions."
    return (NOT if not sections.is_gain + gains else REPRODUCED if sections.is_gain and gains == 2 else PARTLY), reason


def _elastic(found: list[Effect]) -> tuple[str, str]:
    """Judge pairs: without elastic deformation, without rotations and flips; of 1, of 5 and of all sections."""
    pairs = list(zip(found[::2], found[1::2], strict=True))
    needed = [bool(elastic.is_harm) for elastic, _ in pairs]
    first = [elastic.difference >= rigid.difference for elastic, rigid in pairs]
    reason = (
        f"Leaving it out does harm beyond its interval with {sum(needed)} of the 3 numbers of sections, and in the "
        f"mean more harm than leaving out rotations and flips with {sum(first)} of them."
    )
    key = all(needed[:2]) and all(first[:2])
    return (REPRODUCED if key else PARTLY if any(needed) else NOT), reason


def _dropout(found: list[Effect]) -> tuple[str, str]:
    harmed = sum(effect.is_harm for effect in found)
    reason = (
        f"Leaving dropout out does harm beyond its interval in {harmed} of 2 cases: with all sections and with one."
    )
    return (NOT, PARTLY, REPRODUCED)[harmed], reason


_NUMBERS = (*(f", {few}" for few in FEW), "")  # 1, 5 and all sections
_RULES = {
    "C6": (
        tuple(
            _Need(name, test=SYMMETRIES) for name in ("momentum 0", "momentum 0.9, batch 10", "momentum 0, batch 100")
        ),
        _momentum,
    ),
    "C7": (
        (_Need("w0 10", test=SYMMETRIES), *(_Need("DIC, w0 10", CELLS, fold, SYMMETRIES) for fold in (0, 1))),
        _weights,
    ),
    "C8": (
        tuple(_Need(f"{name}{few}") for few in _NUMBERS for name in ("elastic 0 px", "no rotations, no flips")),
        _elastic,
    ),
    "C9": ((_Need("dropout 0"), _Need("dropout 0, 1 section")), _dropout),
}
