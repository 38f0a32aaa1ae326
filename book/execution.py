"""Execute the chapters of the book, two at a time, into the cache from which Sphinx takes their outputs.

jupyter-cache has an executor of its own, ``local-parallel``. It takes the chapters as they come, says nothing until
the last has ended, runs a chapter that measures time beside another, and its only guard is a limit per cell: on a busy
machine that limit is what fails. So the order, the log and the watch are kept here; nbclient talks with the kernels.
They are processes of their own, so one event loop is enough to follow them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

# The one place that says on how many threads chapters and tests compute. A narrow network is hardly faster on two, and
# two threads that meet at every barrier stand still, up to thirty times slower, while other processes hold the cores.
# The variable is read when PyTorch loads; a value set outside goes first.
THREADS = {"OMP_NUM_THREADS": "1"}

TOGETHER = 2  # chapters side by side
PATIENCE = 3600.0  # seconds without a sign of life after which a chapter counts as stuck
REMINDER = 60.0  # seconds after which a cell that still runs is named, and again after as many
STARTING = 600  # seconds that a kernel may take to start, or to hand over its last output
# A chapter with a clock in its code runs while no other does; one that trains begins early.
CLOCK = re.compile(r"perf_counter|fastest_seconds\(|matrix_rate\(|measure_\w*step\(|\"benchmarks\"")
TRAINING = re.compile(r"\btrain\(")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Failure:
    """Where a chapter could not be executed, and why."""

    place: str  # file, line and number of the cell
    error: str

    def __str__(self) -> str:
        return f"{self.place}: {self.error}"


def execute_chapters(
    chapters: list[Path],
    build: Path,
    *,
    patience: float = PATIENCE,
    reminder: float = REMINDER,
    log: Callable[[str], None] = print,
) -> list[Failure]:
    """Execute the chapters whose outputs are not in the cache yet, and put them there.

    Parameters
    ----------
    chapters : list of Path
        MyST text files with a kernelspec.
    build : Path
        Folder of the cache (``.jupyter_cache``) and of the seconds that each chapter took (``seconds.json``).
    patience : float
        Seconds. A chapter in which nothing begins, ends or is printed for so long is stopped.
    reminder : float
        Seconds between two lines of the log about a cell that is still running.
    log : callable
        Takes each line of the log.

    Returns
    -------
    list of Failure
        One for each chapter that did not come to its end. The next call executes these alone.
    """
    cache = get_cache(build / ".jupyter_cache")
    new = [path for path in chapters if not is_cached(cache, path)]
    run = Run(cache, build / "seconds.json", total=len(new), patience=patience, reminder=reminder, log=log)
    log(f"{len(chapters) - len(new)} of {len(chapters)} chapters are unchanged; executing {len(new)}")
    asyncio.run(run.all(new))
    return run.failures


def is_cached(cache: JupyterCacheAbstract, path: Path) -> bool:
    """Say whether the cache holds the outputs of exactly these cells."""
    try:
        cache.match_cache_notebook(jupytext.read(path))
    except KeyError:
        return False
    return True


def holds(path: Path, what: re.Pattern) -> bool:
    """Say whether a code cell of the chapter holds what is sought."""
    return any(cell.cell_type == "code" and what.search(cell.source) for cell in jupytext.read(path).cells)


def longest_first(chapters: list[Path], seconds: dict[str, float]) -> list[Path]:
    """Sort by the seconds of an earlier execution. New chapters lead: first those that train, then by their text."""

    def length(path: Path) -> tuple[float, bool, int]:
        return seconds.get(path.stem, float("inf")), holds(path, TRAINING), path.stat().st_size

    return sorted(chapters, key=length, reverse=True)


class Chapter(NotebookClient):
    """One chapter while it is executed: in which cell it is, and when anything last moved there."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            jupytext.read(path),
            timeout=None,
            startup_timeout=STARTING,
            iopub_timeout=STARTING,
            record_timing=False,  # stamps in the cells, which the cache would take for other cells
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # not that a kernel's messages are not encrypted
            on_cell_execute=self.enter,
        )
        self.path = path
        self.place = f"{path.parent.name}/{path.name}, before its first cell"
        self.entered = self.moved = float("inf")  # seconds of the monotonic clock; a start has its own limit

    def enter(self, cell: NotebookNode, cell_index: int) -> None:
        """Note which cell begins."""
        number = sum(other.cell_type == "code" for other in self.nb.cells[: cell_index + 1])
        line = self.path.read_text().partition(cell.source)[0].count("\n") + 1
        self.place = f"{self.path.parent.name}/{self.path.name}:{line}, code cell {number}"
        self.entered = self.moved = time.monotonic()

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Take what the kernel sends; it shows that something moves."""
        self.moved = time.monotonic()
        return super().process_message(msg, cell, cell_index)

    @asynccontextmanager
    async def async_setup_kernel(self, **options: Any) -> AsyncIterator[None]:
        """Start the kernel, and end it in any case. nbclient's own would, upon Ctrl-C, end one kernel of two."""
        self.km = self.create_kernel_manager()
        try:
            await self.async_start_new_kernel(**options)
            await self.async_start_new_kernel_client()
            yield
        finally:
            await self._async_cleanup_kernel()

    async def give_up(self, running: asyncio.Task) -> None:
        """End the kernel at once, which nbclient notices within a second, and with it the task of the execution."""
        if self.km is not None:
            await self.km.shutdown_kernel(now=True)
        await asyncio.wait([running], timeout=10)
        running.cancel()  # had there been no kernel yet
        await asyncio.gather(running, return_exceptions=True)


