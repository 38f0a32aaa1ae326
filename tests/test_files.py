"""Files appear whole or not at all, and leave nothing beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unet_paper.atomic import replacing, replacing_folder
from unet_paper.files import PIECE, PIECES, content_of, sha256_of, write_json


def fill_file(path: Path, text: str, *, fail: bool) -> None:
    with replacing(path) as unfinished:
        unfinished.write_text(text)
        if fail:
            raise OSError("the disk is full")


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path):
    path = tmp_path / "record.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(OSError, match="full"):
        fill_file(path, "half", fail=True)
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_before_is_kept_where_asked(tmp_path):
    path, before = tmp_path / "new", tmp_path / "old"
    for text in ("1", "2"):
        with replacing(path, keep=before) as unfinished:
            unfinished.write_text(text)
    assert (path.read_text(), before.read_text()) == ("2", "1")


def fill(folder: Path, text: str, *, fail: bool) -> None:
    with replacing_folder(folder, check=lambda: None) as unfinished:
        (unfinished / "file").write_text(text)
        if fail:
            raise OSError("the disk is full")


def test_a_folder_is_replaced_only_when_it_is_complete(tmp_path):
    folder = tmp_path / "01_RES"
    fill(folder, "first", fail=False)
    with pytest.raises(OSError, match="full"):
        fill(folder, "half", fail=True)
    assert (folder / "file").read_text() == "first"
    fill(folder, "second", fail=False)
    assert (folder / "file").read_text() == "second"
    assert list(tmp_path.iterdir()) == [folder]


def test_sha256_of_nothing_is_the_one_of_the_standard(tmp_path):
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_content_of_a_large_file_is_its_size_its_ends_and_pieces_between(tmp_path):
    """Of a file that is one piece longer than what is read, the last byte counts and the size does."""
    path, seen = tmp_path / "large.tif", set()
    for last in (b"", b"a", b"b", b"bb"):
        with open(path, "wb") as file:
            file.truncate((PIECES + 1) * PIECE)
            file.seek(0, 2)
            file.write(last)
        seen.add(content_of(path))
    assert len(seen) == 4
    assert content_of(path.rename(tmp_path / "moved.tif")) in seen


def test_the_content_of_a_folder_is_that_of_its_files(tmp_path):
    chunk, seen = tmp_path / "a.zarr/0/c0", []
    chunk.parent.mkdir(parents=True)
    for text in ("first", "other", "first"):
        chunk.write_text(text)
        seen.append(content_of(tmp_path / "a.zarr"))
    assert seen[0] == seen[2] != seen[1]
    chunk.rename(chunk.with_name("c1"))
    assert content_of(tmp_path / "a.zarr") not in seen
