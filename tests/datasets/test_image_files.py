"""Images as people have them: every common format, grey values out, one image at a time."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile

from tests.datasets.small import png_bytes
from unet_paper.datasets.image_files import describe, grey_frames, label_frames, list_images

GREY = np.arange(30, dtype=np.uint8).reshape(6, 5)
COLOUR = np.stack([GREY, GREY + 50, GREY + 100], axis=-1)


def read(path, **options):
    return list(grey_frames(describe(path), **options))


def test_names_are_sorted_as_people_count(tmp_path):
    for name in ("t10.png", "t2.png", "A01_s2_w1.tif", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(png_bytes(GREY))
    assert [path.name for path in list_images(tmp_path)] == ["A01_s2_w1.tif", "t2.png", "t10.png"]
    assert [path.name for path in list_images(str(tmp_path / "t*"))] == ["t2.png", "t10.png"]
    assert [path.name for path in list_images([tmp_path / "t2.png", tmp_path / "t10.png"])] == ["t2.png", "t10.png"]


def test_absent_and_empty_folders(tmp_path):
    (tmp_path / "day1").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no \*\.tif, .*; its folders are day1"):
        list_images(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist, nor matches any image"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "slide.svs").write_bytes(b"II*")
    with pytest.raises(ValueError, match=r"slide\.svs is none of \*\.tif, .* or Zarr; save it as a grey TIFF or PNG"):
        list_images(tmp_path / "slide.svs")


@pytest.mark.parametrize(("photometric", "bright"), [("minisblack", GREY > 10), ("miniswhite", GREY <= 10)])
def test_one_bit_per_pixel_gives_numbers(tmp_path, photometric, bright):
    tifffile.imwrite(tmp_path / "a.tif", GREY > 10, photometric=photometric)
    (pixels,) = read(tmp_path / "a.tif")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, bright)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float32])
def test_every_type_keeps_its_values(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype))
    (pixels,) = read(tmp_path / "a.tif")
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, GREY)


def test_colour_becomes_luminance_and_grey_in_colour_stays_itself(tmp_path):
    tifffile.imwrite(tmp_path / "colour.tif", COLOUR, photometric="rgb")
    (tmp_path / "colour.png").write_bytes(png_bytes(COLOUR))
    (tmp_path / "grey.png").write_bytes(png_bytes(np.repeat(GREY[..., None], 3, axis=2)))
    for name in ("colour.tif", "colour.png"):
        np.testing.assert_allclose(read(tmp_path / name)[0], GREY + 0.7154 * 50 + 0.0721 * 100, rtol=1e-5)
        np.testing.assert_array_equal(read(tmp_path / name, channel=1)[0], GREY + 50)
    np.testing.assert_array_equal(read(tmp_path / "grey.png")[0], GREY)


def test_channels_are_chosen_and_frames_counted(tmp_path):
    stack = np.arange(2 * 3 * 30, dtype=np.uint16).reshape(2, 3, 6, 5)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TCYX"})
    file = describe(tmp_path / "a.tif")
    assert (file.frames, file.channels, file.is_colour, file.size) == (2, 3, False, (6, 5))
    with pytest.raises(ValueError, match=r"a\.tif has 3 channels; choose one of 0 \.\. 2"):
        read(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"frame is 2; .* has the frames 0 \.\. 1"):
        read(tmp_path / "a.tif", channel=0, frame=2)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", channel=2), stack[:, 2])
    np.testing.assert_array_equal(read(tmp_path / "a.tif", channel=2, frame=1), stack[1:, 2])


def test_white_at_0_and_colour_numbers(tmp_path):
    tifffile.imwrite(tmp_path / "white.tif", GREY, photometric="miniswhite")
    np.testing.assert_array_equal(read(tmp_path / "white.tif")[0], 255 - GREY)
    ramp = np.arange(256, dtype=np.uint16) * 257
    tifffile.imwrite(tmp_path / "palette.tif", GREY, photometric="palette", colormap=np.stack([ramp[::-1]] * 3))
    np.testing.assert_array_equal(read(tmp_path / "palette.tif")[0], (255 - GREY.astype(int)) * 257)
    np.testing.assert_array_equal(next(label_frames(describe(tmp_path / "palette.tif"))), GREY)
    np.testing.assert_array_equal(next(label_frames(describe(tmp_path / "white.tif"))), GREY)


def test_pixel_size_of_ome_imagej_and_tags(tmp_path):
    ome = {"axes": "YX", "PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, metadata=ome)
    tifffile.imwrite(tmp_path / "b.tif", GREY, imagej=True, resolution=(4, 2), metadata={"unit": "micron"})
    tifffile.imwrite(tmp_path / "c.tif", GREY, resolution=(40_000, 20_000), resolutionunit="CENTIMETER")
    tifffile.imwrite(tmp_path / "d.tif", GREY, resolution=(72, 72), resolutionunit="INCH")
    for name in ("a.ome.tif", "b.tif", "c.tif"):
        assert describe(tmp_path / name).pixel_size == pytest.approx((0.5, 0.25)), name
    assert describe(tmp_path / "d.tif").pixel_size is None


def test_jpeg(tmp_path):
    content = imagecodecs.jpeg8_encode(np.full((16, 16), 80, np.uint8), level=95)
    (tmp_path / "a.jpg").write_bytes(content)
    assert np.abs(read(tmp_path / "a.jpg")[0].astype(int) - 80).max() <= 1
    with pytest.raises(ValueError, match="is a JPEG, which changes numbers"):
        list(label_frames(describe(tmp_path / "a.jpg")))
    (tmp_path / "a.jpg").write_bytes(content[: len(content) - 40])
    with pytest.raises(ValueError, match="cannot be read as JPEG"):
        describe(tmp_path / "a.jpg")


def test_a_mask_in_colour_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png_bytes(COLOUR))
    with pytest.raises(ValueError, match="is in colour; a mask holds one number per pixel"):
        list(label_frames(describe(tmp_path / "a.png")))
