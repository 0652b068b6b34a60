"""How predicted class probabilities agree with the classes that were observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
NUM_BINS = 15
"""Bins of a reliability diagram, as in Guo et al. (2017)."""


def confusion_counts(targets: Integers, guesses: Integers, num_classes: int) -> Integers:
    """Count the examples of each true class that were taken for each class.

    Args:
        targets: True classes, [N], in 0..C-1.
        guesses: Predicted classes, [N].
        num_classes: C.

    Returns:
        [C, C]: rows are true classes, columns predicted ones.
    """
    pairs = np.bincount(targets * num_classes + guesses, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


@dataclass(frozen=True)
class Reliability:
    """Top probabilities in bins of equal width over [0, 1], against how often they were right; sums, so they add up.

    Attributes:
        count: Examples in each bin, [15].
        confidence: Sum of their top probabilities, [15].
        correct: How many of them were right, [15].
    """

    count: Integers
    confidence: Floats
    correct: Integers

    @classmethod
    def of(cls, targets: Integers, probabilities: Floats) -> Self:
        """Sort examples into bins; a bin holds its upper edge, the first also its lower.

        Args:
            targets: True classes, [N].
            probabilities: Of each class, [N, C].
        """
        top = probabilities.max(1)
        is_right = probabilities.argmax(1) == targets
        where = np.searchsorted(bin_edges()[1:-1], top)
        count, correct = (np.bincount(each, minlength=NUM_BINS) for each in (where, where[is_right]))
        confidence: Floats = np.bincount(where, weights=top, minlength=NUM_BINS).astype(np.float64)
        return cls(count, confidence, correct)

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(self.count + other.count, self.confidence + other.confidence, self.correct + other.correct)

    @property
    def error(self) -> float:
        """The expected calibration error: |accuracy - mean top probability| of a bin, averaged over examples.

        Source:
            Guo et al. (2017), "On calibration of modern neural networks", equation 3.
        """
        return float(np.abs(self.correct - self.confidence).sum() / self.count.sum())


def bin_edges() -> Floats:
    """Give the edges of the bins, [16]."""
    return np.linspace(0, 1, NUM_BINS + 1)
