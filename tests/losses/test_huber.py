"""Huber's loss: torch's, between squared and absolute error."""

import math

import pytest
import torch
from scipy import integrate, special
from torch import Tensor

from dlx.core.types import Hyper
from dlx.losses.huber import Huber

DELTAS = [0.1, 1.0, 3.0, 1e3]


def h(delta: float) -> Hyper:
    return Hyper({"delta": torch.tensor(delta, dtype=torch.float64)})


@pytest.fixture
def errors(generator: torch.Generator) -> Tensor:
    return torch.cat([3 * torch.randn(60, 1, generator=generator, dtype=torch.float64), torch.zeros(1, 1)])


@pytest.mark.parametrize("delta", DELTAS)
def test_equals_torch(delta: float, errors: Tensor) -> None:
    targets = torch.zeros_like(errors)
    expected = torch.nn.functional.huber_loss(errors, targets, reduction="none", delta=delta).squeeze(1)
    torch.testing.assert_close(Huber().value(errors, targets, h(delta)), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("delta", DELTAS)
def test_constant_makes_it_a_density(delta: float) -> None:
    zero = torch.zeros(1, 1, dtype=torch.float64)
    inner, _ = integrate.quad(lambda e: math.exp(-special.huber(delta, e)), 0, min(delta, 40.0), epsrel=1e-12)
    tail, _ = integrate.quad(lambda e: math.exp(-special.huber(delta, e)), min(delta, 40.0), math.inf, epsrel=1e-12)
    constant = Huber().nll(zero, zero, h(delta)).item()
    assert constant == pytest.approx(math.log(2 * (inner + tail)), rel=1e-9)


def test_at_the_turn_both_sides_have_one_slope() -> None:
    error = torch.tensor([[2.0], [-2.0]], dtype=torch.float64, requires_grad=True)
    value = Huber().value(error, torch.zeros_like(error), h(2.0))
    (gradient,) = torch.autograd.grad(value.sum(), error)
    assert gradient.flatten().tolist() == [2.0, -2.0]
    assert Huber().derivative(error, torch.zeros_like(error), h(2.0)).flatten().tolist() == [2.0, -2.0]
