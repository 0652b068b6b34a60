"""RMSProp with Nesterov momentum."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from dlx.core.definition import FirstOrder, Tunable
from dlx.core.settings import Fraction
from dlx.core.types import Hyper, Searched, State
from dlx.optimizers.nesterov import look_ahead
from dlx.optimizers.rmsprop import inverse_root_of_mean_square


class RMSPropNesterov(FirstOrder):
    """RMSProp with Nesterov momentum: a velocity of scaled gradients, taken where it is about to lead.

        g at theta + momentum v
        r <- rho r + (1 - rho) g**2
        v <- momentum v - lr g / sqrt(delta + r)
        theta <- theta + v

    The book has no delta here; without it a parameter that never had a gradient gives 0 / 0. The objective of a step is
    that at the point looked ahead to. ``torch.optim.RMSprop(momentum=...)`` is another rule: heavy ball, gradient at
    theta.

    Source:
        Goodfellow, Bengio and Courville (2016), algorithm 8.6; lecture 7.
    """

    name: Literal["rmsprop_nesterov"] = "rmsprop_nesterov"
    search_space: ClassVar[tuple[Searched, ...]] = (
        Searched("lr", 1e-5, 1e0),
        Searched("rho", 1e-3, 0.5, is_complement=True, min_trials=10),
        Searched("momentum", 5e-3, 0.5, is_complement=True, min_trials=25),
        Searched("delta", 1e-10, 1e0, min_trials=25),
    )
    lr: Tunable[PositiveFloat] = 0.001
    """Learning rate."""
    rho: Tunable[Fraction] = 0.9
    """Share of the mean squared gradient kept from step to step."""
    momentum: Tunable[Fraction] = 0.9
    """Share of the velocity kept from step to step."""
    delta: Tunable[PositiveFloat] = 1e-6
    """Added to the mean squared gradient, inside the root."""

    def init(self, theta: Tensor) -> State:
        """Start with zero averages and velocity, [M, P]."""
        return {"r": torch.zeros_like(theta), "v": torch.zeros_like(theta)}

    def point(self, theta: Tensor, state: State, h: Hyper) -> Tensor:
        """Look ahead along the velocity, [M, P]."""
        return look_ahead(theta, state, h)

    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Apply one step to theta, r and v in place, [M, P]; the gradient is that at ``point``."""
        scale = inverse_root_of_mean_square(gradient, state, h)
        v = state["v"].mul_(h.momentum).addcmul_(gradient.mul_(h.lr), scale, value=-1)
        theta.add_(v)
