"""Your own sequences: what is read, in which order, and what is refused with which words."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from tests.datasets.small import png_bytes, tiff_bytes
from unet_paper.datasets.image_sequence import load_image_sequence, load_masks

FRAMES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of three frames, as the challenge names them."""
    (tmp_path / "01").mkdir()
    for number, frame in enumerate(FRAMES):
        tifffile.imwrite(tmp_path / f"01/t{number:03d}.tif", frame)
    return tmp_path / "01"


def test_frames_of_a_folder(folder):
    (folder / "notes.txt").write_text("not an image")
    (folder / "._t000.tif").write_text("what another system leaves behind")
    sequence = load_image_sequence(folder)
    assert sequence.images.dtype == np.float32
    np.testing.assert_array_equal(sequence.images, FRAMES.astype(np.float32) / np.float32(255))
    assert (sequence.name, sequence.frames, sequence.labels, sequence.is_real) == ("01", (0, 1, 2), None, True)


def test_order_is_by_number_and_not_by_letter(tmp_path):
    for number in range(9, 12):
        (tmp_path / f"exp7 well_B{number}.png").write_bytes(png_bytes(np.full((2, 3), number, np.uint8)))
    sequence = load_image_sequence(tmp_path)
    assert sequence.frames == (9, 10, 11)
    np.testing.assert_array_equal(np.round(255 * sequence.images[:, 0, 0]), [9, 10, 11])


def test_a_stack_and_single_images(tmp_path):
    (tmp_path / "sequence.tif").write_bytes(tiff_bytes(FRAMES.astype(np.uint16) * 257))
    (tmp_path / "one.png").write_bytes(png_bytes(FRAMES[0]))
    (tmp_path / "one.tif").write_bytes(tiff_bytes(FRAMES[0]))
    np.testing.assert_allclose(load_image_sequence(tmp_path / "sequence.tif").images, FRAMES / 255, atol=1e-7)
    assert load_image_sequence(tmp_path / "sequence.tif").frames == (0, 1, 2)
    for name in ("one.png", "one.tif"):
        np.testing.assert_allclose(load_image_sequence(tmp_path / name).images, FRAMES[:1] / 255, atol=1e-7)


def test_masks_keep_their_numbers(tmp_path):
    masks = np.array([[[0, 7, 7]], [[60_000, 0, 3]]], dtype=np.uint16)
    for number, mask in enumerate(masks):
        tifffile.imwrite(tmp_path / f"mask{number:03d}.tif", mask)
    read = load_masks(tmp_path)
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, masks)
    (tmp_path / "mask000_overlay.png").write_bytes(png_bytes(FRAMES[0]))  # `segment` writes it beside masks
    np.testing.assert_array_equal(load_masks(tmp_path), masks)


def test_missing_frames_are_listed(folder):
    for number in (5, 8):
        tifffile.imwrite(folder / f"t{number:03d}.tif", FRAMES[0])
    for load in (load_image_sequence, load_masks):
        with pytest.raises(FileNotFoundError, match="01 lacks the frames 3-4, 6-7; "):
            load(folder)
    assert load_image_sequence(folder, complete=False).frames == (0, 1, 2, 5, 8)


def test_frames_of_different_size_or_depth(folder):
    tifffile.imwrite(folder / "t002.tif", FRAMES[0, :3])
    with pytest.raises(ValueError, match=r"t002\.tif is \(3, 5\) px uint8, t000\.tif is \(4, 5\) px uint8; all frames"):
        load_image_sequence(folder)
    tifffile.imwrite(folder / "t002.tif", FRAMES[0].astype(np.uint16))
    with pytest.raises(ValueError, match=r"t002\.tif is \(4, 5\) px uint16, t000\.tif is \(4, 5\) px uint8"):
        load_image_sequence(folder)


