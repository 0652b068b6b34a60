"""Expected calibration error: scikit-learn's calibration curve, and cases done by hand."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from torch import Tensor

from dlx.core.types import Scored
from dlx.metrics.calibration_error import CalibrationError, reliability


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


def diagram(probabilities: np.ndarray, targets: np.ndarray, bins: int) -> dict[str, np.ndarray]:
    tensors = map(torch.from_numpy, (probabilities, targets, np.ones(len(targets), dtype=np.int64)))
    return {name: values.numpy() for name, values in reliability(*tensors, bins).items()}


@pytest.mark.parametrize(("num_classes", "size"), [(2, 1), (3, 1000), (10, 400)])
@pytest.mark.parametrize("bins", [1, 15])
def test_reliability_is_scikit_learns_curve(num_classes: int, size: int, bins: int) -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(num_classes, 0.3), size=size)
    targets = rng.integers(num_classes, size=size)
    found = diagram(probabilities, targets, bins)
    top, right = probabilities.max(1), probabilities.argmax(1) == targets
    accuracy, confidence = calibration_curve(right, top, n_bins=bins)
    held = found["count"] > 0
    np.testing.assert_allclose(found["correct"][held] / found["count"][held], accuracy)
    np.testing.assert_allclose(found["confidence"][held] / found["count"][held], confidence)
    np.testing.assert_array_equal(found["count"], np.histogram(top, bins, (0, 1))[0])


def test_edges_belong_to_the_bin_below() -> None:
    edges = np.linspace(0, 1, 16)[8:]
    found = diagram(np.stack([edges, 1 - edges], 1), np.zeros(len(edges), dtype=np.int64), 15)
    assert found["count"].tolist() == [0] * 7 + [1] * 8
