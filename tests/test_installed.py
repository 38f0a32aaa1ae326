"""After `pip install` into another environment: a user in an empty folder, far from the repository, finds it all."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

import unet_paper as up
from unet_paper.datasets.fetching import read_registry

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("unet_paper", "data", "pyproject.toml", "setup.py", "README.md", "LICENSE")
USE = """
import json
import unet_paper as up
from unet_paper.datasets.fetching import read_registry
from unet_paper.datasets.folders import data_roots

image = up.synthetic_cells(1, 80).images[0][:60]
print(json.dumps({
    "package": up.__file__,
    "card": up.network_card("u373"),
    "records": up.experiments.read_records("u373-narrow"),
    "registry": read_registry(),
    "data": [str(folder) for folder in data_roots()],
    "sums": up.predict_probability(up.load_network("u373"), image, progress=False).sum(axis=0).ravel().tolist(),
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel from a copy of the repository in which somebody has fetched images, without a network."""
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy)
    for fetched in ("data/isbi2012/train-volume.tif", "data/results/train-volume.tif", "data/models/t000.png"):
        (copy / fetched).parent.mkdir(exist_ok=True)
        (copy / fetched).write_bytes(b"an image of a challenge")
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    pip(["wheel", *offline, "--wheel-dir", target, copy])
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """Return the interpreter of an environment that holds the wheel, and sees the other packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip(["--python", interpreter, "install", "--no-index", "--no-deps", wheel])
    (own,) = folder.rglob("site-packages")
    (own / "packages.pth").write_text("\n".join(site.getsitepackages()))  # a path named here brings no .pth of its own
    return interpreter


@pytest.fixture
def stands(tmp_path) -> Path:
    """Return the empty folder in which the user stands."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def pip(arguments: list) -> None:
    here = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # pip takes it for installed
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], env=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def run(python: Path, arguments: list, *, stands: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("UNET_PAPER_DATA", "PYTHONPATH")}
    home = {"HOME": str(stands.parent), "XDG_CACHE_HOME": str(stands.parent / "cache")}
    return subprocess.run([python, *arguments], cwd=stands, env=kept | home, capture_output=True, text=True)


def test_wheel_holds_the_package_and_what_is_published_and_no_image(wheel):
    names = set(ZipFile(wheel).namelist())
    package = {
        str(path.relative_to(ROOT)) for ending in ("py", "pyi") for path in (ROOT / "unet_paper").rglob(f"*.{ending}")
    }
    published = {f"unet_paper/{path.relative_to(ROOT)}" for path in (ROOT / "data").glob("*/*.safetensors")}
    published |= {f"unet_paper/{path.relative_to(ROOT)}" for path in (ROOT / "data" / "results").glob("*.json")}
    assert package | published <= names
    assert not [name for name in names if name.endswith((".tif", ".png"))]
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"unet_paper"}  # nothing else in site-packages


def test_networks_records_and_registry_are_found_from_an_empty_folder(python, stands):
    done = run(python, ["-c", USE], stands=stands)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["package"]).is_relative_to(python.parents[1])
    assert found["card"] == up.network_card("u373")
    assert found["records"] == up.experiments.read_records("u373-narrow") != []
    assert found["registry"] == read_registry()
    assert found["sums"] == pytest.approx([1] * 60 * 80, abs=1e-5)
    assert found["data"] == [str(stands.parent / "cache" / "unet-paper")]
    assert list(stands.iterdir()) == []


def test_commands_write_only_where_they_are_told_to(python, stands):
    listed = run(python, ["-m", "unet_paper", "reproduce"], stands=stands)
    assert (listed.returncode, "em-narrow" in listed.stdout) == (0, True)
    refused = run(python, ["-m", "unet_paper", "reproduce", "em-narrow"], stands=stands)
    assert (refused.returncode, "say where to write: --output DIR" in refused.stderr) == (2, True)
    published = run(
        python, ["-m", "unet_paper", "reproduce", "em-narrow", "--publish", "--output", stands], stands=stands
    )
    assert (published.returncode, "a clone of the repository" in published.stderr) == (2, True)
    assert list(stands.iterdir()) == []