@dataclass
class Run:
    """An execution of several chapters: what it needs, and what came of it."""

    cache: JupyterCacheAbstract
    record: Path  # JSON: chapter -> seconds
    total: int
    patience: float
    reminder: float
    log: Callable[[str], None]
    failures: list[Failure] = field(default_factory=list)
    ended: int = 0

    async def all(self, chapters: list[Path]) -> None:
        """Execute the chapters side by side, and then one by one those that measure time."""
        ordered = longest_first(chapters, self.seconds())
        timed = [path for path in ordered if holds(path, CLOCK)]
        queue = deque(path for path in ordered if path not in timed)
        async with asyncio.TaskGroup() as group:
            for _ in range(TOGETHER):
                group.create_task(self.work_off(queue))
        await self.work_off(deque(timed))

    async def work_off(self, queue: deque[Path]) -> None:
        """Execute one chapter of the queue after the other."""
        while queue:
            chapter = Chapter(queue.popleft())
            self.log(f"{chapter.path.stem} begins")
            started = time.monotonic()
            try:
                await self.watched(chapter)
            except Exception as error:
                self.fail(chapter, error)
            else:
                self.keep(chapter, time.monotonic() - started)

    async def watched(self, chapter: Chapter) -> None:
        """Execute a chapter; name a cell that runs for long, and stop when nothing moves any more."""
        options = {"cwd": str(chapter.path.parent), "env": THREADS | os.environ}
        running = asyncio.create_task(chapter.async_execute(**options))
        named = 0.0
        try:
            while not running.done():
                await asyncio.wait([running], timeout=min(self.reminder, self.patience) / 10)
                now = time.monotonic()
                if now - chapter.moved > self.patience:
                    raise TimeoutError(f"nothing has moved for {self.patience / 60:g} minutes")
                if now - max(chapter.entered, named) > self.reminder:
                    named = now
                    self.log(f"{chapter.path.stem} is still in {chapter.place}, after {now - chapter.entered:.0f} s")
            await running
        finally:
            if not running.done():  # stuck, or Ctrl-C
                await chapter.give_up(running)

    def keep(self, chapter: Chapter, seconds: float) -> None:
        """Put the outputs into the cache, where Sphinx and the next run find them."""
        outputs = CacheBundleIn(chapter.nb, str(chapter.path), data={"execution_seconds": seconds})
        self.cache.cache_notebook_bundle(outputs, check_validity=False, overwrite=True)
        self.record.write_text(json.dumps(self.seconds() | {chapter.path.stem: round(seconds, 1)}, indent=1))
        self.end(f"{chapter.path.stem} took {seconds:.0f} s")

    def fail(self, chapter: Chapter, error: Exception) -> None:
        """Note where the chapter failed, and show the whole message."""
        short = f"{error.ename}: {error.evalue}" if isinstance(error, CellExecutionError) else str(error)
        self.failures.append(Failure(chapter.place, short.strip().partition("\n")[0]))
        self.end(f"{chapter.path.stem} FAILED in {chapter.place}\n{COLOURS.sub('', str(error))}")

    def end(self, line: str) -> None:
        """Log how a chapter ended, and how many have."""
        self.ended += 1
        self.log(f"[{self.ended}/{self.total}] {line}")

    def seconds(self) -> dict[str, float]:
        """Return what the chapters took when they were last executed."""
        return json.loads(self.record.read_text()) if self.record.exists() else {}
