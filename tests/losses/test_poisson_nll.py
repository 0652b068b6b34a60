"""Poisson negative log-likelihood: scikit-learn's deviance and regression, torch's loss, scipy's distribution."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance

from dlx.core.types import Examples, Hyper
from dlx.losses.exponential import LIMIT
from dlx.losses.poisson_nll import PoissonNLL

LOSS, NONE = PoissonNLL(), Hyper({})


def examples(*targets: float) -> Examples:
    return Examples(np.zeros((len(targets), 1)), np.array([targets]).T, "regression", ("x",), ("visits",))


def test_is_half_the_deviance(generator: torch.Generator) -> None:
    outputs = 2 * torch.randn(50, 1, generator=generator, dtype=torch.float64)
    counts = torch.poisson(outputs.exp() + 0.5, generator=generator)
    values = LOSS.value(outputs, counts, NONE)
    assert (counts == 0).any()
    assert values.mean().item() == pytest.approx(0.5 * mean_poisson_deviance(counts.numpy(), outputs.exp().numpy()))
    torchs = torch.nn.PoissonNLLLoss(reduction="none")(outputs, counts).squeeze(1)
    least = torch.nn.PoissonNLLLoss(reduction="none")(counts.clamp(min=1).log(), counts).squeeze(1)
    # Of a count of 0 the least is at rate 0, where its logarithm is not.
    torch.testing.assert_close(values, torchs - torch.where(counts.squeeze(1) == 0, 0, least))


def test_its_minimum_is_scikit_learns_regression(generator: torch.Generator) -> None:
    inputs = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    counts = torch.poisson((inputs @ torch.tensor([[0.5], [-1.0], [0.2]]).double() + 1).exp(), generator=generator)
    fitted = PoissonRegressor(alpha=0, tol=1e-12, max_iter=1000).fit(inputs.numpy(), counts.numpy().ravel())
    outputs = inputs @ torch.from_numpy(fitted.coef_).unsqueeze(1) + fitted.intercept_
    derivative = LOSS.derivative(outputs, counts, NONE)
    assert torch.cat([inputs, torch.ones(200, 1).double()], 1).T @ derivative / 200 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("output", [LIMIT + 0.5, LIMIT + 30])
def test_beyond_the_limit_it_is_the_distribution_of_the_predicted_rate(output: float) -> None:
    z = torch.tensor([[output]], dtype=torch.float64)
    rate = LOSS.predict(z).item()
    assert rate == pytest.approx(np.exp(LIMIT) * (1 + output - LIMIT))
    count = float(round(1.0001 * rate))
    expected = -stats.poisson.logpmf(count, rate)
    assert LOSS.nll(z, torch.tensor([[count]], dtype=torch.float64), NONE).item() == pytest.approx(expected, rel=1e-6)


def test_nll_of_large_counts_is_right_in_float32() -> None:
    z, count = torch.tensor([[9.2]]), torch.tensor([[9999.0]])
    expected = -stats.poisson.logpmf(9999, np.exp(float(z.double())))
    assert LOSS.nll(z, count, NONE).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ((3.0, 0.5, 2.0), "but `visits` is 0.5 in example 2"),
        ((-1.0, 0.0, -2.0), "but `visits` is -1 in example 1, and 1 more are none"),
    ],
)
def test_needs_counts(targets: tuple[float, ...], expected: str) -> None:
    assert str(LOSS.mismatch(examples(*targets))).endswith(expected)
    assert LOSS.mismatch(examples(0.0, 7.0)) is None


@pytest.mark.parametrize("num_columns", [1, 3])
def test_the_loss_leaves_out_what_its_remark_says(generator: torch.Generator, num_columns: int) -> None:
    counts = torch.tensor([[0.0, 3.0, 17.0]] * 5, dtype=torch.float64)[:, :num_columns]
    outputs = torch.randn(5, num_columns, generator=generator, dtype=torch.float64)
    left_out = LOSS.nll(outputs, counts, NONE) - num_columns * LOSS.value(outputs, counts, NONE)
    expected = -stats.poisson.logpmf(counts[0], counts[0]).sum()
    torch.testing.assert_close(left_out, torch.full((5,), expected, dtype=torch.float64))
    assert "less what no model can lower" in LOSS.remark()
    assert "mean over target columns" in LOSS.remark()
