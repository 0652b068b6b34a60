"""Adam: adaptive moments."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from dlx.core.definition import FirstOrder, Tunable
from dlx.core.settings import Fraction
from dlx.core.types import Hyper, Searched, State
from dlx.optimizers.adagrad import square_root


class Adam(FirstOrder):
    """Adam: each parameter moves by its mean gradient over the root of its mean squared gradient.

        s <- rho1 s + (1 - rho1) g           s_hat = s / (1 - rho1**t)
        r <- rho2 r + (1 - rho2) g**2        r_hat = r / (1 - rho2**t)
        theta <- theta - lr s_hat / (sqrt(r_hat) + delta)

    Equal to ``torch.optim.Adam`` (delta is its ``eps``).

    Source:
        Kingma and Ba (2015), "Adam: a method for stochastic optimization", algorithm 1; Goodfellow, Bengio and
        Courville (2016), algorithm 8.7; lecture 7.
    """

    name: Literal["adam"] = "adam"
    search_space: ClassVar[tuple[Searched, ...]] = (
        Searched("lr", 1e-5, 1e0),
        Searched("rho1", 5e-3, 0.5, is_complement=True, min_trials=10),
        Searched("delta", 1e-10, 1e0, min_trials=25),
        Searched("rho2", 1e-4, 1e-1, is_complement=True, min_trials=50),
    )
    lr: Tunable[PositiveFloat] = 0.001
    """Learning rate; the first step moves every parameter by it."""
    rho1: Tunable[Fraction] = 0.9
    """Share of the mean gradient kept from step to step."""
    rho2: Tunable[Fraction] = 0.999
    """Share of the mean squared gradient kept from step to step."""
    delta: Tunable[PositiveFloat] = 1e-8
    """Added to the root, so that a parameter without gradient stays where it is."""

    def init(self, theta: Tensor) -> State:
        """Start with zero moments, [M, P], and zero corrections, [M, 1]."""
        return zero_moments(theta)

    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Apply one step to theta and state in place, [M, P]."""
        step_by_moments(theta, gradient, state, h)


def zero_moments(theta: Tensor) -> State:
    """Build Adam's state before the first step: zero moments, [M, P], and zero corrections, [M, 1]."""
    return {
        "s": torch.zeros_like(theta),
        "r": torch.zeros_like(theta),
        "s_correction": torch.zeros_like(theta[:, :1]),
        "r_correction": torch.zeros_like(theta[:, :1]),
    }


def step_by_moments(theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
    """Apply Adam's step to theta and state in place, [M, P].

    A correction is the moving average of ones, which is 1 - rho**t without a power (whose bits depend on the number of
    elements) and without cancellation. It is applied to the [M, 1] factors, so that no pass over [M, P] is spent on
    s_hat and r_hat: with c = 1 - rho**t, s_hat / (sqrt(r_hat) + delta) = s / (sqrt(r) + delta sqrt(c_r)) times
    sqrt(c_r) / c_s.

    Args:
        theta: [M, P].
        gradient: [M, P]; overwritten.
        state: As ``zero_moments`` builds it.
        h: ``lr``, ``rho1``, ``rho2``, ``delta``, [M, 1] each.
    """
    s, r = state["s"], state["r"]
    one = torch.ones_like(state["s_correction"])
    s_correction = state["s_correction"].lerp_(one, h.complement.rho1)
    r_correction = state["r_correction"].lerp_(one, h.complement.rho2)
    s.lerp_(gradient, h.complement.rho1)
    r.lerp_(gradient.square_(), h.complement.rho2)
    root = r_correction.sqrt()
    denominator = square_root(r, out=gradient).add_(h.delta * root).mul_(s_correction / (h.lr * root))
    theta.addcdiv_(s, denominator, value=-1)
