"""One line of the benchmark table: our way, the other way, how far their results are apart; and how both are timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Our way of doing something and another one, timed in turns in one run.

    Attributes
    ----------
    what : str
        What is done.
    other : str
        The other way to do it.
    how : str
        Size, threads, and whatever else one must know to measure it again.
    ours_ms, other_ms : float or None
        Median time of one call, ms; None where it was not measured.
    goal_ratio, goal_ms : float or None
        How many times as fast as the other way ours should be at least; how many ms it should take at most.
    apart, goal_apart : float or None
        How far the two results are apart, and how far they may be.
    apart_in : str
        What `apart` counts.
    """

    what: str
    other: str
    how: str
    ours_ms: float
    other_ms: float | None = None
    goal_ratio: float | None = None
    goal_ms: float | None = None
    apart: float | None = None
    goal_apart: float | None = None
    apart_in: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as long the other way takes."""
        return None if self.other_ms is None else self.other_ms / self.ours_ms

    @property
    def goal(self) -> str:
        """The goals in words."""
        apart = "apart ≤ {:g}" if self.goal_apart else "equal"
        goals = {"≥ {:g} times": self.goal_ratio, "≤ {:g} ms": self.goal_ms, apart: self.goal_apart}
        return ", ".join(text.format(goal) for text, goal in goals.items() if goal is not None)

    @property
    def met(self) -> bool | None:
        """Whether every goal is met; None without a goal, or where one of them was not measured."""
        at_most = [(self.ours_ms, self.goal_ms), (self.apart, self.goal_apart)]
        goals = [(value, goal) for value, goal in at_most if goal is not None]
        if self.goal_ratio is not None:
            goals.append((self.goal_ratio, self.ratio))
        if not goals or any(None in pair for pair in goals):
            return None
        return all(smaller <= larger for smaller, larger in goals)

    def as_row(self) -> dict:
        """Return everything, derived values included, as plain data."""
        return asdict(self) | {"ratio": self.ratio, "goal": self.goal, "met": self.met}


def medians(tasks: Mapping[str, Callable[[], object]], *, rounds: int, at_least: float = 0.1) -> dict[str, float]:
    """Time several tasks in turns, so that whatever else the machine does disturbs all of them alike.

    Parameters
    ----------
    tasks : mapping
        Name -> function without arguments. Each is called once before the clock starts.
    rounds : int
        How many turns each task gets, at least 1.
    at_least : float
        How long a turn lasts, s: quick tasks are called more than once.

    Returns
    -------
    dict
        Name -> median time of one call, ms.
    """
    for task in tasks.values():
        task()
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            times[name] += turn(task, at_least)
    return {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}


def turn(task: Callable[[], object], at_least: float) -> list[float]:
    """Call `task` until `at_least` seconds have passed; return the time of each call in s."""
    times: list[float] = []
    while not times or sum(times) < at_least:
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return times
