"""Stochastic gradient descent."""

from typing import ClassVar, Literal

from pydantic import PositiveFloat
from torch import Tensor

from dlx.core.definition import FirstOrder, Tunable
from dlx.core.types import Hyper, Searched, State


class SGD(FirstOrder):
    """Stochastic gradient descent: theta <- theta - lr g, with g the mean gradient of the batch.

    Equal to ``torch.optim.SGD``.

    Source:
        Goodfellow, Bengio and Courville (2016), algorithm 8.1; lecture 6.3.
    """

    name: Literal["sgd"] = "sgd"
    search_space: ClassVar[tuple[Searched, ...]] = (Searched("lr", 1e-4, 1e1),)
    lr: Tunable[PositiveFloat] = 0.01
    """Learning rate."""

    def init(self, theta: Tensor) -> State:
        """No state."""
        return {}

    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Apply one step to theta in place, [M, P]; rounded twice, as momentum does, of which it is the case 0."""
        theta.sub_(gradient.mul_(h.lr))
