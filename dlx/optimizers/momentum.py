"""Stochastic gradient descent with momentum."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from dlx.core.definition import FirstOrder, Tunable
from dlx.core.settings import Fraction
from dlx.core.types import Hyper, Searched, State


class Momentum(FirstOrder):
    """Momentum: a velocity remembers past gradients.

        v <- momentum v - lr g
        theta <- theta + v

    Under a constant gradient the speed tends to lr |g| / (1 - momentum). The learning rate is inside v, so under a
    schedule this differs from ``torch.optim.SGD(momentum=...)``; at a constant rate they are equal.

    Source:
        Goodfellow, Bengio and Courville (2016), algorithm 8.2; lecture 6.6.
    """

    name: Literal["momentum"] = "momentum"
    search_space: ClassVar[tuple[Searched, ...]] = (
        Searched("lr", 1e-4, 1e1),
        Searched("momentum", 5e-3, 0.5, is_complement=True, min_trials=10),
    )
    lr: Tunable[PositiveFloat] = 0.01
    """Learning rate."""
    momentum: Tunable[Fraction] = 0.9
    """Share of the velocity kept from step to step."""

    def init(self, theta: Tensor) -> State:
        """Start with zero velocity, [M, P]."""
        return {"v": torch.zeros_like(theta)}

    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Apply one step to theta and v in place, [M, P]."""
        state["v"].mul_(h.momentum).addcmul_(gradient, h.lr, value=-1)
        theta.add_(state["v"])
