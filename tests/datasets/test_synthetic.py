"""Generated pictures: reproducible, plausible in numbers, and hard for a grey threshold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from unet_paper.datasets import synthetic_cells, synthetic_em, synthetic_sequence
from unet_paper.datasets.noise import smooth_noise


@pytest.fixture(scope="module")
def sections():
    return synthetic_em(6, 256)


@pytest.fixture(scope="module", params=["dic", "phase"])
def cells(request):
    return synthetic_cells(3, (256, 320), style=request.param)


def test_form_of_the_sections(sections):
    assert sections.images.shape == sections.labels.shape == (6, 256, 256)
    assert (sections.images.dtype, sections.labels.dtype) == (np.float32, np.int32)
    assert 0 <= sections.images.min() < sections.images.max() <= 1
    assert np.unique(sections.labels).tolist() == [0, 1]
    assert not sections.is_real
    assert sections.source.startswith("Synthetic data")


def test_share_of_membrane_is_that_of_the_tissue(sections):
    assert 0.19 < np.mean(sections.labels == 0) < 0.28


def test_membranes_are_dark_yet_no_threshold_finds_them(sections):
    cell = sections.labels == 1
    assert sections.images[cell].mean() > sections.images[~cell].mean() + 0.1
    smooth = ndimage.gaussian_filter(sections.images, (0, 1.5, 1.5))
    errors = [np.mean((smooth > level) != cell) for level in np.linspace(0, 1, 41)]
    assert min(errors) > 0.14  # real sections: 0.17; calling everything a cell: the share of membrane


def test_neighbouring_sections_are_alike(sections):
    membrane = (sections.labels == 0).reshape(6, -1).astype(float)
    near = np.mean([np.corrcoef(membrane[z], membrane[z + 1])[0, 1] for z in range(5)])
    assert near > 0.15
    assert near > np.corrcoef(membrane[0], membrane[5])[0, 1] + 0.1


def test_form_of_the_cells(cells):
    assert cells.images.shape == cells.labels.shape == (3, 256, 320)
    assert (cells.images.dtype, cells.labels.dtype) == (np.float32, np.int32)
    assert 0 <= cells.images.min() < cells.images.max() <= 1


def test_every_cell_has_a_number_and_is_in_one_piece(cells):
    for labels in cells.labels:
        numbers = np.unique(labels)
        assert numbers.tolist() == list(range(len(numbers)))
        assert len(numbers) > 1
        assert all(ndimage.label(labels == number)[1] == 1 for number in numbers[1:])


def test_some_cells_touch():
    labels = synthetic_cells(1, 512).labels[0]
    left, right = labels[:, :-1], labels[:, 1:]
    assert np.count_nonzero((left > 0) & (right > 0) & (left != right)) > 20


def test_same_seed_same_pictures():
    for make in (synthetic_em, synthetic_cells):
        first, second, other = (make(2, 64, generator=np.random.default_rng(seed)) for seed in (5, 5, 6))
        np.testing.assert_array_equal(first.images, second.images)
        np.testing.assert_array_equal(first.labels, second.labels)
        assert not np.array_equal(first.images, other.images)


@pytest.mark.parametrize("size", [32, (33, 71), (100, 64)])
def test_any_size(size):
    height, width = (size, size) if isinstance(size, int) else size
    for make in (synthetic_em, synthetic_cells):
        assert make(1, size).images.shape == (1, height, width)


@pytest.mark.parametrize("make", [synthetic_em, synthetic_cells])
def test_impossible_requests(make):
    with pytest.raises(ValueError, match="count is 0; generate at least 1"):
        make(0, 64)
    with pytest.raises(ValueError, match="size is 16; synthetic pictures need at least 32 px"):
        make(1, 16)


def test_unknown_style():
    with pytest.raises(ValueError, match="style is 'neon'; choose one of 'dic', 'phase'"):
        synthetic_cells(1, 64, style="neon")


def test_smooth_noise_has_mean_0_and_variance_1_everywhere():
    generator = np.random.default_rng(7)
    fields = np.stack([smooth_noise((20, 13), (6.0, 2.5), generator=generator) for _ in range(4000)])
    assert np.abs(fields.mean(axis=0)).max() < 0.08  # 5 standard errors, 1 / sqrt(4000) each
    assert np.abs(fields.var(axis=0) - 1).max() < 0.12


def test_smooth_noise_is_smooth():
    field = smooth_noise((200,), 20.0, generator=np.random.default_rng(8))
    assert np.abs(np.diff(field)).max() < 0.25  # white noise jumps by more than 1


def test_a_sequence_glides_so_that_every_cell_moves_alike_and_keeps_its_number():
    sequence = synthetic_sequence(3, side=96, step=4, generator=np.random.default_rng(0))
    assert sequence.images.shape == sequence.labels.shape == (3, 96, 96)
    np.testing.assert_array_equal(sequence.labels[0, 4:, 4:], sequence.labels[1, :-4, :-4])
    np.testing.assert_array_equal(sequence.images[0, 8:, 8:], sequence.images[2, :-8, :-8])
    assert sequence.frames == (0, 1, 2)
