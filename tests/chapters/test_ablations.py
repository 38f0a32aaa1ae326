"""The chapter on what matters: it draws what is there, says what is missing, and decides nothing before its time."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from harness import glued_values, run_quickly

from unet_paper.experiments import STUDIES, chance, effects, read_studies, study_verdicts
from unet_paper.experiments.recipe import BASE
from unet_paper.experiments.record import results_folder
from unet_paper.experiments.studies import CHANGES, planned

pytestmark = pytest.mark.book


@pytest.fixture
def glued(run_chapter):
    return run_chapter("ablations")


def test_what_is_done_and_what_is_missing_make_up_the_plan(glued):
    studies = read_studies()
    on_second_block = len(effects.second_block(studies))
    assert glued["planned"] == sum(len(planned(name)) for name in STUDIES) + on_second_block
    assert glued["done"] == sum(len(rows.usable) for rows in studies.values())
    assert glued["done"] + glued["missing"] == glued["planned"]
    assert glued["repeats"] == len(studies["study-largest"].usable)


def test_the_verdicts_are_those_of_the_rows(glued):
    found = study_verdicts.verdicts(read_studies())
    assert {claim: glued[f"verdict_{claim}"] for claim in found} == {c: v.verdict for c, v in found.items()}
    assert all(found[claim].missing for claim in str(glued["open"]).split(", ") if claim in found)


def test_the_border_term_helps_cells_that_touch_beyond_luck_in_one_direction():  # as the prose has it
    found = [
        effects.effects(read_studies(), "seg_error", fold=fold, names=["DIC, w0 10"], test=effects.SYMMETRIES)[0]
        for fold in (0, 1)
    ]
    assert all(effect.difference < -0.1 for effect in found)
    assert [effect.is_gain for effect in found] == [False, True]


@pytest.mark.parametrize("measure", [effects.MEASURE, "pixel_error"])
def test_scaling_stronger_bending_and_half_of_the_dropout_show_nothing_beyond_luck(measure):  # as the prose has it
    scaling = "scaling instead of elastic"
    names = [scaling, f"{scaling}, 1 section", "elastic 10 px", "elastic 20 px"]
    names += ["no rotations", "no flips", "dropout 0.25"]
    found = effects.effects(read_studies(), measure, names=names)
    assert sorted(effect.change for effect in found) == sorted(names)
    assert not any(effect.excludes_zero for effect in found)
    if measure == "pixel_error":  # a gain that takes leaving out both
        assert effects.effects(read_studies(), measure, names=["no rotations, no flips"])[0].is_gain


def test_two_networks_trained_live(glued):
    assert glued["live_steps"] == 3
    assert 0 < glued["live_base"] < 10
    assert 0 < glued["live_no_skips"] < 10


def test_a_blank_map_has_a_small_warping_error_and_a_v_rand_that_gives_it_away(glued):
    assert glued["blank_warping"] < 0.003
    assert glued["blank_v_rand"] < 0.2


def test_the_padded_network_sees_more_labelled_pixels_for_the_same_operations(glued):
    assert glued["padded_pixels"] == pytest.approx((208 / 132) ** 2)


def test_rows_of_another_base_and_missing_ones_are_counted_and_the_rest_is_drawn(glued, tmp_path):
    for path in results_folder().glob("study-*.json"):
        shutil.copy(path, tmp_path)
    spoil(tmp_path / "study-dropout.json", "dropout 0", lambda row: row | {"base": "an older one"})
    spoil(tmp_path / "study-augmentation.json", "elastic 0 px", lambda row: {})
    poorer = glued_values(run_quickly("ablations", tmp_path, studies_folder=str(tmp_path)))
    assert (poorer["refused"], poorer["done"], poorer["missing"]) == (3, glued["done"] - 6, glued["missing"] + 6)
    assert poorer["effect_dropout_0"] == poorer["effect_elastic_0_px"] == "an unknown amount (not run yet)"
    assert (poorer["verdict_C8"], poorer["verdict_C9"]) == (study_verdicts.OPEN, study_verdicts.OPEN)
    assert (poorer["verdict_C6"], poorer["effect_no_skips"]) == (glued["verdict_C6"], glued["effect_no_skips"])


def spoil(path, change, how):
    """Write a file of rows anew, those of one change as `how` returns them; an empty one is left out."""
    content = json.loads(path.read_text())
    rows = [how(row) if row["change"] == change else row for row in content["rows"]]
    path.write_text(json.dumps(content | {"rows": [row for row in rows if row]}))


def test_published_rows_are_of_the_present_base():
    assert [line for rows in read_studies().values() for line in rows.refused] == []


def test_no_strength_of_bending_shows_in_v_rand_and_the_strongest_harms_the_rand_error():  # as the prose has it
    rows = read_studies()
    names = [f"elastic {strength} px{few}" for strength in (0, 10, 20) for few in ("", ", 5 sections", ", 1 section")]
    found = effects.effects(rows, names=names)
    assert len(found) == len(names)
    assert not any(effect.excludes_zero for effect in found)
    for against in ("base", "base again"):
        assert effects.effects(rows, "rand_error", names=["elastic 20 px"], against=against)[0].is_harm


def test_the_one_hint_for_deformation_shows_in_two_errors_of_four():  # as the prose has it
    name = "grey values alone, 1 section"
    measures = (effects.MEASURE, "warping_error", "rand_error", "pixel_error")
    found = [effects.effects(read_studies(), measure, names=[name])[0].is_harm for measure in measures]
    assert found == [True, True, False, False]


def test_the_second_block_confirms_no_large_effect_and_turns_two_round():  # as the prose has it
    rows = read_studies()
    largest = [effect.change for effect in effects.largest(rows)]
    for measure in (effects.MEASURE, "pixel_error"):
        assert not any(effect.excludes_zero for effect in effects.effects(rows, measure, fold=4, names=largest))
    second = {effect.change: effect for effect in effects.effects(rows, fold=4, names=largest)}
    assert second["no skips, dropout 0"].collapsed == 1
    assert second["PyTorch"].difference > 0
    assert all(second[name].difference < 0 for name in ("grey values alone, 1 section", "elastic 20 px"))
    rand = [effects.effects(rows, "rand_error", fold=4, names=[name])[0] for name in ("PyTorch", "elastic 20 px")]
    assert [rand[0].is_harm, rand[1].is_gain] == [True, True]


def test_on_the_second_block_a_network_without_dropout_does_no_worse(glued):
    assert holds_0(glued["second_dropout"])
    assert glued["second_rand_dropout"].startswith("-")
    assert not holds_0(glued["second_rand_dropout"])


def test_the_fewer_sections_the_less_room_is_left_for_harm(glued):
    assert glued["room_elastic"] > glued["room_elastic_5"] > glued["room_elastic_1"] > 0
    assert glued["room_dropout"] > glued["room_dropout_1"] > 0


def test_the_papers_first_weights_leave_the_most_signal_at_the_bottom(glued):
    assert 1 > glued["bottom_he"] > 10 * glued["bottom_half"] > 100 * glued["bottom_torch"] > 0


def test_cells_are_trained_for_twice_as_many_steps():  # as the prose has it
    assert CHANGES["DIC, w0 10"].recipe().config.steps == 2 * BASE.config.steps


def test_in_v_rand_no_more_intervals_leave_0_out_than_by_chance(glued):
    assert glued["left_out_v"] <= glued["by_chance_v"]
    assert glued["left_out_pixels"] > glued["by_chance_pixels"]


def test_the_border_term_merges_fewer_cells_in_both_directions_and_w_c_may_be_luck(glued):
    assert [holds_0(glued[f"merged_{key}_{fold}"]) for key in ("w0", "w_c") for fold in (0, 1)] == [0, 0, 1, 1]
    assert all(glued[f"merged_w0_{fold}"].startswith("-") for fold in (0, 1))


def test_the_number_of_missed_cells_decides_little_from_four_to_ten():  # as the prose has it
    rows = read_studies()

    def leaves_0_out(missed: int, fold: int) -> bool:
        seeds = [effects.mergers_at(effects.rows_of(rows, change, fold), missed) for change in ("DIC", "DIC, w0 10")]
        plain, weighted = chance.paired(*seeds)
        return effects.t_interval(weighted - plain)[1] < 0

    assert [missed for missed in range(11) if leaves_0_out(missed, 0)] == list(range(4, 11))
    assert all(leaves_0_out(missed, 1) for missed in range(11))


def test_eq_2_whole_beside_its_balance_costs_rand_error_of_averaged_maps_alone():  # as the prose has it
    found = {
        (measure, test): effects.effects(read_studies(), measure, names=["w0 10 and w_c"], test=test)[0]
        for measure in (effects.MEASURE, "pixel_error", "rand_error")
        for test in ("block", effects.SYMMETRIES)
    }
    assert {against.against for against in found.values()} == {"w_c"}
    assert [key for key, effect in found.items() if effect.is_harm] == [("rand_error", effects.SYMMETRIES)]


def test_weights_on_sections_harm_pixel_and_rand_error_against_either_base():  # as the prose has it
    for measure in ("pixel_error", "rand_error"):
        for against in ("base", "base again"):
            how = {"names": ["w0 10"], "test": effects.SYMMETRIES, "against": against}
            assert effects.effects(read_studies(), measure, **how)[0].is_harm


def test_a_batch_of_100_has_hardly_begun_to_learn(glued):
    pixels = [float(error) for error in glued["each_momentum_0_batch_100"].split(", ")]
    grey = float(glued["grey_pixels"])
    assert min(pixels) > 0.8 * grey
    assert max(pixels) == pytest.approx(grey)


def test_padding_and_first_weights_show_only_where_the_prose_says(glued):
    assert holds_0(glued["averaged_padded"])
    assert holds_0(glued["averaged_padded_pixels"])
    assert not holds_0(glued["pixels_padded"])
    assert [holds_0(glued[f"{name}_sqrt_pixels"]) for name in ("averaged", "again")] == [False, True]


def test_width_gains_pixels_and_rand_error_and_little_more_when_doubled_again():  # as the prose has it
    rows, widths = read_studies(), ("16 channels", "32 channels, rate 0.0005")
    pixels, rand, once = (
        [effects.effects(rows, measure, names=[name])[0] for name in widths]
        for measure in ("pixel_error", "rand_error", effects.MEASURE)
    )
    assert all(effect.is_gain for effect in (*pixels, *rand))
    assert abs(pixels[1].difference - pixels[0].difference) < 0.3 * abs(pixels[0].difference)
    assert not any(effect.excludes_zero for effect in once)


def test_the_gain_of_32_channels_on_averaged_maps_holds_against_one_base_alone(glued):
    assert not holds_0(glued["averaged_32_channels_rate_0.0005"])
    assert holds_0(glued["again_32_channels"])


def test_averages_gain_beyond_luck_in_the_pixel_error_alone(glued):
    for way in ("seven", "eight"):
        assert holds_0(glued[f"gain_v_{way}"])
        assert not holds_0(glued[f"gain_pixels_{way}"])


def test_random_sections_are_harder_in_every_run_and_have_fewer_wrong_pixels():  # as the prose has it
    rows = effects.rows_of(read_studies(), "random sections beside a block", 1)
    assert all(block < drawn for block, drawn in effects.beside_block(rows))
    assert all(block > drawn for block, drawn in effects.beside_block(rows, "pixel_error"))


def test_how_kind_random_images_are_is_luck_but_on_one_sequence(glued):
    kind = [holds_0(glued[f"kindness_{name}"]) for name in ("EM", "EM_pixels", "DIC_0", "DIC_1")]
    assert kind == [True, True, False, True]


def holds_0(told: str) -> bool:
    """Tell whether the interval of an effect, as the prose has it, holds 0."""
    low, high = re.search(r"\((\S+) to ([^\s;)]+)", told).groups()
    return float(low) <= 0 <= float(high)
