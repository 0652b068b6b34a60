"""Metrics that are a weighted mean over examples, on numbers done by hand."""

import pytest
import torch

from dlx.core.definition import Metric
from dlx.core.types import Scored
from dlx.metrics.accuracy import Accuracy
from dlx.metrics.mae import MeanAbsoluteError
from dlx.metrics.mse import MeanSquaredError
from dlx.metrics.nll import NegativeLogLikelihood

WEIGHTS = torch.tensor([1.0, 3.0, 0.0])
CLASSES = Scored(
    torch.tensor([[0.9, 0.1], [0.4, 0.6], [1.0, 0.0]]), torch.tensor([0, 0, 1]), WEIGHTS, torch.tensor([2.0, 4.0, 99.0])
)
VALUES = Scored(
    torch.tensor([[1.0, 2.0], [0.0, 0.0], [9.0, 9.0]]),
    torch.tensor([[1.0, 4.0], [-1.0, 3.0], [0.0, 0.0]]),
    WEIGHTS,
    torch.tensor([2.0, 4.0, 99.0]),
)


@pytest.mark.parametrize(
    ("metric", "batch", "expected"),
    [
        (Accuracy(), CLASSES, 1 / 4),
        (NegativeLogLikelihood(), CLASSES, 14 / 4),
        (NegativeLogLikelihood(), VALUES, 14 / 4),
        (MeanAbsoluteError(), VALUES, (1 + 3 * 2) / 4),
        (MeanSquaredError(), VALUES, (2 + 3 * 5) / 4),
    ],
    ids=lambda each: each.name if isinstance(each, Metric) else "",
)
def test_by_hand(metric: Metric, batch: Scored, expected: float) -> None:
    assert metric.compute(metric.update(batch)).item() == pytest.approx(expected)
