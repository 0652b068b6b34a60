"""What every registered prior promises: minus a log density, less its constant."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from dlx.core.definition import Prior
from dlx.core.registry import registered

LOG_DENSITY: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "gaussian": lambda w, precision: stats.norm.logpdf(w, scale=precision**-0.5),
    "laplace": lambda w, rate: stats.laplace.logpdf(w, scale=1 / rate),
}
every_prior = pytest.mark.parametrize("cls", registered(Prior).values(), ids=lambda cls: cls.__name__)


def with_strength(cls: type[Prior], value: float) -> Prior:
    return cls.model_validate(dict.fromkeys(cls.tunable_names(), value))


@pytest.fixture
def theta(generator: torch.Generator) -> Tensor:
    theta = 3 * torch.randn(3, 17, generator=generator, dtype=torch.float64)
    theta[:, 0] = 0
    return theta


@every_prior
def test_penalty_is_scipys(cls: type[Prior], theta: Tensor, stack: Callable) -> None:
    strengths = (0.25, 1.0, 30.0)
    rows = [with_strength(cls, strength) for strength in strengths]
    penalty = rows[0].penalty(theta, stack(rows))
    density = LOG_DENSITY[rows[0].name]
    expected = [density(np.zeros(1), s) - density(w, s) for w, s in zip(theta.numpy(), strengths, strict=True)]
    np.testing.assert_allclose(penalty, expected, rtol=1e-12, atol=1e-13)


@every_prior
def test_derivative_is_autograds(cls: type[Prior], theta: Tensor, stack: Callable) -> None:
    rows = [with_strength(cls, strength) for strength in (0.25, 1.0, 30.0)]
    theta.requires_grad_()
    (gradient,) = torch.autograd.grad(rows[0].penalty(theta, stack(rows)).sum(), theta)
    torch.testing.assert_close(rows[0].derivative(theta.detach(), stack(rows)), gradient, rtol=1e-14, atol=0)


@every_prior
def test_strength_zero_is_no_prior(cls: type[Prior], theta: Tensor, stack: Callable) -> None:
    prior = with_strength(cls, 0.0)
    theta.requires_grad_()
    penalty = prior.penalty(theta, stack([prior] * 3))
    (gradient,) = torch.autograd.grad(penalty.sum(), theta)
    assert not penalty.any()
    assert not gradient.any()


@every_prior
def test_weight_of_zero_is_at_rest(cls: type[Prior], theta: Tensor, stack: Callable) -> None:
    prior = cls()
    theta.requires_grad_()
    (gradient,) = torch.autograd.grad(prior.penalty(theta, stack([prior] * 3)).sum(), theta)
    assert not gradient[:, 0].any()
    assert (gradient * theta > 0)[:, 1:].all()


@every_prior
def test_rows_stand_alone(cls: type[Prior], theta: Tensor, stack: Callable, same_bits: Callable) -> None:
    rows = [with_strength(cls, strength) for strength in (0.1, 1.0, 7.0)]
    single = theta.float()
    together = rows[0].penalty(single, stack(rows, torch.float32))
    twins = rows[1].penalty(single[[1, 1]], stack([rows[1]] * 2, torch.float32))
    assert same_bits(together[1], twins[0])


@every_prior
def test_operations_are_safe(cls: type[Prior], theta: Tensor, stack: Callable, only_safe_operations: Callable) -> None:
    with only_safe_operations():
        cls().penalty(theta.requires_grad_(), stack([cls()] * 3)).sum().backward()
