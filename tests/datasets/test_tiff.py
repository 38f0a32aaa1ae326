"""A damaged or foreign TIFF gives one clear error, never wrong pixels."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from tests.datasets.small import tiff_bytes
from unet_paper.arrays import unit_range
from unet_paper.datasets.tiff import open_tiff, read_tiff

PIXELS = np.arange(2 * 12 * 10, dtype=np.uint8).reshape(2, 12, 10)


@pytest.fixture
def write(tmp_path):
    def to_file(content: bytes):
        path = tmp_path / "stack.tif"
        path.write_bytes(content)
        return path

    return to_file


@pytest.mark.parametrize("options", [{}, {"compression": "lzw"}, {"byteorder": ">"}, {"rowsperstrip": 4}])
def test_pixels_survive_every_encoding(write, options):
    np.testing.assert_array_equal(read_tiff(write(tiff_bytes(PIXELS, **options)), rank=3, fix=""), PIXELS)


def test_one_section_is_a_stack_of_one(write):
    assert read_tiff(write(tiff_bytes(PIXELS[0])), rank=3, fix="").shape == (1, 12, 10)


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_every_truncation_is_noticed(write, compression):
    """Cut the file anywhere: either an error, or (bytes that no pixel needs) all pixels; never fewer sections."""
    content = tiff_bytes(PIXELS, compression=compression, metadata=None)
    for length in range(0, len(content), 7):
        path = write(content[:length])
        try:
            pixels = read_tiff(path, rank=3, fix="fetch it again")
        except ValueError as error:
            assert str(error).startswith(f"{path} cannot be read as TIFF")  # noqa: PT017
            assert str(error).endswith("fetch it again")  # noqa: PT017
        else:
            np.testing.assert_array_equal(pixels, PIXELS)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.tif does not exist; fetch it"):
        read_tiff(tmp_path / "nowhere.tif", rank=2, fix="fetch it")


@pytest.mark.parametrize("content", [b"", b"II*\0", b"\x89PNG\r\n\x1a\n" + bytes(50), b"<html>not found</html>"])
def test_no_tiff_at_all(write, content):
    with pytest.raises(ValueError, match=r"stack.tif cannot be read as TIFF .*; fetch it"):
        read_tiff(write(content), rank=3, fix="fetch it")


def test_wrong_rank(write):
    with pytest.raises(ValueError, match=r"shape \(2, 12, 10\); needs one grey image \(H, W\)"):
        read_tiff(write(tiff_bytes(PIXELS)), rank=2, fix="fetch it")


def test_full_range_of_the_type_becomes_0_to_1():
    assert unit_range(np.array([0, 51, 255], np.uint8), name="a").tolist() == pytest.approx([0, 0.2, 1])
    assert unit_range(np.array([0, 13107, 65535], np.uint16), name="a").tolist() == pytest.approx([0, 0.2, 1])
    assert unit_range(np.array([7], np.uint8), name="a").dtype == np.float32


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="volume holds float64 grey values; save it as uint8 or uint16"):
        unit_range(np.zeros(3), name="volume")


STACK = np.arange(2 * 3 * 4 * 6 * 5, dtype=np.uint16).reshape(2, 3, 4, 6, 5)  # T Z C Y X


def planes(path):
    with open_tiff(path, fix="fetch it again") as images:
        return np.stack(list(images.planes())), images.axes


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True, "metadata": {"axes": "TZCYX"}},
        {"imagej": True, "metadata": {"axes": "TZCYX"}, "compression": "zlib"},
        {"ome": True, "metadata": {"axes": "TZCYX"}},
        {"ome": True, "metadata": {"axes": "TZCYX"}, "bigtiff": True},
        {"metadata": {"axes": "TZCYX"}, "photometric": "minisblack", "compression": "lzw"},
    ],
)
def test_hyperstacks_by_their_axes(tmp_path, options):
    tifffile.imwrite(tmp_path / "stack.tif", STACK, **options)
    pixels, axes = planes(tmp_path / "stack.tif")
    assert axes == "TZCYX"
    np.testing.assert_array_equal(pixels, STACK.reshape(6, 4, 6, 5))


def test_channel_axis_behind_the_columns(tmp_path):
    last = np.moveaxis(STACK[0, 0], 0, -1)
    tifffile.imwrite(tmp_path / "a.tif", last, metadata={"axes": "YXC"}, photometric="minisblack")
    np.testing.assert_array_equal(planes(tmp_path / "a.tif")[0], STACK[:1, 0])


@pytest.mark.parametrize("order", ["contig", "separate"])
def test_colour_is_one_image_of_three_channels(tmp_path, order):
    colour = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)
    stored = colour if order == "contig" else np.moveaxis(colour, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=order)
    with open_tiff(tmp_path / "a.tif", fix="") as images:
        assert (images.frames, images.channels, images.size, images.is_colour) == (1, 3, (6, 5), True)
        np.testing.assert_array_equal(images.plane(0), np.moveaxis(colour, -1, 0))
    with pytest.raises(ValueError, match=r"shape \(.*\); needs a stack of grey images \(N, H, W\), this is rgb"):
        read_tiff(tmp_path / "a.tif", rank=3, fix="")


def test_pages_that_were_appended_one_by_one(tmp_path):
    for page in STACK[0, :, 0]:
        tifffile.imwrite(tmp_path / "a.tif", page, append=True)
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", rank=3, fix=""), STACK[0, :, 0])


def test_several_series_are_refused_by_their_sizes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in (STACK[0, 0, 0], STACK[0, 0, 0, :3]):
            file.write(page)
    with pytest.raises(ValueError, match=r"holds 2 series of images \(6 x 5, 3 x 5\)"):
        read_tiff(tmp_path / "a.tif", rank=3, fix="")


@pytest.mark.parametrize("kind", ["miniswhite", "palette"])
def test_what_is_not_black_at_0_is_refused_where_grey_is_needed(tmp_path, kind):
    colours = {"colormap": np.zeros((3, 256), np.uint16)} if kind == "palette" else {}
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0], photometric=kind, **colours)
    with pytest.raises(ValueError, match=f"this is {kind} YX"):
        read_tiff(tmp_path / "a.tif", rank=2, fix="")


def test_a_chain_of_pages_in_a_circle_ends(write):
    with pytest.raises(ValueError, match="runs in a circle after 1 pages"):
        read_tiff(write(b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0"), rank=3, fix="")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_every_cut_of_an_imagej_stack_is_noticed(tmp_path, options):
    tifffile.imwrite(tmp_path / "whole.tif", STACK[:, :, 0], imagej=True, metadata={"axes": "TZYX"}, **options)
    content = (tmp_path / "whole.tif").read_bytes()
    for length in range(0, len(content), 5):
        (tmp_path / "cut.tif").write_bytes(content[:length])
        try:
            pixels, _ = planes(tmp_path / "cut.tif")
        except ValueError as error:
            assert "cannot be read as TIFF" in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(pixels[:, 0], STACK[:, :, 0].reshape(6, 6, 5))


def test_more_pixels_than_the_file_can_hold(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint8), compression="zlib", rowsperstrip=64)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages[0].tags[tag].overwrite(60_000)
    with pytest.raises(ValueError, match=r"3600000000 bytes of pixels announced in a file of \d+ bytes"):
        read_tiff(tmp_path / "a.tif", rank=2, fix="")
