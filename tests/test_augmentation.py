"""Section 3.1: what a random deformation may do to an image, its labels and its weights, and what it may not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unet_paper.arrays import IGNORE
from unet_paper.augmentation import (
    Augmentation,
    control_shares,
    displacement_field,
    mirrored,
    nearest_pixels,
    read_between_pixels,
    read_pixels,
    rigid_positions,
    vary_grey_values,
)

NOTHING = {"shift": 0, "rotation": 0.0, "grey_value": 0.0, "elastic_std": 0.0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_triple(height: int = 40, width: int = 52, *, batch: int = 2):
    images = torch.rand(batch, 1, height, width, generator=generator(1))
    labels = torch.randint(IGNORE, 7, (batch, height, width), generator=generator(2), dtype=torch.int32)
    weights = torch.rand(batch, height, width, generator=generator(3))
    return images, labels, weights


def numbered_triple(height: int, width: int):
    """Two-channel image of each pixel's row and column over 1000; the label is the pixel's number."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    number = row * width + column
    return torch.stack([row, column])[None] / 1000, number[None].int(), number[None].sqrt()


# No deformation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "nearest"])
@pytest.mark.parametrize(("height", "width"), [(40, 52), (513, 7), (3, 3)])
def test_without_amplitudes_nothing_changes_bit_for_bit(height, width, interpolation):
    triple = random_triple(height, width)
    result = Augmentation(**NOTHING, image_interpolation=interpolation)(*triple, generator=generator())
    assert all(torch.equal(after, before) for after, before in zip(result, triple, strict=True))


def test_shift_alone_moves_whole_pixels_and_mirrors_without_repeating_the_edge():
    images, labels, weights = numbered_triple(20, 30)
    moved = Augmentation(**NOTHING | {"shift": 8})(images, labels, weights, generator=generator(5))
    top, left = divmod(int(moved[1][0, 10, 15]), 30)
    top, left = top - 10, left - 15
    assert (top, left) != (0, 0)
    frame = np.pad(labels[0], 8, mode="reflect")
    np.testing.assert_array_equal(moved[1][0], frame[8 + top : 28 + top, 8 + left : 38 + left])
    frame = np.pad(images[0], ((0, 0), (8, 8), (8, 8)), mode="reflect")
    np.testing.assert_array_equal(moved[0][0], frame[:, 8 + top : 28 + top, 8 + left : 38 + left])


# Elastic deformation -----------------------------------------------------------------------------------------------


def test_displacement_at_the_control_points_is_the_sample():
    vectors = 10 * torch.randn(4, 2, 3, 3, generator=generator())
    field = displacement_field(vectors, (513, 389))  # odd sides: all nine control points are pixels
    torch.testing.assert_close(field[..., ::256, ::194], vectors, rtol=0, atol=1e-4)


def test_displacement_between_control_points_is_keys_cubic_convolution():
    vectors = torch.zeros(1, 2, 3, 3)
    vectors[0, 0, :, 0] = torch.tensor([8.0, 16.0, -8.0])  # down the left edge
    field = displacement_field(vectors, (5, 5))
    # halfway, a = -0.75 weighs four neighbours by -3/32, 19/32, 19/32, -3/32; the outermost one is repeated
    halfway = [(-3 * 8 + 19 * 8 + 19 * 16 + 3 * 8) / 32, (-3 * 8 + 19 * 16 - 19 * 8 + 3 * 8) / 32]
    torch.testing.assert_close(field[0, 0, :, 0], torch.tensor([8, halfway[0], 16, halfway[1], -8]))
    assert (field[0, 1] == 0).all()


