"""Chapters are executed side by side, watched, and never twice: shown on chapters of a line or two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from execution import CLOCK, execute_chapters, holds, longest_first
from harness import BOOK


def chapter(folder: Path, name: str, *cells: str) -> Path:
    """Write a chapter of code cells under the head of this book's chapters."""
    _, head, _ = (BOOK / "intro.md").read_text().split("---\n", 2)
    path = folder / f"{name}.md"
    code = "".join(f"\n```{{code-cell}} ipython3\n{cell}\n```\n" for cell in cells)
    path.write_text(f"---\n{head}---\n\n# {name}\n{code}")
    return path


def counting(folder: Path, name: str, *cells: str) -> Path:
    """Write a chapter that adds a line to the file NAME.runs whenever it is executed."""
    return chapter(folder, name, f"with open({name + '.runs'!r}, 'a') as file:\n    print('run', file=file)", *cells)


def runs(path: Path) -> int:
    return len(path.with_suffix(".runs").read_text().splitlines())


def test_a_failure_names_chapter_line_cell_and_error(tmp_path):
    bad = chapter(tmp_path, "bad", "x = 1", "y = 2\nraise ValueError('on purpose\\nat length')")
    line = bad.read_text().splitlines().index("y = 2") + 1
    log = []
    (failure,) = execute_chapters([bad], tmp_path, log=log.append)
    assert str(failure) == f"{tmp_path.name}/bad.md:{line}, code cell 2: ValueError: on purpose"
    assert "at length" in log[-1], "the log holds the whole message"


def test_a_kernel_that_dies_is_a_failure_of_its_chapter(tmp_path):
    (failure,) = execute_chapters([chapter(tmp_path, "dead", "import os\nos._exit(1)")], tmp_path)
    assert "dead.md" in failure.place
    assert "died" in failure.error


def test_only_what_failed_or_changed_is_executed_again(tmp_path):
    good, other = counting(tmp_path, "good"), counting(tmp_path, "other")
    bad = counting(tmp_path, "bad", "assert open('mended').read()")
    assert len(execute_chapters([bad, good, other], tmp_path)) == 1
    counting(tmp_path, "other", "2")
    (tmp_path / "mended").write_text("yes")
    assert execute_chapters([bad, good, other], tmp_path) == []
    assert (runs(good), runs(bad), runs(other)) == (1, 2, 2)


def test_a_chapter_in_which_nothing_moves_is_stopped_and_the_others_go_on(tmp_path):
    stuck = chapter(tmp_path, "stuck", "import time", "time.sleep(3600)")
    others = [counting(tmp_path, name) for name in ("first", "second")]
    (failure,) = execute_chapters([stuck, *others], tmp_path, patience=10)
    assert "stuck.md" in failure.place
    assert "code cell 2" in failure.place
    assert "nothing has moved" in failure.error
    assert [runs(path) for path in others] == [1, 1]


def test_a_chapter_that_prints_is_not_stuck(tmp_path):
    talking = "import time\nfor _ in range(60):\n    time.sleep(0.2)\n    print('.', flush=True)"
    assert execute_chapters([chapter(tmp_path, "talking", talking)], tmp_path, patience=10) == []


def test_a_slow_cell_is_named_while_it_runs(tmp_path):
    log = []
    slow = chapter(tmp_path, "slow", "1", "import time\ntime.sleep(3)")
    assert execute_chapters([slow], tmp_path, reminder=1, log=log.append) == []
    (first, *_) = [line for line in log if "is still in" in line]
    assert "slow.md" in first
    assert "code cell 2" in first


def test_two_chapters_run_at_the_same_time(tmp_path):
    wait = "import os, time\nopen({0!r}, 'w').close()\nwhile not os.path.exists({1!r}):\n    time.sleep(0.05)"
    pair = [chapter(tmp_path, name, wait.format(name, other)) for name, other in (("a", "b"), ("b", "a"))]
    assert execute_chapters(pair, tmp_path, patience=300) == []  # each ends only if the other has begun


def test_a_chapter_that_measures_time_runs_alone_and_last(tmp_path):
    ordinary = "import time\nopen(f'{0}.begun', 'w').close()\ntime.sleep(1)\nopen(f'{0}.ended', 'w').close()"
    measuring = "import time\nfrom pathlib import Path\ntime.perf_counter()\n"
    measuring += "count = lambda end: len(list(Path().glob(f'*.{end}')))\n"
    measuring += "assert count('begun') == count('ended') == 3"
    paths = [chapter(tmp_path, name, ordinary.format(name)) for name in "abc"]
    assert execute_chapters([chapter(tmp_path, "timed", measuring), *paths], tmp_path) == []


def test_the_longest_chapter_begins_first(tmp_path):
    short, long, unknown, text = (chapter(tmp_path, name, "1") for name in ("short", "long", "unknown", "text"))
    text.write_text(text.read_text() + "much to say\n" * 100)
    learning = chapter(tmp_path, "learning", "up.train(net)")
    seconds = {"short": 2, "long": 90}
    assert longest_first([short, long, unknown, text, learning], seconds) == [learning, text, unknown, long, short]


def test_chapters_compute_on_one_thread_unless_told_otherwise(tmp_path, monkeypatch):
    said = chapter(tmp_path, "said", "import os\nassert os.environ['OMP_NUM_THREADS'] == '3'")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert execute_chapters([said], tmp_path) == []
    monkeypatch.delenv("OMP_NUM_THREADS")
    silent = chapter(tmp_path, "silent", "import os\nassert os.environ['OMP_NUM_THREADS'] == '1'")
    assert execute_chapters([silent], tmp_path) == []


@pytest.mark.parametrize("name", ["augmentation", "benchmarks", "gpu_training", "introduction", "weight_maps"])
def test_the_chapters_that_measure_time_are_known(name):
    assert holds(BOOK / f"{name}.md", CLOCK)


def test_ctrl_c_ends_the_build_and_its_kernels(tmp_path):
    for name in "ab":
        chapter(tmp_path, name, "import os, time\nopen(f'{os.getpid()}.pid', 'w').close()\ntime.sleep(3600)")
    program = "import sys, pathlib, signal, execution\nfolder = pathlib.Path(sys.argv[1])\n"
    program += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored below a command in the background
    program += "execution.execute_chapters(list(folder.glob('*.md')), folder)"
    build = subprocess.Popen([sys.executable, "-c", program, tmp_path], cwd=BOOK, stderr=subprocess.DEVNULL)
    while len(kernels := list(tmp_path.glob("*.pid"))) < 2:
        assert build.poll() is None
        time.sleep(0.1)
    build.send_signal(signal.SIGINT)
    assert build.wait() != 0
    for kernel in kernels:
        with pytest.raises(ProcessLookupError):
            os.kill(int(kernel.stem), 0)
