"""Writing: whole or not at all, nothing that came in meanwhile is lost, and killed runs leave nothing for ever."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from unet_paper.atomic import MARK, check_writable, replacing, replacing_folder, work_folder
from unet_paper.files import read_tensors, write_tensors

LIMIT_AND_WRITE = """
import resource, sys
from pathlib import Path
from unet_paper.atomic import check_writable, replacing, replacing_folder
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
target = Path(sys.argv[1])
if sys.argv[3] == "file":
    with replacing(target) as place:
        place.write_bytes(bytes(100_000))
elif sys.argv[3] == "folder":
    with replacing_folder(target, check=lambda: None) as place:
        (place / "mask000.tif").write_bytes(bytes(100_000))
else:
    check_writable(target)
"""


def anything() -> None:
    """Allow to replace whatever is there; do nothing."""


def write(folder: Path, content: str, *, check=anything, meanwhile=anything) -> None:
    """Write one mask into a folder; something happens meanwhile."""
    with replacing_folder(folder, check=check) as place:
        (place / "mask000.tif").write_text(content)
        meanwhile()


def interrupt() -> None:
    raise KeyboardInterrupt


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run_and_kill(code: str, *arguments: str) -> None:
    """Run Python code that prints a line when it is in the middle of its work, and kill it there."""
    child = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "now\n"
    child.kill()
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()


def write_often(path: Path, value: float) -> None:
    for _ in range(100):
        write_tensors(path, {"x": torch.full((2000,), value)}, {"format": "test"})


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    """Each writes a hundred times; every write succeeds, and what is there is whole."""
    path = tmp_path / "tensors.safetensors"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_often, args=(path, float(number))) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    values = read_tensors(path, format="test", what="a test")[0]["x"].unique()
    assert values.tolist() in ([0.0], [1.0])
    assert names(tmp_path) == [path.name]


def test_the_next_write_removes_what_a_killed_one_left(tmp_path):
    code = """
import sys, time
from pathlib import Path
from unet_paper.atomic import replacing
with replacing(Path(sys.argv[1])) as place:
    place.write_text("half")
    print("now", flush=True)
    time.sleep(60)
"""
    run_and_kill(code, str(tmp_path / "a.json"))
    assert len(names(tmp_path)) == 1
    other = tmp_path / f".a.json.{MARK}.notes.part"
    other.write_text("not a leftover: no process writes such a name")
    with replacing(tmp_path / "b.json") as place:
        place.write_text("b")
    assert len(names(tmp_path)) == 3  # the leftover belongs to a.json
    with replacing(tmp_path / "a.json") as place:
        place.write_text("a")
    assert names(tmp_path) == [other.name, "a.json", "b.json"]


def test_a_file_that_is_being_written_is_no_leftover(tmp_path):
    path = tmp_path / "a.json"
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        assert first.exists()
    assert path.read_text() == "first"
    assert names(tmp_path) == ["a.json"]


def test_a_file_is_as_readable_as_any_other(tmp_path):
    with replacing(tmp_path / "a.json") as place:
        place.write_text("a")
    (tmp_path / "b.json").write_text("b")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "b.json").stat().st_mode


def test_a_folder_that_came_meanwhile_is_left_alone(tmp_path):
    folder = tmp_path / "cells"

    def come() -> None:
        folder.mkdir()
        (folder / "precious").write_text("theirs")

    with pytest.raises(FileExistsError, match=r"cells was changed by others .* the finished result is in .*cells-2"):
        write(folder, "ours", meanwhile=come)
    assert (folder / "precious").read_text() == "theirs"
    assert (tmp_path / "cells-2/mask000.tif").read_text() == "ours"
    assert names(tmp_path) == ["cells", "cells-2"]


@pytest.mark.parametrize(
    ("change", "there"),
    [
        (lambda folder: (folder / "mask001.tif").write_text("theirs"), {"old", "theirs"}),
        (lambda folder: (folder / "mask000.tif").write_text("theirs, longer"), {"theirs, longer"}),
        (lambda folder: (folder / "mask000.tif").unlink(), set()),
    ],
    ids=["new", "rewritten", "gone"],
)
def test_a_result_that_changed_meanwhile_is_left_alone(tmp_path, change, there):
    folder = tmp_path / "cells"
    write(folder, "old")
    with pytest.raises(FileExistsError, match="left as it is"):
        write(folder, "ours", meanwhile=lambda: change(folder))
    assert {path.read_text() for path in folder.iterdir()} == there
    assert names(tmp_path) == ["cells", "cells-2"]


def test_an_empty_folder_and_an_unchanged_result_are_replaced(tmp_path):
    folder = tmp_path / "cells"
    folder.mkdir()
    for content in ("first", "second"):
        write(folder, content)
        assert (folder / "mask000.tif").read_text() == content
    assert names(tmp_path) == ["cells"]


def test_a_second_run_is_refused_at_once(tmp_path):
    folder = tmp_path / "cells"
    with replacing_folder(folder, check=anything) as place:
        (place / "mask000.tif").write_text("first")
        with pytest.raises(FileExistsError, match=r"another run is writing .*cells"):
            write(folder, "second")
    assert (folder / "mask000.tif").read_text() == "first"
    assert names(tmp_path) == ["cells"]


def test_of_many_runs_at_a_time_one_writes(tmp_path):
    folder, won, lost, start = tmp_path / "cells", [], [], threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        try:
            with replacing_folder(folder, check=anything) as place:
                (place / "mask000.tif").write_text(str(number))
                all_tried.wait()
                won.append(number)
        except FileExistsError:
            lost.append(number)
            all_tried.wait()

    all_tried = threading.Barrier(8)
    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 7
    assert (folder / "mask000.tif").read_text() == str(won[0])
    assert names(tmp_path) == ["cells"]


KILLED = """
import sys, time
from pathlib import Path
import unet_paper.atomic as atomic
def wait(*_):
    print("now", flush=True)
    time.sleep(60)
