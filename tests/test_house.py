"""The plan of the package: which folder may import which, who touches the disk, and where names live."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import types
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import unet_paper

HOUSE = Path(unet_paper.__file__).parent
# From the ground to the roof: a module imports only from modules and folders further to the left, or its own folder.
ORDER = (
    *(
        "messages",
        "atomic",
        "options",
        "resizing",
        "arrays",
        "files",
        "compiled",
        "model",
        "loss",
        "cells",
        "weight_maps",
        "augmentation",
        "overlap_tile",
    ),
    *("datasets", "tracking", "metrics", "training", "predict", "networks", "baselines", "analysis"),
    *("experiments", "own_images", "figures", "cli", "__main__"),
)
TOUCH_THE_DISK = (
    *("atomic", "files", "datasets", "networks", "tracking.challenge_format", "experiments", "training.checkpoint"),
    *("own_images.folder", "cli"),
)
KNOW_NO_FILE = ("model", "loss", "weight_maps", "augmentation", "metrics")  # nor what they import, directly or not
DISK_METHODS = {
    *(
        "open",
        "safe_open",
        "read_text",
        "write_text",
        "read_bytes",
        "write_bytes",
        "mkdir",
        "unlink",
        "rename",
        "touch",
    ),
    *("glob", "rglob", "iterdir", "is_file", "is_dir", "exists", "savetxt", "loadtxt", "imread", "imwrite"),
}
DISK_FUNCTIONS = (
    "os.replace",
    "os.remove",
    "os.listdir",
    "shutil.",
    "tempfile.",
    "tifffile.",
    "np.load",
    "np.save",
)
PACKAGES = ("", *sorted(path.parent.name for path in HOUSE.glob("*/__init__.pyi")))


def modules() -> dict[str, ast.Module]:
    """Return every module by its dotted name below the package, such as ``"training.step"``."""
    found = {}
    for path in sorted(HOUSE.rglob("*.py")):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return found


MODULES = modules()


def imports_of(name: str) -> Iterator[str]:
    """Give the modules of this package that a module imports, as dotted names below the package."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "unet_paper":
            base = node.module.removeprefix("unet_paper").lstrip(".")
            for alias in node.names:
                below = f"{base}.{alias.name}".lstrip(".")
                yield below if below in MODULES else base
        elif isinstance(node, ast.Import):
            ours = [alias.name for alias in node.names if alias.name.split(".")[0] == "unet_paper"]
            yield from (name.removeprefix("unet_paper").lstrip(".") for name in ours)


def room(name: str) -> str:
    return name.split(".")[0]


def public_names(package: str) -> tuple[set[str], set[str]]:
    """Return the modules and the other names that a package's stub offers."""
    stub = ast.parse((HOUSE / package / "__init__.pyi").read_text())
    offered: dict[bool, set[str]] = {True: set(), False: set()}
    for line in stub.body:
        if isinstance(line, ast.ImportFrom):
            offered[line.module is None] |= {alias.name for alias in line.names}
    return offered[True], offered[False]


def loaded(package: str) -> types.ModuleType:
    return importlib.import_module(f"unet_paper.{package}".rstrip("."))


def test_every_module_and_folder_has_its_place_in_the_order():
    assert {room(name) for name in MODULES} - {""} == set(ORDER)


@pytest.mark.parametrize("name", sorted(set(MODULES) - {""}))
def test_no_import_runs_upwards(name):
    for other in imports_of(name):
        if other == "":  # the whole package: only the commands stand above it; its version is on every floor
            assert room(name) in ("cli", "__main__") or name == "experiments.record"
        else:
            assert ORDER.index(room(other)) <= ORDER.index(room(name)), f"{name} imports {other}"


def test_no_import_circles():
    TopologicalSorter({name: set(imports_of(name)) - {name, ""} for name in MODULES}).prepare()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_only_some_rooms_touch_the_disk(name):
    if name.startswith(TOUCH_THE_DISK):
        return
    calls = {ast.unparse(node.func) for node in ast.walk(MODULES[name]) if isinstance(node, ast.Call)}
    guilty = {call for call in calls if call.split(".")[-1] in DISK_METHODS or call.startswith(DISK_FUNCTIONS)}
    assert not guilty, f"{name} calls {guilty}"


@pytest.mark.parametrize("name", sorted(name for name in MODULES if room(name) in KNOW_NO_FILE))
def test_what_states_the_paper_knows_no_file(name):
    seen, ahead = set(), [name]
    while ahead:
        here = ahead.pop()
        seen.add(here)
        ahead += [other for other in imports_of(here) if other and other not in seen]
    assert not {other for other in seen if other.startswith(TOUCH_THE_DISK)}


def test_nobody_is_sent_to_an_index_where_this_project_is_not():
    texts = [*HOUSE.rglob("*.py"), *HOUSE.parent.glob("*.md"), *HOUSE.parent.glob("book/*.md")]
    assert len(texts) > 100
    assert [path.name for path in texts if "unet-paper[" in path.read_text()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_shares_its_name_with_a_public_name(package):
    folder = HOUSE / package
    files = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    listed, names = public_names(package)
    assert not names & files
    assert listed == {name for name in files if not name.startswith("__")}, "the stub lists every module"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_listed(package):
    module = loaded(package)
    listed, names = public_names(package)
    assert set(dir(module)) >= listed | names
    assert all(isinstance(getattr(module, name), types.ModuleType) for name in listed)
    assert not any(isinstance(getattr(module, name), types.ModuleType) for name in names)


def test_importing_the_package_loads_nothing_else():
    heavy = "{'torch', 'numba', 'matplotlib', 'scipy', 'skimage'}"
    code = f"import sys, unet_paper as up, unet_paper.cli; dir(up); print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_names_are_reached_through_the_package():
    code = "import unet_paper as up; print(up.metrics.em_scores.__name__, up.training.PAPER.name, up.train.__name__)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["em_scores", "paper", "train"]