def test_equal_vectors_displace_everything_equally():
    vectors = torch.tensor([3.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    field = displacement_field(vectors, (50, 61))
    torch.testing.assert_close(field, torch.tensor([3.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 50, 61))


def test_a_field_is_a_product_of_the_shares_of_rows_and_columns_with_the_vectors():
    vectors = torch.randn(1, 2, 3, 4, generator=generator(), dtype=torch.float64)
    rows, columns = control_shares(3, 17), control_shares(4, 23)
    torch.testing.assert_close(rows @ vectors @ columns.T, displacement_field(vectors, (17, 23)))
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(17, dtype=torch.float64))


def test_displacement_vectors_have_mean_0_and_standard_deviation_10_px():
    vectors = Augmentation().draw(4000, generator=generator()).vectors  # 72,000 numbers
    assert vectors.shape == (4000, 2, 3, 3)
    assert vectors.mean().item() == pytest.approx(0, abs=0.15)  # four standard errors
    assert vectors.std().item() == pytest.approx(10, abs=0.11)


def test_draws_are_uniform_where_stated():
    draws = Augmentation(rotation=90, grey_value=0.2, flips=True).draw(20000, generator=generator())
    assert draws.angle.min() >= -math.pi / 2
    assert draws.angle.max() < math.pi / 2
    assert draws.angle.std().item() == pytest.approx(math.pi / math.sqrt(12), rel=0.02)
    assert draws.grey.abs().max() <= 0.2
    assert draws.flip.unique().tolist() == [-1, 1]
    assert draws.flip.mean(0).tolist() == pytest.approx([0, 0], abs=0.03)


# Rotation and flips ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_quarter_turn_is_exact_and_counter_clockwise(quarters):
    _, labels, _ = numbered_triple(21, 21)
    angle = torch.tensor([quarters * math.pi / 2])
    source = mirrored(rigid_positions(torch.zeros(1, 2), angle, torch.ones(1, 2), (21, 21)), (21, 21))
    assert torch.equal(
        read_pixels(labels, nearest_pixels(source, labels.shape[2])), labels.rot90(quarters, dims=(1, 2))
    )


def test_flips_mirror_each_axis():
    _, labels, _ = numbered_triple(6, 9)
    for flip, dims in (((-1, 1), [1]), ((1, -1), [2]), ((-1, -1), [1, 2])):
        source = rigid_positions(torch.zeros(1, 2), torch.zeros(1), torch.tensor([flip]), (6, 9))
        assert torch.equal(read_pixels(labels, nearest_pixels(source, labels.shape[2])), labels.flip(dims))


def test_distances_survive_rotation():
    positions = rigid_positions(torch.zeros(1, 2), torch.tensor([0.7]), torch.ones(1, 2), (30, 40))[0]
    assert torch.dist(positions[:, 0, 0], positions[:, 29, 39]).item() == pytest.approx(math.hypot(29, 39), rel=1e-5)


# Reading -----------------------------------------------------------------------------------------------------------


def test_mirroring_folds_as_often_as_needed():
    positions = torch.arange(-20.0, 21.0).view(1, 1, 1, -1).expand(1, 2, 1, -1)
    expected = np.pad(np.arange(5), 20, mode="reflect")[:41]
    np.testing.assert_array_equal(mirrored(positions, (5, 5))[0, 0, 0], expected)


def test_bilinear_reading_equals_scipy():
    image = torch.rand(1, 1, 33, 47, generator=generator(1))
    source = 140 * torch.rand(1, 2, 20, 20, generator=generator(2)) - 50  # far beyond the edges
    ours = read_between_pixels(image, mirrored(source, (33, 47)), interpolation="bilinear")
    theirs = ndimage.map_coordinates(image[0, 0].double(), source[0].double(), order=1, mode="mirror")
    np.testing.assert_allclose(ours[0, 0], theirs, atol=1e-4)


def keys(distance: float, a: float = -0.75) -> float:
    """Keys' cubic convolution kernel."""
    t = abs(distance)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    return near if t <= 1 else a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def test_bicubic_reading_is_keys_kernel_on_the_mirrored_image():
    image = 0.3 + 0.3 * torch.rand(1, 1, 9, 12, generator=generator(1))  # far from 0 and 1: nothing is clipped
    source = torch.rand(1, 2, 5, 6, generator=generator(2)) * torch.tensor([8.0, 11.0]).view(1, 2, 1, 1)
    frame = np.pad(image[0, 0].double(), 3, mode="reflect")
    rows, columns = np.indices(frame.shape) - 3

    def read(y, x):
        kernel = np.vectorize(keys)(rows - y) * np.vectorize(keys)(columns - x)
        return (kernel * frame).sum()

    expected = np.vectorize(read)(*source[0].double().numpy())
    np.testing.assert_allclose(read_between_pixels(image, source)[0, 0], expected, atol=1e-5)


def test_bicubic_overshoot_is_clipped():
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:] = 1
    source = rigid_positions(torch.full((1, 2), 0.5), torch.zeros(1), torch.ones(1, 2), (15, 15))
    read = read_between_pixels(image, source)
    assert (read.min(), read.max()) == (0, 1)


# All together ------------------------------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_labels_stay_labels_and_images_stay_in_range(seed):
    images, labels, weights = random_triple()
    new_images, new_labels, new_weights = Augmentation(flips=True)(images, labels, weights, generator=generator(seed))
    assert (new_images.shape, new_labels.shape, new_weights.shape) == (images.shape, labels.shape, weights.shape)
    assert (new_images.dtype, new_labels.dtype, new_weights.dtype) == (images.dtype, labels.dtype, weights.dtype)
    assert set(new_labels.unique().tolist()) <= set(labels.unique().tolist())
    assert new_images.min() >= 0
    assert new_images.max() <= 1


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_image_and_labels_stay_aligned(seed):
    """The image holds each pixel's own row and column: the deformed one must agree with the deformed labels."""
    triple = numbered_triple(60, 70)
    augmentation = Augmentation(flips=True, grey_value=0, elastic_std=5, image_interpolation="bilinear")
    image, labels, _ = augmentation(*triple, generator=generator(seed))
    read = 1000 * image[0]  # (2, 60, 70) px, between pixels
    nearest = torch.stack([labels[0] // 70, labels[0] % 70])
    assert (read - nearest).abs().max() <= 0.5 + 1e-3


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_weights_travel_with_their_labels(seed):
    triple = numbered_triple(40, 50)
    _, labels, weights = Augmentation()(*triple, generator=generator(seed))
    assert torch.equal(weights, labels.sqrt())


def test_each_image_of_a_batch_is_deformed_in_its_own_way():
    images, labels, weights = (tensor[:1].expand(2, *tensor.shape[1:]) for tensor in random_triple())
    result = Augmentation()(images, labels, weights, generator=generator())
    assert not any(torch.equal(tensor[0], tensor[1]) for tensor in result)


def test_a_batch_of_one_equals_its_place_in_a_larger_batch():
    triple = random_triple(batch=3)
    augmentation = Augmentation()
    draws = augmentation.draw(3, generator=generator())
    whole = augmentation(*triple, generator=generator())
    source = rigid_positions(
        torch.round(20 * (2 * draws.position[1:2] - 1)), draws.angle[1:2], draws.flip[1:2], triple[0].shape[2:]
    ) + displacement_field(draws.vectors[1:2], triple[0].shape[2:])
    source = mirrored(source, triple[0].shape[2:])
    assert torch.equal(whole[1][1:2], read_pixels(triple[1][1:2], nearest_pixels(source, 52)))
    expected = vary_grey_values(read_between_pixels(triple[0][1:2], source), draws.grey[1:2])
    torch.testing.assert_close(whole[0][1:2], expected)


# Tiles -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width", "tile", "border"), [(60, 70, 44, 12), (30, 40, 80, 30), (3, 5, 60, 20)])
def test_an_undeformed_tile_is_a_window_of_the_mirrored_image(height, width, tile, border):
    images, labels, weights = numbered_triple(height, width)
    for seed in range(5):
        image, inner, _ = Augmentation(**NOTHING).sample(
            images, labels, weights, tile=tile, border=border, generator=generator(seed)
        )
        side = tile - 2 * border
        assert image.shape == (1, 2, tile, tile)
        assert inner.shape == (1, side, side)
        # Find the output window in the mirrored labels; the tile begins `border` px above and to the left of it.
        frame = np.pad(labels[0], tile, mode="reflect")[border:-border, border:-border]
        windows = np.lib.stride_tricks.sliding_window_view(frame, (side, side))
        tops, lefts = np.nonzero((windows == inner[0].numpy()).all(axis=(2, 3)))
        frame = np.pad(images[0], ((0, 0), (tile, tile), (tile, tile)), mode="reflect")
        np.testing.assert_array_equal(image[0], frame[:, tops[0] : tops[0] + tile, lefts[0] : lefts[0] + tile])


def test_output_windows_reach_every_position_within_the_image():
    images, labels, weights = numbered_triple(24, 23)
    seen = set()
    for seed in range(200):
        _, inner, _ = Augmentation(**NOTHING).sample(
            images, labels, weights, tile=40, border=10, generator=generator(seed)
        )
        seen.add(int(inner[0, 0, 0]))
    assert seen == {row * 23 + column for row in range(5) for column in range(4)}


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_labels_of_a_tile_belong_to_its_centre(seed):
    augmentation = Augmentation(grey_value=0, elastic_std=5, image_interpolation="bilinear")
    image, labels, weights = augmentation.sample(
        *numbered_triple(60, 70), tile=64, border=14, generator=generator(seed)
    )
    read = 1000 * image[0, :, 14:-14, 14:-14]
    assert (read - torch.stack([labels[0] // 70, labels[0] % 70])).abs().max() <= 0.5 + 1e-3
    assert torch.equal(weights, labels.sqrt())


# Randomness --------------------------------------------------------------------------------------------------------


def test_same_seed_same_result_other_seed_other_result_and_no_global_state():
    triple, before = random_triple(), torch.get_rng_state()
    first, second, other = (Augmentation()(*triple, generator=generator(seed)) for seed in (7, 7, 8))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_switching_one_component_off_leaves_the_other_draws_alone():
    everything = Augmentation(flips=True).draw(3, generator=generator())
    only_elastic = Augmentation(shift=0, rotation=0, grey_value=0).draw(3, generator=generator())
    only_rigid = Augmentation(flips=True, grey_value=0, elastic_std=0).draw(3, generator=generator())
    assert torch.equal(everything.vectors, only_elastic.vectors)
    assert torch.equal(everything.angle, only_rigid.angle)
    assert torch.equal(everything.flip, only_rigid.flip)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU to compare with")
def test_gpu_does_the_same_as_cpu():
    triple = random_triple()
    on_cpu = Augmentation()(*triple, generator=generator())
    on_gpu = Augmentation()(*(tensor.cuda() for tensor in triple), generator=generator())
    torch.testing.assert_close(on_gpu[0].cpu(), on_cpu[0], rtol=0, atol=1e-3)
    assert (on_gpu[1].cpu() == on_cpu[1]).float().mean() > 0.999  # the device may round a tie the other way


# Grey values -------------------------------------------------------------------------------------------------------


def test_grey_values_by_hand():
    images = torch.tensor([0.25, 0.5]).view(1, 1, 1, 2)
    varied = vary_grey_values(images, torch.tensor([[math.log(2), 0.2, 0.1]]))  # gamma 2, contrast 1.2
    expected = [1.2 * (0.0625 - 0.5) + 0.5 + 0.05, 1.2 * (0.25 - 0.5) + 0.5 + 0.05]
    torch.testing.assert_close(varied, torch.tensor(expected).view(1, 1, 1, 2))


def test_grey_values_keep_their_order_and_range():
    ramp = torch.linspace(0, 1, 101).view(1, 1, 1, -1)
    for seed in range(20):
        draws = Augmentation(grey_value=0.5).draw(1, generator=generator(seed))
        varied = vary_grey_values(ramp, draws.grey)
        assert (varied.diff() >= 0).all()
        assert varied.min() >= 0
        assert varied.max() <= 1


# Bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"elastic_std": -1}, "elastic_std is -1"),
        ({"rotation": math.nan}, "rotation is nan"),
        ({"grey_value": 1.0}, "grey_value is 1.0"),
        ({"grid": 1}, "grid is 1"),
        ({"image_interpolation": "cubic"}, "'cubic'; choose one of 'bicubic'"),
    ],
)
def test_refuses_bad_settings(setting, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**setting)


@pytest.mark.parametrize(
    ("place", "wrong", "error", "message"),
    [
        (0, torch.zeros(1, 8, 8), ValueError, r"\(1, 8, 8\); needs \(B, C, H, W\)"),
        (0, torch.zeros(1, 1, 2, 8), ValueError, "sides of 3 px or more"),
        (0, torch.zeros(1, 1, 8, 8, dtype=torch.uint8), TypeError, "images have dtype torch.uint8"),
        (1, torch.zeros(1, 9, 8, dtype=torch.int32), ValueError, r"labels have shape \(1, 9, 8\).*\(1, 8, 8\)"),
        (1, torch.zeros(1, 8, 8), TypeError, "labels have dtype torch.float32"),
        (2, torch.zeros(2, 8, 8), ValueError, r"weights have shape \(2, 8, 8\)"),
        (2, torch.zeros(1, 8, 8, dtype=torch.int32), TypeError, "weights have dtype torch.int32"),
    ],
)
def test_refuses_what_does_not_fit(place, wrong, error, message):
    triple = [torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8, dtype=torch.int32), torch.zeros(1, 8, 8)]
    triple[place] = wrong
    with pytest.raises(error, match=message):
        Augmentation()(*triple, generator=generator())


@pytest.mark.parametrize(("tile", "border"), [(20, 10), (20, -1)])
def test_refuses_a_border_that_leaves_no_output(tile, border):
    with pytest.raises(ValueError, match=f"tile {tile} with border {border} leaves no output"):
        Augmentation().sample(*random_triple(), tile=tile, border=border, generator=generator())
