"""What long runs may add to the paper's recipe: each does what it says, and all of it is off in `PAPER`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.tiny import CONFIG, bright_squares, same_numbers, tiny_net
from unet_paper.augmentation import Augmentation, displacement_field, elastic_std_of
from unet_paper.predict import predict_probability
from unet_paper.training import PAPER, SHORT_RUN, TrainConfig, train
from unet_paper.training.config import at_scale, learning_rate_at, tile_at
from unet_paper.training.tiles import augmentation_of, input_scales, prepare_tiles

PLAIN = replace(CONFIG, momentum=0.0, warmup_steps=0, schedule="constant")
OFF = {"late_tile": 0, "late_steps": 0, "elastic_strain": 0.0, "scaling": 0.0, "standardise_each": False}
OFF |= {"average": 0.0, "fused": False, "standardise": False}


def prepared(data, config):
    return prepare_tiles(data, config, weights=None, border=tiny_net().border, device=torch.device("cpu"))


def test_the_paper_knows_none_of_them():
    assert {name: getattr(PAPER, name) for name in OFF} == OFF


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"elastic_strain": 0.065}, "elastic_strain is 0.065; needs elastic_std 0, which is 10.0"),
        ({"late_steps": 5}, "late_steps is 5; needs .* together with late_tile, which is 0"),
        ({"late_tile": 572}, "late_steps is 0; needs .* together with late_tile, which is 572"),
        ({"late_tile": 572, "late_steps": 30_000}, "late_steps is 30000; needs 0 .. 20000"),
        ({"standardise": True, "standardise_each": True}, "standardise_each is True; needs standardise off"),
        ({"scaling": 1.0}, r"scaling is 1.0; needs a share in \[0, 1\)"),
        ({"average": 1.0}, r"average is 1.0; needs a decay in \[0, 1\)"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        replace(PAPER, **settings)


# Elastic strength as strain ----------------------------------------------------------------------------------------


def test_the_papers_10_px_on_572_are_a_strain_of_6_and_a_half_percent():
    assert elastic_std_of(0.065, 572) == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("tile", [188, 316])
def test_drawn_deformations_change_areas_by_the_strain(tile):
    config = replace(PAPER, tile=tile, elastic_std=0.0, elastic_strain=0.065)
    draws = augmentation_of(config, tile).draw(300, generator=torch.Generator().manual_seed(0))
    field = displacement_field(draws.vectors, (tile, tile)).numpy()  # (B, 2, H, W): down, right
    strain = np.gradient(field[:, 0], axis=1) + np.gradient(field[:, 1], axis=2)  # change of area, first order
    assert strain.std() == pytest.approx(0.065, rel=0.03)


def test_late_tiles_are_strained_as_much_as_the_first():
    config = replace(PAPER, tile=188, late_tile=572, late_steps=10, elastic_std=0.0, elastic_strain=0.065)
    small, large = (augmentation_of(config, tile_at(config, step)).elastic_std for step in (0, config.steps - 1))
    assert large / small == pytest.approx(572 / 188, rel=0.01)


# Random scaling ----------------------------------------------------------------------------------------------------


def test_zoom_lies_between_both_bounds_and_is_even_in_its_logarithm():
    zoom = Augmentation(scaling=0.25).draw(20_000, generator=torch.Generator().manual_seed(0)).zoom
    assert 0.8 <= zoom.min() < 0.805
    assert 1.245 < zoom.max() <= 1.25
    assert zoom.log().mean().item() == pytest.approx(0, abs=0.005)


def test_scaling_changes_no_other_draw():
    without, with_it = (
        Augmentation(scaling=scaling).draw(7, generator=torch.Generator().manual_seed(3)) for scaling in (0.0, 0.25)
    )
    for name in ("vectors", "position", "flip", "angle", "grey"):
        assert torch.equal(getattr(without, name), getattr(with_it, name))
    assert torch.equal(without.zoom, torch.ones(7))


def test_a_disc_grows_about_the_centre_by_the_zoom_that_was_drawn():
    side = 201
    y, x = np.mgrid[:side, :side] - side // 2
    disc = torch.from_numpy((np.hypot(y, x) < 40).astype(np.int32))[None]
    triple = (disc[:, None].float(), disc, torch.ones(1, side, side))
    scaled = Augmentation(shift=0, rotation=0, grey_value=0, elastic_std=0, scaling=0.5)
    for seed in range(4):
        zoom = float(scaled.draw(1, generator=torch.Generator().manual_seed(seed)).zoom)
        _, labels, _ = scaled(*triple, generator=torch.Generator().manual_seed(seed))
        assert int(labels.sum()) == pytest.approx(np.pi * (40 * zoom) ** 2, rel=0.02)
        assert np.argwhere(labels[0].numpy()).mean(axis=0) == pytest.approx([100, 100], abs=0.6)


# Tiles of two sizes, an average of the weights, a fused update -----------------------------------------------------


@given(steps=st.integers(1, 50), late=st.integers(0, 50))
@settings(deadline=None)
def test_the_last_steps_take_late_tiles(steps, late):
    late = min(late, steps)
    config = replace(PAPER, steps=steps, tile=188, late_tile=204 if late else 0, late_steps=late)
    assert [tile_at(config, step) for step in range(steps)] == [188] * (steps - late) + [204] * late


def test_a_run_takes_late_tiles_and_refuses_illegal_ones_before_it_starts():
    config = replace(CONFIG, steps=3, late_tile=48, late_steps=1)
    tiles = prepared(bright_squares(), config)
    assert [tiles.batch(step, range(1))[0].shape[-1] for step in range(3)] == [32, 32, 48]
    assert len(train(tiny_net(), bright_squares(), config, progress=False).loss) == 3
    with pytest.raises(ValueError, match=r"config.late_tile does not fit the network: .*47"):
        train(tiny_net(), bright_squares(), replace(config, late_tile=47), progress=False)


def weights_after(steps: int, config: TrainConfig = PLAIN):
    net = tiny_net()
    train(net, bright_squares(), replace(config, steps=steps), progress=False)
    return net.state_dict()


def test_the_average_of_the_weights_is_the_running_one():
    one, two, three = (weights_after(steps) for steps in (1, 2, 3))
    averaged = weights_after(3, replace(PLAIN, average=0.75))
    for name, value in averaged.items():  # the first weights start it, each later step counts a quarter
        expected = 0.75 * (0.75 * one[name] + 0.25 * two[name]) + 0.25 * three[name]
        torch.testing.assert_close(value, expected)


def test_validation_measures_the_averaged_weights():
    config, data = replace(PLAIN, average=0.5, steps=6, validate_every=0), bright_squares()
    net = tiny_net()
    (entry,) = train(net, data, config, validation=data, progress=False).validation
    cell = np.stack([predict_probability(net, image, progress=False)[1] for image in data.images])
    assert entry.pixel_error == ((cell > entry.threshold) != (data.labels > 0)).mean()


def test_a_process_without_an_image_to_measure_has_no_scales():
    mean, deviation = input_scales(np.empty((0, 8, 8), dtype=np.float32), replace(CONFIG, standardise_each=True))
    assert mean.shape == deviation.shape == (0,)


def test_an_averaged_run_resumes_bit_for_bit(tmp_path):
    config = replace(PLAIN, average=0.9, steps=8, checkpoint_every=4)
    whole, resumed = tiny_net(), tiny_net(seed=5)
    train(whole, bright_squares(), config, progress=False)
    train(tiny_net(), bright_squares(), replace(config, steps=4), checkpoint=tmp_path / "c", progress=False)
    train(resumed, bright_squares(), config, checkpoint=tmp_path / "c", resume=True, progress=False)
    assert same_numbers(whole, resumed)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_fused_update_is_the_same_update(optimiser):
    config = replace(PLAIN, optimiser=optimiser, momentum=0.9)
    plain, fused = weights_after(10, config), weights_after(10, replace(config, fused=True))
    for name, value in fused.items():
        torch.testing.assert_close(value, plain[name], rtol=1e-3, atol=1e-5)


# Grey values and scale ---------------------------------------------------------------------------------------------


def test_each_image_standardised_makes_brightness_and_contrast_irrelevant():
    config = replace(PLAIN, steps=5, standardise_each=True, grey_value=0.0, elastic_std=0.0, rotation=0.0)
    data = bright_squares()
    darker = replace(data, images=(0.1 + 0.4 * data.images).astype(np.float32))
    one, other = tiny_net(), tiny_net()
    losses = [train(net, given, config, progress=False).loss for net, given in ((one, data), (other, darker))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    maps = [
        predict_probability(net, given.images[0], standardise=True, progress=False)
        for net, given in ((one, data), (other, darker))
    ]
    np.testing.assert_allclose(*maps, atol=1e-3)


def test_tiles_of_each_image_have_its_own_mean_removed():
    data = bright_squares()
    tiles = prepared(data, replace(CONFIG, standardise_each=True))
    np.testing.assert_allclose(tiles.mean, [image.mean(dtype=np.float64) for image in data.images])
    np.testing.assert_allclose(tiles.deviation, [image.std(dtype=np.float64) for image in data.images])


def test_half_the_scale_is_half_the_sigma_and_half_the_displacement():
    half = at_scale(PAPER, 0.5)
    assert (half.sigma, half.elastic_std, half.tile, half.w0) == (2.5, 5.0, 572, 10.0)
    assert at_scale(PAPER, 1.0) == PAPER
    with pytest.raises(ValueError, match="scale is 0"):
        at_scale(PAPER, 0)


def test_half_a_cosine_ends_at_0():
    config = replace(SHORT_RUN, steps=1000)
    assert learning_rate_at(config, 999) < 1e-5 * config.learning_rate


def test_the_history_is_reported_as_the_run_goes_on():
    seen = []
    config = replace(CONFIG, steps=25)
    train(tiny_net(), bright_squares(), config, on_report=lambda h: seen.append(len(h.loss)), progress=False)
    assert seen == [10, 20, 25]
