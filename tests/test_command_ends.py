"""How commands end: one line and a status for Ctrl-C, wrong devices, full disks, no memory and odd names."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import unet_paper as up
from tests.test_segment_track_commands import CARD, brightness_network
from unet_paper.cli import main
from unet_paper.options import check_device

GREY = np.full((40, 40), 20, np.uint8)
GREY[:2, :2] = 250  # one speck, smaller than any cell

WAITING = """
import signal, sys, time
import unet_paper as up
from unet_paper.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background are started to ignore Ctrl-C
place, name = sys.argv[1].rsplit(".", 1)
module = up
for part in place.split("."):
    module = getattr(module, part)
def wait(*_, **__):
    print("now", flush=True)
    time.sleep(60)
setattr(module, name, wait)
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "01"
    folder.mkdir()
    for number in range(2):
        tifffile.imwrite(folder / f"t{number:03d}.tif", GREY)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "brightness.safetensors"
    up.save_network(path, brightness_network(), card=CARD | {"scores": {}})
    return str(path)


def interrupted(place: str, *arguments: str) -> tuple[int, list[str]]:
    """Start a command that waits in the middle, press Ctrl-C there; return its status and the lines that it printed."""
    command = [sys.executable, "-c", WAITING, place, *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.stdout.readline() != "now\n":
        assert child.poll() is None, child.stderr.read()
    child.send_signal(signal.SIGINT)
    _, error = child.communicate(timeout=60)
    return child.returncode, error.splitlines()


def test_ctrl_c_in_segment_keeps_what_is_done_and_the_same_command_goes_on(tmp_path, images, network, capsys):
    out = tmp_path / "cells"
    arguments = ("segment", str(images), str(out), "--network", network)
    status, lines = interrupted("own_images.applying.csv_line", *arguments)  # both images are done, their table is not
    assert status == 130
    assert lines[-1] == f"stopped: finished images are kept in {out}; the same command goes on with the others"
    assert not [line for line in lines if "Traceback" in line]
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*_mask.tif")}
    assert sorted(before) == ["t000_mask.tif", "t001_mask.tif"]
    assert main([*arguments]) == 0
    assert "2 of 2 images are done already" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*_mask.tif")} == before
    assert (out / "cells.csv").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01", "cells"]


def test_ctrl_c_in_reproduce_says_where_it_goes_on(tmp_path):
    runs = tmp_path / "runs"
    status, lines = interrupted(
        "experiments.runner.estimated_seconds", "reproduce", "em-narrow", "--output", str(runs), "--fold", "4"
    )
    assert status == 130
    said = f"finished runs and the last checkpoint of the others are in {runs}; the same command goes on there"
    assert lines == [f"stopped: {said}"]


def test_ctrl_c_in_fetch_and_evaluate(tmp_path, images):
    status, lines = interrupted("datasets.fetching.fetch", "fetch", "isbi2012", "--to", str(tmp_path))
    assert (status, lines) == (130, ["stopped: nothing of isbi2012 was kept; the same command begins anew"])
    image = str(images / "t000.tif")
    status, lines = interrupted("datasets.tiff.read_tiff", "evaluate", image, image)
    assert (status, lines) == (130, ["stopped: nothing was written; the same command begins anew"])


def test_a_reader_who_has_seen_enough_hears_no_complaint():
    command = [sys.executable, "-m", "unet_paper", "reproduce"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child.stdout.close()  # as `| head` does, before anything was written
    assert (child.stderr.read(), child.wait()) == ("", 141)


@pytest.mark.parametrize("name", ["mps", "foo", "cuda:99", "meta", "cpu:3", ""])
def test_wrong_devices_are_refused_before_anything_is_done(tmp_path, capsys, name):
    out = tmp_path / "runs"
    assert main(["reproduce", "em-narrow", "--device", name, "--output", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'error: device is "{name}"')
    assert "choose cpu or cuda" in line or "PyTorch finds" in line
    assert not out.exists()
    with pytest.raises(ValueError, match="device is"):
        up.predict_probability(up.UNet(base_channels=1, depth=1), GREY, device=name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU whose absence is tested")
def test_reproduce_without_a_gpu(tmp_path, capsys):
    assert main(["reproduce", "em-narrow", "--device", "cuda", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err == 'error: device is "cuda", but PyTorch finds no GPU here; say --device cpu\n'


def test_devices_that_are_there():
    assert check_device(None) == check_device("cpu") == check_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody can make a file")
def test_reproduce_checks_that_it_can_write_before_it_trains(capsys):
    assert main(["reproduce", "em-narrow", "--output", "/proc/self"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: /proc/self cannot be written (")


def test_evaluate_checks_that_it_can_write_before_it_scores(tmp_path, images, capsys):
    image = str(images / "t000.tif")
    before = Path(image).read_bytes()
    (tmp_path / "file").write_text("no folder")
    assert main(["evaluate", image, image, "--json", str(tmp_path / "file/scores.json")]) == 2
    assert main(["evaluate", image, image, "--json", image]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"error: {tmp_path}/file is no folder; create it first"
    assert lines[1] == f"error: --json would replace {image}, which may be an image to be scored; name another file"
    assert Path(image).read_bytes() == before


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("no kernel\nframe #0"), "error: no kernel"),
        (MemoryError(), "error: not enough memory (MemoryError); take smaller or fewer images, or a smaller network"),
        (OSError(28, "No space left on device", "cells"), "error: [Errno 28] No space left on device: 'cells'"),
        (ValueError("name \x1b[2J\u202e"), r"t000.tif: name \x1b[2J\u202e"),
    ],
)
def test_errors_are_one_line(images, network, capsys, monkeypatch, error, line):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(up.own_images.segmenting, "predict_probability", fail)
    assert main(["segment", str(images), str(images.parent / "cells"), "--network", network]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert last.endswith(line.removeprefix("error: "))  # in between, the image that it happened to
    assert [path.name for path in images.parent.iterdir()] == ["01"]


def test_warnings_are_one_line(images, network, capsys, monkeypatch):
    def warn(*_, **__):
        warnings.warn("of \x1b[2J", stacklevel=1)
        logging.getLogger("tifffile").warning("page %s", "\x1b[2J")
        raise ValueError("end")

    monkeypatch.setattr(up.own_images.segmenting, "read_network", warn)
    assert main(["segment", str(images), str(images.parent / "cells"), "--network", network]) == 2
    assert capsys.readouterr().err.splitlines() == [r"warning: of \x1b[2J", r"warning: page \x1b[2J", "error: end"]


def test_a_second_run_to_one_output_fails_before_it_computes(images, network, capsys):
    out = images.parent / "cells"
    with up.own_images.folder.ResultFolder(out, note="segment.json").held():
        assert main(["segment", str(images), str(out), "--network", network]) == 2
        assert capsys.readouterr().err == (
            f"error: another run is writing {out}; wait for it, or name another folder\n"
        )
    out = images.parent / "01_RES"
    with up.tracking.new_folder(out):
        assert main(["track", str(images), str(images.parent), "--network", network]) == 2
        assert "another run is writing" in capsys.readouterr().err


def test_the_images_themselves_are_no_output(tmp_path, capsys, network):
    """Frames that are called like masks could be taken for an earlier result."""
    folder = tmp_path / "cells"
    folder.mkdir()
    tifffile.imwrite(folder / "mask000.tif", np.zeros((40, 40), np.uint8))
    before = (folder / "mask000.tif").read_bytes()
    for frames in (folder, folder / "mask000.tif"):
        assert main(["segment", str(frames), str(folder), "--network", network, "--force"]) == 2
        assert "name another folder" in capsys.readouterr().err
    assert (folder / "mask000.tif").read_bytes() == before


def test_a_folder_called_like_a_mask_is_no_result(tmp_path, images, network, capsys):
    precious = tmp_path / "cells/mask000.tif/precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    assert main(["segment", str(images), str(tmp_path / "cells"), "--network", network, "--force"]) == 2
    assert "holds mask000.tif, which is no result" in capsys.readouterr().err
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_of_any_bytes_are_shown(tmp_path, network, encoding):
    """A name that is no text, or steers, is escaped; the command has done its work and says so."""
    frames = os.fsencode(tmp_path) + b"/\xff\x1b[2J\xc3\xa9.tif"
    tifffile.imwrite(os.fsdecode(frames), np.zeros((1, 40, 40), np.uint8))
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "unet_paper", "track", "--masks", os.fsdecode(frames), str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert shown.returncode == 0, shown.stderr
    assert b"\x1b" not in shown.stdout
    assert rb"\udcff\x1b[2J" in shown.stdout


def test_typed_control_characters_are_escaped(capsys):
    with pytest.raises(SystemExit):
        main(["fetch", "isbi2012", "--\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err
