"""Agreement with the numbers that the challenges' own software prints, case by case."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from unet_paper.cells import connected_cells
from unet_paper.metrics import (
    THRESHOLDS,
    em_scores,
    information_scores,
    match_cells,
    pixel_agreement,
    rand_agreement,
    seg,
    thin_borders,
    warp,
)
from unet_paper.metrics.maps import above, check_map

BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared" / "conformance"
CASES = Path(os.environ.get("UNET_PAPER_CONFORMANCE", BESIDE_THE_PROJECT))
OUTSIDE_THE_CONTRACT = "tiny_gt_single_cell"  # its warping types: ImageJ turns labels without membrane into all 0
SEG_QUIRK = "90_quirk_no_background_in_gt_and_res"  # the oracle drops a label where there is no background
EM_NAMES = sorted(path.stem for path in (CASES / "isbi" / "expected").glob("*.json"))
SEG_NAMES = sorted(path.stem for path in (CASES / "seg").glob("*.npz"))

needs_cases = pytest.mark.skipif(
    not (EM_NAMES and SEG_NAMES),
    reason="the organisers' numbers are not here; set UNET_PAPER_CONFORMANCE to the folder that holds isbi/ and seg/",
)


def exactly(value):
    return pytest.approx(value, rel=0, abs=1e-9)


def read_em_case(name: str):
    with np.load(CASES / "isbi" / "inputs" / f"{name}.npz") as arrays:
        labels, proposal = arrays["label"], arrays["proposal"]
    expected = json.loads((CASES / "isbi" / "expected" / f"{name}.json").read_text())
    return labels, check_map(proposal, rescale=True), expected


def assert_agreement(ours, theirs: dict) -> None:
    ours_counts = [ours.true_positive, ours.false_positive, ours.false_negative, ours.true_negative]
    assert ours_counts == [round(theirs[name]) for name in ("tp", "fp", "fn", "tn")]
    assert ours.precision == exactly(theirs["precision"])
    assert ours.recall == exactly(theirs["recall"])
    assert ours.f_score == exactly(theirs["fScore"])


@needs_cases
@pytest.mark.parametrize("name", EM_NAMES)
def test_official_em_values(name):
    labels, probability, expected = read_em_case(name)
    scores, official = em_scores(labels, probability), expected["official"]
    assert scores.pixel_error == exactly(official["pixel_error"])
    assert scores.rand_error == exactly(official["rand_error_fg_restricted"])
    assert scores.rand_error_2012 == exactly(official["rand_error_2014_fg_nchoose2"])
    assert scores.v_rand == exactly(official["v_rand_thin"])
    assert scores.v_info == exactly(official["v_info_thin"])
    assert scores.curves["v_rand"][0] == exactly(official["v_rand_thin_binary_proposal"])
    assert scores.curves["v_info"][0] == exactly(official["v_info_thin_binary_proposal"])
    if name != OUTSIDE_THE_CONTRACT:
        assert scores.warping_error == exactly(official["warping_error"])
        assert round(scores.warping_error * labels.size) == official["warping_error_pixels"]


@needs_cases
@pytest.mark.parametrize("name", EM_NAMES)
def test_pixel_and_rand_counts_at_every_threshold(name):
    labels, probability, expected = read_em_case(name)
    reference = connected_cells(labels > 0)
    for threshold, row in zip(THRESHOLDS, expected["per_threshold"], strict=True):
        assert threshold == row["threshold"]
        result = above(probability, threshold)
        cells = connected_cells(result)
        assert_agreement(pixel_agreement(labels, result), row["pixel"])
        assert_agreement(rand_agreement(reference, cells, form="2015"), row["rand_fg_n2"])
        assert_agreement(rand_agreement(reference, cells, form="2012"), row["rand_2014"])
        assert_agreement(rand_agreement(reference, cells, form="all_pixels"), row["rand_standard"])


@needs_cases
@pytest.mark.parametrize("name", EM_NAMES)
def test_thinned_scores_and_entropies_at_every_threshold(name):
    labels, probability, expected = read_em_case(name)
    reference = connected_cells(labels > 0)
    for threshold, row in zip(THRESHOLDS, expected["per_threshold"], strict=True):
        result = above(probability, threshold)
        thinned = thin_borders(result)
        assert rand_agreement(reference, thinned).f_score == exactly(row["v_rand_thin"])
        if "v_rand_thin_micro" in row:
            assert_agreement(rand_agreement(reference, thinned), row["v_rand_thin_micro"])
        assert information_scores(reference, thinned).f_score == exactly(row["v_info_thin"])
        assert_information(information_scores(reference, connected_cells(result)), row["info_unthinned_per_slice"][0])


def assert_information(ours, theirs: dict) -> None:
    assert ours.reference == exactly(theirs["ht"])
    assert ours.result == exactly(theirs["hs"])
    assert ours.reference_given_result == exactly(theirs["hts"])
    assert ours.result_given_reference == exactly(theirs["hst"])
    assert ours.variation == exactly(theirs["vi"])
    assert ours.f_score == exactly(theirs["fScore"])


@needs_cases
@pytest.mark.parametrize("name", EM_NAMES)
def test_warping_at_every_threshold(name):
    labels, probability, expected = read_em_case(name)
    for row in expected["per_threshold"][:10]:  # the challenge warps up to threshold 0.9
        result = warp(labels, probability, row["threshold"])
        assert result.error_all_types == exactly(row["warp_all_types"])
        if name != OUTSIDE_THE_CONTRACT:
            assert result.counts == by_type(row["warp_counts_r20"])


@needs_cases
@pytest.mark.parametrize("name", [name for name in EM_NAMES if name != OUTSIDE_THE_CONTRACT])
def test_warping_with_an_unlimited_window(name):
    labels, probability, expected = read_em_case(name)
    rows = [row for row in expected["per_threshold"] if "warp_counts_rInf" in row]  # small cases only
    for row in rows:
        result = warp(labels, probability, row["threshold"], radius=max(labels.shape))
        assert result.counts == by_type(row["warp_counts_rInf"])


def by_type(row: dict) -> dict[str, int]:
    return {name: pixels for name, pixels in row.items() if not name.startswith("per_slice")}


@needs_cases
@pytest.mark.parametrize("name", SEG_NAMES)
def test_seg(name):
    with np.load(CASES / "seg" / f"{name}.npz") as arrays:
        reference, result = arrays["gt"], arrays["res"]
    expected = json.loads((CASES / "seg" / "expected.json").read_text())[name]
    assert seg(reference, result) == exactly(expected["SEG_definition"])
    if name != SEG_QUIRK:
        assert seg(reference, result) == exactly(expected["SEG"])
        assert_matches(reference, result, expected["frames"])


def assert_matches(reference: np.ndarray, result: np.ndarray, frames: list[dict]) -> None:
    for t, frame in enumerate(frames):
        ours = match_cells(reference[t], result[t])
        theirs = np.array(frame["match"]).reshape(-1, 3)  # reference label, result label, intersection over union
        np.testing.assert_array_equal(ours.reference, theirs[:, 0])
        np.testing.assert_array_equal(ours.result, theirs[:, 1])
        np.testing.assert_allclose(ours.jaccard, theirs[:, 2], rtol=0, atol=1e-9)
