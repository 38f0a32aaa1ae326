"""Zarr, OME-Zarr and TIFF read by windows give the pixels of the whole; what is wrong with them is said."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile
import zarr

from unet_paper.datasets.image_files import describe, grey_frames, list_images
from unet_paper.datasets.image_sequence import load_masks
from unet_paper.datasets.windows import open_windows

PIXELS = np.random.default_rng(0).integers(0, 4096, (2, 3, 40, 50)).astype(np.uint16)  # t, c, y, x


def ome_zarr(folder, *, version: str = "0.5", **changes):
    """Write PIXELS as OME-Zarr with two levels; `changes` replace entries of its multiscales."""
    group = zarr.open_group(folder, mode="w", zarr_format=3 if version == "0.5" else 2)
    names = {"dimension_names": ["t", "c", "y", "x"]} if version == "0.5" else {}
    for level, pixels in enumerate((PIXELS, PIXELS[:, :, ::2, ::2])):
        array = group.create_array(str(level), shape=pixels.shape, chunks=(1, 1, 16, 16), dtype="uint16", **names)
        array[:] = pixels
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "nanometer"} for name in "yx"]
    levels = [
        {"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 500.0 * 2**n, 250.0 * 2**n]}]}
        for n in range(2)
    ]
    scales = {"version": version, "name": "a", "axes": axes, "datasets": levels, **changes}
    if version == "0.5":
        del scales["version"]
        group.attrs["ome"] = {"version": "0.5", "multiscales": [scales]}
    else:
        group.attrs["multiscales"] = [scales]
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_an_image_like_any_other(tmp_path, version):
    path = ome_zarr(tmp_path / "a.zarr", version=version)
    assert list_images(tmp_path) == list_images(path) == [path]
    file = describe(path)
    assert (file.frames, file.channels, file.size, file.dtype) == (2, 3, (40, 50), "uint16")
    assert file.pixel_size == (0.5, 0.25)
    np.testing.assert_array_equal(np.stack(list(grey_frames(file, channel=1))), PIXELS[:, 1])
    with open_windows(file, channel=2, frame=1) as window:
        np.testing.assert_array_equal(window((10, 33), (0, 49)), PIXELS[1, 2, 10:33, 0:49])


def test_masks_of_a_sequence_may_be_a_zarr(tmp_path):
    masks = PIXELS[0]
    named = {"dimension_names": ["t", "y", "x"], "zarr_format": 3}
    zarr.open_array(tmp_path / "cells.zarr", mode="w", shape=masks.shape, dtype="uint16", **named)[:] = masks
    np.testing.assert_array_equal(load_masks(tmp_path / "cells.zarr"), masks)


@pytest.mark.parametrize(
    ("how", "image"),
    [
        ({}, PIXELS[0, 0]),
        ({"tile": (16, 32), "compression": "zlib"}, PIXELS[0, 0]),
        ({"rowsperstrip": 7, "compression": "lzw", "predictor": True}, PIXELS[0, 0]),
        ({"photometric": "miniswhite"}, PIXELS[0, 0]),
        ({"photometric": "rgb", "tile": (16, 16)}, np.moveaxis(PIXELS[0], 0, -1)),
        ({"byteorder": ">"}, PIXELS[0, 0]),
        ({"imagej": True, "metadata": {"axes": "TCYX"}}, PIXELS),
        ({"ome": True, "metadata": {"axes": "TCYX"}, "tile": (16, 16)}, PIXELS),
    ],
)
def test_a_window_of_a_tiff_is_a_part_of_its_image(tmp_path, how, image):
    tifffile.imwrite(tmp_path / "a.tif", image, **how)
    file = describe(tmp_path / "a.tif")
    channel = 1 if file.channels > 1 and not file.is_colour else None
    for frame, whole in enumerate(grey_frames(file, channel=channel)):
        with open_windows(file, channel=channel, frame=frame) as window:
            found = window((3, 40), (17, 41))
        np.testing.assert_array_equal(found, whole[3:40, 17:41])
        assert found.dtype == whole.dtype


def test_pages_appended_one_by_one(tmp_path):
    for page in PIXELS[0]:
        tifffile.imwrite(tmp_path / "a.tif", page, append=True, compression="zlib", metadata=None)
    with open_windows(describe(tmp_path / "a.tif"), frame=2) as window:
        np.testing.assert_array_equal(window((0, 9), (5, 9)), PIXELS[0, 2, 0:9, 5:9])


def test_a_plain_array_needs_names_for_more_than_two_axes(tmp_path):
    for name, pixels in (("flat", PIXELS[0, 0]), ("deep", PIXELS[0])):
        zarr.open_array(tmp_path / name, mode="w", shape=pixels.shape, dtype="uint16")[:] = pixels
    np.testing.assert_array_equal(next(grey_frames(describe(tmp_path / "flat"))), PIXELS[0, 0])
    with pytest.raises(ValueError, match=r"whose axes have no names; save it as OME-Zarr"):
        describe(tmp_path / "deep")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": []}, "name no axes, as before OME-Zarr 0.4"),
        ({"axes": ["t", "c", "y", "x"]}, "name no axes, as before OME-Zarr 0.4"),
        ({"axes": [{"name": name, "type": "space"} for name in "yx"]}, "cannot be read as Zarr"),
    ],
)
def test_wrong_axes_are_named(tmp_path, changes, message):
    path = ome_zarr(tmp_path / "a.zarr", version="0.4", **changes)
    with pytest.raises(ValueError, match=message) as error:
        describe(path)
    assert str(path) in str(error.value)


def test_a_level_that_is_not_there_and_levels_in_the_wrong_order(tmp_path):
    path = ome_zarr(tmp_path / "a.zarr")
    shutil.rmtree(path / "1")
    with pytest.raises(ValueError, match="names the levels 1, which are not there"):
        describe(path)
    path = ome_zarr(tmp_path / "b.zarr")
    (path / "0").rename(path / "2")
    (path / "1").rename(path / "0")
    (path / "2").rename(path / "1")
    with pytest.raises(ValueError, match="the first must be the largest"):
        describe(path)


def test_a_damaged_chunk_and_what_is_no_image(tmp_path):
    path = ome_zarr(tmp_path / "a.zarr")
    chunk = next(file for file in (path / "0" / "c").rglob("*") if file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"a\.zarr cannot be read as Zarr"):
        list(grey_frames(describe(path), channel=0))
    plate = zarr.open_group(tmp_path / "plate.zarr", mode="w")
    plate.attrs["ome"] = {"plate": {}}
    with pytest.raises(ValueError, match="a plate of many images"):
        describe(tmp_path / "plate.zarr")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text(json.dumps({"zarr_format": 3})[:9])
    with pytest.raises(ValueError, match=r"broken\.zarr cannot be read as Zarr"):
        describe(tmp_path / "broken.zarr")


def test_a_tiff_in_pieces_too_large_to_read(tmp_path, monkeypatch):
    monkeypatch.setattr("unet_paper.datasets.windows.LARGEST_PIECE", 1000)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0, 0], compression="zlib", rowsperstrip=40)
    with (
        pytest.raises(ValueError, match=r"its pieces of 40 x 50 take .* save it in tiles"),
        open_windows(describe(tmp_path / "a.tif")),
    ):
        pass


def test_a_truncated_tiff_in_tiles(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0, 0], tile=(16, 16))
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-50])
    with pytest.raises(ValueError, match="truncated"):
        describe(tmp_path / "a.tif")
