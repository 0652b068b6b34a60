"""RMSProp: adaptive rates from a moving average of squared gradients."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from dlx.core.definition import FirstOrder, Tunable
from dlx.core.settings import Fraction
from dlx.core.types import Hyper, Searched, State


class RMSProp(FirstOrder):
    """RMSProp: AdaGrad that forgets: each parameter moves by its gradient over the root of the mean squared one.

        r <- rho r + (1 - rho) g**2
        theta <- theta - lr g / sqrt(delta + r)

    ``torch.optim.RMSprop`` adds its ``eps`` outside the root, so the two are never equal.

    Source:
        Hinton (2012), "Neural networks for machine learning", lecture 6e; Goodfellow, Bengio and Courville (2016),
        algorithm 8.5; lecture 7.
    """

    name: Literal["rmsprop"] = "rmsprop"
    search_space: ClassVar[tuple[Searched, ...]] = (
        Searched("lr", 1e-5, 1e0),
        Searched("rho", 1e-3, 0.5, is_complement=True, min_trials=10),
        Searched("delta", 1e-10, 1e0, min_trials=25),
    )
    lr: Tunable[PositiveFloat] = 0.001
    """Learning rate."""
    rho: Tunable[Fraction] = 0.9
    """Share of the mean squared gradient kept from step to step."""
    delta: Tunable[PositiveFloat] = 1e-6
    """Added to the mean squared gradient, inside the root."""

    def init(self, theta: Tensor) -> State:
        """Start with zero averages, [M, P]."""
        return {"r": torch.zeros_like(theta)}

    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Apply one step to theta and r in place, [M, P]."""
        scale = inverse_root_of_mean_square(gradient, state, h)
        theta.addcmul_(gradient.mul_(h.lr), scale, value=-1)


def inverse_root_of_mean_square(gradient: Tensor, state: State, h: Hyper) -> Tensor:
    """Take a gradient into r, in place, and give 1 / sqrt(delta + r), [M, P]."""
    squared = gradient.square()
    r = state["r"].lerp_(squared, h.complement.rho)
    return torch.add(r, h.delta, out=squared).rsqrt_()
