"""Stochastic gradient descent with Nesterov momentum."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from dlx.core.definition import FirstOrder, Tunable
from dlx.core.settings import Fraction
from dlx.core.types import Hyper, Searched, State


class Nesterov(FirstOrder):
    """Nesterov momentum: the gradient is taken where the velocity is about to lead.

        g at theta + momentum v
        v <- momentum v - lr g
        theta <- theta + v

    The objective of a step is that at the point looked ahead to. ``torch.optim.SGD(nesterov=True)`` stores that point,
    theta + momentum v, where dlx stores theta; at a constant rate the points looked ahead to are equal.

    Source:
        Sutskever, Martens, Dahl and Hinton (2013), "On the importance of initialization and momentum in deep learning";
        Goodfellow, Bengio and Courville (2016), algorithm 8.3; lecture 6.6.
    """

    name: Literal["nesterov"] = "nesterov"
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

    def point(self, theta: Tensor, state: State, h: Hyper) -> Tensor:
        """Look ahead along the velocity, [M, P]."""
        return look_ahead(theta, state, h)

    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Apply one step to theta and v in place, [M, P]; the gradient is that at ``point``."""
        state["v"].mul_(h.momentum).addcmul_(gradient, h.lr, value=-1)
        theta.add_(state["v"])


def look_ahead(theta: Tensor, state: State, h: Hyper) -> Tensor:
    """Give where the velocity is about to lead, theta + momentum v, [M, P]."""
    return torch.addcmul(theta, state["v"], h.momentum)
