"""Top-k accuracy: ties, more classes asked for than there are, rows that are not numbers."""

import numpy as np
import pytest
import torch
from sklearn.metrics import top_k_accuracy_score
from torch import Tensor

from dlx.core.types import Scored
from dlx.metrics.top_k import TopK


def score(k: int, predictions: Tensor, targets: Tensor) -> float:
    weights = torch.ones(len(targets), dtype=torch.float64)
    return TopK(k=k).compute(TopK(k=k).update(Scored(predictions, targets, weights, weights))).item()


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("num_levels", [1, 2, 100])
def test_ties_are_broken_as_by_scikit_learn(k: int, num_levels: int) -> None:
    rng = np.random.default_rng(k)
    p, y = rng.integers(num_levels, size=(200, 5)) / 100, np.arange(200) % 5
    found = score(k, torch.from_numpy(p), torch.from_numpy(y))
    assert found == pytest.approx(top_k_accuracy_score(y, p, k=k), rel=1e-14)


@pytest.mark.parametrize("k", [3, 4, 99])
def test_as_many_as_there_are_classes_hold_the_true_one(k: int) -> None:
    assert score(k, torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), torch.tensor([2, 0])) == 1


def test_not_a_number_is_wrong() -> None:
    assert score(2, torch.full((2, 3), torch.nan), torch.tensor([0, 2])) == 0
