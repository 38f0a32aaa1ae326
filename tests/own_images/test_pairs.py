"""Images and masks find each other by name; a mask's numbers are cells, background, or nobody's."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from unet_paper.own_images.pairs import cells_of, find_pairs, pictures_in, read_examples, understand

IMAGE = np.arange(80, dtype=np.uint8).reshape(8, 10)
MASK = np.zeros((8, 10), np.uint8)
MASK[1:3, 1:4], MASK[5:7, 5:9] = 1, 2


def write(folder, *names, pixels=MASK):
    folder.mkdir(exist_ok=True)
    for name in names:
        tifffile.imwrite(folder / name, pixels)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.tif", "a.tif"),
        ("A01_s2_w1.tif", "A01_s2_w1_mask.tif"),
        ("b.tif", "b_cp_masks.tif"),
        ("b_img.tif", "b_masks.tif"),
        ("c.ome.tif", "Mask-c.tif"),
        ("t007.tif", "man_seg007.tif"),
        ("frame 3.tif", "labels_3.tif"),
    ],
)
def test_habits_of_naming(tmp_path, image, mask):
    write(tmp_path / "images", image, pixels=IMAGE)
    write(tmp_path / "masks", mask)
    (pair,), missing = find_pairs(tmp_path / "images", tmp_path / "masks")
    assert (pair.image.path.name, pair.mask.path.name, missing) == (image, mask, [])


def test_one_folder_for_both(tmp_path):
    write(tmp_path, "a.tif", "b.tif", "c.tif", pixels=IMAGE)
    write(tmp_path, "a_mask.tif", "b_mask.tif")
    pairs, missing = find_pairs(tmp_path, tmp_path)
    assert [pair.mask.path.name for pair in pairs] == ["a_mask.tif", "b_mask.tif"]
    assert missing == ["c.tif"]


def test_masks_in_ome_tiff_among_their_images_are_no_images(tmp_path):
    write(tmp_path, "a.ome.tif", "b.tif", pixels=IMAGE)
    write(tmp_path, "a_mask.ome.tif", "b_mask.OME.TIFF")
    write(tmp_path, "a_ignore.ome.tif", pixels=(IMAGE > 60).astype(np.uint8))
    assert [path.name for path in pictures_in(tmp_path)] == ["a.ome.tif", "b.tif"]
    pairs, missing = find_pairs(tmp_path, tmp_path)
    assert [pair.mask.path.name for pair in pairs] == ["a_mask.ome.tif", "b_mask.OME.TIFF"]
    assert (pairs[0].ignored.path.name, missing) == ("a_ignore.ome.tif", [])


def test_masks_without_partner_are_listed(tmp_path):
    write(tmp_path / "images", "a.tif", "b.tif", pixels=IMAGE)
    write(tmp_path / "masks", "a.tif", "c.tif", "d.tif")
    with pytest.raises(ValueError, match=r"2 masks have no image: c\.tif, d\.tif; "):
        find_pairs(tmp_path / "images", tmp_path / "masks")
    write(tmp_path / "other", "x.tif")
    with pytest.raises(
        FileNotFoundError, match=r"no mask in .* belongs to an image in .* \(a\.tif, b\.tif and x\.tif\)"
    ):
        find_pairs(tmp_path / "images", tmp_path / "other")


def test_numbers_that_images_share_tell_nothing(tmp_path):
    write(tmp_path / "images", "exp1_t1.tif", "exp2_t1.tif", pixels=IMAGE)
    write(tmp_path / "masks", "x.tif")
    with pytest.raises(FileNotFoundError, match=r"no mask in .* \(exp1_t1\.tif, exp2_t1\.tif and x\.tif\); call the"):
        find_pairs(tmp_path / "images", tmp_path / "masks")


def test_masks_of_another_size(tmp_path):
    write(tmp_path / "images", "a.tif", pixels=IMAGE)
    write(tmp_path / "masks", "a.tif", pixels=MASK[:5])
    with pytest.raises(ValueError, match=r"a\.tif is 5 x 10 px uint8, its image a\.tif is 8 x 10 px uint8"):
        find_pairs(tmp_path / "images", tmp_path / "masks")


def test_numbers_patches_and_what_nobody_annotated():
    numbered = understand([MASK])
    assert not numbered.is_binary
    np.testing.assert_array_equal(cells_of(MASK, numbered, name=""), MASK)
    binary = np.where(MASK > 0, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(cells_of(binary, understand([binary]), name=""), MASK)
    partly = np.where(IMAGE > 60, 255, MASK).astype(np.uint8)
    meaning = understand([partly])
    assert meaning.unannotated == 255
    np.testing.assert_array_equal(cells_of(partly, meaning, name=""), np.where(IMAGE > 60, -1, MASK.astype(int)))
    signed = np.where(IMAGE > 60, -1, MASK.astype(int))
    np.testing.assert_array_equal(cells_of(signed, understand([signed]), name=""), signed)
    np.testing.assert_array_equal(
        cells_of(MASK, understand([MASK], unannotated=2), name=""), np.where(MASK == 2, -1, MASK.astype(int))
    )


def test_255_numbered_cells_are_255_cells():
    many = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert understand([many]).unannotated is None


@pytest.mark.parametrize("where", ["masks", "images"])
def test_a_painted_region_is_not_annotated(tmp_path, where):
    write(tmp_path / "images", "a.tif", pixels=IMAGE)
    write(tmp_path / "masks", "a_mask.tif")
    write(tmp_path / where, "a_ignore.tif", pixels=(IMAGE > 60).astype(np.uint8))
    (example,), _ = read_examples(find_pairs(tmp_path / "images", tmp_path / "masks").pairs)
    np.testing.assert_array_equal(example.labels, np.where(IMAGE > 60, -1, MASK.astype(int)))


def test_what_segment_writes_beside_masks_is_no_mask(tmp_path):
    write(tmp_path / "cells", "t000_mask.tif")
    write(tmp_path / "cells", "t000_probability.tif", "t000_overlay.png", pixels=IMAGE)
    write(tmp_path / "truth", "man_seg000.tif")
    (pair,), _ = find_pairs(tmp_path / "cells", tmp_path / "truth", images_are_masks=True)
    assert pair.image.path.name == "t000_mask.tif"
    write(tmp_path / "cells", "t000.tif", pixels=IMAGE)
    pairs, missing = find_pairs(tmp_path / "cells", tmp_path / "cells")
    assert ([pair.mask.path.name for pair in pairs], missing) == (["t000_mask.tif"], [])
    write(tmp_path / "maps", "a_probability.tif", "b_probability.tif", pixels=IMAGE)
    assert len(pictures_in(tmp_path / "maps")) == 2, "images of that name, beside no mask"


def test_classes_are_refused():
    classes = np.zeros((20, 20), np.uint8)
    classes[::4, ::4], classes[2::4, 2::4] = 1, 2
    with pytest.raises(ValueError, match=r"2 values \(1, 2\) of 25 and more patches each: classes, not cells"):
        understand([classes])


def test_empty_masks(tmp_path):
    write(tmp_path / "images", "a.tif", pixels=IMAGE)
    write(tmp_path / "masks", "a.tif", pixels=np.zeros_like(MASK))
    with pytest.raises(ValueError, match="all 1 masks are empty; paint cells"):
        read_examples(find_pairs(tmp_path / "images", tmp_path / "masks").pairs)
