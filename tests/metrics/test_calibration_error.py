"""Expected calibration error: scikit-learn's calibration curve, and cases done by hand."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from torch import Tensor

from dlx.core.types import Scored
from dlx.metrics.calibration_error import CalibrationError


def error(predictions: Tensor, targets: Tensor, bins: int = 15) -> float:
    metric, weights = CalibrationError(bins=bins), torch.ones(len(targets), dtype=torch.float64)
    return metric.compute(metric.update(Scored(predictions, targets, weights, weights))).item()


@pytest.mark.parametrize("bins", [1, 4, 15, 100])
def test_is_the_distance_of_scikit_learns_curve_from_the_diagonal(bins: int) -> None:
    rng = np.random.default_rng(bins)
    p, y = rng.dirichlet(np.ones(3), size=300), rng.integers(3, size=300)
    confidence, right = p.max(1), p.argmax(1) == y
    accuracy, mean_confidence = calibration_curve(right, confidence, n_bins=bins)
    counts = np.histogram(confidence, bins, (0, 1))[0]
    expected = np.average(np.abs(accuracy - mean_confidence), weights=counts[counts > 0])
    assert error(torch.from_numpy(p), torch.from_numpy(y), bins) == pytest.approx(expected, rel=1e-12)


def test_by_hand() -> None:
    """0.75 sure four times and right three times is calibrated; right once it is off by a half."""
    p = torch.tensor([[0.25, 0.75]] * 4, dtype=torch.float64)
    assert error(p, torch.tensor([1, 1, 1, 0])) == 0
    assert error(p, torch.tensor([0, 0, 1, 0])) == 0.5
    assert error(torch.eye(2)[[0, 1]].double(), torch.tensor([1, 0])) == 1


def test_errors_of_one_bin_cancel_and_those_of_two_do_not() -> None:
    p = torch.tensor([[0.3, 0.7], [0.1, 0.9]], dtype=torch.float64)
    targets = torch.tensor([1, 0])
    assert error(p, targets, bins=1) == pytest.approx(abs(0.5 - 0.8))
    assert error(p, targets, bins=10) == pytest.approx((0.3 + 0.9) / 2)
