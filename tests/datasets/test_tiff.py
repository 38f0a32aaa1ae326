"""A damaged or foreign TIFF gives one clear error, never wrong pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.datasets.small import tiff_bytes
from unet_paper.arrays import unit_range
from unet_paper.datasets.tiff import read_tiff

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
    """Cut the file anywhere: either an error, or (bytes that no pixel needs) all pixels, or fewer sections."""
    content = tiff_bytes(PIXELS, compression=compression, metadata=None)
    for length in range(0, len(content), 7):
        path = write(content[:length])
        try:
            pixels = read_tiff(path, rank=3, fix="fetch it again")
        except ValueError as error:
            assert str(error).startswith(f"{path} cannot be read as TIFF")  # noqa: PT017
            assert str(error).endswith("fetch it again")  # noqa: PT017
        else:
            np.testing.assert_array_equal(pixels, PIXELS[: len(pixels)])


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
