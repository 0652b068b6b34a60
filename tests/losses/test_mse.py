"""Mean squared error."""

import math

import pytest
import torch

from dlx.core.types import Hyper
from dlx.losses.mse import MeanSquaredError

MSE, NONE = MeanSquaredError(), Hyper({})


@pytest.mark.parametrize("num_outputs", [1, 2, 5])
def test_minimiser_is_the_mean_and_constant_is_as_documented(num_outputs: int, generator: torch.Generator) -> None:
    targets = torch.randn(50, num_outputs, generator=generator, dtype=torch.float64)
    mean = targets.mean(0).expand_as(targets)
    assert MSE.derivative(mean, targets, NONE).sum(0).abs().max() < 1e-13
    constant = MSE.nll(mean, targets, NONE) - num_outputs * MSE.value(mean, targets, NONE)
    torch.testing.assert_close(constant, torch.full_like(constant, num_outputs * math.log(math.pi) / 2))


def test_no_error_no_loss() -> None:
    targets = torch.tensor([[1e8, -3.0]])
    assert MSE.value(targets, targets, NONE).item() == 0
