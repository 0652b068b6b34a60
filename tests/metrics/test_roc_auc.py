"""Area under the ROC curve: ties, classes that have none, rows that are not numbers."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from dlx.core.types import Scored
from dlx.metrics.roc_auc import RocAuc


def area(predictions: Tensor, targets: Tensor, weights: Tensor | None = None) -> float:
    weights = torch.ones(len(targets), dtype=torch.float64) if weights is None else weights
    return RocAuc().compute(RocAuc().update(Scored(predictions, targets, weights, weights))).item()


def of_class_1(*scores: float) -> Tensor:
    p = torch.tensor(scores, dtype=torch.float64)
    return torch.stack([1 - p, p], 1)


@pytest.mark.parametrize("num_levels", [1, 2, 3, 10])
@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_ties_count_half(num_levels: int, num_classes: int) -> None:
    """Probabilities of few levels, so that most pairs are ties."""
    rng = np.random.default_rng(num_levels)
    levels = rng.integers(num_levels, size=(60, num_classes)) + 1.0
    p, y = levels / levels.sum(1, keepdims=True), np.arange(60) % num_classes
    p = np.eye(num_classes)[levels.argmax(1)] if num_levels > 3 else p
    expected = roc_auc_score(y, p[:, 1] if num_classes == 2 else p, multi_class="ovr")
    assert area(torch.from_numpy(p), torch.from_numpy(y)) == pytest.approx(expected, rel=1e-13)


def test_by_hand() -> None:
    targets = torch.tensor([1, 0, 1, 0])
    assert area(of_class_1(0.9, 0.8, 0.7, 0.1), targets) == 3 / 4
    assert area(of_class_1(0.8, 0.8, 0.7, 0.1), targets) == 2.5 / 4
    assert area(of_class_1(0.5, 0.5, 0.5, 0.5), targets) == 0.5


def test_classes_without_an_area_are_left_out() -> None:
    p = torch.tensor([[0.6, 0.1, 0.3], [0.2, 0.4, 0.4], [0.5, 0.3, 0.2]], dtype=torch.float64)
    targets = torch.tensor([0, 2, 0])
    truth = targets.numpy()
    expected = np.mean([roc_auc_score(truth == c, p[:, c].numpy()) for c in (0, 2)])
    assert area(p, targets) == pytest.approx(expected)
    assert np.isnan(area(p, torch.tensor([1, 1, 1])))
    absent = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    assert np.isnan(area(p, targets, absent)), "who has weight 0 is not there"


def test_not_a_number_is_seen() -> None:
    assert np.isnan(area(of_class_1(0.9, float("nan"), 0.2), torch.tensor([1, 0, 0])))


def test_in_float32_and_float64_the_same_order_is_the_same_area(generator: torch.Generator) -> None:
    p = torch.randint(1, 9, (101, 4), generator=generator) / 8
    targets = torch.arange(101) % 4
    assert area(p, targets) == area(p.double(), targets)
