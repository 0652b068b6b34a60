"""Confusion matrices and reliability diagrams, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from dlx.statistics.classification import NUM_BINS, Reliability, bin_edges, confusion_counts


@pytest.mark.parametrize(("num_classes", "size"), [(2, 1), (3, 200), (10, 500)])
def test_confusion(num_classes: int, size: int) -> None:
    rng = np.random.default_rng(0)
    targets, guesses = rng.integers(num_classes, size=(2, size))
    expected = confusion_matrix(targets, guesses, labels=range(num_classes))
    np.testing.assert_array_equal(confusion_counts(targets, guesses, num_classes), expected)


@pytest.mark.parametrize(("num_classes", "size"), [(2, 1), (3, 1000), (10, 400)])
def test_reliability(num_classes: int, size: int) -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(num_classes, 0.3), size=size)
    targets = rng.integers(num_classes, size=size)
    found = Reliability.of(targets, probabilities)
    top, right = probabilities.max(1), probabilities.argmax(1) == targets
    accuracy, confidence = calibration_curve(right, top, n_bins=NUM_BINS)
    held = found.count > 0
    np.testing.assert_allclose((found.correct / found.count.clip(1))[held], accuracy)
    np.testing.assert_allclose((found.confidence / found.count.clip(1))[held], confidence)
    counts = np.histogram(top, bin_edges())[0]
    np.testing.assert_array_equal(found.count, counts)
    assert found.error == pytest.approx(np.sum(counts[held] / size * np.abs(accuracy - confidence)))


def test_edges_belong_to_the_bin_below() -> None:
    edges = bin_edges()
    probabilities = np.stack([edges[8:], 1 - edges[8:]], 1)
    count = Reliability.of(np.zeros(len(probabilities), dtype=np.int64), probabilities).count
    assert count.tolist() == [0] * 7 + [1] * 8


def test_sums_add_up() -> None:
    rng = np.random.default_rng(2)
    probabilities, targets = rng.dirichlet(np.ones(4), size=90), rng.integers(4, size=90)
    parts = Reliability.of(targets[:31], probabilities[:31]) + Reliability.of(targets[31:], probabilities[31:])
    whole = Reliability.of(targets, probabilities)
    assert parts.error == pytest.approx(whole.error)
    assert parts.count.tolist() == whole.count.tolist()
