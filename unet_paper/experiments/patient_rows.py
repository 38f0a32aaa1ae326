"""The runs of the comparison that went on for as long as each gained: their looks at 12-17, and their end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unet_paper.experiments.rival_jobs import planned
from unet_paper.experiments.rival_rows import RivalRows
from unet_paper.experiments.rival_runs import PATIENCE
from unet_paper.experiments.rivals import RIVALS, SECONDS


def read_patient(folder: Path | None = None) -> RivalRows:
    """Read every run that was planned to end by the sections 12-17; whatever does not fit is missing, with the reason.

    A run may be of any kind of processor: time does not end it, but for the cap.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where the records lie, by default `data/results`.
    """
    jobs = {(job.rival, job.fold, job.seed): job for job in planned(list(RIVALS), "patient")}
    found = {run: job.read(folder) for run, job in jobs.items()}
    usable = {run: record for run, (record, why) in found.items() if not why}
    return RivalRows(usable, {run: why for run, (_, why) in found.items() if why}, SECONDS["patient"])


def looks_of(record: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Return the looks at the sections 12-17 of the network that a record tells of.

    Parameters
    ----------
    record : mapping
        Of one network, not of a committee.

    Returns
    -------
    minutes, error : numpy.ndarray
        (looks,) processor time of the training before each, and the share of wrong pixels in [0, 1] that it saw.
    """
    (course,) = record["courses"]
    looks = np.array(course["looks"]).reshape(-1, 2)
    return looks[:, 0] / 60, looks[:, 1]


def course_of(record: Mapping) -> dict[str, str]:
    """Return the smallest error that its looks saw and when, how long it trained, and what ended it, for a table.

    Of a committee, whose networks are trained one after the other, each number once for each.
    """
    told = [_told(course) for course in record["courses"]]
    return {name: " and ".join(each[name] for each in told) for name in told[0]}


def _told(course: Mapping) -> dict[str, str]:
    errors = [error for _, error in course["looks"]]
    best = int(np.argmin(errors))
    return {
        "wrong pixels on 12-17": f"{errors[best]:.4f}",
        "at, min": f"{course['looks'][best][0] / 60:.1f}",
        "trained, min": f"{course['trained_seconds'] / 60:.1f}",
        "ended by": "no gain" if len(errors) - 1 - best >= PATIENCE else "the cap",
    }
