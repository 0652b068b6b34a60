"""The coefficient of determination, where its sums are delicate."""

import pytest
import torch
from sklearn.metrics import r2_score

from dlx.core.types import Scored
from dlx.metrics.r2 import R2


def score(predictions: torch.Tensor, targets: torch.Tensor, batch_size: int = 32) -> float:
    metric, sums = R2(), None
    for p, y in zip(predictions.split(batch_size), targets.split(batch_size), strict=True):
        batch = metric.update(Scored(p, y, torch.ones(len(y), dtype=y.dtype), torch.zeros(len(y))))
        sums = batch if sums is None else {name: sums[name] + batch[name] for name in sums}
    return metric.compute(sums).item()


@pytest.mark.parametrize(("mean", "tolerance"), [(0.0, 1e-13), (1e3, 1e-9), (1e6, 1e-3)])
def test_far_from_zero(mean: float, tolerance: float, generator: torch.Generator) -> None:
    targets = mean + torch.randn(1000, 2, generator=generator, dtype=torch.float64)
    predictions = targets + 0.5 * torch.randn(1000, 2, generator=generator, dtype=torch.float64)
    assert 1 - score(predictions, targets) == pytest.approx(1 - r2_score(targets, predictions), rel=tolerance)


@pytest.mark.parametrize("constant", [0.0, 0.1, 0.3, 1e3 / 7, -1e9 / 3])
@pytest.mark.parametrize("num", [1, 3, 7, 50, 1001])
def test_constant_targets(constant: float, num: int) -> None:
    targets = torch.full((num, 1), constant, dtype=torch.float64)
    assert score(targets + 0.1, targets) == 0
    assert score(targets, targets) == 1


def test_one_constant_output_of_two(generator: torch.Generator) -> None:
    targets = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    targets[:, 1] = 0.5  # a mean without rounding: with 0.1 scikit-learn gives -7e31
    predictions = targets + 0.5
    assert score(predictions, targets) == pytest.approx(r2_score(targets, predictions), rel=1e-12)


@pytest.mark.parametrize("constant", [True, False])
def test_not_a_number_is_seen(constant: bool) -> None:
    targets = torch.full((4, 1), 0.1, dtype=torch.float64) if constant else torch.eye(4, 1, dtype=torch.float64)
    assert score(targets * torch.nan, targets) != score(targets * torch.nan, targets)
