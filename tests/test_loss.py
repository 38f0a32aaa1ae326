"""Eq. 1: softmax, weights, the minus sign, ignored pixels, gradients."""

from __future__ import annotations

import math

import pytest
import torch

from unet_paper.arrays import IGNORE
from unet_paper.loss import weighted_cross_entropy

# Two classes on 2x2 pixels; a_k(x) is the activation of class k at pixel x.
A0 = [[0.0, 1.0], [2.0, -1.0]]
A1 = [[0.0, 3.0], [0.5, 1.0]]
TARGET = [[0, 1], [1, 0]]
WEIGHT = [[1.0, 2.0], [11.0, 0.5]]


def p(a_true: float, a_other: float) -> float:
    """Probability of the true class by the paper's softmax, exp(a_l) / sum_k exp(a_k)."""
    return math.exp(a_true) / (math.exp(a_true) + math.exp(a_other))


# -E, written out pixel by pixel: w(x) log p_l(x)(x)
MINUS_E = (
    1.0 * math.log(p(0.0, 0.0))  # pixel (0, 0), class 0
    + 2.0 * math.log(p(3.0, 1.0))  # pixel (0, 1), class 1
    + 11.0 * math.log(p(0.5, 2.0))  # pixel (1, 0), class 1
    + 0.5 * math.log(p(-1.0, 1.0))  # pixel (1, 1), class 0
)


@pytest.fixture
def example():
    scores = torch.tensor([[A0, A1]], dtype=torch.float64)  # (1, 2, 2, 2)
    return scores, torch.tensor([TARGET]), torch.tensor([WEIGHT], dtype=torch.float64)


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1), ("mean", 4), ("weighted_mean", 14.5)])
def test_equals_the_formula_of_the_paper(example, reduction, divisor):
    energy = weighted_cross_entropy(*example, reduction=reduction)
    assert energy.item() == pytest.approx(-MINUS_E / divisor, rel=1e-12)


def test_default_is_the_mean(example):
    assert weighted_cross_entropy(*example) == weighted_cross_entropy(*example, reduction="mean")


@pytest.mark.parametrize("k", [2, 5])
def test_even_scores_cost_log_k_per_pixel(k):
    target = torch.randint(k, (3, 4, 6), generator=torch.Generator().manual_seed(k))
    energy = weighted_cross_entropy(torch.zeros(3, k, 4, 6), target, torch.ones(3, 4, 6))
    assert energy.item() == pytest.approx(math.log(k), rel=1e-6)


@pytest.mark.parametrize("reduction", ["sum", "mean", "weighted_mean"])
def test_ignored_pixels_count_for_nothing_whatever_their_weight(example, reduction):
    scores, target, weight = example
    target[0, 1, 0] = IGNORE
    scores.requires_grad_()
    energy = weighted_cross_entropy(scores, target, weight, reduction=reduction)
    energy.backward()
    others = MINUS_E - 11.0 * math.log(p(0.5, 2.0))
    divisor = {"sum": 1, "mean": 3, "weighted_mean": 3.5}[reduction]
    assert energy.item() == pytest.approx(-others / divisor, rel=1e-12)
    assert (scores.grad[0, :, 1, 0] == 0).all()
    assert (scores.grad[0, :, 0, 0] != 0).all()


@pytest.mark.parametrize("reduction", ["sum", "mean", "weighted_mean"])
def test_a_weight_that_is_no_number_counts_for_nothing_where_ignored(example, reduction):
    scores, target, weight = example
    target[0, 1, 0] = IGNORE
    expected = weighted_cross_entropy(scores, target, weight, reduction=reduction)
    weight[0, 1, 0] = torch.nan
    assert weighted_cross_entropy(scores, target, weight, reduction=reduction) == expected


@pytest.mark.parametrize("reduction", ["sum", "mean", "weighted_mean"])
def test_nothing_annotated_costs_zero_and_pulls_nowhere(reduction):
    scores = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.full((1, 3, 3), IGNORE)
    energy = weighted_cross_entropy(scores, target, torch.zeros(1, 3, 3), reduction=reduction)
    energy.backward()
    assert energy.item() == 0
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("reduction", ["sum", "mean", "weighted_mean"])
def test_gradient_agrees_with_finite_differences(reduction):
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.randint(-1, 3, (2, 4, 5), generator=generator)  # -1 is IGNORE
    weight = 10 * torch.rand(2, 4, 5, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(lambda s: weighted_cross_entropy(s, target, weight, reduction=reduction), scores)


def test_gradient_is_weight_times_probability_minus_truth(example):
    scores, target, weight = example
    scores.requires_grad_()
    weighted_cross_entropy(scores, target, weight, reduction="sum").backward()
    truth = torch.nn.functional.one_hot(target, 2).movedim(-1, 1)  # (1, 2, 2, 2)
    torch.testing.assert_close(scores.grad, weight[:, None] * (scores.detach().softmax(1) - truth))


def test_half_precision_scores_are_summed_in_float32():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(1, 2, 300, 300, generator=generator).bfloat16()
    target = torch.randint(2, (1, 300, 300), generator=generator)
    weight = torch.rand(1, 300, 300, generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        energy = weighted_cross_entropy(scores, target, weight, reduction="sum")
    assert energy.dtype == torch.float32
    exact = weighted_cross_entropy(scores.double(), target, weight.double(), reduction="sum")
    assert energy.item() == pytest.approx(exact.item(), rel=1e-5)  # bfloat16 sums would be off by 1e-3 and more


def test_large_scores_stay_finite():
    scores = torch.tensor([1000.0, -1000.0]).view(1, 2, 1, 1)
    energy = weighted_cross_entropy(scores, torch.ones(1, 1, 1, dtype=torch.int32), torch.ones(1, 1, 1))
    assert energy.item() == 2000


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scores": torch.zeros(2, 4, 4)}, ValueError, r"\(2, 4, 4\); needs 4 dimensions"),
        ({"target": torch.zeros(1, 6, 6, dtype=torch.long)}, ValueError, r"target has shape \(1, 6, 6\).*\(1, 4, 4\)"),
        ({"weight": torch.ones(4, 4)}, ValueError, r"weight has shape \(4, 4\).*\(1, 4, 4\)"),
        ({"target": torch.zeros(1, 4, 4)}, TypeError, r"target has dtype torch.float32.*target.long"),
        ({"weight": torch.ones(1, 4, 4, dtype=torch.int32)}, TypeError, r"weight has dtype torch.int32.*weight.float"),
        ({"target": torch.full((1, 4, 4), 2)}, ValueError, r"target holds the class 2; these scores know 0 to 1"),
        ({"target": torch.full((1, 4, 4), 255, dtype=torch.uint8)}, ValueError, "target holds the class 255"),
        ({"target": torch.full((1, 4, 4), -2)}, ValueError, "target holds the class -2"),
        ({"weight": torch.full((1, 4, 4), torch.nan)}, ValueError, "weight holds nan at an annotated pixel"),
        ({"weight": torch.full((1, 4, 4), -1.0)}, ValueError, "weight holds -1 at an annotated pixel"),
        ({"reduction": "none"}, ValueError, r"reduction is 'none'; choose one of .*'mean'"),
    ],
)
def test_refuses_what_does_not_fit(change, error, message):
    inputs = {
        "scores": torch.zeros(1, 2, 4, 4),
        "target": torch.zeros(1, 4, 4, dtype=torch.long),
        "weight": torch.ones(1, 4, 4),
    } | change
    with pytest.raises(error, match=message):
        weighted_cross_entropy(**inputs)
