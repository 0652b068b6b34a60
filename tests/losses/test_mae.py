"""Mean absolute error."""

import torch

from dlx.core.types import Hyper
from dlx.losses.mae import MeanAbsoluteError
from dlx.losses.mse import MeanSquaredError

MAE, MSE, NONE = MeanAbsoluteError(), MeanSquaredError(), Hyper({})


def total(loss: MeanAbsoluteError | MeanSquaredError, guess: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return loss.value(guess.expand_as(targets), targets, NONE).sum()


def test_minimiser_is_the_median_which_an_outlier_does_not_move(generator: torch.Generator) -> None:
    targets = torch.randn(51, 1, generator=generator, dtype=torch.float64)
    with_outlier = targets.clone()
    with_outlier[targets.argmax()] = 1e6
    guesses = torch.linspace(-2, 2, 2001, dtype=torch.float64)
    for these in (targets, with_outlier):
        best = guesses[torch.stack([total(MAE, guess, these) for guess in guesses]).argmin()]
        assert abs(best - targets.median()) <= 0.001
    assert with_outlier.mean() > 1000
    mean = with_outlier.mean()
    assert total(MSE, mean, with_outlier) < total(MSE, targets.median(), with_outlier)


def test_no_error_no_loss_and_no_gradient() -> None:
    targets = torch.tensor([[1e8, -3.0]])
    assert MAE.value(targets, targets, NONE).item() == 0
    assert MAE.derivative(targets, targets, NONE).tolist() == [[0.0, 0.0]]
