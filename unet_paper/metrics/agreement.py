"""Precision, recall and F-score, by the challenge's rules for empty counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """How often a result agrees with the reference: over pixels, or over pairs of pixels.

    Attributes
    ----------
    true_positive, false_positive, false_negative, true_negative : int
        Counts. Positive means "cell" for a pixel and "in the same object" for a pair of pixels.
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )

    @property
    def total(self) -> int:
        """Number of all pixels or pairs that were judged."""
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative

    @property
    def precision(self) -> float:
        """Share of the result's positives that are right; 1 where there is no false positive."""
        if self.false_positive == 0:
            return 1.0
        return self.true_positive / (self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the reference's positives that were found; 1 where there is no false negative."""
        if self.false_negative == 0:
            return 1.0
        return self.true_positive / (self.true_positive + self.false_negative)

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are 0."""
        if self.precision + self.recall == 0:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)

    @property
    def accuracy(self) -> float:
        """Share of all decisions that agree; for pairs of pixels this is the Rand index."""
        return (self.true_positive + self.true_negative) / self.total
