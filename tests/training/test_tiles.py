"""Tiles: which image, which target, which weight, and that they follow from seed, step and number alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.tiny import CONFIG, bright_squares
from unet_paper.arrays import IGNORE
from unet_paper.training.tiles import constant_energy, generator_for, prepare_tiles, separated_objects
from unet_paper.weight_maps import weight_map


def prepared(data, config=CONFIG, weights=None):
    return prepare_tiles(data, config, weights=weights, border=8, device=torch.device("cpu"))


def test_a_semantic_annotation_falls_into_4_connected_objects():
    labels = np.array([[[1, 0, 1], [0, 1, 1], [1, IGNORE, 0]]], dtype=np.int32)  # diagonal neighbours stay apart
    objects = separated_objects(labels)
    assert len(np.unique(objects[labels == 1])) == 3
    assert objects[0, 0, 2] == objects[0, 1, 1]
    np.testing.assert_array_equal(objects[labels != 1], labels[labels != 1])


def test_a_mask_of_0_and_255_falls_into_patches_like_one_of_0_and_1():
    """So that the border term of Eq. 2, which needs two cells, acts between the patches."""
    squares = bright_squares()
    masks = replace(squares, labels=255 * squares.labels)
    assert (prepared(masks).weights == prepared(squares).weights).all()
    assert prepared(masks).weights.max() > prepared(masks, replace(CONFIG, w0=0.0)).weights.max()


def test_a_cell_that_is_alone_in_its_image_stays_one_cell_where_others_are_named():
    labels = np.array([[[1, 0, 1]], [[1, 0, 2]]], dtype=np.int32)
    np.testing.assert_array_equal(separated_objects(labels), labels)


def test_named_cells_that_touch_get_a_border_of_background():
    labels = np.repeat([[1, 1, 1, 2, 2, 2]], 6, axis=0)[None].astype(np.int32)
    objects = separated_objects(labels)
    gap = (labels > 0) & (objects == 0)
    assert gap.any()
    np.testing.assert_array_equal(objects[~gap], labels[~gap])


def test_targets_are_classes_and_weights_are_equation_2():
    data = bright_squares(1)
    data.labels[0, 0, 0] = IGNORE
    tiles = prepared(data)
    np.testing.assert_array_equal(tiles.targets[0], data.labels[0])
    np.testing.assert_array_equal(tiles.weights[0], weight_map(separated_objects(data.labels)[0]))
    assert tiles.weights[0, 0, 0] == 0


def test_given_weights_replace_equation_2_but_ignored_pixels_stay_ignored():
    data = bright_squares(1)
    data.labels[0, 0, 0] = IGNORE
    tiles = prepared(data, weights=np.full((1, 40, 40), 3.0))
    assert tiles.weights[0, 0, 0] == 0
    assert (tiles.weights[0, 1:] == 3).all()


def test_weights_that_are_no_number_on_ignored_pixels_count_for_nothing():
    data = bright_squares(1)
    data.labels[0, :5] = IGNORE
    weights = np.full((1, 40, 40), 3.0)
    weights[0, :5] = np.nan
    assert (prepared(data, weights=weights).weights[0] == torch.where(torch.arange(40) < 5, 0.0, 3.0)[:, None]).all()
    weights[0, 7, 7] = np.nan
    with pytest.raises(ValueError, match="weights holds 1 NaN"):
        prepared(data, weights=weights)


@pytest.mark.parametrize(("value", "missing"), [(0, "cell"), (1, "background")])
def test_an_annotation_of_one_class_is_refused(value, missing):
    data = bright_squares()
    data.labels[:] = value
    data.labels[0, 0, 0] = IGNORE
    with pytest.raises(ValueError, match=rf"'squares' has no pixel of {missing} .* in any of its 3 images; check"):
        prepared(data)


def test_a_tile_carries_the_context_that_the_network_consumes():
    image, target, weight = prepared(bright_squares()).batch(0, range(2))
    assert image.shape == (2, 1, 32, 32)
    assert target.shape == weight.shape == (2, 16, 16)
    assert target.dtype == torch.int64


def test_an_undeformed_tile_shows_target_and_image_at_the_same_place():
    config = replace(CONFIG, elastic_std=0.0, rotation=0.0, grey_value=0.0)  # shifts, flips and quarter turns remain
    image, target, _ = prepared(bright_squares(), config).batch(0, range(8))
    centre = image[:, 0, 8:-8, 8:-8]
    torch.testing.assert_close((centre > 0.45).long(), target)


def test_tiles_follow_from_seed_step_and_number_alone():
    tiles = prepared(bright_squares())
    (both, *_), (second, *_) = tiles.batch(3, range(2)), tiles.batch(3, range(1, 2))
    assert torch.equal(both[1:], second)
    assert not torch.equal(both[:1], second)
    assert not torch.equal(tiles.batch(4, range(1, 2))[0], second)


def test_streams_of_neighbouring_steps_differ():
    draws = {float(torch.rand((), generator=generator_for(0, step, tile))) for step in range(20) for tile in range(5)}
    assert len(draws) == 100


def test_standardising_uses_one_mean_and_one_deviation_for_all_images():
    data = bright_squares()
    tiles = prepared(data, replace(CONFIG, standardise=True))
    assert set(tiles.mean) == {data.images.mean(dtype=np.float64)}
    assert set(tiles.deviation) == {data.images.std(dtype=np.float64)}


def test_the_best_constant_map_weighs_the_classes():
    target = np.array([1, 1, 1, 0, IGNORE])
    # p = 3/4: -(3 log 3/4 + log 1/4) / 4 annotated pixels
    assert constant_energy(target, np.ones(5)) == pytest.approx(-(3 * np.log(0.75) + np.log(0.25)) / 4)
    assert constant_energy(target, np.array([1, 1, 1, 3, 9.0])) == pytest.approx(6 * np.log(2) / 4)  # balanced: p = 1/2
    assert constant_energy(np.ones(3), np.ones(3)) == 0