@pytest.mark.parametrize("name", ["t002.tif", "t002.png"])
def test_no_image(folder, name):
    (folder / "t002.tif").unlink()
    for content in (b"", b"not an image", png_bytes(FRAMES[2])[:40], tiff_bytes(FRAMES[2])[:60]):
        (folder / name).write_bytes(content)
        with pytest.raises(
            ValueError, match=rf"{name} cannot be read as (TIFF|PNG) \(.*\); convert it to a grey image"
        ):
            load_image_sequence(folder)


def test_colour_and_floats(folder):
    tifffile.imwrite(folder / "t001.tif", np.zeros((4, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(ValueError, match=r"t001\.tif holds an array of shape \(4, 5, 3\); needs one grey image"):
        load_image_sequence(folder)
    (folder / "t001.tif").unlink()
    (folder / "t001.png").write_bytes(png_bytes(np.zeros((4, 5, 3), np.uint8)))
    with pytest.raises(ValueError, match=r"t001\.png holds an array of shape \(4, 5, 3\); needs one grey image"):
        load_image_sequence(folder)
    tifffile.imwrite(folder.parent / "floats.tif", np.zeros((2, 4, 5), np.float32))
    with pytest.raises(ValueError, match=r"floats\.tif holds float32 grey values; save it as uint8 or uint16"):
        load_image_sequence(folder.parent / "floats.tif")


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (1.5, np.float32, r"holds 1\.5, not a whole number"),
        (np.nan, np.float32, "holds 20 NaN or infinite"),
        (-2, np.int16, "holds -2; legal are 0"),
        (2**32 - 1, np.uint32, "holds 4294967295, larger than int32"),
    ],
)
def test_masks_that_are_none(tmp_path, value, dtype, message):
    tifffile.imwrite(tmp_path / "masks.tif", np.full((4, 5), value, dtype), photometric="minisblack")
    with pytest.raises(ValueError, match=rf"masks\.tif {message}"):
        load_masks(tmp_path / "masks.tif")


def test_whole_numbers_stored_as_floats_are_masks(tmp_path):
    tifffile.imwrite(tmp_path / "masks.tif", FRAMES.astype(np.float32), photometric="minisblack")
    np.testing.assert_array_equal(load_masks(tmp_path / "masks.tif"), FRAMES)


def test_a_forged_number_costs_no_memory(folder):
    (folder / "t000.tif").rename(folder / "t2000000000.tif")
    with pytest.raises(FileNotFoundError, match="01 lacks the frames 3-1999999999; "):
        load_image_sequence(folder)


def test_twelve_bits_in_sixteen_are_announced(folder):
    for path in folder.iterdir():
        tifffile.imwrite(path, np.array([[0, 4095]], np.uint16))
    with pytest.warns(UserWarning, match="01 uses the grey values 0-4095 of 65535 in 3 of 3 images.*divide by its own"):
        load_image_sequence(folder)


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_quarter_of_the_range_is_enough(folder):
    for path in folder.iterdir():
        tifffile.imwrite(path, np.array([[100, 164]], np.uint8))
    load_image_sequence(folder)


def test_empty_and_absent_folders(folder):
    with pytest.raises(FileNotFoundError, match=r"holds no \*\.tif, \.tiff or \.png; its folders are 01"):
        load_image_sequence(folder.parent)
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty holds no \*\.tif, \.tiff or \.png$"):
        load_image_sequence(folder / "empty")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; name a folder of frames or a TIFF stack"):
        load_image_sequence(folder / "nowhere")


def test_names_without_number_and_twice_the_same_number(folder):
    tifffile.imwrite(folder / "mask001.tif", FRAMES[0])
    with pytest.raises(ValueError, match=r"mask001\.tif and t001\.tif are both number 1; keep one sequence per folder"):
        load_image_sequence(folder)
    (folder / "mask001.tif").rename(folder / "average.tif")
    with pytest.raises(
        ValueError, match=r"average\.tif has no number in its name; frames are ordered by it, e\.g\. t000"
    ):
        load_image_sequence(folder)
