"""What Gaussian and Laplace losses share: a scale that is learned or fixed, and a density that is one."""

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor

from dlx.core.types import Hyper
from dlx.losses.exponential_power import ExponentialPower
from dlx.losses.gaussian_nll import GaussianNLL
from dlx.losses.laplace_nll import LaplaceNLL

LEARNED = [GaussianNLL(), LaplaceNLL()]
every_learned = pytest.mark.parametrize("loss", LEARNED, ids=lambda loss: loss.name)
NONE = Hyper({})


def column(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


@every_learned
@pytest.mark.parametrize("log_scale", [-30.0, -21.0, -20.0, -3.0, 0.0, 4.0])
def test_density_integrates_to_one(loss: ExponentialPower, log_scale: float) -> None:
    """Also where the precision goes straight on."""
    z = -log_scale
    precision = np.exp(z) if z <= 20 else np.exp(20) * (1 + z - 20)
    width = precision ** (-1 / loss.power)

    def density(e: float) -> float:
        return width * np.exp(-loss.nll(column(0.0, log_scale), column(width * e), NONE).item())

    assert 2 * integrate.quad(density, 0, np.inf)[0] == pytest.approx(1, rel=1e-7)


@every_learned
def test_best_scale_is_that_of_the_errors(loss: ExponentialPower, generator: torch.Generator) -> None:
    """The root of the mean square for the Gaussian, the mean absolute error for the Laplace distribution."""
    errors = 0.2 * torch.randn(501, 1, generator=generator, dtype=torch.float64)
    best = torch.log(errors.square().mean() if loss.power == 2 else errors.abs().mean())
    outputs = torch.cat([torch.zeros_like(errors), torch.full_like(errors, float(best))], 1)
    assert loss.derivative(outputs, errors, NONE)[:, 1].mean().item() == pytest.approx(0, abs=1e-14)
    assert loss.value(outputs, errors, NONE).mean() < 0, "a density exceeds 1"


@pytest.mark.parametrize(("name", "fixed", "learned"), [
    ("sigma", GaussianNLL(sigma=0.3), GaussianNLL()),
    ("scale", LaplaceNLL(scale=0.3), LaplaceNLL()),
])  # fmt: skip
def test_fixed_is_learned_with_that_scale(
    name: str, fixed: ExponentialPower, learned: ExponentialPower, generator: torch.Generator
) -> None:
    outputs = torch.randn(33, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(33, 3, generator=generator, dtype=torch.float64)
    h = Hyper({name: torch.tensor(0.3, dtype=torch.float64)})
    both = torch.cat([outputs, torch.full_like(outputs, fixed.power * np.log(0.3))], 1)
    for function in ("value", "nll"):
        torch.testing.assert_close(
            getattr(fixed, function)(outputs, targets, h), getattr(learned, function)(both, targets, NONE)
        )
    torch.testing.assert_close(fixed.derivative(outputs, targets, h), learned.derivative(both, targets, NONE)[:, :3])


@every_learned
def test_number_of_outputs(loss: ExponentialPower) -> None:
    assert loss.num_outputs(3) == 6
    assert GaussianNLL(sigma=2.0).num_outputs(3) == LaplaceNLL(scale=2.0).num_outputs(3) == 3


def test_learned_and_fixed_are_two_structures() -> None:
    assert GaussianNLL().tunables() == {}
    assert GaussianNLL().structure() == {"name": "gaussian_nll", "sigma": None}
    assert GaussianNLL(sigma=1.0).structure() == GaussianNLL(sigma=2.0).structure() == {"name": "gaussian_nll"}
