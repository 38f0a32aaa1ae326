"""The loop of section 3: what it computes, that it repeats itself, and when it stops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax

from tests.training.tiny import CONFIG, bright_squares, same_numbers, tiny_net
from unet_paper.arrays import IGNORE
from unet_paper.baselines import PaddedUNet
from unet_paper.loss import weighted_cross_entropy
from unet_paper.model import UNet
from unet_paper.overlap_tile import scores_of_input
from unet_paper.predict import predict_probability
from unet_paper.training import DivergedError, History, train
from unet_paper.training.held_out import held_out_counts
from unet_paper.training.loop import absorb_input_scale
from unet_paper.training.step import mean_energy
from unet_paper.training.tiles import prepare_tiles

PLAIN = replace(CONFIG, momentum=0.0, warmup_steps=0, steps=1)  # one step of plain gradient descent


def first_tile(data, config, net):
    tiles = prepare_tiles(data, config, weights=None, border=net.border, device=torch.device("cpu"))
    return tiles.batch(0, range(1))


def test_one_step_moves_the_weights_against_the_gradient_of_equation_1():
    net, expected = tiny_net(dropout=0.0), tiny_net(dropout=0.0)
    history = train(net, bright_squares(), PLAIN, progress=False)
    image, target, weight = first_tile(bright_squares(), PLAIN, expected)
    energy = weighted_cross_entropy(expected(image), target, weight)
    energy.backward()
    assert history.loss == [pytest.approx(energy.item(), rel=1e-6)]
    for moved, before in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(moved, before - PLAIN.learning_rate * before.grad)


def test_momentum_adds_up_gradients_as_the_paper_needs():
    config = replace(PLAIN, momentum=0.99, steps=2, learning_rate=1e-6)  # so small that the gradient hardly changes
    still, net = tiny_net(dropout=0.0), tiny_net(dropout=0.0)
    for number in range(2):
        tiles = prepare_tiles(bright_squares(), config, weights=None, border=8, device=torch.device("cpu"))
        image, target, weight = tiles.batch(number, range(1))
        scale = 1.99 if number == 0 else 1.0  # the first gradient counts in both steps: 1 + 0.99
        (scale * weighted_cross_entropy(still(image), target, weight)).backward()
    train(net, bright_squares(), config, progress=False)
    moved, before = net.score.bias.detach(), still.score.bias.detach()
    torch.testing.assert_close((before - moved) / config.learning_rate, still.score.bias.grad, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize(("optimiser", "threads"), [("sgd", 1), ("adam", 1), ("sgd", 2)])
def test_the_same_seed_gives_identical_weights_after_20_steps(optimiser, threads):
    torch.set_num_threads(threads)
    config = replace(CONFIG, optimiser=optimiser)
    one, other, third = tiny_net(), tiny_net(), tiny_net()
    first, second = (train(net, bright_squares(), config, progress=False) for net in (one, other))
    train(third, bright_squares(), replace(config, seed=1), progress=False)
    assert same_numbers(one, other)
    assert first.loss == second.loss
    assert not same_numbers(one, third)


def test_the_callers_random_numbers_are_left_alone():
    net = tiny_net()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(net, bright_squares(), PLAIN, progress=False)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_tiny_network_learns_to_find_bright_squares(precision):
    config = replace(CONFIG, optimiser="adam", learning_rate=0.01, steps=60, precision=precision, elastic_std=0.0)
    net = UNet(base_channels=8, depth=1, dropout=0.0)
    net.reset_parameters(torch.Generator().manual_seed(0))
    data = bright_squares(4)
    history = train(net, data.subset([0, 1, 2]), config, validation=data.subset([3]), progress=False)
    assert [entry.step for entry in history.validation] == list(range(5, 61, 5))
    assert history.validation[-1].pixel_error < 0.05 < np.mean(data.labels[3] > 0)
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())


def test_the_network_is_left_ready_to_predict():
    net = tiny_net()
    train(net, bright_squares(), PLAIN, progress=False)
    assert not net.training


def test_the_history_holds_one_loss_and_one_rate_per_step_and_survives_json():
    history = train(tiny_net(), bright_squares(), CONFIG, validation=bright_squares(), progress=False)
    assert len(history.loss) == len(history.rate) == CONFIG.steps
    assert history.rate[:3] == [0.005, 0.01, 0.01]
    assert history.device == "cpu"
    assert history.seconds > 0
    assert History.from_json(history.to_json()) == history


def test_progress_shows_loss_and_rate(capsys):
    train(tiny_net(), bright_squares(), PLAIN)
    assert "loss " in (shown := capsys.readouterr().err)
    assert "rate 0.01" in shown


def test_a_loss_that_is_no_number_stops_with_what_to_try():
    config = replace(CONFIG, learning_rate=1e30, precision="bfloat16", warmup_steps=0)
    with pytest.raises(
        DivergedError, match=r"loss is (nan|inf) at step \d+; try a learning rate below 1e\+30.*float32"
    ):
        train(tiny_net(), bright_squares(), config, progress=False)


def test_a_diverged_run_writes_no_checkpoint(tmp_path):
    config = replace(CONFIG, learning_rate=1e30, checkpoint_every=10)
    with pytest.raises(DivergedError):
        train(tiny_net(), bright_squares(), config, checkpoint=tmp_path / "run", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_unannotated_pixels_and_weights_of_zero_change_nothing():
    data = bright_squares()
    known = np.ones_like(data.labels, dtype=bool)
    known[:, :20] = False
    ignored = replace(data, labels=np.where(known, data.labels, IGNORE))
    weights = np.ones_like(data.images)
    config = replace(PLAIN, elastic_std=0.0, rotation=0.0)
    one, other = tiny_net(dropout=0.0), tiny_net(dropout=0.0)
    lost = train(one, ignored, config, weights=weights, progress=False)
    found = train(other, data, config, weights=weights * known, progress=False)
    image, target, _ = first_tile(ignored, config, one)
    share = float((target != IGNORE).float().mean())  # the mean goes over annotated pixels only
    assert found.loss[0] == pytest.approx(lost.loss[0] * share, rel=1e-5)
    assert image.isfinite().all()


def test_tiles_with_few_annotated_pixels_count_as_much_as_others():
    scores = torch.zeros(2, 2, 1, 2)  # p = 1/2 everywhere, energy log 2 per pixel
    target = torch.tensor([[[0, 1]], [[1, IGNORE]]])
    weight = torch.tensor([[[1.0, 3.0]], [[4.0, 0.0]]])
    assert mean_energy(scores, target, weight).item() == pytest.approx(3 * np.log(2))  # (2 + 4) / 2


def test_standardised_training_returns_a_network_for_plain_images():
    data = bright_squares()
    net = tiny_net()
    train(net, data, replace(PLAIN, standardise=True, learning_rate=1e-12), progress=False)
    mean, deviation = data.images.mean(dtype=np.float64), data.images.std(dtype=np.float64)
    seen = ((data.images[:1] - mean) / deviation).astype(np.float32)
    plain = softmax(scores_of_input(tiny_net(), seen, tile=32, precision="float32", progress=False), axis=0)
    np.testing.assert_allclose(predict_probability(net, data.images[0], tile=32, progress=False), plain, atol=1e-5)


def test_a_padded_network_is_measured_too_and_cannot_absorb_the_scale_of_its_images():
    net, config = PaddedUNet(base_channels=2, depth=2), replace(CONFIG, tile=48, steps=2, validate_every=2)
    history = train(net, bright_squares(), config, validation=bright_squares(), progress=False)
    assert [entry.step for entry in history.validation] == [2]
    with pytest.raises(ValueError, match=r"padded network sees zeros .* set standardise_each=True instead"):
        train(net, bright_squares(), replace(config, standardise=True), progress=False)


def test_absorbing_mean_0_and_deviation_1_changes_nothing():
    net = tiny_net()
    absorb_input_scale(net, 0.0, 1.0)
    assert same_numbers(net, tiny_net())


def test_held_out_counts_compare_ten_thresholds_with_the_annotation():
    net = tiny_net()
    torch.nn.init.zeros_(net.score.weight)  # the map is 1/2 everywhere: white at thresholds 0.0 .. 0.4
    labels = np.zeros((1, 16, 16), dtype=np.int32)
    labels[0, :2, :2], labels[0, 0, 5] = 1, IGNORE
    *differing, annotated = held_out_counts(
        net, np.zeros((1, 16, 16), np.float32), labels, tile=32, precision="float32"
    ).tolist()
    assert differing == [251] * 5 + [4] * 5
    assert annotated == 255


@pytest.mark.parametrize(
    ("net", "data", "config", "message"),
    [
        (tiny_net(), bright_squares(), replace(CONFIG, tile=31), r"config\.tile .* nearest are 30 and 32"),
        (UNet(3, base_channels=2, depth=1), bright_squares(), CONFIG, "3 input channels.*needs 1 channel"),
        (UNet(1, 3, base_channels=2, depth=1), bright_squares(), CONFIG, "3 classes.*needs 1 channel and 2 classes"),
        (UNet(1, 1, base_channels=2, depth=1), bright_squares(), CONFIG, "1 classes.*needs 1 channel and 2 classes"),
        (tiny_net(), replace(bright_squares(), labels=None), CONFIG, "'squares' has no labels"),
        (tiny_net(), replace(bright_squares(), labels=np.full((3, 40, 40), IGNORE)), CONFIG, "only unannotated"),
        (tiny_net(), replace(bright_squares(), labels=np.zeros((3, 40, 40), int)), CONFIG, "no pixel of cell"),
        (
            tiny_net(),
            replace(bright_squares(), images=np.ones((3, 40, 40))),
            replace(CONFIG, standardise=True),
            "same grey value|one and the same",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_with_its_reason(net, data, config, message):
    with pytest.raises(ValueError, match=message):
        train(net, data, config, progress=False)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match=r"weights hold -1\.0"):
        train(tiny_net(), bright_squares(), CONFIG, weights=-np.ones((3, 40, 40)), progress=False)
