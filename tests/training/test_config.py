"""Configurations: the paper's constants, refused values, the learning rate's course."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from unet_paper.training import CONFIGURATIONS, PAPER, SHORT_RUN, TrainConfig, configuration_table, learning_rate_at


def test_the_paper_configuration_holds_the_constants_of_section_3():
    assert (PAPER.optimiser, PAPER.momentum, PAPER.batch_size, PAPER.tile) == ("sgd", 0.99, 1, 572)
    assert (PAPER.w0, PAPER.sigma, PAPER.elastic_std) == (10.0, 5.0, 10.0)
    assert TrainConfig() == PAPER


def test_named_configurations_are_found_by_their_names():
    assert CONFIGURATIONS == {"paper": PAPER, "short run": SHORT_RUN}


@pytest.mark.parametrize(
    ("setting", "value", "fix"),
    [
        ("optimiser", "adamw", "choose one of 'sgd', 'adam'"),
        ("precision", "float16", "choose one of 'float32', 'bfloat16'"),
        ("schedule", "step", "choose one of 'constant', 'cosine'"),
        ("rotation", -90.0, "0 or more"),
        ("grey_value", 1.0, r"\[0, 1\)"),
        ("steps", 0, "at least 1"),
        ("batch_size", 0, "at least 1"),
        ("tile", -572, "at least 1"),
        ("warmup_steps", -1, "0 or more"),
        ("seed", -1, "0 or more"),
        ("checkpoint_every", -5, "0 or more"),
        ("learning_rate", 0.0, "above 0"),
        ("learning_rate", float("nan"), "above 0"),
        ("sigma", 0.0, "above 0"),
        ("elastic_std", -1.0, "0 or more"),
        ("w0", float("inf"), "finite"),
        ("momentum", 1.0, r"\[0, 1\)"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_its_fix(setting, value, fix):
    with pytest.raises(ValueError, match=f"^{setting} is .*{fix}"):
        replace(PAPER, **{setting: value})


@pytest.mark.parametrize(
    ("setting", "value", "fix"),
    [
        ("steps", 20.0, "a whole number"),
        ("tile", "572", "a whole number"),
        ("seed", True, "a whole number"),
        ("learning_rate", "0.1", "a number"),
        ("w0", None, "a number"),
        ("flips", 2, "True or False"),
        ("balance", 1, "True or False"),
        ("optimiser", 3, "text"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(setting, value, fix):
    with pytest.raises(TypeError, match=f"^{setting} is {value!r} .*; pass {fix}"):
        replace(PAPER, **{setting: value})


def test_the_rate_warms_up_linearly_and_then_stays():
    config = replace(PAPER, learning_rate=0.8, warmup_steps=4, schedule="constant", steps=10)
    assert [learning_rate_at(config, step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_the_rate_falls_along_half_a_cosine():
    config = replace(PAPER, learning_rate=1.0, warmup_steps=0, schedule="cosine", steps=4)
    assert [learning_rate_at(config, step) for step in range(4)] == pytest.approx(
        [1.0, 0.5 + 0.125**0.5, 0.5, 0.5 - 0.125**0.5]
    )


def test_a_run_may_be_continued_with_more_steps_only_if_the_schedule_does_not_depend_on_them():
    assert replace(PAPER, steps=7, validate_every=3).continues(PAPER) == []
    assert replace(SHORT_RUN, steps=7).continues(SHORT_RUN) == ["steps"]
    assert replace(PAPER, seed=1, tile=188).continues(PAPER) == ["tile", "seed"]


def test_the_table_lists_every_setting_of_every_configuration():
    lines = configuration_table([PAPER, SHORT_RUN]).splitlines()
    assert len(lines) == len(fields(TrainConfig))
    assert lines[0].split("  ")[0] == "name"
    assert next(line for line in lines if line.startswith("momentum")).split() == ["momentum", "0.99", "0.9"]
