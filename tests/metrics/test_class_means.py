"""Metrics that average over classes: classes that are not there do not count."""

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score

from dlx.core.definition import Metric
from dlx.core.types import Scored
from dlx.metrics.balanced_accuracy import BalancedAccuracy
from dlx.metrics.f1 import F1


def scored(truth: list[int], guess: list[int], num_classes: int) -> Scored:
    weights = torch.ones(len(truth), dtype=torch.float64)
    return Scored(torch.eye(num_classes)[guess], torch.tensor(truth), weights, weights)


@pytest.mark.parametrize(
    ("truth", "guess"),
    [
        ([0, 0, 0, 0, 1], [0, 0, 0, 0, 0]),  # the rare class is never found
        ([0, 0, 2, 2], [0, 2, 2, 2]),  # class 1 neither occurs nor is predicted
        ([0, 0, 2, 2], [0, 1, 2, 2]),  # class 1 is predicted only
        ([1], [1]),
    ],
)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_equals_scikit_learn(truth: list[int], guess: list[int]) -> None:
    batch = scored(truth, guess, 4)
    metrics: list[tuple[Metric, float]] = [
        (BalancedAccuracy(), balanced_accuracy_score(truth, guess)),
        (F1(), f1_score(truth, guess, average="macro")),
    ]
    for metric, expected in metrics:
        assert metric.compute(metric.update(batch)).item() == pytest.approx(expected, rel=1e-14)


def test_always_the_frequent_class_is_no_skill() -> None:
    batch = scored([0] * 98 + [1, 2], [0] * 100, 3)
    assert BalancedAccuracy().compute(BalancedAccuracy().update(batch)).item() == pytest.approx(1 / 3)
