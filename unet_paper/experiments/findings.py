"""What is known about a claim and what was found: the evidence, a finding with its verdict, a row of the scoreboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from unet_paper.experiments.stated import Claim

REPRODUCED, PARTLY, NOT, OPEN = "reproduced", "partly", "not reproduced", "not examined"
VERDICTS = (REPRODUCED, PARTLY, NOT, OPEN)
COUNTED, LIVE, RECORDED = "counted", "live", "recorded"

ENOUGH_RUNS = 3  # trainings behind a claim about learning that may be called reproduced


@dataclass(frozen=True)
class Finding:
    """What was found about a claim.

    Attributes
    ----------
    verdict : str
        Of `VERDICTS`.
    ours : str
        Our value with its spread.
    kinds : tuple of str
        How it was obtained: counted, live, recorded.
    data : str
        On what.
    runs : int
        Trainings, or draws of random weights, behind it; 0 for what is counted.
    reason : str
        Why this verdict: by how much ours differs, and why.
    missing : tuple of str
        Records that would have to exist to say more.
    """

    verdict: str
    ours: str = "–"
    kinds: tuple[str, ...] = ()
    data: str = "–"
    runs: int = 0
    reason: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One line of the scoreboard."""

    claim: Claim
    finding: Finding


@dataclass(frozen=True)
class Evidence:
    """Everything that verdicts rest on.

    Attributes
    ----------
    counted, live : mapping
        What follows from network and formulas, and what was measured just now; see `unet_paper.experiments.evidence`.
    records : mapping of str to list of dict
        Records of runs by experiment, every fold and seed.
    benchmarks : mapping of str to dict
        ``"benchmarks"`` and ``"gpu_benchmark"``, where they exist.
    studies : mapping of str to Finding
        What comparisons and ablations say of a claim, by its name.
    """

    counted: Mapping
    live: Mapping
    records: Mapping[str, list[dict]] = field(default_factory=dict)
    benchmarks: Mapping[str, dict] = field(default_factory=dict)
    studies: Mapping[str, Finding] = field(default_factory=dict)

    def runs(self, experiment: str) -> list[dict]:
        """Return the records of an experiment, all folds and seeds; empty if there is none."""
        return self.records.get(experiment, [])


def learned(finding: Finding, *, runs: int | None = None) -> Finding:
    """Return a finding about learning as few runs allow it: "reproduced" needs `ENOUGH_RUNS`, less is "partly".

    Parameters
    ----------
    finding : Finding
        As its rule found it.
    runs : int, optional
        Runs that count, if not all of the finding: of several tasks, those of the one with the fewest.
    """
    runs = finding.runs if runs is None else runs
    if finding.verdict != REPRODUCED or runs >= ENOUGH_RUNS:
        return finding
    few = f" Only {runs_as_text(runs)}: {ENOUGH_RUNS} are needed to call it reproduced."
    return replace(finding, verdict=PARTLY, reason=finding.reason + few)


def runs_as_text(count: int, *, what: str = "run") -> str:
    """Return such as "one run" or "3 runs"; the first word of `what` takes the plural."""
    first, *rest = what.split()
    return " ".join(["one", first, *rest] if count == 1 else [str(count), f"{first}s", *rest])
