"""The ISBI 2012 sections, and what is said when they are incomplete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.datasets.small import tiff_bytes
from tests.real_data import REAL, needs_sections
from unet_paper.datasets import em_sections, load_isbi2012
from unet_paper.datasets.fetching import read_registry, verify_pixels
from unet_paper.datasets.folders import data_roots

SHAPE = (30, 512, 512)


@pytest.fixture(scope="module")
def volume():
    return np.random.default_rng(2).integers(0, 256, SHAPE, dtype=np.uint8)


@pytest.fixture
def root(tmp_path, volume):
    """Return a data folder with training sections of noise; a mask of 0 and 255."""
    (tmp_path / "isbi2012").mkdir()
    write(tmp_path, "train-volume.tif", volume)
    write(tmp_path, "train-labels.tif", np.where(volume > 60, 255, 0).astype(np.uint8))
    return tmp_path


def write(root, name, pixels):
    (root / "isbi2012" / name).write_bytes(tiff_bytes(pixels))


def test_training_sections(root, volume):
    data = load_isbi2012("train", root=root)
    assert data.images.shape == data.labels.shape == SHAPE
    assert (data.images.dtype, data.labels.dtype) == (np.float32, np.int32)
    np.testing.assert_array_equal(data.images, volume.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(data.labels, volume > 60)
    assert data.frames == tuple(range(30))
    assert data.is_real
    assert data.source.startswith("Real data: the 30 train sections")


def test_masks_of_0_and_1_mean_the_same(root, volume):
    write(root, "train-labels.tif", (volume > 60).astype(np.uint8))
    np.testing.assert_array_equal(load_isbi2012(root=root).labels, volume > 60)


def test_test_sections_have_no_labels(root, volume):
    write(root, "test-volume.tif", volume)
    assert load_isbi2012("test", root=root).labels is None


def test_unknown_split(root):
    with pytest.raises(ValueError, match=r"split is 'val'; choose \"train\" \(with labels\) or \"test\""):
        load_isbi2012("val", root=root)


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder isbi2012 in .*; run: python -m unet_paper fetch isbi2012"):
        load_isbi2012(root=tmp_path)


def test_missing_files_are_listed(root):
    (root / "isbi2012" / "train-labels.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"isbi2012 lacks train-labels.tif; run"):
        load_isbi2012(root=root)
    with pytest.raises(FileNotFoundError, match=r"isbi2012 lacks test-volume.tif; run"):
        load_isbi2012("test", root=root)


def test_truncated_file(root):
    path = root / "isbi2012" / "train-volume.tif"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"train-volume.tif cannot be read as TIFF .*; run: python -m unet_paper"):
        load_isbi2012(root=root)


def test_wrong_size(root, volume):
    write(root, "train-volume.tif", volume[:, :300])
    with pytest.raises(ValueError, match=r"shape \(30, 300, 512\); the challenge has \(30, 512, 512\)"):
        load_isbi2012(root=root)


def test_labels_that_are_no_mask(root, volume):
    write(root, "train-labels.tif", volume)
    with pytest.raises(ValueError, match="holds 256 grey values; a mask has two"):
        load_isbi2012(root=root)


def test_damaged_data_are_never_replaced_by_synthetic_ones(root):
    (root / "isbi2012" / "train-labels.tif").unlink()
    with pytest.raises(FileNotFoundError, match="lacks"):
        em_sections(root=root)


def test_em_sections_are_real_where_present(root):
    assert em_sections(root=root).is_real


def test_em_sections_are_synthetic_where_absent(tmp_path):
    data = em_sections(root=tmp_path)
    assert data.images.shape == data.labels.shape == SHAPE
    assert not data.is_real
    assert data.source.startswith("Synthetic data")
    assert data.source.endswith("run: python -m unet_paper fetch isbi2012")


def test_order_of_the_data_folders(monkeypatch, tmp_path):
    repository = Path(__file__).parents[2] / "data"
    monkeypatch.delenv("UNET_PAPER_DATA", raising=False)
    assert data_roots() == [repository]
    monkeypatch.setenv("UNET_PAPER_DATA", str(tmp_path))
    assert data_roots() == [tmp_path, repository]
    assert data_roots("elsewhere") == [Path("elsewhere")]


@needs_sections
def test_real_pixels():
    verify_pixels(REAL / "isbi2012", read_registry()["isbi2012"])


@needs_sections
def test_real_membranes_are_22_percent():
    labels = load_isbi2012(root=REAL).labels
    assert np.mean(labels == 0) == pytest.approx(0.22, abs=0.005)
