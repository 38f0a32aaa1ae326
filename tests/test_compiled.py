"""Compiled loops work wherever they are installed: their machine code on disk is a help, never a condition."""

from __future__ import annotations

import importlib.util
import resource
from pathlib import Path

import pytest

import unet_paper
from unet_paper.compiled import compiled

SOURCE = """
from unet_paper.compiled import compiled

@compiled
def twice(x):
    return x + x
"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Return a module with a compiled loop, and no folder of the user that could help."""
    (tmp_path / "no_home").write_text("a file, so nothing can be made in it")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "no_home"))
    path = tmp_path / "installed/loops.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return path


def load(path: Path):
    """Return the compiled function of the module, as a new process would find it."""
    spec = importlib.util.spec_from_file_location("loops", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.twice


def cached(path: Path) -> list[Path]:
    return sorted(path.parent.glob("__pycache__/*.nb?"))


def test_machine_code_is_kept_and_found_again(source):
    assert load(source)(2) == 4
    assert [file.suffix for file in cached(source)] == [".nbc", ".nbi"]
    again = load(source)
    assert again(2) == 4
    assert sum(again.stats.cache_hits.values()) == 1


def test_without_any_folder_to_write(source):
    """`__pycache__` is a file here: like a read-only installation, also for root."""
    (source.parent / "__pycache__").write_text("")
    function = load(source)
    assert function(2) == 4
    assert function.stats.cache_path is None


def test_without_a_home_nothing_is_made_where_the_user_stands(source, tmp_path, monkeypatch):
    """A user that the system does not know: `~` stays `~`, and numba would take it for a folder here."""
    standing = tmp_path / "here"
    standing.mkdir()
    monkeypatch.chdir(standing)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    (source.parent / "__pycache__").write_text("")
    assert load(source)(2) == 4
    assert list(standing.iterdir()) == []


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:-20], lambda content: b"x" * 99])
def test_a_damaged_file_is_written_anew(source, suffix, damage):
    load(source)(2)
    (file,) = (file for file in cached(source) if file.suffix == suffix)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert load(source)(2) == 4
    assert len(file.read_bytes()) == pytest.approx(len(whole), abs=50)
    again = load(source)
    assert again(2) == 4
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_full_disk_costs_only_the_cache(source):
    """A limit on the size of files stands for the disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    function = load(source)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert function(2) == 4
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load(source)(2) == 4


def test_every_loop_is_compiled_in_one_place():
    folder = Path(unet_paper.__file__).parent
    users = {
        path.name for path in folder.rglob("*.py") if "import numba" in (text := path.read_text()) or "njit" in text
    }
    assert users == {"compiled.py"}
    assert compiled(lambda x: x + 1)(2) == 3
