"""Trainings within a budget: equal rates over equal shares, balanced windows, calibration, interruption."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unet_paper.baselines import BalancedWindows, Budget, Calibration, Cascade, SlidingWindowNet, fit, fit_cascade
from unet_paper.baselines import cascade as stages_of
from unet_paper.baselines.cascade import DisjunctiveNormalNet
from unet_paper.baselines.fitting import rate_at, spend
from unet_paper.baselines.window_samples import one_symmetry_each
from unet_paper.datasets import synthetic_em
from unet_paper.training import SHORT_RUN, History
from unet_paper.training.checkpoint import save_checkpoint
from unet_paper.training.step import make_optimiser

CONFIG = replace(SHORT_RUN, precision="float32", warmup_steps=2, learning_rate=3e-3)


def sections(count: int = 2, side: int = 48):
    return synthetic_em(count, (side, side), generator=np.random.default_rng(0))


class TestBudget:
    def test_steps_are_spent_one_by_one(self):
        assert [(step, share) for step, _, share in spend(Budget(steps=4))] == [(0, 0), (1, 0.25), (2, 0.5), (3, 0.75)]
        assert [step for step, *_ in spend(Budget(steps=4), steps=3)] == [3]
        assert list(spend(Budget(steps=4), steps=4)) == []

    def test_seconds_end_and_earlier_ones_count(self):
        assert sum(1 for _ in spend(Budget(0.01))) > 10
        assert list(spend(Budget(0.01), seconds=0.02)) == []

    def test_the_rate_follows_the_share_whatever_the_number_of_steps(self):
        few, many = Budget(steps=10), Budget(steps=1000)
        late = 50  # after the warm-up
        assert rate_at(CONFIG, few, late, 0.5) == rate_at(CONFIG, many, late, 0.5) == pytest.approx(1.5e-3)
        assert rate_at(CONFIG, few, 0, 0) == pytest.approx(1.5e-3)  # half way through two warm-up steps
        assert rate_at(CONFIG, few, late, 1) == pytest.approx(0)
        assert rate_at(CONFIG, Budget(patience=3), late, 0.9) == 3e-3

    @pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": np.inf}, {"steps": -1}, {"look_every": 0}])
    def test_an_impossible_budget_is_refused(self, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Budget(**wrong)


class TestWindows:
    def windows(self, **settings) -> BalancedWindows:
        data = sections()
        settings = {"window": 31, "batch_size": 64, "seed": 1, **settings}
        return BalancedWindows.of(data, data.images, **settings)

    def test_both_classes_come_alike_and_the_centre_has_the_class(self):
        data, windows = sections(), self.windows()
        images, classes = windows.batch(3)
        assert images.shape == (64, 1, 31, 31)
        assert classes.bincount().tolist() == [32, 32]
        centres = images[:, 0, 15, 15].numpy()  # no symmetry moves the centre
        for kind in (0, 1):
            there = data.images[(data.labels > 0) == kind]
            assert np.isin(centres[classes.numpy() == kind], there).all()

    def test_draws_follow_from_seed_and_step(self):
        same, again = self.windows().batch(2)[0], self.windows().batch(2)[0]
        assert torch.equal(same, again)
        assert not torch.equal(same, self.windows().batch(3)[0])
        assert not torch.equal(same, self.windows(seed=2).batch(2)[0])

    def test_eight_symmetries_are_eight_and_keep_every_pixel(self):
        window = np.arange(9.0).reshape(3, 3)
        turned = one_symmetry_each(np.repeat(window[None], 8, axis=0), np.arange(8))
        assert len({image.tobytes() for image in turned}) == 8
        assert all(sorted(image.ravel()) == list(range(9)) for image in turned)
        assert (turned[:, 1, 1] == 4).all()

    def test_an_odd_batch_is_refused(self):
        with pytest.raises(ValueError, match="batch_size is 5; needs an even number"):
            self.windows(batch_size=5)

    def test_images_must_be_as_large_as_the_labels_and_hold_both_classes(self):
        data, how = sections(), {"window": 31, "batch_size": 4, "seed": 1}
        with pytest.raises(ValueError, match=r"images has shape \(1, 48, 48\), labels has \(2, 48, 48\)"):
            BalancedWindows.of(data, data.images[:1], **how)
        for label, lacking in ((0, "cell"), (1, "background")):
            alone = replace(data, labels=np.full_like(data.labels, label))
            with pytest.raises(ValueError, match=f"has no pixel of {lacking}"):
                BalancedWindows.of(alone, data.images, **how)


class TestCalibration:
    def test_balanced_training_is_undone(self):
        """An output o of balanced training means o f / (o f + (1 - o)(1 - f)) where the share of cells is f."""
        draw = np.random.default_rng(0)
        output = draw.random(200_000)
        truth = 0.8 * output / (0.8 * output + 0.2 * (1 - output))
        calibrated = Calibration.fit(output, draw.random(len(output)) < truth)(output)
        assert np.abs(calibrated - truth).mean() < 0.03 < np.abs(output - truth).mean()

    def test_what_is_calibrated_stays(self):
        draw = np.random.default_rng(0)
        output = draw.random(100_000)
        calibration = Calibration.fit(output, draw.random(len(output)) < output)
        grid = np.linspace(0, 1, 11)
        np.testing.assert_allclose(calibration(grid), grid, atol=0.03)

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 2**32 - 1))
    def test_the_polynomial_never_falls_and_stays_a_probability(self, seed):
        draw = np.random.default_rng(seed)
        calibration = Calibration.fit(draw.random(500).astype(np.float32), draw.random(500) < 0.5)
        values = calibration(np.linspace(0, 1, 101, dtype=np.float32))
        assert values.dtype == np.float32
        assert 0 <= values.min() <= values.max() <= 1
        assert (np.diff(values) > -1e-6).all()

    def test_shapes_must_agree(self):
        with pytest.raises(ValueError, match="both must be the same"):
            Calibration.fit(np.zeros((2, 2)), np.zeros(2, bool))


class TestFit:
    def net(self, seed: int = 0) -> SlidingWindowNet:
        net = SlidingWindowNet(window=31, maps=4, hidden=8)
        net.reset_parameters(torch.Generator().manual_seed(seed))
        return net

    def draw(self, step: int):
        data = sections()
        return BalancedWindows.of(data, data.images - 0.5, window=31, batch_size=32, seed=0).batch(step)

    def test_windows_are_learnt(self):
        net = self.net()
        history = fit(net, self.draw, CONFIG, Budget(steps=100))
        assert len(history.loss) == len(history.rate) == 100
        assert np.mean(history.loss[-10:]) < 0.8 * np.mean(history.loss[:10])
        assert not net.training

    def test_an_interrupted_run_goes_on_as_if_never_interrupted(self, tmp_path, monkeypatch):
        monkeypatch.setattr("unet_paper.baselines.fitting.CHECKPOINT_EVERY", 0.0)
        whole, parts = self.net(), self.net()
        fit(whole, self.draw, CONFIG, Budget(steps=6))

        def interrupted(step: int):
            if step == 4:
                raise KeyboardInterrupt
            return self.draw(step)

        with pytest.raises(KeyboardInterrupt):
            fit(parts, interrupted, CONFIG, Budget(steps=6), checkpoint=tmp_path / "run")
        again = self.net(seed=5)
        history = fit(again, self.draw, CONFIG, Budget(steps=6), checkpoint=tmp_path / "run")
        assert len(history.loss) == 6
        for one, other in zip(whole.parameters(), again.parameters(), strict=True):
            assert torch.equal(one, other)

    def test_a_checkpoint_of_other_settings_is_refused(self, tmp_path):
        save_checkpoint(
            tmp_path / "run", self.net(), make_optimiser(self.net(), CONFIG), History(config=CONFIG, device="cpu")
        )
        with pytest.raises(ValueError, match=r"run is of other settings \(learning_rate\); delete it"):
            fit(self.net(), self.draw, replace(CONFIG, learning_rate=0.5), Budget(steps=1), checkpoint=tmp_path / "run")

    def test_patience_ends_a_run_and_the_best_weights_stay(self):
        errors = iter([0.5, 0.2, 0.3, 0.4, 0.1])
        seen = []

        def look(net):
            seen.append(net.score.bias.detach().clone())
            return next(errors), 0.5

        net = self.net()
        history = fit(net, self.draw, CONFIG, Budget(steps=50, patience=2, look_every=1e-9), look=look)
        assert [entry.pixel_error for entry in history.validation] == [0.5, 0.2, 0.3, 0.4]
        assert torch.equal(net.score.bias, seen[1])
        with pytest.raises(ValueError, match="patience is 2, but nothing looks"):
            fit(net, self.draw, CONFIG, Budget(patience=2))

    def test_the_best_weights_stay_across_an_interruption(self, tmp_path, monkeypatch):
        monkeypatch.setattr("unet_paper.baselines.fitting.CHECKPOINT_EVERY", 0.0)
        seen, how = [], {"checkpoint": tmp_path / "run"}
        budget = Budget(steps=50, patience=3, look_every=1e-9)

        def look_and_find(*errors):
            found = iter(errors)

            def look(net):
                seen.append(net.score.bias.detach().clone())
                if (error := next(found)) is None:
                    raise KeyboardInterrupt
                return error, 0.5

            return look

        with pytest.raises(KeyboardInterrupt):
            fit(self.net(), self.draw, CONFIG, budget, look=look_and_find(0.1, None), **how)
        again = self.net(seed=5)
        history = fit(again, self.draw, CONFIG, budget, look=look_and_find(0.5, 0.4, 0.3), **how)
        assert [entry.pixel_error for entry in history.validation] == [0.1, 0.5, 0.4, 0.3]
        assert torch.equal(again.score.bias, seen[0])
        assert not torch.equal(again.score.bias, seen[-1])

    @pytest.mark.parametrize("patience", [0, 2])
    def test_a_network_that_is_done_is_not_trained_again(self, tmp_path, patience):
        budget = Budget(steps=6, patience=patience, look_every=1e-9)
        how = {"checkpoint": tmp_path / "run", "look": (lambda net: (0.5, 0.5)) if patience else None}
        done, again = self.net(), self.net(seed=5)
        made = fit(done, self.draw, CONFIG, budget, **how)
        resumed = fit(again, None, CONFIG, budget, **how)  # no draws: a step would fail
        assert len(resumed.loss) == len(made.loss) == (4 if patience else 6)
        assert torch.equal(again.score.bias, done.score.bias)


class TestCascade:
    def test_a_disjunction_of_conjunctions_by_hand(self):
        net = DisjunctiveNormalNet(1, groups=2, spaces=2)
        sharp = 50.0
        with torch.no_grad():  # the groups hold 0 < x < 1 and 3 < x < 4
            net.plane.weight.copy_(torch.tensor([[sharp], [-sharp], [sharp], [-sharp]]))
            net.plane.bias.copy_(torch.tensor([0, sharp, -3 * sharp, 4 * sharp]))
        points = torch.tensor([[-1.0], [0.5], [2.0], [3.5], [5.0]])
        assert net(points).round().tolist() == [0, 1, 0, 1, 0]
        half = torch.sigmoid(torch.tensor(0.0)) * torch.sigmoid(torch.tensor(sharp))
        assert net(torch.tensor([[0.0]])).item() == pytest.approx(half.item(), abs=1e-6)

    def test_every_classifier_sees_the_results_before_it(self):
        order = stages_of.stages(3)
        assert order == [
            ("up0", []),
            ("up1", ["up0"]),
            ("up2", ["up0", "up1"]),
            ("down1", ["up1", "up2"]),
            ("down0", ["up0", "up2", "down1"]),
        ]
        known: set[str] = set()
        for stage, inputs in stages_of.stages(5):
            assert set(inputs) <= known
            known.add(stage)

    def test_pooling_keeps_thin_membranes(self):
        cell = np.ones((5, 6), bool)
        cell[:, 3] = False
        assert stages_of.thin_kept(cell, 1).tolist() == [[True, False, True]] * 3

    def test_it_learns_more_than_its_first_classifier_knows(self):
        data = sections(3, 64)
        net = Cascade(levels=2, groups=3, spaces=3)
        steps = fit_cascade(
            net,
            data.images[:2],
            data.labels[:2] > 0,
            replace(CONFIG, learning_rate=0.01),
            Budget(steps=80),
            samples=3000,
        )
        assert steps == {"up0": 80, "up1": 80, "down0": 80}
        image, cell = data.images[2], data.labels[2] > 0
        found = net.probability(image)
        assert found.shape == (64, 64)
        assert found.dtype == np.float32
        assert np.mean((found > 0.5) != cell) < 0.7 * min(cell.mean(), 1 - cell.mean())
        first = net.judge("up0", stages_of.features(image, stages_of.filters(image), [])).reshape(image.shape)
        squared, of_first = (np.mean((each - cell) ** 2) for each in (found, first))  # what each was trained to lower
        assert squared < 0.95 * of_first

    @pytest.mark.parametrize(("height", "width"), [(97, 97), (65, 130)])
    def test_sides_need_not_be_multiples_of_the_pooling(self, height, width):
        image = np.random.default_rng(0).random((height, width), np.float32)
        found = Cascade(levels=4, groups=2, spaces=2).probability(image)
        assert found.shape == (height, width)
        assert np.isfinite(found).all()

    @pytest.mark.parametrize(("value", "lacking"), [(True, "background"), (False, "cell")])
    def test_one_class_alone_is_refused(self, value, lacking):
        data = sections(1, 32)
        with pytest.raises(ValueError, match=f"the annotation has no pixel of {lacking}"):
            fit_cascade(Cascade(levels=2), data.images, np.full(data.labels.shape, value), CONFIG, Budget(steps=1))

    def test_a_coarse_level_without_cells_is_refused_by_name(self):
        data = sections(1, 32)
        stripes = np.broadcast_to(np.arange(32) % 2 > 0, data.labels.shape)  # every block of 2 x 2 holds membrane
        with pytest.raises(ValueError, match="the sample of up1 has no pixel of cell"):
            fit_cascade(Cascade(levels=2), data.images, stripes, CONFIG, Budget(steps=1), samples=200)

    def test_what_filters_take_is_part_of_the_budget(self, monkeypatch):
        clock, budgets = [0.0], []

        def slow_filters(image):
            clock[0] += 1.0
            return np.zeros((*image.shape, stages_of.FILTERS), np.float32)

        def no_training(net, stage, points, inside, config, budget):
            clock[0] += budget.seconds
            budgets.append(budget.seconds)
            return 1

        monkeypatch.setattr(stages_of, "filters", slow_filters)
        monkeypatch.setattr(stages_of, "_fit_stage", no_training)
        monkeypatch.setattr(stages_of.time, "process_time", lambda: clock[0])
        data = sections(2, 64)
        fit_cascade(Cascade(levels=2), data.images, data.labels > 0, CONFIG, Budget(10), samples=100)
        assert budgets == pytest.approx([2, 2, 2]), "10 s, less 1 s for each of two sections at two sizes"

    def test_time_is_kept_for_what_later_stages_must_describe(self, monkeypatch):
        clock, budgets, described = [0.0], [], stages_of.features

        def slow_features(image, filtered, results, *at):
            points = described(image, filtered, results, *at)
            clock[0] += 1e-5 * image.size * points.shape[1]
            return points

        def no_training(net, stage, points, inside, config, budget):
            clock[0] += budget.seconds
            budgets.append(budget.seconds)
            return 1

        monkeypatch.setattr(stages_of, "features", slow_features)
        monkeypatch.setattr(stages_of, "_fit_stage", no_training)
        monkeypatch.setattr(stages_of.time, "process_time", lambda: clock[0])
        data = sections(2, 64)
        fit_cascade(Cascade(levels=3), data.images, data.labels > 0, CONFIG, Budget(60), samples=100)
        assert clock[0] <= 60 * 1.001, "the budget is not overrun"
        assert budgets[-1] > 0.5 * budgets[1], "the last classifier gets its share"

    def test_features_of_some_pixels_are_rows_of_all(self):
        image, filtered, result = (
            np.random.default_rng(0).random(shape, np.float32) for shape in ((9, 7), (9, 7, 3), (9, 7))
        )
        at = np.array([0, 62, 30])
        chosen = stages_of.features(image, filtered, [result], at)
        np.testing.assert_array_equal(chosen, stages_of.features(image, filtered, [result])[at])
        assert chosen.dtype == np.float32

    def test_operations_by_hand(self):
        net = Cascade(levels=2, groups=1, spaces=2)
        one = stages_of.FILTERS + len(stages_of.PLACES)
        two, three = (one + n * len(stages_of.PLACES) for n in (1, 2))
        assert net.operations(8, 8) == 2 * 2 * (64 * one + 16 * two + 64 * three)

    @pytest.mark.parametrize("levels", [1, 6])
    def test_an_illegal_number_of_levels_names_the_legal_ones(self, levels):
        with pytest.raises(ValueError, match=f"levels is {levels}; there are cascades of 2 .. 5 levels"):
            Cascade(levels=levels)
