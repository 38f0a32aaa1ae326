"""Sequences of cells: gold, silver and markers; cells that nobody annotated; folders that are incomplete."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile

from tests.datasets.small import write_sequence
from tests.real_data import REAL, needs_sequences
from unet_paper.arrays import IGNORE
from unet_paper.datasets import cell_frames, forgotten_cells, load_cell_tracking, mark_unannotated
from unet_paper.datasets.fetching import read_registry, verify_pixels

# Three cells in a row. Gold knows the first, silver the first two, markers all three.
GOLD = np.array([[7, 7, 0, 0, 0, 0, 0, 0], [7, 7, 0, 0, 0, 0, 0, 0]], np.uint16)
SILVER = np.array([[1, 1, 0, 2, 2, 0, 0, 0], [1, 0, 0, 2, 2, 0, 0, 0]], np.uint16)
MARKERS = np.array([[1, 0, 0, 2, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 3, 0]], np.uint16)
FULL = np.array([[7, 7, 0, -1, -1, 0, 0, 0], [7, 7, 0, -1, -1, 0, -1, 0]], np.int32)


@pytest.fixture
def root(tmp_path):
    """Return a sequence of 4 frames, of which frame 2 has a gold mask."""
    frames = {number: np.full(GOLD.shape, 51 * number, np.uint8) for number in range(4)}
    silver, markers = (dict.fromkeys(frames, masks) for masks in (SILVER, MARKERS))
    write_sequence(tmp_path, frames=frames, gold={2: GOLD}, silver=silver, markers=markers)
    return tmp_path


def test_gold_frames_with_unannotated_cells_ignored(root):
    data = load_cell_tracking("Tiny", 1, root=root)
    assert data.frames == (2,)
    assert (data.images.dtype, data.labels.dtype) == (np.float32, np.int32)
    np.testing.assert_allclose(data.images, 0.4)
    np.testing.assert_array_equal(data.labels[0], FULL)
    assert data.name == "Tiny/01"
    assert data.is_real


def test_forgotten_cells_have_a_silver_mask_that_no_gold_mask_touches(root):
    assert forgotten_cells("Tiny", 1, root=root) == len({2})


def test_silver_and_markers_cover_every_frame(root):
    for annotation, masks in (("silver", SILVER), ("markers", MARKERS)):
        data = load_cell_tracking("Tiny", "01", annotation=annotation, root=root)
        assert data.frames == (0, 1, 2, 3)
        np.testing.assert_array_equal(data.labels, [masks] * 4)


def test_images_only(root):
    data = load_cell_tracking("Tiny", 1, annotation=None, root=root)
    assert data.labels is None
    np.testing.assert_allclose(data.images[:, 0, 0], [0, 0.2, 0.4, 0.6])


def test_same_frames_with_another_annotation(root):
    gold = load_cell_tracking("Tiny", 1, root=root)
    silver = load_cell_tracking("Tiny", 1, annotation="silver", frames=gold.frames, root=root)
    np.testing.assert_array_equal(silver.images, gold.images)


def test_folder_directly_below_the_root(root):
    assert len(load_cell_tracking("Tiny", 1, root=root / "ctc")) == 1


def test_mark_unannotated_without_silver_ignores_the_marker_alone():
    marked = mark_unannotated(GOLD.astype(int), MARKERS)
    np.testing.assert_array_equal(np.argwhere(marked == IGNORE), [[0, 3], [1, 6]])


def test_mark_unannotated_changes_no_annotated_pixel():
    crowded = np.where(SILVER == 2, 9, GOLD).astype(int)  # now gold knows the second cell too
    np.testing.assert_array_equal(mark_unannotated(crowded, MARKERS, SILVER)[crowded > 0], crowded[crowded > 0])


def test_without_markers_gold_stays_as_published(root):
    shutil.rmtree(root / "ctc/Tiny/01_GT/TRA")
    np.testing.assert_array_equal(load_cell_tracking("Tiny", 1, root=root).labels[0], GOLD)


def test_missing_folders(root):
    with pytest.raises(FileNotFoundError, match=r"no folder ctc/Nothing or Nothing"):
        load_cell_tracking("Nothing", 1, root=root)
    with pytest.raises(FileNotFoundError, match="Tiny lacks the folder 02"):
        load_cell_tracking("Tiny", 2, root=root)
    shutil.rmtree(root / "ctc/Tiny/01_ST")
    with pytest.raises(FileNotFoundError, match="Tiny lacks the folder 01_ST/SEG"):
        load_cell_tracking("Tiny", 1, annotation="silver", root=root)


def test_empty_folder(root):
    for path in (root / "ctc/Tiny/01").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no tNNN.tif"):
        load_cell_tracking("Tiny", 1, root=root)


def test_missing_frames_are_listed(root):
    (root / "ctc/Tiny/01/t002.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"sequence 01: no images of frames \[2\]"):
        load_cell_tracking("Tiny", 1, root=root)
    with pytest.raises(FileNotFoundError, match=r"no masks of frames \[1, 3\]"):
        load_cell_tracking("Tiny", 1, frames=[1, 3], root=root)
    with pytest.raises(ValueError, match="frames is empty"):
        load_cell_tracking("Tiny", 1, frames=[], root=root)


def test_frames_of_different_size(root):
    tifffile.imwrite(root / "ctc/Tiny/01/t003.tif", np.zeros((5, 5), np.uint8))
    with pytest.raises(ValueError, match=r"t003.tif is \(5, 5\) px uint8, t000.tif is \(2, 8\) px uint8"):
        load_cell_tracking("Tiny", 1, annotation=None, root=root)


def test_one_frame_of_16_bit_among_others_of_8(root):
    """Stacked, all would be divided by 65535, and those of 8 bit be black."""
    tifffile.imwrite(root / "ctc/Tiny/01/t003.tif", np.zeros((2, 8), np.uint16))
    with pytest.raises(ValueError, match=r"t003.tif is \(2, 8\) px uint16, t000.tif is \(2, 8\) px uint8"):
        load_cell_tracking("Tiny", 1, annotation=None, root=root)


def test_masks_of_another_size(root):
    tifffile.imwrite(root / "ctc/Tiny/01_GT/SEG/man_seg002.tif", np.zeros((5, 5), np.uint16))
    shutil.rmtree(root / "ctc/Tiny/01_GT/TRA")
    with pytest.raises(ValueError, match=r"masks \(5, 5\), images \(2, 8\) px"):
        load_cell_tracking("Tiny", 1, root=root)


def test_wrong_rank_and_truncation(root):
    path = root / "ctc/Tiny/01/t001.tif"
    tifffile.imwrite(path, np.zeros((3, 2, 8), np.uint8), photometric="minisblack")
    with pytest.raises(ValueError, match=r"shape \(3, 2, 8\); needs one grey image"):
        load_cell_tracking("Tiny", 1, annotation=None, root=root)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"t001.tif cannot be read as TIFF"):
        load_cell_tracking("Tiny", 1, annotation=None, root=root)


def test_unknown_arguments(root):
    with pytest.raises(ValueError, match="annotation is 'bronze'; choose one of 'gold', 'silver', 'markers'"):
        load_cell_tracking("Tiny", 1, annotation="bronze", root=root)
    with pytest.raises(ValueError, match="sequence is 'first'; sequences are numbered"):
        load_cell_tracking("Tiny", "first", root=root)
    with pytest.raises(ValueError, match=r"no cell frames called Tiny/01; the paper's are DIC-C2DH-HeLa/01"):
        cell_frames("Tiny", 1, root=root)


@pytest.mark.parametrize(
    ("name", "sequence", "shape"), [("DIC-C2DH-HeLa", 2, (9, 512, 512)), ("PhC-C2DH-U373", "01", (15, 520, 696))]
)
def test_cell_frames_are_synthetic_where_absent(tmp_path, name, sequence, shape):
    data = cell_frames(name, sequence, root=tmp_path)
    assert data.images.shape == data.labels.shape == shape
    assert not data.is_real
    assert "python -m unet_paper fetch" in data.source


@needs_sequences
@pytest.mark.parametrize("name", ["dic-hela", "phc-u373"])
def test_real_pixels(name):
    entry = read_registry()[name]
    verify_pixels(REAL / entry["folder"], entry["sha256"])


@needs_sequences
def test_frame_67_has_3_of_18_cells():
    """The best known partial annotation: the rest of the cells must not count as background."""
    gold = cell_frames("DIC-C2DH-HeLa", 1, root=REAL)
    markers = load_cell_tracking("DIC-C2DH-HeLa", 1, annotation="markers", frames=[67], root=REAL).labels[0]
    labels = gold.labels[gold.frames.index(67)]
    assert np.unique(labels[labels > 0]).size == 3
    assert np.unique(markers[markers > 0]).size == 18
    seen = [index for index in np.unique(markers[markers > 0]) if (labels[markers == index] != 0).any()]
    assert len(seen) == 18


@needs_sequences
def test_all_34_gold_frames():
    assert sum(len(cell_frames("PhC-C2DH-U373", sequence, root=REAL)) for sequence in (1, 2)) == 34
    assert sum(len(cell_frames("DIC-C2DH-HeLa", sequence, root=REAL)) for sequence in (1, 2)) == 18
