"""What the runs of a study left: one file per study in `data/results`, one row per run, one line per row.

Rows are added one by one, by as many processes as there are; a row of the same run takes the place of the older one.
A row counts only if it was made by the recipe that the plan holds today and measured as today: all others are named,
and so is what is missing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from unet_paper.atomic import alone
from unet_paper.experiments.recipe import BASE
from unet_paper.experiments.record import results_folder
from unet_paper.experiments.studies import CHANGES, RATES, STUDIES, Planned, named, planned
from unet_paper.files import write_text

FORMAT = "unet_paper study 1"
# Of what a run measures, by its task: rows of another version are not compared. Cells, 2: thresholds above 0.9 too.
VERSIONS = {"em": 1, "u373": 2, "dic-hela": 2}
LOCK_WAIT = 60  # s for another process to add its row


@dataclass(frozen=True)
class Rows:
    """The rows of one study, sorted by whether they can be used.

    Attributes
    ----------
    study : str
        Its name.
    usable : list of dict
        Rows of the present plan.
    missing : list of Planned
        Runs without such a row.
    refused : list of str
        One line per row that is there and cannot be used: which, and why.
    """

    study: str
    usable: list[dict]
    missing: list[Planned]
    refused: list[str]

    def of(self, change: str, fold: int | None = None) -> list[dict]:
        """Return the rows of a change, on one fold or on all."""
        return [row for row in self.usable if row["change"] == change and fold in (None, row["fold"])]

    @property
    def lacking(self) -> str:
        """What is not there, as text; empty if everything is."""
        lines = [f"{self.study} lacks {len(self.missing)} runs: {named(self.missing)}."] if self.missing else []
        return "\n".join([*lines, *self.refused])


def rows_path(study: str, folder: Path | None = None) -> Path:
    """Return where the rows of a study lie, in `data/results` if no folder is given."""
    return (results_folder() if folder is None else folder) / f"{study}.json"


def read_rows(path: Path) -> list[dict]:
    """Return the rows of a file, whatever they are good for; none if there is no file.

    Raises
    ------
    ValueError
        If the file holds no rows of a study.
    """
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON ({error}); restore it, or remove it and run the study again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise ValueError(f"{path} has format {found!r}, not {FORMAT!r}; remove it and run the study again")
    if not isinstance(content.get("rows"), list):
        raise ValueError(f"{path} holds no rows; restore it, or remove it and run the study again")
    return content["rows"]


def add_rows(path: Path, rows: Iterable[dict]) -> None:
    """Add rows to a file, in the place of older ones of the same runs; other processes may do so at the same time.

    Raises
    ------
    FileExistsError
        If another process holds the file for more than a minute.
    """
    with _in_turn(path):
        known = {_run(row): row for row in read_rows(path)} | {_run(row): row for row in rows}
        lines = [json.dumps(known[run], allow_nan=False, separators=(",", ":")) for run in sorted(known)]
        head = json.dumps({"format": FORMAT, "study": path.stem})
        write_text(path, head[:-1] + ', "rows": [\n' + ",\n".join(lines) + "\n]}\n")


def read_study(
    name: str,
    folder: str | os.PathLike | None = None,
    *,
    runs: Sequence[Planned] | None = None,
    rates: dict[str, float] | None = None,
) -> Rows:
    """Return the rows of a study with what is missing and what cannot be used.

    Parameters
    ----------
    name : str
        Of `STUDIES`.
    folder : path, optional
        Where to look instead of `data/results`.
    runs : sequence of Planned, optional
        What should be there; by default what the plan says.
    rates : dict of str to float, optional
        Chosen learning rates, by default those that the rows of `study-rates` in the same folder choose.

    Raises
    ------
    ValueError
        If there is no such study, or its file holds no rows.
    """
    folder = None if folder is None else Path(folder)
    runs = planned(name) if runs is None else list(runs)
    if rates is None and any(CHANGES[run.change].tuned for run in runs):
        rates = tuned_rates(read_study("study-rates", folder))
    usable, refused = [], []
    for row in read_rows(rows_path(name, folder)):
        why = _why_not(row, rates)
        if why:
            refused.append(f"{name}: {row.get('change')}, fold {row.get('fold')}, seed {row.get('seed')} {why}.")
        else:
            usable.append(row)
    there = {_run(row) for row in usable}
    missing = [run for run in runs if (run.change, run.fold, run.seed) not in there]
    return Rows(name, usable, missing, refused)


def read_studies(folder: str | os.PathLike | None = None) -> dict[str, Rows]:
    """Return the rows of every study by its name; see `read_study`."""
    return {name: read_study(name, folder) for name in STUDIES}


def tuned_rates(rows: Rows) -> dict[str, float]:
    """Return the learning rate of each family of optimisers with the smallest pixel error on the sections 12-17.

    A family is left out until each of its rates was tried.
    """
    chosen = {}
    for family, rates in RATES.items():
        tried = {rate: row for rate in rates for row in rows.of(f"{family}, rate {rate:g}")}
        if len(tried) == len(rates):
            chosen[family] = min(tried, key=lambda rate: tried[rate]["scores"]["block"]["pixel_error"])
    return chosen


def _why_not(row: dict, rates: dict[str, float] | None) -> str:
    """Return why a row cannot be used, or nothing."""
    change = CHANGES.get(row.get("change"))
    if change is None:
        return "is of a change that the plan does not know"
    recipe = change.recipe(rates)
    if recipe is None:
        return "has a learning rate that is not chosen yet"
    if row.get("version") != VERSIONS[recipe.task]:
        return f"was measured by version {row.get('version')}, not {VERSIONS[recipe.task]}"
    if row.get("base") != BASE.fingerprint:
        return f"is of another base ({row.get('base')}, not {BASE.fingerprint})"
    if row.get("recipe") != recipe.fingerprint:
        return "was run with other settings than the plan has now"
    return ""


def _run(row: dict) -> tuple[str, int, int]:
    return row["change"], row["fold"], row["seed"]


@contextmanager
def _in_turn(path: Path) -> Iterator[None]:
    """Wait until no other process works on a file, then hold it."""
    busy = f"another process is adding rows to {path}; try again"
    with ExitStack() as stack:
        for attempt in range(10 * LOCK_WAIT):
            try:
                stack.enter_context(alone(path, busy=busy))
                break
            except FileExistsError:
                if attempt == 10 * LOCK_WAIT - 1:
                    raise
                time.sleep(0.1)
        yield
