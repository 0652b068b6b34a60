"""Confusion matrices, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from dlx.statistics.classification import confusion_counts


@pytest.mark.parametrize(("num_classes", "size"), [(2, 1), (3, 200), (10, 500)])
def test_confusion(num_classes: int, size: int) -> None:
    rng = np.random.default_rng(0)
    targets, guesses = rng.integers(num_classes, size=(2, size))
    expected = confusion_matrix(targets, guesses, labels=range(num_classes))
    np.testing.assert_array_equal(confusion_counts(targets, guesses, num_classes), expected)