folder, moment = Path(sys.argv[1]), sys.argv[2]
if moment == "after":
    remove = atomic._remove
    atomic._remove = lambda place: wait() if place.exists() and place.name.endswith("gone") else remove(place)
elif moment == "between":
    rename = Path.rename
    Path.rename = lambda place, target: wait() if place.name.endswith("part") else rename(place, target)
with atomic.replacing_folder(folder, check=lambda: None) as place:
    (place / "mask000.tif").write_text("new")
    if moment == "writing":
        wait()
"""


@pytest.mark.parametrize(("moment", "there"), [("writing", "old"), ("between", "old"), ("after", "new")])
def test_a_killed_run_is_put_right_by_the_next(tmp_path, moment, there):
    """Killed while it writes, between taking the old result away and putting the new one in place, or after that."""
    folder, seen = tmp_path / "cells", []
    write(folder, "old")
    run_and_kill(KILLED, str(folder), moment)
    assert len(names(tmp_path)) > 1

    def look() -> None:
        seen.append((folder / "mask000.tif").read_text())
        raise FileExistsError

    with pytest.raises(FileExistsError):
        write(folder, "refused", check=look)
    assert seen == [there]
    assert names(tmp_path) == ["cells"]


def test_an_old_result_is_kept_beside_one_that_came_after_the_kill(tmp_path):
    folder = tmp_path / "cells"
    write(folder, "old")
    run_and_kill(KILLED, str(folder), "between")
    folder.mkdir()
    with pytest.warns(UserWarning, match="cells-earlier holds a result that a killed run had put aside"):
        write(folder, "new")
    assert (tmp_path / "cells-earlier/mask000.tif").read_text() == "old"
    assert (folder / "mask000.tif").read_text() == "new"
    assert names(tmp_path) == ["cells", "cells-earlier"]


def test_an_interrupted_run_leaves_what_was_there(tmp_path):
    folder = tmp_path / "cells"
    write(folder, "old")
    with pytest.raises(KeyboardInterrupt):
        write(folder, "new", meanwhile=interrupt)
    assert (folder / "mask000.tif").read_text() == "old"
    assert names(tmp_path) == ["cells"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_full_disk_is_told_with_the_path(tmp_path, kind):
    """A limit on the size of files stands for the disk."""
    target = tmp_path / "result"
    shown = subprocess.run(
        [sys.executable, "-c", LIMIT_AND_WRITE, str(target), "50000", kind], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 1
    assert shown.stderr.splitlines()[-1] == f"OSError: [Errno 27] File too large: '{target}'"
    assert names(tmp_path) == []


def test_a_folder_that_takes_no_file_is_refused(tmp_path):
    target = tmp_path / "runs/deep"
    check_writable(target)
    assert names(tmp_path) == []
    shown = subprocess.run(
        [sys.executable, "-c", LIMIT_AND_WRITE, str(target), "0", "check"], capture_output=True, text=True, check=False
    )
    assert f"OSError: {tmp_path} cannot be written (File too large); name another folder" in shown.stderr
    assert names(tmp_path) == []


def test_a_work_folder_is_empty_at_the_start_and_gone_at_the_end(tmp_path):
    place = tmp_path / ".work"
    place.mkdir()
    (place / "leftover").write_text("of a killed run")
    with work_folder(place, busy="busy") as folder:
        assert names(folder) == []
        (folder / "file").write_text("content")
    assert names(tmp_path) == []
